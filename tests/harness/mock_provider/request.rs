//! What a request is: its dialect, its key, its conversation.

use serde_json::Value;

use super::http::Incoming;

/// The only key the mock takes. It is nobody's.
pub const FAKE_KEY: &str = "mock-key-of-nobody";

/// A provider's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Anthropic messages.
    Anthropic,
    /// OpenAI responses.
    Responses,
    /// OpenAI chat completions.
    Chat,
    /// Gemini generateContent and streamGenerateContent.
    Gemini,
}

impl Dialect {
    /// The API that a path belongs to, when it is one that asks the model.
    pub(super) fn of(path: &str) -> Option<Dialect> {
        let path = path.trim_end_matches('/');
        if path.ends_with("/messages") {
            Some(Dialect::Anthropic)
        } else if path.ends_with("/responses") {
            Some(Dialect::Responses)
        } else if path.ends_with("/chat/completions") {
            Some(Dialect::Chat)
        } else if path.ends_with("enerateContent") {
            Some(Dialect::Gemini)
        } else {
            None
        }
    }
}

/// The path without the query.
pub(super) fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or("")
}

/// Whether every credential in the request is the mock's own. A request without any passes: it asks for nothing.
pub(super) fn has_only_the_fake_key(incoming: &Incoming) -> bool {
    let query = incoming.target.split_once('?').map_or("", |(_, query)| query);
    let in_query = query.split('&').filter_map(|pair| pair.strip_prefix("key="));
    let in_headers = incoming.headers.iter().filter_map(|(name, value)| match name.as_str() {
        "x-api-key" | "x-goog-api-key" | "api-key" | "cookie" | "proxy-authorization" => Some(value.as_str()),
        "authorization" => Some(value.strip_prefix("Bearer ").unwrap_or(value)),
        _ => None,
    });
    in_query.chain(in_headers).all(|key| key == FAKE_KEY)
}

/// Whether the request carries the key at all.
pub(super) fn has_the_fake_key(incoming: &Incoming) -> bool {
    let named = ["x-api-key", "x-goog-api-key", "api-key"].iter().any(|name| incoming.header(name).is_some());
    named
        || incoming.header("authorization").is_some()
        || incoming.target.contains(&format!("key={FAKE_KEY}"))
}

/// The body as JSON.
pub(super) fn body(incoming: &Incoming) -> Value {
    serde_json::from_slice(&incoming.body).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(target: &str, headers: &[(&str, &str)]) -> Incoming {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Incoming { method: "POST".into(), target: target.into(), headers, body: Vec::new() }
    }

    #[test]
    fn any_other_credential_is_seen_wherever_it_is() {
        let fine = incoming("/v1/messages", &[("x-api-key", FAKE_KEY)]);
        assert!(has_only_the_fake_key(&fine) && has_the_fake_key(&fine));
        assert!(has_only_the_fake_key(&incoming("/x?key=mock-key-of-nobody", &[])));
        assert!(!has_the_fake_key(&incoming("/v1/messages", &[])));
        for (target, header) in [
            ("/v1/messages?key=other", ("accept", "*/*")),
            ("/v1/messages", ("x-api-key", "other")),
            ("/v1/messages", ("authorization", "Bearer other")),
            ("/v1/messages", ("cookie", "session=1")),
        ] {
            assert!(!has_only_the_fake_key(&incoming(target, &[header])), "{target} {header:?}");
        }
    }

    #[test]
    fn paths_name_their_dialect() {
        for (path, dialect) in [
            ("/v1/messages", Some(Dialect::Anthropic)),
            ("/v1/messages/count_tokens", None),
            ("/v1/responses", Some(Dialect::Responses)),
            ("/v1/chat/completions", Some(Dialect::Chat)),
            ("/v1beta/models/g:streamGenerateContent", Some(Dialect::Gemini)),
            ("/v1beta/models/g:generateContent", Some(Dialect::Gemini)),
            ("/v1/models", None),
        ] {
            assert_eq!(Dialect::of(path), dialect, "{path}");
        }
    }
}
