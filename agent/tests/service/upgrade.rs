use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use agent_runner::service::Status;
use agent_runner::store::layout::Layout;
use serde_json::Value;

use super::host::{Host, PROMPT, config, program};
use crate::skipped::skip;
use crate::wait;

/// Puts the program under test where a person would put it.
fn placed(host: &Host) -> PathBuf {
    let bin = host.home().join(".local/bin/agent-runner");
    copy(program(), &bin, b"");
    bin
}

/// A copy of the program, with more bytes at its end: another release.
fn copy(from: &Path, to: &Path, more: &[u8]) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let mut bytes = fs::read(from).unwrap();
    bytes.extend(more);
    agent_runner::store::atomic::replace_with_mode(to, &bytes, 0o755).unwrap();
}

fn newer(host: &Host) -> PathBuf {
    let path = host.home().join("new");
    copy(program(), &path, b"\n");
    path
}

/// Calls the placed program in a folder, perhaps with a fault.
fn call(host: &Host, folder: &Path, args: &[&str], fault: Option<&str>) -> Output {
    let mut command = host.command(host.home().join(".local/bin/agent-runner"));
    command.args(args).current_dir(folder).envs(fault.map(|fault| ("AGENT_RUNNER_FAIL_AT", fault)));
    command.output().unwrap()
}

fn upgrade(host: &Host, folder: &Path, from: &Path, more: &[&str]) -> Output {
    call(host, folder, &[&["upgrade", "--from", from.to_str().unwrap()], more].concat(), None)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn same_bytes(one: &Path, other: &Path) -> bool {
    fs::read(one).unwrap() == fs::read(other).unwrap()
}

fn left_over(host: &Host) -> Vec<PathBuf> {
    let state = ["pending.json", "guard.json", "deploy.lock"].map(|name| host.state().join(name));
    let versions = host.home().join(".local/share/agent-runner/versions/.upgrade");
    state.into_iter().chain([versions]).filter(|path| path.exists()).collect()
}

fn events(host: &Host, kind: &str) -> Vec<Value> {
    let files = Layout::new(host.log_dir()).events_files();
    let text: String = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["event"] == kind)
        .collect()
}

/// Starts a Loop whose agent runs a script, by the placed program.
fn started(host: &Host, script: &str) -> Status {
    host.write("research/agent-runner.toml", &config(script, ""));
    host.write("research/prompts/main.md", PROMPT);
    host.git(&["add", "-A"]);
    host.git(&["commit", "--quiet", "-m", "a project"]);
    let output = call(host, &host.work_dir(), &["start", "--json"], None);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn running(pid: i32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/exe")).unwrap()
}

#[test]
fn a_program_placed_by_hand_is_replaced_and_the_old_one_kept() {
    let host = Host::new();
    let bin = placed(&host);
    let new = newer(&host);
    let done = upgrade(&host, &host.home(), &new, &["--json"]);
    assert!(done.status.success(), "{done:?}");
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told["handed_over"], false);
    assert_eq!(told["program"], bin.to_str().unwrap());
    assert!(same_bytes(&bin, &new));
    let versions = host.home().join(".local/share/agent-runner/versions");
    let kept: Vec<PathBuf> =
        fs::read_dir(versions).unwrap().map(|entry| entry.unwrap().path().join("agent-runner")).collect();
    assert!(kept.len() == 2 && kept.iter().any(|old| same_bytes(old, program())), "{kept:?}");
    assert_eq!(left_over(&host), Vec::<PathBuf>::new());

    let folder = host.home().join("release");
    copy(program(), &folder.join("agent-runner"), b"\n\n");
    let done = upgrade(&host, &host.home(), &folder, &[]);
    assert!(done.status.success(), "{done:?}");
    assert!(same_bytes(&bin, &folder.join("agent-runner")));
}

