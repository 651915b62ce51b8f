//! `agent-runner-fleet exec`.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_runner_inventory::HostName;
use clap::{Args, ValueEnum};
use tokio::time::Instant;

use crate::error::{Error, Exit, config, usage};
use crate::output::folded::{Folded, Others};
use crate::output::host_files::HostFiles;
use crate::output::prefixed::Prefixed;
use crate::output::print;
use crate::output::progress::Show;
use crate::output::recap::{self, HostResult, Status, Stopped};
use crate::output::result_line::ResultLine;
use crate::ssh::{Client, Exec, ExitStatus, Output, Source, SshError, sudo_refusal};
use crate::targets::Target;
use crate::verb::context::printed;
use crate::verb::deed::Deed;
use crate::verb::on_hosts::{Pass, Span};
use crate::verb::{Ctx, Patterns, script};

/// The most of all hosts' output that is kept for folding, in bytes; each host gets its share.
const KEPT: usize = 256 << 20;
/// The bounds of that share: enough for a report, and enough for a page however many hosts there are.
const SHARE: (usize, usize) = (16 << 10, 1 << 20);
/// The longest script.
const MAX_SCRIPT: u64 = 16 << 20;
/// What `--rc max` counts for a host that failed without an exit code of its own, as ssh does.
const NO_CODE: u32 = 255;

/// Run a command on hosts
///
/// The words after -- are joined by spaces and run by /bin/sh on every selected host. Hosts that print the same and end
/// the same are shown once, when all have ended; --live shows each line as it comes.
#[derive(Debug, Args)]
pub struct ExecArgs {
    #[command(flatten)]
    on: Patterns,
    /// Show each line as it comes, with its host before it
    #[arg(long, conflicts_with = "diff")]
    live: bool,
    /// Show what most hosts printed, and of the others only the difference
    #[arg(long)]
    diff: bool,
    /// Also write all output to DIR/HOST.out and DIR/HOST.err
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Run this local script; - reads it from stdin. The words after -- are its arguments
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// What the exit code says: bits as every verb, or the highest code of the command on any host (255 for a host that
    /// gave none)
    #[arg(long, value_name = "HOW", default_value = "bits")]
    rc: Rc,
    /// The command, as /bin/sh reads it
    #[arg(last = true, required_unless_present = "script", value_name = "CMD")]
    command: Vec<String>,
}

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rc {
    /// 2 for failed hosts, 4 for unreachable ones, OR-ed.
    Bits,
    /// The highest code of the command on any host.
    Max,
}

/// Where output goes while the hosts work.
#[derive(Debug)]
struct Sinks {
    shown: Shown,
    files: Option<HostFiles>,
    folded: Mutex<Folded>,
    places: HashMap<HostName, usize>,
    /// The hosts whose line of JSON is out.
    said: Mutex<HashSet<HostName>>,
    /// The exit codes of the command where it ended.
    codes: Mutex<HashMap<HostName, u32>>,
    deadline: Duration,
}

/// How output is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Folded,
    Live,
    Json,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory, the selection or the script is wrong.
pub fn run(ctx: &Ctx, args: ExecArgs) -> Result<Exit, Error> {
    if ctx.global.json && (args.live || args.diff) {
        let option = if args.live { "--live" } else { "--diff" };
        return Err(usage(format!("--json and {option} exclude each other")).hinted("leave one of them out"));
    }
    let command = command(&args)?;
    let inventory = ctx.inventory()?;
    let targets = ctx.targets(&inventory, &args.on.patterns)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let share = (KEPT / targets.len().max(1)).clamp(SHARE.0, SHARE.1);
    let exec = command.deadline(None).output_limit(share);
    let shown = match (ctx.global.json, args.live) {
        (true, _) => Shown::Json,
        (false, true) => Shown::Live,
        (false, false) => Shown::Folded,
    };
    let sinks = Arc::new(Sinks {
        shown,
        files: args.output_dir.as_deref().map(files).transpose()?,
        folded: Mutex::default(),
        places: targets.iter().enumerate().map(|(place, target)| (target.name.clone(), place)).collect(),
        said: Mutex::default(),
        codes: Mutex::default(),
        deadline: ctx.deadline(),
    });
    let said = said(&args);
    let doing = ctx.begin(&inventory, &targets, &Deed { verb: "exec", projects: &[], command: Some(&said) });
    let pass = Pass { verb: "exec", show: show(ctx, shown), span: Span::UpTo(ctx.deadline()) };
    let all = sinks.clone();
    let recap = ctx.each_host_in(&inventory, pass, targets, move |client, target| {
        on_host(client, target, (exec.clone(), all.clone()))
    })?;
    let folded = std::mem::take(&mut *sinks.folded.lock().unwrap_or_else(PoisonError::into_inner));
    let others = if args.diff { Others::AsDiff } else { Others::Whole };
    printed(print::text(&folded.text(others)))?;
    if shown == Shown::Json {
        let said = std::mem::take(&mut *sinks.said.lock().unwrap_or_else(PoisonError::into_inner));
        // Hosts that were never started or were cut short have nothing to say for themselves.
        for result in recap.results.iter().filter(|result| !said.contains(result.host.as_str())) {
            printed(print::json_line(&as_json(None, result)))?;
        }
    }
    let exit = match (args.rc, ctx.finish(&inventory, &recap)?) {
        (Rc::Max, _) if recap.stopped == Stopped::No => {
            let codes = sinks.codes.lock().unwrap_or_else(PoisonError::into_inner);
            Exit::Command(highest(&recap.results, &codes))
        }
        (Rc::Max | Rc::Bits, exit) => exit,
    };
    doing.end(&recap, exit);
    Ok(exit)
}

