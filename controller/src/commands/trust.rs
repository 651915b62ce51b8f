//! `agent-runner-fleet trust`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use agent_runner_inventory::Inventory;
use clap::Args;
use serde::Serialize;

use crate::error::{Error, Exit};
use crate::output::print;
use crate::output::recap::{self, HostResult, Recap, Status};
use crate::output::result_line::ResultLine;
use crate::ssh::{OfferedKey, Verdict};
use crate::verb::context::printed;
use crate::verb::{Ctx, Patterns};

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

/// Keys by host.
type Keys = BTreeMap<String, Vec<OfferedKey>>;

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
    let seen_keys: Arc<Mutex<Keys>> = Arc::default();
    let all = seen_keys.clone();
    let mut recap = ctx.each_host(&inventory, "scan", targets.clone(), move |client, target| {
        let seen = all.clone();
        async move {
            let host = target.name.to_string();
            match client.scan(&target.settings).await {
                Ok(keys) => {
                    let result = judge(&host, &keys);
                    seen.lock().unwrap_or_else(PoisonError::into_inner).insert(host, keys);
                    result
                }
                Err(error) => recap::of_ssh_error(&host, &error),
            }
        }
    })?;
    let seen = std::mem::take(&mut *seen_keys.lock().unwrap_or_else(PoisonError::into_inner));
    let new = new_keys(&recap, &seen);
    if new.is_empty() {
        return shown(ctx, &inventory, (&recap, &seen));
    }
    if !ctx.global.json {
        for (host, keys) in &new {
            for key in keys {
                printed(print::text(&in_words(host, key, args.randomart)))?;
            }
        }
    }
    match ctx.confirm(&format!("Record the keys of these {} hosts?", new.len())) {
        Ok(true) => {}
        Ok(false) => {
            print::note("nothing recorded");
            return shown(ctx, &inventory, (&recap, &seen));
        }
        Err(error) => {
            print_keys(ctx, (&recap, &seen))?;
            return Err(error);
        }
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
    // Hosts that could not be scanned, or had nothing new, keep the result of the scan.
    recap.stopped = recorded.stopped;
    let mut recorded: HashMap<String, HostResult> =
        recorded.results.into_iter().map(|result| (result.host.clone(), result)).collect();
    for result in &mut recap.results {
        if let Some(later) = recorded.remove(&result.host) {
            *result = later;
        }
    }
    shown(ctx, &inventory, (&recap, &seen))
}

/// Returns the keys that may be recorded, by host: nothing of a host that shows a wrong one.
fn new_keys(recap: &Recap, seen: &Keys) -> Keys {
    let well = recap.results.iter().filter(|result| result.status == Status::Ok);
    let unknown = |host: &String| -> Vec<OfferedKey> {
        let keys = seen.get(host).into_iter().flatten();
        keys.filter(|key| key.verdict == Verdict::Unknown).cloned().collect()
    };
    let new = well.map(|result| (result.host.clone(), unknown(&result.host)));
    new.filter(|(_, keys)| !keys.is_empty()).collect()
}

fn shown(ctx: &Ctx, inventory: &Inventory, (recap, seen): (&Recap, &Keys)) -> Result<Exit, Error> {
    print_keys(ctx, (recap, seen))?;
    ctx.finish(inventory, recap)
}

/// With `--json`, a line a host: its keys as they were found, and whether those that were new are recorded now.
fn print_keys(ctx: &Ctx, (recap, seen): (&Recap, &Keys)) -> Result<(), Error> {
    if !ctx.global.json {
        return Ok(());
    }
    for result in &recap.results {
        let recorded = result.status == Status::Changed;
        let keys = seen.get(&result.host).into_iter().flatten();
        let keys: Vec<KeyLine<'_>> = keys.map(|key| KeyLine::of(key, recorded)).collect();
        printed(print::json_line(&ResultLine::of(result).with("keys", keys)))?;
    }
    Ok(())
}

/// One key of a host, as programs see it.
#[derive(Debug, Serialize)]
struct KeyLine<'a> {
    algorithm: &'a str,
    fingerprint: &'a str,
    /// `known`, `new`, `recorded`, `mismatch` or `revoked`.
    state: &'static str,
}

impl KeyLine<'_> {
    fn of(key: &OfferedKey, recorded: bool) -> KeyLine<'_> {
        let state = match key.verdict {
            Verdict::Known => "known",
            Verdict::Unknown if recorded => "recorded",
            Verdict::Unknown => "new",
            Verdict::Mismatch { .. } => "mismatch",
            Verdict::Revoked { .. } => "revoked",
        };
        KeyLine { algorithm: &key.algorithm, fingerprint: &key.fingerprint, state }
    }
}

fn in_words(host: &str, key: &OfferedKey, randomart: bool) -> String {
    let picture = if randomart { format!("{}\n", key.randomart.trim_end()) } else { String::new() };
    format!("{host}  {}  {}\n{picture}", key.algorithm, key.fingerprint)
}

/// Returns what a host's keys say of it.
fn judge(host: &str, keys: &[OfferedKey]) -> HostResult {
    let contradicts = |key: &&OfferedKey| match key.verdict {
        Verdict::Known | Verdict::Unknown => false,
        Verdict::Mismatch { .. } | Verdict::Revoked { .. } => true,
    };
    if let Some(key) = keys.iter().find(contradicts) {
        let message = format!("{} {} is not the recorded key, or is revoked", key.algorithm, key.fingerprint);
        let hint = "find out why first; if the host was reinstalled, remove its old key: ssh-keygen -R HOST";
        return HostResult::new(host, Status::Failed, message).hinted(hint);
    }
    let new = keys.iter().filter(|key| key.verdict == Verdict::Unknown).count();
    HostResult::new(host, Status::Ok, format!("{} known, {new} new", keys.len() - new))
}
