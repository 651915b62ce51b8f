//! Hosts of another machine: their programs run here under an emulator, below a systemd of this machine.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use nix::fcntl::Flock;

use super::host::Host;
use crate::packages::{self, Needed, lock};
use crate::run::checked;
use crate::skip::Unavailable;

const NEEDED: [Needed; 1] = [Needed { program: "qemu-aarch64-static", package: "qemu-user-static" }];
const FOLDER: &str = "/proc/sys/fs/binfmt_misc";
/// What Debian's package would have systemd register.
const RULE: &str = "/usr/lib/binfmt.d/qemu-aarch64.conf";
const NAME: &str = "agent-runner-lab-aarch64";
/// Two runs of the one test that needs it.
const LOCK_DEADLINE: Duration = Duration::from_secs(300);

/// Answers for the machine when a shell finds it first on PATH, before the real one.
const UNAME: &str = "#!/bin/sh\nif [ \"$*\" = -m ]; then echo aarch64; else exec /usr/bin/uname \"$@\"; fi\n";

/// While it lives, the kernel runs programs for aarch64 under an emulator, in hosts of the lab too.
///
/// The kernel has one table of such rules for the whole machine; what is registered here goes when this is dropped.
#[derive(Debug)]
pub struct Emulator {
    rule: Option<PathBuf>,
    is_mounted_here: bool,
    _lock: Flock<File>,
}

impl Emulator {
    /// Has programs for aarch64 run here.
    ///
    /// # Errors
    /// [`Unavailable::Missing`] where the kernel or the machine has no way to.
    pub fn aarch64() -> Result<Self, Unavailable> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Unavailable::missing("registering an emulator needs root"));
        }
        packages::ensure(&NEEDED)?;
        let lock = lock(Path::new("/run/lock/agent-runner-lab-emulator"), LOCK_DEADLINE)?;
        let folder = Path::new(FOLDER);
        let is_mounted_here = !folder.join("register").exists();
        if is_mounted_here {
            let mounted =
                checked("mount", &["-t", "binfmt_misc", "binfmt_misc", FOLDER], Duration::from_secs(30));
            mounted.map_err(|error| Unavailable::missing(format!("no binfmt_misc: {error:#}")))?;
        }
        // A rule of the machine's own is as good, if it keeps the emulator open for hosts that do not have its file.
        if is_kept_open(&fs::read_to_string(folder.join("qemu-aarch64")).unwrap_or_default()) {
            return Ok(Self { rule: None, is_mounted_here, _lock: lock });
        }
        let rule = folder.join(NAME);
        // Whoever left it was killed: the lock is ours.
        let emulator = Self { rule: Some(rule.clone()), is_mounted_here, _lock: lock };
        if !rule.exists() {
            let text = fs::read_to_string(RULE).context(RULE)?;
            let line = own_rule(&text).with_context(|| format!("{RULE} holds no rule for aarch64"))?;
            let register = folder.join("register");
            let mut file = File::options().write(true).open(&register).context("binfmt_misc")?;
            file.write_all(line.as_bytes()).with_context(|| format!("cannot register {line}"))?;
        }
        Ok(emulator)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let removed = self.rule.as_ref().map_or(Ok(()), |rule| {
            let file = File::options().write(true).open(rule);
            file.and_then(|mut file| file.write_all(b"-1")).with_context(|| rule.display().to_string())
        });
        let unmount = || checked("umount", &[FOLDER], Duration::from_secs(30)).map(drop);
        let left = removed.and_then(|()| if self.is_mounted_here { unmount() } else { Ok(()) });
        if let Err(error) = left {
            let _ = writeln!(std::io::stderr(), "an emulator stays registered: {error:#}");
        }
    }
}

impl Host {
    /// Lets the host answer that it is an aarch64 machine, for whoever asks with `uname -m`.
    ///
    /// # Errors
    /// Where the host does not take it.
    pub fn answer_as_aarch64(&self) -> anyhow::Result<()> {
        self.put("/usr/local/bin/uname", UNAME.as_bytes(), 0o755)?;
        let said = self.ssh("uname -m")?.checked()?;
        anyhow::ensure!(said == "aarch64", "{} says it is {said}", self.name());
        Ok(())
    }
}

/// The rule of Debian's file under our name.
fn own_rule(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(":qemu-aarch64:"))?;
    Some(line.replacen("qemu-aarch64", NAME, 1)).filter(|line| line.ends_with('F'))
}

/// Whether a registered rule works in hosts too.
fn is_kept_open(rule: &str) -> bool {
    rule.lines().any(|line| line == "enabled")
        && rule.lines().any(|line| line.strip_prefix("flags:").is_some_and(|flags| flags.contains('F')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_rule_is_registered_under_our_name_if_it_keeps_the_emulator_open() {
        let file = "# Debian\n:qemu-aarch64:M::\\x7fELF:\\xff:/usr/libexec/qemu:OPF\n";
        let own = ":agent-runner-lab-aarch64:M::\\x7fELF:\\xff:/usr/libexec/qemu:OPF";
        assert_eq!(own_rule(file).as_deref(), Some(own));
        assert_eq!(own_rule(&file.replace("OPF", "OP")), None);
        assert_eq!(own_rule(""), None);
    }

    #[test]
    fn a_rule_of_the_machine_counts_only_if_hosts_can_use_it() {
        assert!(is_kept_open("enabled\ninterpreter /usr/bin/qemu\nflags: POCF\noffset 0\n"));
        assert!(!is_kept_open("enabled\ninterpreter /usr/bin/qemu\nflags: PO\n"));
        assert!(!is_kept_open("disabled\ninterpreter /usr/bin/qemu\nflags: PF\n"));
        assert!(!is_kept_open(""));
    }
}
