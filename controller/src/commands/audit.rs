//! `agent-runner-fleet audit`.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use agent_runner::store::time;
use agent_runner_inventory::{HostName, Inventory, fold_names};
use clap::Args;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::{Error, Exit};
use crate::history::Store;
use crate::history::query::{LogLine, Wanted};
use crate::output::recap::{self, HostResult, Status};
use crate::output::{history_lines, print};
use crate::runs::{self, Run};
use crate::span;
use crate::ssh::Exec;
use crate::verb::context::printed;
use crate::verb::watching::of_history;
use crate::verb::{Ctx, Patterns};

/// What a host remembers, the newest lines; the agent keeps two files of 4 MiB.
const SCRIPT: &str = r#"d="$HOME/.local/state/agent-runner"
cat "$d/audit.jsonl.1" "$d/audit.jsonl" 2>/dev/null | tail -n 20000
"#;
/// The kinds of lines of the history that say what a person asked for, and the most of them that are read.
const ASKED: [&str; 5] = ["asked", "ack", "unack", "silence", "resume"];
const ASKED_MOST: usize = 20_000;
/// The most that is read of one host, in bytes.
const OUTPUT_MAX: usize = 16 << 20;

/// Show who changed what on the hosts, by time
///
/// Merges what the hosts remember (each switch, confirmation, revert and lock, whichever controller it came from) with what
/// was done from this machine: its runs, `exec`, `stop` and their like included, and what was asked of alerts, in the
/// dashboard and in `watch`. With --local no host is asked. Commands of `exec` are written down with secrets masked.
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    on: Patterns,
    /// Only what is newer: 2h, 3d, or a time as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// Only these, separated by commas: run, host, asked, ack, silence, or a result or verb as switched, reverted, locked, deploy, stop, exec
    #[arg(long, value_name = "KIND,..", value_delimiter = ',')]
    kind: Vec<String>,
    /// Only what was done from this machine
    #[arg(long)]
    local: bool,
}

/// A moment, or an age.
#[derive(Debug, Clone, Copy)]
enum Since {
    Ago(u64),
    At(Timestamp),
}

fn since(text: &str) -> Result<Since, String> {
    match text.parse::<Timestamp>() {
        Ok(at) => Ok(Since::At(at)),
        Err(_) => {
            span::parse(text).map(Since::Ago).map_err(|error| format!("{error}, or 2026-01-31T12:00:00Z"))
        }
    }
}

impl Since {
    fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Since::At(at) => at,
            Since::Ago(seconds) => {
                let ago = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
                now.checked_sub(ago).unwrap_or(Timestamp::MIN)
            }
        }
    }
}

/// One line of a host's audit; what a newer agent adds is ignored.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Entry {
    ts: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    machine: String,
    #[serde(default)]
    run: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default)]
    projects: Vec<String>,
    result: String,
    #[serde(default)]
    detail: String,
}

/// Something that happened.
struct Happened {
    at: Timestamp,
    /// What it is, the words that `--kind` knows: a run and its verb, or a host and what came of it.
    kinds: [String; 2],
    /// The hosts it is about; none is all of them.
    hosts: Vec<String>,
    text: String,
    json: serde_json::Value,
}

impl Happened {
    fn is_of(&self, wanted: &[String]) -> bool {
        wanted.is_empty() || wanted.iter().any(|kind| self.kinds.contains(kind))
    }

    fn is_about(&self, names: &HashSet<&str>) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|host| names.contains(host.as_str()))
    }
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: AuditArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let since = args.since.map(|since| since.moment(Timestamp::now()));
    if ctx.global.list_hosts {
        return ctx.list_names(&ctx.names(&inventory, &args.on.patterns)?);
    }
    let runs = local(&inventory);
    let recorded: HashSet<&str> = runs.iter().map(|run| run.begin.run.as_str()).collect();
    let mut happened: Vec<Happened> = runs.iter().filter_map(of_run).collect();
    happened.extend(asked(ctx, &inventory, (since, &recorded)));
    if !ctx.means_all(&args.on.patterns) {
        let names = ctx.names(&inventory, &args.on.patterns)?;
        let names: HashSet<&str> = names.iter().map(HostName::as_str).collect();
        happened.retain(|one| one.is_about(&names));
    }
    let exit = if args.local {
        Exit::Ok
    } else {
        let (exit, of_hosts) = of_hosts(ctx, &inventory, &args.on)?;
        happened.extend(of_hosts);
        exit
    };
    happened.retain(|one| since.is_none_or(|since| one.at >= since) && one.is_of(&args.kind));
    happened.sort_by_key(|one| one.at);
    for one in happened {
        printed(if ctx.global.json { print::json_line(&one.json) } else { print::text(&one.text) })?;
    }
    Ok(exit)
}

