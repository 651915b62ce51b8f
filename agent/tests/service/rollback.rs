use std::fs;

use agent_runner::apply::manifest::{By, Drain, Healthy, Hold, MANIFEST_VERSION, Manifest, Part, Rollback};
use agent_runner::apply::report::{Outcome, Report, What};

use super::host::{Host, PROMPT, program, release};

fn deploy(host: &Host, manifest: &Manifest) {
    let switched = host.apply(manifest, &[]);
    assert_eq!(switched.outcome, Outcome::Switched, "{switched:?}");
    confirm(host, &switched);
}

fn confirm(host: &Host, switched: &Report) {
    let decided = host.confirm(switched);
    assert_eq!(decided.outcome, Outcome::Confirmed, "{decided:?}");
}

/// No test here waits for a round to end.
fn manifest(host: &Host, prompt: &str, change: impl FnOnce(&mut Manifest)) -> Manifest {
    host.manifest(prompt, |manifest| {
        manifest.drain = Drain::Now;
        change(manifest);
    })
}

fn rollback(run: &str) -> Rollback {
    Rollback {
        rollback: MANIFEST_VERSION,
        fleet: "attic".into(),
        host: "here".into(),
        by: by(run),
        projects: vec!["research".into()],
        confirm_s: 600,
        drain: Drain::Now,
        healthy: Healthy::Active,
        run: None,
    }
}

fn current(host: &Host) -> String {
    let link = fs::read_link(host.home().join(".local/share/agent-runner/current")).unwrap();
    link.to_string_lossy().into_owned()
}

/// The record of a release as agents wrote it that did not complete what came as files alone.
fn as_recorded_before(host: &Host, number: u32, manifest: &Manifest) {
    let path = format!(".local/state/agent-runner/research/releases/{number}/manifest.json");
    assert!(!host.read(&path).is_empty());
    host.write(&path, &serde_json::to_string(manifest).unwrap());
}

fn by(run: &str) -> By {
    By { user: "me".into(), machine: "desk".into(), run: run.into(), key: None }
}

fn report(value: serde_json::Value) -> Report {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_rollback_brings_the_release_before_back_and_a_second_one_goes_forward_again() {
    let host = Host::new();
    let first = manifest(&host, PROMPT, |_| {});
    deploy(&host, &first);
    let refused = report(host.ask(&rollback("r0"), &["--rollback"]));
    assert_eq!(refused.outcome, Outcome::Refused);
    assert!(refused.problems[0].message.contains("no release before"), "{refused:?}");

    let newer = format!("{PROMPT}Newer.\n");
    let mut second = manifest(&host, &newer, |manifest| {
        manifest.projects[0].env = Some([("TOKEN".to_owned(), "hunter2".to_owned())].into());
    });
    second.projects[0].files.push(agent_runner::apply::manifest::File {
        path: "prompts/extra.md".into(),
        content: "secret words\n".into(),
        secret: true,
    });
    deploy(&host, &second);
    assert!(host.work_dir().join("prompts/extra.md").exists());

    let plan = report(host.ask(&rollback("r1"), &["--rollback", "--check"]));
    assert_eq!(plan.outcome, Outcome::Drift, "{plan:?}");
    let text = serde_json::to_string(&plan).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("secret words"), "{text}");
    assert_eq!(host.read("research/prompts/main.md"), newer);

    let back = report(host.ask(&rollback("r2"), &["--rollback"]));
    assert_eq!(back.outcome, Outcome::Switched, "{back:?}");
    confirm(&host, &back);
    assert_eq!(host.read("research/prompts/main.md"), PROMPT);
    assert!(!host.work_dir().join("prompts/extra.md").exists());
    assert!(!host.home().join(".config/agent-runner/research.env").exists());
    assert_eq!(host.apply(&first, &["--check"]).outcome, Outcome::Unchanged);

    let forward = report(host.ask(&rollback("r3"), &["--rollback"]));
    confirm(&host, &forward);
    assert_eq!(host.read("research/prompts/main.md"), newer);
    assert!(host.read(".config/agent-runner/research.env").contains("hunter2"));
}

