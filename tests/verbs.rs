//! The controller's verbs as an operator types them, against real OpenSSH servers on this machine.
#![expect(clippy::unwrap_used, reason = "what a test sets up must work, or the test fails")]

/// `exec` in all its forms.
#[path = "verbs/exec.rs"]
mod exec;
/// `monitor`, and the verbs that read what it writes.
#[path = "verbs/fleet_view.rs"]
mod fleet_view;
/// `init` from what other tools know.
#[path = "verbs/import.rs"]
mod import;
/// `logs` of many hosts as one.
#[path = "verbs/logs.rs"]
mod logs;
/// A fleet of loopback servers and the controller that knows them.
#[path = "verbs/loopback.rs"]
mod loopback;
/// `ssh-check`: settings, their sources, and what became of them.
#[path = "verbs/ssh_check.rs"]
mod ssh_check;
/// A terminal to press keys on.
#[path = "verbs/tmux.rs"]
mod tmux;
/// `watch` on a terminal.
#[path = "verbs/watch.rs"]
mod watch;
