//! The Gemini API: `generateContent` and `streamGenerateContent?alt=sse`.
#![expect(clippy::indexing_slicing, reason = "a missing member of a JSON value is null")]

use serde_json::{Value, json};

use super::anthropic::{Content, words};
use super::{CACHED_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS};

/// The pieces of a stream.
pub(super) fn stream(model: &str, id: usize, content: &Content) -> Vec<String> {
    let parts: Vec<Value> = match content {
        Content::Text(text) => words(text).map(|word| json!({ "text": word })).collect(),
        Content::Call(..) => vec![part(content)],
    };
    let last = parts.len().saturating_sub(1);
    let numbered = parts.into_iter().enumerate();
    let sent =
        |(n, part): (usize, Value)| format!("data: {}\r\n\r\n", response((model, id), &part, n == last));
    numbered.map(sent).collect()
}

/// The whole response.
pub(super) fn whole(model: &str, id: usize, content: &Content) -> Value {
    response((model, id), &part(content), true)
}

fn part(content: &Content) -> Value {
    match content {
        Content::Text(text) => json!({ "text": text }),
        Content::Call(name, arguments) => json!({ "functionCall": { "name": name, "args": arguments } }),
    }
}

fn response((model, id): (&str, usize), part: &Value, last: bool) -> Value {
    let mut candidate = json!({ "content": { "role": "model", "parts": [part] }, "index": 0 });
    if last {
        candidate["finishReason"] = json!("STOP");
    }
    json!({ "candidates": [candidate], "modelVersion": model, "responseId": format!("mock-{id}"),
        "usageMetadata": { "promptTokenCount": INPUT_TOKENS + CACHED_TOKENS,
            "cachedContentTokenCount": CACHED_TOKENS, "candidatesTokenCount": OUTPUT_TOKENS,
            "totalTokenCount": INPUT_TOKENS + CACHED_TOKENS + OUTPUT_TOKENS } })
}
