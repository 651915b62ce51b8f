//! `agent-runner round`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Exit};
use crate::output;
use crate::process::signals::StopSignal;
use crate::round::failpoint::Failpoint;
use crate::round::options::{Battery, Handed, Resume, Surroundings};
use crate::round::preflight::Failure;
use crate::round::{self, RoundError, RoundExit, RoundOptions};
use crate::verb::Ctx;

/// Run one round
#[derive(Debug, Args)]
pub struct RoundArgs {
    /// Run this phase instead of the one whose turn it is
    #[arg(long, value_name = "NAME")]
    phase: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(ctx: &Ctx, args: RoundArgs) -> Result<Exit, Error> {
    let options = RoundOptions {
        config_path: ctx.config.clone(),
        phase: args.phase,
        surroundings: surroundings(ctx),
        failpoint: Failpoint::from_variable(ctx.env("AGENT_RUNNER_FAILPOINT").as_deref()),
    };
    match round::run(&options) {
        Ok(RoundExit::Done) => Ok(Exit::Ok),
        Ok(RoundExit::AgentFailed) => Ok(Exit::Failed),
        Ok(RoundExit::Interrupted) => Ok(Exit::Interrupted),
        Err(error) => fail(error),
    }
}

fn fail(error: RoundError) -> Result<Exit, Error> {
    let exit = error.exit();
    if let RoundError::Startup(failures) = &error {
        for failure in failures {
            output::raw_error(&startup_line(failure));
        }
        return Ok(exit);
    }
    let hint = error.hint();
    let shown = Error::new(exit, error.to_string());
    let shown = match hint {
        Some(hint) => shown.hinted(hint),
        None => shown,
    };
    Err(match std::error::Error::source(&error) {
        Some(source) => shown.caused_by(source.to_string()),
        None => shown,
    })
}

fn startup_line(failure: &Failure) -> String {
    format!("STARTUP FAIL: {}: {} (fix: {})\n", failure.check, failure.reason, failure.fix)
}

fn surroundings(ctx: &Ctx) -> Surroundings {
    let home = ctx.home();
    Surroundings {
        config_home: ctx.config_home(),
        home,
        path: ctx.env("PATH").map(OsString::from),
        temp_dir: ctx.env("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from),
        battery: Battery::from_skip_variable(ctx.env("AGENT_RUNNER_SKIP_STARTUP_CHECK").as_deref()),
        handed: handed(ctx),
    }
}

fn handed(ctx: &Ctx) -> Handed {
    let resume = ctx.env("AGENT_RUNNER_RESUME_FLAG").zip(ctx.env("AGENT_RUNNER_RESUME_SESSION_ID"));
    Handed {
        log_dir: ctx.env("AGENT_RUNNER_LOG_DIR").map(PathBuf::from),
        round_num: ctx.env("AGENT_RUNNER_ROUND_NUM").and_then(|number| number.parse().ok()),
        reap_grace: ctx.env("AGENT_RUNNER_REAP_GRACE_S").and_then(|value| Handed::parse_reap_grace(&value)),
        stop_signal: ctx
            .env("AGENT_RUNNER_COOPERATIVE_STOP_SIGNAL")
            .and_then(|name| StopSignal::from_name(&name)),
        resume: resume.map(|(flag, session_id)| Resume { flag, session_id }),
    }
}
