//! The OpenAI chat completions API, as a stream or as one completion.
#![expect(clippy::indexing_slicing, reason = "a missing member of a JSON value is null")]

use serde_json::{Value, json};

use super::anthropic::{Content, words};
use super::{CACHED_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS};

/// The pieces of a stream.
pub(super) fn stream(model: &str, id: usize, content: &Content) -> Vec<String> {
    let chunk = |delta: Value, finish: Value| {
        json!({ "id": format!("chatcmpl-mock-{id}"), "object": "chat.completion.chunk",
            "created": 1_790_000_000, "model": model,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
    };
    let mut chunks = vec![chunk(json!({ "role": "assistant", "content": "" }), Value::Null)];
    match content {
        Content::Text(text) => {
            chunks.extend(words(text).map(|word| chunk(json!({ "content": word }), Value::Null)));
            chunks.push(chunk(json!({}), json!("stop")));
        }
        Content::Call(..) => {
            let mut call = call(id, content);
            call["index"] = json!(0);
            chunks.push(chunk(json!({ "tool_calls": [call] }), Value::Null));
            chunks.push(chunk(json!({}), json!("tool_calls")));
        }
    }
    let mut last = chunk(json!({}), Value::Null);
    last["choices"] = json!([]);
    last["usage"] = usage();
    chunks.push(last);
    let mut pieces: Vec<String> = chunks.into_iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    pieces.push("data: [DONE]\n\n".into());
    pieces
}

/// The whole completion.
pub(super) fn whole(model: &str, id: usize, content: &Content) -> Value {
    let (message, finish) = match content {
        Content::Text(text) => (json!({ "role": "assistant", "content": text }), "stop"),
        Content::Call(..) => {
            let call = call(id, content);
            (json!({ "role": "assistant", "content": null, "tool_calls": [call] }), "tool_calls")
        }
    };
    json!({ "id": format!("chatcmpl-mock-{id}"), "object": "chat.completion", "created": 1_790_000_000,
        "model": model, "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
        "usage": usage() })
}

fn call(id: usize, content: &Content) -> Value {
    let (name, arguments) = match content {
        Content::Text(_) => ("", String::new()),
        Content::Call(name, arguments) => (name.as_str(), arguments.to_string()),
    };
    json!({ "id": format!("call_mock_{id}"), "type": "function",
        "function": { "name": name, "arguments": arguments } })
}

fn usage() -> Value {
    json!({ "prompt_tokens": INPUT_TOKENS + CACHED_TOKENS, "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + CACHED_TOKENS + OUTPUT_TOKENS,
        "prompt_tokens_details": { "cached_tokens": CACHED_TOKENS } })
}
