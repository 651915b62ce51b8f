//! Reading `agent-runner.toml`: from a file, or from text alone for those who have no file.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::build::{self, Notes};
use super::error::{ConfigError, Invalid};
use super::keys::{ROOT, SCHEMA_VERSION};
use super::paths;
use super::read;
use super::source::Problem;
use super::types::Config;
use crate::store::regular;

/// The largest file that is read, in bytes.
const SIZE_MAX: u64 = 1 << 20;

/// A configuration that can be used, and what the operator should know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// One sentence each.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads and checks the file at `path`; symbolic links in its paths are followed, time zones must exist here.
    ///
    /// # Errors
    /// Everything that makes the file unusable, each with its place in the file.
    pub fn load(path: &Path, home: Option<&Path>) -> Result<Loaded, ConfigError> {
        let absolute = std::path::absolute(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let text = read_text(&absolute)?;
        let outside = Outside {
            home,
            resolve: paths::follow,
            zone_exists: |zone| jiff::tz::TimeZone::get(zone).is_ok(),
        };
        load(&text, &absolute, &outside)
    }

    /// Checks a text as if it stood at `path`, without touching the disk: links are not followed, and of a time zone
    /// only the form is checked.
    ///
    /// # Errors
    /// Everything that makes the text unusable, each with its place in the text.
    pub fn parse(text: &str, path: &Path, home: Option<&Path>) -> Result<Loaded, ConfigError> {
        load(text, path, &Outside { home, resolve: paths::tidy, zone_exists: |_| true })
    }
}

/// What a check needs from the world around the text.
pub(super) struct Outside<'a> {
    pub(super) home: Option<&'a Path>,
    pub(super) resolve: fn(&Path) -> PathBuf,
    pub(super) zone_exists: fn(&str) -> bool,
}

/// Returns the text of a configuration file, which may not be larger than 1 MiB.
///
/// # Errors
/// When it is missing, unreadable, too large or not UTF-8.
pub(super) fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source: io::Error| ConfigError::Unreadable { path: path.to_owned(), source };
    let file = regular::open_regular(path).map_err(|source| {
        let missing = matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        if missing { ConfigError::Missing { path: path.to_owned() } } else { unreadable(source) }
    })?;
    let bytes = regular::read_all(file, SIZE_MAX).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| unreadable(io::Error::new(io::ErrorKind::InvalidData, "not UTF-8")))
}

fn load(text: &str, path: &Path, outside: &Outside<'_>) -> Result<Loaded, ConfigError> {
    if let Some(bad) = path.to_string_lossy().chars().find(|c| !paths::printable(*c)) {
        let reason = format!("the path must be printable, and contains {bad:?}");
        return Err(ConfigError::Path { path: path.to_owned(), reason });
    }
    let invalid = |mut problems: Vec<Problem>| {
        problems.sort_by_key(|problem| problem.span.start);
        ConfigError::Invalid(Invalid { path: path.to_owned(), text: text.to_owned(), problems })
    };
    let (parsed, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problem = |error: &toml::de::Error| {
            Problem::new(error.span().unwrap_or(0..0), error.message().replace('\n', ", "))
        };
        return Err(invalid(errors.iter().map(problem).collect()));
    }
    let mut table = parsed.into_inner();
    let version = version(&table).map_err(|problem| invalid(vec![problem]))?;
    let mut notes = Notes::default();
    if table.remove("llm").is_some() {
        notes.warnings.push("[llm] is not used; the table for a reviewing program is [critic]".into());
    }
    let root = read::table(&ROOT, &table, 0..0, &mut notes.problems);
    let config = build::config(&root, path, outside, &mut notes);
    if version == Version::Absent {
        if notes.problems.is_empty() {
            notes.warnings.retain(|warning| !warning.contains("old spelling"));
            let text = "there is no schema_version, so this is read as an older file; `agent-runner migrate` brings it up to date";
            notes.warnings.push(text.into());
        } else {
            let message = "`schema_version = 1` is missing; `agent-runner migrate` adds it";
            notes.problems.push(Problem::new(0..0, message));
        }
    }
    match config {
        Some(config) if notes.problems.is_empty() => Ok(Loaded { config, warnings: notes.warnings }),
        Some(_) | None => Err(invalid(notes.problems)),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Current,
    Absent,
}

/// Looks at `schema_version` before anything else: in another form of the file the rest means something else.
fn version(table: &DeTable<'_>) -> Result<Version, Problem> {
    let Some(value) = table.get("schema_version") else {
        return Ok(Version::Absent);
    };
    let fail = |span: Range<usize>, message: String| Err(Problem::new(span, message));
    let DeValue::Integer(number) = value.get_ref() else {
        return fail(value.span(), format!("`schema_version` must be the integer {SCHEMA_VERSION}"));
    };
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(SCHEMA_VERSION) => Ok(Version::Current),
        Ok(number) if number < SCHEMA_VERSION => {
            let text =
                format!("schema_version {number} is older than {SCHEMA_VERSION}; run `agent-runner migrate`");
            fail(value.span(), text)
        }
        Ok(number) => {
            let text = format!(
                "schema_version {number} is newer than {SCHEMA_VERSION}, which this program reads; upgrade it"
            );
            fail(value.span(), text)
        }
        Err(_) => fail(value.span(), format!("`schema_version` must be the integer {SCHEMA_VERSION}")),
    }
}