/// The runs of this machine.
fn local(inventory: &Inventory) -> Vec<Run> {
    let Some(state) = dirs::state_dir() else { return Vec::new() };
    let fleet = &inventory.fleet.name;
    let mut runs = runs::all(&runs::folder(&state, fleet));
    runs.extend(runs::all(&runs::deeds(&state, fleet)));
    runs
}

/// What people asked of a `monitor` or `watch` of this machine, and of alerts: in the history, where there is one. One that
/// cannot be read hides nothing else.
fn asked(
    ctx: &Ctx,
    inventory: &Inventory,
    (since, recorded): (Option<Timestamp>, &HashSet<&str>),
) -> Vec<Happened> {
    let Some(path) = ctx.history_path(inventory).ok().filter(|path| path.exists()) else {
        return Vec::new();
    };
    let wanted = Wanted {
        since: since.unwrap_or(Timestamp::UNIX_EPOCH),
        hosts: None,
        kinds: ASKED.map(str::to_owned).to_vec(),
        most: ASKED_MOST,
    };
    match Store::open(&path).and_then(|store| store.log(&wanted)) {
        Ok(lines) => lines.iter().filter_map(|line| of_asked(line, recorded)).collect(),
        Err(error) => {
            let why = of_history(error);
            print::note(&format!("warning: what was asked of alerts and in `watch` is left out: {why}"));
            Vec::new()
        }
    }
}

/// A verb of this machine is in the record of its run, for as long as that is kept; what nobody asked for is no deed.
fn of_asked(line: &LogLine, recorded: &HashSet<&str>) -> Option<Happened> {
    let word = |key: &str| line.body.get(key).and_then(serde_json::Value::as_str);
    if word("run").is_some_and(|run| recorded.contains(run))
        || word("by").is_none()
        || !ASKED.contains(&line.kind.as_str())
    {
        return None;
    }
    let ts = time::stamp(line.at);
    let of = match (line.host.as_str(), line.project.as_str()) {
        ("", _) => "-".to_owned(),
        (host, "") => host.to_owned(),
        (host, project) => format!("{host}/{project}"),
    };
    let text = match line.kind.as_str() {
        "resume" => format!("{ts}  {of}  resume by {}\n", history_lines::what(line)),
        kind => format!("{ts}  {of}  {kind} {}\n", history_lines::what(line)),
    };
    let json = json!({"schema": 1, "kind": "asked", "line": history_lines::json(line)});
    let hosts = Some(line.host.clone()).filter(|host| !host.is_empty()).into_iter().collect();
    Some(Happened { at: line.at, kinds: [line.kind.clone(), line.name.clone()], hosts, text, json })
}

fn of_run(run: &Run) -> Option<Happened> {
    let begin = &run.begin;
    let ended = match run.exit {
        Some(0) => "ended well".to_owned(),
        Some(code) => format!("ended with {code}"),
        None => "has no end".to_owned(),
    };
    // Quoted: a line of a command is no line of the audit.
    let command = begin.command.as_ref().map(|command| format!(" {command:?}")).unwrap_or_default();
    let of = match begin.projects.len() {
        0 => String::new(),
        _ => format!(" {}", begin.projects.join(", ")),
    };
    let on = match begin.hosts.len() {
        0 => String::new(),
        _ => format!(" on {}", fold_names(&begin.hosts)),
    };
    let left = match run.unfinished().as_slice() {
        [] => String::new(),
        left => format!("; left: {}", fold_names(left)),
    };
    let keys: BTreeSet<&str> = run.ended.values().filter_map(|ended| ended.key.as_deref()).collect();
    let keys = match keys.len() {
        0 => String::new(),
        _ => format!(" by {}", keys.into_iter().collect::<Vec<_>>().join(", ")),
    };
    let text = format!(
        "{}  run {}  {}@{}{keys}  {}{of}{command}{on} {ended}{left}\n",
        begin.ts, begin.run, begin.user, begin.machine, begin.verb
    );
    let json = json!({"schema": 1, "kind": "run", "run": run});
    let kinds = ["run".to_owned(), begin.verb.clone()];
    Some(Happened { at: time::parse(&begin.ts)?, kinds, hosts: begin.hosts.clone(), text, json })
}

