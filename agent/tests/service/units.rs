use std::process::Command;

use agent_runner::service::unit::{Owner, Spec};

use super::host::program;

#[test]
fn systemd_accepts_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("SKIPPED: systemd-analyze is not installed");
        return;
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
