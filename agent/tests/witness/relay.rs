//! `monitor --host`, with a scripted `ssh` on PATH: it runs the other side's command on a project here.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::project::{Project, Running};
use crate::wait;

/// A host that `ssh` reaches, and the machine that looks at it.
struct Pair {
    there: Project,
    here: Project,
    bin: TempDir,
}

impl Pair {
    /// `script` is what `ssh` does with `"$@"`, all of its arguments; `$calls` names a file with a line for each call,
    /// and `remote` runs the command for the other side.
    fn new(script: &str) -> Pair {
        let pair = Pair { there: Project::new(), here: Project::new(), bin: tempfile::tempdir().unwrap() };
        let (bin, program) = (pair.bin.path(), env!("CARGO_BIN_EXE_agent-runner"));
        let work_dir = pair.there.config().parent().unwrap().display().to_string();
        std::os::unix::fs::symlink(program, bin.join("agent-runner")).unwrap();
        pair.script(&format!(
            "#!/bin/sh\ncalls={bin}/calls\necho \"$*\" >> $calls\nremote() {{\n  while [ \"$1\" != -- ]; do shift; done\n  shift\n  \
             cd {work_dir} && PATH={bin}:$PATH exec sh -c \"$*\"\n}}\n{script}\n",
            bin = bin.display(),
        ));
        pair.here.configure("[monitor]\nremote_failure_tolerance_s = 30\n");
        pair
    }

    fn script(&self, text: &str) {
        let path = self.bin.path().join("ssh");
        agent_runner::store::atomic::replace(&path, text.as_bytes()).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn start(&self, args: &[&str]) -> Running {
        Running::of(&mut self.command(args))
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        self.command(args).output().unwrap()
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let path = std::env::join_paths([
            self.bin.path().to_owned(),
            PathBuf::from("/usr/bin"),
            PathBuf::from("/bin"),
        ]);
        let mut command = self.here.command(&[&["monitor", "--host", "pi"], args].concat());
        command.env("PATH", path.unwrap());
        command
    }

    /// Lets a script go on that waits for `$calls.go`.
    fn let_go(&self) {
        File::create(self.bin.path().join("calls.go")).unwrap();
    }

    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.bin.path().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

const THROUGH: &str = "remote \"$@\"";

#[test]
fn events_pass_unchanged_and_go_on_where_the_link_broke() {
    // The first connection ends after one event.
    let pair = Pair::new(
        "if [ $(wc -l < $calls) = 1 ]; then remote \"$@\" | sed '/\"type\":\"event\"/q'; else remote \"$@\"; fi",
    );
    let mut running = pair.start(&["--mode", "events", "--kind", "round_end,round_start"]);
    wait::until("ssh is called", || pair.calls().len() == 1);
    let (mut first, mut written) = (None, Vec::new());
    wait::until("an event is handed on", || {
        written.push(pair.there.event(0, "round_end", &json!({"round_num": written.len()})));
        first = running.try_line();
        first.is_some()
    });
    let mut newest: Value = serde_json::from_str(&first.clone().unwrap()).unwrap();
    assert!(written.contains(&first.unwrap()), "unchanged");
    written.push(pair.there.event(0, "round_end", &json!({"round_num": written.len()})));
    pair.there.event(0, "agent_spawn", &json!({"round_num": 1}));
    let last = written.len() - 1;
    while newest["round_num"] != last {
        let next: Value = running.json();
        assert_eq!(next["event"], "round_end");
        let (before, after) = (newest["round_num"].as_u64().unwrap(), next["round_num"].as_u64().unwrap());
        assert!(after <= before + 1, "a gap between {before} and {after}");
        newest = next;
    }
    let blips = pair.here.logged("monitor_remote_blip");
    assert_eq!((&blips[0]["host"], &blips[0]["attempt"]), (&json!("pi"), &json!(1)));
    assert_eq!(blips[0]["next_sleep_s"], 1.0);
    let calls = pair.calls();
    assert!(calls[0].contains("ServerAliveInterval=5"), "{calls:?}");
    assert!(calls[0].ends_with("pi -- agent-runner monitor --mode stream"), "{calls:?}");
    assert!(calls[1].contains(" --cursor events-20"), "{calls:?}");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.ended().code(), Some(0));
}

#[test]
fn alerts_of_the_other_host_are_told_here_and_nothing_is_written_there() {
    let pair = Pair::new(THROUGH);
    pair.there.event(10, "round_end", &json!({"round_num": 1}));
    pair.there.sample(&json!({"disk_used_pct": 99.0}));
    let running = pair.start(&["--json"]);
    assert_eq!(running.json()["detector"], "disk_critical");
    pair.there.sample(&json!({"disk_used_pct": 50.0}));
    assert_eq!(running.json()["context"]["resolved"], true);
    assert!(pair.there.logged("monitor_alert_emitted").is_empty());
}

#[test]
fn one_look_at_the_other_host_is_its_answer_and_its_code() {
    let pair = Pair::new(THROUGH);
    pair.there.sample(&json!({"disk_used_pct": 99.0}));
    let before = std::fs::read_dir(pair.there.layout.root()).unwrap().count();
    let told = pair.run(&["--once", "--json"]);
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    let alert: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(alert["detector"], "disk_critical");
    assert!(pair.calls()[0].ends_with("pi -- agent-runner monitor --once --json"), "{:?}", pair.calls());
    let listed = pair.run(&["--list"]);
    assert_eq!(listed.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&listed.stdout).starts_with("timeout_rate ("), "{listed:?}");
    assert_eq!(std::fs::read_dir(pair.there.layout.root()).unwrap().count(), before);
    assert!(pair.here.logged("monitor_remote_blip").is_empty());

