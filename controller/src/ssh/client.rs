//! The client of one run: what all connections share, and how one comes about.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::PrivateKey;
use secrecy::SecretString;
use tokio::sync::OnceCell;
use tokio::time::sleep;

use super::auth;
use super::error::{SshError, Unreachable};
use super::handshake::{blocking, handshake, lock};
use super::host_key_files::HostKeyFiles;
use super::identity::Identities;
use super::known_hosts::KnownHosts;
use super::limiter::{Limiter, Limits, backoff, jitter};
use super::session::{Session, WeakSession};
use super::settings::{Settings, Strictness};
use super::wire::{Turn, wire};
use super::{jump, proxy};
use crate::slot;

/// A question to the person at the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// The passphrase of a key file.
    Passphrase {
        /// The file.
        key: PathBuf,
        /// How many passphrases were wrong.
        attempt: usize,
    },
    /// The password of a user, for all hosts of this run.
    Password {
        /// The user it is for.
        user: String,
    },
    /// Anything else a host asks, such as a one-time code.
    Question {
        /// The host's display name.
        host: String,
        /// Its words.
        text: String,
    },
}

/// Asks the person at the terminal. May block; is called for one question at a time.
pub type Prompter = Arc<dyn Fn(Prompt) -> Option<SecretString> + Send + Sync>;

/// What a run wants of all its connections.
#[derive(Clone, Default)]
pub struct ClientOptions {
    /// How much may happen at once.
    pub limits: Limits,
    /// Who answers questions; `None` where nobody can.
    pub prompter: Option<Prompter>,
    /// The SSH agent's socket (`SSH_AUTH_SOCK`).
    pub agent_socket: Option<PathBuf>,
    /// Record unknown host keys instead of refusing them, whatever a host's settings say.
    pub accept_new: bool,
    /// Log in by password where keys do not suffice (`--ask-pass`).
    pub ask_password: bool,
}

/// Makes connections, and shares them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What all connections of a run have in common.
pub(super) struct Shared {
    pub(super) options: ClientOptions,
    pub(super) identities: Arc<Identities>,
    host_keys: Arc<HostKeyFiles>,
    limiter: Arc<Limiter>,
    /// By user.
    passwords: Mutex<HashMap<String, Arc<OnceCell<Option<SecretString>>>>>,
    slots: Mutex<HashMap<Settings, Arc<Slot>>>,
}

/// The one connection to a host.
#[derive(Default)]
struct Slot {
    /// Attempts that have failed.
    failures: AtomicU64,
    state: tokio::sync::Mutex<SlotState>,
}

#[derive(Default)]
struct SlotState {
    live: Option<WeakSession>,
    /// Jump hosts stay connected although nobody works on them.
    kept: Option<Session>,
    failed: Option<SshError>,
}

