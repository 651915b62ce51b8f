//! `agent-runner-fleet exec`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_runner_inventory::fold_names;
use clap::Args;
use serde_json::json;

use super::context::printed;
use super::{Ctx, Patterns};
use crate::error::{Error, Exit};
use crate::output::print;
use crate::output::recap::{self, HostResult, Status};
use crate::ssh::{Exec, Output};

/// Run a command on hosts
///
/// The words after -- are joined by spaces and run by /bin/sh on every selected host. Hosts that print the same and end
/// the same are shown once.
#[derive(Debug, Args)]
pub struct ExecArgs {
    #[command(flatten)]
    on: Patterns,
    /// The command, as /bin/sh reads it
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Hosts that printed and ended alike.
type Folded = BTreeMap<(String, Vec<u8>, Vec<u8>), Vec<(usize, String)>>;

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: ExecArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let targets = ctx.targets(&inventory, &args.on.patterns)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let command = args.command.join(" ");
    let deadline = Duration::from_secs(ctx.global.timeout.unwrap_or(60));
    let order: Vec<String> = targets.iter().map(|target| target.name.to_string()).collect();
    let order = Arc::new(order);
    let folded = Arc::new(Mutex::new(Folded::new()));
    let (all, json) = (folded.clone(), ctx.global.json);
    let recap = ctx.each_host(&inventory, "exec", targets, move |client, target| {
        let exec = Exec::command(command.clone()).deadline(Some(deadline));
        let (folded, order) = (all.clone(), order.clone());
        async move {
            let host = target.name.to_string();
            let ran = async { client.session(&target.settings).await?.exec(exec).await }.await;
            match ran {
                Ok(output) => {
                    if json {
                        // A closed stdout leaves nobody to show it to; the recap still counts the host.
                        let _ = print::json_line(&as_json(&host, &output));
                    } else {
                        let place = order.iter().position(|name| *name == host).unwrap_or_default();
                        let key = (output.status.to_string(), output.stdout.clone(), output.stderr.clone());
                        let mut folded = folded.lock().unwrap_or_else(PoisonError::into_inner);
                        folded.entry(key).or_default().push((place, host.clone()));
                    }
                    judge(&host, &output)
                }
                Err(error) => recap::of_ssh_error(&host, &error),
            }
        }
    })?;
    let folded = std::mem::take(&mut *folded.lock().unwrap_or_else(PoisonError::into_inner));
    printed(print::text(&text(folded)))?;
    ctx.finish(&inventory, &recap)
}

fn judge(host: &str, output: &Output) -> HostResult {
    if output.success() {
        return HostResult::new(host, Status::Ok, "");
    }
    // What it printed stands above, folded; the recap names the status.
    HostResult::new(host, Status::Failed, output.status.to_string())
}

fn as_json(host: &str, output: &Output) -> serde_json::Value {
    json!({
        "schema": 1,
        "host": host,
        "status": output.status.to_string(),
        "ok": output.success(),
        "stdout": String::from_utf8_lossy(&output.stdout),
        "stderr": String::from_utf8_lossy(&output.stderr),
        "truncated": output.truncated,
    })
}

/// Returns what the hosts printed, alike ones once, the group with the earliest host first.
fn text(folded: Folded) -> String {
    let mut groups: Vec<_> = folded.into_iter().collect();
    for (_, hosts) in &mut groups {
        hosts.sort();
    }
    groups.sort_by_key(|(_, hosts)| hosts.first().map(|(place, _)| *place));
    let mut text = String::new();
    for ((status, stdout, stderr), hosts) in groups {
        let names: Vec<&str> = hosts.iter().map(|(_, name)| name.as_str()).collect();
        let how = if status == "exit 0" { String::new() } else { format!("  [{status}]") };
        text.push_str(&format!("{}{how}\n", fold_names(&names)));
        for line in String::from_utf8_lossy(&stdout).lines() {
            text.push_str(&format!("  {line}\n"));
        }
        for line in String::from_utf8_lossy(&stderr).lines() {
            text.push_str(&format!("  ! {line}\n"));
        }
    }
    text
}
