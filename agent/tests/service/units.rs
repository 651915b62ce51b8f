use std::process::Command;

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
    let mut command = host.command(program());
    // A runtime folder without a bus: whatever this machine runs, this account's manager is not reached.
    command.env("XDG_RUNTIME_DIR", host.home()).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
    let toml = host.work_dir().join("agent-runner.toml");
    let output = command.args(["install", "--monitor", "--config"]).arg(toml).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("enable-linger"), "{output:?}");
    assert_eq!(host.snapshot(), before);
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
