//! A controller whose one host is a real OpenSSH server on loopback, with one project that can be deployed there.

use agent_runner_tests::fleet::{CONFIG, Controller, PROMPT};
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::sshd::keys::{Key, KeyKind};
use agent_runner_tests::sshd::{Sshd, SshdOptions};

/// The server and the controller's home.
pub(crate) struct Bench {
    pub(crate) sshd: Sshd,
    pub(crate) controller: Controller,
}

impl Bench {
    /// Starts it with these names for host and project; `None` where there is no server to be had.
    pub(crate) fn new(host: &str, project: &str) -> Option<Self> {
        let sshd = or_skip(Sshd::start(SshdOptions::default()))?;
        let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
        let fleet = format!(
            "[fleet]\nname = \"attic\"\n\n{}\n[projects.{project}]\non = \"{host}\"\nwork_dir = \"~/{project}\"\n\
             config = \"agent-runner.toml\"\nprompts = \"prompts\"\n\
             service = {{ scope = \"detached\", monitor = false }}\n",
            sshd.inventory_host(host),
        );
        controller.write("fleet.toml", &fleet).unwrap();
        controller.write("agent-runner.toml", CONFIG).unwrap();
        controller.write("prompts/main.md", PROMPT).unwrap();
        Some(Self { sshd, controller })
    }

    /// Replaces a text of the inventory.
    pub(crate) fn inventory(&self, from: &str, to: &str) {
        self.controller.replace("fleet.toml", from, to).unwrap();
    }

    /// Replaces the key that the inventory names.
    pub(crate) fn with_key(&self, path: &str) {
        self.inventory(&format!("{:?}", self.sshd.client_key()), &format!("{path:?}"));
    }

    /// Replaces it with one that the server does not know.
    pub(crate) fn with_strange_key(&self) {
        let key = Key::generate(self.controller.home().join("stranger"), KeyKind::Ed25519, "").unwrap();
        self.with_key(key.path().to_str().unwrap());
    }
}
