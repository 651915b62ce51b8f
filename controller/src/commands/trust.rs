//! `agent-runner-fleet trust`.

use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;

use super::context::printed;
use super::{Ctx, Patterns};
use crate::error::{Error, Exit};
use crate::output::print;
use crate::output::recap::{self, HostResult, Status};
use crate::ssh::{SshError, Strictness, Unreachable};

/// Show the host keys of new hosts and record them
///
/// Asks once for all of them. A host whose key differs from the recorded one is never recorded here: that needs a look
/// first.
#[derive(Debug, Args)]
pub struct TrustArgs {
    #[command(flatten)]
    on: Patterns,
}

/// A host whose key is not recorded, with the fingerprint it showed.
#[derive(Debug, Clone)]
struct New {
    host: String,
    shown: String,
    fingerprint: String,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong, or there is no terminal to ask on.
pub fn run(ctx: &Ctx, args: TrustArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let targets = ctx.targets(&inventory, &args.on.patterns)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let found = Arc::new(Mutex::new(Vec::new()));
    let all = found.clone();
    let seen = ctx.each_host(&inventory, "scan", targets.clone(), move |client, mut target| {
        let found = all.clone();
        async move {
            target.settings.strictness = Strictness::Strict;
            let host = target.name.to_string();
            match client.connect(&target.settings).await {
                Ok(_) => HostResult::new(host, Status::Ok, "known already"),
                Err(error) => match new(&host, &error) {
                    Some(new) => {
                        let message = new.shown.clone();
                        found.lock().unwrap_or_else(PoisonError::into_inner).push(new);
                        HostResult::new(host, Status::Ok, message)
                    }
                    // A refused login comes after the host's key was found good.
                    None if is_login(&error) => HostResult::new(host, Status::Ok, "known already"),
                    None => recap::of_ssh_error(&host, &error),
                },
            }
        }
    })?;
    let mut found: Vec<New> = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    found.sort_by(|one, other| one.host.cmp(&other.host));
    if found.is_empty() {
        return ctx.finish(&inventory, &seen);
    }
    for new in &found {
        printed(print::text(&format!("{}  {}\n", new.host, new.shown)))?;
    }
    if !ctx.confirm(&format!("Record the keys of these {} hosts?", found.len()))? {
        print::note("nothing recorded");
        return ctx.finish(&inventory, &seen);
    }
    let new_targets: Vec<_> = targets
        .into_iter()
        .filter(|target| found.iter().any(|new| new.host == target.name.as_str()))
        .collect();
    let recorded = ctx.each_host(&inventory, "record", new_targets, move |client, mut target| {
        let wanted =
            found.iter().find(|new| new.host == target.name.as_str()).map(|new| new.fingerprint.clone());
        async move {
            // Only what was shown may be recorded: another key in between is somebody else's.
            target.settings.strictness = wanted.map_or(Strictness::Strict, Strictness::AcceptOnly);
            let host = target.name.to_string();
            match client.connect(&target.settings).await {
                Ok(_) => HostResult::new(host, Status::Changed, "recorded"),
                Err(error) if is_login(&error) => HostResult::new(host, Status::Changed, "recorded"),
                Err(error) => recap::of_ssh_error(&host, &error),
            }
        }
    })?;
    ctx.finish(&inventory, &recorded)
}

fn new(host: &str, error: &SshError) -> Option<New> {
    let SshError::Unreachable { cause, .. } = error else { return None };
    let Unreachable::HostKeyUnknown { algorithm, fingerprint, .. } = &**cause else { return None };
    let shown = format!("{algorithm} {fingerprint}");
    Some(New { host: host.to_owned(), shown, fingerprint: fingerprint.clone() })
}

fn is_login(error: &SshError) -> bool {
    matches!(error, SshError::Unreachable { cause, .. } if matches!(&**cause, Unreachable::AuthRefused { .. }))
}
