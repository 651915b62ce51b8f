//! `agent-runner-fleet plan`.

use clap::Args;

use super::Ctx;
use super::deploy::{self, DeployArgs};
use crate::deploy::host::Depth;
use crate::error::{Error, Exit};

/// Show what a deploy would change
///
/// Writes nothing, here or there.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Only these projects
    #[arg(value_name = "PROJECT")]
    pub(super) projects: Vec<String>,
    /// End with 32 when a host differs
    #[arg(long)]
    pub(super) exit_code: bool,
}

/// Runs the verb.
///
/// # Errors
/// As `deploy`.
pub fn run(ctx: &Ctx, args: PlanArgs) -> Result<Exit, Error> {
    deploy::run_to(ctx, &DeployArgs::of_plan(args), Depth::Check)
}
