//! `agent-runner-fleet completions`.

use agent_runner::shell::{self, Shell};
use clap::Args;

use crate::cli::definition;
use crate::error::{Error, Exit};
use crate::output::print;
use crate::verb::Ctx;
use crate::verb::context::printed;

/// Print the completions of a shell, for its startup files
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Runs the verb.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(ctx: &Ctx, args: CompletionsArgs) -> Result<Exit, Error> {
    ctx.selects_nothing("completions", "it is about no host")?;
    printed(print::text(&shell::completions(definition(), args.shell)))?;
    Ok(Exit::Ok)
}
