//! Starts the server, finds it a port, and tells a client all it needs to know.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::config::{session_wrapper, sshd_config};
use super::keys::{Key, KeyKind};
use super::options::SshdOptions;
use super::session::{end_server, guard};
use crate::packages::{self, Needed};
use crate::process::Process;
use crate::run::{Output, find_program, run};
use crate::skip::Unavailable;
use crate::wait;

const NEEDED: [Needed; 3] = [
    Needed { program: "sshd", package: "openssh-server" },
    Needed { program: "ssh", package: "openssh-client" },
    Needed { program: "ssh-keygen", package: "openssh-client" },
];

/// Another process may take the free port before the server does.
const PORT_ATTEMPTS: usize = 8;

/// A running server. It ends when dropped, with every process its sessions left.
#[derive(Debug)]
pub struct Sshd {
    options: SshdOptions,
    addr: SocketAddr,
    user: String,
    mark: String,
    client_key: Key,
    running: Option<Running>,
    // Last: the files go when the processes are gone.
    dir: TempDir,
}

#[derive(Debug)]
struct Running {
    server: Child,
    guard: Child,
}

impl Sshd {
    /// Starts a server and returns when it listens.
    ///
    /// # Errors
    /// [`Unavailable::Missing`] where there is no `sshd` and it may not be installed.
    pub fn start(options: SshdOptions) -> Result<Self, Unavailable> {
        packages::ensure(&NEEDED)?;
        let user =
            nix::unistd::User::from_uid(nix::unistd::geteuid()).map_err(anyhow::Error::from)?.ok_or_else(
                || Unavailable::missing("this user is not in /etc/passwd: sshd lets nobody else in"),
            )?;
        may_log_in(&user)?;
        if user.uid.is_root() {
            // sshd demands its empty folder before it gives up root's rights.
            fs::create_dir_all("/run/sshd").context("/run/sshd")?;
        }
        Ok(Self::start_as(options, user.name)?)
    }

    fn start_as(options: SshdOptions, user: String) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("agent-runner-sshd-").tempdir()?;
        let mark = dir.path().file_name().context("a folder without a name")?.to_string_lossy().into_owned();
        for kind in &options.host_keys {
            Key::generate(dir.path().join(format!("host_{}", kind.name())), *kind, "")?;
        }
        let client_key = Key::generate(dir.path().join("client"), KeyKind::Ed25519, "")?;
        let authorized: Vec<String> =
            options.authorized_keys.iter().cloned().chain([client_key.public()?]).collect();
        fs::write(dir.path().join("authorized_keys"), authorized.join("\n") + "\n")?;
        let home = dir.path().join("home");
        fs::create_dir(&home)?;
        let mut session =
            OpenOptions::new().create_new(true).write(true).mode(0o755).open(dir.path().join("session"))?;
        session.write_all(session_wrapper(&options, &home, &mark).as_bytes())?;
        drop(session);
        let addr = SocketAddr::new(options.address, 0);
        let mut sshd = Self { options, addr, user, mark, client_key, running: None, dir };
        for _ in 0..PORT_ATTEMPTS {
            sshd.addr = TcpListener::bind(SocketAddr::new(sshd.options.address, 0))?.local_addr()?;
            if sshd.listen()? {
                sshd.write_known_hosts()?;
                return Ok(sshd);
            }
        }
        anyhow::bail!("no free port for sshd after {PORT_ATTEMPTS} attempts\n{}", sshd.log())
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// The user to log in as: the one that runs the tests.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The private key that may log in.
    #[must_use]
    pub fn client_key(&self) -> &Path {
        self.client_key.path()
    }

