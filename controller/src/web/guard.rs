//! Who may ask for what: the address asked for, where the question comes from, the token. Pure.
//!
//! A page of another site can make a browser send requests here, and a name that points here today can have pointed
//! elsewhere a minute ago. So the host asked for must be an address or one of our names, a browser must say that the
//! question comes from our own page, and whatever changes something needs the token, which no browser sends by itself.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, Method, StatusCode, header};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What is asked for, as far as it decides who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The page without anything of the fleet, its style and script.
    Shell,
    /// What is known of the fleet.
    Read,
    /// Something that is done on a host or remembered.
    Act,
}

/// The rules of one listening address.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Digest of the token.
    token: [u8; 32],
    /// Whether reading needs the token too.
    private: bool,
    /// Names besides `localhost` that may be asked for.
    names: Vec<String>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The host asked for is not ours.
    #[error("this address does not answer to that host name; name it with --serve-name")]
    Host,
    /// Another site's page asks.
    #[error("the request comes from another site")]
    Site,
    /// There is no token, or a wrong one.
    #[error("this needs the token: send it as `Authorization: Bearer TOKEN`")]
    Token,
    /// A change that is not JSON: forms of other sites cannot send that.
    #[error("the content type has to be application/json")]
    Type,
}

impl Refused {
    /// Returns the answer's status.
    pub fn status(self) -> StatusCode {
        match self {
            Refused::Host => StatusCode::MISDIRECTED_REQUEST,
            Refused::Site => StatusCode::FORBIDDEN,
            Refused::Token => StatusCode::UNAUTHORIZED,
            Refused::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }
}

impl Guard {
    /// Returns the rules for an address: one that others can reach shows nothing without the token.
    pub fn new(address: SocketAddr, token: &str, names: Vec<String>) -> Guard {
        let names = names.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        Guard { token: digest(token), private: !address.ip().is_loopback(), names }
    }

    /// Returns whether reading needs the token too.
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// Judges a request.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(&self, need: Need, method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST).filter(|host| self.answers_to(host)).ok_or(Refused::Host)?;
        if let Some(origin) = headers.get(header::ORIGIN) {
            let origin = origin.to_str().map_err(|_| Refused::Site)?;
            let ours = ["http://", "https://"].iter().any(|scheme| {
                origin.strip_prefix(scheme).is_some_and(|origin| origin.eq_ignore_ascii_case(host))
            });
            if !ours {
                return Err(Refused::Site);
            }
        }
        let fetch = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        match fetch("sec-fetch-site") {
            None | Some("same-origin" | "none") => {}
            // A link on another page may lead here; nothing else of that page may.
            Some(_) if need == Need::Shell && fetch("sec-fetch-mode") == Some("navigate") => {}
            Some(_) => return Err(Refused::Site),
        }
        let wanted = match need {
            Need::Shell => false,
            Need::Read => self.private,
            Need::Act => true,
        };
        if wanted && !self.is_token(text(header::AUTHORIZATION)) {
            return Err(Refused::Token);
        }
        if method == Method::POST {
            let kind = text(header::CONTENT_TYPE).unwrap_or_default();
            let kind = kind.split(';').next().unwrap_or_default().trim();
            if !kind.eq_ignore_ascii_case("application/json") {
                return Err(Refused::Type);
            }
        }
        Ok(())
    }

