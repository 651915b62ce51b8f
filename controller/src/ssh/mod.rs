//! SSH to one host: how to reach it, who it is, who we are, and what runs there.
//!
//! The only place that names the SSH library. What the rest of the controller uses is
//! re-exported here; the other items are this room's own.

mod error;
mod quote;
mod settings;
mod sudo;

mod algorithms;
mod host_key_files;
mod host_keys;
mod known_hosts;
mod revoked;

mod handshake;
mod jump;
mod limiter;
mod proxy;
mod wire;

mod agent;
mod auth;
mod candidates;
mod identity;
mod offer;
mod signing;

mod beside;
mod channel;
mod client;
mod exec;
mod scan;
mod session;
mod stream;
mod upload;

mod hosted;
pub mod server;

#[cfg(test)]
mod odd_servers;

pub use self::client::{Client, ClientOptions, Prompt, Prompter};
pub use self::error::{Failed, SshError, Unreachable};
pub use self::exec::{Exec, ExitStatus, Output, StdinEnd};
pub use self::handshake::Negotiated;
pub use self::host_key_files::HostKeyFiles;
pub use self::host_keys::{HostName, Verdict, verdict};
pub use self::known_hosts::{Entry, KnownHosts, Marker};
pub use self::limiter::Limits;
pub use self::offer::{Login, Offer, OfferKind, OfferResult};
pub use self::quote::{login_shell_line, quote, quote_all};
pub use self::scan::OfferedKey;
pub use self::session::Session;
pub use self::settings::{
    AddressFamily, AlgorithmFilters, IdentityAgent, IdentityFile, IdentityOrigin, Method, NameForm, Settings,
    Strictness,
};
pub use self::stream::{Line, Source, Stream};
pub use self::sudo::Sudo;
pub use self::upload::{Payload, Upload};
