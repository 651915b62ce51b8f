use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use agent_runner::provider::Presets;
use agent_runner::provider::presets::Entry;
use agent_runner_tests::fleet::Running;
use agent_runner_tests::real_agents::recording::{Recording, folder};
use agent_runner_tests::real_agents::table::recorded;
use agent_runner_tests::run::{Output, run};
use agent_runner_tests::wait;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A night with a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// Prints what the CLI has printed, and ends as it has ended.
const SCRIPT: &str = "#!/bin/sh\nread -r log code <\"$HOME/plays\"\ncat \"$HOME/$log\"\nexit \"$code\"\n";

/// A project whose agent is a stand-in that replays one CLI.
struct Night {
    home: TempDir,
    agent: String,
}

/// Log and exit code of a good round and of one without login: recorded, or plain text for a CLI that nobody recorded.
fn printed(agent: &str) -> [(Vec<u8>, i64); 2] {
    let newest = recorded().unwrap().into_iter().rfind(|name| name.split('-').next() == Some(agent));
    match newest {
        Some(name) => ["work", "refused"].map(|case| {
            let recording = Recording::load(&folder().join(&name), case).unwrap();
            (recording.log, recording.outcome.exit_code)
        }),
        None => [(b"done\n".to_vec(), 0), (b"error: 401 Unauthorized\n".to_vec(), 1)],
    }
}

impl Night {
    fn new(agent: &str) -> Night {
        let night = Night { home: tempfile::tempdir().unwrap(), agent: agent.to_owned() };
        let program = night.path("bin").join(agent);
        fs::create_dir_all(night.path("bin")).unwrap();
        fs::create_dir_all(night.path("work")).unwrap();
        fs::write(&program, SCRIPT).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        for (name, (log, code)) in ["work", "refused"].into_iter().zip(printed(agent)) {
            fs::write(night.path(name).with_extension("log"), log).unwrap();
            fs::write(night.path(name).with_extension("code"), code.to_string()).unwrap();
        }
        night.plays("work");
        night.checked("git", &["init", "--quiet"]);
        night.checked("git", &["config", "user.name", "Test"]);
        night.checked("git", &["config", "user.email", "test@example.invalid"]);
        night.checked(night.agent_runner(), &["init", "--preset", agent, "--no-commit"]);
        let config = night.path("work/agent-runner.toml");
        let text = fs::read_to_string(&config).unwrap().replace("restart_delay_s = 3", "restart_delay_s = 2");
        fs::write(&config, text).unwrap();
        fs::write(
            night.path("work/prompts/main.md"),
            "Do the next step of the work and commit it.\n".repeat(20),
        )
        .unwrap();
        night.checked("git", &["add", "--all"]);
        night.checked("git", &["commit", "--quiet", "--message", "start"]);
        night
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn agent_runner(&self) -> &'static str {
        env!("CARGO_BIN_EXE_agent-runner-under-test")
    }

