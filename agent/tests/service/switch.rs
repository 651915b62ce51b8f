use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use agent_runner::apply::manifest::{Drain, File, Manifest};
use agent_runner::apply::report::{Action, Outcome, Report, What};

use super::host::{Host, PROMPT, config, program, release};
use crate::skipped::skip;
use crate::wait;

/// Applies and confirms.
fn deploy(host: &Host, manifest: &Manifest) -> Report {
    let switched = host.apply(manifest, &[]);
    assert_eq!(switched.outcome, Outcome::Switched, "{switched:?}");
    let confirmed = host.confirm(&switched);
    assert_eq!(confirmed.outcome, Outcome::Confirmed, "{confirmed:?}");
    switched
}

fn actions(report: &Report) -> Vec<(What, Action)> {
    report.changes.iter().map(|change| (change.what, change.action)).collect()
}

/// Returns everything an interrupted or reverted switch could have left behind.
fn leftovers(host: &Host) -> Vec<PathBuf> {
    let left = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.contains("agent-runner-staged")
            || name.ends_with(".tmp")
            || matches!(name.as_str(), "pending.json" | "guard.json" | "deploy.lock")
    };
    host.snapshot().into_keys().filter(left).collect()
}

fn audit(host: &Host) -> Vec<String> {
    let line = |line: &str| -> String {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        entry["result"].as_str().unwrap().to_owned()
    };
    host.read(".local/state/agent-runner/audit.jsonl").lines().map(line).collect()
}

/// A copy of the program that is another file: a byte more at its end.
fn other_release(host: &Host, version: &str) -> PathBuf {
    let release = {
        let copy = host.home().join("copy");
        let mut bytes = fs::read(program()).unwrap();
        bytes.push(b'\n');
        agent_runner::store::atomic::replace(&copy, &bytes).unwrap();
        release(version, &copy)
    };
    let folder = host.home().join(".local/share/agent-runner/versions").join(release.folder());
    fs::create_dir_all(&folder).unwrap();
    let target = folder.join("agent-runner");
    fs::rename(host.home().join("copy"), &target).unwrap();
    fs::set_permissions(&target, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    target
}

#[test]
fn from_nothing_to_confirmed_and_the_second_time_changes_nothing() {
    let host = Host::new();
    let manifest = host.manifest(PROMPT, |manifest| {
        manifest.agents = vec![release("0.1.0", program())];
        manifest.projects[0].env = Some([("TOKEN".to_owned(), "hunter2".to_owned())].into());
    });
    let switched = deploy(&host, &manifest);
    assert_eq!(actions(&switched)[0], (What::Binary, Action::Create));
    assert!(switched.services[0].active, "{switched:?}");
    assert_eq!(host.read("research/prompts/main.md"), PROMPT);
    let bin = fs::read_link(host.home().join(".local/bin/agent-runner")).unwrap();
    assert_eq!(bin, PathBuf::from("../share/agent-runner/current/agent-runner"));
    let env = host.home().join(".config/agent-runner/research.env");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(env).unwrap()) & 0o777, 0o600);
    assert_eq!(host.git(&["status", "--porcelain"]), "");
    assert_eq!(leftovers(&host), Vec::<PathBuf>::new());
    assert_eq!(audit(&host), ["switched", "confirmed"]);
    assert!(!host.read(".local/state/agent-runner/audit.jsonl").contains("hunter2"));

    let serve = host.verb(&["status"]).pid;
    let quiet = |host: &Host| {
        let ours = |path: &PathBuf| !path.starts_with(host.log_dir());
        host.snapshot().into_iter().filter(|(path, _)| ours(path)).collect::<Vec<_>>()
    };
    let before = quiet(&host);
    for args in [&[][..], &["--check"]] {
        let again = host.apply(&manifest, args);
        assert_eq!((again.outcome, &again.changes[..]), (Outcome::Unchanged, &[][..]), "{again:?}");
    }
    assert_eq!(quiet(&host), before);
    assert_eq!(host.verb(&["status"]).pid, serve);
}