#[test]
fn a_running_loop_takes_the_new_program_over_at_the_end_of_its_round() {
    let host = Host::new();
    placed(&host);
    let serve =
        started(&host, "echo $$ >> ~/pids; while [ ! -e ~/end ]; do sleep 0.1; done; sleep 0.2").pid.unwrap();
    host.wait_for("pids");
    let new = newer(&host);
    let mut waiting = host.command(host.home().join(".local/bin/agent-runner"));
    waiting.args(["upgrade", "--from", new.to_str().unwrap()]).current_dir(host.work_dir());
    let mut waiting =
        waiting.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // It says that it waits, and the round ends only then.
    let note = BufReader::new(waiting.stderr.as_mut().unwrap())
        .lines()
        .map(Result::unwrap)
        .find(|line| line.contains("comes back by itself"));
    assert!(note.is_some(), "{:?}", waiting.wait_with_output());
    assert!(host.state().join("pending.json").exists());
    assert_eq!(host.read("pids").lines().count(), 1);
    host.write("end", "");
    let done = waiting.wait_with_output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let now: Status =
        serde_json::from_slice(&call(&host, &host.work_dir(), &["status", "--json"], None).stdout).unwrap();
    assert_eq!(now.pid, Some(serve));
    assert!(same_bytes(&running(serve), &new));
    assert_eq!(events(&host, "serve_handed_over").len(), 1);
    assert_eq!(events(&host, "service_upgraded").len(), 1);
    assert_eq!(left_over(&host), Vec::<PathBuf>::new());
}

#[test]
fn no_restart_leaves_the_loop_on_the_old_program() {
    let host = Host::new();
    let bin = placed(&host);
    let serve = started(&host, "sleep 600").pid.unwrap();
    let new = newer(&host);
    let done = upgrade(&host, &host.work_dir(), &new, &["--no-restart"]);
    assert!(done.status.success(), "{done:?}");
    assert!(same_bytes(&bin, &new));
    assert!(same_bytes(Path::new(&format!("/proc/{serve}/exe")), program()));
    assert_eq!(events(&host, "package_upgraded")[0]["restart_deferred"], true);
}

#[test]
fn a_program_that_cannot_be_the_loop_is_put_back_and_the_old_loop_goes_on() {
    let host = Host::new();
    let bin = placed(&host);
    started(&host, "sleep 0.2");
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in --version|doctor) exec {} \"$@\";; esac\nexit 3\n",
        program().display()
    );
    host.write("new", &script);
    let done = upgrade(&host, &host.work_dir(), &host.home().join("new"), &[]);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(said(&done).contains("is back: the service of research: it does not run"), "{done:?}");
    assert!(same_bytes(&bin, program()));
    assert_eq!(events(&host, "service_upgrade_rolled_back").len(), 1);
    assert_eq!(left_over(&host), Vec::<PathBuf>::new());
    let rounds = events(&host, "round_end").len();
    wait::until("another round of the old program", || events(&host, "round_end").len() > rounds);
}

#[test]
fn an_old_loop_that_does_not_start_again_is_told_with_its_remedy() {
    let host = Host::new();
    let bin = placed(&host);
    started(&host, "sleep 0.2");
    // It dies, and takes the configuration along.
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in --version|doctor) exec {} \"$@\";; esac\n\
         echo 'broken' >{}\nexit 3\n",
        program().display(),
        host.work_dir().join("agent-runner.toml").display()
    );
    host.write("new", &script);
    let done = upgrade(&host, &host.work_dir(), &host.home().join("new"), &[]);
    assert_eq!(done.status.code(), Some(2), "{done:?}");
    assert!(said(&done).contains("is back and does not start"), "{done:?}");
    assert!(said(&done).contains("agent-runner doctor"), "{done:?}");
    assert!(same_bytes(&bin, program()));
    let told = events(&host, "upgrade_start_failed");
    assert_eq!(told.len(), 1);
    assert!(told[0]["remedy"].as_str().unwrap().contains("agent-runner start"), "{told:?}");
    assert_eq!(events(&host, "service_upgrade_rollback_failed").len(), 0);
}

