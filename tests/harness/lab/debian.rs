//! The Debian root all hosts share: built once by debootstrap, kept outside the checkout, never written again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::mirror::debian_mirror;
use crate::packages::lock;
use crate::run::{checked, run};
use crate::skip::Unavailable;

const CACHE: &str = "/var/cache/agent-runner-lab";
/// A changed recipe below needs a new number.
const NAME: &str = "root-bookworm-v1";
const SUITE: &str = "bookworm";
const INCLUDE: &str = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,openssh-server,git,\
                       iproute2,procps,sudo,fish,tcsh,libfaketime";
/// Debootstrap takes about 40 s here.
const BUILD_DEADLINE: Duration = Duration::from_secs(1200);

/// What a throw-away host has no use for.
const MASKED: [&str; 7] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "console-getty.service",
    "systemd-networkd-wait-online.service",
];

/// The user on every host.
pub(super) const USER: &str = "ops";
/// Its user and group id.
pub(super) const UID: u32 = 1000;

/// The path of the shared root, built now if this machine has none.
pub(super) fn root() -> Result<PathBuf, Unavailable> {
    let root = Path::new(CACHE).join(NAME);
    if root.is_dir() {
        return Ok(root);
    }
    fs::create_dir_all(CACHE).context(CACHE)?;
    let _lock = lock(&Path::new(CACHE).join("lock"), BUILD_DEADLINE)?;
    if root.is_dir() {
        return Ok(root);
    }
    // Whoever left this was killed: the lock is ours.
    let fresh = root.with_extension("new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).context("an unfinished root")?;
    }
    let mirror = own_mirror()?;
    let arguments = ["--variant=minbase", &format!("--include={INCLUDE}"), SUITE, text(&fresh)?, &mirror];
    checked("debootstrap", &arguments, BUILD_DEADLINE)
        .map_err(|error| Unavailable::missing(format!("no Debian root, and none can be built: {error:#}")))?;
    finish(&fresh)?;
    fs::rename(&fresh, &root).context("cannot put the Debian root into its place")?;
    Ok(root)
}

fn own_mirror() -> Result<String, Unavailable> {
    let folder =
        fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = folder.collect();
    files.sort();
    files.insert(0, "/etc/apt/sources.list".into());
    files
        .iter()
        .find_map(|file| debian_mirror(&fs::read_to_string(file).ok()?))
        .ok_or_else(|| Unavailable::missing("apt's sources name no Debian archive to build hosts from"))
}

/// What is the same on every host.
fn finish(root: &Path) -> anyhow::Result<()> {
    let in_root = |words: &[&str]| -> anyhow::Result<()> {
        let mut chroot = Command::new("chroot");
        chroot.arg(root).args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        run(&mut chroot, Duration::from_secs(120))?.checked().map(|_| ())
    };
    in_root(&["useradd", "--create-home", "--uid", &UID.to_string(), "--shell", "/bin/bash", USER])?;
    for unit in MASKED {
        in_root(&["ln", "-sf", "/dev/null", &format!("/etc/systemd/system/{unit}")])?;
    }
    in_root(&["mkdir", "-p", "/var/lib/systemd/linger"])?;
    in_root(&["touch", &format!("/var/lib/systemd/linger/{USER}")])?;
    // Each host makes its own.
    in_root(&["sh", "-c", "rm -f /etc/ssh/ssh_host_* /var/cache/apt/archives/*.deb /etc/resolv.conf"])?;
    in_root(&["touch", "/etc/resolv.conf"])
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("not UTF-8: {}", path.display()))
}
