//! Where real CLIs run: as an ordinary user, in a network namespace that has loopback and nothing else.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::unistd::{Gid, Uid, User, chown, getegid, geteuid};

use crate::packages::{self, Needed};
use crate::run::{find_program, run};
use crate::skip::Unavailable;

const NEEDED: [Needed; 3] = [
    Needed { program: "unshare", package: "util-linux" },
    Needed { program: "setpriv", package: "util-linux" },
    Needed { program: "ip", package: "iproute2" },
];

/// Brings loopback up and goes on as an ordinary user, without any way back.
const ROOT: &str = "ip link set lo up && exec setpriv --reuid=\"$1\" --regid=\"$2\" --clear-groups --no-new-privs -- \"${@:3}\"";
const USER: &str =
    "ip link set lo up && exec unshare --user --map-user=\"$1\" --map-group=\"$2\" -- \"${@:3}\"";

/// Who the CLIs run as.
fn user() -> anyhow::Result<(Uid, Gid)> {
    if !geteuid().is_root() {
        return Ok((geteuid(), getegid()));
    }
    let nobody = User::from_name("nobody")?.ok_or_else(|| anyhow::anyhow!("there is no user `nobody`"))?;
    Ok((nobody.uid, nobody.gid))
}

/// Gives a folder to the user that the CLIs run as.
///
/// # Errors
/// Where that is not possible.
pub fn hand_over(folder: &Path) -> anyhow::Result<()> {
    let (uid, gid) = user()?;
    if uid != geteuid() {
        chown(folder, Some(uid), Some(gid))?;
    }
    Ok(())
}

/// A command that runs a program inside, with an empty environment.
///
/// # Errors
/// [`Unavailable::Missing`] where no namespace can be had.
pub fn command(program: &Path, arguments: &[OsString]) -> Result<Command, Unavailable> {
    packages::ensure(&NEEDED)?;
    let root = geteuid().is_root();
    let (uid, gid) = user()?;
    let inside = |words: &[OsString]| {
        let mut command = Command::new("unshare");
        command.arg("--net").args(if root { &[][..] } else { &["--user", "--map-root-user"] });
        command.args(["--", "bash", "-c", if root { ROOT } else { USER }, "inside"]);
        command.args([uid.to_string(), gid.to_string()]).args(words);
        let node = find_program("node").and_then(|node| Some(node.parent()?.to_owned()));
        let folders = node.into_iter().chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(Into::into));
        command.env_clear().env("PATH", std::env::join_paths(folders).unwrap_or_default());
        command
    };
    let tried = run(&mut inside(&["true".into()]), Duration::from_secs(20))?;
    if !tried.success() {
        return Err(Unavailable::missing(format!("no network namespace: {}", tried.stderr.trim())));
    }
    let words: Vec<OsString> =
        [program.as_os_str().to_owned()].into_iter().chain(arguments.iter().cloned()).collect();
    Ok(inside(&words))
}

/// Makes sure that this process is where nothing but loopback can be reached, and nobody privileged.
///
/// # Errors
/// With what is wrong.
pub fn ensure_inside() -> anyhow::Result<()> {
    let devices = fs::read_to_string("/proc/net/dev")?;
    let names: Vec<&str> =
        devices.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    anyhow::ensure!(names == ["lo"], "there are other network devices than loopback: {names:?}");
    // An address kept for documentation: where it cannot even be tried, nothing can.
    let outside = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 443));
    let tried = TcpStream::connect_timeout(&outside, Duration::from_secs(2));
    let refused = tried.err().and_then(|error| error.raw_os_error());
    anyhow::ensure!(refused == Some(nix::libc::ENETUNREACH), "{outside} is not unreachable: {refused:?}");
    anyhow::ensure!(!geteuid().is_root(), "real CLIs are not run as root");
    Ok(())
}
