//! What can go wrong between us and a host, in the two classes the exit code needs.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{HashAlg, PublicKey};

use super::exec::Output;
use super::offer::{Offer, OfferResult};

/// A host and why nothing could be done there, or why what was done failed.
#[derive(Debug, Clone)]
pub enum SshError {
    /// No usable connection came about.
    Unreachable {
        /// The host's display name.
        host: String,
        /// Why not.
        cause: Arc<Unreachable>,
    },
    /// The connection stood; what ran over it failed.
    Failed {
        /// The host's display name.
        host: String,
        /// How.
        cause: Arc<Failed>,
    },
}

/// Why no usable connection came about.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// The name has no address.
    #[error("cannot resolve {address}")]
    Resolve {
        /// The name.
        address: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// The name has addresses, but none of the permitted family.
    #[error("{address} has no address of the permitted family")]
    NoAddress {
        /// The name.
        address: String,
    },
    /// Nothing listens there.
    #[error("connection to {endpoint} refused")]
    Refused {
        /// Address and port.
        endpoint: String,
    },
    /// TCP could not be established for another reason.
    #[error("cannot connect to {endpoint}")]
    Connect {
        /// Address and port.
        endpoint: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No answer in time.
    #[error("no answer from {endpoint} within {:.1} s ({stage})", after.as_secs_f64())]
    Timeout {
        /// Address and port.
        endpoint: String,
        /// The deadline.
        after: Duration,
        /// What was waited for.
        stage: &'static str,
    },
    /// The other end closed the connection before anybody was authenticated.
    #[error("{endpoint} closed the connection {stage}{said}", said = said_text(.said))]
    Closed {
        /// Address and port.
        endpoint: String,
        /// When.
        stage: &'static str,
        /// The first line it sent, if it was no SSH greeting.
        said: String,
    },
    /// The two ends have no common language.
    #[error("key exchange with {endpoint} failed: {detail}")]
    Handshake {
        /// Address and port.
        endpoint: String,
        /// In which respect.
        detail: String,
    },
    /// No key is recorded for the host.
    #[error("host key of {name} is not known ({} {})", .key.algorithm(), .key.fingerprint(HashAlg::Sha256))]
    HostKeyUnknown {
        /// The name under which it would be recorded.
        name: String,
        /// The offered key.
        key: Box<PublicKey>,
    },
    /// Another key is recorded for the host.
    #[error("host key of {name} does not match the recorded one: offered {offered}, recorded {recorded}")]
    HostKeyMismatch {
        /// The name under which keys are recorded.
        name: String,
        /// What the host offered.
        offered: String,
        /// What is recorded, and where.
        recorded: String,
        /// The file and line of the first record.
        at: Option<(PathBuf, usize)>,
    },
    /// The host's key is marked as revoked.
    #[error("host key of {name} is revoked by {}:{line} ({fingerprint})", file.display())]
    HostKeyRevoked {
        /// The name under which keys are recorded.
        name: String,
        /// The file with the mark.
        file: PathBuf,
        /// The line of the mark.
        line: usize,
        /// SHA256 fingerprint of the offered key.
        fingerprint: String,
    },
    /// The host showed a certificate that proves nothing.
    #[error("host certificate of {name} refused: {reason}")]
    HostCertificate {
        /// The name it should be valid for.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A known_hosts file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    HostKeyFile {
        /// The file.
        path: PathBuf,
        /// `read` or `record a key in`.
        action: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The host accepted none of what we can show.
    #[error("{user} was not let in: {}", offers_text(.offers, .methods, .note))]
    AuthRefused {
        /// The user we tried to be.
        user: String,
        /// Everything that was offered or could not be, in order.
        offers: Vec<Offer>,
        /// What the host would accept.
        methods: Vec<String>,
        /// Why we stopped, if not for lack of keys.
        note: String,
    },
    /// The way to the host is broken.
    #[error("jump host {jump} failed")]
    Jump {
        /// The jump host's display name.
        jump: String,
        /// What happened to it.
        #[source]
        source: SshError,
    },
    /// A jump host would not pass us on.
    #[error("jump host {jump} cannot reach {endpoint}: {reason}")]
    JumpRefused {
        /// The jump host's display name.
        jump: String,
        /// Where we wanted to go.
        endpoint: String,
        /// What it said.
        reason: String,
    },
    /// The proxy command could not be started.
    #[error("cannot start proxy command `{command}`")]
    ProxyCommand {
        /// The command.
        command: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The proxy command ended before there was a connection.
    #[error("proxy command `{command}` failed, saying `{said}`")]
    ProxyEnded {
        /// The command.
        command: String,
        /// What it said last.
        said: String,
    },
    /// A setting names no algorithm we have.
    #[error("{setting} `{value}` leaves no algorithm to use")]
    Algorithms {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        value: String,
    },
}

/// How something that ran on a host failed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The host refused another channel or the command itself.
    #[error("the host refused to run a command: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The command did not end in time. It may still be running.
    #[error("no result within {:.1} s", after.as_secs_f64())]
    Timeout {
        /// The deadline.
        after: Duration,
        /// What it had printed.
        output: Output,
    },
    /// The command ended without saying how.
    #[error("the command ended without an exit status")]
    NoStatus {
        /// What it had printed.
        output: Output,
    },
    /// The connection broke while the command ran. It may still be running.
    #[error("connection lost while the command ran{detail}")]
    Lost {
        /// What the transport said, with a leading separator, or nothing.
        detail: String,
        /// What it had printed.
        output: Output,
    },
    /// The text cannot be passed to a shell.
    #[error("the command cannot be sent: {reason}")]
    Unsendable {
        /// Why.
        reason: &'static str,
    },
    /// A file could not be put in place.
    #[error("cannot upload {path}: {reason}")]
    Upload {
        /// The path on the host.
        path: String,
        /// What happened.
        reason: String,
    },
    /// An upload made no progress.
    #[error("upload of {path} stalled for {} s after {sent} bytes", after.as_secs())]
    Stalled {
        /// The path on the host.
        path: String,
        /// The time without progress.
        after: Duration,
        /// Bytes sent until then.
        sent: u64,
    },
    /// The file to upload cannot be read here.
    #[error("cannot read {}", path.display())]
    Payload {
        /// The local file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl SshError {
    /// Whether no usable connection came about; otherwise something that ran failed.
    pub fn unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// The display name of the host.
    pub fn host(&self) -> &str {
        match self {
            Self::Unreachable { host, .. } | Self::Failed { host, .. } => host,
        }
    }

    /// What the command had printed, where one ran and did not come to its end.
    pub fn output(&self) -> Option<&Output> {
        let Self::Failed { cause, .. } = self else { return None };
        match cause.as_ref() {
            Failed::Timeout { output, .. } | Failed::NoStatus { output } | Failed::Lost { output, .. } => {
                Some(output)
            }
            Failed::Refused { .. }
            | Failed::Unsendable { .. }
            | Failed::Upload { .. }
            | Failed::Stalled { .. }
            | Failed::Payload { .. } => None,
        }
    }

    /// What the user can do about it, if anything is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { host, cause } => cause.hint(host),
            Self::Failed { .. } => None,
        }
    }

    pub(super) fn no_connection(host: &str, cause: Unreachable) -> Self {
        Self::Unreachable { host: host.to_owned(), cause: Arc::new(cause) }
    }

    pub(super) fn failed(host: &str, cause: Failed) -> Self {
        Self::Failed { host: host.to_owned(), cause: Arc::new(cause) }
    }
}

/// What sshd says, from 9.8 on, instead of its greeting to an address that it holds off.
const PENALTY: &str = "Not allowed at this time";

impl Unreachable {
    /// Whether the host holds this machine's address off: each further try makes that longer.
    pub(super) fn is_penalty(&self) -> bool {
        matches!(self, Self::Closed { said, .. } if said.starts_with(PENALTY))
    }

    fn hint(&self, host: &str) -> Option<String> {
        match self {
            Self::HostKeyUnknown { .. } => Some(format!("agent-runner-fleet trust {host}")),
            Self::HostKeyMismatch { name, at, .. } => Some(match at {
                Some((file, line)) => format!(
                    "if the host was reinstalled, remove line {line} of {0} (ssh-keygen -f {0} -R '{name}'), then run agent-runner-fleet trust {host}",
                    file.display()
                ),
                None => format!(
                    "if the host was reinstalled, remove its record, then run agent-runner-fleet trust {host}"
                ),
            }),
            Self::AuthRefused { offers, .. } => Some(
                offers
                    .iter()
                    .find_map(|offer| match &offer.result {
                        OfferResult::Unusable { remedy, .. } => remedy.clone(),
                        OfferResult::Refused | OfferResult::Partial => None,
                    })
                    .unwrap_or_else(|| {
                        "add the key to the agent (ssh-add), or to the host's authorized_keys".to_owned()
                    }),
            ),
            Self::Jump { source: SshError::Unreachable { host: jump, cause }, .. } => {
                // The jump's own address is meant; the rest works by the host's name, also where the jump is none of
                // the inventory.
                let own = matches!(cause.as_ref(), Self::Resolve { .. });
                cause.hint(if own { jump } else { host })
            }
            Self::Jump { source, .. } => source.hint(),
            Self::Closed { .. } if self.is_penalty() => Some(
                "its sshd holds this machine's address off for a while, after logins that failed or took too long \
                 (PerSourcePenalties): wait some minutes before the next try; its log says what it was"
                    .to_owned(),
            ),
            Self::Closed { .. } => Some(
                "the host may limit new connections (MaxStartups): try fewer at a time"
                    .to_owned(),
            ),
            Self::Resolve { .. } => Some(format!(
                "if the name is not its address, say where it is: [hosts.{host:?}] address = ..."
            )),
            Self::Refused { .. } => Some(format!(
                "is sshd running there, on this port? agent-runner-fleet ssh-check {host} shows the way to it"
            )),
            Self::Timeout { .. } => Some(format!(
                "is it on, and is this its address? agent-runner-fleet ssh-check {host} shows the way to it"
            )),
            Self::NoAddress { .. }
            | Self::Connect { .. }
            | Self::Handshake { .. }
            | Self::HostKeyRevoked { .. }
            | Self::HostCertificate { .. }
            | Self::HostKeyFile { .. }
            | Self::JumpRefused { .. }
            | Self::ProxyCommand { .. }
            | Self::ProxyEnded { .. }
            | Self::Algorithms { .. } => None,
        }
    }
}

impl fmt::Display for SshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { host, cause } => write!(f, "{host}: {cause}"),
            Self::Failed { host, cause } => write!(f, "{host}: {cause}"),
        }
    }
}

impl std::error::Error for SshError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable { cause, .. } => cause.source(),
            Self::Failed { cause, .. } => cause.source(),
        }
    }
}

fn said_text(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(", saying `{said}`") }
}

fn offers_text(offers: &[Offer], methods: &[String], note: &str) -> String {
    let mut parts: Vec<String> = offers.iter().map(ToString::to_string).collect();
    if parts.is_empty() {
        parts.push("nothing to offer: no key file, no agent".to_owned());
    }
    if !methods.is_empty() {
        parts.push(format!("the host accepts {}", methods.join(", ")));
    }
    if !note.is_empty() {
        parts.push(note.to_owned());
    }
    parts.join("; ")
}
