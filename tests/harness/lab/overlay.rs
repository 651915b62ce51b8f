//! A host's disk: what makes it different, over the shared root.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::debian::{UID, USER};
use super::options::{HostOptions, Sudo};
use crate::run::checked;
use crate::sshd::keys::{Key, KeyKind};

/// The disk of one host.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
}

/// What goes onto a new disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content<'a> {
    pub(super) hostname: &'a str,
    pub(super) authorized_key: &'a str,
    pub(super) options: &'a HostOptions,
}

impl Disk {
    /// Mounts a new disk at `folder` over the shared root and writes what is this host's own.
    pub(super) fn make(folder: PathBuf, lower: &Path, content: Content<'_>) -> anyhow::Result<Self> {
        let disk = Self { folder };
        for name in ["upper", "work", "root"] {
            fs::create_dir_all(disk.folder.join(name))?;
        }
        fs::set_permissions(disk.folder.join("upper"), fs::Permissions::from_mode(0o755))?;
        let layers = format!(
            "lowerdir={},upperdir={}/upper,workdir={}/work",
            lower.display(),
            disk.folder.display(),
            disk.folder.display()
        );
        let root = disk.root().display().to_string();
        checked("mount", &["-t", "overlay", "overlay", "-o", &layers, &root], Duration::from_secs(30))?;
        disk.write(content)?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Gives the host a new key and returns the public half.
    pub(super) fn new_host_key(&self) -> anyhow::Result<String> {
        Key::generate(self.root().join("etc/ssh/ssh_host_ed25519_key"), KeyKind::Ed25519, "")?.public()
    }

    fn write(&self, content: Content<'_>) -> anyhow::Result<()> {
        let Content { hostname, authorized_key, options } = content;
        self.file("etc/hostname", &format!("{hostname}\n"))?;
        self.file("etc/hosts", &format!("127.0.0.1 localhost\n127.0.1.1 {hostname}\n"))?;
        // Two hosts with one machine id are one host to systemd.
        let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?.replace('-', "");
        self.file("etc/machine-id", &id)?;
        let mut lines = options.sshd_lines.clone();
        lines.extend(["HostKey /etc/ssh/ssh_host_ed25519_key".to_owned(), "UseDNS no".to_owned()]);
        self.file("etc/ssh/sshd_config.d/00-lab.conf", &(lines.join("\n") + "\n"))?;
        for (home, uid) in [("root", 0), (&*format!("home/{USER}"), UID)] {
            let ssh = self.root().join(home).join(".ssh");
            fs::create_dir_all(&ssh)?;
            fs::set_permissions(&ssh, fs::Permissions::from_mode(0o700))?;
            self.file(&format!("{home}/.ssh/authorized_keys"), &format!("{authorized_key}\n"))?;
            chown(&ssh, Some(uid), Some(uid))?;
            chown(ssh.join("authorized_keys"), Some(uid), Some(uid))?;
        }
        match options.sudo {
            Sudo::Refused => {}
            Sudo::Passwordless => {
                self.file("etc/sudoers.d/ops", &format!("{USER} ALL=(ALL) NOPASSWD: ALL\n"))?
            }
            Sudo::ByPassword => self.file("etc/sudoers.d/ops", &format!("{USER} ALL=(ALL) ALL\n"))?,
        }
        let passwd = fs::read_to_string(self.root().join("etc/passwd"))?;
        self.file("etc/passwd", &with_shell(&passwd, &options.login_shell))?;
        let Some(umask) = options.umask else { return Ok(()) };
        // Logins read the one, the user manager the other.
        for path in ["etc/pam.d/common-session", "etc/pam.d/common-session-noninteractive"] {
            let rules = fs::read_to_string(self.root().join(path)).with_context(|| path.to_owned())?;
            self.file(path, &format!("{rules}session optional pam_umask.so umask={umask:03o}\n"))?;
        }
        Ok(())
    }

    fn file(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let place = self.root().join(path);
        // Whatever umask the tests run with.
        fs::write(&place, text)
            .and_then(|()| fs::set_permissions(&place, fs::Permissions::from_mode(0o644)))
            .with_context(|| format!("cannot write {path} of a host"))
    }
}

/// `/etc/passwd` with another shell for the user.
fn with_shell(passwd: &str, shell: &Path) -> String {
    let own = format!("{USER}:x:{UID}:{UID}::/home/{USER}:{}", shell.display());
    let lines =
        passwd.lines().map(|line| if line.starts_with(&format!("{USER}:")) { own.as_str() } else { line });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_users_own_line_of_passwd_changes() {
        let passwd = "root:x:0:0::/root:/bin/bash\nops:x:1000:1000::/home/ops:/bin/sh\n";
        let expected = "root:x:0:0::/root:/bin/bash\nops:x:1000:1000::/home/ops:/bin/tcsh\n";
        assert_eq!(with_shell(passwd, Path::new("/bin/tcsh")), expected);
    }
}
