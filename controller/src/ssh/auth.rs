//! Who we are: what to offer a host, in which order, and an exact account of what it said.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PublicKey};
use russh::{AgentAuthError, MethodKind, MethodSet, Signer};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::agent::{self, Agent};
use super::client::{Prompt, Shared, ask};
use super::error::Unreachable;
use super::handshake::{Connected, Handler, lock};
use super::identity::{Identity, with_suffix};
use super::jump::timed_out;
use super::settings::{IdentityAgent, IdentityFile, Settings};

/// One thing we offered, or would have, and what came of it.
#[derive(Debug, Clone)]
pub struct Offer {
    /// What kind of proof.
    pub kind: OfferKind,
    /// Which one: a path, a comment, a fingerprint.
    pub name: String,
    /// What came of it.
    pub result: OfferResult,
}

/// Kinds of proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferKind {
    /// A key file.
    KeyFile,
    /// A key held by the agent.
    AgentKey,
    /// A certificate over either.
    Certificate,
    /// The agent as such.
    Agent,
    /// Questions and answers.
    KeyboardInteractive,
    /// A password.
    Password,
}

/// What came of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferResult {
    /// The host refused it.
    Refused,
    /// The host accepted it and wants more.
    Partial,
    /// It could not be offered.
    Unusable {
        /// Why.
        reason: String,
        /// The command that fixes it.
        remedy: Option<String>,
    },
}

/// Offers after which we stop by ourselves; sshd's limit is six.
const MAX_OFFERS: usize = 20;

/// A person may have to touch a key or type; sshd itself gives up after this time.
const PERSON_TIMEOUT: Duration = Duration::from_secs(120);

/// Rounds of questions in one keyboard-interactive exchange.
const MAX_ROUNDS: usize = 10;

/// Logs in, or says exactly why not.
pub(super) async fn log_in(
    shared: &Shared,
    settings: &Settings,
    connected: &mut Connected,
) -> Result<(), Unreachable> {
    let mut attempt = Attempt {
        shared,
        settings,
        offers: Vec::new(),
        methods: None,
        tried: 0,
        rsa_hash: None,
        partial: false,
    };
    let outcome = attempt.run(connected).await?;
    match outcome {
        Outcome::In => Ok(()),
        Outcome::Exhausted => Err(attempt.refused(String::new())),
        Outcome::Bound => Err(attempt.refused(format!("stopped after {MAX_OFFERS} offers"))),
        Outcome::Closed if attempt.tried == 0 => Err(Unreachable::Closed {
            endpoint: settings.endpoint(),
            stage: "before authentication",
            said: ended(connected),
        }),
        Outcome::Closed => {
            let said = ended(connected);
            let said = if said.is_empty() { String::new() } else { format!(" (`{said}`)") };
            let (tried, s) = (attempt.tried, if attempt.tried == 1 { "" } else { "s" });
            Err(attempt.refused(format!(
                "the host closed the connection after {tried} offer{s}{said}: name the right key (IdentityFile with IdentitiesOnly)"
            )))
        }
    }
}

fn ended(connected: &Connected) -> String {
    lock(&connected.notes).ended.clone()
}

enum Outcome {
    In,
    Exhausted,
    Bound,
    Closed,
}

enum Answer {
    In,
    Refused,
    Partial,
    Closed,
}

/// Something to sign with.
enum Candidate {
    Open { path: PathBuf, key: Arc<PrivateKey> },
    Locked { path: PathBuf, public: PublicKey },
    Agent { identity: PublicKey, comment: String },
    Certified { certificate: Box<Certificate>, signer: CertifiedBy, name: String },
}

#[derive(Clone)]
enum CertifiedBy {
    Key(Arc<PrivateKey>),
    Locked(PathBuf),
    Agent,
}

struct Attempt<'a> {
    shared: &'a Shared,
    settings: &'a Settings,
    offers: Vec<Offer>,
    methods: Option<MethodSet>,
    tried: usize,
    rsa_hash: Option<Option<HashAlg>>,
    partial: bool,
}