    // What is wrong there is said here, with the code from there.
    pair.there.configure_raw("[agent");
    let broken = pair.run(&["--once"]);
    assert_eq!((broken.status.code(), broken.stdout.len()), (Some(78), 0), "{broken:?}");
    assert!(String::from_utf8_lossy(&broken.stderr).contains("config error"), "{broken:?}");
    let calls = pair.calls().len();
    pair.script("#!/bin/sh\necho 'ssh: no route to host' >&2\nexit 255\n");
    let away = pair.run(&["--once"]);
    let said = String::from_utf8_lossy(&away.stderr);
    assert_eq!(away.status.code(), Some(1), "{said}");
    assert!(
        said.contains("ssh: no route to host") && said.contains("pi: ssh ended with exit code 255"),
        "{said}"
    );
    assert!(said.contains("hint: `ssh pi -- agent-runner --version`"), "{said}");
    assert_eq!(pair.calls().len(), calls);
}

#[test]
fn the_story_of_the_other_host_begins_with_its_first_event() {
    let pair = Pair::new(THROUGH);
    pair.there.event(100, "round_end", &json!({"round_num": 1}));
    let running = pair.start(&["--mode", "narrate"]);
    assert!(running.line().ends_with("] round_end            round=1"));
    pair.there.event(0, "round_end", &json!({"round_num": 2}));
    assert!(running.line().ends_with("round=2"));
}

#[test]
fn a_stream_goes_on_behind_its_cursor() {
    let pair =
        Pair::new("if [ $(wc -l < $calls) = 1 ]; then remote \"$@\" | head -n 3; else remote \"$@\"; fi");
    pair.there.event(10, "round_end", &json!({"round_num": 0}));
    let running = pair.start(&["--mode", "stream"]);
    running.json_until(|line| line["type"] == "state");
    for n in 1..=3 {
        pair.there.event(0, "round_end", &json!({"round_num": n}));
    }
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let event = running.json_until(|line| line["type"] == "event");
        seen.push(event["event"]["round_num"].clone());
    }
    assert_eq!(seen, [1, 2, 3]);
}

