//! A preset file: how to start one agent CLI, and how to read what it prints.

use super::rules::Rules;

/// A whole file.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresetFile {
    /// What `init` writes.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// How the agent is stopped and read.
    #[serde(default)]
    pub provider: Option<Rules>,
}

/// `[preset]`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The agent's name for people.
    pub title: String,
    /// Versions of the agent CLI whose real output these rules were proven on.
    #[serde(default)]
    pub proven_on: Vec<String>,
    /// What the operator has to know or to do, one line each; written as comments.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Tables of agent-runner.toml, laid over what all presets share.
    pub config: toml::Table,
}

/// Why a preset file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// Its text is wrong.
    #[error("is no preset")]
    Syntax(#[source] toml::de::Error),
    /// Its rules contradict each other.
    #[error("{0}")]
    Rules(String),
    /// It says nothing.
    #[error("has neither [preset] nor [provider]")]
    Empty,
}

impl PresetFile {
    /// Reads the text of a preset file.
    ///
    /// # Errors
    /// Wrong TOML, unknown keys, patterns that do not compile, contradictory rules.
    pub fn parse(text: &str) -> Result<PresetFile, PresetError> {
        let file: PresetFile = toml::from_str(text).map_err(PresetError::Syntax)?;
        if file.preset.is_none() && file.provider.is_none() {
            return Err(PresetError::Empty);
        }
        if let Some(rules) = &file.provider {
            rules.check().map_err(PresetError::Rules)?;
        }
        Ok(file)
    }
}