#[test]
fn a_newer_agent_stays_unless_a_downgrade_is_asked_for() {
    let host = Host::new();
    let newer = manifest(&host, PROMPT, |manifest| manifest.agents = vec![release("7.1.0", program())]);
    deploy(&host, &newer);
    let older = manifest(&host, PROMPT, |manifest| manifest.agents = vec![release("7.0.9", program())]);
    let kept = host.apply(&older, &["--check"]);
    assert_eq!(kept.outcome, Outcome::Unchanged, "{kept:?}");
    assert!(kept.notes[0].contains("stays 7.1.0") && kept.notes[0].contains("7.0.9"), "{kept:?}");
    let downgrade = Manifest { downgrade: true, ..older };
    let drift = host.apply(&downgrade, &["--check"]);
    assert_eq!(drift.changes[0].what, What::Binary, "{drift:?}");

    // The upgrade alone is a release, so it can be taken back.
    let upgrade = manifest(&host, PROMPT, |manifest| manifest.agents = vec![release("7.2.0", program())]);
    deploy(&host, &upgrade);
    let back = report(host.ask(&rollback("r1"), &["--rollback"]));
    confirm(&host, &back);
    assert!(current(&host).contains("7.1.0"));

    // Versions that are gone cannot be gone back to, which is said.
    let releases = host.home().join(".local/share/agent-runner/versions");
    let old = fs::read_dir(&releases)
        .unwrap()
        .flatten()
        .find(|entry| !current(&host).ends_with(entry.file_name().to_str().unwrap()));
    fs::remove_dir_all(old.unwrap().path()).unwrap();
    let stays = report(host.ask(&rollback("r2"), &["--rollback", "--check"]));
    assert!(stays.notes.iter().any(|note| note.contains("its 7.2.0 is no longer kept here")), "{stays:?}");
}

#[test]
fn a_rollback_to_files_that_were_pushed_brings_the_agent_and_the_environment_of_then() {
    for as_before in [false, true] {
        let host = Host::new();
        let token = |value: &str| Some([("TOKEN".to_owned(), value.to_owned())].into());
        let whole = manifest(&host, PROMPT, |manifest| {
            manifest.agents = vec![release("7.1.0", program())];
            manifest.projects[0].env = token("one");
        });
        deploy(&host, &whole);
        let newer = format!("{PROMPT}Newer.\n");
        // A push carries the environment and does not apply it.
        let pushed = manifest(&host, &newer, |manifest| {
            manifest.only = Part::Files;
            manifest.projects[0].env = token("never applied");
        });
        deploy(&host, &pushed);
        if as_before {
            as_recorded_before(&host, 2, &pushed);
        }
        let upgrade = manifest(&host, &newer, |manifest| {
            manifest.agents = vec![release("7.2.0", program())];
            manifest.projects[0].env = token("two");
        });
        deploy(&host, &upgrade);
        assert!(current(&host).contains("7.2.0"));
        let back = report(host.ask(&rollback("r1"), &["--rollback"]));
        assert_eq!(back.outcome, Outcome::Switched, "{back:?}");
        confirm(&host, &back);
        assert!(current(&host).contains("7.1.0"), "as before: {as_before}");
        assert_eq!(host.read("research/prompts/main.md"), newer);
        assert!(host.read(".config/agent-runner/research.env").contains("one"), "as before: {as_before}");
    }
}

