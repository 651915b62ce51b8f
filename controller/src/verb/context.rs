//! What every verb gets: the shared options and the edge of the world (environment, user, machine).

use std::collections::BTreeMap;
use std::env;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use agent_runner::apply::manifest::By;
use agent_runner_inventory::{Inventory, Shard};
use clap::Args;
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

use crate::error::{Error, config, usage};
use crate::output::print;
use crate::output::progress::Show;
use crate::verb::questions::Questions;

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
    #[arg(short, long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
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
    /// Log in by password where keys do not suffice; asks once for each user
    #[arg(long, global = true)]
    pub ask_pass: bool,
    /// Seconds until a connection must stand, 1 to 3600
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
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

/// The shared options, and what is read at the edge.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The options every verb shares.
    pub global: Global,
    /// The password of `--ask-become-pass`, once it was asked for.
    pub(crate) become_password: Arc<OnceLock<Option<SecretString>>>,
    /// The questions to the person at the terminal.
    pub(crate) questions: Arc<Questions>,
}

impl Ctx {
    /// Returns the context of a command line.
    pub fn new(global: Global) -> Ctx {
        Ctx { global, become_password: Arc::default(), questions: Arc::default() }
    }

    /// Returns an environment variable; empty and non-UTF-8 values count as unset.
    #[expect(clippy::disallowed_methods, reason = "this is the edge where verbs read the environment")]
    pub fn env(&self, name: &str) -> Option<String> {
        env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// Returns the whole environment, without what is no UTF-8.
    pub fn variables(&self) -> BTreeMap<String, String> {
        env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// Returns the operator's home folder.
    pub fn home(&self) -> Option<PathBuf> {
        dirs::home_dir()
    }

    /// Returns the operator's name on this machine.
    pub fn user(&self) -> String {
        let named = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
        named.or_else(|| self.env("USER")).unwrap_or_else(|| nix::unistd::getuid().to_string())
    }

    /// Returns this machine's name.
    pub fn machine(&self) -> String {
        nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default()
    }

    /// Returns who asks, with an identity for this run.
    pub fn by(&self) -> By {
        let run = format!("{}-{}", jiff::Timestamp::now().as_millisecond(), std::process::id());
        By { user: self.user(), machine: self.machine(), run, key: None }
    }

    /// Returns how progress is shown.
    pub fn show(&self) -> Show {
        if self.global.quiet {
            Show::Nothing
        } else if print::is_live(|name| self.env(name)) {
            Show::Live
        } else if self.global.json {
            Show::Nothing
        } else if self.global.verbose > 0 {
            Show::Steps
        } else {
            Show::Lines
        }
    }

    /// Sends what happens on the wire to stderr, as much as `-v` asks for.
    pub fn start_logging(&self) {
        let level = match self.global.verbose {
            0 => "warn",
            1 => "info",
            2 => "debug",
            3.. => "trace",
        };
        let filter = EnvFilter::new(format!("off,agent_runner_fleet={level}"));
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).finish();
        // A second call in one process (tests) keeps the first subscriber.
        let _ = tracing::subscriber::set_global_default(subscriber);
    }

    /// Returns the inventory's path: the option, else ./fleet.toml, $AGENT_RUNNER_FLEET, the user's configuration
    /// folder.
    ///
    /// # Errors
    /// When none of them exists.
    pub fn inventory_path(&self) -> Result<PathBuf, Error> {
        if let Some(path) = &self.global.inventory {
            return Ok(path.clone());
        }
        let candidates = [
            Some(PathBuf::from("fleet.toml")),
            self.env("AGENT_RUNNER_FLEET").map(PathBuf::from),
            dirs::config_dir().map(|dir| dir.join("agent-runner/fleet.toml")),
        ];
        let tried: Vec<PathBuf> = candidates.into_iter().flatten().collect();
        if let Some(found) = tried.iter().find(|path| path.exists()) {
            return Ok(found.clone());
        }
        let names: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
        Err(config(format!("there is no inventory: looked for {}", names.join(", ")))
            .hinted("write one with: agent-runner-fleet init"))
    }

    /// Reads the inventory.
    ///
    /// # Errors
    /// When there is none, or it is wrong: every problem with file, line and column.
    pub fn inventory(&self) -> Result<Inventory, Error> {
        let path = self.inventory_path()?;
        Inventory::load(&path).map_err(|error| config(error.to_string()))
    }

    /// Runs a verb's asynchronous part to its end.
    ///
    /// # Errors
    /// When the runtime cannot be started, else what the verb returns.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| config("cannot start the runtime").caused_by(error))?;
        let result = runtime.block_on(work);
        // A question that is still open would leave the terminal without its echo.
        self.questions.settle();
        // Tasks that wait for a host's answer end with the process.
        runtime.shutdown_background();
        result
    }

    /// Asks a yes-or-no question on the terminal; `--yes` answers it.
    ///
    /// # Errors
    /// When there is no terminal to ask on.
    pub fn confirm(&self, question: &str) -> Result<bool, Error> {
        use std::io::{BufRead, IsTerminal};
        if self.global.yes {
            return Ok(true);
        }
        let input = io::stdin();
        if !input.is_terminal() {
            return Err(
                usage(format!("{question} There is no terminal to ask on")).hinted("answer with --yes")
            );
        }
        print::note(&format!("{question} [y/N]"));
        let mut answer = String::new();
        input.lock().read_line(&mut answer).map_err(|error| config("reading the answer").caused_by(error))?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

/// Turns a failed print into the verb's error; a closed stdout is quiet success.
///
/// # Errors
/// Any other failure to write.
pub(crate) fn printed(result: io::Result<()>) -> Result<(), Error> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(config("writing to stdout").caused_by(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