impl Attempt<'_> {
    async fn run(&mut self, connected: &mut Connected) -> Result<Outcome, Unreachable> {
        let mut agent = self.open_agent(&connected.handle).await;
        let candidates = self.candidates(agent.as_ref()).await;
        if candidates.is_empty() {
            // Nothing to sign with: ask what else would do.
            let timeout_for = self.settings.connect_timeout;
            let asked = timeout(timeout_for, connected.handle.authenticate_none(&self.settings.user)).await;
            match self.note(asked.map_err(|_| timed_out(self.settings, "authentication"))?) {
                Answer::In => return Ok(Outcome::In),
                Answer::Closed => return Ok(Outcome::Closed),
                Answer::Refused | Answer::Partial => {}
            }
        }
        for candidate in candidates {
            if !self.permits(MethodKind::PublicKey) {
                break;
            }
            if self.tried >= MAX_OFFERS {
                return Ok(Outcome::Bound);
            }
            match self.offer(connected, agent.as_mut(), candidate).await? {
                Answer::In => return Ok(Outcome::In),
                Answer::Closed => return Ok(Outcome::Closed),
                Answer::Refused | Answer::Partial => {}
            }
        }
        self.by_words(connected).await
    }

    /// Keyboard-interactive, then password: only where somebody can be asked.
    async fn by_words(&mut self, connected: &mut Connected) -> Result<Outcome, Unreachable> {
        if !self.shared.may_ask_passwords() {
            return Ok(Outcome::Exhausted);
        }
        if self.permits(MethodKind::KeyboardInteractive) {
            let answer = self.keyboard_interactive(connected).await?;
            match answer {
                Answer::In => return Ok(Outcome::In),
                Answer::Closed => return Ok(Outcome::Closed),
                Answer::Refused | Answer::Partial => {}
            }
        }
        if self.permits(MethodKind::Password)
            && let Some(password) = self.shared.password(self.settings).await
        {
            self.tried += 1;
            let user = self.settings.user.clone();
            let asked = connected.handle.authenticate_password(user, password.expose_secret().to_owned());
            let asked = timeout(self.settings.connect_timeout, asked).await;
            let answer = self.note(asked.map_err(|_| timed_out(self.settings, "authentication"))?);
            self.account(OfferKind::Password, "password", &answer);
            match answer {
                Answer::In => return Ok(Outcome::In),
                Answer::Closed => return Ok(Outcome::Closed),
                Answer::Refused | Answer::Partial => {}
            }
        }
        Ok(Outcome::Exhausted)
    }

    async fn keyboard_interactive(&mut self, connected: &mut Connected) -> Result<Answer, Unreachable> {
        self.tried += 1;
        let late = || timed_out(self.settings, "authentication");
        let start = connected.handle.authenticate_keyboard_interactive_start(&self.settings.user, None);
        let mut response = timeout(self.settings.connect_timeout, start).await.map_err(|_| late())?;
        let mut answer = Answer::Refused;
        for _ in 0..MAX_ROUNDS {
            let prompts = match response {
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => prompts,
                Ok(KeyboardInteractiveAuthResponse::Success) => {
                    answer = Answer::In;
                    break;
                }
                Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success }) => {
                    answer = self.note(Ok(AuthResult::Failure { remaining_methods, partial_success }));
                    break;
                }
                Err(_) => {
                    answer = Answer::Closed;
                    break;
                }
            };
            let mut answers = Vec::with_capacity(prompts.len());
            for prompt in &prompts {
                let given =
                    if prompt.echo || prompts.len() > 1 || !prompt.prompt.to_lowercase().contains("password")
                    {
                        self.shared.answer(self.settings, prompt.prompt.clone()).await
                    } else {
                        self.shared.password(self.settings).await
                    };
                answers.push(given.map(|secret| secret.expose_secret().to_owned()).unwrap_or_default());
            }
            let next = connected.handle.authenticate_keyboard_interactive_respond(answers);
            response = timeout(self.settings.connect_timeout, next).await.map_err(|_| late())?;
        }
        self.account(OfferKind::KeyboardInteractive, "answers", &answer);
        Ok(answer)
    }

    async fn open_agent(&mut self, handle: &Handle<Handler>) -> Option<Agent> {
        let socket = match &self.settings.identity_agent {
            IdentityAgent::None => return None,
            IdentityAgent::Default => self.shared.options.agent_socket.clone()?,
            IdentityAgent::Socket(path) => path.clone(),
        };
        match agent::open(&socket, handle.agent_session_binding()).await {
            Ok(agent) => Some(agent),
            Err(reason) => {
                self.unusable((OfferKind::Agent, socket.display().to_string()), reason, None);
                None
            }
        }
    }

    /// What to offer, in OpenSSH's order: the agent's keys that are configured, its others, then key files.
    /// A certificate goes before the key it certifies.
    async fn candidates(&mut self, agent: Option<&Agent>) -> Vec<Candidate> {
        let files = self.load_files().await;
        let mut certificates = Vec::new();
        for path in &self.settings.certificates {
            match self.shared.identities.certificate(path) {
                Ok(Some(certificate)) => certificates.push((path.clone(), certificate)),
                Ok(None) => self.unusable(
                    (OfferKind::Certificate, path.display().to_string()),
                    "no such file".to_owned(),
                    None,
                ),
                Err(reason) => {
                    self.unusable((OfferKind::Certificate, path.display().to_string()), reason, None)
                }
            }
        }
        let held: Vec<&AgentIdentity> = agent.iter().flat_map(|agent| &agent.identities).collect();
        let held_key = |key: &KeyData| {
            held.iter().any(|id| matches!(id, AgentIdentity::PublicKey { key: k, .. } if k.key_data() == key))
        };
        let mut by_agent = Vec::new();
        let mut by_file = Vec::new();
        let mut seen: HashSet<Vec<u8>> = HashSet::new();
        for (file, loaded) in &files {
            let public = match loaded {
                Identity::Open(key) => Some(key.public_key().clone()),
                Identity::Locked(public) => public.as_deref().cloned(),
                Identity::Absent => None,
                Identity::Unusable { reason, remedy } => {
                    // The agent may hold what the file would not give us.
                    self.unusable(
                        (OfferKind::KeyFile, file.path.display().to_string()),
                        reason.clone(),
                        remedy.clone(),
                    );
                    None
                }
            };
            let Some(public) = public.or_else(|| public_file(&file.path)) else {
                if let Identity::Locked(None) = loaded {
                    match self.shared.unlock(&file.path).await {
                        Ok(key) => by_file.push(Candidate::Open { path: file.path.clone(), key }),
                        Err(reason) => {
                            self.unusable((OfferKind::KeyFile, file.path.display().to_string()), reason, None)
                        }
                    }
                }
                continue;
            };
            let in_agent = held_key(public.key_data());
            let beside = with_suffix(&file.path, "-cert.pub");
            let own = self.shared.identities.certificate(&beside).ok().flatten().map(|c| (beside, c));
            for (path, certificate) in certificates.iter().cloned().chain(own) {
                if certificate.public_key() != public.key_data() {
                    continue;
                }
                let signer = match (in_agent, loaded) {
                    (true, _) => CertifiedBy::Agent,
                    (false, Identity::Open(key)) => CertifiedBy::Key(Arc::clone(key)),
                    (false, Identity::Locked(_)) => CertifiedBy::Locked(file.path.clone()),
                    (false, Identity::Absent | Identity::Unusable { .. }) => continue,
                };
                let name = path.display().to_string();
                by_agent.push(Candidate::Certified { certificate: Box::new(certificate), signer, name });
            }
            if in_agent {
                if seen.insert(public.to_bytes().unwrap_or_default()) {
                    by_agent.push(Candidate::Agent {
                        identity: public,
                        comment: file.path.display().to_string(),
                    });
                }
                continue;
            }
            match loaded {
                Identity::Open(key) => {
                    by_file.push(Candidate::Open { path: file.path.clone(), key: Arc::clone(key) })
                }
                Identity::Locked(_) => by_file.push(Candidate::Locked { path: file.path.clone(), public }),
                Identity::Absent | Identity::Unusable { .. } => {}
            }
        }
        if !self.settings.identities_only {
            for identity in held {
                match identity {
                    AgentIdentity::PublicKey { key, comment } => {
                        if seen.insert(key.to_bytes().unwrap_or_default()) {
                            by_agent
                                .push(Candidate::Agent { identity: key.clone(), comment: comment.clone() });
                        }
                    }
                    AgentIdentity::Certificate { certificate, comment } => {
                        by_agent.push(Candidate::Certified {
                            certificate: Box::new(certificate.clone()),
                            signer: CertifiedBy::Agent,
                            name: comment.clone(),
                        })
                    }
                }
            }
        }
        // Keys that need a passphrase come last: asking is the last resort.
        let (locked, open): (Vec<_>, Vec<_>) =
            by_file.into_iter().partition(|c| matches!(c, Candidate::Locked { .. }));
        by_agent.into_iter().chain(open).chain(locked).collect()
    }

    async fn load_files(&self) -> Vec<(IdentityFile, Identity)> {
        let (identities, files) = (Arc::clone(&self.shared.identities), self.settings.identities.clone());
        let load = move || files.into_iter().map(|file| (file.clone(), identities.load(&file))).collect();
        tokio::task::spawn_blocking(load).await.unwrap_or_default()
    }

    async fn offer(
        &mut self,
        connected: &mut Connected,
        agent: Option<&mut Agent>,
        candidate: Candidate,
    ) -> Result<Answer, Unreachable> {
        let (kind, name) = candidate.label();
        let mut hash = None;
        if candidate.is_rsa() {
            hash = match self.rsa_hash {
                Some(known) => known,
                None => {
                    // Waits up to a second where the host does not say.
                    let asked = connected.handle.best_supported_rsa_hash().await;
                    let found = asked.ok().flatten().flatten().or(Some(HashAlg::Sha512));
                    self.rsa_hash = Some(found);
                    found
                }
            };
        }
        let patience = match &candidate {
            Candidate::Open { .. } => self.settings.connect_timeout,
            Candidate::Locked { .. } | Candidate::Agent { .. } | Candidate::Certified { .. } => {
                PERSON_TIMEOUT.max(self.settings.connect_timeout)
            }
        };
        self.tried += 1;
        let mut signer = Signing { shared: self.shared, agent, by: candidate.by() };
        let user = self.settings.user.clone();
        let handle = &mut connected.handle;
        let asking = async {
            match candidate {
                Candidate::Open { key, .. } => {
                    handle
                        .authenticate_publickey_with(user, key.public_key().clone(), hash, &mut signer)
                        .await
                }
                Candidate::Locked { public, .. } => {
                    handle.authenticate_publickey_with(user, public, hash, &mut signer).await
                }
                Candidate::Agent { identity, .. } => {
                    handle.authenticate_publickey_with(user, identity, hash, &mut signer).await
                }
                Candidate::Certified { certificate, .. } => {
                    handle.authenticate_certificate_with(user, *certificate, hash, &mut signer).await
                }
            }
        };
        let asked =
            timeout(patience, asking).await.map_err(|_| timed_out(self.settings, "authentication"))?;
        let answer = match asked {
            Ok(result) => self.note(Ok(result)),
            Err(SignError::Send) => Answer::Closed,
            Err(SignError::Cannot(reason)) => {
                self.unusable((kind, name), reason, None);
                return Ok(Answer::Refused);
            }
        };
        self.account(kind, &name, &answer);
        Ok(answer)
    }

    /// Reads a result, and what the host would still accept.
    fn note(&mut self, result: Result<AuthResult, russh::Error>) -> Answer {
        match result {
            Ok(AuthResult::Success) => Answer::In,
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                if remaining_methods.is_empty() && !partial_success {
                    // The library's way of saying that the connection is gone.
                    return Answer::Closed;
                }
                self.partial |= partial_success;
                self.methods = Some(remaining_methods);
                if partial_success { Answer::Partial } else { Answer::Refused }
            }
            Err(_) => Answer::Closed,
        }
    }

    fn permits(&self, method: MethodKind) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contains(&method))
    }

    fn account(&mut self, kind: OfferKind, name: &str, answer: &Answer) {
        let result = match answer {
            Answer::In => return,
            Answer::Refused | Answer::Closed => OfferResult::Refused,
            Answer::Partial => OfferResult::Partial,
        };
        self.offers.push(Offer { kind, name: name.to_owned(), result });
    }

    fn unusable(&mut self, (kind, name): (OfferKind, String), reason: String, remedy: Option<String>) {
        self.offers.push(Offer { kind, name, result: OfferResult::Unusable { reason, remedy } });
    }

    fn refused(self, note: String) -> Unreachable {
        let methods = self.methods.iter().flat_map(|set| set.iter()).map(String::from).collect();
        Unreachable::AuthRefused { user: self.settings.user.clone(), offers: self.offers, methods, note }
    }
}

