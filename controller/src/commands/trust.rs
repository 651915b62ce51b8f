//! `agent-runner-fleet trust`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use agent_runner_inventory::{HostName, Inventory};
use clap::Args;
use serde::Serialize;

use crate::error::{Error, Exit};
use crate::output::print;
use crate::output::recap::{self, HostResult, Recap, Status, Stopped};
use crate::output::result_line::ResultLine;
use crate::ssh::{OfferedKey, Settings, Verdict};
use crate::targets::Target;
use crate::verb::context::printed;
use crate::verb::{Ctx, Patterns};

/// Show the host keys of new hosts and record them
///
/// Asks once for all of them, and before that once for the unknown hosts on the way to them, the nearest first. A key that differs from the recorded one is never recorded here: that needs a look first.
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
    for jumps in jumps(&targets) {
        let (mut recap, seen) = record_new(ctx, (&inventory, &jumps), args.randomart)?;
        if recap.stopped != Stopped::No {
            return Ok(recap.exit());
        }
        // What is wrong with a jump, the hosts behind it say.
        recap.results.retain(|result| result.status == Status::Changed);
        print_keys(ctx, (&recap, &seen))?;
    }
    let (recap, seen) = record_new(ctx, (&inventory, &targets), args.randomart)?;
    shown(ctx, &inventory, (&recap, &seen))
}

/// Returns the hosts on the way to the targets, those next to us first. Each is scanned through those before it; two that
/// go by one name, as two ports of one address do, one after the other.
fn jumps(targets: &[Target]) -> Vec<Vec<Target>> {
    let longest = targets.iter().map(|target| target.settings.jumps.len()).max().unwrap_or_default();
    let layer = |number: usize| {
        let mut passes: Vec<Vec<Target>> = Vec::new();
        for target in targets {
            let Some((jump, before)) = target.settings.jumps.get(..=number).and_then(<[_]>::split_last)
            else {
                continue;
            };
            // OpenSSH permits more names than an inventory does; the address does as well.
            let name = HostName::new(&jump.name).or_else(|_| HostName::new(&jump.address));
            let Ok(name) = name else { continue };
            let mut on_the_way = target.clone();
            on_the_way.name = name;
            on_the_way.settings = Settings { jumps: before.to_vec(), ..jump.clone() };
            if passes.iter().flatten().any(|known| known.settings == on_the_way.settings) {
                continue;
            }
            let has_room = |pass: &&mut Vec<Target>| pass.iter().all(|known| known.name != on_the_way.name);
            match passes.iter_mut().find(has_room) {
                Some(pass) => pass.push(on_the_way),
                None => passes.push(vec![on_the_way]),
            }
        }
        passes
    };
    (0..longest).flat_map(layer).collect()
}

/// Asks hosts for their keys, and records those that are new after a yes; returns how each host ended, and its keys.
fn record_new(
    ctx: &Ctx,
    (inventory, targets): (&Inventory, &[Target]),
    randomart: bool,
) -> Result<(Recap, Keys), Error> {
    let (mut recap, seen) = scan(ctx, inventory, targets)?;
    let new = new_keys(&recap, &seen);
    if new.is_empty() || recap.stopped != Stopped::No {
        return Ok((recap, seen));
    }
    if !ctx.global.json {
        for (host, keys) in &new {
            for key in keys {
                printed(print::text(&in_words(host, key, randomart)))?;
            }
        }
    }
    match ctx.confirm(&format!("Record the keys of these {} hosts?", new.len())) {
        Ok(true) => {}
        Ok(false) => {
            print::note("nothing recorded");
            return Ok((recap, seen));
        }
        Err(error) => {
            print_keys(ctx, (&recap, &seen))?;
            return Err(error);
        }
    }
    let chosen = targets.iter().filter(|target| new.contains_key(target.name.as_str())).cloned().collect();
    let new = Arc::new(new);
    let recorded = ctx.each_host(inventory, "record", chosen, move |client, target| {
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
    Ok((recap, seen))
}

/// Asks hosts for their keys.
fn scan(ctx: &Ctx, inventory: &Inventory, targets: &[Target]) -> Result<(Recap, Keys), Error> {
    let seen_keys: Arc<Mutex<Keys>> = Arc::default();
    let all = seen_keys.clone();
    let recap = ctx.each_host(inventory, "scan", targets.to_vec(), move |client, target| {
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
    Ok((recap, seen))
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
