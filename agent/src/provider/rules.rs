//! The `[provider]` table of a preset: how one agent CLI is stopped, and how its output is read.
//!
//! Pointers are JSON pointers (RFC 6901). Where a list of them is allowed, the first usable value counts, unless the
//! key says otherwise. `when` selects the last record that meets it.

use serde::de::{Deserialize, Deserializer, Error as _};

use super::condition::Conditions;
use super::usage_rule::Usage;
use crate::pattern::{self, Case};
use crate::process::signals::StopSignal;

/// The grace of an agent without a cooperative stop, in seconds.
pub const PLAIN_GRACE_S: u64 = 5;

/// `[provider]`.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Whose output this is: the base name of the command's first word.
    pub agent: String,
    /// Text that means the agent has printed its result; what `init` writes.
    #[serde(default)]
    pub terminal_marker: Option<String>,
    /// The signal after which the agent saves its session; an agent without one gets TERM and a short grace.
    #[serde(default, deserialize_with = "signal")]
    pub cooperative_signal: Option<StopSignal>,
    /// The option that starts or continues a session under an id of our choice.
    #[serde(default)]
    pub resume_flag: Option<String>,
    /// Records that are normal though no rule reads them.
    #[serde(default)]
    pub known: Vec<Conditions>,
    /// Where the records are that the rules read, when they are not the lines themselves. The first source that
    /// yields any is used.
    #[serde(default)]
    pub records: Vec<Source>,
    /// Errors after which what was used counts as no success, whatever the exit code. How the round ended stays what
    /// its exit code says.
    #[serde(default)]
    pub error: Vec<ErrorRule>,
    /// Errors that heal by themselves. The first rule that yields one counts.
    #[serde(default)]
    pub throttle: Vec<Throttle>,
    /// Refused logins, looked for when there is no throttle.
    #[serde(default)]
    pub auth_error: Vec<AuthError>,
    /// What the round used.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// Tool calls, for their number and for repetition.
    #[serde(default)]
    pub tool_call: Vec<ToolCall>,
}

/// Records inside records.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The lines that hold them.
    pub when: Conditions,
    /// Where one is.
    #[serde(default)]
    pub at: Option<String>,
    /// Where a list of them is.
    #[serde(default)]
    pub each: Option<String>,
    /// Which of them count.
    #[serde(default)]
    pub keep: Conditions,
}

/// When a rule is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// After every round.
    #[default]
    EveryRound,
    /// After a round that failed or timed out.
    FailedRound,
}

/// `[[provider.error]]`.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// The last such record counts...
    #[serde(default)]
    pub when: Conditions,
    /// ...if it also meets one of these.
    #[serde(default)]
    pub if_any: Vec<Conditions>,
}

/// What a throttle is called in events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum Class {
    /// The account's own limit.
    #[serde(rename = "rate_limit_account")]
    Account,
    /// The model's limit.
    #[serde(rename = "rate_limit_model")]
    Model,
    /// The provider is overloaded or broken.
    #[serde(rename = "api_transient_5xx")]
    Transient,
    /// The provider did not answer.
    #[serde(rename = "api_timeout")]
    Timeout,
}

impl Class {
    /// Returns the class of an HTTP status, when it heals by itself.
    pub fn of_status(status: i64) -> Option<Class> {
        match status {
            429 => Some(Class::Model),
            500 | 502 | 503 | 504 | 529 => Some(Class::Transient),
            408 => Some(Class::Timeout),
            _ => None,
        }
    }

    /// Returns the name in events.
    pub fn name(self) -> &'static str {
        match self {
            Class::Account => "rate_limit_account",
            Class::Model => "rate_limit_model",
            Class::Transient => "api_transient_5xx",
            Class::Timeout => "api_timeout",
        }
    }

    /// Returns the seconds until the next try when the provider names no time.
    pub fn base_s(self) -> i64 {
        match self {
            Class::Account => 300,
            Class::Model | Class::Transient => 60,
            Class::Timeout => 30,
        }
    }
}

/// How a reset time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetUnit {
    /// Seconds since 1970.
    #[default]
    EpochS,
    /// Milliseconds since 1970.
    EpochMs,
    /// ISO 8601.
    Iso,
    /// Seconds from now.
    InS,
    /// Milliseconds from now.
    InMs,
}

/// `[[provider.throttle]]`: exactly one of `class`, `status`, `status_pattern` says what it is.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// The last such record counts...
    #[serde(default)]
    pub when: Conditions,
    /// ...if it also meets one of these.
    #[serde(default)]
    pub if_any: Vec<Conditions>,
    /// After which rounds.
    #[serde(default)]
    pub only: Only,
    /// Exit codes that mean it; without any, the record alone does.
    #[serde(default)]
    pub exit_codes: Vec<i64>,
    /// It is this, always.
    #[serde(default)]
    pub class: Option<Class>,
    /// Where an HTTP status is; the first that [`Class::of_status`] knows decides.
    #[serde(default)]
    pub status: Pointers,
    /// Finds an HTTP status in text.
    #[serde(default)]
    pub status_pattern: Option<StatusPattern>,
    /// Where the time is at which it ends.
    #[serde(default)]
    pub reset: Option<String>,
    /// Finds that time in text, when no pointer leads to it.
    #[serde(default)]
    pub reset_pattern: Option<StatusPattern>,
    /// How that time is written.
    #[serde(default)]
    pub reset_unit: ResetUnit,
    /// Where the event's `raw` is.
    #[serde(default)]
    pub raw: Pointers,
    /// The record `raw` is in, when it is another one.
    #[serde(default)]
    pub raw_when: Option<Conditions>,
}

/// A number inside text.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusPattern {
    /// Where the text is.
    pub text: Pointers,
    /// Its first group is the number.
    pub regex: Pattern,
}