impl Client {
    /// Returns a client with nothing connected.
    pub fn new(options: ClientOptions) -> Self {
        let shared = Shared {
            limiter: Arc::new(Limiter::new(options.limits)),
            options,
            identities: Arc::default(),
            host_keys: Arc::default(),
            passwords: Mutex::default(),
            slots: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Makes a new connection, whatever exists.
    ///
    /// # Errors
    /// If no usable connection comes about; a connection closed before authentication is tried
    /// again up to three times, with growing pauses.
    pub async fn connect(&self, settings: &Settings) -> Result<Session, SshError> {
        if !self.shared.options.accept_new {
            return self.establish(settings).await;
        }
        self.establish(&Settings { strictness: Strictness::AcceptNew, ..settings.clone() }).await
    }

    /// Makes a new connection by exactly these settings.
    pub(super) async fn establish(&self, settings: &Settings) -> Result<Session, SshError> {
        let failed = |cause| SshError::no_connection(&settings.name, cause);
        let jump = match last_jump(settings) {
            Some(jump) => Some(
                Box::pin(self.shared_session(&jump, Keep::ForTheRun))
                    .await
                    .map_err(|source| failed(Unreachable::Jump { jump: jump.name.clone(), source }))?,
            ),
            None => None,
        };
        let address = match &jump {
            Some(jump) => self.shared.limiter.address(&format!("through {}", jump.host())),
            None => self.shared.limiter.address(&settings.endpoint()),
        };
        let mut retry = 0;
        loop {
            let cause = match self.attempt(settings, jump.as_ref()).await {
                Ok(session) => return Ok(session),
                Err(cause) => cause,
            };
            let pause = backoff(retry, jitter());
            let (Unreachable::Closed { .. }, Some(pause), false) = (&cause, pause, cause.is_penalty()) else {
                return Err(failed(cause));
            };
            address.narrow();
            tracing::debug!(host = settings.name, %cause, ?pause, "closed before authentication, trying again");
            sleep(pause).await;
            retry += 1;
        }
    }

    /// Returns what is recorded about hosts in the files these settings name.
    pub(super) async fn known_hosts(&self, settings: &Settings) -> Result<Arc<KnownHosts>, SshError> {
        let (store, files) = (Arc::clone(self.host_key_files()), settings.known_hosts_files());
        let known = blocking(move || store.load(&files)).await;
        known.map_err(|cause| SshError::no_connection(&settings.name, cause))
    }

    pub(super) fn host_key_files(&self) -> &Arc<HostKeyFiles> {
        &self.shared.host_keys
    }

    /// Returns the connection to a host, making it if there is none that lives.
    ///
    /// It lives as long as somebody holds it. Callers that wait for the same attempt share its failure.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn session(&self, settings: &Settings) -> Result<Session, SshError> {
        self.shared_session(settings, Keep::WhileHeld).await
    }

    async fn shared_session(&self, settings: &Settings, keep: Keep) -> Result<Session, SshError> {
        let slot = {
            let mut key = settings.clone();
            key.name.clear();
            let mut slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(key).or_default())
        };
        let failures_seen = slot.failures.load(Ordering::Acquire);
        // The place is kept meanwhile: all who wait here go on at once, and --forks would not bound them.
        let mut state = slot.state.lock().await;
        let live = state.live.as_ref().and_then(WeakSession::upgrade).filter(|session| !session.is_closed());
        if let Some(session) = live {
            return Ok(session);
        }
        if let Some(error) = &state.failed
            && slot.failures.load(Ordering::Acquire) != failures_seen
        {
            return Err(error.clone());
        }
        match self.connect(settings).await {
            Ok(session) => {
                state.live = Some(session.downgrade());
                state.kept = match keep {
                    Keep::ForTheRun => Some(session.clone()),
                    Keep::WhileHeld => None,
                };
                state.failed = None;
                Ok(session)
            }
            Err(error) => {
                slot.failures.fetch_add(1, Ordering::AcqRel);
                state.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    async fn attempt(&self, settings: &Settings, jump: Option<&Session>) -> Result<Session, Unreachable> {
        let limiter = Arc::clone(&self.shared.limiter);
        let mut proxy = None;
        let (transport, turn): (_, Turn) = match (&settings.proxy_command, jump) {
            (Some(command), _) => {
                let (transport, words) = proxy::start(command)?;
                proxy = Some(words);
                (transport, Box::pin(async move { vec![limiter.start().await] }))
            }
            (None, Some(jump)) => {
                let address = limiter.address(&format!("through {}", jump.host()));
                let turn = async move { vec![address.start().await, limiter.start().await] };
                (slot::waiting(jump::through(jump, settings)).await?, Box::pin(turn))
            }
            (None, None) => {
                // Counted from the connect on: this is what MaxStartups counts.
                let permit = limiter.address(&settings.endpoint()).start().await;
                let turn = async move { vec![permit, limiter.start().await] };
                (slot::waiting(jump::tcp(settings)).await?, Box::pin(turn))
            }
        };
        let (wire, line) = wire(transport, turn);
        let shaken = handshake(settings, &self.shared.host_keys, wire, &line).await;
        let mut connected = match (shaken, proxy) {
            (Err(cause @ Unreachable::Closed { .. }), Some(words)) => return Err(words.explain(cause).await),
            (shaken, _) => shaken?,
        };
        let login = auth::log_in(&self.shared, settings, &mut connected).await?;
        line.release();
        let negotiated = lock(&connected.notes).negotiated.clone();
        tracing::debug!(host = settings.name, ?negotiated, "connected");
        Ok(Session::new(
            settings,
            connected,
            line,
            (negotiated, login, jump.cloned(), self.shared.options.limits.channels),
        ))
    }
}

#[derive(Clone, Copy)]
enum Keep {
    WhileHeld,
    ForTheRun,
}

/// The jump host next to the host, with the jumps before it.
fn last_jump(settings: &Settings) -> Option<Settings> {
    if settings.proxy_command.is_some() {
        return None;
    }
    let (last, before) = settings.jumps.split_last()?;
    let mut last = last.clone();
    if !before.is_empty() {
        last.jumps = before.to_vec();
    }
    Some(last)
}

impl Shared {
    pub(super) fn may_ask_passwords(&self) -> bool {
        self.options.ask_password && self.options.prompter.is_some()
    }

    /// Returns the key in an encrypted file. Asks once per run.
    pub(super) async fn unlock(&self, path: &Path) -> Result<Arc<PrivateKey>, String> {
        self.identities.unlock(path, self.options.prompter.as_ref()).await
    }

    /// Asks what a host asks.
    pub(super) async fn answer(&self, settings: &Settings, text: String) -> Option<SecretString> {
        let prompt = Prompt::Question { host: settings.name.clone(), text };
        ask(self.options.prompter.as_ref()?, prompt).await
    }

    /// Returns the password of the user in this run. Asks once for each, whoever comes first.
    pub(super) async fn password(&self, settings: &Settings) -> Option<SecretString> {
        let prompter = self.options.prompter.as_ref()?;
        let user = settings.user.clone();
        let cell = {
            let mut passwords = self.passwords.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(passwords.entry(user.clone()).or_default())
        };
        cell.get_or_init(|| ask(prompter, Prompt::Password { user })).await.clone()
    }
}

/// Asks off the runtime's threads.
pub(super) async fn ask(prompter: &Prompter, prompt: Prompt) -> Option<SecretString> {
    let prompter = Arc::clone(prompter);
    tokio::task::spawn_blocking(move || prompter(prompt)).await.ok().flatten()
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("limits", &self.limits)
            .field("agent_socket", &self.agent_socket)
            .field("accept_new", &self.accept_new)
            .field("ask_password", &self.ask_password)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[tokio::test]
    async fn a_password_is_asked_for_once_a_user_and_given_to_no_other() {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let prompter: Prompter = Arc::new(move |prompt| {
            let Prompt::Password { user } = prompt else { return None };
            seen.lock().unwrap().push(user.clone());
            Some(format!("of {user}").into())
        });
        let client = Client::new(ClientOptions { prompter: Some(prompter), ..ClientOptions::default() });
        for (host, user) in [("gate", "ops"), ("pi1", "pi"), ("pi2", "pi"), ("gate2", "ops")] {
            let password = client.shared.password(&Settings::new(host, user)).await.unwrap();
            assert_eq!(password.expose_secret(), format!("of {user}"));
        }
        assert_eq!(*asked.lock().unwrap(), ["ops", "pi"]);
    }
}
