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
    }
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
    let current = fs::read_link(host.home().join(".local/share/agent-runner/current")).unwrap();
    assert!(current.to_string_lossy().contains("7.1.0"), "{current:?}");
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
