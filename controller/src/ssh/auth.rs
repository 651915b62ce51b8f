//! Who we are: what to offer a host, in which order, and an exact account of what it said.

use std::time::Duration;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::HashAlg;
use russh::{MethodKind, MethodSet};
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use super::agent::{self, Agent};
use super::candidates::{self, Candidate, Proof};
use super::client::Shared;
use super::error::Unreachable;
use super::handshake::{Connected, Handler, lock};
use super::jump::timed_out;
use super::offer::{Login, Offer, OfferKind, OfferResult};
use super::settings::{IdentityAgent, Method, Settings};
use super::signing::{SignError, SignedBy, Signing};

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
) -> Result<Login, Unreachable> {
    let mut attempt = Attempt {
        shared,
        settings,
        offers: Vec::new(),
        accepted: None,
        key: None,
        methods: None,
        tried: 0,
        rsa_hash: None,
    };
    let outcome = attempt.run(connected).await?;
    match outcome {
        Outcome::In => Ok(Login { by: attempt.accepted, key: attempt.key, before: attempt.offers }),
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

impl Answer {
    /// Whether that was the end of it.
    fn end(self) -> Option<Outcome> {
        match self {
            Answer::In => Some(Outcome::In),
            Answer::Closed => Some(Outcome::Closed),
            Answer::Refused | Answer::Partial => None,
        }
    }
}

struct Attempt<'a> {
    shared: &'a Shared,
    settings: &'a Settings,
    offers: Vec<Offer>,
    accepted: Option<(OfferKind, String)>,
    /// The fingerprint of the key that was accepted, also where more was wanted.
    key: Option<String>,
    methods: Option<MethodSet>,
    tried: usize,
    rsa_hash: Option<Option<HashAlg>>,
}

impl Attempt<'_> {
    async fn run(&mut self, connected: &mut Connected) -> Result<Outcome, Unreachable> {
        let methods = self.settings.methods.clone();
        let (mut agent, mut candidates) = (None, Vec::new());
        if methods.contains(&Method::PublicKey) {
            agent = self.open_agent(&connected.handle).await;
            candidates = self.candidates(agent.as_mut()).await;
        }
        // Without a key to begin with, the host has to say what would do.
        if (candidates.is_empty() || methods.first() != Some(&Method::PublicKey))
            && let Some(end) = self.nothing(connected).await?.end()
        {
            return Ok(end);
        }
        for method in methods {
            if let Some(end) = self.by(method, connected, (&mut agent, &mut candidates)).await? {
                return Ok(end);
            }
        }
        Ok(Outcome::Exhausted)
    }

    /// Returns the keys and certificates to offer.
    async fn candidates(&mut self, agent: Option<&mut Agent>) -> Vec<Candidate> {
        let held = agent.map(|agent| std::mem::take(&mut agent.identities)).unwrap_or_default();
        let found = candidates::find(self.shared, self.settings, held, &mut self.offers).await;
        candidates::in_order(&found, self.settings)
    }

    /// Asks what would do, by offering nothing.
    async fn nothing(&mut self, connected: &mut Connected) -> Result<Answer, Unreachable> {
        let asked = connected.handle.authenticate_none(&self.settings.user);
        let asked = timeout(self.settings.connect_timeout, asked).await;
        Ok(self.note(asked.map_err(|_| timed_out(self.settings, "authentication"))?))
    }

    /// Tries one way; `None` means that the next one may be tried.
    async fn by(
        &mut self,
        method: Method,
        connected: &mut Connected,
        (agent, candidates): (&mut Option<Agent>, &mut Vec<Candidate>),
    ) -> Result<Option<Outcome>, Unreachable> {
        // Only where somebody can be asked.
        let may_ask = self.shared.may_ask_passwords() && !self.settings.asks_nobody;
        match method {
            Method::PublicKey => {
                for candidate in std::mem::take(candidates) {
                    if !self.permits(MethodKind::PublicKey) {
                        break;
                    }
                    if self.tried >= MAX_OFFERS {
                        return Ok(Some(Outcome::Bound));
                    }
                    if let Some(end) = self.offer(connected, agent.as_mut(), candidate).await?.end() {
                        return Ok(Some(end));
                    }
                }
                Ok(None)
            }
            Method::KeyboardInteractive if may_ask && self.permits(MethodKind::KeyboardInteractive) => {
                Ok(self.keyboard_interactive(connected).await?.end())
            }
            Method::Password if may_ask && self.permits(MethodKind::Password) => {
                Ok(self.password(connected).await?.end())
            }
            Method::KeyboardInteractive | Method::Password => Ok(None),
        }
    }

    async fn password(&mut self, connected: &mut Connected) -> Result<Answer, Unreachable> {
        let Some(password) = self.shared.password(self.settings).await else { return Ok(Answer::Refused) };
        self.tried += 1;
        let user = self.settings.user.clone();
        let asked = connected.handle.authenticate_password(user, password.expose_secret().to_owned());
        let asked = timeout(self.settings.connect_timeout, asked).await;
        let answer = self.note(asked.map_err(|_| timed_out(self.settings, "authentication"))?);
        self.account(OfferKind::Password, "password", &answer);
        Ok(answer)
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

    async fn offer(
        &mut self,
        connected: &mut Connected,
        agent: Option<&mut Agent>,
        candidate: Candidate,
    ) -> Result<Answer, Unreachable> {
        let (kind, name) = candidate.label();
        let fingerprint = candidate.fingerprint();
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
        let patience = match &candidate.signer {
            SignedBy::Key(_) => self.settings.connect_timeout,
            SignedBy::Locked(_) | SignedBy::Agent => PERSON_TIMEOUT.max(self.settings.connect_timeout),
        };
        self.tried += 1;
        let may_ask = !self.settings.asks_nobody;
        let mut signing = Signing { shared: self.shared, agent, by: candidate.signer, may_ask };
        let (user, handle) = (self.settings.user.clone(), &mut connected.handle);
        let asking = async {
            match candidate.proof {
                Proof::Key(key) => handle.authenticate_publickey_with(user, key, hash, &mut signing).await,
                Proof::Certificate(certificate) => {
                    handle.authenticate_certificate_with(user, *certificate, hash, &mut signing).await
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
        if matches!(answer, Answer::In | Answer::Partial) {
            self.key = Some(fingerprint);
        }
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
            Answer::In => {
                self.accepted = Some((kind, name.to_owned()));
                return;
            }
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
