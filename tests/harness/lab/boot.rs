//! Starts a host's container and finds its first process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

use crate::process::Process;

/// Keeps the container running across reboots: nspawn ends with 133 when the host asks for one.
/// Every host has cgroups of its own, or the systemd of one host would stop the services of another.
const WRAPPER: &str = r#"
groups=$1; shift
for g in $groups; do
    mkdir -p "$g/wrapper" && echo 0 >"$g/wrapper/cgroup.procs" || exit 97
done
while :; do
    for g in $groups; do
        [ -d "$g/payload" ] && find "$g/payload" -depth -type d -exec rmdir {} \; 2>/dev/null
    done
    ( for g in $groups; do echo 0 >"$g/cgroup.procs" || exit 97; done; exec "$@" )
    code=$?
    [ $code -eq 133 ] || exit $code
done
"#;

/// What a container is started from.
#[derive(Debug)]
pub(super) struct Machine {
    /// Machine name, host name and network namespace.
    pub(super) name: String,
    pub(super) root: PathBuf,
    pub(super) cgroups: Vec<PathBuf>,
    /// Folders of this machine that it sees, read-only.
    pub(super) read_only: Vec<PathBuf>,
    /// Where the console goes.
    pub(super) console: PathBuf,
}

impl Machine {
    /// Starts the container; the returned process lives as long as the host is switched on.
    pub(super) fn start(&self) -> anyhow::Result<Child> {
        use std::os::unix::process::CommandExt as _;
        let console = File::options().create(true).append(true).open(&self.console)?;
        Command::new("/bin/sh")
            .args(["-c", WRAPPER, "lab-host", &self.cgroup_words()])
            .args(["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"])
            .args(["--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=pipe"])
            .arg(format!("--directory={}", self.root.display()))
            .arg(format!("--machine={}", self.name))
            .arg(format!("--hostname={}", self.name))
            .arg(format!("--network-namespace-path=/run/netns/{}", self.name))
            .args(self.read_only.iter().map(|folder| format!("--bind-ro={}", folder.display())))
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .process_group(0)
            .current_dir("/")
            .spawn()
            .context("cannot start a host")
    }

    /// The cgroups as one word list for the shell.
    pub(super) fn cgroup_words(&self) -> String {
        self.cgroups.iter().map(|group| group.display().to_string()).collect::<Vec<_>>().join(" ")
    }

    /// The end of what the host said on its console.
    pub(super) fn console_tail(&self) -> String {
        let text = String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n")
    }
}

/// The first process of the container below `wrapper`, once there is one.
pub(super) fn leader(wrapper: Process) -> Option<Process> {
    wrapper
        .descendants()
        .into_iter()
        .find(|process| is_init(Path::new(&format!("/proc/{}/status", process.pid()))))
}

fn is_init(status: &Path) -> bool {
    let text = fs::read_to_string(status).unwrap_or_default();
    let pids = text.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    // Its pid here, and its pid inside; nspawn's own helper has only the first.
    let pids: Vec<&str> = pids.split_whitespace().collect();
    pids.len() > 1 && pids.last() == Some(&"1")
}