#[test]
fn a_rollback_neither_removes_an_environment_nor_takes_an_agent_back_that_a_push_did_not_bring() {
    let releases = ".local/state/agent-runner/research/releases";
    let token = |value: &str| Some([("TOKEN".to_owned(), value.to_owned())].into());
    for push_is_in_use in [false, true] {
        let host = Host::new();
        let whole = |version: &str, prompt: &str| {
            manifest(&host, prompt, |manifest| {
                manifest.agents = vec![release(version, program())];
                manifest.projects[0].env = token("the key");
            })
        };
        deploy(&host, &whole("7.1.0", PROMPT));
        let newer = format!("{PROMPT}Newer.\n");
        let pushed = manifest(&host, &newer, |manifest| {
            manifest.only = Part::Files;
            manifest.projects[0].env = token("the key");
        });
        deploy(&host, &pushed);
        deploy(&host, &whole("7.2.0", &newer));
        if push_is_in_use {
            // Another project of the host brought the newer agent.
            fs::remove_dir_all(host.home().join(releases).join("3")).unwrap();
        } else {
            // The deploy before an older agent's push was long ago.
            as_recorded_before(&host, 2, &pushed);
            fs::remove_dir_all(host.home().join(releases).join("1")).unwrap();
        }
        let back = report(host.ask(&rollback("r1"), &["--rollback"]));
        assert_eq!(
            back.outcome,
            if push_is_in_use { Outcome::Switched } else { Outcome::Unchanged },
            "{back:?}"
        );
        if push_is_in_use {
            confirm(&host, &back);
        }
        assert!(current(&host).contains("7.2.0"), "a push in use: {push_is_in_use}");
        assert!(host.read(".config/agent-runner/research.env").contains("the key"));
    }
}

#[test]
fn a_rollback_of_one_run_leaves_alone_what_came_with_another() {
    let host = Host::new();
    let first = manifest(&host, PROMPT, |manifest| manifest.by = by("good"));
    deploy(&host, &first);
    deploy(&host, &manifest(&host, &format!("{PROMPT}Newer.\n"), |manifest| manifest.by = by("bad")));
    let of = |asked: &str| Rollback { run: Some(asked.to_owned()), ..rollback("r1") };
    let stays = report(host.ask(&of("other"), &["--rollback"]));
    assert_eq!(stays.outcome, Outcome::Unchanged, "{stays:?}");
    assert!(stays.notes[0].contains("research stays"), "{stays:?}");
    assert_eq!(report(host.ask(&of("other"), &["--rollback", "--check"])).outcome, Outcome::Unchanged);
    let back = report(host.ask(&of("bad"), &["--rollback"]));
    confirm(&host, &back);
    assert_eq!(host.read("research/prompts/main.md"), PROMPT);
    // Once is enough: the release in use now came with the rollback.
    assert_eq!(report(host.ask(&of("bad"), &["--rollback"])).outcome, Outcome::Unchanged);
}

#[test]
fn what_was_secret_is_not_shown_when_it_no_longer_is() {
    let host = Host::new();
    let prompt = format!("{PROMPT}hunter2\n");
    deploy(&host, &manifest(&host, &prompt, |manifest| manifest.projects[0].files[1].secret = true));
    let plain = manifest(&host, PROMPT, |_| {});
    let seen = |report: &Report| serde_json::to_string(report).unwrap();
    let check = seen(&host.apply(&plain, &["--check"]));
    assert!(check.contains("(secret, sha256") && !check.contains("hunter2"), "{check}");
    deploy(&host, &plain);
    let check = seen(&report(host.ask(&rollback("r1"), &["--rollback", "--check"])));
    assert!(check.contains("(secret, sha256") && !check.contains("hunter2"), "{check}");

    // Nor does a configuration that cannot be read show its line.
    let broken = manifest(&host, PROMPT, |manifest| {
        let file = &mut manifest.projects[0].files[0];
        file.content = file.content.replace("restart_delay_s = 1", "restart_delay_s = \"hunter2\"");
        file.secret = true;
    });
    let refused = host.apply(&broken, &["--check"]);
    assert_eq!(refused.outcome, Outcome::Refused);
    let said = &refused.problems[0].message;
    assert!(said.contains("agent-runner.toml:11: `runtime.restart_delay_s`"), "{said}");
    assert!(!seen(&refused).contains("hunter2"), "{refused:?}");
}