/// `[[provider.auth_error]]`.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthError {
    /// The last such record counts...
    #[serde(default)]
    pub when: Conditions,
    /// ...if it also meets one of these.
    #[serde(default)]
    pub if_any: Vec<Conditions>,
    /// After which rounds.
    #[serde(default)]
    pub only: Only,
    /// Exit codes that mean it; without any, the record alone does. Without anything else they decide alone: the CLI
    /// has printed no record.
    #[serde(default)]
    pub exit_codes: Vec<i64>,
    /// Statuses that mean it; without any, the record alone does.
    #[serde(default)]
    pub statuses: Vec<i64>,
    /// Where an HTTP status is.
    #[serde(default)]
    pub status: Pointers,
    /// Finds an HTTP status in text.
    #[serde(default)]
    pub status_pattern: Option<StatusPattern>,
    /// Where the event's `raw` is.
    #[serde(default)]
    pub raw: Pointers,
}

impl AuthError {
    /// Returns whether it looks at nothing but the exit code.
    pub(super) fn is_exit_code_alone(&self) -> bool {
        !self.exit_codes.is_empty()
            && self.when.is_empty()
            && self.if_any.is_empty()
            && self.statuses.is_empty()
    }
}

/// `[[provider.tool_call]]`.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The records that hold calls.
    #[serde(default)]
    pub when: Conditions,
    /// Where a list of calls is; without it the record is one.
    #[serde(default)]
    pub each: Option<String>,
    /// Which of them are calls.
    #[serde(default)]
    pub keep: Conditions,
    /// The tool's name; without it calls are counted and not compared.
    #[serde(default)]
    pub name: Pointers,
    /// What it works on.
    #[serde(default)]
    pub target: Pointers,
}

/// One JSON pointer or several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pointers(pub Vec<String>);

impl<'de> Deserialize<'de> for Pointers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pointers, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        let pointers = match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(pointer) => vec![pointer],
            OneOrMany::Many(pointers) => pointers,
        };
        match pointers.iter().find(|pointer| !pointer.starts_with('/')) {
            Some(wrong) => Err(D::Error::custom(format!("a pointer begins with `/`, and this is `{wrong}`"))),
            None => Ok(Pointers(pointers)),
        }
    }
}

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub struct Pattern(pub regex::bytes::Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pattern, D::Error> {
        let text = String::deserialize(deserializer)?;
        pattern::compile(&text, Case::Exact).map(Pattern).map_err(D::Error::custom)
    }
}

fn signal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<StopSignal>, D::Error> {
    let name = String::deserialize(deserializer)?;
    let signal = StopSignal::from_name(&name);
    signal.map(Some).ok_or_else(|| D::Error::custom(format!("`{name}` is neither SIGTERM nor SIGINT")))
}

impl Rules {
    /// Returns every condition by which a rule recognises a line.
    pub(super) fn recognised_by(&self) -> impl Iterator<Item = &Conditions> {
        let read: Vec<&Conditions> = if self.records.is_empty() {
            let throttle = self.throttle.iter().flat_map(|rule| [Some(&rule.when), rule.raw_when.as_ref()]);
            let usage = self.usage.iter().flat_map(|rule| [Some(&rule.when), rule.model.when.as_ref()]);
            let by_record = self.auth_error.iter().filter(|rule| !rule.is_exit_code_alone());
            let auth = by_record.map(|rule| Some(&rule.when));
            let calls = self.tool_call.iter().map(|rule| Some(&rule.when));
            let errors = self.error.iter().map(|rule| Some(&rule.when));
            throttle.chain(usage).chain(auth).chain(calls).chain(errors).flatten().collect()
        } else {
            self.records.iter().map(|source| &source.when).collect()
        };
        self.known.iter().chain(read)
    }

    /// Returns the first signal when a round is interrupted.
    pub fn stop_signal(&self) -> StopSignal {
        self.cooperative_signal.unwrap_or(StopSignal::Term)
    }

    /// Returns the seconds between the first signal and KILL, given `agent.sigterm_grace_s`.
    pub fn grace_s(&self, configured_s: u64) -> u64 {
        if self.cooperative_signal.is_some() { configured_s } else { PLAIN_GRACE_S }
    }

    /// Returns whether this agent tells what it used.
    pub fn reports_usage(&self) -> bool {
        self.usage.is_some()
    }

    /// Returns what is wrong beyond the types.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.agent.is_empty() || self.agent.contains('/') {
            return Err("`provider.agent` is the base name of a program".into());
        }
        for rule in &self.throttle {
            let ways = [rule.class.is_some(), !rule.status.0.is_empty(), rule.status_pattern.is_some()];
            if ways.iter().filter(|way| **way).count() != 1 {
                return Err(
                    "a throttle is told by exactly one of `class`, `status` and `status_pattern`".into()
                );
            }
        }
        let grouped = |pattern: &StatusPattern| pattern.regex.0.captures_len() > 1;
        let patterns = self.throttle.iter().filter_map(|rule| rule.status_pattern.as_ref());
        let patterns = patterns.chain(self.throttle.iter().filter_map(|rule| rule.reset_pattern.as_ref()));
        let patterns = patterns.chain(self.auth_error.iter().filter_map(|rule| rule.status_pattern.as_ref()));
        if patterns.into_iter().any(|pattern| !grouped(pattern)) {
            return Err("the first group of a `status_pattern` and of a `reset_pattern` is the number, and there is none".into());
        }
        match self.records.iter().find(|source| source.at.is_some() == source.each.is_some()) {
            Some(_) => Err("`provider.records` has exactly one of `at` and `each`".into()),
            None => Ok(()),
        }
    }
}
