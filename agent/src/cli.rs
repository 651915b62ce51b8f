//! The command line: global options before or after the verb, then one verb.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::commands::{self, Command};
use crate::error::{Error, Exit};
use crate::output::{self, Format};
use crate::verb::{ConfigGiven, Ctx};

/// Restart-on-exit supervisor for one autonomous coding CLI per project
#[derive(Debug, Parser)]
#[command(name = "agent-runner", disable_version_flag = true)]
pub struct Cli {
    /// The project's configuration [default: ./agent-runner.toml]
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Print the version and exit
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
            output::error(&error);
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
    let matches = match Cli::command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return usage(&error),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let format = if cli.json { Format::Json } else { Format::Pretty };
    if cli.version {
        return crate::version::print(format);
    }
    let Some(command) = cli.command else {
        output::printed(output::print(&Cli::command().render_help().to_string()))?;
        return Ok(Exit::Failed);
    };
    let config_given = if cli.config.is_some() { ConfigGiven::ByOption } else { ConfigGiven::ByDefault };
    let config = cli.config.unwrap_or_else(|| PathBuf::from("agent-runner.toml"));
    commands::run(&Ctx { config, config_given, format }, command)
}

fn usage(error: &clap::Error) -> Result<Exit, Error> {
    if error.use_stderr() {
        output::raw_error(&error.render().to_string());
        return Ok(Exit::Usage);
    }
    output::printed(output::print(&error.render().to_string()))?;
    Ok(Exit::Ok)
}