#[test]
fn a_changed_prompt_touches_neither_the_service_nor_the_round() {
    let host = Host::new();
    deploy(&host, &host.manifest(PROMPT, |_| {}));
    let before = host.verb(&["status"]).pid;
    let changed = format!("{PROMPT}And then rest.\n");
    let switched = deploy(&host, &host.manifest(&changed, |_| {}));
    assert_eq!(actions(&switched), [(What::File, Action::Update)]);
    assert!(switched.changes[0].diff.contains("+And then rest."), "{switched:?}");
    assert_eq!(host.read("research/prompts/main.md"), changed);
    assert_eq!(host.verb(&["status"]).pid, before);
}

#[test]
fn a_changed_configuration_is_taken_over_after_the_round() {
    let host = Host::new();
    let script = "echo $$ >> ~/pids; while [ ! -e ~/end ]; do sleep 0.1; done";
    let with = |runtime: &str| {
        let text = config(script, runtime);
        host.manifest(PROMPT, |manifest| manifest.projects[0].files[0].content = text)
    };
    deploy(&host, &with(""));
    host.wait_for("pids");
    let serve = host.verb(&["status"]).pid;
    let switched = host.apply(&with("round_log_retention = 7"), &[]);
    assert_eq!(actions(&switched), [(What::File, Action::Update), (What::Service, Action::HandOver)]);
    let id = switched.pending.clone().unwrap();
    let waiting = host.decide("--confirm", &id);
    assert_eq!(waiting.outcome, Outcome::Waiting, "{waiting:?}");
    assert!(waiting.notes[0].contains("round 1"), "{waiting:?}");
    assert_eq!(host.read("pids").lines().count(), 1);
    host.write("end", "");
    assert_eq!(host.confirm(&switched).outcome, Outcome::Confirmed);
    assert_eq!(host.verb(&["status"]).pid, serve);
}

#[test]
fn another_binary_is_taken_over_in_the_same_process_and_older_ones_are_pruned() {
    let host = Host::new();
    let script = "true";
    let with = |agents| {
        host.manifest(PROMPT, |manifest| {
            manifest.projects[0].files[0].content = config(script, "");
            manifest.agents = agents;
        })
    };
    deploy(&host, &with(vec![release("0.1.0", program())]));
    let serve = host.verb(&["status"]).pid;
    let other = other_release(&host, "0.2.0");
    let switched = deploy(&host, &with(vec![release("0.2.0", &other)]));
    assert_eq!(actions(&switched), [(What::Binary, Action::Update), (What::Service, Action::HandOver)]);
    assert_eq!(host.verb(&["status"]).pid, serve);
    let running = fs::read_link(format!("/proc/{}/exe", serve.unwrap())).unwrap();
    assert_eq!(running, other);
    assert_eq!(fs::read_dir(host.home().join(".local/share/agent-runner/versions")).unwrap().count(), 2);
}

