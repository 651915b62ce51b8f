//! One logged-in connection, and the channels on it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::{Channel, ChannelOpenFailure, ChannelStream, Disconnect};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::error::{Failed, SshError};
use super::exec::{self, Exec, Output};
use super::handshake::{Connected, Handler, Negotiated, Notes, lock};
use super::offer::Login;
use super::settings::Settings;
use super::stream::{self, Source, Stream};
use super::upload::{self, Upload};
use super::wire::Line;

/// A logged-in connection to a host. Cheap to clone; the last one dropped closes it.
#[derive(Debug, Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

/// A connection somebody else keeps.
#[derive(Debug, Clone)]
pub(super) struct WeakSession(Weak<Inner>);

struct Inner {
    host: String,
    handle: Handle<Handler>,
    notes: Arc<std::sync::Mutex<Notes>>,
    negotiated: Negotiated,
    login: Login,
    channels: Arc<Semaphore>,
    /// Channels that the host has granted and not yet closed.
    open: Arc<AtomicUsize>,
    /// The connection this one runs through.
    _jump: Option<Session>,
    /// Cuts the connection when dropped, so it comes last.
    _line: Line,
}

/// A channel, counted until it is dropped.
pub(super) struct OpenChannel {
    pub(super) channel: Channel<client::Msg>,
    pub(super) slot: ChannelSlot,
}

/// The place of a channel among those of its connection.
pub(super) struct ChannelSlot {
    open: Arc<AtomicUsize>,
    _permit: OwnedSemaphorePermit,
    /// A connection lives as long as a channel of it is in use.
    _session: Session,
}

/// Refused channels are asked for again this often while no other is open: the host may still be closing one.
const OPEN_RETRIES: u32 = 6;

