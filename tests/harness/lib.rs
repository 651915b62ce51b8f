//! The harness of the end-to-end tests: real OpenSSH servers on loopback, real hosts with systemd, and
//! scripted agents. Nothing here stands in for a part of ours.

pub mod browser;
pub mod dashboard;
pub mod fake_agent;
pub mod fleet;
pub mod interop;
pub mod lab;
pub mod mock_provider;
pub mod packages;
pub mod process;
pub mod real_agents;
pub mod run;
pub mod skip;
pub mod sshd;
pub mod tmux;
pub mod wait;

mod skipped;
