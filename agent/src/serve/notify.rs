//! Talking to the service manager: ready, status, watchdog, reloading. Harmless where there is none.

use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// What the service manager put into our environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// `NOTIFY_SOCKET`
    pub socket: Option<OsString>,
    /// `WATCHDOG_USEC`
    pub watchdog_usec: Option<String>,
    /// `WATCHDOG_PID`
    pub watchdog_pid: Option<String>,
}

/// How often a manager that did not ask hears that we are alive: well within the time our unit gives.
const UNASKED: Duration = Duration::from_secs(120);

/// The line to the service manager.
#[derive(Debug, Default)]
pub struct Notify {
    line: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    told: String,
}

impl Notify {
    /// Opens the line, if there is one; `own_pid` is ours, to tell whether the watchdog is meant for us.
    pub fn open(variables: &Variables, own_pid: u32) -> Notify {
        let Some((socket, address)) = variables.socket.as_deref().and_then(dial) else {
            return Notify::default();
        };
        let watchdog = watchdog(variables, own_pid);
        Notify { line: Some((socket, address)), watchdog, told: String::new() }
    }

    /// Returns how often [`Notify::alive`] is wanted: twice per watchdog time. A manager that reads a changed unit anew
    /// starts to wait for it in the middle of our life, so it is told also when it did not ask.
    pub fn interval(&self) -> Option<Duration> {
        self.line.as_ref().map(|_| self.watchdog.unwrap_or(UNASKED))
    }

    /// Says that the Loop runs.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// Says what the Loop does, when that has changed.
    pub fn status(&mut self, text: &str) {
        if self.line.is_some() && self.told != text {
            text.clone_into(&mut self.told);
            self.send(&format!("STATUS={}", text.replace('\n', " ")));
        }
    }

    /// Says that the Loop is alive.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// Says that another program file takes over under the same pid; [`Notify::ready`] ends it.
    pub fn reloading(&self) {
        // The manager wants to know that this is not an old message.
        if let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) {
            let usec = now.tv_sec() * 1_000_000 + now.tv_nsec() / 1000;
            self.send(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
        }
    }

    /// Says that the Loop ends.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, state: &str) {
        if let Some((socket, address)) = &self.line {
            // Supervision does not depend on being heard.
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }
}

fn dial(name: &OsStr) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes().split_first()? {
        (b'@', name) => SocketAddr::from_abstract_name(name).ok()?,
        (b'/', _) => SocketAddr::from_pathname(name).ok()?,
        (_, _) => return None,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, address))
}

fn watchdog(variables: &Variables, own_pid: u32) -> Option<Duration> {
    let pid = variables.watchdog_pid.as_deref().map(str::parse);
    if pid.is_some_and(|pid| pid != Ok(own_pid)) {
        return None;
    }
    let usec = variables.watchdog_usec.as_deref()?.parse().ok().filter(|&usec: &u64| usec > 0)?;
    Some(Duration::from_micros(usec / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> Vec<String> {
        socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 256];
        std::iter::from_fn(|| {
            socket.recv(&mut buffer).ok().map(|n| String::from_utf8_lossy(&buffer[..n]).into())
        })
        .collect()
    }

    #[test]
    fn a_socket_by_path_hears_ready_and_each_status_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let variables = Variables { socket: Some(path.into()), ..Variables::default() };
        let mut notify = Notify::open(&variables, 7);
        notify.ready();
        notify.status("one");
        notify.status("one");
        notify.status("two\nlines");
        notify.alive();
        notify.reloading();
        notify.stopping();
        let mut lines = heard(&manager);
        let reloading = lines.remove(4);
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        assert_eq!(lines, ["READY=1", "STATUS=one", "STATUS=two lines", "WATCHDOG=1", "STOPPING=1"]);
        assert_eq!(notify.interval(), Some(UNASKED));
    }

    #[test]
    fn an_abstract_socket_hears_as_well() {
        let name = format!("agent-runner-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let variables = Variables { socket: Some(format!("@{name}").into()), ..Variables::default() };
        Notify::open(&variables, 7).ready();
        assert_eq!(heard(&manager), ["READY=1"]);
    }

    #[test]
    fn the_watchdog_counts_only_when_it_is_meant_for_us() {
        let variables = |usec: &str, pid: Option<&str>| Variables {
            socket: None,
            watchdog_usec: Some(usec.into()),
            watchdog_pid: pid.map(str::to_owned),
        };
        let half = Some(Duration::from_secs(15));
        assert_eq!(watchdog(&variables("30000000", None), 7), half);
        assert_eq!(watchdog(&variables("30000000", Some("7")), 7), half);
        assert_eq!(watchdog(&variables("30000000", Some("8")), 7), None);
        assert_eq!(watchdog(&variables("30000000", Some("x")), 7), None);
        assert_eq!(watchdog(&variables("0", None), 7), None);
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        for socket in [None, Some("relative".into()), Some("".into()), Some("/no/such/socket".into())] {
            let mut notify = Notify::open(&Variables { socket, ..Variables::default() }, 7);
            notify.ready();
            notify.status("x");
        }
    }
}
