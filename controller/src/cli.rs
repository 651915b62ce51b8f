//! The command line: options every verb shares, then one verb.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_runner_inventory::Shard;
use clap::{Args, CommandFactory, FromArgMatches, Parser};

use crate::commands::{self, Command, Ctx};
use crate::error::{Error, Exit};
use crate::output::print;

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

/// What every verb shares.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The inventory [default: ./fleet.toml, $AGENT_RUNNER_FLEET, ~/.config/agent-runner/fleet.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Only these hosts; repeatable
    #[arg(short, long, global = true, value_name = "PATTERN")]
    pub limit: Vec<String>,
    /// Not these hosts; repeatable
    #[arg(short = 'x', long, global = true, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Of the hosts only the K-th of N shares, by a hash of their names: for several controllers of one fleet
    #[arg(long, global = true, value_name = "K/N")]
    pub shard: Option<Shard>,
    /// Hosts at work at the same time [default: the inventory's, else 64]
    #[arg(short, long, global = true, value_name = "N")]
    pub forks: Option<u32>,
    /// Log in as this user
    #[arg(short, long, global = true, value_name = "NAME")]
    pub user: Option<String>,
    /// Work as root through sudo, or as the inventory's become_user
    #[arg(short = 'b', long = "become", global = true)]
    pub r#become: bool,
    /// Ask once for the password sudo wants; without it sudo may not ask
    #[arg(short = 'K', long, global = true)]
    pub ask_become_pass: bool,
    /// Log in by password where keys do not suffice; asks once
    #[arg(long, global = true)]
    pub ask_pass: bool,
    /// Seconds until a connection must stand
    #[arg(long, global = true, value_name = "SECONDS")]
    pub connect_timeout: Option<u64>,
    /// Seconds one host may take in all [default: 600; deploy, push, install and rollback wait for rounds to end]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Record the keys of hosts that are not known yet; a key that differs from the recorded one is refused all the same
    #[arg(long, global = true)]
    pub accept_new: bool,
    /// Show the selected hosts and do nothing
    #[arg(long, global = true)]
    pub list_hosts: bool,
    /// Print results as JSON lines
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// More of what happens on the wire; twice for all of it
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Yes to every question
    #[arg(short, long, global = true)]
    pub yes: bool,
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
