use agent_runner_tests::fleet::Controller;
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::sshd::{Sshd, SshdOptions};

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