#[test]
fn a_binary_that_does_not_execute_changes_nothing() {
    let host = Host::new();
    let bad = host.home().join("bad");
    host.write("bad", "#!/bin/sh\nexit 3\n");
    let wanted = release("9.9.9", &bad);
    let folder = host.home().join(".local/share/agent-runner/versions").join(wanted.folder());
    fs::create_dir_all(&folder).unwrap();
    fs::rename(&bad, folder.join("agent-runner")).unwrap();
    fs::set_permissions(folder.join("agent-runner"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let report = host.apply(&host.manifest(PROMPT, |manifest| manifest.agents = vec![wanted]), &[]);
    assert_eq!(report.outcome, Outcome::Refused, "{report:?}");
    assert!(report.problems[0].message.contains("does not execute here"), "{report:?}");
    assert!(!host.work_dir().join("agent-runner.toml").exists());
    assert_eq!(leftovers(&host), Vec::<PathBuf>::new());
}

#[test]
fn an_unconfirmed_switch_reverts_by_itself() {
    let host = Host::new();
    deploy(&host, &host.manifest(PROMPT, |_| {}));
    let serve = host.verb(&["status"]).pid;
    let switched = host
        .apply(&host.manifest(&format!("{PROMPT}Something else.\n"), |manifest| manifest.confirm_s = 1), &[]);
    assert_eq!(switched.outcome, Outcome::Switched, "{switched:?}");
    wait::until("the revert", || host.read("research/prompts/main.md") == PROMPT);
    wait::until("the guard's end", || leftovers(&host).is_empty());
    let late = host.decide("--confirm", &switched.pending.unwrap());
    assert_eq!(late.outcome, Outcome::Reverted, "{late:?}");
    assert_eq!(host.verb(&["status"]).pid, serve);
    assert_eq!(audit(&host), ["switched", "confirmed", "switched", "reverted"]);
}

#[test]
fn a_first_switch_put_back_leaves_no_service_and_no_files() {
    let host = Host::new();
    let switched = host
        .apply(&host.manifest(PROMPT, |manifest| manifest.agents = vec![release("0.1.0", program())]), &[]);
    assert_eq!(switched.outcome, Outcome::Switched, "{switched:?}");
    let serve = switched.services[0].clone();
    assert!(serve.active);
    host.verb(&["cancel"]);
    let reverted = host.decide("--revert", &switched.pending.unwrap());
    assert_eq!(reverted.outcome, Outcome::Reverted, "{reverted:?}");
    assert!(!host.work_dir().join("agent-runner.toml").exists());
    assert!(fs::symlink_metadata(host.home().join(".local/bin/agent-runner")).is_err());
    assert_eq!(leftovers(&host), Vec::<PathBuf>::new());
}

#[test]
fn a_service_that_dies_is_put_back_when_it_is_asked_about() {
    let host = Host::new();
    deploy(&host, &host.manifest(PROMPT, |_| {}));
    let env =
        |manifest: &mut Manifest| manifest.projects[0].env = Some([("A".to_owned(), "1".to_owned())].into());
    host.verb(&["kill"]);
    let switched = host.apply(&host.manifest(PROMPT, env), &[]);
    assert_eq!(switched.outcome, Outcome::Switched, "{switched:?}");
    host.verb(&["kill"]);
    let reverted = host.decide("--confirm", &switched.pending.unwrap());
    assert_eq!(reverted.outcome, Outcome::Reverted, "{reverted:?}");
    assert!(reverted.problems[0].message.contains("does not run"), "{reverted:?}");
    assert!(!host.home().join(".config/agent-runner/research.env").exists());
}

#[test]
fn a_restart_for_a_new_environment_waits_for_the_round() {
    let host = Host::new();
    let script = "echo \"$A\" >> ~/as; while [ ! -e ~/end ]; do sleep 0.1; done; sleep 0.2";
    let with = |value: &str| {
        let env = [("A".to_owned(), value.to_owned())].into();
        host.manifest(PROMPT, |manifest| {
            manifest.projects[0].files[0].content = config(script, "");
            manifest.projects[0].env = Some(env);
        })
    };
    deploy(&host, &with("one"));
    wait::value("the agent", || {
        fs::read_to_string(host.home().join("as")).ok().filter(|text| text == "one\n")
    });
    let switched = host.apply(&with("two"), &[]);
    assert_eq!(actions(&switched), [(What::Env, Action::Update), (What::Service, Action::Restart)]);
    assert_eq!(host.decide("--confirm", switched.pending.as_ref().unwrap()).outcome, Outcome::Waiting);
    host.write("end", "");
    assert_eq!(host.confirm(&switched).outcome, Outcome::Confirmed);
    wait::until("the new environment", || host.read("as").contains("two"));
}

/// A project whose round goes on until it is interrupted, and says so.
fn endless(host: &Host, runtime: &str, drain: Drain) -> Manifest {
    let script =
        "trap 'echo interrupted >> ~/end; exit 130' INT; echo $$ > ~/pid; while :; do sleep 0.1; done";
    let text = config(script, runtime);
    host.manifest(PROMPT, |manifest| {
        manifest.projects[0].files[0].content = text;
        manifest.drain = drain;
    })
}

#[test]
fn drain_now_interrupts_the_round() {
    let host = Host::new();
    deploy(&host, &endless(&host, "", Drain::Now));
    host.wait_for("pid");
    let switched = deploy(&host, &endless(&host, "round_log_retention = 7", Drain::Now));
    assert_eq!(actions(&switched), [(What::File, Action::Update), (What::Service, Action::Restart)]);
    assert_eq!(host.read("end"), "interrupted\n");
}

#[test]
fn a_drain_of_seconds_lets_a_round_go_on_for_them_and_then_interrupts_it() {
    let host = Host::new();
    deploy(&host, &endless(&host, "", Drain::Round));
    host.wait_for("pid");
    // Longer than the apply itself waits for the old Loop to go.
    let switched = host.apply(&endless(&host, "round_log_retention = 7", Drain::Seconds(12)), &[]);
    // The lock lasts anew from each question on, however long the round takes.
    let owner = ".local/state/agent-runner/deploy.lock/owner";
    let mut held: serde_json::Value = serde_json::from_str(&host.read(owner)).unwrap();
    held["since"] = "2026-01-01T00:00:00.000Z".into();
    host.write(owner, &held.to_string());
    let waiting = host.decide("--confirm", switched.pending.as_ref().unwrap());
    assert_eq!(waiting.outcome, Outcome::Waiting, "{waiting:?}");
    let held: serde_json::Value = serde_json::from_str(&host.read(owner)).unwrap();
    assert_ne!(held["since"], "2026-01-01T00:00:00.000Z");
    assert_eq!(held["run"], "run-1");
    assert!(!host.home().join("end").exists(), "it is let go on");
    assert_eq!(host.confirm(&switched).outcome, Outcome::Confirmed);
    assert_eq!(host.read("end"), "interrupted\n");
}

#[test]
fn a_mirrored_folder_loses_only_what_was_placed_there() {
    let host = Host::new();
    let extra = |manifest: &mut Manifest| {
        manifest.projects[0].files.push(File {
            path: "prompts/old.md".into(),
            content: "old\n".into(),
            secret: false,
        });
    };
    deploy(&host, &host.manifest(PROMPT, extra));
    host.write("research/prompts/mine.md", "by hand\n");
    let switched = deploy(&host, &host.manifest(PROMPT, |_| {}));
    assert_eq!(actions(&switched), [(What::File, Action::Delete)]);
    assert!(!host.work_dir().join("prompts/old.md").exists());
    assert!(host.work_dir().join("prompts/mine.md").exists());
}

#[test]
fn a_missing_work_tree_is_cloned() {
    let host = Host::new();
    fs::rename(host.work_dir(), host.home().join("origin")).unwrap();
    let url = host.home().join("origin").display().to_string();
    let repo = |manifest: &mut Manifest| {
        manifest.projects[0].repo = Some(agent_runner::apply::manifest::Repo { url, branch: None });
    };
    let switched = deploy(&host, &host.manifest(PROMPT, repo));
    assert_eq!(actions(&switched)[0], (What::Repo, Action::Create));
    assert_eq!(host.git(&["log", "--format=%s"]), "start");

    let other = Host::new();
    fs::remove_dir_all(other.work_dir()).unwrap();
    let nowhere = |manifest: &mut Manifest| {
        let url = "/nonexistent/repository".to_owned();
        manifest.projects[0].repo = Some(agent_runner::apply::manifest::Repo { url, branch: None });
    };
    let refused = other.apply(&other.manifest(PROMPT, nowhere), &[]);
    assert_eq!(refused.outcome, Outcome::Refused, "{refused:?}");
    assert!(refused.problems[0].message.contains("/nonexistent/repository"), "{refused:?}");
    assert!(!other.work_dir().exists());
}

#[test]
fn another_run_is_kept_out_and_the_same_run_enters_again() {
    let host = Host::new();
    let manifest = host.manifest(PROMPT, |_| {});
    let switched = host.apply(&manifest, &[]);
    let again = host.apply(&manifest, &[]);
    assert_eq!((again.outcome, &again.pending), (Outcome::Switched, &switched.pending), "{again:?}");
    let other = host.manifest(&format!("{PROMPT}From another controller.\n"), |manifest| {
        manifest.by.run = "run-2".into()
    });
    let output = host.apply_with(&other, &[], None);
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    let held: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((held.outcome, held.held_by.unwrap().run.as_str()), (Outcome::Refused, "run-1"));
    assert_eq!(host.confirm(&switched).outcome, Outcome::Confirmed);
    deploy(&host, &other);
}

#[test]
fn a_step_that_fails_puts_everything_back() {
    let host = Host::new();
    deploy(&host, &host.manifest(PROMPT, |_| {}));
    for step in
        ["prepared", "recorded", "armed", "staged", "begun", "file", "switched", "checked", "services"]
    {
        let other = host.manifest(&format!("{PROMPT}Something else.\n"), |_| {});
        let output = host.apply_with(&other, &[], Some(&format!("fail:{step}")));
        let report: Report = serde_json::from_slice(&output.stdout).unwrap();
        let expected =
            if matches!(step, "prepared" | "recorded") { Outcome::Refused } else { Outcome::Reverted };
        assert_eq!(report.outcome, expected, "{step}: {report:?}");
        assert_eq!(host.read("research/prompts/main.md"), PROMPT, "{step}");
        assert_eq!(leftovers(&host), Vec::<PathBuf>::new(), "{step}");
    }
    assert!(host.verb(&["status"]).active);
}

#[test]
fn a_kill_at_any_step_leaves_the_old_release_or_a_switch_that_reverts() {
    let host = Host::new();
    deploy(&host, &host.manifest(PROMPT, |_| {}));
    for step in
        ["prepared", "recorded", "armed", "staged", "begun", "file", "switched", "checked", "services"]
    {
        let text = format!("{PROMPT}Something else.\n");
        let other = host.manifest(&text, |manifest| manifest.confirm_s = 1);
        let output = host.apply_with(&other, &[], Some(&format!("kill:{step}")));
        assert!(output.stdout.is_empty(), "{step}: {output:?}");
        if matches!(step, "prepared" | "recorded") {
            // Nothing was switched; the next apply sweeps up.
            assert_eq!(host.read("research/prompts/main.md"), PROMPT, "{step}");
        } else {
            wait::until("the revert", || {
                host.read("research/prompts/main.md") == PROMPT && leftovers(&host).is_empty()
            });
        }
        let retried = deploy(&host, &host.manifest(&format!("{text}{step}\n"), |_| {}));
        assert!(!retried.changes.is_empty());
        deploy(&host, &host.manifest(PROMPT, |_| {}));
        assert_eq!(leftovers(&host), Vec::<PathBuf>::new(), "{step}");
    }
    assert!(host.verb(&["status"]).active);
}

#[test]
fn a_name_in_the_bin_folder_that_is_no_link_is_never_replaced() {
    let host = Host::new();
    host.write(".local/bin/agent-runner", "mine");
    let manifest = host.manifest(PROMPT, |manifest| manifest.agents = vec![release("0.1.0", program())]);
    let report = host.apply(&manifest, &[]);
    assert_eq!(report.outcome, Outcome::Refused, "{report:?}");
    assert_eq!(host.read(".local/bin/agent-runner"), "mine");
    fs::remove_file(host.home().join(".local/bin/agent-runner")).unwrap();
    symlink("/nonexistent", host.home().join(".local/bin/agent-runner")).unwrap();
    deploy(&host, &manifest);
}

#[test]
fn what_could_never_run_a_round_is_put_back_before_it_is_started() {
    let host = Host::new();
    let missing = |manifest: &mut Manifest| {
        let text = config("true", "").replace("/bin/sh", "/nonexistent/agent");
        manifest.projects[0].files[0].content = text;
    };
    let report = host.apply(&host.manifest(PROMPT, missing), &[]);
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    assert!(report.problems[0].message.contains("/nonexistent/agent is not an executable"), "{report:?}");
    assert!(!host.work_dir().join("agent-runner.toml").exists());
    assert_eq!(leftovers(&host), Vec::<PathBuf>::new());
}

#[test]
fn a_unit_that_goes_takes_its_enabling_link_along_and_both_come_back() {
    let host = Host::new();
    let units = host.home().join(".config/systemd/user");
    let unit = units.join("agent-runner@research.service");
    let link = units.join("default.target.wants/agent-runner@research.service");
    host.write(
        ".config/systemd/user/agent-runner@research.service",
        &format!("[Service]\nWorkingDirectory={}\n", host.work_dir().display()),
    );
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(&unit, &link).unwrap();
    let manifest = host.manifest(PROMPT, |_| {});
    let switched = host.apply(&manifest, &[]);
    assert_eq!(switched.outcome, Outcome::Switched, "{switched:?}");
    assert!(!unit.exists() && fs::symlink_metadata(&link).is_err());
    host.verb(&["cancel"]);
    let reverted = host.decide("--revert", &switched.pending.unwrap());
    assert_eq!(reverted.outcome, Outcome::Reverted, "{reverted:?}");
    assert_eq!(fs::read_link(&link).unwrap(), unit);
    assert!(unit.exists());
    deploy(&host, &manifest);
    assert!(fs::symlink_metadata(&link).is_err());
}

#[test]
fn a_unit_does_not_hide_that_its_agent_is_missing() {
    let host = Host::new();
    let user = |manifest: &mut Manifest| {
        let text = config("true", "").replace("/bin/sh", "/nonexistent/agent");
        manifest.projects[0].files[0].content = text;
        manifest.projects[0].service.scope = agent_runner::apply::manifest::Scope::User;
    };
    let report = host.apply(&host.manifest(PROMPT, user), &[]);
    let problem = &report.problems[0].message;
    if problem.contains("systemd does not answer") {
        return skip("there is no systemd of this account");
    }
    assert_eq!(report.outcome, Outcome::Reverted, "{report:?}");
    assert!(problem.contains("/nonexistent/agent is not an executable file"), "{report:?}");
}

#[test]
fn a_switch_without_a_guard_is_looked_after_by_the_next_serve() {
    let host = Host::new();
    deploy(&host, &host.manifest(PROMPT, |_| {}));
    let changed = format!("{PROMPT}Something else.\n");
    let switched = host.apply(&host.manifest(&changed, |manifest| manifest.confirm_s = 2), &[]);
    assert_eq!(switched.outcome, Outcome::Switched, "{switched:?}");
    let guard: serde_json::Value =
        serde_json::from_str(&host.read(".local/state/agent-runner/guard.json")).unwrap();
    let guard = i32::try_from(guard["pid"].as_i64().unwrap()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(guard), nix::sys::signal::Signal::SIGKILL).unwrap();
    host.verb(&["restart", "--force"]);
    wait::until("the revert", || {
        leftovers(&host).is_empty() && host.read("research/prompts/main.md") == PROMPT
    });
    assert!(host.verb(&["status"]).active);
}

#[test]
fn a_tracked_prompt_placed_during_a_round_outlives_the_rounds_stash() {
    let host = Host::new();
    let script = "echo $$ >> ~/pids; while [ ! -e ~/end ]; do sleep 0.1; done; echo dirt >> dirt; sleep 0.2";
    host.write("research/prompts/main.md", PROMPT);
    host.write("research/agent-runner.toml", &config(script, ""));
    host.git(&["add", "-A"]);
    host.git(&["commit", "--quiet", "-m", "tracked"]);
    let with = |prompt: &str| {
        host.manifest(prompt, |manifest| manifest.projects[0].files[0].content = config(script, ""))
    };
    deploy(&host, &with(PROMPT));
    host.wait_for("pids");
    let changed = format!("{PROMPT}Something else.\n");
    deploy(&host, &with(&changed));
    assert_eq!(host.read("pids").lines().count(), 1);
    host.write("end", "");
    wait::until("the stash", || host.git(&["stash", "list"]).contains("ORPHAN R1"));
    wait::until("the next round", || host.read("pids").lines().count() > 1);
    assert_eq!(host.read("research/prompts/main.md"), changed);
}