#[test]
fn what_a_quiet_host_writes_while_the_link_is_down_is_told_whatever_its_clock_says() {
    // The first connection ends behind the hello; the second waits until told.
    let pair = Pair::new(
        "if [ $(wc -l < $calls) = 1 ]; then remote \"$@\" | head -n 1; exit 255; fi\n\
         while [ ! -e $calls.go ]; do sleep 0.1; done; remote \"$@\"",
    );
    pair.there.event(0, "round_end", &json!({"round_num": 1}));
    let running = pair.start(&["--mode", "events", "--kind", "round_end"]);
    wait::until("a second connection", || pair.calls().len() == 2);
    let missed = pair.there.event(0, "round_end", &json!({"round_num": 2}));
    // The clock over there went back by an hour.
    let earlier = pair.there.event(3600, "round_end", &json!({"round_num": 3}));
    pair.let_go();
    assert_eq!([running.line(), running.line()], [missed, earlier]);
}

#[test]
fn a_log_that_took_the_place_of_another_while_the_link_was_down_is_told_from_its_beginning() {
    let pair = Pair::new(
        "if [ $(wc -l < $calls) = 1 ]; then remote \"$@\" | sed '/\"type\":\"event\"/q'; exit 255; fi\n\
         while [ ! -e $calls.go ]; do sleep 0.1; done; remote \"$@\"",
    );
    let running = pair.start(&["--mode", "events", "--kind", "round_end"]);
    let mut written = 0;
    wait::until("an event is handed on", || {
        written += 1;
        pair.there.event(0, "round_end", &json!({"round_num": written}));
        running.try_line().is_some()
    });
    wait::until("a second connection", || pair.calls().len() == 2);
    std::fs::remove_file(&pair.there.layout.events_files()[0]).unwrap();
    let new: Vec<String> =
        (0..written + 9).map(|n| pair.there.event(0, "round_end", &json!({"round_num": 1000 + n}))).collect();
    pair.let_go();
    for line in new {
        assert_eq!(running.line(), line);
    }
    assert!(pair.calls()[2].ends_with(".jsonl:0"), "{:?}", pair.calls());
}

#[test]
fn a_program_without_a_stream_over_there_is_followed_by_time() {
    let pair = Pair::new(
        "case \"$*\" in *stream*) echo \"error: invalid value 'stream' for '--mode <MODE>'\" >&2; exit 2;; esac\n\
         remote \"$@\"",
    );
    let running = pair.start(&["--mode", "events", "--kind", "round_end"]);
    wait::until("a second connection", || pair.calls().len() == 2);
    assert!(
        pair.calls()[1].ends_with("pi -- agent-runner events --tail --kind round_end"),
        "{:?}",
        pair.calls()
    );
    let mut told = None;
    wait::until("an event is handed on", || {
        pair.there.event(0, "round_end", &json!({"round_num": 1}));
        told = running.try_line();
        told.is_some()
    });
    assert!(told.unwrap().contains("\"round_end\""));
    assert!(pair.here.logged("monitor_remote_blip").is_empty());
}

#[test]
fn the_page_of_the_other_host_gets_a_new_port_there_with_each_connection_and_keeps_its_own_here() {
    let pair = Pair::new(
        "if [ $(wc -l < $calls) = 1 ]; then (remote \"$@\" | head -n 1); exit 255; fi; \
         remote \"$@\" | while read -r line; do echo \"$line\"; : > $calls.told; done",
    );
    let running = pair.start(&["--mode", "http", "--port", "0"]);
    let url = running.line();
    let here =
        url.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.strip_suffix('/')).unwrap().to_owned();
    wait::until("a second connection", || pair.calls().len() == 2);
    let there: Vec<String> =
        pair.calls().iter().map(|call| call.rsplit(' ').next().unwrap().to_owned()).collect();
    for (call, there) in pair.calls().iter().zip(&there) {
        assert_ne!(here, "0");
        assert!(call.contains(&format!("-L 127.0.0.1:{here}:127.0.0.1:{there} ")), "{call}");
    }
    assert_ne!(there[0], there[1]);
    wait::until("the second page is told there", || pair.bin.path().join("calls.told").exists());
    assert_eq!(running.try_line(), None, "the page is told once");
}

