//! Ends everything a server started: the server, its connections, and what sessions left running.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use super::config::SESSION_MARK;
use crate::process::{self, Process};

const GRACE: Duration = Duration::from_secs(3);

/// Kills the server when this process dies without a chance to do so: it reads a pipe whose other end is
/// held here, and only here, until the end.
const GUARD: &str = r#"
cat >/dev/null
kill -9 "$1" 2>/dev/null
for p in /proc/[0-9]*; do
    if tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -qx "$2"; then kill -9 "${p#/proc/}" 2>/dev/null; fi
done
rm -rf "$3"
"#;

/// Starts the guard of the server `pid`, whose files are in `dir`.
pub(super) fn guard(pid: u32, mark: &str, dir: &std::path::Path) -> anyhow::Result<Child> {
    use std::os::unix::process::CommandExt as _;
    Command::new("/bin/sh")
        .args(["-c", GUARD, "guard", &pid.to_string(), &format!("{SESSION_MARK}={mark}")])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("cannot start the guard of a server")
}

/// Ends the server, its connections and everything its sessions left running.
pub(super) fn end_server(server: &mut Child, mark: &str) {
    let mut processes: Vec<Process> = Vec::new();
    if let Some(listener) = Process::find(server.id()) {
        // A stopped server takes no SIGTERM.
        listener.signal(nix::sys::signal::Signal::SIGCONT);
        processes.push(listener);
        processes.extend(listener.descendants());
    }
    processes.extend(process::with_environment(&format!("{SESSION_MARK}={mark}")));
    if !process::end(&processes, GRACE) {
        tell(&format!("processes of a test's server outlived SIGKILL: {processes:?}"));
    }
    // What was started while the others ended.
    let late = process::with_environment(&format!("{SESSION_MARK}={mark}"));
    late.iter().for_each(|process| process.signal(nix::sys::signal::Signal::SIGKILL));
    let _ = server.kill();
    let _ = server.wait();
}

fn tell(message: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{message}");
}