fn of_hosts(ctx: &Ctx, inventory: &Inventory, on: &Patterns) -> Result<(Exit, Vec<Happened>), Error> {
    let targets = ctx.targets(inventory, &on.patterns)?;
    let happened: Arc<Mutex<Vec<Happened>>> = Arc::default();
    let all = happened.clone();
    let recap = ctx.each_host(inventory, "audit", targets, move |client, target| {
        let all = all.clone();
        async move {
            let host = target.name.to_string();
            let mut exec = Exec::command(SCRIPT);
            exec.output_limit = OUTPUT_MAX;
            let answered = async { client.session(&target.settings).await?.exec(target.exec(exec)).await };
            match answered.await {
                Ok(output) => {
                    let text = String::from_utf8_lossy(&output.stdout).into_owned();
                    let found: Vec<Happened> = text.lines().filter_map(|line| of_line(&host, line)).collect();
                    let count = found.len();
                    all.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
                    HostResult::new(host, Status::Ok, format!("{count} entries"))
                }
                Err(error) => recap::of_ssh_error(&host, &error),
            }
        }
    })?;
    let exit = ctx.finish(inventory, &recap)?;
    let found = std::mem::take(&mut *happened.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((exit, found))
}

fn of_line(host: &str, line: &str) -> Option<Happened> {
    let entry: Entry = serde_json::from_str(line).ok()?;
    let of =
        if entry.projects.is_empty() { String::new() } else { format!(" {}", entry.projects.join(", ")) };
    let detail = if entry.detail.is_empty() { String::new() } else { format!(": {}", entry.detail) };
    let key = entry.key.as_deref().map(|key| format!(" by {key}")).unwrap_or_default();
    let text = format!(
        "{}  {host}  {}@{}{key}  {}{of}{detail}  (run {})\n",
        entry.ts, entry.user, entry.machine, entry.result, entry.run
    );
    let json = json!({"schema": 1, "kind": "host", "host": host, "entry": entry});
    let kinds = ["host".to_owned(), entry.result.clone()];
    Some(Happened { at: time::parse(&entry.ts)?, kinds, hosts: vec![host.to_owned()], text, json })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_did_what_and_why() {
        let line = r#"{"ts":"2026-01-31T12:00:00.000Z","fleet":"attic","host":"pi1","user":"me","machine":"desk",
            "run":"1-2","id":"x","projects":["research"],"result":"reverted","detail":"nobody confirmed it in time"}"#
            .replace('\n', " ");
        let happened = of_line("pi1", &line).unwrap();
        assert_eq!(
            happened.text,
            "2026-01-31T12:00:00.000Z  pi1  me@desk  reverted research: nobody confirmed it in time  (run 1-2)\n"
        );
        assert!(of_line("pi1", "{\"ts\":").is_none());
        let with_key = line.replace("\"run\":", "\"key\":\"SHA256:6r5p\",\"run\":");
        let text = of_line("pi1", &with_key).unwrap().text;
        assert!(text.contains("  me@desk by SHA256:6r5p  reverted research: "), "{text}");
        let of = |kinds: &[&str]| happened.is_of(&kinds.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(of(&[]) && of(&["host"]) && of(&["locked", "reverted"]));
        assert!(!of(&["run"]) && !of(&["switched", "locked"]));
    }

    #[test]
    fn since_is_an_age_or_a_moment() {
        let now = "2026-01-31T12:00:00Z".parse::<Timestamp>().unwrap();
        assert_eq!(since("2h").unwrap().moment(now).to_string(), "2026-01-31T10:00:00Z");
        assert_eq!(since("2026-01-30T00:00:00Z").unwrap().moment(now).to_string(), "2026-01-30T00:00:00Z");
        assert!(since("yesterday").unwrap_err().contains("90s, 30m"));
    }
}