impl Candidate {
    fn label(&self) -> (OfferKind, String) {
        match self {
            Self::Open { path, .. } | Self::Locked { path, .. } => {
                (OfferKind::KeyFile, path.display().to_string())
            }
            Self::Agent { identity, comment } => {
                (OfferKind::AgentKey, format!("{} {comment}", identity.fingerprint(HashAlg::Sha256)))
            }
            Self::Certified { certificate, name, .. } => {
                (OfferKind::Certificate, format!("{name} ({})", certificate.key_id()))
            }
        }
    }

    fn is_rsa(&self) -> bool {
        match self {
            Self::Open { key, .. } => key.algorithm().is_rsa(),
            Self::Locked { public, .. } => public.algorithm().is_rsa(),
            Self::Agent { identity, .. } => identity.algorithm().is_rsa(),
            Self::Certified { certificate, .. } => matches!(certificate.algorithm(), Algorithm::Rsa { .. }),
        }
    }

    fn by(&self) -> CertifiedBy {
        match self {
            Self::Open { key, .. } => CertifiedBy::Key(Arc::clone(key)),
            Self::Locked { path, .. } => CertifiedBy::Locked(path.clone()),
            Self::Agent { .. } => CertifiedBy::Agent,
            Self::Certified { signer, .. } => signer.clone(),
        }
    }
}