impl Session {
    pub(super) fn new(
        settings: &Settings,
        connected: Connected,
        line: Line,
        (negotiated, login, jump, channels): (Negotiated, Login, Option<Session>, usize),
    ) -> Self {
        let inner = Inner {
            host: settings.name.clone(),
            handle: connected.handle,
            notes: connected.notes,
            negotiated,
            login,
            channels: Arc::new(Semaphore::new(channels.max(1))),
            open: Arc::default(),
            _jump: jump,
            _line: line,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The host's display name.
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// What both ends agreed on.
    pub fn negotiated(&self) -> &Negotiated {
        &self.inner.negotiated
    }

    /// How we got in.
    pub fn login(&self) -> &Login {
        &self.inner.login
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.inner.handle.is_closed()
    }

    /// Runs a command to its end and returns what it printed.
    ///
    /// An exit status other than 0 is not an error here: the output says it.
    ///
    /// # Errors
    /// If the command cannot be started, does not end within its deadline, ends without a
    /// status, or the connection is lost.
    pub async fn exec(&self, exec: Exec) -> Result<Output, SshError> {
        self.exec_seen(exec, |_, _| {}).await
    }

    /// As [`exec`](Self::exec); `seen` gets every piece of output as it comes, also what is beyond the limit. The
    /// host waits while it works.
    ///
    /// # Errors
    /// As [`exec`](Self::exec).
    pub async fn exec_seen(&self, exec: Exec, seen: impl FnMut(Source, &[u8])) -> Result<Output, SshError> {
        exec::run(self, self.open_channel(), exec, seen)
            .await
            .map_err(|cause| SshError::failed(self.host(), cause))
    }

    /// Starts a command and returns its output line by line.
    ///
    /// # Errors
    /// If the command cannot be started.
    pub async fn stream(&self, exec: Exec) -> Result<Stream, SshError> {
        stream::start(self, self.open_channel(), exec)
            .await
            .map_err(|cause| SshError::failed(self.host(), cause))
    }

    /// Puts a file in place, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be sent, stored, verified or renamed; then what was there before still is.
    pub async fn upload(&self, upload: Upload) -> Result<(), SshError> {
        upload::run(self, upload).await.map_err(|cause| SshError::failed(self.host(), cause))
    }

    /// Says goodbye and closes the connection, for all who share it.
    pub async fn close(&self) {
        let goodbye = self.inner.handle.disconnect(Disconnect::ByApplication, "", "");
        // A peer that does not even take the goodbye is cut when the last of us is dropped.
        let _ = timeout(Duration::from_secs(1), goodbye).await;
    }

    pub(super) fn downgrade(&self) -> WeakSession {
        WeakSession(Arc::downgrade(&self.inner))
    }

    /// Why the connection ended, as far as anybody said, with a leading separator.
    pub(super) fn epitaph(&self) -> String {
        let ended = lock(&self.inner.notes).ended.clone();
        if ended.is_empty() { ended } else { format!(": {ended}") }
    }

    /// Opens a channel for a command, waiting for a free place.
    ///
    /// A host that grants fewer channels than we assumed gets fewer.
    pub(super) async fn open_channel(&self) -> Result<OpenChannel, Failed> {
        let mut retries = 0;
        loop {
            let permit = Arc::clone(&self.inner.channels).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            match self.inner.handle.channel_open_session().await {
                Ok(channel) => return Ok(self.counted(channel, permit)),
                Err(russh::Error::ChannelOpenFailure(reason)) => {
                    if self.inner.open.load(Ordering::Acquire) > 0 {
                        // MaxSessions: this place does not exist. Wait for one that does; the open
                        // channel holds its own, so one always remains.
                        permit.forget();
                        continue;
                    }
                    if retries == OPEN_RETRIES {
                        return Err(Failed::Refused { reason: no_channel(&reason) });
                    }
                    drop(permit);
                    sleep(Duration::from_millis(20 << retries)).await;
                    retries += 1;
                }
                Err(_) => return Err(Failed::Lost { detail: self.epitaph(), output: Output::default() }),
            }
        }
    }

    /// Opens a channel for a command at once, or none where every place is taken.
    pub(super) async fn spare_channel(&self) -> Result<Option<OpenChannel>, Failed> {
        let Ok(permit) = Arc::clone(&self.inner.channels).try_acquire_owned() else { return Ok(None) };
        match self.inner.handle.channel_open_session().await {
            Ok(channel) => Ok(Some(self.counted(channel, permit))),
            Err(russh::Error::ChannelOpenFailure(_)) => {
                if self.inner.open.load(Ordering::Acquire) > 0 {
                    // As above: this place does not exist.
                    permit.forget();
                }
                Ok(None)
            }
            Err(_) => Err(Failed::Lost { detail: self.epitaph(), output: Output::default() }),
        }
    }

    fn counted(&self, channel: Channel<client::Msg>, permit: OwnedSemaphorePermit) -> OpenChannel {
        let open = Arc::clone(&self.inner.open);
        open.fetch_add(1, Ordering::AcqRel);
        OpenChannel { channel, slot: ChannelSlot { open, _permit: permit, _session: self.clone() } }
    }

    /// Opens a stream from this host to another.
    pub(super) async fn direct_tcpip(
        &self,
        address: &str,
        port: u16,
    ) -> Result<ChannelStream<client::Msg>, String> {
        match self.inner.handle.channel_open_direct_tcpip(address, u32::from(port), "127.0.0.1", 0).await {
            Ok(channel) => Ok(channel.into_stream()),
            Err(russh::Error::ChannelOpenFailure(reason)) => Err(open_failure(&reason)),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl WeakSession {
    pub(super) fn upgrade(&self) -> Option<Session> {
        self.0.upgrade().map(|inner| Session { inner })
    }
}

impl Drop for ChannelSlot {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("host", &self.host)
            .field("negotiated", &self.negotiated)
            .finish_non_exhaustive()
    }
}

/// Why a command gets no channel, and what helps.
fn no_channel(reason: &ChannelOpenFailure) -> String {
    match reason {
        ChannelOpenFailure::ConnectFailed => {
            "it opens no channel for a command: MaxSessions in its sshd_config is too small, raise it"
                .to_owned()
        }
        ChannelOpenFailure::AdministrativelyProhibited
        | ChannelOpenFailure::UnknownChannelType
        | ChannelOpenFailure::ResourceShortage
        | ChannelOpenFailure::Other { .. } => open_failure(reason),
    }
}

fn open_failure(reason: &ChannelOpenFailure) -> String {
    match reason {
        ChannelOpenFailure::AdministrativelyProhibited => "prohibited by its configuration".to_owned(),
        ChannelOpenFailure::ConnectFailed => "open failed: the target does not answer".to_owned(),
        ChannelOpenFailure::UnknownChannelType => "it does not know this type of channel".to_owned(),
        ChannelOpenFailure::ResourceShortage => "it is out of resources".to_owned(),
        ChannelOpenFailure::Other { code, reason } => format!("{reason} (code {code})"),
    }
}
