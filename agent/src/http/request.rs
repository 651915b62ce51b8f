//! The head of an HTTP request: bytes in, a path or a refusal out. Pure.

/// Bytes a head may have.
pub(super) const HEAD_MAX: usize = 8 * 1024;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The page.
    Page,
    /// Its style.
    Style,
    /// Its script.
    Script,
    /// The state as JSON.
    State,
    /// The page's sections, again whenever they change.
    Events,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400
    BadRequest,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 421: a name that is not this machine's, as a foreign page would use it.
    Misdirected,
    /// 431
    TooLarge,
    /// 505
    Version,
}

/// Reads a head that may not be whole yet; `None` waits for more.
pub(super) fn parse(bytes: &[u8]) -> Option<Result<Target, Refusal>> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    match end {
        Some(end) if end <= HEAD_MAX => Some(head(bytes.get(..end).unwrap_or_default())),
        None if bytes.len() <= HEAD_MAX => None,
        Some(_) | None => Some(Err(Refusal::TooLarge)),
    }
}

fn head(head: &[u8]) -> Result<Target, Refusal> {
    let text = std::str::from_utf8(head).map_err(|_| Refusal::BadRequest)?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refusal::BadRequest);
    };
    if !["HTTP/1.1", "HTTP/1.0"].contains(&version) {
        return Err(if version.starts_with("HTTP/") { Refusal::Version } else { Refusal::BadRequest });
    }
    if method != "GET" {
        return Err(Refusal::MethodNotAllowed);
    }
    let mut hosts = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Refusal::BadRequest)?;
        if name.is_empty() || name.contains([' ', '\t']) {
            return Err(Refusal::BadRequest);
        }
        if name.eq_ignore_ascii_case("host") {
            hosts.push(value.trim());
        }
    }
    match hosts.as_slice() {
        [host] if is_loopback(host) => {}
        [_] => return Err(Refusal::Misdirected),
        [] if version == "HTTP/1.0" => {}
        [] | [_, _, ..] => return Err(Refusal::BadRequest),
    }
    let path = target.split('?').next().unwrap_or_default();
    match path {
        "/" => Ok(Target::Page),
        "/page.css" => Ok(Target::Style),
        "/page.js" => Ok(Target::Script),
        "/api/state" => Ok(Target::State),
        "/events" => Ok(Target::Events),
        _ if path.starts_with('/') => Err(Refusal::NotFound),
        _ => Err(Refusal::BadRequest),
    }
}

/// A page of another site can reach this port under a name of its own; under these it cannot.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    ["127.0.0.1", "[::1]"].contains(&name) || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Result<Target, Refusal>>) {
        assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
    }

    #[test]
    fn known_paths_are_found_and_others_are_not() {
        for (path, expected) in [
            ("/", Ok(Target::Page)),
            ("/?x=1", Ok(Target::Page)),
            ("/api/state", Ok(Target::State)),
            ("/events", Ok(Target::Events)),
            ("/page.css", Ok(Target::Style)),
            ("/page.js", Ok(Target::Script)),
            ("/api", Err(Refusal::NotFound)),
            ("/../etc/passwd", Err(Refusal::NotFound)),
            ("http://localhost/", Err(Refusal::BadRequest)),
        ] {
            check(&format!("GET {path} HTTP/1.1\r\nHost: localhost:8765\r\n\r\n"), Some(expected));
        }
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for (host, expected) in [
            ("127.0.0.1", Ok(Target::Page)),
            ("127.0.0.1:8765", Ok(Target::Page)),
            ("LOCALHOST:1", Ok(Target::Page)),
            ("[::1]:8765", Ok(Target::Page)),
            ("evil.example:8765", Err(Refusal::Misdirected)),
            ("127.0.0.1.evil.example", Err(Refusal::Misdirected)),
            ("", Err(Refusal::Misdirected)),
        ] {
            check(&format!("GET / HTTP/1.1\r\nhOsT: {host}\r\n\r\n"), Some(expected));
        }
        check("GET / HTTP/1.0\r\n\r\n", Some(Ok(Target::Page)));
        check("GET / HTTP/1.1\r\n\r\n", Some(Err(Refusal::BadRequest)));
        check("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", Some(Err(Refusal::BadRequest)));
    }

    #[test]
    fn what_is_no_request_is_refused_and_a_part_of_one_waits() {
        check("GET / HT", None);
        check("GET / HTTP/1.1\r\nHost: localhost\r\n", None);
        check("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", Some(Err(Refusal::MethodNotAllowed)));
        check("GET / HTTP/2\r\nHost: localhost\r\n\r\n", Some(Err(Refusal::Version)));
        check("GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", Some(Err(Refusal::BadRequest)));
        check("hello\r\n\r\n", Some(Err(Refusal::BadRequest)));
        check("GET / HTTP/1.1\r\nnothing\r\n\r\n", Some(Err(Refusal::BadRequest)));
        let long = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(HEAD_MAX));
        check(&long, Some(Err(Refusal::TooLarge)));
        check(&format!("{long}\r\n\r\n"), Some(Err(Refusal::TooLarge)));
        assert_eq!(parse(b"GET /\xff HTTP/1.1\r\n\r\n"), Some(Err(Refusal::BadRequest)));
    }
}
