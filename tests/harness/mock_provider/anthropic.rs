//! The Anthropic messages API: an answer as one message, or as its stream.
#![expect(clippy::indexing_slicing, reason = "a missing member of a JSON value is null")]

use serde_json::{Value, json};

use super::{CACHED_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS};

/// The pieces of a stream; a piece is one event.
pub(super) fn stream(model: &str, id: usize, content: &Content) -> Vec<String> {
    let (start, deltas, stop_reason) = match content {
        Content::Text(text) => {
            let deltas = words(text).map(|word| json!({ "type": "text_delta", "text": word })).collect();
            (json!({ "type": "text", "text": "" }), deltas, "end_turn")
        }
        Content::Call(name, arguments) => {
            let start =
                json!({ "type": "tool_use", "id": format!("toolu_mock_{id}"), "name": name, "input": {} });
            let delta = json!({ "type": "input_json_delta", "partial_json": arguments.to_string() });
            (start, vec![delta], "tool_use")
        }
    };
    let mut message = message(model, id, content);
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    message["usage"]["output_tokens"] = json!(1);
    let mut events = vec![
        json!({ "type": "message_start", "message": message }),
        json!({ "type": "content_block_start", "index": 0, "content_block": start }),
    ];
    events.extend(
        deltas
            .into_iter()
            .map(|delta: Value| json!({ "type": "content_block_delta", "index": 0, "delta": delta })),
    );
    events.push(json!({ "type": "content_block_stop", "index": 0 }));
    events.push(json!({ "type": "message_delta",
        "delta": { "stop_reason": stop_reason, "stop_sequence": null },
        "usage": { "output_tokens": OUTPUT_TOKENS } }));
    events.push(json!({ "type": "message_stop" }));
    let named = |event: Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or(""));
    events.into_iter().map(named).collect()
}

/// The whole message.
pub(super) fn message(model: &str, id: usize, content: &Content) -> Value {
    let (block, stop_reason) = match content {
        Content::Text(text) => (json!({ "type": "text", "text": text }), "end_turn"),
        Content::Call(name, arguments) => {
            let id = format!("toolu_mock_{id}");
            (json!({ "type": "tool_use", "id": id, "name": name, "input": arguments }), "tool_use")
        }
    };
    json!({ "id": format!("msg_mock_{id}"), "type": "message", "role": "assistant", "model": model,
        "content": [block], "stop_reason": stop_reason, "stop_sequence": null,
        "usage": { "input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS,
            "cache_read_input_tokens": CACHED_TOKENS, "cache_creation_input_tokens": 0 } })
}

/// What one answer holds, in no dialect.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Text(String),
    /// Name and arguments.
    Call(String, Value),
}

/// Text in pieces, blanks kept.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(' ')
}
