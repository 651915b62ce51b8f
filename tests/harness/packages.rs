//! Installs what the harness needs, where that harms nobody: on Debian, as root, on a machine that has no
//! running systemd (a container, an image for tests). Elsewhere only when asked to.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};

use crate::run::{find_program, run};
use crate::skip::Unavailable;
use crate::wait;

/// Set to 1: packages may be installed even where a running systemd would start their services.
pub const MAY_INSTALL: &str = "AGENT_RUNNER_TESTS_INSTALL";

const INSTALL_DEADLINE: Duration = Duration::from_secs(600);

/// A program the harness needs, and the Debian package it is in.
#[derive(Debug, Clone, Copy)]
pub struct Needed {
    /// The program, as looked up on PATH.
    pub program: &'static str,
    /// Its Debian package.
    pub package: &'static str,
}

/// Makes sure that every program is there, installing what is missing once for all parallel tests.
///
/// # Errors
/// [`Unavailable::Missing`] where something is missing and may not be installed here.
pub fn ensure(needed: &[Needed]) -> Result<(), Unavailable> {
    if missing(needed).is_empty() {
        return Ok(());
    }
    may_install(needed)?;
    let _lock = lock(Path::new("/run/lock/agent-runner-tests-packages"), INSTALL_DEADLINE)?;
    let packages = missing(needed);
    if packages.is_empty() {
        return Ok(());
    }
    let install = || {
        apt(["install", "--yes", "--no-install-recommends"].iter().copied().chain(packages.iter().copied()))
    };
    let installed = without_starting_services(|| {
        install().or_else(|_| {
            // The lists may be older than the archive.
            apt(["update"])?;
            install()
        })
    })?;
    match installed {
        Err(error) => Err(Unavailable::missing(format!("cannot install {}: {error:#}", packages.join(", ")))),
        Ok(()) if missing(needed).is_empty() => Ok(()),
        Ok(()) => {
            Err(anyhow::anyhow!("still missing after installation: {}", missing(needed).join(", ")).into())
        }
    }
}

/// Takes an exclusive lock on a file, waiting for whoever has it.
///
/// # Errors
/// Where the file cannot be made or the lock is not free in time.
pub fn lock(path: &Path, deadline: Duration) -> anyhow::Result<Flock<File>> {
    let open = || OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let locked = wait::value(deadline, || match open() {
        Err(error) => Some(Err(error.into())),
        Ok(file) => match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Some(Ok(lock)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => None,
            Err((_, errno)) => Some(Err(anyhow::Error::from(errno))),
        },
    });
    locked
        .unwrap_or_else(|| Err(anyhow::anyhow!("still taken after {deadline:?}")))
        .with_context(|| format!("cannot lock {}", path.display()))
}

fn missing(needed: &[Needed]) -> Vec<&'static str> {
    needed
        .iter()
        .filter(|needed| find_program(needed.program).is_none())
        .map(|needed| needed.package)
        .collect()
}

fn may_install(needed: &[Needed]) -> Result<(), Unavailable> {
    let hint = format!("missing here: {}", missing(needed).join(", "));
    if !Path::new("/etc/debian_version").exists() || find_program("apt-get").is_none() {
        return Err(Unavailable::missing(format!(
            "{hint} (they are installed by themselves only on Debian)"
        )));
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(Unavailable::missing(format!("{hint} (root would install them)")));
    }
    let asked = std::env::var_os(MAY_INSTALL).is_some_and(|value| value == OsStr::new("1"));
    if Path::new("/run/systemd/system").exists() && !asked {
        return Err(Unavailable::missing(format!(
            "{hint} (this machine runs systemd and would start their services: install them, or set {MAY_INSTALL}=1)"
        )));
    }
    Ok(())
}

fn apt<'a>(arguments: impl IntoIterator<Item = &'a str>) -> anyhow::Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut command, INSTALL_DEADLINE)?.checked().map(|_| ())
}

/// Debian starts a service when its package is installed, unless this policy file says no.
fn without_starting_services<T>(install: impl FnOnce() -> T) -> anyhow::Result<T> {
    const POLICY: &str = "/usr/sbin/policy-rc.d";
    const TEXT: &str =
        "#!/bin/sh\n# Written while tests of agent-runner install packages; removed right after.\nexit 101\n";
    let left_behind = fs::read_to_string(POLICY).is_ok_and(|text| text == TEXT);
    let made = left_behind || {
        let file = OpenOptions::new().create_new(true).write(true).mode(0o755).open(POLICY);
        match file.and_then(|mut file| std::io::Write::write_all(&mut file, TEXT.as_bytes())) {
            Ok(()) => true,
            // A policy of the machine's own: it decides.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error).context(POLICY),
        }
    };
    let result = install();
    if made {
        fs::remove_file(POLICY).context(POLICY)?;
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_installed() {
        ensure(&[Needed { program: "sh", package: "no-such-package" }]).unwrap();
    }

    #[test]
    fn a_lock_that_stays_taken_is_given_up_at_the_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = lock(&path, wait::DEADLINE).unwrap();
        let error = lock(&path, Duration::from_millis(50)).unwrap_err();
        assert!(format!("{error:#}").contains("still taken"), "{error:#}");
        drop(held);
        lock(&path, wait::DEADLINE).unwrap();
    }
}
