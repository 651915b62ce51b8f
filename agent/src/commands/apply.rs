//! `agent-runner apply`.

use std::io::{self, IsTerminal as _, Read};

use clap::Args;
use serde::de::DeserializeOwned;

use crate::apply::manifest::{By, Hold, Manifest, Rollback};
use crate::apply::report::{Outcome, Report};
use crate::apply::{self, Held, Whose};
use crate::error::{Error, Exit};
use crate::output::printed;
use crate::output::{self, Format};
use crate::verb::{Ctx, world};

/// The largest manifest that is read, in bytes.
const MANIFEST_MAX: u64 = 32 << 20;

/// Bring this host to the state of a manifest read from stdin; the answer is a report on stdout
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Only tell what differs; write nothing
    #[arg(long, conflicts_with_all = ["confirm", "revert"])]
    check: bool,
    /// Keep the switch with this id, if its services have arrived
    #[arg(long, value_name = "ID", conflicts_with = "revert")]
    confirm: Option<String>,
    /// Put the switch with this id back
    #[arg(long, value_name = "ID", conflicts_with_all = ["rollback", "lock", "unlock"])]
    revert: Option<String>,
    /// Go back to the release before the one in use; stdin says of which projects
    #[arg(long, conflicts_with_all = ["confirm", "lock", "unlock"])]
    rollback: bool,
    /// Hold this host still: no apply but its owner's comes through; stdin says who, why and how long
    #[arg(long, conflicts_with_all = ["check", "confirm", "unlock"])]
    lock: bool,
    /// Give the host's lock back, one that a deploy holds only with --force; stdin says who asks
    #[arg(long, conflicts_with_all = ["check", "confirm"])]
    unlock: bool,
    /// With --unlock: also a lock that a deploy holds
    #[arg(long, requires = "unlock")]
    force: bool,
    /// Be the process that puts the switch with this id back unless it is confirmed
    #[arg(long, value_name = "ID", hide = true)]
    guard: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// When stdin holds no manifest, or this host's deploy state cannot be used.
pub fn run(ctx: &Ctx, args: ApplyArgs) -> Result<Exit, Error> {
    let world = world::of(ctx)?;
    if let Some(id) = args.guard {
        apply::guard(&world, &id).map_err(|error| Error::failed("guarding a switch").caused_by(error))?;
        return Ok(Exit::Ok);
    }
    let broken = |error: apply::Error| Error::failed("the deploy state of this host").caused_by(error);
    if args.lock {
        let hold: Hold = document(io::stdin(), "request for a lock")?;
        return print_held(ctx, &apply::lock(&world, &hold).map_err(broken)?);
    }
    if args.unlock {
        let whose = if args.force { Whose::Anybodys } else { Whose::APersons };
        let by: By = document(io::stdin(), "name of who asks")?;
        return print_held(ctx, &apply::unlock(&world, &by, whose).map_err(broken)?);
    }
    let report = match (args.confirm, args.revert) {
        (Some(id), _) => apply::confirm(&world, &id).map_err(broken)?,
        (None, Some(id)) => apply::revert_now(&world, &id).map_err(broken)?,
        (None, None) if args.rollback => {
            let wanted: Rollback = document(io::stdin(), "request for a rollback")?;
            if args.check {
                apply::check_rollback(&world, &wanted)
            } else {
                apply::rollback(&world, &wanted).map_err(broken)?
            }
        }
        (None, None) if args.check => apply::check(&world, &document(io::stdin(), "manifest")?),
        (None, None) => {
            let manifest: Manifest = document(io::stdin(), "manifest")?;
            apply::apply(&world, &manifest).map_err(broken)?
        }
    };
    print(ctx, &report)
}

fn document<T: DeserializeOwned>(from: impl Read, what: &str) -> Result<T, Error> {
    let mut text = Vec::new();
    let size = from.take(MANIFEST_MAX + 1).read_to_end(&mut text);
    let size =
        size.map_err(|error| Error::failed(format!("reading the {what} from stdin")).caused_by(error))?;
    if size as u64 > MANIFEST_MAX {
        return Err(Error::failed(format!("the {what} on stdin is larger than 32 MiB")));
    }
    serde_json::from_slice(&text).map_err(|error| {
        Error::new(Exit::Usage, format!("stdin holds no {what}"))
            .caused_by(error)
            .hinted("a controller writes it; `agent-runner-fleet plan` shows what it would say")
    })
}

fn print(ctx: &Ctx, report: &Report) -> Result<Exit, Error> {
    // A program reads it unless a person looks: then it is a text.
    let for_eyes = ctx.format == Format::Pretty && io::stdout().is_terminal();
    printed(if for_eyes { output::print(&pretty(report)) } else { output::print_json(report) })?;
    Ok(match report.outcome {
        Outcome::Unchanged | Outcome::Drift | Outcome::Switched | Outcome::Waiting | Outcome::Confirmed => {
            Exit::Ok
        }
        Outcome::Refused if report.held_by.is_some() => Exit::GaveUp,
        Outcome::Refused | Outcome::Reverted | Outcome::Failed => Exit::Failed,
    })
}

fn print_held(ctx: &Ctx, held: &Held) -> Result<Exit, Error> {
    let for_eyes = ctx.format == Format::Pretty && io::stdout().is_terminal();
    let sentence = format!("{}\n", held.sentence());
    printed(if for_eyes { output::print(&sentence) } else { output::print_json(held) })?;
    Ok(if held.done { Exit::Ok } else { Exit::GaveUp })
}

fn pretty(report: &Report) -> String {
    let mut text = format!("{}\n", word(report.outcome));
    for change in &report.changes {
        let project = change.project.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        text.push_str(
            &format!("{project}{:?} {:?} {}\n", change.action, change.what, change.name).to_lowercase(),
        );
        text.push_str(&change.diff);
        if !change.diff.is_empty() && !change.diff.ends_with('\n') {
            text.push('\n');
        }
    }
    for problem in &report.problems {
        let project = problem.project.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        text.push_str(&format!("problem: {project}{}\n", problem.message));
        if !problem.remedy.is_empty() {
            text.push_str(&format!("  remedy: {}\n", problem.remedy));
        }
    }
    text.extend(report.notes.iter().map(|note| format!("note: {note}\n")));
    if let Some(id) = &report.pending {
        text.push_str(&format!("confirm it with: agent-runner apply --confirm {id}\n"));
    }
    text
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unchanged => "unchanged",
        Outcome::Drift => "it differs",
        Outcome::Switched => "switched, waiting for its confirmation",
        Outcome::Waiting => "not yet",
        Outcome::Confirmed => "confirmed",
        Outcome::Refused => "refused, nothing was changed",
        Outcome::Reverted => "put back",
        Outcome::Failed => "failed, and not everything could be put back",
    }
}
