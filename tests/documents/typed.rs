//! Blocks that need nothing but this machine, run as they are written.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use agent_runner_tests::run::run;
use agent_runner_tests::wait;

use super::marks::marked;

const PROGRAM: &str = env!("CARGO_BIN_EXE_agent-runner-under-test");
/// A round of Claude Code whose login was refused.
const LOG: &str = include_str!("../fixtures/agents/claude-2.1.330/refused.log");

#[test]
fn a_preset_of_ones_own_is_tried_as_the_page_says() {
    let home = tempfile::tempdir().unwrap();
    let logs = home.path().join(".agent-runner/demo/logs/rounds");
    let bin = home.path().join("bin");
    fs::create_dir_all(&logs).unwrap();
    fs::create_dir(&bin).unwrap();
    symlink(PROGRAM, bin.join("agent-runner")).unwrap();
    fs::write(logs.join("R12-20260301T050607.log"), LOG).unwrap();
    let typed = |line: &str| {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", line]).current_dir(home.path()).env_clear().env("HOME", home.path());
        let path = std::env::var_os("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{}", bin.display(), path.to_string_lossy()));
        run(&mut shell, wait::DEADLINE).unwrap().checked().unwrap()
    };
    typed("agent-runner presets show claude >my-agent.toml");
    for (at, text) in marked("a_preset_of_ones_own_is_tried_as_the_page_says") {
        let said = typed(&text);
        assert!(said.contains("agent_auth_error_detected"), "{at}: {said}");
    }
}
