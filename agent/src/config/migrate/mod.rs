//! Brings the text of an older `agent-runner.toml` to today's form, comments and layout kept.

mod edit;
mod rewrite;

use std::path::Path;

use toml_edit::DocumentMut;

use super::keys::SCHEMA_VERSION;
use super::types::Config;
use super::{ConfigError, source};
use edit::Outcome;

/// One rewrite may uncover another; more passes than this were never needed.
const PASSES: usize = 12;

/// What a migration did, and what it leaves to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The text as it is now.
    pub text: String,
    /// What was rewritten, one line each.
    pub applied: Vec<String>,
    /// What a person has to change, one line each.
    pub manual: Vec<String>,
    /// What is worth knowing, one line each.
    pub notes: Vec<String>,
}

/// The text is no TOML.
#[derive(Debug, thiserror::Error)]
#[error("is no TOML")]
pub struct NotToml(#[source] Box<toml_edit::TomlError>);

/// Migrates a text that stands at `path`. Migrating the result changes nothing, and when nothing is left to a person
/// the result is a valid configuration.
///
/// # Errors
/// When the text is no TOML.
pub fn migrate(text: &str, path: &Path, home: Option<&Path>) -> Result<Migration, NotToml> {
    let mut migration =
        Migration { text: text.to_owned(), applied: Vec::new(), manual: Vec::new(), notes: Vec::new() };
    for _ in 0..PASSES {
        let mut document = parse(&migration.text)?;
        let outcome = rewrite::pass(&mut document);
        let next = stamped(document.to_string(), &outcome);
        migration.manual = outcome.manual;
        migration.notes = outcome.notes;
        // A rewrite whose result cannot be read back is not adopted.
        if next == migration.text || parse(&next).is_err() {
            break;
        }
        migration.text = next;
        migration.applied.extend(outcome.applied);
    }
    judge(&mut migration, path, home);
    Ok(migration)
}

fn parse(text: &str) -> Result<DocumentMut, NotToml> {
    text.parse().map_err(|error| NotToml(Box::new(error)))
}

/// Adds the version as the new first line, where no table's header is in the way.
fn stamped(text: String, outcome: &Outcome) -> String {
    if outcome.stamp { format!("schema_version = {SCHEMA_VERSION}\n{text}") } else { text }
}

/// Lets the parser say what is left: what it refuses, a person has to change.
fn judge(migration: &mut Migration, path: &Path, home: Option<&Path>) {
    match Config::parse(&migration.text, path, home) {
        Ok(loaded) => migration.notes.extend(loaded.warnings),
        Err(ConfigError::Invalid(invalid)) => {
            for problem in invalid.problems {
                // Two spellings side by side were told already, with more to go by.
                if migration.manual.iter().any(|told| shares_a_key(told, &problem.message)) {
                    continue;
                }
                let line = source::line_number(&invalid.text, problem.span.start);
                let note = problem.note.map_or_else(String::new, |note| format!(" ({note})"));
                migration.manual.push(format!("line {line}: {}{note}", problem.message));
            }
        }
        Err(
            error @ (ConfigError::Missing { .. } | ConfigError::Unreadable { .. } | ConfigError::Path { .. }),
        ) => {
            migration.manual.push(error.to_string());
        }
    }
}

fn shares_a_key(told: &str, message: &str) -> bool {
    let keys = |text: &str| -> Vec<String> {
        let quoted = text.split('`').skip(1).step_by(2);
        quoted.map(|key| key.rsplit('.').next().unwrap_or(key).to_owned()).collect()
    };
    let told = keys(told);
    keys(message).iter().any(|key| told.contains(key))
}

#[cfg(test)]
mod tests;