#[test]
fn keys_of_an_older_release_are_named_unless_nobody_wants_to_know() {
    let host = Host::new();
    placed(&host);
    host.write("research/agent-runner.toml", &config("true", "\n[vcs]\norphan_action = \"ignore\"\n"));
    host.write("research/prompts/main.md", PROMPT);
    let old = host.read("research/agent-runner.toml");
    for (more, named) in [(&["--no-migrate"][..], false), (&[][..], true)] {
        let from = host.home().join(format!("new{}", more.len()));
        copy(program(), &from, if named { b"\n\n" } else { b"\n" });
        let done = upgrade(&host, &host.work_dir(), &from, more);
        assert!(done.status.success(), "{done:?}");
        let told = String::from_utf8_lossy(&done.stdout).contains("`agent-runner migrate` rewrites them");
        assert_eq!(told, named, "{done:?}");
        assert_eq!(host.read("research/agent-runner.toml"), old);
    }
}

#[test]
fn what_cannot_run_here_is_refused_and_nothing_is_touched() {
    let host = Host::new();
    let bin = placed(&host);
    host.write("research/agent-runner.toml", &config("true", ""));
    let check = |from: &str, expected: &str| {
        let done = upgrade(&host, &host.work_dir(), &host.home().join(from), &[]);
        assert_eq!(done.status.code(), Some(1), "{from}: {done:?}");
        assert!(said(&done).contains(expected), "{from}: {}", said(&done));
        assert!(!said(&done).contains(".upgrade"), "our own name of a copy of {from}: {}", said(&done));
        assert!(fs::symlink_metadata(&bin).unwrap().is_file(), "{from}");
        assert_eq!(left_over(&host), Vec::<PathBuf>::new(), "{from}");
    };
    check("nothing", "No such file");
    check("research", "holds no agent-runner for this machine");
    copy(program(), &host.home().join("again"), b"");
    check("again", "is the program that is here already");
    let mut foreign = fs::read(program()).unwrap();
    foreign[18..20].copy_from_slice(if cfg!(target_arch = "x86_64") { &[0xb7, 0] } else { &[0x3e, 0] });
    agent_runner::store::atomic::replace(&host.home().join("foreign"), &foreign).unwrap();
    check("foreign", "was built for ");
    host.write("text", "hello");
    check("text", "/text is no program");
    host.write("other", "#!/bin/sh\necho '{}'\n");
    check("other", "/other does not execute here: it is no agent-runner");
    let text = "#!/bin/sh\ncase \"$1\" in --version) exec PROGRAM \"$@\";; esac\necho 'config error: too old' >&2; exit 78\n";
    host.write("stricter", &text.replace("PROGRAM", program().to_str().unwrap()));
    check("stricter", "config error: too old");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let host = Host::new();
    let bin = placed(&host);
    let folder = bin.parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
    if nix::unistd::geteuid().is_root() {
        skip("root may write anywhere");
    } else {
        let done = upgrade(&host, &host.home(), &newer(&host), &[]);
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        assert!(said(&done).contains(".local/bin cannot be written"), "{done:?}");
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_kill_at_any_step_leaves_a_program_that_works_and_an_upgrade_that_can_be_repeated() {
    const STEPS: [&str; 11] = [
        "verified", "adopted", "placed", "prepared", "recorded", "armed", "staged", "begun", "switched",
        "checked", "services",
    ];
    let host = Host::new();
    let bin = placed(&host);
    started(&host, "sleep 0.2");
    let new = newer(&host);
    let from = new.to_str().unwrap();
    for step in STEPS {
        let fault = format!("kill:{step}");
        let args = ["upgrade", "--from", from, "--confirm-s", "1"];
        wait::until(&format!("the kill at {step}"), || {
            let killed = call(&host, &host.work_dir(), &args, Some(&fault));
            let undecided = said(&killed).contains("waits for its confirmation");
            assert!(undecided || killed.status.code().is_none(), "{step}: {killed:?}");
            !undecided
        });
        let answer = host.command(&bin).arg("--version").output().unwrap();
        assert!(answer.status.success(), "{step}: {answer:?}");
        wait::until(&format!("the old program after {step}"), || same_bytes(&bin, program()));
    }
    let done = wait::value("the last switch's end", || {
        let done = upgrade(&host, &host.work_dir(), &new, &[]);
        (!said(&done).contains("waits for its confirmation")).then_some(done)
    });
    assert!(done.status.success(), "{done:?}");
    assert!(same_bytes(&bin, &new));
    assert_eq!(events(&host, "crash_loop").len(), 0);
}