    /// The throw-away HOME of every session.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A `known_hosts` file that holds this server's keys.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.dir.path().join("known_hosts")
    }

    /// The server's files: `sshd_config`, `authorized_keys`, `host_ed25519`, and whatever a test puts there.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What the server has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.path().join("log")).unwrap_or_default()).into_owned()
    }

    /// The lines of a `~/.ssh/config` under which a client reaches this server as `alias`.
    #[must_use]
    pub fn ssh_config(&self, alias: &str) -> String {
        format!(
            "Host {alias}\n    HostName {}\n    Port {}\n    User {}\n    IdentityFile {}\n    \
             IdentitiesOnly yes\n    UserKnownHostsFile {}\n",
            self.addr.ip(),
            self.port(),
            self.user,
            self.client_key().display(),
            self.known_hosts().display()
        )
    }

    /// The table of an inventory that makes this server the host `name`.
    #[must_use]
    pub fn inventory_host(&self, name: &str) -> String {
        format!(
            "[hosts.{name}]\naddress = \"{}\"\nport = {}\nuser = \"{}\"\nidentity_file = \"{}\"\n\
             identities_only = true\nknown_hosts = \"{}\"\n",
            self.addr.ip(),
            self.port(),
            self.user,
            self.client_key().display(),
            self.known_hosts().display()
        )
    }

    /// Runs a command on the server with the real `ssh` client.
    ///
    /// # Errors
    /// Where the client cannot be run or does not end in time; a failed command is not an error.
    pub fn ssh(&self, command: &str) -> anyhow::Result<Output> {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"])
            .args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
            .args(["-o", &format!("UserKnownHostsFile={}", self.known_hosts().display())])
            .arg("-i")
            .arg(self.client_key())
            .args([
                "-p",
                &self.port().to_string(),
                "-l",
                &self.user,
                "--",
                &self.addr.ip().to_string(),
                command,
            ]);
        run(&mut ssh, wait::DEADLINE)
    }

    /// Ends the server and its connections: further ones are refused. What sessions started goes too.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            // The guard first: it acts on a pid that will be free in a moment.
            let _ = running.guard.kill();
            let _ = running.guard.wait();
            end_server(&mut running.server, &self.mark);
        }
    }

    /// Starts a stopped server again, on the same port.
    ///
    /// # Errors
    /// Where somebody took the port.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.stop();
        anyhow::ensure!(self.listen()?, "port {} was taken\n{}", self.port(), self.log());
        Ok(())
    }

    /// Gives the server new host keys; [`Sshd::known_hosts`] keeps the old ones.
    ///
    /// # Errors
    /// As [`Sshd::restart`].
    pub fn change_host_keys(&mut self) -> anyhow::Result<()> {
        for kind in &self.options.host_keys {
            Key::generate(self.dir.path().join(format!("host_{}", kind.name())), *kind, "")?;
        }
        self.restart()
    }

    /// A host that hangs: connections are made, and nothing is ever said on them, until [`Sshd::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Ends [`Sshd::freeze`].
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(listener) = self.running.as_ref().and_then(|running| Process::find(running.server.id())) {
            listener.descendants().into_iter().chain([listener]).for_each(|process| process.signal(signal));
        }
    }

    /// `false` when the port was taken.
    fn listen(&mut self) -> anyhow::Result<bool> {
        let config = self.dir.path().join("sshd_config");
        fs::write(&config, sshd_config(&self.options, self.addr, self.dir.path()))?;
        let log = self.dir.path().join("log");
        let earlier = self.log().len();
        let mut server = Command::new(find_program("sshd").context("sshd is gone")?)
            .args(["-D", "-f"])
            .arg(&config)
            .arg("-E")
            .arg(&log)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(OpenOptions::new().create(true).append(true).open(&log)?)
            .spawn()
            .context("cannot start sshd")?;
        let listening = format!("Server listening on {} port {}", self.addr.ip(), self.port());
        let said = |text: &str| self.log().get(earlier..).is_some_and(|log| log.contains(text));
        let outcome = wait::value(Duration::from_secs(30), || {
            said(&listening).then_some(true).or_else(|| server.try_wait().ok().flatten().map(|_| false))
        });
        if outcome == Some(true) {
            let guard = guard(server.id(), &self.mark, self.dir.path())?;
            self.running = Some(Running { server, guard });
            return Ok(true);
        }
        end_server(&mut server, &self.mark);
        anyhow::ensure!(said("Address already in use"), "sshd does not listen\n{}", self.log());
        Ok(false)
    }

    fn write_known_hosts(&self) -> anyhow::Result<()> {
        let mut text = String::new();
        for kind in &self.options.host_keys {
            text.push_str(&format!("[{}]:{} {}\n", self.addr.ip(), self.port(), self.host_key(*kind)?));
        }
        Ok(fs::write(self.known_hosts(), text)?)
    }

    /// A host key as `known_hosts` holds it: algorithm and base64.
    ///
    /// # Errors
    /// Where the server has no key of this kind.
    pub fn host_key(&self, kind: KeyKind) -> anyhow::Result<String> {
        Key::at(self.dir.path().join(format!("host_{}", kind.name()))).public()
    }
}

/// sshd lets an account in only with a login shell and a password that is not locked.
fn may_log_in(user: &nix::unistd::User) -> Result<(), Unavailable> {
    let shell = user.shell.file_name().unwrap_or_default();
    if shell == "nologin" || shell == "false" {
        return Err(Unavailable::missing(format!(
            "{} has no login shell: sshd does not let it in",
            user.name
        )));
    }
    // Only root can read this file; another user's server does not look into it either.
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    if shadow.lines().any(|line| line.starts_with(&format!("{}:!", user.name))) {
        return Err(Unavailable::missing(format!(
            "the account {} is locked: sshd does not let it in",
            user.name
        )));
    }
    Ok(())
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}
