//! How each provider words its refusals: status, headers, body.
#![expect(clippy::indexing_slicing, reason = "a missing member of a JSON value is null")]

use serde_json::{Value, json};

use super::request::Dialect;

/// Seconds until a limit ends, when the mock says so.
pub(super) const RESET_IN_S: i64 = 1800;

/// What a provider refuses with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The key is not known.
    Key,
    /// The key may not do this.
    Permission,
    /// Too many requests.
    Rate,
    /// Too many requests, with the time at which it ends.
    RateUntil,
    /// The account has used what it may.
    Account,
    /// An error inside.
    Broken,
    /// Too much to do.
    Overloaded,
    /// A conversation longer than the model takes.
    TooLong,
}

/// One refusal in a provider's words.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Value,
}

/// Words a failure as the provider of a dialect does. `now` in seconds since 1970.
pub(super) fn failure(dialect: Dialect, refusal: Refusal, now: i64) -> Failure {
    let status = status(dialect, refusal);
    let body = match dialect {
        Dialect::Anthropic => anthropic(refusal),
        Dialect::Responses | Dialect::Chat => openai(refusal, now),
        Dialect::Gemini => gemini(status, refusal),
    };
    Failure { status, headers: headers(dialect, refusal, now), body }
}

fn status(dialect: Dialect, refusal: Refusal) -> u16 {
    match refusal {
        Refusal::Key if dialect == Dialect::Gemini => 400,
        Refusal::Key => 401,
        Refusal::Permission => 403,
        Refusal::Rate | Refusal::RateUntil | Refusal::Account => 429,
        Refusal::Overloaded if dialect == Dialect::Anthropic => 529,
        Refusal::Overloaded => 503,
        Refusal::TooLong => 400,
        Refusal::Broken => 500,
    }
}

fn headers(dialect: Dialect, refusal: Refusal, now: i64) -> Vec<(String, String)> {
    let pair = |name: &str, value: String| (name.to_owned(), value);
    let reset = (now + RESET_IN_S).to_string();
    match (refusal, dialect) {
        (Refusal::RateUntil, Dialect::Anthropic) => vec![pair("retry-after", RESET_IN_S.to_string())],
        (Refusal::RateUntil, _) => vec![
            pair("retry-after", RESET_IN_S.to_string()),
            pair("x-ratelimit-reset-requests", format!("{RESET_IN_S}s")),
        ],
        (Refusal::Account, Dialect::Anthropic) => vec![
            pair("retry-after", RESET_IN_S.to_string()),
            pair("anthropic-ratelimit-unified-status", "rejected".into()),
            pair("anthropic-ratelimit-unified-representative-claim", "five_hour".into()),
            pair("anthropic-ratelimit-unified-reset", reset.clone()),
            pair("anthropic-ratelimit-unified-5h-status", "rejected".into()),
            pair("anthropic-ratelimit-unified-5h-reset", reset),
            pair("anthropic-ratelimit-unified-5h-utilization", "1.0".into()),
            pair("anthropic-ratelimit-unified-overage-status", "rejected".into()),
        ],
        _ => Vec::new(),
    }
}

fn anthropic(refusal: Refusal) -> Value {
    let (kind, message) = match refusal {
        Refusal::Key => ("authentication_error", "invalid x-api-key"),
        Refusal::Permission => {
            ("permission_error", "Your API key does not have permission to use this model")
        }
        Refusal::Rate | Refusal::RateUntil => {
            ("rate_limit_error", "This request would exceed your organization's rate limit")
        }
        Refusal::Account => (
            "rate_limit_error",
            "This request would exceed your account's rate limit. Please try again later.",
        ),
        Refusal::Overloaded => ("overloaded_error", "Overloaded"),
        Refusal::TooLong => ("invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum"),
        Refusal::Broken => ("api_error", "Internal server error"),
    };
    json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_mock" })
}

fn openai(refusal: Refusal, now: i64) -> Value {
    let (kind, code, message) = match refusal {
        Refusal::Key => ("invalid_request_error", "invalid_api_key", "Incorrect API key provided"),
        Refusal::Permission => (
            "permission_error",
            "insufficient_permissions",
            "You have insufficient permissions for this operation",
        ),
        Refusal::Rate | Refusal::RateUntil => {
            ("requests", "rate_limit_exceeded", "Rate limit reached for requests")
        }
        Refusal::Account => {
            ("usage_limit_reached", "usage_limit_reached", "The usage limit has been reached")
        }
        Refusal::Overloaded => ("server_error", "server_is_overloaded", "The server is overloaded"),
        Refusal::TooLong => (
            "invalid_request_error",
            "context_length_exceeded",
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
        ),
        Refusal::Broken => {
            ("server_error", "server_error", "The server had an error while processing your request")
        }
    };
    let mut error = json!({ "type": kind, "code": code, "message": message, "param": null });
    if refusal == Refusal::Account {
        error["plan_type"] = json!("plus");
        error["resets_at"] = json!(now + RESET_IN_S);
        error["resets_in_seconds"] = json!(RESET_IN_S);
    }
    json!({ "error": error })
}

fn gemini(status: u16, refusal: Refusal) -> Value {
    let (name, message) = match refusal {
        Refusal::Key => ("INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
        Refusal::Permission => ("PERMISSION_DENIED", "The caller does not have permission"),
        Refusal::Rate | Refusal::RateUntil => {
            ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")
        }
        Refusal::Account => (
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        Refusal::Overloaded => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        Refusal::TooLong => (
            "INVALID_ARGUMENT",
            "The input token count (1250000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        Refusal::Broken => ("INTERNAL", "An internal error has occurred."),
    };
    let details = match refusal {
        Refusal::Key => json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID", "domain": "googleapis.com" }]),
        Refusal::RateUntil => json!([{ "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{RESET_IN_S}s") }]),
        Refusal::Account => json!([{ "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{ "quotaMetric": "generativelanguage.googleapis.com/generate_requests_per_day",
                "quotaId": "GenerateRequestsPerDayPerProjectPerModel" }] }]),
        Refusal::Permission | Refusal::Rate | Refusal::Broken | Refusal::Overloaded | Refusal::TooLong => {
            json!([])
        }
    };
    json!({ "error": { "code": status, "message": message, "status": name, "details": details } })
}