#[test]
fn the_page_of_the_other_host_is_asked_for_under_a_port_of_ones_own() {
    let pair = Pair::new("echo http://127.0.0.1:1/; exec sleep 600");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let running = pair.start(&["--mode", "http", "--port", &free, "--remote-config", "~/a b.toml"]);
    assert_eq!(running.line(), "http://127.0.0.1:1/");
    let call = pair.calls().remove(0);
    let (_, asked) = call.split_once(&format!("-L 127.0.0.1:{free}:127.0.0.1:")).unwrap();
    let (there, verb) = asked.split_once(' ').unwrap();
    let expected = format!("pi -- agent-runner monitor --mode http --port {there} --config ~/'a b.toml'");
    assert_eq!(verb, expected, "{call}");
}

#[test]
fn a_host_that_stays_away_is_given_up_and_said_so() {
    let pair = Pair::new("echo 'ssh: no route to host' >&2; exit 255");
    pair.here.configure("[monitor]\nremote_failure_tolerance_s = 1\n");
    let mut running = pair.start(&["--mode", "events"]);
    assert_eq!(running.ended().code(), Some(1));
    let giveup = pair.here.logged("monitor_remote_giveup").remove(0);
    assert_eq!(
        (&giveup["returncode"], &giveup["final_error"], &giveup["cap_s"]),
        (&json!(255), &json!("ssh: no route to host"), &json!(1.0))
    );
    assert_eq!(pair.here.logged("monitor_remote_blip").len(), 1);
}

#[test]
fn a_link_that_hangs_counts_as_down() {
    // The first connection stays open and says nothing more.
    let pair = Pair::new(
        "if [ $(wc -l < $calls) = 1 ]; then (remote \"$@\" | head -n 2); exec sleep 600; fi; remote \"$@\"",
    );
    pair.here.configure("[monitor]\nremote_failure_tolerance_s = 300\n");
    let running = pair.start(&["--mode", "stream"]);
    running.json_until(|line| line["type"] == "state");
    wait::until("a second connection", || pair.calls().len() == 2);
    wait::until("the blip is recorded", || !pair.here.logged("monitor_remote_blip").is_empty());
    let blip = pair.here.logged("monitor_remote_blip").remove(0);
    assert!(blip.to_string().contains("no heartbeat for "), "{blip}");
}

#[test]
fn a_signal_takes_ssh_down_with_it() {
    let pair = Pair::new("echo $$ > $calls.pid; trap '' TERM; echo '{}'; while :; do sleep 1; done");
    let mut running = pair.start(&["--mode", "stream"]);
    assert_eq!(running.line(), "{}");
    let pid = std::fs::read_to_string(pair.bin.path().join("calls.pid")).unwrap();
    running.signal(Signal::SIGINT);
    assert_eq!(running.ended().code(), Some(0));
    wait::until("ssh is gone", || !PathBuf::from(format!("/proc/{}", pid.trim())).exists());
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let project = Project::new();
    for (args, code) in [
        (&["--host", "-oProxyCommand=reboot"][..], 2),
        (&["--host=-oProxyCommand=reboot"], 1),
        (&["--host=-oProxyCommand=reboot", "--once"], 1),
        (&["--host", "pi", "--once", "--list"], 2),
        (&["--host", "pi", "--interval", "5"], 2),
        (&["--once", "--interval", "5"], 2),
        (&["--list", "--interval", "5"], 2),
        (&["--kind", "round_end", "--mode", "events"], 1),
        (&["--host", "pi", "--kind", "round_end"], 1),
        (&["--remote-config", "x"], 1),
    ] {
        let output = project.run(&[&["monitor"], args].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    }
}