    /// Returns whether an `Authorization` header carries the token.
    pub fn is_token(&self, header: Option<&str>) -> bool {
        let given = header.and_then(|header| {
            let (scheme, token) = header.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        // However far the two agree, the comparison takes the same time.
        given.is_some_and(|given| keyed(given).verify_slice(&self.token).is_ok())
    }

    /// An address cannot be made to point elsewhere; a name can, so only ours count.
    fn answers_to(&self, host: &str) -> bool {
        if let Some(rest) = host.strip_prefix('[') {
            return rest.split_once(']').is_some_and(|(address, port)| {
                address.parse::<std::net::Ipv6Addr>().is_ok() && (port.is_empty() || port.starts_with(':'))
            });
        }
        let name = host.split_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        name.parse::<IpAddr>().is_ok() || name == "localhost" || self.names.contains(&name)
    }
}

fn digest(token: &str) -> [u8; 32] {
    keyed(token).finalize().into_bytes().into()
}

fn keyed(token: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(b"token of the dashboard").expect("a key of any length is one");
    mac.update(token.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "a-token-of-the-tests";

    fn guard(address: &str) -> Guard {
        Guard::new(address.parse().unwrap(), TOKEN, vec!["Fleet.lan".into()])
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn check(
        guard: &Guard,
        need: Need,
        method: Method,
        pairs: &[(&'static str, &str)],
    ) -> Result<(), Refused> {
        guard.check(need, &method, &headers(pairs))
    }

    #[test]
    fn only_addresses_and_our_own_names_are_answered() {
        let guard = guard("127.0.0.1:7300");
        for host in
            ["127.0.0.1:7300", "localhost:7300", "LOCALHOST", "[::1]:7300", "10.0.0.7", "fleet.lan:80"]
        {
            assert_eq!(check(&guard, Need::Read, Method::GET, &[("host", host)]), Ok(()), "{host}");
        }
        for host in
            ["evil.example:7300", "localhost.evil.example", "[evil]", "", "127.0.0.1.evil.example", "[::1]x"]
        {
            let refused = check(&guard, Need::Shell, Method::GET, &[("host", host)]);
            assert_eq!(refused, Err(Refused::Host), "{host}");
        }
        assert_eq!(check(&guard, Need::Read, Method::GET, &[]), Err(Refused::Host));
    }

    #[test]
    fn a_page_of_another_site_gets_nothing() {
        let guard = guard("127.0.0.1:7300");
        let host = ("host", "127.0.0.1:7300");
        let bearer = format!("Bearer {TOKEN}");
        for (extra, expected) in [
            (("origin", "http://127.0.0.1:7300"), Ok(())),
            (("origin", "https://127.0.0.1:7300"), Ok(())),
            (("origin", "http://127.0.0.1:8080"), Err(Refused::Site)),
            (("origin", "http://evil.example"), Err(Refused::Site)),
            (("origin", "null"), Err(Refused::Site)),
            (("sec-fetch-site", "same-origin"), Ok(())),
            (("sec-fetch-site", "none"), Ok(())),
            (("sec-fetch-site", "same-site"), Err(Refused::Site)),
            (("sec-fetch-site", "cross-site"), Err(Refused::Site)),
        ] {
            assert_eq!(check(&guard, Need::Read, Method::GET, &[host, extra]), expected, "{extra:?}");
            let act = [host, extra, ("authorization", &bearer), ("content-type", "application/json")];
            assert_eq!(check(&guard, Need::Act, Method::POST, &act), expected, "{extra:?}");
        }
        let link = [host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        assert_eq!(check(&guard, Need::Shell, Method::GET, &link), Ok(()), "a link may lead here");
        assert_eq!(check(&guard, Need::Read, Method::GET, &link), Err(Refused::Site));
    }

    #[test]
    fn acting_always_needs_the_token_and_reading_needs_it_where_others_can_ask() {
        let host = ("host", "127.0.0.1:7300");
        let json = ("content-type", "application/json; charset=utf-8");
        let (near, far) = (guard("[::1]:7300"), guard("0.0.0.0:7300"));
        assert_eq!(check(&near, Need::Read, Method::GET, &[host]), Ok(()));
        assert_eq!(check(&far, Need::Shell, Method::GET, &[host]), Ok(()));
        assert_eq!(check(&far, Need::Read, Method::GET, &[host]), Err(Refused::Token));
        for guard in [&near, &far] {
            assert_eq!(check(guard, Need::Act, Method::POST, &[host, json]), Err(Refused::Token));
            for wrong in ["Bearer wrong", "Bearer ", TOKEN, "Basic YTph"] {
                let refused = check(guard, Need::Act, Method::POST, &[host, json, ("authorization", wrong)]);
                assert_eq!(refused, Err(Refused::Token), "{wrong}");
            }
            let bearer = format!("bearer {TOKEN}");
            let right = ("authorization", &*bearer);
            assert_eq!(check(guard, Need::Act, Method::POST, &[host, json, right]), Ok(()));
            assert_eq!(check(guard, Need::Read, Method::GET, &[host, right]), Ok(()));
            let form = ("content-type", "text/plain");
            assert_eq!(check(guard, Need::Act, Method::POST, &[host, form, right]), Err(Refused::Type));
            assert_eq!(check(guard, Need::Act, Method::POST, &[host, right]), Err(Refused::Type));
        }
    }
}
