use std::process::{Command, Output};

use agent_runner::service::unit::{Owner, Spec};

use super::host::{Host, PROMPT, config, program};
use crate::skipped::skip;

#[test]
fn systemd_accepts_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skip("systemd-analyze is not installed");
    }
    let dir = tempfile::tempdir().unwrap();
    let work_dir = dir.path().join("100% a \"b\" $c");
    std::fs::create_dir(&work_dir).unwrap();
    for owner in [None, Some(Owner { user: "root".into(), group: "root".into() })] {
        let manager = if owner.is_some() { "--system" } else { "--user" };
        let spec = Spec {
            project: "research".into(),
            program: program().to_owned(),
            work_dir: work_dir.clone(),
            config: work_dir.join("agent-runner.toml"),
            env_file: work_dir.join("a.env"),
            path: Some("/opt/100% a \"b\"/bin:/usr/bin".into()),
            stop_timeout_s: 2020,
            owner,
        };
        let serve = dir.path().join("agent-runner@research.service");
        let monitor = dir.path().join("agent-runner-monitor@research.service");
        std::io::Write::write_all(
            &mut std::fs::File::create(&serve).unwrap(),
            spec.serve().unwrap().as_bytes(),
        )
        .unwrap();
        std::io::Write::write_all(
            &mut std::fs::File::create(&monitor).unwrap(),
            spec.monitor().unwrap().as_bytes(),
        )
        .unwrap();
        let output = Command::new("systemd-analyze")
            .args(["verify", manager, "--recursive-errors=no", "--man=no"])
            .args([&serve, &monitor])
            .env("XDG_RUNTIME_DIR", dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("agent-runner"), "{manager}: {said}");
    }
}

#[test]
fn install_without_a_manager_writes_nothing_and_names_the_way_out() {
    let host = Host::new();
    host.write("research/agent-runner.toml", &config("true", ""));
    host.write("research/prompts/main.md", PROMPT);
    let before = host.snapshot();
    let output = without_a_bus(&host, &["install", "--monitor"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("enable-linger"), "{output:?}");
    assert_eq!(host.snapshot(), before);
}

#[test]
fn a_unit_whose_manager_does_not_answer_is_told_with_the_way_out() {
    let host = Host::new();
    host.write("research/agent-runner.toml", &config("true", ""));
    host.write("research/prompts/main.md", PROMPT);
    host.write(".config/systemd/user/agent-runner@research.service", "[Service]\nExecStart=/bin/true\n");
    for (verb, code) in [("status", 0), ("stop", 0), ("start", 1), ("restart", 1)] {
        let output = without_a_bus(&host, &[verb]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{verb}: {said}");
        let hint = format!("XDG_RUNTIME_DIR must be /run/user/{}", nix::unistd::getuid());
        assert!(said.contains("hint: ") && said.contains("enable-linger") && said.contains(&hint), "{said}");
        assert_eq!(said.contains("systemd of this account does not answer"), code == 0, "{verb}: {said}");
        assert!(!said.contains("stopped research"), "{said}");
    }
    // Without a unit there is nobody to ask.
    std::fs::remove_file(host.home().join(".config/systemd/user/agent-runner@research.service")).unwrap();
    for verb in ["status", "stop"] {
        let said = without_a_bus(&host, &[verb]).stderr;
        assert!(!String::from_utf8_lossy(&said).contains("hint"), "{verb}");
    }
}

/// Runs a verb on the project with a runtime folder that has no bus: whatever this machine runs, this account's manager is
/// not reached.
fn without_a_bus(host: &Host, args: &[&str]) -> Output {
    let mut command = host.command(program());
    command.env("XDG_RUNTIME_DIR", host.home()).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
    let toml = host.work_dir().join("agent-runner.toml");
    command.args(args).arg("--config").arg(toml).output().unwrap()
}

#[test]
fn another_name_than_the_projects_own_is_refused() {
    let host = Host::new();
    host.write("research/other.toml", &config("true", ""));
    let mut command = host.command(program());
    let output =
        command.args(["status", "--config"]).arg(host.work_dir().join("other.toml")).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{output:?}");
}
