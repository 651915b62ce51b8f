//! Answers: JSON, errors, and the headers that every answer carries.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::view::SCHEMA;

/// What the page may do: use its own style and script, and talk to where it came from. Nothing is evaluated, no markup
/// is made from text, nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The headers of every answer.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Adds the headers of every answer.
pub(super) fn harden(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Returns a body of a content type.
pub(super) fn body(kind: &'static str, body: impl Into<axum::body::Body>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body.into()).into_response()
}

/// Returns JSON.
pub(super) fn json_of(value: &Value) -> Response {
    body("application/json", value.to_string())
}

/// Returns a list as `{"schema": 1, NAME: [...]}`.
pub(super) fn list(name: &str, values: Vec<Value>) -> Response {
    json_of(&json!({"schema": SCHEMA, name: values}))
}

/// Returns a refusal in words.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    let mut response = json_of(&json!({"schema": SCHEMA, "error": why}));
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
