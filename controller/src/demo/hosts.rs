//! The demo's hosts: an SSH server each, a throw-away home each, and the files of the fleet beside them.

use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_runner::process::capture::{Capture, capture};
use agent_runner::process::child::{Environment, Stdin};
use tempfile::TempDir;

use crate::ssh::server::{Server, ServerOptions, generate_key};

/// The hosts' names.
pub const NAMES: [&str; 3] = ["pi1", "pi2", "pi3"];
/// The file whose presence makes a host's agent print what an expired login prints.
const EXPIRED: &str = "login-expired";

/// Three hosts and their fleet, below one temporary folder that goes with them.
#[derive(Debug)]
pub struct DemoHosts {
    root: TempDir,
    servers: Vec<Server>,
}

impl DemoHosts {
    /// Starts the hosts for `user`, with `path` as their `PATH`, and writes the fleet's files.
    ///
    /// # Errors
    /// When a file cannot be written, git does not run, or no port can be had on loopback.
    pub async fn start(user: &str, path: &str) -> io::Result<DemoHosts> {
        let root = tempfile::Builder::new().prefix("agent-runner-demo-").tempdir()?;
        let authorized_key = generate_key(&root.path().join("id_ed25519"))?;
        let mut servers = Vec::with_capacity(NAMES.len());
        let mut known = String::new();
        let mut entries = String::new();
        for name in NAMES {
            let home = root.path().join(name);
            let agent = furnish(&home)?;
            let environment = vec![("PATH".to_owned(), path.to_owned())];
            let options = ServerOptions { authorized_key: authorized_key.clone(), home, environment };
            let server = Server::start(options).await?;
            known.push_str(&server.known_hosts_line());
            known.push('\n');
            let port = server.address().port();
            entries.push_str(&format!(
                "[hosts.{name}]\naddress = \"127.0.0.1\"\nport = {port}\nvars = {{ agent = \"{}\" }}\n\n",
                agent.display()
            ));
            servers.push(server);
        }
        let hosts = DemoHosts { root, servers };
        hosts.write("known_hosts", &known, 0o600)?;
        let fleet = include_str!("fleet.toml")
            .replace("{{USER}}", user)
            .replace("{{ROOT}}", &hosts.root.path().display().to_string())
            .replace("{{HOSTS}}\n", &entries);
        hosts.write("fleet.toml", &fleet, 0o644)?;
        hosts.write("agent-runner.toml", include_str!("agent-runner.toml"), 0o644)?;
        fs::create_dir(hosts.root.path().join("prompts"))?;
        hosts.write("prompts/main.md", include_str!("prompt.md"), 0o644)?;
        Ok(hosts)
    }

    /// Returns the fleet's inventory.
    pub fn inventory(&self) -> PathBuf {
        self.root.path().join("fleet.toml")
    }

    /// Returns the folder that everything is below.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Lets a host's login expire.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn expire_login(&self, name: &str) -> io::Result<()> {
        self.write(&format!("{name}/{EXPIRED}"), "", 0o644)
    }

    /// Ends everything that runs on the hosts, closes their ports and removes their files.
    ///
    /// # Errors
    /// What could not be ended or removed.
    pub async fn shutdown(self) -> io::Result<()> {
        let mut failure = Ok(());
        for server in self.servers {
            failure = failure.and(server.shutdown().await);
        }
        failure.and(self.root.close())
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(self.root.path().join(name))?;
        io::Write::write_all(&mut file, text.as_bytes())
    }
}

/// Fills a home: a repository to work in, and the scripted agent, whose path is returned.
fn furnish(home: &Path) -> io::Result<PathBuf> {
    let work_dir = home.join("demo");
    fs::create_dir_all(&work_dir)?;
    init_repository(&work_dir)?;
    let bin = home.join("bin");
    fs::create_dir(&bin)?;
    let agent = bin.join("claude");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(&agent)?;
    io::Write::write_all(&mut file, include_bytes!("agent.sh"))?;
    file.set_permissions(fs::Permissions::from_mode(0o755))?;
    Ok(agent)
}

/// Makes an empty repository with a first commit, whatever the operator's own git configuration says.
fn init_repository(work_dir: &Path) -> io::Result<()> {
    let identity = ["-c", "user.name=demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false"];
    let first: [&[&str]; 2] = [
        &["init", "--quiet"],
        &["commit", "--quiet", "--allow-empty", "--no-verify", "--message", "demo: begin"],
    ];
    for words in first {
        let argv = ["git"].iter().chain(&identity).chain(words);
        let done = capture(Capture {
            argv: argv.map(Into::into).collect(),
            cwd: work_dir.to_owned(),
            env: Environment::inherited()
                .with("GIT_CONFIG_GLOBAL", "/dev/null")
                .with("GIT_CONFIG_SYSTEM", "/dev/null"),
            stdin: Stdin::Null,
            timeout: Duration::from_secs(30),
            output_limit: 4096,
        })?;
        if !done.is_success() {
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            return Err(io::Error::other(format!(
                "git {} in {}: {said}",
                words.join(" "),
                work_dir.display()
            )));
        }
    }
    Ok(())
}