#[test]
fn a_switch_whose_time_is_over_holds_nobody_up_although_nobody_has_put_it_back() {
    for by_a_person in [true, false] {
        let host = Host::new();
        deploy(&host, &manifest(&host, PROMPT, |_| {}));
        let newer = manifest(&host, &format!("{PROMPT}Newer.\n"), |manifest| manifest.by = by("gone"));
        let switched = host.apply(&newer, &[]);
        assert_eq!(switched.outcome, Outcome::Switched, "{switched:?}");
        let path = ".local/state/agent-runner/pending.json";
        let hold = Hold { hold: MANIFEST_VERSION, by: by("me"), ttl_s: 600, reason: "exams".into() };
        assert_eq!(host.ask(&hold, &["--lock"])["done"], false, "it still may be confirmed");
        host.end_guard();
        let mut pending: serde_json::Value = serde_json::from_str(&host.read(path)).unwrap();
        pending["deadline"]["boot_s"] = 0.into();
        host.write(path, &pending.to_string());
        if by_a_person {
            assert_eq!(host.ask(&hold, &["--lock"])["done"], true);
            continue;
        }
        let third = manifest(&host, &format!("{PROMPT}Third.\n"), |manifest| manifest.by = by("next"));
        assert_eq!(host.apply(&third, &["--check"]).held_by, None);
        deploy(&host, &third);
        assert!(host.read("research/prompts/main.md").ends_with("Third.\n"));
    }
}

#[test]
fn a_held_host_takes_nobodys_apply_until_it_is_unlocked() {
    let host = Host::new();
    deploy(&host, &manifest(&host, PROMPT, |_| {}));
    let hold = Hold { hold: MANIFEST_VERSION, by: by("me-1"), ttl_s: 600, reason: "exams".into() };
    assert_eq!(host.ask(&hold, &["--lock"])["done"], true);
    let other = Hold { by: by("me-2"), ..hold };
    let refused = host.ask(&other, &["--lock"]);
    assert_eq!((&refused["done"], &refused["owner"]["reason"]), (&false.into(), &"exams".into()));

    let changed = manifest(&host, &format!("{PROMPT}More.\n"), |manifest| manifest.by = by("deploy"));
    let check = host.apply(&changed, &["--check"]);
    assert_eq!(check.held_by.unwrap().reason.as_deref(), Some("exams"));
    let held = host.apply(&changed, &[]);
    assert_eq!(held.outcome, Outcome::Refused);
    assert!(held.problems[0].message.contains("me@desk holds it since"), "{held:?}");
    assert!(held.problems[0].remedy.contains("agent-runner-fleet unlock here"), "{held:?}");

    assert_eq!(host.ask(&by("me-2"), &["--unlock"])["done"], true);
    // A deploy's lock without a switch that waits is a dead one's.
    host.write(
        ".local/state/agent-runner/deploy.lock/owner",
        r#"{"user":"x","machine":"y","run":"gone","since":"2999-01-01T00:00:00.000Z","ttl_s":900}"#,
    );
    assert_eq!(host.apply(&changed, &["--check"]).held_by, None);
    let switched = host.apply(&changed, &[]);
    let refused = host.ask(&by("me-2"), &["--unlock"]);
    assert_eq!((&refused["done"], &refused["owner"]["run"]), (&false.into(), &"deploy".into()));
    confirm(&host, &switched);
    let audit = host.read(".local/state/agent-runner/audit.jsonl");
    assert!(audit.contains("\"locked\"") && audit.contains("\"unlocked\""), "{audit}");
}

#[test]
fn files_alone_leave_environment_units_and_a_stopped_loop_as_they_are() {
    let host = Host::new();
    let whole = manifest(&host, PROMPT, |manifest| {
        manifest.projects[0].env = Some([("TOKEN".to_owned(), "hunter2".to_owned())].into());
    });
    deploy(&host, &whole);
    host.verb(&["kill"]);
    let newer = format!("{PROMPT}Newer.\n");
    let files = manifest(&host, &newer, |manifest| manifest.only = Part::Files);
    let switched = host.apply(&files, &[]);
    let what: Vec<What> = switched.changes.iter().map(|change| change.what).collect();
    assert_eq!(what, [What::File], "{switched:?}");
    confirm(&host, &switched);
    assert_eq!(host.read("research/prompts/main.md"), newer);
    assert!(host.read(".config/agent-runner/research.env").contains("hunter2"));
    assert!(!host.verb(&["status"]).active);
}
