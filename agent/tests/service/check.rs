use std::fs;
use std::os::unix::fs::symlink;

use agent_runner::apply::manifest::{AgentRelease, File, Manifest};
use agent_runner::apply::report::{Action, Outcome, Report, What};

use super::host::{Host, PROMPT, config};

/// Checks a manifest and that nothing was written.
fn check(host: &Host, manifest: &Manifest) -> Report {
    let before = host.snapshot();
    let report = host.apply(manifest, &["--check"]);
    assert_eq!(host.snapshot(), before);
    report
}

fn refused(host: &Host, manifest: &Manifest, said: &str) {
    for args in [&["--check"][..], &[]] {
        let before = host.snapshot();
        let report = host.apply(manifest, args);
        assert_eq!(report.outcome, Outcome::Refused, "{report:?}");
        let problems: Vec<_> = report.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert!(problems.iter().any(|problem| problem.contains(said)), "wanted {said:?} in {problems:?}");
        assert_eq!(host.snapshot(), before);
    }
}

#[test]
fn a_check_shows_every_difference_and_writes_nothing() {
    let host = Host::new();
    let manifest = host.manifest(PROMPT, |manifest| {
        manifest.projects[0].env = Some([("TOKEN".to_owned(), "hunter2".to_owned())].into());
        manifest.projects[0].files.push(File { path: "key".into(), content: "hunter3".into(), secret: true });
    });
    let report = check(&host, &manifest);
    assert_eq!(report.outcome, Outcome::Drift, "{report:?}");
    let whats: Vec<_> = report.changes.iter().map(|change| (change.what, change.action)).collect();
    let create = Action::Create;
    let expected = [
        (What::File, create),
        (What::File, create),
        (What::File, create),
        (What::File, Action::Update),
        (What::Env, create),
        (What::Service, Action::Start),
    ];
    assert_eq!(whats, expected, "{report:?}");
    assert!(report.changes[1].diff.contains("+Please go on"), "{report:?}");
    let text = serde_json::to_string(&report).unwrap();
    assert!(text.contains("(secret, sha256 ") && !text.contains("hunter"), "{text}");
}

#[test]
fn a_broken_configuration_is_shown_with_its_place() {
    let host = Host::new();
    let broken = config("true", "restart_delay_z = 3");
    let manifest = host.manifest(PROMPT, |manifest| manifest.projects[0].files[0].content = broken);
    refused(&host, &manifest, "restart_delay_z");
}

#[test]
fn a_prompt_no_round_would_accept_is_refused() {
    let host = Host::new();
    refused(&host, &host.manifest("too short", |_| {}), "fewer than 500");
}

#[test]
fn what_cannot_be_applied_is_refused_with_a_remedy() {
    let missing = Host::new();
    fs::remove_dir_all(missing.work_dir()).unwrap();
    refused(&missing, &missing.manifest(PROMPT, |_| {}), "does not exist");

    let plain = Host::new();
    fs::remove_dir_all(plain.work_dir().join(".git")).unwrap();
    refused(&plain, &plain.manifest(PROMPT, |_| {}), "is not a git work tree");

    let linked = Host::new();
    fs::rename(linked.work_dir(), linked.home().join("real")).unwrap();
    symlink("real", linked.work_dir()).unwrap();
    refused(&linked, &linked.manifest(PROMPT, |_| {}), "is a link");

    let file = Host::new();
    fs::remove_dir_all(file.work_dir()).unwrap();
    file.write("research", "");
    refused(&file, &file.manifest(PROMPT, |_| {}), "is not a folder");

    let in_the_way = Host::new();
    in_the_way.write("research/prompts", "a file");
    refused(&in_the_way, &in_the_way.manifest(PROMPT, |_| {}), "is no folder");

    let folder = Host::new();
    fs::create_dir_all(folder.work_dir().join("prompts/main.md")).unwrap();
    refused(&folder, &folder.manifest(PROMPT, |_| {}), "it is a folder");

    let host = Host::new();
    let other = AgentRelease { machine: "riscv64".into(), version: "1".into(), sha256: "0".repeat(64) };
    refused(&host, &host.manifest(PROMPT, |manifest| manifest.agents = vec![other]), "riscv64");
    let escaping = File { path: "../x".into(), content: String::new(), secret: false };
    refused(&host, &host.manifest(PROMPT, |manifest| manifest.projects[0].files.push(escaping)), "leaves");
}

#[test]
fn what_is_no_manifest_is_a_usage_error() {
    let host = Host::new();
    let output = host.command(super::host::program()).arg("apply").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no manifest"), "{output:?}");
}