/// Signs what the host asks to be signed. It is only called once the host has accepted the public
/// half, so a passphrase is asked for only where it lets us in.
struct Signing<'a> {
    shared: &'a Shared,
    agent: Option<&'a mut Agent>,
    by: CertifiedBy,
}

enum SignError {
    Send,
    Cannot(String),
}

impl From<russh::SendError> for SignError {
    fn from(_: russh::SendError) -> Self {
        Self::Send
    }
}

impl Signer for Signing<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let key = match &self.by {
            CertifiedBy::Key(key) => Arc::clone(key),
            CertifiedBy::Locked(path) => self.shared.unlock(path).await.map_err(SignError::Cannot)?,
            CertifiedBy::Agent => {
                let Some(agent) = self.agent.as_deref_mut() else {
                    return Err(SignError::Cannot("the agent is gone".to_owned()));
                };
                return agent.client.auth_sign(identity, hash, data).await.map_err(|error| match error {
                    AgentAuthError::Send(_) => SignError::Send,
                    AgentAuthError::Key(e) => SignError::Cannot(format!("the agent does not sign: {e}")),
                });
            }
        };
        sign(&key, hash, data).map_err(|e| SignError::Cannot(format!("cannot sign: {e}")))
    }
}

/// Returns `data` followed by its signature, framed as the protocol wants it.
fn sign(key: &PrivateKey, hash: Option<HashAlg>, mut data: Vec<u8>) -> russh::keys::ssh_key::Result<Vec<u8>> {
    use russh::keys::ssh_encoding::Encode as _;
    let signature = match key.key_data() {
        KeypairData::Rsa(rsa) => (rsa, hash).try_sign(&data)?,
        #[expect(clippy::wildcard_enum_match_arm, reason = "every other type has one way to sign")]
        other => other.try_sign(&data)?,
    };
    let mut encoded = Vec::new();
    signature.encode(&mut encoded)?;
    encoded.encode(&mut data)?;
    Ok(data)
}

fn public_file(path: &Path) -> Option<PublicKey> {
    PublicKey::from_openssh(std::fs::read_to_string(with_suffix(path, ".pub")).ok()?.trim()).ok()
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            OfferKind::KeyFile => "key",
            OfferKind::AgentKey => "agent key",
            OfferKind::Certificate => "certificate",
            OfferKind::Agent => "agent",
            OfferKind::KeyboardInteractive => "keyboard-interactive",
            OfferKind::Password => "given",
        };
        let name = &self.name;
        match &self.result {
            OfferResult::Refused => write!(f, "{kind} {name} refused"),
            OfferResult::Partial => write!(f, "{kind} {name} accepted, but more is wanted"),
            OfferResult::Unusable { reason, .. } => write!(f, "{kind} {name}: {reason}"),
        }
    }
}

impl Shared {
    async fn unlock(&self, path: &Path) -> Result<Arc<PrivateKey>, String> {
        self.identities.unlock(path, self.options.prompter.as_ref()).await
    }

    async fn answer(&self, settings: &Settings, text: String) -> Option<secrecy::SecretString> {
        let prompt = Prompt::Question { host: settings.name.clone(), text };
        ask(self.options.prompter.as_ref()?, prompt).await
    }
}
