use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use agent_runner_tests::fleet::Controller;
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::sshd::{Sshd, SshdOptions};

/// A project on every host, whose configuration says nothing.
pub(crate) const SHELF: &str =
    "[projects.shelf]\non = \"all\"\nwork_dir = \"~/shelf\"\nconfig = \"c.toml\"\n\n";

/// One server under several names, and a controller that reaches it as each of them.
pub(crate) struct Loopback {
    pub(crate) sshd: Sshd,
    pub(crate) controller: Controller,
}

/// Starts it with hosts `pi1` to `pi<count>`; `None` where there is no server to be had.
pub(crate) fn loopback(count: usize, options: SshdOptions) -> Option<Loopback> {
    let sshd = or_skip(Sshd::start(options))?;
    let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
    controller.write(".ssh/config", &sshd.ssh_config("pi*")).unwrap();
    let fleet = format!("[fleet]\nname = \"loop\"\n[groups.all-of-them]\nhosts = [\"pi[1-{count}]\"]\n");
    controller.write("fleet.toml", &fleet).unwrap();
    Some(Loopback { sshd, controller })
}

impl Loopback {
    /// Adds tables to the inventory; the configuration `c.toml` of a project is there.
    pub(crate) fn add(&self, tables: &str) {
        let inventory = fs::read_to_string(self.controller.home().join("fleet.toml")).unwrap();
        self.controller.write("fleet.toml", &format!("{inventory}{tables}")).unwrap();
        self.controller.write("c.toml", "").unwrap();
    }

    /// Puts a script where the agent is on the hosts.
    pub(crate) fn install(&self, agent: &str) {
        let bin = self.sshd.home().join(".local/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("agent-runner"), agent).unwrap();
        fs::set_permissions(bin.join("agent-runner"), fs::Permissions::from_mode(0o755)).unwrap();
    }
}
