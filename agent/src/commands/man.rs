//! `agent-runner man`, and what every exit code means.

use clap::Args;

use crate::cli::definition;
use crate::error::{Error, Exit};
use crate::output::printed;
use crate::verb::Ctx;
use crate::{manual, output};

/// Print the manual page, in roff: `agent-runner man | man -l -`
#[derive(Debug, Args)]
pub struct ManArgs {}

/// Runs the verb.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(_ctx: &Ctx, _args: ManArgs) -> Result<Exit, Error> {
    let exits: Vec<(u8, String)> = Exit::ALL.into_iter().map(|exit| (exit.code(), told(exit))).collect();
    printed(output::print(&manual::page(definition(), env!("CARGO_PKG_VERSION"), &exits)))?;
    Ok(Exit::Ok)
}

fn told(exit: Exit) -> String {
    let (who, meaning) = meaning(exit);
    let meaning = meaning.replace('`', "");
    if who == "all" { meaning } else { format!("({who}) {meaning}") }
}

/// Returns who ends with a code and what it means.
pub(crate) fn meaning(exit: Exit) -> (&'static str, &'static str) {
    match exit {
        Exit::Ok => (
            "all",
            "Done. `serve`: a deliberate end (stop, stop file, rounds done, the agent's own wish); systemd does not restart it.",
        ),
        Exit::Failed => (
            "all",
            "The operation failed or was refused. `round`: the agent failed. `serve`: another one holds this log dir.",
        ),
        Exit::Usage => (
            "all",
            "The command line is wrong. `migrate`: the file cannot be read. `upgrade`: it failed and so did the way back.",
        ),
        Exit::MemLoopPersistent => {
            ("serve", "`mem_loop_persistent`: the third memory loop within two hours. Not restarted.")
        }
        Exit::MemLoop => (
            "serve",
            "`mem_loop`: five rounds in a row ended for memory. Restarted on purpose, which frees what the Loop itself may hold.",
        ),
        Exit::GaveUp => (
            "serve, apply",
            "`crash_loop` or `stalled_no_progress`: a person has to look. Not restarted. `apply`: another apply holds the host.",
        ),
        Exit::Environment => (
            "round",
            "The environment is in the way and heals by itself: a held lock, slow git, a full disk.",
        ),
        Exit::Config => ("all", "The configuration cannot work until a person changes it. Not restarted."),
        Exit::Interrupted => ("round", "Interrupted by a signal."),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_page_is_accepted_without_a_word_and_tells_every_verb() {
        let page = manual::page(definition(), "1", &[(0, ".starts with a dot".into())]);
        let groff = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-P-cbou"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut groff) = groff else {
            return crate::skipped::skip("groff is not installed");
        };
        groff.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let output = groff.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let shown = String::from_utf8_lossy(&output.stdout);
        let mut root = definition();
        root.build();
        for verb in root.get_subcommands().filter(|verb| verb.get_name() != "help") {
            assert!(shown.contains(&format!("\n   {}\n", verb.get_name())), "{}: {shown}", verb.get_name());
        }
        assert!(shown.contains(".starts with a dot"), "{shown}");
    }
}
