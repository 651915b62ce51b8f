//! The OpenAI responses API, as a stream or as one response.
#![expect(clippy::indexing_slicing, reason = "a missing member of a JSON value is null")]

use serde_json::{Value, json};

use super::anthropic::{Content, words};
use super::{CACHED_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS};

/// The pieces of a stream; a piece is one event.
pub(super) fn stream(model: &str, id: usize, content: &Content) -> Vec<String> {
    let item = item(id, content);
    let mut events = vec![
        json!({ "type": "response.created", "response": response(model, id, "in_progress", &json!([])) }),
        json!({ "type": "response.output_item.added", "output_index": 0, "item": item }),
    ];
    if let Content::Text(text) = content {
        let item_id = item["id"].clone();
        events.extend(words(text).map(|word| {
            json!({ "type": "response.output_text.delta", "item_id": item_id, "output_index": 0,
                "content_index": 0, "delta": word })
        }));
    }
    events.push(json!({ "type": "response.output_item.done", "output_index": 0, "item": item }));
    events.push(json!({ "type": "response.completed", "response": whole(model, id, content) }));
    let named = |event: Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or(""));
    events.into_iter().map(named).collect()
}

/// The whole response.
pub(super) fn whole(model: &str, id: usize, content: &Content) -> Value {
    response(model, id, "completed", &json!([item(id, content)]))
}

fn response(model: &str, id: usize, status: &str, output: &Value) -> Value {
    let usage = json!({ "input_tokens": INPUT_TOKENS + CACHED_TOKENS,
        "input_tokens_details": { "cached_tokens": CACHED_TOKENS }, "output_tokens": OUTPUT_TOKENS,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": INPUT_TOKENS + CACHED_TOKENS + OUTPUT_TOKENS });
    let usage = if status == "completed" { usage } else { Value::Null };
    json!({ "id": format!("resp_mock_{id}"), "object": "response", "created_at": 1_790_000_000, "status": status,
        "model": model, "output": output, "usage": usage, "error": null, "incomplete_details": null })
}

fn item(id: usize, content: &Content) -> Value {
    match content {
        Content::Text(text) => {
            json!({ "type": "message", "id": format!("msg_mock_{id}"), "role": "assistant",
            "status": "completed", "content": [{ "type": "output_text", "text": text, "annotations": [] }] })
        }
        Content::Call(name, arguments) => json!({ "type": "function_call", "id": format!("fc_mock_{id}"),
            "call_id": format!("call_mock_{id}"), "name": name, "arguments": arguments.to_string(),
            "status": "completed" }),
    }
}
