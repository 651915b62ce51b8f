//! Each fault of the table, for real: afterwards exactly one release runs, nothing is left lying about, and the next
//! deploy succeeds.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::fleet::{Controller, PROMPT, Running};
use agent_runner_tests::lab::Host;
use agent_runner_tests::packages::{Needed, ensure};
use agent_runner_tests::run::{Output, find_program};
use agent_runner_tests::skip::skip;
use agent_runner_tests::wait;
use nix::sys::signal::Signal;

use super::deployed::{ROUNDS, dead_connections_are_noticed_soon, fleet_of};
use super::fault_table::{CASES, Case, Fault, Release, Step};

/// Hosts that share the cases.
const HOSTS: usize = 6;
/// An unconfirmed switch is put back after so many seconds.
const CONFIRM_S: u32 = 6;
const SHARE: &str = "/home/ops/.local/share/agent-runner";
const STATE: &str = "/home/ops/.local/state/agent-runner";
const DROP_IN: &str = "/home/ops/.config/systemd/user/agent-runner@demo.service.d";

/// One host with a controller that knows only it, on which one case follows another.
struct Bench<'a> {
    host: &'a Host,
    controller: Controller,
    release: u32,
}

#[test]
fn after_a_fault_at_any_step_one_release_runs_and_the_next_deploy_succeeds() {
    let Some((lab, first)) = fleet_of(HOSTS) else { return };
    // The slow ones first: they would be waited for at the end.
    let mut cases: Vec<Case> = CASES.to_vec();
    cases.sort_by_key(|case| case.fault == Fault::ControllerKilled);
    if let Ok(only) = std::env::var("AGENT_RUNNER_TESTS_FAULT") {
        cases.retain(|case| format!("{:?}/{:?}", case.step, case.fault).contains(&only));
    }
    let cases = Mutex::new(cases.into_iter());
    let wrong: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for host in lab.hosts() {
            let (cases, wrong, first) = (&cases, &wrong, &first);
            scope.spawn(move || {
                let mut bench = Bench::new(host, first);
                loop {
                    let Some(case) = cases.lock().unwrap().next() else { return };
                    let began = Instant::now();
                    let what = format!("{:?} at {:?} on {}", case.fault, case.step, host.name());
                    let mut said = None;
                    let ended =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| said = bench.go(case)));
                    eprintln!("{what}: {} s", began.elapsed().as_secs());
                    wrong.lock().unwrap().extend(said.map(|said| format!("{what}: {said}")));
                    if let Err(panic) = ended {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text =
                            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                        wrong.lock().unwrap().push(format!("{what}: {}", text.unwrap_or_default()));
                        // Whatever state it is in, the host is no bench any more.
                        return;
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let left = cases.into_inner().unwrap().count();
    assert_eq!(left, 0, "cases that no host was left for");
}

impl<'a> Bench<'a> {
    fn new(host: &'a Host, first: &Controller) -> Bench<'a> {
        let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
        for file in ["fleet.toml", "agent-runner.toml", ".ssh/config", ".ssh/known_hosts"] {
            let text = fs::read_to_string(first.home().join(file)).unwrap_or_default();
            let text =
                text.replace(&first.home().display().to_string(), &controller.home().display().to_string());
            controller.write(file, &text).unwrap();
        }
        for entry in fs::read_dir(first.home().join(".ssh")).unwrap() {
            let path = entry.unwrap().path();
            let to = controller.home().join(".ssh").join(path.file_name().unwrap());
            if !to.exists() {
                fs::copy(&path, to).unwrap();
            }
        }
        controller.replace("fleet.toml", "confirm_s = 20", &format!("confirm_s = {CONFIRM_S}")).unwrap();
        dead_connections_are_noticed_soon(&controller);
        let mut bench = Bench { host, controller, release: 0 };
        bench.next_release("");
        bench.deploys_well();
        bench
    }

    /// Returns what was wrong with what was said; panics when the host is not what it shall be.
    fn go(&mut self, case: Case) -> Option<String> {
        if case.fault == Fault::WrongClock && faketime().is_none() {
            skip("no clock but the machine's own: faketime cannot be had here");
            return None;
        }
        let old = self.release;
        self.next_release(if case.fault == Fault::UnitFailsToStart { "refuse to start" } else { "" });
        let output = match case.fault {
            Fault::ControllerKilled | Fault::CableCut | Fault::PowerCut | Fault::Reboot => {
                self.disturbed(case)
            }
            Fault::DiskFull => self.on_a_full_disk(case.step),
            Fault::LoginBroken => self.where_nobody_is_let_in_any_more(),
            Fault::BinaryCannotExecute => self.where_nothing_executes(),
            Fault::ReleaseRefused => {
                self.controller.write("prompts/main.md", "Too short.\n").unwrap();
                self.deploy(&[])
            }
            Fault::UnitFailsToStart => self.with_drop_in(
                "ExecStartPre=/bin/sh -c '! grep -q \"refuse to start\" /home/ops/demo/agent-runner.toml'",
                "drain = \"now\"",
            ),
            Fault::ServiceDies => {
                // Longer than the service lives, also when the old Loop takes one of them.
                self.host.set_mode(&[Mode::Sleep(25)]).unwrap();
                let dies = format!(
                    "ExecStartPost=/bin/sh -c 'if grep -q \"release {}$\" /home/ops/demo/agent-runner.toml; then (sleep 10; \
                     kill -KILL $MAINPID) & fi'",
                    self.release
                );
                let output = self.with_drop_in(&dies, "drain = \"now\"\nhealthy = \"round\"");
                self.host.set_mode(&[Mode::Sleep(1)]).unwrap();
                output
            }
            Fault::WrongClock => {
                let library = faketime().unwrap();
                self.deploy(&[
                    ("LD_PRELOAD", &library),
                    ("FAKETIME", "-1d"),
                    ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
                ])
            }
        };
        let said = (output.code() != case.code).then(|| {
            format!("ended with {}, not {}\n{}\n{}", output.code(), case.code, output.stdout, output.stderr)
        });
        let runs = self.settles(Some(case.fault));
        let expected = if case.runs == Release::Old { old } else { self.release };
        assert_eq!(runs, expected, "{}\n{}\n{}", output.stdout, output.stderr, self.host.newest(20));
        self.next_release("");
        self.deploys_well();
        said
    }

    /// Stops the deploy at the step, lets the fault happen, and lets it go on.
    fn disturbed(&self, case: Case) -> Output {
        let folder = tempfile::tempdir().unwrap();
        match case.step {
            Step::Upload | Step::HalfSent => self.another_agent_is_there(),
            Step::Drain => self.a_long_round_runs(),
            Step::Probe
            | Step::Plan
            | Step::Lock
            | Step::Stage
            | Step::Switch
            | Step::Confirm
            | Step::Record => {}
        }
        let stand = format!("{}:{}", case.step.name(), folder.path().display());
        let variable = match case.step {
            Step::Lock => ("AGENT_RUNNER_FLEET_HOST_FAIL_AT", "stop:prepared"),
            Step::Stage => ("AGENT_RUNNER_FLEET_HOST_FAIL_AT", "stop:staged"),
            Step::Switch => ("AGENT_RUNNER_FLEET_HOST_FAIL_AT", "stop:switched"),
            Step::Probe
            | Step::Plan
            | Step::Upload
            | Step::HalfSent
            | Step::Drain
            | Step::Confirm
            | Step::Record => ("AGENT_RUNNER_FLEET_STAND_AT", stand.as_str()),
        };
        let mut command = self.command(&[variable]);
        let running = Running::start(&mut command).unwrap();
        let sign = folder.path().join(self.host.name());
        self.stands(variable.1, &sign);
        if case.step == Step::HalfSent {
            let arrives = || self.uploads().is_ok_and(|left| left.contains(".upload."));
            assert!(wait::until(ROUNDS, arrives), "nothing of the agent arrives");
        }
        match case.fault {
            Fault::ControllerKilled => running.signal(Signal::SIGKILL),
            Fault::CableCut => self.host.cut_cable().unwrap(),
            Fault::PowerCut => self.host.pull_plug().unwrap(),
            Fault::Reboot => self.host.reboot().unwrap(),
            Fault::DiskFull
            | Fault::BinaryCannotExecute
            | Fault::ReleaseRefused
            | Fault::UnitFailsToStart
            | Fault::ServiceDies
            | Fault::LoginBroken
            | Fault::WrongClock => panic!("no fault that a deploy is stopped for: {case:?}"),
        }
        let _ = fs::remove_file(&sign);
        if self.host.is_on() {
            self.go_on();
        }
        let output = running.wait(Duration::from_secs(120)).unwrap();
        match case.fault {
            Fault::CableCut => self.host.plug_cable().unwrap(),
            Fault::PowerCut => self.host.boot().unwrap(),
            Fault::Reboot
            | Fault::ControllerKilled
            | Fault::DiskFull
            | Fault::BinaryCannotExecute
            | Fault::ReleaseRefused
            | Fault::UnitFailsToStart
            | Fault::ServiceDies
            | Fault::LoginBroken
            | Fault::WrongClock => {}
        }
        // A bridge takes a while to see that a cable is back.
        let answers = || self.host.ssh("true").is_ok_and(|output| output.success());
        assert!(wait::until(ROUNDS, answers), "{} does not answer any more", self.host.name());
        output
    }

    /// Lets an apply go on that was stopped.
    fn go_on(&self) {
        let go_on = "kill -CONT $(pgrep --full 'json [a]pply') 2>/dev/null; true";
        self.host.root(go_on).unwrap().checked().unwrap();
    }

    /// The files of uploads that have not ended.
    fn uploads(&self) -> anyhow::Result<String> {
        self.host.says(&format!("find {SHARE} -name '*.upload.*' -size +0"))
    }

    /// Waits until the deploy stands at its step, here or on the host.
    fn stands(&self, variable: &str, sign: &Path) {
        let stopped = "ps -eo stat,args | grep -q '^T.*json [a]pply'";
        let stands = || match variable.starts_with("stop:") {
            true => self.host.root(stopped).is_ok_and(|output| output.success()),
            false => sign.exists(),
        };
        assert!(wait::until(ROUNDS, stands), "it never came to {variable}");
    }

    /// Makes the host have another agent than ours, so that one is uploaded.
    fn another_agent_is_there(&self) {
        self.host
            .says(&format!(
                "cd {SHARE} && old=$(basename $(readlink current)) && rm -rf versions/0.0.1-aaaaaaaaaaaa && \
                 cp -a versions/$old versions/0.0.1-aaaaaaaaaaaa && echo >>versions/0.0.1-aaaaaaaaaaaa/agent-runner && \
                 ln -sfn versions/0.0.1-aaaaaaaaaaaa current && rm -rf versions/$old"
            ))
            .unwrap();
    }

    fn a_long_round_runs(&self) {
        self.host.set_mode(&[Mode::Sleep(20), Mode::Sleep(1)]).unwrap();
        let runs = || {
            let sleeps = "test \"$(head -1 demo/.git/fake-agent/mode)\" = 'sleep 1'";
            self.host.user_command(sleeps).is_ok_and(|output| output.success())
        };
        assert!(wait::until(ROUNDS, runs), "{}", self.host.newest(5));
    }

    fn on_a_full_disk(&self, step: Step) -> Output {
        let place = if step == Step::Upload { format!("{SHARE}/versions") } else { STATE.to_owned() };
        if step == Step::Upload {
            self.another_agent_is_there();
        }
        // What is there stays there, on a disk with no room for more.
        self.host.says(&format!("rm -rf /tmp/kept && cp -a {place} /tmp/kept")).unwrap();
        self.host.mount_small_disk(&place, 64).unwrap();
        self.host.says(&format!("cp -a /tmp/kept/. {place}/")).unwrap();
        let output = if step == Step::Switch {
            self.the_disk_fills_up_at_the_switch(&place)
        } else {
            self.host.fill_disk(&place).unwrap();
            self.deploy(&[])
        };
        self.host.root(&format!("umount -l {place}")).unwrap().checked().unwrap();
        output
    }

    fn the_disk_fills_up_at_the_switch(&self, place: &str) -> Output {
        let fault = "stop:staged";
        let running =
            Running::start(&mut self.command(&[("AGENT_RUNNER_FLEET_HOST_FAIL_AT", fault)])).unwrap();
        self.stands(fault, Path::new(""));
        self.host.fill_disk(place).unwrap();
        self.go_on();
        running.wait(Duration::from_secs(120)).unwrap()
    }

    /// The connection that switched goes on; a new one is refused, until the host has put the old release back by itself.
    fn where_nobody_is_let_in_any_more(&self) -> Output {
        let keys = "/home/ops/.ssh/authorized_keys";
        let locks_out = format!(
            "ExecStartPost=/bin/sh -c 'if grep -q \"release {}$\" /home/ops/demo/agent-runner.toml; then mv {keys} \
             {keys}.away; fi'",
            self.release
        );
        let output = self.with_drop_in(&locks_out, "drain = \"now\"");
        assert!(!self.host.ssh("true").unwrap().success(), "it still lets us in");
        self.host.says(&format!("mv {keys}.away {keys}")).unwrap();
        assert!(output.stdout.contains("not confirmed: "), "{}", output.stdout);
        assert!(output.stdout.contains("was not let in"), "{}", output.stdout);
        output
    }

    fn where_nothing_executes(&self) -> Output {
        let folder = self.host.says(&format!("basename $(readlink {SHARE}/current)")).unwrap();
        self.another_agent_is_there();
        let place = format!("{SHARE}/versions/{folder}");
        self.host
            .root(&format!(
                "install -d -o ops -g ops {place} && mount -t tmpfs -o noexec,size=128m,uid=1000,gid=1000 tmpfs {place}"
            ))
            .unwrap()
            .checked()
            .unwrap();
        let output = self.deploy(&[]);
        self.host.root(&format!("umount -l {place} && rmdir {place}")).unwrap().checked().unwrap();
        assert!(output.stdout.contains("does not run there"), "{}", output.stdout);
        output
    }

    fn with_drop_in(&self, line: &str, rules: &str) -> Output {
        self.host
            .put(&format!("{DROP_IN}/fault.conf"), format!("[Service]\n{line}\n").as_bytes(), 0o644)
            .unwrap();
        self.host.says("systemctl --user daemon-reload").unwrap();
        let confirm = format!("confirm_s = {CONFIRM_S}");
        self.controller.replace("fleet.toml", &confirm, &format!("{confirm}\n{rules}")).unwrap();
        let output = self.deploy(&[]);
        self.controller.replace("fleet.toml", &format!("{confirm}\n{rules}"), &confirm).unwrap();
        self.settles(None);
        self.host.says(&format!("rm -r {DROP_IN} && systemctl --user daemon-reload")).unwrap();
        output
    }

    /// Waits until nothing of a switch is undecided, insists that nothing is left of it, and returns the release.
    fn settles(&self, fault: Option<Fault>) -> u32 {
        let applies = "pgrep --full 'json [a]pply|apply --guar[d]'";
        let undecided = format!("test -e {STATE}/pending.json || {applies}");
        let settled = || self.host.user_command(&undecided).is_ok_and(|output| !output.success());
        assert!(wait::until(ROUNDS, settled), "undecided: {}", self.host.newest(20));
        let runs = || {
            let one = self.host.user_command("pgrep --full --count '[a]gent-runner serve'");
            let one = one.is_ok_and(|output| output.stdout.trim() == "1");
            one && self.host.unit_state().is_ok_and(|state| state == "active")
        };
        assert!(wait::until(ROUNDS, runs), "no Loop runs, or two: {}", self.host.newest(20));
        // What a power cut leaves of an upload goes with the next one, its lock with the next apply, and by itself.
        let power = fault.is_some_and(|fault| matches!(fault, Fault::PowerCut | Fault::Reboot));
        let excused =
            if power { format!("-path {STATE}/deploy.lock -o -name '*.upload.*'") } else { "-false".into() };
        let left = format!(
            "find /home/ops \\( -name '*agent-runner-staged*' -o -name '*.tmp' -o -name '*.new' -o -name '*.agent-runner-clone' \
             -o -name '*.upload.*' -o -path {STATE}/guard.json -o -path {STATE}/deploy.lock \\) \
             -not -path '/home/ops/demo/.git/*' -not \\( {excused} \\)"
        );
        let mut found = String::new();
        let clean = || {
            found = self.host.says(&left).unwrap();
            found.is_empty()
        };
        // sshd sees the end of a connection when the cable is back.
        assert!(wait::until(ROUNDS, clean), "left behind: {found}");
        let release = |file: &str| -> u32 {
            let said =
                self.host.says(&format!("grep --only-matching 'release [0-9]*' demo/{file} | tail -1"));
            said.unwrap().trim_start_matches("release ").parse().unwrap()
        };
        let (config, prompt) = (release("agent-runner.toml"), release("prompts/main.md"));
        assert_eq!(config, prompt, "half of one and half of the other");
        config
    }

    fn next_release(&mut self, words: &str) {
        self.release += 1;
        let number = self.release;
        let config = fs::read_to_string(self.controller.home().join("agent-runner.toml")).unwrap();
        let config = config.split("# ").next().unwrap().to_owned();
        self.controller
            .write("agent-runner.toml", &format!("{config}# {words}\n# release {number}\n"))
            .unwrap();
        let prompt = format!("{PROMPT}This is release {number}.\n");
        self.controller.write("prompts/main.md", &prompt).unwrap();
    }

    fn deploys_well(&self) {
        let output = self.deploy(&[]);
        assert_eq!(output.code(), 0, "the next deploy: {}\n{}", output.stdout, output.stderr);
        assert_eq!(self.settles(None), self.release);
    }

    fn deploy(&self, variables: &[(&str, &str)]) -> Output {
        let running = Running::start(&mut self.command(variables)).unwrap();
        running.wait(Duration::from_secs(150)).unwrap()
    }

    fn command(&self, variables: &[(&str, &str)]) -> std::process::Command {
        let mut command = self.controller.command();
        command.args(["deploy", "--json", "--connect-timeout", "5", "--limit", self.host.name()]);
        command.envs(variables.iter().copied());
        command
    }
}

/// The library that lies about the time, where it can be had.
fn faketime() -> Option<String> {
    ensure(&[Needed { program: "faketime", package: "faketime" }]).ok()?;
    find_program("faketime")?;
    let library =
        |machine: &str| PathBuf::from(format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1"));
    let found = [library("x86_64"), library("aarch64")].into_iter().find(|path| path.exists());
    found.map(|path| path.display().to_string())
}
