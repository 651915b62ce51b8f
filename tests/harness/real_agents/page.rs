//! What `docs/agents.md` tells people to type: taken from the page itself, so that it is run as it is written.

use anyhow::Context as _;

const PAGE: &str = include_str!("../../../docs/agents.md");
const SECTION: &str = "## From nothing to the first supervised round\n";

/// The steps to the first supervised rounds, lines for a shell. Their comments are kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Steps {
    /// Makes the project and checks it.
    pub prepare: Vec<String>,
    /// Runs one round.
    pub round: String,
    /// Starts the service.
    pub start: String,
}

/// What the page's last table says of one CLI.
#[derive(Debug)]
pub struct Row {
    /// Installs it.
    pub install: String,
    /// Ways to log in, with everything that is set as code.
    pub log_in: Vec<String>,
}

/// The steps for the CLI of this preset.
///
/// # Errors
/// When the page has no such steps any more.
pub fn steps(preset: &str) -> anyhow::Result<Steps> {
    let (_, block) = section()?.split_once("```sh\n").context("the section has no steps")?;
    let (block, _) = block.split_once("```").context("the steps have no end")?;
    let mut lines: Vec<String> = block.lines().map(|line| line.replace("NAME", preset)).collect();
    let mut last = |verb: &str| {
        let line = lines.pop().unwrap_or_default();
        anyhow::ensure!(line.starts_with(verb), "`{verb}` is not where it was among the steps");
        Ok(line)
    };
    let start = last("agent-runner start")?;
    let round = last("agent-runner round")?;
    Ok(Steps { prepare: lines, round, start })
}

/// The row of a CLI.
///
/// # Errors
/// When the table has none.
pub fn row(name: &str) -> anyhow::Result<Row> {
    let rows = section()?.lines().filter(|line| line.starts_with('|'));
    let mut cells = rows.map(|line| line.split('|').map(str::trim).skip(1));
    let mut row =
        cells.find_map(|mut cells| (cells.next() == Some(name)).then_some(cells)).context("a row")?;
    let mut codes = || -> Vec<String> {
        row.next().unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let install = codes().into_iter().next().context("no command installs it")?;
    Ok(Row { install, log_in: codes() })
}

fn section() -> anyhow::Result<&'static str> {
    Ok(PAGE.split_once(SECTION).context("the page has no such section")?.1)
}

#[cfg(test)]
mod tests {
    use super::super::cli::CLIS;
    use super::*;

    #[test]
    fn the_page_has_steps_from_init_to_start() {
        let steps = steps("codex").unwrap();
        assert_eq!(steps.prepare[0], "agent-runner init --preset codex --no-commit");
        assert!(steps.prepare.iter().any(|line| line == "agent-runner doctor"), "{steps:?}");
    }

    #[test]
    fn every_cli_is_installed_as_the_page_says() {
        for cli in CLIS {
            let row = row(cli.name).unwrap();
            assert_eq!(row.install, format!("npm install -g {}", cli.package));
            assert!(!row.log_in.is_empty(), "{}", cli.name);
        }
    }

    #[test]
    fn a_variable_that_logs_in_on_the_page_is_what_recordings_were_logged_in_with() {
        for cli in CLIS.iter().filter(|cli| ["claude", "codex", "gemini"].contains(&cli.name)) {
            let env = cli.env("http://127.0.0.1:9");
            let row = row(cli.name).unwrap();
            let known = env.iter().any(|(name, _)| row.log_in.iter().any(|way| way == name));
            assert!(known, "{}: {:?}", cli.name, row.log_in);
        }
    }
}