    /// What the stand-in prints from the next round on.
    fn plays(&self, name: &str) {
        let code = fs::read_to_string(self.path(name).with_extension("code")).unwrap();
        let next = self.path("plays.next");
        fs::write(&next, format!("{name}.log {code}\n")).unwrap();
        fs::rename(next, self.path("plays")).unwrap();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path("work")).env_clear().env("HOME", self.home.path());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        run(self.command(program).args(arguments), LONG).unwrap()
    }

    fn checked(&self, program: &str, arguments: &[&str]) -> String {
        self.run(program, arguments).checked().unwrap()
    }

    fn events(&self, kind: &str) -> Vec<Value> {
        let logs = self.path(".agent-runner/work/logs");
        let entries = fs::read_dir(logs).into_iter().flatten().flatten();
        let files = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("events-"));
        let text: String = files.map(|entry| fs::read_to_string(entry.path()).unwrap()).collect();
        let parsed = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.filter(|event| event["event"] == kind).collect()
    }

    /// Every round that has ended, and whether it was refused: not every CLI says so by its exit code.
    fn rounds(&self) -> Vec<(i64, bool)> {
        let number = |event: &Value| event["round_num"].as_i64().unwrap();
        let told: Vec<i64> = self.events("agent_auth_error_detected").iter().map(number).collect();
        let refused = |exit: &Value| exit["exit_code"] != 0 || told.contains(&number(exit));
        self.events("agent_exit").iter().map(|exit| (number(exit), refused(exit))).collect()
    }

    fn is_active(&self) -> bool {
        let status = self.checked(self.agent_runner(), &["status", "--json"]);
        serde_json::from_str::<Value>(&status).unwrap().pointer("/active") == Some(&json!(true))
    }

    fn until(&self, what: &str, holds: impl FnMut() -> bool) {
        assert!(wait::until(LONG, holds), "{}: not {what}: {:?}", self.agent, self.rounds());
    }

    /// From the first good round to the start after the login was renewed.
    fn pass(&self) {
        let program = self.agent_runner();
        self.checked(program, &["start"]);
        let mut monitor = self.command(program);
        let monitor = Running::start(monitor.args(["monitor", "--json"])).unwrap();
        self.until("one good round", || self.rounds().iter().any(|(_, refused)| !refused));
        self.plays("refused");
        let alert = monitor.wait_for(LONG, |line| line["detector"] == "oauth_fail").unwrap();
        let hint = alert.pointer("/context/hint").and_then(Value::as_str).unwrap_or("");
        let login = hint.starts_with(&self.name()) && (hint.contains('`') || hint.contains("_"));
        assert!(login, "{}: {alert}", self.agent);
        self.until("stopped", || !self.is_active());
        let refused = self.rounds().iter().filter(|(_, refused)| *refused).count();
        // The Loop knows what the round reports. What only the monitor finds in the log may cost one round more.
        let most = if self.events("agent_auth_error_detected").is_empty() { 4 } else { 3 };
        assert!((3..=most).contains(&refused), "{}: {:?}", self.agent, self.rounds());
        self.until("told as stopped", || !self.events("monitor_auto_stop_triggered").is_empty());
        drop(monitor);
        let last = self.rounds().last().copied().unwrap().0;

        self.plays("work");
        self.checked(program, &["start"]);
        self.until("going on with the next round", || self.rounds().contains(&(last + 1, false)));
    }

    /// How hints begin.
    fn name(&self) -> String {
        let presets = Presets::embedded();
        let preset = presets.get(&self.agent).unwrap().preset().unwrap();
        let hint = presets.login_hint(&self.agent).unwrap();
        let (name, _) = hint.split_once(": ").unwrap();
        assert!(preset.title.contains(name), "{} is not about {}", hint, preset.title);
        name.to_owned()
    }
}

impl Drop for Night {
    fn drop(&mut self) {
        let _ = run(self.command(self.agent_runner()).arg("kill"), LONG);
    }
}

#[test]
fn a_login_lost_at_night_costs_three_rounds_and_names_its_renewal_for_every_preset() {
    let presets = Presets::embedded();
    std::thread::scope(|scope| {
        for entry in presets.entries() {
            scope.spawn(|| Night::new(&entry.name).pass());
        }
    });
}

impl Night {
    /// One round of a CLI that stays for good after it has printed everything.
    fn stays(&self) {
        let program = self.path("bin").join(&self.agent);
        fs::write(&program, SCRIPT.replace("exit \"$code\"", "exec sleep 86400")).unwrap();
        let config = self.path("work/agent-runner.toml");
        let text = fs::read_to_string(&config).unwrap();
        let runtime = "[runtime]\nmax_grace_after_result_s = 1";
        fs::write(&config, text.replacen("[runtime]", runtime, 1)).unwrap();
        self.checked("git", &["commit", "--quiet", "--all", "--message", "a grace"]);
        let round = self.run(self.agent_runner(), &["round"]);
        assert!(round.success(), "{}: {}", self.agent, round.stderr);
        let exits = self.events("agent_exit");
        let causes: Vec<_> = exits.iter().filter_map(|exit| exit["exit_cause"].as_str()).collect();
        assert_eq!(causes, ["grace_kill"], "{}", self.agent);
        assert_eq!(self.events("round_grace_kill").len(), 1, "{}", self.agent);
    }
}

#[test]
fn a_cli_that_stays_after_what_it_was_recorded_to_print_is_ended_by_the_grace() {
    let presets = Presets::embedded();
    let marked = |entry: &&&Entry| {
        let own = entry.rules().and_then(|rules| rules.terminal_marker.as_deref());
        let is_recorded = recorded().unwrap().iter().any(|name| name.split('-').next() == Some(&entry.name));
        is_recorded && own != Some("") && entry.rules().is_some()
    };
    let entries = presets.entries();
    let marked: Vec<&&Entry> = entries.iter().filter(marked).collect();
    let names: Vec<&str> = marked.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["claude", "codex", "gemini", "pi"]);
    std::thread::scope(|scope| {
        for entry in marked {
            scope.spawn(|| Night::new(&entry.name).stays());
        }
    });
}

#[test]
fn a_recorded_refusal_is_certain_so_no_pattern_is_needed() {
    for name in recorded().unwrap() {
        let recording = Recording::load(&folder().join(&name), "refused").unwrap();
        let certain =
            recording.outcome.read.iter().any(|event| event["event"] == json!("agent_auth_error_detected"));
        assert!(certain, "{name}");
    }
}
