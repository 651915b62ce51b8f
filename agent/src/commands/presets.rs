//! `agent-runner presets`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::types::Config;
use crate::error::{Error, Exit};
use crate::output::printed;
use crate::output::{self, Format};
use crate::provider::presets::{Entry, Origin, Presets};
use crate::provider::rules::Rules;
use crate::provider::scan::{self, RoundFacts};
use crate::verb::Ctx;

/// List the agent CLIs that are known, and how their output is read
///
/// Presets are inside the program; files in ~/.config/agent-runner/presets and in WORK_DIR/.agent-runner/presets add
/// to them, and win over one of the same name or for the same agent.
#[derive(Debug, Args)]
pub struct PresetsArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print one preset's file
    Show(ShowArgs),
    /// Show what a preset file reads from a captured log
    Check(CheckArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The preset
    name: String,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// The preset file
    file: PathBuf,
    /// A log the agent wrote; without it only the file is checked
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How the agent ended
    #[arg(long, value_name = "CODE", default_value_t = 0, allow_negative_numbers = true)]
    exit_code: i64,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    title: Option<&'a str>,
    agent: Option<&'a str>,
    origin: String,
    reads: Vec<&'static str>,
    proven_on: &'a [String],
    cooperative_signal: Option<&'static str>,
    resume_flag: Option<&'a str>,
}

/// Runs the verb.
///
/// # Errors
/// For an unknown preset, and for a file that is no preset.
pub fn run(ctx: &Ctx, args: PresetsArgs) -> Result<Exit, Error> {
    match args.action {
        None => list(ctx),
        Some(Action::Show(args)) => show(ctx, &args),
        Some(Action::Check(args)) => check(ctx, &args),
    }
}

fn all(ctx: &Ctx) -> Presets {
    // Without a usable configuration there is no project, and its presets do not count.
    let loaded = Config::load(&ctx.config, ctx.home().as_deref()).ok();
    let work_dir = loaded.as_ref().map(|loaded| loaded.config.runtime.work_dir.as_path());
    let presets = Presets::load(&ctx.preset_folders(work_dir));
    for problem in presets.problems() {
        output::note(problem);
    }
    presets
}

fn list(ctx: &Ctx) -> Result<Exit, Error> {
    let presets = all(ctx);
    let rows: Vec<Row<'_>> = presets.entries().into_iter().map(row).collect();
    printed(match ctx.format {
        Format::Json => output::print_json(&json!({ "schema_version": 1, "presets": rows })),
        Format::Pretty => output::print(&table(&rows)),
    })?;
    Ok(Exit::Ok)
}

fn row(entry: &Entry) -> Row<'_> {
    let rules = entry.rules();
    Row {
        name: &entry.name,
        title: entry.preset().map(|preset| preset.title.as_str()),
        agent: entry.agent(),
        origin: match &entry.origin {
            Origin::Embedded => "built in".into(),
            Origin::File(path) => path.display().to_string(),
        },
        reads: rules.map(reads).unwrap_or_default(),
        proven_on: entry.preset().map_or(&[], |preset| &preset.proven_on),
        cooperative_signal: rules.and_then(|rules| rules.cooperative_signal).map(|signal| signal.name()),
        resume_flag: rules.and_then(|rules| rules.resume_flag.as_deref()),
    }
}

fn reads(rules: &Rules) -> Vec<&'static str> {
    let kinds = [
        ("usage", rules.usage.is_some()),
        ("throttle", !rules.throttle.is_empty()),
        ("auth_error", !rules.auth_error.is_empty()),
        ("error", !rules.error.is_empty()),
        ("tool_call", !rules.tool_call.is_empty()),
    ];
    kinds.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

fn table(rows: &[Row<'_>]) -> String {
    let wide = |text: fn(&Row<'_>) -> usize| rows.iter().map(text).max().unwrap_or(0);
    let name = wide(|row| row.name.len()).max("NAME".len());
    let title = wide(|row| row.title.unwrap_or("").len()).max("FOR".len());
    let proven = wide(|row| row.proven_on.join(" ").len()).max("PROVEN ON".len());
    let mut text =
        format!("{:name$}  {:title$}  {:proven$}  {:44}  FROM\n", "NAME", "FOR", "PROVEN ON", "READS");
    for row in rows {
        let reads = if row.reads.is_empty() { "-".into() } else { row.reads.join(" ") };
        let shown = row.title.or(row.agent).unwrap_or("");
        let on = if row.proven_on.is_empty() { "-".into() } else { row.proven_on.join(" ") };
        let (called, origin) = (row.name, &row.origin);
        text.push_str(&format!("{called:name$}  {shown:title$}  {on:proven$}  {reads:44}  {origin}\n"));
    }
    text
}

fn show(ctx: &Ctx, args: &ShowArgs) -> Result<Exit, Error> {
    let presets = all(ctx);
    let entry = presets.get(&args.name).ok_or_else(|| {
        Error::failed(format!("there is no preset `{}`", args.name))
            .hinted("`agent-runner presets` lists them")
    })?;
    printed(match ctx.format {
        Format::Json => {
            let text = &entry.text;
            output::print_json(&json!({ "schema_version": 1, "preset": row(entry), "text": text }))
        }
        Format::Pretty => output::print(&entry.text),
    })?;
    Ok(Exit::Ok)
}

fn check(ctx: &Ctx, args: &CheckArgs) -> Result<Exit, Error> {
    let entry =
        Entry::read(&args.file).map_err(|error| Error::failed("the preset is refused").caused_by(error))?;
    let Some(log) = &args.log else {
        printed(output::print(&format!("{}: in order\n", args.file.display())))?;
        return Ok(Exit::Ok);
    };
    let Some(rules) = entry.rules() else {
        return Err(Error::failed(format!("{} has no [provider], so it reads nothing", args.file.display())));
    };
    let events = extracted(rules, log, args.exit_code)?;
    let unrecognised = events.iter().any(|event| event["event"] == "provider_output_unrecognised");
    printed(match ctx.format {
        Format::Json => {
            output::print_json(&json!({ "schema_version": 1, "agent": rules.agent, "events": events }))
        }
        Format::Pretty => output::print(&pretty(&events)),
    })?;
    Ok(if unrecognised { Exit::Failed } else { Exit::Ok })
}

fn extracted(rules: &Rules, log: &Path, exit_code: i64) -> Result<Vec<Value>, Error> {
    if !log.is_file() {
        return Err(Error::failed(format!("{}: no such log", log.display())));
    }
    let round = RoundFacts {
        agent: rules.agent.clone(),
        round_num: 1,
        phase: None,
        exit_code,
        timed_out: false,
        anomaly_window: 30,
        anomaly_threshold: 15,
    };
    let events = scan::scan(log, rules, &round, Timestamp::now());
    let values = events.iter().map(serde_json::to_value).collect::<Result<_, _>>();
    values.map_err(|error| Error::failed("an event cannot be shown").caused_by(error))
}

fn pretty(events: &[Value]) -> String {
    if events.is_empty() {
        return "No event: the log has nothing these rules report.\n".into();
    }
    let mut text = String::new();
    for event in events {
        text.push_str(&format!("{}\n", event["event"].as_str().unwrap_or("")));
        for (name, value) in event.as_object().into_iter().flatten().filter(|(name, _)| *name != "event") {
            text.push_str(&format!("  {name}: {value}\n"));
        }
    }
    text
}
