//! A throw-away SSH server on loopback, for the demo and for tests without sshd.
//!
//! It lets exactly one key in and runs each command for real, as the current user, by `/bin/sh`
//! in a home of its own. It is no server for anything else: no shells, no forwarding, no SFTP.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, RunningServerHandle, Server as _, Session,
    VerifiedPublicKey,
};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::hosted::{Hosted, HostedCommand};

/// What a throw-away server is given.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The one public key that is let in, as in `authorized_keys`.
    pub authorized_key: String,
    /// Where commands start, and their `HOME`.
    pub home: PathBuf,
    /// Their whole environment besides `HOME`; `PATH` is `/usr/local/bin:/usr/bin:/bin` unless given.
    pub environment: Vec<(String, String)>,
}

/// A running throw-away server. Call [`shutdown`](Self::shutdown): only that waits for what it ran.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    host_key: PublicKey,
    hosted: Arc<Hosted>,
    stop: StopOnDrop,
    serving: JoinHandle<()>,
}

impl Server {
    /// Starts a server with a host key of its own on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If the key cannot be read or made, or no port can be had.
    pub async fn start(options: ServerOptions) -> io::Result<Self> {
        let authorized = PublicKey::from_openssh(options.authorized_key.trim()).map_err(io::Error::other)?;
        let host_key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(io::Error::other)?;
        let public = host_key.public_key().clone();
        let mut methods = MethodSet::empty();
        methods.push(MethodKind::PublicKey);
        let config = Arc::new(Config {
            methods,
            keys: vec![host_key],
            auth_rejection_time: Duration::from_millis(10),
            inactivity_timeout: None,
            nodelay: true,
            ..Config::default()
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let hosted = Arc::new(Hosted::new(options.home, options.environment));
        let mut visitors = Visitors { authorized, hosted: Arc::clone(&hosted) };
        let (told, telling) = tokio::sync::oneshot::channel();
        let serving = tokio::spawn(async move {
            let running = visitors.run_on_socket(config, &listener);
            if told.send(running.handle()).is_err() {
                return;
            }
            if let Err(error) = running.await {
                tracing::warn!(%error, "a throw-away server stopped accepting");
            }
        });
        let stop = StopOnDrop(telling.await.map_err(io::Error::other)?);
        Ok(Self { address, host_key: public, hosted, stop, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The line that makes its key known.
    pub fn known_hosts_line(&self) -> String {
        let key = self.host_key.to_openssh().unwrap_or_default();
        format!("[{}]:{} {}", self.address.ip(), self.address.port(), key.trim_end())
    }

    /// Closes all connections, kills everything that was started through them and waits until it is gone.
    ///
    /// Also what detached itself from its process group is found, by a mark in its environment.
    ///
    /// # Errors
    /// If something survives.
    pub async fn shutdown(self) -> io::Result<()> {
        let Self { hosted, stop, serving, .. } = self;
        drop(stop);
        // Ends at once: its handle told it to.
        let _ = serving.await;
        hosted.kill_all().await
    }
}

/// Makes a key pair, writes the private key to `path` (mode 0600) and returns the public one as in `authorized_keys`.
///
/// # Errors
/// If the file exists or cannot be written.
pub fn generate_key(path: &Path) -> io::Result<String> {
    use std::io::Write as _;
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(io::Error::other)?;
    let text = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    key.public_key().to_openssh().map_err(io::Error::other)
}

/// Ends the accept loop and every connection, also when the server is just dropped.
struct StopOnDrop(RunningServerHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.shutdown("the server is shut down".to_owned());
    }
}

impl std::fmt::Debug for StopOnDrop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StopOnDrop")
    }
}

/// Makes a visitor of each connection.
struct Visitors {
    authorized: PublicKey,
    hosted: Arc<Hosted>,
}

/// One connection.
struct Visitor {
    authorized: PublicKey,
    hosted: Arc<Hosted>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl russh::server::Server for Visitors {
    type Handler = Visitor;

    fn new_client(&mut self, _peer: Option<SocketAddr>) -> Visitor {
        let (authorized, hosted) = (self.authorized.clone(), Arc::clone(&self.hosted));
        Visitor { authorized, hosted, channels: HashMap::new() }
    }
}

impl Visitor {
    fn judge(&self, key: &PublicKey) -> Auth {
        if key.key_data() == self.authorized.key_data() { Auth::Accept } else { Auth::reject() }
    }
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.judge(offer.public_key))
    }

    async fn auth_publickey(&mut self, _user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.judge(key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(channel) = self.channels.remove(&id) else { return session.channel_failure(id) };
        match self.hosted.spawn(command) {
            Ok(child) => {
                session.channel_success(id)?;
                let command = HostedCommand { child, channel, handle: session.handle() };
                let hosted = Arc::clone(&self.hosted);
                tokio::spawn(async move { hosted.attend(command).await });
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "a throw-away server cannot run a command");
                session.channel_failure(id)
            }
        }
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn channel_close(&mut self, id: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.channels.remove(&id);
        Ok(())
    }
}
