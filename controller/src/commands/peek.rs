//! `agent-runner-fleet peek`.

use clap::Args;
use serde_json::{Value, json};

use crate::error::{Error, Exit};
use crate::output::print;
use crate::output::recap::{self, HostResult, Status};
use crate::remote;
use crate::ssh::Exec;
use crate::verb::{Ctx, agent_verb};

/// Show what each host's agent says of its projects now
///
/// The agent's own `peek`, of many hosts: each line is one value, with its path, behind host and project. --select
/// asks for a part of it.
#[derive(Debug, Args)]
pub struct PeekArgs {
    #[command(flatten)]
    on: agent_verb::ProjectPatterns,
    /// Only this part: current_round, service, alerts.0.message
    #[arg(long, value_name = "PATH")]
    select: Option<String>,
    /// A round, or latest
    #[arg(long, value_name = "N")]
    round: Option<String>,
}

/// What is shown of a whole peek: the rest is for --select and --json.
const SHOWN: [&str; 6] = ["current_round", "service", "alerts", "cannot_judge", "rate_limit", "orphan"];

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: PeekArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let (targets, on) = agent_verb::targets(ctx, &inventory, &args.on)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let mut verb = vec!["peek".to_owned()];
    if let Some(round) = &args.round {
        verb.extend(["--round".to_owned(), round.clone()]);
    }
    if let Some(select) = &args.select {
        verb.extend(["--select".to_owned(), select.clone()]);
    }
    let (json, whole) = (ctx.global.json, args.select.is_none());
    let recap = ctx.each_host(&inventory, "peek", targets, move |client, target| {
        let projects = on.get(&target.name).cloned().unwrap_or_default();
        let verb = verb.clone();
        async move {
            let host = target.name.to_string();
            let session = match client.session(&target.settings).await {
                Ok(session) => session,
                Err(error) => return recap::of_ssh_error(&host, &error),
            };
            let words: Vec<&str> = verb.iter().map(String::as_str).collect();
            for (project, work_dir) in projects {
                let exec = target.exec(Exec::command(remote::agent(&work_dir, &words)));
                let output = match session.exec(exec).await {
                    Ok(output) if output.success() => output,
                    Ok(output) => return agent_verb::refused(&host, &project, &output),
                    Err(error) => return recap::of_ssh_error(&host, &error),
                };
                let Ok(peek) = serde_json::from_slice::<Value>(&output.stdout) else {
                    return HostResult::new(host, Status::Failed, format!("{project}: its peek is no JSON"));
                };
                let text = if json {
                    format!("{}\n", json!({"schema": 1, "host": host, "project": project, "peek": peek}))
                } else {
                    let mut text = String::new();
                    lines(&peek, &mut Vec::new(), &mut |path, value| {
                        let first = path.first().map(String::as_str).unwrap_or_default();
                        if !whole || SHOWN.contains(&first) {
                            let name = path.join(".");
                            let gap = if name.is_empty() { "" } else { " = " };
                            text.push_str(&format!("{host}/{project}: {name}{gap}{value}\n"));
                        }
                    });
                    text
                };
                // A closed stdout leaves nobody to show it to; the recap still counts the host.
                let _ = print::text(&text);
            }
            HostResult::new(host, Status::Ok, "")
        }
    })?;
    ctx.finish(&inventory, &recap)
}

/// Walks over every value that is no object or list, and that says something.
fn lines(value: &Value, path: &mut Vec<String>, line: &mut impl FnMut(&[String], &Value)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                path.push(name.clone());
                lines(value, path, line);
                path.pop();
            }
        }
        Value::Array(items) => {
            for (number, value) in items.iter().enumerate() {
                path.push(number.to_string());
                lines(value, path, line);
                path.pop();
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => line(path, value),
    }
}
