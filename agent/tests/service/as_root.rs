use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output};

use agent_runner::process::identity::Identity;
use agent_runner::store::holder::{self, Holder};
use agent_runner::store::layout::Layout;
use nix::unistd::{User, geteuid};

use super::host::{Host, PROMPT, config, program};
use crate::skipped::skip;
use crate::wait;

/// The account root acts for; nothing of it runs on a machine.
const ACCOUNT: &str = "nobody";

/// A project of the account, and root that called `sudo` from it; `None` where this test is not root.
fn project() -> Option<(Host, User)> {
    let account = User::from_name(ACCOUNT).unwrap().filter(|_| geteuid().is_root())?;
    let host = Host::new();
    let logs = host.home().join("logs");
    fs::create_dir(&logs).unwrap();
    let text = config("true", "").replace("~/.agent-runner/{project}/logs", logs.to_str().unwrap());
    host.write("research/agent-runner.toml", &text);
    host.write("research/prompts/main.md", PROMPT);
    fs::set_permissions(host.home(), fs::Permissions::from_mode(0o755)).unwrap();
    for path in [host.work_dir(), logs] {
        let done = Command::new("chown").args(["-R", ACCOUNT]).arg(path).status().unwrap();
        assert!(done.success());
    }
    Some((host, account))
}

fn sudo(host: &Host, args: &[&str]) -> Output {
    let config = host.work_dir().join("agent-runner.toml");
    let mut command = host.command(program());
    command.env("SUDO_USER", ACCOUNT).arg("--json").arg("--config").arg(config).args(args).output().unwrap()
}

struct Sleeper(Child);

impl Sleeper {
    fn of(uid: u32) -> Sleeper {
        Sleeper(Command::new("sleep").arg("600").uid(uid).spawn().unwrap())
    }

    /// Names it as the Loop and as the round.
    fn record(&self, logs: &Path) {
        let layout = Layout::new(logs);
        let identity = Identity::of(i32::try_from(self.0.id()).unwrap()).unwrap();
        fs::File::create(logs.join("serve.pid")).unwrap();
        agent_runner::store::atomic::replace_json(&logs.join("serve.pid"), &identity).unwrap();
        holder::write(&layout, &Holder::new(identity, String::new(), "sleep")).unwrap();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn root_signals_no_process_but_the_accounts_whatever_its_files_name() {
    let Some((host, account)) = project() else {
        return skip("only root can act for another account");
    };
    let logs = host.home().join("logs");
    let mut ours = Sleeper::of(0);
    ours.record(&logs);
    for verb in ["stop", "cancel", "kill"] {
        let output = sudo(&host, &[verb]);
        assert_eq!(ours.0.try_wait().unwrap(), None, "{verb}: {output:?}");
    }
    let mut theirs = Sleeper::of(account.uid.as_raw());
    theirs.record(&logs);
    let output = sudo(&host, &["kill"]);
    assert!(output.status.success(), "{output:?}");
    wait::value("the account's own process to end", || theirs.0.try_wait().unwrap());
}

#[test]
fn doctor_as_root_harms_nothing_a_link_of_the_account_leads_to() {
    let Some((host, _)) = project() else {
        return skip("only root can act for another account");
    };
    let (victim, probe) = (host.home().join("victim"), host.home().join("logs/.write_probe"));
    agent_runner::store::atomic::replace(&victim, b"precious").unwrap();
    symlink(&victim, &probe).unwrap();
    let output = sudo(&host, &["doctor"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"precious", "{found}");
    // With the account's rights, and git run as the account, everything is found.
    let failed: Vec<_> =
        found["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
