//! `agent-runner-fleet unlock`.

use clap::Args;

use super::lock::{self, Ask};
use crate::error::{Error, Exit};
use crate::output::recap::Status;
use crate::verb::{Ctx, Patterns};

/// Give the lock of hosts back
///
/// Also somebody else's: it says whose it was. One that a deploy took, which may still be at work there, only with
/// --force.
#[derive(Debug, Args)]
pub struct UnlockArgs {
    #[command(flatten)]
    on: Patterns,
    /// Also the lock of a deploy
    #[arg(long)]
    force: bool,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: UnlockArgs) -> Result<Exit, Error> {
    let says = |by| serde_json::to_vec(&by).expect("names are JSON");
    let words: &[&str] = if args.force { &["apply", "--unlock", "--force"] } else { &["apply", "--unlock"] };
    lock::each(ctx, &args.on, Ask { verb: "unlock", words, done: Status::Changed, says })
}
