//! `agent-runner completions`.

use clap::Args;

use crate::cli::definition;
use crate::error::{Error, Exit};
use crate::output;
use crate::output::printed;
use crate::shell::{self, Shell};
use crate::verb::Ctx;

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
pub fn run(_ctx: &Ctx, args: CompletionsArgs) -> Result<Exit, Error> {
    printed(output::print(&shell::completions(definition(), args.shell)))?;
    Ok(Exit::Ok)
}
