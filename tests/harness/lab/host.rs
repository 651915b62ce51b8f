//! One host: who it is, and how a test runs something on it.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;

use super::boot::{Machine, leader};
use super::debian::{UID, USER};
use super::overlay::Disk;
use crate::process::Process;
use crate::run::{Output, run};
use crate::wait;

/// Boots in one second here; a loaded machine may take long.
pub(super) const BOOT_DEADLINE: Duration = Duration::from_secs(120);

/// Moves itself into a group of the host's cgroups, then enters the host: nothing run there outlives it.
const ENTER: &str = r#"
for g in $1; do mkdir -p "$g/admin" && echo 0 >"$g/admin/cgroup.procs" || exit 97; done
shift
exec nsenter --mount --uts --ipc --net --pid "$@"
"#;

/// A host of a [`Lab`](super::Lab).
#[derive(Debug)]
pub struct Host {
    pub(super) address: Ipv4Addr,
    pub(super) bridge: String,
    pub(super) machine: Machine,
    pub(super) disk: Disk,
    pub(super) client: Client,
    /// The process that keeps it running; `None` while it is switched off.
    pub(super) wrapper: Mutex<Option<Child>>,
}

/// What a client logs in with.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) key: PathBuf,
    pub(super) known_hosts: PathBuf,
}

impl Host {
    /// Its name: `lab-<run>-<number>`, also its hostname.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.machine.name
    }

    /// Its address, reachable from this machine only.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The user to log in as: it has the lab's key, a home, and a user manager that lingers.
    #[must_use]
    pub fn user(&self) -> &'static str {
        USER
    }

    /// Its root directory, seen from this machine; what the host mounts over it is not there.
    #[must_use]
    pub fn root_dir(&self) -> PathBuf {
        self.disk.root()
    }

    /// Runs a command as [`Host::user`] over the real `ssh`.
    ///
    /// # Errors
    /// Where the client cannot be run or does not end in time; a failed command is not an error.
    pub fn ssh(&self, command: &str) -> anyhow::Result<Output> {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"])
            .args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "ConnectTimeout=10"])
            // The default exchange costs six times the CPU.
            .args(["-o", "KexAlgorithms=curve25519-sha256"])
            .args(["-o", &format!("UserKnownHostsFile={}", self.client.known_hosts.display())])
            .arg("-i")
            .arg(&self.client.key)
            .args(["-l", USER, "--", &self.address.to_string(), command]);
        run(&mut ssh, wait::DEADLINE)
    }

    /// Runs a command as root, without the network: it works with the cable cut and sshd stopped.
    ///
    /// # Errors
    /// Where the host is switched off or the command does not end in time.
    pub fn root(&self, command: &str) -> anyhow::Result<Output> {
        let leader = self.leader().with_context(|| format!("{} is switched off", self.name()))?;
        let mut enter = Command::new("/bin/sh");
        enter
            .args(["-c", ENTER, "lab-enter", &self.machine.cgroup_words()])
            .args(["--target", &leader.pid().to_string(), "--", "/bin/sh", "-c", command])
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8");
        run(&mut enter, wait::DEADLINE)
    }

    /// Runs a command as [`Host::user`] with its user manager, without the network.
    ///
    /// # Errors
    /// As [`Host::root`].
    pub fn user_command(&self, command: &str) -> anyhow::Result<Output> {
        let quoted = command.replace('\'', r"'\''");
        self.root(&format!(
            "cd /home/{USER} && exec setpriv --reuid {UID} --regid {UID} --init-groups \
             env HOME=/home/{USER} USER={USER} XDG_RUNTIME_DIR=/run/user/{UID} /bin/sh -c '{quoted}'"
        ))
    }

    /// Waits until the user's manager runs, as it does after a boot without anybody logging in.
    ///
    /// # Errors
    /// Where it does not in time.
    pub fn wait_user_manager(&self) -> anyhow::Result<()> {
        self.wait_for("systemctl --user is-system-running", |host, command| host.user_command(command))
    }

    /// Puts a file of the user's onto the host's disk; folders that are missing are made. Not for `/tmp` and
    /// `/run`, which are no disk.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn put(&self, path: &str, content: &[u8], mode: u32) -> anyhow::Result<()> {
        let relative = Path::new(path).strip_prefix("/").context("the path on the host is not absolute")?;
        let mut place = self.disk.root();
        for part in relative.parent().into_iter().flat_map(Path::components) {
            place.push(part);
            if !place.exists() {
                fs::create_dir(&place).with_context(|| place.display().to_string())?;
                fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
                chown(&place, Some(UID), Some(UID))?;
            }
        }
        let place = self.disk.root().join(relative);
        fs::write(&place, content).with_context(|| place.display().to_string())?;
        fs::set_permissions(&place, fs::Permissions::from_mode(mode))?;
        Ok(chown(&place, Some(UID), Some(UID))?)
    }

    /// Waits until everything that starts at boot has.
    pub(super) fn wait_up(&self) -> anyhow::Result<()> {
        self.wait_for("systemctl is-system-running", Self::root)?;
        self.wait_user_manager()
    }

    pub(super) fn leader(&self) -> Option<Process> {
        leader(self.wrapper()?)
    }

    pub(super) fn wrapper(&self) -> Option<Process> {
        let mut wrapper = self.wrapper.lock().ok()?;
        let child = wrapper.as_mut()?;
        if child.try_wait().ok()?.is_some() {
            *wrapper = None;
            return None;
        }
        Process::find(child.id())
    }

    fn wait_for(
        &self,
        command: &str,
        ask: impl Fn(&Self, &str) -> anyhow::Result<Output>,
    ) -> anyhow::Result<()> {
        let mut last = String::new();
        let running = || {
            match ask(self, command) {
                Ok(output) => last = output.stdout + &output.stderr,
                Err(error) => last = format!("{error:#}"),
            }
            // Degraded: up, and some unit that does not matter here failed.
            matches!(last.trim(), "running" | "degraded") || self.wrapper().is_none()
        };
        let done = wait::until(BOOT_DEADLINE, running);
        anyhow::ensure!(
            done && self.wrapper().is_some(),
            "`{command}` on {} says {:?}\nconsole:\n{}",
            self.name(),
            last.trim(),
            self.machine.console_tail()
        );
        Ok(())
    }
}
