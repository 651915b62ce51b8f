//! A route through jump hosts: `[user@]host[:port]`, several separated by commas, or `none`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::name::{NameError, check_address, check_user};

/// Most hops one route may have.
const MAX_HOPS: usize = 16;

/// The hosts a connection goes through before it reaches its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyJump {
    /// Written `none`: straight to the host, whatever a weaker source says.
    Direct,
    /// Through these, in this order; never empty.
    Through(Vec<Hop>),
}

/// One host on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The user there, if it is named.
    pub user: Option<String>,
    /// The host: a name of the inventory, an alias of ssh_config, or an address.
    pub host: String,
    /// The port there, if it is named.
    pub port: Option<u16>,
}

/// Why a text is no route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JumpError {
    /// A part between two commas is empty.
    #[error("a jump host is missing; expected [user@]host[:port], several separated by commas, or none")]
    Empty,
    /// The port is no port.
    #[error("jump host {0:?} has no valid port (1 to 65535)")]
    Port(String),
    /// The user or the host cannot be a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// More hops than anyone has.
    #[error("more than {MAX_HOPS} jump hosts")]
    TooMany,
    /// `none` next to a host.
    #[error("\"none\" stands alone, not next to a jump host")]
    None,
}

impl FromStr for ProxyJump {
    type Err = JumpError;

    fn from_str(text: &str) -> Result<Self, JumpError> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::Direct);
        }
        let hops = text.split(',').map(|hop| hop.trim().parse()).collect::<Result<Vec<Hop>, _>>()?;
        if hops.len() > MAX_HOPS {
            return Err(JumpError::TooMany);
        }
        if hops.iter().any(|hop| hop.user.is_none() && hop.host.eq_ignore_ascii_case("none")) {
            return Err(JumpError::None);
        }
        Ok(Self::Through(hops))
    }
}

impl FromStr for Hop {
    type Err = JumpError;

    fn from_str(text: &str) -> Result<Self, JumpError> {
        let text = text.strip_prefix("ssh://").map_or(text, |uri| uri.strip_suffix('/').unwrap_or(uri));
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, text),
        };
        let (host, port) = split_port(place);
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(Ok(_) | Err(_)) => return Err(JumpError::Port(text.into())),
        };
        if host.is_empty() {
            return Err(JumpError::Empty);
        }
        check_address(host)?;
        user.map(check_user).transpose()?;
        Ok(Self { user: user.map(Into::into), host: host.into(), port })
    }
}

/// Splits `host:port`, `[v6]:port`, a bare host and a bare IPv6 address.
fn split_port(place: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = place.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        return (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').unwrap_or("")) });
    }
    match place.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        Some(_) | None => (place, None),
    }
}

impl fmt::Display for ProxyJump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("none"),
            Self::Through(hops) => {
                for (at, hop) in hops.iter().enumerate() {
                    write!(f, "{}{hop}", if at > 0 { "," } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match (self.port, self.host.contains(':')) {
            (None, _) => f.write_str(&self.host),
            (Some(port), true) => write!(f, "[{}]:{port}", self.host),
            (Some(port), false) => write!(f, "{}:{port}", self.host),
        }
    }
}

impl Serialize for ProxyJump {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_and_written_back() {
        for (text, again) in [
            ("none", "none"),
            ("NONE", "none"),
            ("gate", "gate"),
            ("me@gate:2222", "me@gate:2222"),
            ("a,b@c,d:1", "a,b@c,d:1"),
            ("a, b", "a,b"),
            ("[::1]:22", "[::1]:22"),
            ("fe80::1", "fe80::1"),
            ("ssh://me@gate:23/", "me@gate:23"),
            ("me@corp@gate", "me@corp@gate"),
        ] {
            assert_eq!(text.parse::<ProxyJump>().unwrap().to_string(), again, "{text}");
        }
    }

    #[test]
    fn routes_that_mean_nothing_are_refused() {
        for text in [
            "", ",", "a,", "a:0", "a:x", "a:70000", "[::1", "[::1]x", "-oX", "u r@h", "a b", "@h", "none,a",
            "a;id",
        ] {
            assert!(text.parse::<ProxyJump>().is_err(), "{text}");
        }
    }
}
