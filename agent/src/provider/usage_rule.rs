//! The `[provider.usage]` table of a preset: where the numbers of what a round used are.

use super::condition::Conditions;
use super::rules::Pointers;

/// `[provider.usage]`.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// The last such record counts...
    #[serde(default)]
    pub when: Conditions,
    /// ...if it also meets one of these.
    #[serde(default)]
    pub if_any: Vec<Conditions>,
    /// Or all of them, summed.
    #[serde(default)]
    pub take: Take,
    /// Input tokens.
    #[serde(default)]
    pub input_tokens: Pointers,
    /// Output tokens.
    #[serde(default)]
    pub output_tokens: Pointers,
    /// Tokens read from the cache.
    #[serde(default)]
    pub cached_tokens: Pointers,
    /// Tokens written to the cache.
    #[serde(default)]
    pub cache_creation_tokens: Pointers,
    /// Whether the provider counts cached tokens as input too; events count them once.
    #[serde(default)]
    pub input_is: Input,
    /// Cost in dollars.
    #[serde(default)]
    pub cost_usd: Pointers,
    /// A cost of 0 means it is not known.
    #[serde(default)]
    pub zero_cost: ZeroCost,
    /// Milliseconds.
    #[serde(default)]
    pub duration_ms: Pointers,
    /// Milliseconds between two records, when no record says how long it took.
    #[serde(default)]
    pub elapsed: Option<Elapsed>,
    /// Number of tool calls; without it they are counted by `[[provider.tool_call]]`.
    #[serde(default)]
    pub tool_call_count: Pointers,
    /// Which model.
    #[serde(default)]
    pub model: Model,
    /// Usage per model, reported when there is more than one.
    #[serde(default)]
    pub breakdown: Option<Breakdown>,
    /// What a usage without any token means.
    #[serde(default)]
    pub zero_tokens: ZeroTokens,
}

/// Which records' numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Take {
    /// The last one's.
    #[default]
    Last,
    /// The sum of all.
    Sum,
}

/// What the provider calls input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// What was not in the cache.
    #[default]
    Net,
    /// Everything, cached or not.
    Gross,
}

/// What a cost of 0 means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroCost {
    /// It was free.
    #[default]
    Free,
    /// Nobody knows.
    Unknown,
}

/// What a usage without any token means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroTokens {
    /// A round that used nothing.
    #[default]
    Report,
    /// The model was never reached: there is nothing to report.
    Ignore,
}

/// Time between two records.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elapsed {
    /// The record of the start, among the first 20 lines of the log.
    pub from_when: Conditions,
    /// Its time, in ISO 8601 or milliseconds.
    pub from: String,
    /// The end, in the last record that counts, in milliseconds.
    pub to: String,
}

/// Which model.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The last such record that has it, when it is not the record the usage is in.
    #[serde(default)]
    pub when: Option<Conditions>,
    /// Where its name is; several parts are joined with `/`.
    #[serde(default)]
    pub at: Pointers,
    /// The key of an object...
    #[serde(default)]
    pub key_of: Option<String>,
    /// ...whose value has the largest number here.
    #[serde(default)]
    pub largest: Option<String>,
}

/// Usage per model.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breakdown {
    /// The object with one entry per model.
    pub of: String,
    /// All tokens of one.
    #[serde(default)]
    pub total_tokens: Pointers,
    /// Input tokens.
    #[serde(default)]
    pub input_tokens: Pointers,
    /// Output tokens.
    #[serde(default)]
    pub output_tokens: Pointers,
    /// Tokens read from the cache.
    #[serde(default)]
    pub cached_tokens: Pointers,
}
