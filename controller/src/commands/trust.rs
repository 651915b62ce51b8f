//! `agent-runner-fleet trust`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;

use super::context::printed;
use super::{Ctx, Patterns};
use crate::error::{Error, Exit};
use crate::output::print;
use crate::output::recap::{self, HostResult, Status};
use crate::ssh::{OfferedKey, Verdict};

/// Show the host keys of new hosts and record them
///
/// Asks once for all of them. A key that differs from the recorded one is never recorded here: that needs a look first.
#[derive(Debug, Args)]
pub struct TrustArgs {
    #[command(flatten)]
    on: Patterns,
    /// Draw each key's picture too, as ssh-keygen -lv does
    #[arg(long)]
    randomart: bool,
}

/// The keys that are not recorded yet, by host.
type New = BTreeMap<String, Vec<OfferedKey>>;

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
    let new = Arc::new(Mutex::new(New::new()));
    let all = new.clone();
    let seen = ctx.each_host(&inventory, "scan", targets.clone(), move |client, target| {
        let new = all.clone();
        async move {
            let host = target.name.to_string();
            match client.scan(&target.settings).await {
                Ok(keys) => {
                    let (result, unknown) = judge(&host, keys);
                    if !unknown.is_empty() {
                        new.lock().unwrap_or_else(PoisonError::into_inner).insert(host, unknown);
                    }
                    result
                }
                Err(error) => recap::of_ssh_error(&host, &error),
            }
        }
    })?;
    let new = std::mem::take(&mut *new.lock().unwrap_or_else(PoisonError::into_inner));
    if new.is_empty() {
        return ctx.finish(&inventory, &seen);
    }
    for (host, keys) in &new {
        for key in keys {
            let picture =
                if args.randomart { format!("{}\n", key.randomart.trim_end()) } else { String::new() };
            printed(print::text(&format!("{host}  {}  {}\n{picture}", key.algorithm, key.fingerprint)))?;
        }
    }
    if !ctx.confirm(&format!("Record the keys of these {} hosts?", new.len()))? {
        print::note("nothing recorded");
        return ctx.finish(&inventory, &seen);
    }
    let chosen = targets.into_iter().filter(|target| new.contains_key(target.name.as_str())).collect();
    let new = Arc::new(new);
    let recorded = ctx.each_host(&inventory, "record", chosen, move |client, target| {
        let new = new.clone();
        async move {
            let host = target.name.to_string();
            let keys = new.get(&host).map_or(&[][..], Vec::as_slice);
            match client.trust(&target.settings, keys).await {
                Ok(verdicts) if verdicts.iter().all(|verdict| *verdict == Verdict::Known) => {
                    HostResult::new(host, Status::Changed, format!("{} keys recorded", keys.len()))
                }
                Ok(_) => HostResult::new(host, Status::Failed, "another key was recorded meanwhile"),
                Err(error) => recap::of_ssh_error(&host, &error),
            }
        }
    })?;
    ctx.finish(&inventory, &recorded)
}

/// Returns a host's result, and of its keys those that are not recorded.
fn judge(host: &str, keys: Vec<OfferedKey>) -> (HostResult, Vec<OfferedKey>) {
    let contradicts = |key: &&OfferedKey| match key.verdict {
        Verdict::Known | Verdict::Unknown => false,
        Verdict::Mismatch { .. } | Verdict::Revoked { .. } => true,
    };
    if let Some(key) = keys.iter().find(contradicts) {
        let message = format!("{} {} is not the recorded key, or is revoked", key.algorithm, key.fingerprint);
        let hint = "find out why first; if the host was reinstalled, remove its old key: ssh-keygen -R HOST";
        return (HostResult::new(host, Status::Failed, message).hinted(hint), Vec::new());
    }
    let (unknown, known): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|key| key.verdict == Verdict::Unknown);
    let message = format!("{} known, {} new", known.len(), unknown.len());
    (HostResult::new(host, Status::Ok, message), unknown)
}
