//! `agent-runner serve`.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::apply;
use crate::error::{Error, Exit};
use crate::output;
use crate::process::inherited::{LOCK_VARIABLE, STATE_VARIABLE};
use crate::round::options::Battery;
use crate::serve::boot::{self, Inherited, Options, Startup};
use crate::serve::handover::Invocation;
use crate::serve::notify::Variables;
use crate::serve::policy::{Rounds, Windows};
use crate::verb::{Ctx, world};

/// Run rounds until told to stop
///
/// Signals: TERM and INT end it after the running round; USR1 interrupts the running agent and then ends it; USR2 lets
/// the program file it was started from take over between two rounds, under the same process id.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// End after one round
    #[arg(long)]
    once: bool,
    /// End after this many rounds; beats runtime.max_rounds
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    max_rounds: Option<i64>,
    /// Run at any time, whatever the schedule says
    #[arg(long)]
    ignore_schedule: bool,
}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(ctx: &Ctx, args: ServeArgs) -> Result<Exit, Error> {
    look_after_unconfirmed(ctx);
    boot::run(Options {
        config: ctx.config.clone(),
        config_home: ctx.config_home(),
        home: ctx.home(),
        max_rounds: args.max_rounds,
        rounds: if args.once { Rounds::Once } else { Rounds::Endless },
        windows: if args.ignore_schedule { Windows::Ignored } else { Windows::Honoured },
        invocation: invocation(ctx)?,
        startup: Startup {
            battery: Battery::from_skip_variable(ctx.env("AGENT_RUNNER_SKIP_STARTUP_CHECK").as_deref()),
            path: env::var_os("PATH"),
        },
        notify: Variables {
            socket: env::var_os("NOTIFY_SOCKET"),
            watchdog_usec: ctx.env("WATCHDOG_USEC"),
            watchdog_pid: ctx.env("WATCHDOG_PID"),
        },
        inherited: Inherited { lock: ctx.env(LOCK_VARIABLE), state: ctx.env(STATE_VARIABLE) },
    })
}

/// Returns how this process was started. The path it was named by stays, links included: what is behind it may have
/// changed by the time it is started again.
fn invocation(ctx: &Ctx) -> Result<Invocation, Error> {
    let argv: Vec<OsString> = env::args_os().collect();
    let named = argv.first().map(PathBuf::from).unwrap_or_default();
    let program = if named.components().count() > 1 {
        std::path::absolute(&named).ok()
    } else {
        env::var_os("PATH").and_then(|path| find(&path, &named))
    };
    let program = match program.filter(|program| program.is_file()) {
        Some(program) => program,
        None => {
            ctx.program().map_err(|error| Error::failed("this program cannot be found").caused_by(error))?
        }
    };
    Ok(Invocation { program, argv, environment: env::vars_os().collect() })
}

fn find(path: &OsString, name: &Path) -> Option<PathBuf> {
    env::split_paths(path).map(|dir| dir.join(name)).find(|candidate| candidate.is_file())
}

/// A switch that nobody confirmed is put back also when its guard died with the last boot. What goes wrong here must not
/// keep the Loop from running.
fn look_after_unconfirmed(ctx: &Ctx) {
    let looked = world::of(ctx).and_then(|world| {
        apply::revert::overdue(&world)
            .map_err(|error| Error::failed("an unconfirmed switch cannot be looked after").caused_by(error))
    });
    match looked {
        Ok(None) => {}
        Ok(Some(id)) => output::note(&format!("the unconfirmed switch {id} has a guard again")),
        Err(error) => output::error(&error),
    }
}
