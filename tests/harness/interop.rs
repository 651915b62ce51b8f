//! `docs/interoperability.md`: what tests against real servers found, each test its own table.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;

/// The variable that makes tests write the page instead of only holding it against what they found.
const WRITE: &str = "AGENT_RUNNER_WRITE_DOCS";

static TURN: Mutex<()> = Mutex::new(());

/// One line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What was tried.
    pub what: String,
    /// The server, as it calls itself; `-` where it said nothing.
    pub server: String,
    /// What came of it.
    pub result: String,
}

/// Returns what a server calls itself in a text that holds its greeting; `-` where there is none.
#[must_use]
pub fn server_in(text: &str) -> String {
    let version = text.split("SSH-2.0-").nth(1).unwrap_or("-");
    let word = version.split(|letter: char| letter.is_whitespace() || letter == ')').next();
    word.unwrap_or("-").replace('_', " ")
}

/// Insists that the section of this title says what was found; the versions are those of whoever wrote it last.
///
/// # Errors
/// When the section is missing or says something else.
pub fn hold(title: &str, rows: &[Row]) -> anyhow::Result<()> {
    // Tests of one program run in parallel, and each may write its section.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let path = page();
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (before, section, after) = cut(&text, title).with_context(|| format!("no section {title:?}"))?;
    if std::env::var_os(WRITE).is_some() {
        let intro = section.split("| ").next().unwrap_or_default().trim_end();
        let mut table = String::from("| what | server | result |\n|---|---|---|\n");
        for row in rows {
            table.push_str(&format!("| {} | {} | {} |\n", row.what, row.server, row.result));
        }
        return Ok(fs::write(&path, format!("{before}{intro}\n\n{table}{after}"))?);
    }
    for row in rows {
        let (begin, end) = (format!("| {} | ", row.what), format!(" | {} |", row.result));
        let is_listed = section.lines().any(|line| line.starts_with(&begin) && line.ends_with(&end));
        anyhow::ensure!(is_listed, "docs/interoperability.md is stale ({}): {WRITE}=1 writes it", row.what);
    }
    let listed = section.lines().filter(|line| line.starts_with("| ")).count() - 1;
    anyhow::ensure!(listed >= rows.len(), "docs/interoperability.md holds {listed} of {} rows", rows.len());
    Ok(())
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/interoperability.md")
}

/// Returns what is before a section, the section with its title, and what is after it.
fn cut<'a>(text: &'a str, title: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let start = text.find(&format!("## {title}\n"))?;
    let (before, rest) = text.split_at(start);
    let end = rest.find("\n## ").map_or(rest.len(), |end| end);
    let (section, after) = rest.split_at(end);
    Some((before, section, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let text = "# Page\n\n## One\n\na\n\n## Two\n\nb\n";
        assert_eq!(cut(text, "One"), Some(("# Page\n\n", "## One\n\na\n", "\n## Two\n\nb\n")));
        assert_eq!(cut(text, "Two"), Some(("# Page\n\n## One\n\na\n\n", "## Two\n\nb\n", "")));
        assert_eq!(cut(text, "Three"), None);
    }

    #[test]
    fn a_server_is_known_by_its_greeting() {
        assert_eq!(server_in("3 ms, SSH-2.0-OpenSSH_9.2p1 Debian-2"), "OpenSSH 9.2p1");
        assert_eq!(server_in("(SSH-2.0-dropbear_2022.83)"), "dropbear 2022.83");
        assert_eq!(server_in("refused"), "-");
    }
}
