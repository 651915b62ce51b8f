//! A model provider on loopback: the Anthropic messages API, the OpenAI responses and chat completions APIs, the
//! Gemini API, all streaming, with the failures of real providers on request. It takes its own fake key only.

mod anthropic;
mod behavior;
mod chat;
mod conversation;
mod failure;
mod gemini;
mod http;
mod request;
mod responses;
mod server;

pub use behavior::{Behavior, Reply, Tool};
pub use failure::Refusal;
pub use request::{Dialect, FAKE_KEY};
pub use server::{MockProvider, Seen};

/// What every answer of the mock has used, so that a test can compare: tokens that were not in the cache.
pub const INPUT_TOKENS: i64 = 1200;
/// Tokens of the answer.
pub const OUTPUT_TOKENS: i64 = 34;
/// Tokens read from the cache.
pub const CACHED_TOKENS: i64 = 800;