/// Returns the command as it is written down: as it was typed.
fn said(args: &ExecArgs) -> String {
    let words = args.command.join(" ");
    match &args.script {
        Some(path) => format!("--script {} {words}", path.display()).trim_end().to_owned(),
        None => words,
    }
}

/// Returns what `--rc max` ends with: a host that is not well counts with the code of its command, unless there is none
/// or it says that all is well.
fn highest(results: &[HostResult], codes: &HashMap<HostName, u32>) -> u8 {
    let code = |result: &HostResult| {
        let code = codes.get(result.host.as_str()).copied();
        if result.status.is_bad() { code.filter(|code| *code > 0).unwrap_or(NO_CODE) } else { 0 }
    };
    u8::try_from(results.iter().map(code).max().unwrap_or_default()).unwrap_or(u8::MAX)
}

/// Live lines and a live progress line would write over each other, and lines of their own show progress enough.
fn show(ctx: &Ctx, shown: Shown) -> Show {
    match (shown, ctx.show()) {
        (Shown::Live, Show::Live | Show::Lines | Show::Nothing) => Show::Nothing,
        (_, show) => show,
    }
}

fn files(folder: &Path) -> Result<HostFiles, Error> {
    HostFiles::at(folder).map_err(|error| config(format!("cannot use {}", folder.display())).caused_by(error))
}

