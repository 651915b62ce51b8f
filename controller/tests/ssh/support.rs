//! A real sshd on a free loopback port, with keys of its own and the running user's account.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use agent_runner_fleet::ssh::{Client, ClientOptions, IdentityAgent, IdentityFile, Session, Settings};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::skipped::skip;

/// Generous: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An sshd of one test, killed when dropped.
pub(crate) struct Sshd {
    pub(crate) port: u16,
    pub(crate) dir: TempDir,
    child: Child,
}

/// What a test wants different.
#[derive(Default)]
pub(crate) struct Options<'a> {
    pub(crate) config: &'a str,
    pub(crate) host_key_types: &'a [&'a str],
}

/// Starts a server, or says loudly that there is none and returns nothing.
pub(crate) fn sshd(options: &Options<'_>) -> Option<Sshd> {
    let program = Path::new("/usr/sbin/sshd");
    if !program.exists() {
        skip(&format!("{} is not installed", program.display()));
        return None;
    }
    if nix::unistd::getuid().is_root() {
        // Debian's sshd wants its empty chroot even where it is not used.
        let _ = fs::create_dir_all("/run/sshd");
    }
    let dir = TempDir::new().unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = |name: &str| dir.path().join(name);
    let types = if options.host_key_types.is_empty() { &["ed25519"][..] } else { options.host_key_types };
    keygen(&path("user"), "ed25519", "");
    fs::copy(path("user.pub"), path("authorized_keys")).unwrap();
    let mut config = String::new();
    for kind in types {
        let key = path(&format!("host_{kind}"));
        keygen(&key, kind, "");
        writeln!(config, "HostKey {}", key.display()).unwrap();
    }
    writeln!(config, "AuthorizedKeysFile {}", path("authorized_keys").display()).unwrap();
    writeln!(
        config,
        "PidFile none\nUsePAM no\nStrictModes no\nUseDNS no\nLogLevel VERBOSE\nListenAddress 127.0.0.1"
    )
    .unwrap();
    if !options.config.contains("PasswordAuthentication") {
        config.push_str("PasswordAuthentication no\nKbdInteractiveAuthentication no\n");
    }
    // Marks what sessions start, so that none of it outlives the server.
    writeln!(config, "SetEnv {SESSION_MARK}={}", mark(dir.path())).unwrap();
    // sshd takes the first value of a keyword.
    let config = format!("{}\n{config}", options.config);
    // Another process may take a port between our choice and sshd's: then choose again.
    for _ in 0..5 {
        let port = free_port();
        fs::write(path("sshd_config"), format!("Port {port}\n{config}")).unwrap();
        let mut child = Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(path("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(path("sshd.log")).unwrap())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        let log = || fs::read_to_string(path("sshd.log")).unwrap();
        while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            if log().contains(&format!("listening on 127.0.0.1 port {port}")) {
                return Some(Sshd { port, dir, child });
            }
            pause();
        }
        let _ = child.kill();
        let _ = child.wait();
        assert!(log().contains("Address already in use"), "sshd did not start: {}", log());
    }
    panic!("no free port");
}

impl Sshd {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Settings that should just work: the user's key, the host's key recorded.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = self.stranger();
        let key = fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().path()).find(|p| {
            let name = p.file_name().unwrap().to_str().unwrap().to_owned();
            name.starts_with("host_") && name.ends_with(".pub") && !name.contains("cert")
        });
        self.record(&fs::read_to_string(key.unwrap()).unwrap());
        settings.name = "pi".to_owned();
        settings
    }

    /// The same, with nothing recorded about the host.
    pub(crate) fn stranger(&self) -> Settings {
        let mut settings = Settings::new("127.0.0.1", whoami());
        settings.name = "pi".to_owned();
        settings.port = self.port;
        settings.identities = vec![IdentityFile::configured(self.path("user"))];
        settings.identity_agent = IdentityAgent::None;
        settings.user_known_hosts = vec![self.path("known_hosts")];
        settings.connect_timeout = PATIENCE;
        settings
    }

    /// Records `key` (`type base64`) for this server.
    pub(crate) fn record(&self, key: &str) {
        self.append_known(&format!("[127.0.0.1]:{} {}", self.port, key.trim()));
    }

    pub(crate) fn append_known(&self, line: &str) {
        let file = fs::OpenOptions::new().append(true).create(true).open(self.path("known_hosts"));
        writeln!(file.unwrap(), "{line}").unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("sshd.log")).unwrap()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in sessions(self.dir.path()) {
            // It may have ended by itself meanwhile.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// The variable that every process of a server's sessions carries.
const SESSION_MARK: &str = "AGENT_RUNNER_TEST_SESSION";

fn mark(dir: &Path) -> String {
    dir.file_name().unwrap().to_str().unwrap().to_owned()
}

/// The processes that sessions of the server in `dir` have started and that still run.
pub(crate) fn sessions(dir: &Path) -> Vec<Pid> {
    let entry = format!("{SESSION_MARK}={}", mark(dir));
    let holds = |pid: &i32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes())
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(holds).map(Pid::from_raw).collect()
}

/// An ssh-agent of one test, killed when dropped.
pub(crate) struct Agent {
    pub(crate) socket: PathBuf,
    _dir: TempDir,
    child: Child,
}

impl Agent {
    pub(crate) fn start(keys: &[&Path]) -> Self {
        let dir = TempDir::new().unwrap();
        let socket = dir.path().join("agent");
        let child =
            Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        // The socket is there before anybody listens on it.
        while UnixStream::connect(&socket).is_err() && Instant::now() < deadline {
            pause();
        }
        for key in keys {
            let added =
                Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).status().unwrap();
            assert!(added.success());
        }
        Self { socket, _dir: dir, child }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let _ = fs::remove_file(path);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-C", "test", "-N", passphrase, "-f"])
        .arg(path)
        .status();
    assert!(made.unwrap().success());
}

pub(crate) fn client() -> Client {
    Client::new(ClientOptions::default())
}

pub(crate) async fn connect(settings: &Settings) -> Session {
    client().connect(settings).await.unwrap_or_else(|e| panic!("{e} / {:?}", e.hint()))
}

pub(crate) fn whoami() -> String {
    nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name
}

/// A port nobody listens on now. The kernel hands them out in turn, so it stays free for a while.
pub(crate) fn free_port() -> u16 {
    static LAST: Mutex<u16> = Mutex::new(0);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if port != *last {
            *last = port;
            return port;
        }
    }
}

/// Waits until `done`, or fails after a long time.
pub(crate) async fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits a moment before looking again.
fn pause() {
    let (reader, _writer) = std::os::unix::net::UnixStream::pair().unwrap();
    reader.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let _ = (&reader).read(&mut [0]);
}

/// Reads what a server says first, to see that it speaks.
pub(crate) fn greeting(port: u16) -> String {
    let mut bytes = [0; 8];
    TcpStream::connect(("127.0.0.1", port)).unwrap().read_exact(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
