//! The command line: options every verb shares, then one verb.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::commands::{self, Command};
use crate::error::{Error, Exit};
use crate::output::print;
use crate::verb::{Ctx, Global};

/// Deploys, watches and stops autonomous coding CLIs on a fleet, over SSH
#[derive(Debug, Parser)]
#[command(name = "agent-runner-fleet", disable_version_flag = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    /// Print the version and exit; with --json also the agents inside
    #[arg(long, short = 'V')]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Runs the program with this process's arguments.
pub fn main() -> ExitCode {
    let exit = match run(std::env::args_os().collect()) {
        Ok(exit) => exit,
        Err(error) => {
            print::error(&error);
            error.exit
        }
    };
    ExitCode::from(exit.code())
}

/// Returns the command line's definition, for help, completions and documentation.
pub fn definition() -> clap::Command {
    Cli::command()
}

fn run(args: Vec<OsString>) -> Result<Exit, Error> {
    let parsed =
        Cli::command().try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // clap chooses stdout for help and stderr for errors; a closed one leaves nobody to tell.
            let _ = error.print();
            return Ok(if error.use_stderr() { Exit::Usage } else { Exit::Ok });
        }
    };
    if cli.version {
        return commands::version::run(&cli.global);
    }
    let Some(command) = cli.command else {
        print::note(&Cli::command().render_help().to_string());
        return Ok(Exit::Usage);
    };
    let ctx = Ctx::new(cli.global);
    ctx.start_logging();
    commands::run(&ctx, command)
}