fn command(args: &ExecArgs) -> Result<Exec, Error> {
    let Some(path) = &args.script else {
        let command = args.command.join(" ");
        if command.trim().is_empty() {
            // Every host would run nothing and be well.
            return Err(usage("the command is empty").hinted("give one after --, as in: exec -- uname -r"));
        }
        return Ok(Exec::command(command));
    };
    let read = |from: &mut dyn io::Read| {
        let mut bytes = Vec::new();
        from.take(MAX_SCRIPT + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = if path.as_os_str() == "-" {
        read(&mut io::stdin().lock())
    } else {
        std::fs::File::open(path).and_then(|mut file| read(&mut file))
    };
    let bytes = bytes.map_err(|error| config(format!("cannot read {}", path.display())).caused_by(error))?;
    if bytes.len() as u64 > MAX_SCRIPT {
        return Err(usage(format!("{} is larger than {} MiB", path.display(), MAX_SCRIPT >> 20)));
    }
    script::exec(&bytes, &args.command)
        .map_err(|error| usage(format!("{} cannot run on a host", path.display())).caused_by(error))
}

async fn on_host(client: Client, target: Target, (exec, sinks): (Exec, Arc<Sinks>)) -> HostResult {
    let host = target.name.to_string();
    let ends = Instant::now() + sinks.deadline;
    let mut file = match sinks.files.as_ref().map(|files| files.open(&host)).transpose() {
        Ok(file) => file,
        Err(error) => {
            return HostResult::new(host, Status::Failed, format!("its output cannot be kept: {error}"));
        }
    };
    let mut lines = Prefixed::new(&host);
    let mut unwritten = None;
    let ran = async {
        let session = client.session(&target.settings).await?;
        let left = ends.saturating_duration_since(Instant::now());
        let exec = target.exec(exec).deadline(Some(left));
        let seen = |source: Source, bytes: &[u8]| {
            if let Some(file) = &mut file
                && let Err(error) = file.write(source, bytes)
            {
                unwritten.get_or_insert(error);
            }
            if sinks.shown == Shown::Live {
                show_lines(source, &lines.take(source, bytes));
            }
        };
        session.exec_seen(exec, seen).await
    };
    let ran = ran.await;
    if sinks.shown == Shown::Live {
        for source in [Source::Stdout, Source::Stderr] {
            show_lines(source, &lines.rest(source));
        }
    }
    if let Ok(output) = &ran {
        let mut codes = sinks.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.insert(target.name.clone(), code(output));
    }
    let result = match &ran {
        Ok(output) => judge(&host, output),
        Err(error) => recap::of_ssh_error(&host, error),
    };
    sinks.keep(&target.name, ran, &result);
    match unwritten {
        Some(error) => HostResult::new(host, Status::Failed, format!("its output cannot be kept: {error}")),
        None => result,
    }
}

impl Sinks {
    /// Shows or keeps what a host printed. What a command printed before it failed to end is its output, too.
    fn keep(&self, host: &HostName, ran: Result<Output, SshError>, result: &HostResult) {
        match self.shown {
            // A closed stdout leaves nobody to show it to; the recap still counts the host.
            Shown::Json => {
                self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone());
                drop(print::json_line(&as_json(Some(&ran), result)));
            }
            Shown::Live => {}
            Shown::Folded => {
                let Ok(output) = ran else { return };
                let place = self.places.get(host).copied().unwrap_or_default();
                let mut folded = self.folded.lock().unwrap_or_else(PoisonError::into_inner);
                folded.add(place, host.as_str(), output);
            }
        }
    }
}

fn show_lines(source: Source, text: &str) {
    if text.is_empty() {
        return;
    }
    match source {
        // A closed stdout leaves nobody to show it to; the recap still counts the host.
        Source::Stdout => drop(print::text(text)),
        Source::Stderr => print::note(text.trim_end_matches('\n')),
    }
}

fn code(output: &Output) -> u32 {
    match output.status {
        ExitStatus::Code(code) => code,
        ExitStatus::Signal(_) => NO_CODE,
    }
}

fn judge(host: &str, output: &Output) -> HostResult {
    if output.success() {
        return HostResult::new(host, Status::Ok, "");
    }
    // What it printed stands above, folded; the recap names the status.
    let result = HostResult::new(host, Status::Failed, output.status.to_string());
    if let Some((why, remedy)) = sudo_refusal(&output.stderr) {
        return result.hinted(format!("{why}: {remedy}"));
    }
    result
}

/// The line of a host, with what came of the command as far as it ran there.
fn as_json(ran: Option<&Result<Output, SshError>>, result: &HostResult) -> ResultLine {
    let none = Output::default();
    let (output, ended) = match ran {
        Some(Ok(output)) => (output, true),
        Some(Err(error)) => (error.output().unwrap_or(&none), false),
        None => (&none, false),
    };
    let code = match output.status {
        ExitStatus::Code(code) if ended => Some(code),
        ExitStatus::Code(_) | ExitStatus::Signal(_) => None,
    };
    ResultLine::of(result)
        .with("code", code)
        .with("status", ended.then(|| output.status.to_string()))
        .with("stdout", String::from_utf8_lossy(&output.stdout))
        .with("stderr", String::from_utf8_lossy(&output.stderr))
        .with("truncated", output.truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_code_counts_hosts_that_gave_none() {
        let result = |status| HostResult::new("pi1", status, "");
        for (status, code, expected) in [
            (Status::Ok, Some(0), 0),
            (Status::Failed, Some(3), 3),
            (Status::Failed, None, 255),
            (Status::Unreachable, None, 255),
            // The command ended well, and its output could not be kept.
            (Status::Failed, Some(0), 255),
            (Status::Failed, Some(3_221_225_786), 255),
        ] {
            let codes: HashMap<HostName, u32> =
                code.map(|code| (HostName::new("pi1").unwrap(), code)).into_iter().collect();
            assert_eq!(highest(&[result(status)], &codes), expected, "{status:?} {code:?}");
        }
        assert_eq!(highest(&[result(Status::Failed), result(Status::Ok)], &HashMap::new()), 255);
    }
}
