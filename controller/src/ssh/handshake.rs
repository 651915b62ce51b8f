//! From a stream to an encrypted connection with a host whose key is the recorded one.

use std::borrow::Cow;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use russh::client::{self, DisconnectReason, Handle};
use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{AlgorithmKind, Names, SshId};
use tokio::time::timeout;

use super::algorithms;
use super::error::Unreachable;
use super::host_key_files::HostKeyFiles;
use super::host_keys::{self, HostName, Verdict};
use super::jump::timed_out;
use super::known_hosts::KnownHosts;
use super::revoked;
use super::settings::{NameForm, Settings, Strictness};
use super::wire::{Line, Phase, Wire};
use crate::slot;

/// What both ends agreed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// The key exchange.
    pub kex: String,
    /// The cipher.
    pub cipher: String,
    /// The code that guards what we send against changes; none where the cipher does that itself.
    pub mac: Option<String>,
    /// The type of the host key.
    pub host_key: String,
    /// SHA256 fingerprint of the host key.
    pub fingerprint: String,
    /// The server's version string, as `SSH-2.0-OpenSSH_9.2p1`.
    pub server: String,
}

/// An encrypted connection that nobody has logged in to yet.
pub(super) struct Connected {
    pub(super) handle: Handle<Handler>,
    pub(super) notes: Arc<Mutex<Notes>>,
}

/// What the library tells us on the way.
#[derive(Debug, Default)]
pub(super) struct Notes {
    refused: Option<Unreachable>,
    pub(super) negotiated: Negotiated,
    /// Why the other end closed the connection, in its words or the library's.
    pub(super) ended: String,
}

/// The library's view of us.
#[derive(Debug)]
pub(super) struct Handler {
    trust: Trust,
    notes: Arc<Mutex<Notes>>,
}

/// Everything needed to judge a host key.
#[derive(Debug)]
struct Trust {
    host: HostName,
    known: Arc<KnownHosts>,
    store: Arc<HostKeyFiles>,
    files: Vec<std::path::PathBuf>,
    revoked: Option<std::path::PathBuf>,
    strictness: Strictness,
    names: NameForm,
}

/// Exchanges keys over `wire`, each silence bounded by the host's connect timeout; waiting for our own turn is not counted.
pub(super) async fn handshake(
    settings: &Settings,
    store: &Arc<HostKeyFiles>,
    wire: Wire,
    line: &Line,
) -> Result<Connected, Unreachable> {
    let trust = Trust::load(settings, store).await?;
    let config = Arc::new(config(settings, &trust)?);
    let notes = Arc::new(Mutex::new(Notes::default()));
    let (host, known) = (trust.host.clone(), Arc::clone(&trust.known));
    let handler = Handler { trust, notes: Arc::clone(&notes) };
    let connecting = client::connect_stream(config, wire, handler);
    tokio::pin!(connecting);
    let mut phases = line.phases();
    let ended = |error| explain(settings, &notes, line, (error, &host, &known));

    let spoke = phases.wait_for(|phase| *phase != Phase::Silent);
    let spoke = slot::waiting(timeout(settings.connect_timeout, spoke));
    tokio::select! {
        done = &mut connecting => return done.map(|handle| Connected { handle, notes: Arc::clone(&notes) }).map_err(ended),
        spoke = spoke => match spoke {
            Ok(_) => {}
            Err(_) => return Err(timed_out(settings, "connected, but it does not speak SSH")),
        },
    }
    tokio::select! {
        done = &mut connecting => return done.map(|handle| Connected { handle, notes: Arc::clone(&notes) }).map_err(ended),
        _ = phases.wait_for(|phase| *phase == Phase::Started) => {}
    }
    match timeout(settings.connect_timeout, &mut connecting).await {
        Ok(done) => done.map(|handle| Connected { handle, notes: Arc::clone(&notes) }).map_err(ended),
        Err(_) => Err(timed_out(settings, "key exchange")),
    }
}

