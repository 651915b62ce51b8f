//! The controller's verbs as an operator types them, against real OpenSSH servers on this machine.
#![expect(clippy::unwrap_used, reason = "what a test sets up must work, or the test fails")]

/// The page's server inside `monitor`.
#[path = "verbs/dashboard.rs"]
mod dashboard;
/// How far a rollout goes, and how long.
#[path = "verbs/deploy_pace.rs"]
mod deploy_pace;
/// `exec` in all its forms.
#[path = "verbs/exec.rs"]
mod exec;
/// `monitor`, and the verbs that read what it writes.
#[path = "verbs/fleet_view.rs"]
mod fleet_view;
/// `hosts`: the inventory as it is understood.
#[path = "verbs/hosts.rs"]
mod hosts;
/// A webhook over https.
#[path = "verbs/https.rs"]
mod https;
/// `init` from what other tools know.
#[path = "verbs/import.rs"]
mod import;
/// The one form of `--json`.
#[path = "verbs/json.rs"]
mod json;
/// A host of the inventory as the way to another.
#[path = "verbs/jump.rs"]
mod jump;
/// Each kind of key.
#[path = "verbs/keys.rs"]
mod keys;
/// What OpenSSH's configuration says of the way in.
#[path = "verbs/login.rs"]
mod login;
/// `logs` of many hosts as one.
#[path = "verbs/logs.rs"]
mod logs;
/// A fleet of loopback servers and the controller that knows them.
#[path = "verbs/loopback.rs"]
mod loopback;
/// Each of OpenSSH's own settings that a connection follows.
#[path = "verbs/openssh.rs"]
mod openssh;
/// `ssh-check`: settings, their sources, and what became of them.
#[path = "verbs/ssh_check.rs"]
mod ssh_check;
/// Few channels, and the way back of one account.
#[path = "verbs/two_projects.rs"]
mod two_projects;
/// `watch` on a terminal.
#[path = "verbs/watch.rs"]
mod watch;
