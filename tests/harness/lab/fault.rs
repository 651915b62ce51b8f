//! What happens to hosts: cables, plugs, reboots, keys, full disks.

use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;

use super::debian::UID;
use super::host::{BOOT_DEADLINE, Host};
use super::network;
use crate::process;
use crate::wait;

impl Host {
    /// Whether it is switched on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.leader().is_some()
    }

    /// Cuts the cable: packets are lost, connections stay as they are until somebody misses an answer.
    ///
    /// # Errors
    /// Where the host has no cable, because it is switched off.
    pub fn cut_cable(&self) -> anyhow::Result<()> {
        network::set_cable(self.name(), "down")
    }

    /// Undoes [`Host::cut_cable`].
    ///
    /// # Errors
    /// As [`Host::cut_cable`].
    pub fn plug_cable(&self) -> anyhow::Result<()> {
        network::set_cable(self.name(), "up")
    }

    /// Pulls the plug: every process is killed at once, and nobody is told over the network.
    ///
    /// # Errors
    /// Where the host was off already, or something survives.
    pub fn pull_plug(&self) -> anyhow::Result<()> {
        let wrapper = self.wrapper().with_context(|| format!("{} is off already", self.name()))?;
        network::disconnect(self.name())?;
        let processes = wrapper.descendants();
        if let Some(leader) = self.leader() {
            leader.signal(Signal::SIGKILL);
        }
        // nspawn sees it and ends, and its wrapper with it.
        if !wait::until(Duration::from_secs(5), || self.wrapper().is_none()) {
            processes.iter().chain([&wrapper]).for_each(|process| process.signal(Signal::SIGKILL));
        }
        let gone = wait::until(Duration::from_secs(10), || self.wrapper().is_none());
        anyhow::ensure!(gone && process::end(&processes, Duration::ZERO), "{} survives", self.name());
        Ok(())
    }

    /// Switches it on, on the disk it had, and waits until it is up.
    ///
    /// # Errors
    /// Where it is on already, or does not come up.
    pub fn boot(&self) -> anyhow::Result<()> {
        self.switch_on()?;
        self.wait_up()
    }

    /// Reboots it in good order and waits until it is up again.
    ///
    /// # Errors
    /// Where it does not come back in time.
    pub fn reboot(&self) -> anyhow::Result<()> {
        let before = self.leader().with_context(|| format!("{} is switched off", self.name()))?;
        self.root("systemctl --no-block reboot")?.checked()?;
        let other = || self.leader().filter(|leader| *leader != before);
        wait::value(BOOT_DEADLINE, other).with_context(|| format!("{} does not reboot", self.name()))?;
        self.wait_up()
    }

    /// Stops the SSH server: new connections are refused, sessions go on.
    ///
    /// # Errors
    /// Where systemd refuses.
    pub fn stop_sshd(&self) -> anyhow::Result<()> {
        self.root("systemctl stop ssh.service")?.checked().map(|_| ())
    }

    /// Undoes [`Host::stop_sshd`].
    ///
    /// # Errors
    /// Where the server does not start.
    pub fn start_sshd(&self) -> anyhow::Result<()> {
        self.root("systemctl start ssh.service")?.checked().map(|_| ())
    }

    /// Gives it another host key, as a reinstallation or an impostor does, and returns the public half as
    /// `known_hosts` holds it. The lab's own known_hosts keeps the old one.
    ///
    /// # Errors
    /// Where the server does not start with it.
    pub fn change_host_key(&self) -> anyhow::Result<String> {
        let key = self.disk.new_host_key()?;
        self.root("systemctl restart ssh.service")?.checked()?;
        Ok(key)
    }

    /// Mounts a disk of `mib` MiB at `path`, owned by the user; it is empty again after a reboot.
    ///
    /// # Errors
    /// Where it cannot be mounted.
    pub fn mount_small_disk(&self, path: &str, mib: u32) -> anyhow::Result<()> {
        let options = format!("size={mib}m,mode=0755,uid={UID},gid={UID}");
        self.root(&format!("mkdir -p '{path}' && mount -t tmpfs -o {options} tmpfs '{path}'"))?
            .checked()
            .map(|_| ())
    }

    /// Fills a disk of [`Host::mount_small_disk`] to the last byte, with the file `.fill` on it.
    ///
    /// # Errors
    /// Where `path` is no such disk.
    pub fn fill_disk(&self, path: &str) -> anyhow::Result<()> {
        let fill = format!(
            "test \"$(findmnt -no FSTYPE --mountpoint '{path}')\" = tmpfs || exit 3\n\
             dd if=/dev/zero of='{path}/.fill' bs=64k 2>/dev/null\n\
             test \"$(df --output=avail '{path}' | tail -1)\" -eq 0"
        );
        self.root(&fill)?.checked().map(|_| ())
    }

    /// Starts the container without waiting for it.
    pub(super) fn switch_on(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.wrapper().is_none(), "{} is on already", self.name());
        if !std::path::Path::new("/run/netns").join(self.name()).exists() {
            network::connect(&self.bridge, self.name(), self.address)?;
        }
        let child = self.machine.start()?;
        *self.wrapper.lock().map_err(|_| anyhow::anyhow!("a boot of {} panicked", self.name()))? =
            Some(child);
        Ok(())
    }
}
