//! `agent-runner-fleet man`, and what every exit code means.

use agent_runner::manual;
use clap::Args;

use crate::cli::definition;
use crate::error::{Error, Exit};
use crate::output::print;
use crate::verb::Ctx;
use crate::verb::context::printed;

/// What the program ends with; the codes of hosts are OR-ed.
const EXITS: [(u8, &str); 10] = [
    (0, "All selected hosts are well."),
    (1, "A controller or configuration error before any host ran."),
    (2, "At least one host failed."),
    (4, "At least one host was unreachable."),
    (5, "A usage error, an unknown name, an empty selection; alone, never added to another code."),
    (8, "Stopped by the failure threshold or the canary gate."),
    (16, "At least one host was put back to its previous release."),
    (32, "Hosts differ from what they shall be (--check --exit-code)."),
    (75, "Another run holds the lock."),
    (130, "Interrupted."),
];

/// Print the manual page, in roff: `agent-runner-fleet man | man -l -`
#[derive(Debug, Args)]
pub struct ManArgs {}

/// Runs the verb.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(ctx: &Ctx, _args: ManArgs) -> Result<Exit, Error> {
    ctx.selects_nothing("man", "it is about no host")?;
    let exits: Vec<(u8, String)> =
        EXITS.iter().map(|(code, meaning)| (*code, (*meaning).to_owned())).collect();
    printed(print::text(&manual::page(definition(), env!("CARGO_PKG_VERSION"), &exits)))?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use agent_runner::shell::{self, Shell};

    use super::*;

    /// Feeds a program that only checks and returns its complaints; `None` when it is not installed.
    fn complaints(program: &str, arguments: &[&str], text: &str) -> Option<String> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            crate::skipped::skip(&format!("{program} is not installed"));
            return None;
        };
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        Some(String::from_utf8_lossy(&child.wait_with_output().unwrap().stderr).into_owned())
    }

    #[test]
    fn the_manual_page_and_the_completions_are_accepted_without_a_word() {
        let page = manual::page(definition(), "1", &[]);
        let groff = complaints("groff", &["-man", "-Tutf8", "-ww"], &page);
        assert_eq!(groff.unwrap_or_default(), "");
        for (shell, program) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
            let script = shell::completions(definition(), shell);
            assert_eq!(complaints(program, &["-n"], &script).unwrap_or_default(), "", "{program}");
        }
    }
}