/// The version string we send.
const CLIENT_ID: &str = concat!("SSH-2.0-agent_runner_fleet_", env!("CARGO_PKG_VERSION"));

fn config(settings: &Settings, trust: &Trust) -> Result<client::Config, Unreachable> {
    let permitted = algorithms::host_key_algorithms(&settings.algorithms)?;
    let wanted = host_keys::wanted_algorithms(&trust.known, &trust.host, &permitted);
    if wanted.is_empty() {
        let (recorded, at) = host_keys::recorded_keys(&trust.known, &trust.host).unzip();
        return Err(Unreachable::HostKeyMismatch {
            name: trust.host.recorded.clone(),
            offered: "nothing, since the recorded type is not permitted".to_owned(),
            recorded: recorded.unwrap_or_default(),
            at,
        });
    }
    let mut preferred = algorithms::preferred(&settings.algorithms, wanted)?;
    if host_keys::has_authority(&trust.known, &trust.host) {
        preferred.host_key_certificates = Cow::Owned(permitted);
    }
    Ok(client::Config {
        client_id: SshId::Standard(Cow::Borrowed(CLIENT_ID)),
        preferred,
        nodelay: true,
        keepalive_interval: settings.keepalive_interval,
        keepalive_max: settings.keepalive_count,
        ..client::Config::default()
    })
}

impl Trust {
    async fn load(settings: &Settings, store: &Arc<HostKeyFiles>) -> Result<Self, Unreachable> {
        let files = settings.known_hosts_files();
        let known = match store.loaded(&files) {
            Some(known) => known,
            None => {
                let (reader, paths) = (Arc::clone(store), files.clone());
                blocking(move || reader.load(&paths)).await?
            }
        };
        Ok(Self {
            host: HostName::new(&settings.address, settings.port, settings.host_key_alias.as_deref()),
            known,
            store: Arc::clone(store),
            files,
            revoked: settings.revoked_host_keys.clone(),
            strictness: settings.strictness,
            names: settings.record_names,
        })
    }

    async fn judge(&self, offered: &PublicKeyOrCertificate) -> Result<(), Unreachable> {
        if let Some(file) = self.revoked.clone() {
            let name = self.host.recorded.clone();
            let mut keys = vec![offered.public_key().clone()];
            if let PublicKeyOrCertificate::Certificate(certificate) = offered {
                keys.push(PublicKey::from(certificate.signature_key().clone()));
            }
            blocking(move || revoked::check(&file, &name, &keys)).await?;
        }
        let key = match offered {
            PublicKeyOrCertificate::PublicKey { key, .. } => key,
            PublicKeyOrCertificate::Certificate(certificate) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
                return match host_keys::certificate_flaw(&self.known, &self.host, certificate, now) {
                    None => Ok(()),
                    Some(reason) => {
                        Err(Unreachable::HostCertificate { name: self.host.principal.clone(), reason })
                    }
                };
            }
        };
        let mut verdict = host_keys::verdict(&self.known, &self.host, key);
        if verdict == Verdict::Unknown && self.strictness == Strictness::AcceptNew {
            let (store, files) = (Arc::clone(&self.store), self.files.clone());
            let (host, key, names) = (self.host.clone(), key.clone(), self.names);
            let verdicts = blocking(move || store.record(&files, &host, &[key], names)).await?;
            verdict = verdicts.into_iter().next().unwrap_or(Verdict::Unknown);
        }
        self.refusal(verdict, key)
    }

    fn refusal(&self, verdict: Verdict, key: &PublicKey) -> Result<(), Unreachable> {
        let name = self.host.recorded.clone();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let algorithm = key.algorithm().to_string();
        Err(match verdict {
            Verdict::Known => return Ok(()),
            Verdict::Unknown => Unreachable::HostKeyUnknown { name, key: Box::new(key.clone()) },
            Verdict::Mismatch { recorded, at } => Unreachable::HostKeyMismatch {
                name,
                offered: format!("{algorithm} {fingerprint}"),
                recorded,
                at: Some(at),
            },
            Verdict::Revoked { at: (file, line) } => {
                Unreachable::HostKeyRevoked { name, file, line, fingerprint }
            }
        })
    }
}

impl client::Handler for Handler {
    type Error = russh::Error;

    async fn check_server_key(&mut self, offered: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let judged = self.trust.judge(offered).await;
        let mut notes = lock(&self.notes);
        notes.negotiated.fingerprint = offered.public_key().fingerprint(HashAlg::Sha256).to_string();
        match judged {
            Ok(()) => Ok(true),
            Err(refusal) => {
                notes.refused = Some(refusal);
                Ok(false)
            }
        }
    }

    async fn kex_done(
        &mut self,
        _shared_secret: Option<&[u8]>,
        names: &Names,
        session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        let mut notes = lock(&self.notes);
        notes.negotiated.kex = names.kex.as_ref().to_owned();
        notes.negotiated.cipher = names.cipher.as_ref().to_owned();
        let guards_itself = ["gcm", "poly1305"].iter().any(|kind| names.cipher.as_ref().contains(kind));
        notes.negotiated.mac = (!guards_itself).then(|| names.client_mac.as_ref().to_owned());
        notes.negotiated.host_key = names.key.to_string();
        notes.negotiated.server = String::from_utf8_lossy(session.remote_sshid()).into_owned();
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        lock(&self.notes).ended = match reason {
            DisconnectReason::ReceivedDisconnect(info) => info.message,
            DisconnectReason::Error(error) => error.to_string(),
        };
        Ok(())
    }
}

pub(super) fn lock(notes: &Mutex<Notes>) -> std::sync::MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns the library's error into ours.
fn explain(
    settings: &Settings,
    notes: &Mutex<Notes>,
    line: &Line,
    (error, host, known): (russh::Error, &HostName, &KnownHosts),
) -> Unreachable {
    if let Some(refusal) = lock(notes).refused.take() {
        return refusal;
    }
    let endpoint = settings.endpoint();
    if is_closed(&error) {
        return Unreachable::Closed {
            endpoint,
            stage: "before the key exchange was done",
            said: line.complaint(),
        };
    }
    if let russh::Error::NoCommonAlgo { kind, ours, theirs } = &error {
        if let (AlgorithmKind::Key, Some((recorded, at))) = (kind, host_keys::recorded_keys(known, host)) {
            let offered = format!("only {}", theirs.join(", "));
            return Unreachable::HostKeyMismatch {
                name: host.recorded.clone(),
                offered,
                recorded,
                at: Some(at),
            };
        }
        let what = match kind {
            AlgorithmKind::Kex => "key exchange",
            AlgorithmKind::Key => "host key type",
            AlgorithmKind::Cipher => "cipher",
            AlgorithmKind::Compression => "compression",
            AlgorithmKind::Mac => "MAC",
        };
        let detail = format!("no common {what}: we have {}, it has {}", ours.join(","), theirs.join(","));
        return Unreachable::Handshake { endpoint, detail };
    }
    let said = line.complaint();
    let detail = if said.is_empty() { error.to_string() } else { format!("{error}; it said `{said}`") };
    Unreachable::Handshake { endpoint, detail }
}

/// Whether the other end just went away.
fn is_closed(error: &russh::Error) -> bool {
    use io::ErrorKind as Kind;
    if let russh::Error::IO(io) = error {
        let gone = [Kind::ConnectionReset, Kind::BrokenPipe, Kind::UnexpectedEof, Kind::ConnectionAborted];
        return gone.contains(&io.kind());
    }
    matches!(
        error,
        russh::Error::HUP | russh::Error::Disconnect | russh::Error::SendError | russh::Error::RecvError
    )
}

/// Runs file work off the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Unreachable> + Send + 'static,
) -> Result<T, Unreachable> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let source = io::Error::other(error);
        Err(Unreachable::HostKeyFile { path: std::path::PathBuf::new(), action: "read", source })
    })
}
