//! `agent-runner-fleet logs`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use agent_runner_inventory::HostName;
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::error::{Error, Exit};
use crate::output::by_time::{LogLine, LogSource, began, journal, merge, timed};
use crate::output::print;
use crate::output::progress::Show;
use crate::output::recap::{self, HostResult, Status};
use crate::remote;
use crate::ssh::{Client, Exec, ExitStatus, Output, SshError, Stream, quote};
use crate::targets::Target;
use crate::verb::context::printed;
use crate::verb::on_hosts::{Pass, Span};
use crate::verb::{Ctx, agent_verb};

/// Show the logs of the projects on many hosts as one, by time
///
/// The log of the latest round is what the agent printed; the journal is what the service did. Lines without a time of
/// their own stand by the time of the line before. With -f, lines are shown as they come, and the next round is
/// followed when it begins.
#[derive(Debug, Args)]
pub struct LogsArgs {
    #[command(flatten)]
    on: agent_verb::ProjectPatterns,
    /// Which logs
    #[arg(long, value_name = "WHICH", default_value = "all")]
    source: Which,
    /// The last lines of each log
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    lines: u32,
    /// The round, or latest
    #[arg(long, value_name = "N", default_value = "latest", value_parser = round)]
    round: String,
    /// Go on with what is written from now on
    #[arg(short, long, conflicts_with = "round")]
    follow: bool,
    /// Hosts at work at the same time; -f is --follow here
    // The shared option without its letter: an option of this id is not handed down.
    #[arg(id = "forks", long = "forks", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    _forks: Option<u32>,
}

/// Which logs are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Both.
    All,
    /// The rounds' logs.
    Round,
    /// The journal.
    Journal,
}

/// What is wanted of each log.
#[derive(Debug, Clone)]
struct Wanted {
    which: Which,
    lines: u32,
    round: String,
    json: bool,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: LogsArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let (targets, on) = agent_verb::targets(ctx, &inventory, &args.on)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let wanted = Wanted { which: args.source, lines: args.lines, round: args.round, json: ctx.global.json };
    let found: Arc<Mutex<Found>> = Arc::default();
    let all = found.clone();
    let (span, show) = match (args.follow, ctx.show()) {
        // Lines that come and a live line would write over each other.
        (true, Show::Live) => (Span::UntilInterrupted, Show::Lines),
        (true, show) => (Span::UntilInterrupted, show),
        (false, show) => (Span::UpTo(ctx.deadline()), show),
    };
    let pass = Pass { verb: "logs", show, span };
    let recap = ctx.each_host_in(&inventory, pass, targets, move |client, target| {
        let projects = on.get(&target.name).cloned().unwrap_or_default();
        let (wanted, all) = (wanted.clone(), all.clone());
        async move {
            let host = target.name.to_string();
            let read = match span {
                Span::UntilInterrupted => follow_all(&client, &target, (projects, wanted)).await,
                Span::UpTo(_) => read_all(&client, &target, (projects, wanted)).await.map(|found| {
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.lines.extend(found.lines);
                    all.warnings.extend(found.warnings);
                }),
            };
            match read {
                Ok(()) => HostResult::new(host, Status::Ok, ""),
                Err(Trouble::Ssh(error)) => recap::of_ssh_error(&host, &error),
                Err(Trouble::Agent(result)) => *result,
            }
        }
    })?;
    let found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    for line in merge(found.lines) {
        printed(show_line(&line, ctx.global.json))?;
    }
    found.warnings.iter().for_each(|warning| print::note(&format!("warning: {warning}")));
    ctx.print_results(&recap)?;
    ctx.finish(&inventory, &recap)
}

/// What was read, and what was not.
#[derive(Debug, Default)]
struct Found {
    lines: Vec<LogLine>,
    warnings: Vec<String>,
}

/// Why there is nothing of a host.
enum Trouble {
    Ssh(SshError),
    Agent(Box<HostResult>),
}

impl From<SshError> for Trouble {
    fn from(error: SshError) -> Self {
        Trouble::Ssh(error)
    }
}

/// A project's name and work tree.
type Place = (String, String);

async fn read_all(
    client: &Client,
    target: &Target,
    (projects, wanted): (Vec<Place>, Wanted),
) -> Result<Found, Trouble> {
    let session = client.session(&target.settings).await?;
    let mut found = Found::default();
    for (project, work_dir) in &projects {
        let line = |source| {
            let (host, project) = (target.name.to_string(), project.clone());
            move |(time, line)| LogLine { time, host: host.clone(), project: project.clone(), source, line }
        };
        if wanted.which != Which::Journal {
            let asked = session.exec(target.exec(which_log(work_dir, &wanted.round))).await?;
            let path = log_path(target, (project, &wanted.round), asked)?;
            let tail = format!("exec tail -n {} -- {}", wanted.lines, quote(&path));
            let output = said(target, project, session.exec(target.exec(Exec::command(tail))).await?)?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let began = began(&path).unwrap_or_else(Timestamp::now);
            found.lines.extend(timed(&text, began).into_iter().map(line(LogSource::Round)));
        }
        if wanted.which != Which::Round {
            let script =
                format!("{HAS_JOURNAL}{}", journal_script(work_dir, &format!("-n {}", wanted.lines)));
            let output = session.exec(target.exec(Exec::command(script))).await?;
            if !output.success() {
                let trouble = no_journal(target, project, &output);
                if wanted.which == Which::Journal {
                    return Err(Trouble::Agent(Box::new(trouble)));
                }
                // A host without a journal still has rounds, and one whose journal is not for this login as well.
                if output.status != ExitStatus::Code(NO_JOURNAL) {
                    let HostResult { host, message, hint, .. } = trouble;
                    found.warnings.push(format!("{host}: {message}; {hint}"));
                }
                continue;
            }
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            found.lines.extend(text.lines().filter_map(journal).map(line(LogSource::Journal)));
        }
    }
    Ok(found)
}

async fn follow_all(
    client: &Client,
    target: &Target,
    (projects, wanted): (Vec<Place>, Wanted),
) -> Result<(), Trouble> {
    let session = client.session(&target.settings).await?;
    let mut following = Vec::new();
    for (project, work_dir) in &projects {
        let mut scripts = Vec::new();
        if wanted.which != Which::Journal {
            let asked = target.exec(which_log(work_dir, &wanted.round));
            // The streams of the projects before hold their channels for ever, and sshd may grant no other one.
            let asked = client.exec_beside(&target.settings, asked).await?;
            let path = log_path(target, (project, &wanted.round), asked)?;
            scripts.push((LogSource::Round, round_script(&path, wanted.lines)));
        }
        if wanted.which != Which::Round {
            let follow = format!("-f -n {}", wanted.lines);
            scripts.push((
                LogSource::Journal,
                format!("{HAS_JOURNAL}{}", held(&journal_script(work_dir, &follow))),
            ));
        }
        for (source, script) in scripts {
            let exec = target.exec(Exec::command(script)).hold_stdin().deadline(None);
            let stream = client.stream_beside(session.clone(), &target.settings, exec).await?;
            following.push(show_stream(stream, (target.name.clone(), project.clone(), source), wanted.json));
        }
    }
    for ended in futures::future::join_all(following).await {
        ended?;
    }
    Ok(())
}

/// Shows the lines of a stream as they come.
async fn show_stream(
    mut stream: Stream,
    (host, project, source): (HostName, String, LogSource),
    json: bool,
) -> Result<(), SshError> {
    let mut dropped = 0;
    while let Some(line) = stream.next().await {
        let text = String::from_utf8_lossy(&line.bytes).into_owned();
        let (time, line) = match source {
            LogSource::Round => (Timestamp::now(), text),
            LogSource::Journal => journal(&text).unwrap_or_else(|| (Timestamp::now(), text)),
        };
        let line = LogLine { time, host: host.to_string(), project: project.clone(), source, line };
        if show_line(&line, json).is_err() {
            // Nobody reads any more.
            return Ok(());
        }
        if stream.dropped() > dropped {
            dropped = stream.dropped();
            print::note(&format!(
                "warning: {host}/{project}: {dropped} lines came faster than they were read"
            ));
        }
    }
    stream.finish().await.map(|_| ())
}

fn show_line(line: &LogLine, json: bool) -> std::io::Result<()> {
    if json { print::json_line(&line.json()) } else { print::text(&format!("{}\n", line.text())) }
}

/// Asks the agent where a round's log is.
fn which_log(work_dir: &str, round: &str) -> Exec {
    Exec::command(remote::agent(work_dir, &["peek", "--round", round, "--select", "current_round"]))
}

/// Returns where the log is, as the agent answered.
fn log_path(target: &Target, (project, round): (&str, &str), output: Output) -> Result<String, Trouble> {
    let output = said(target, project, output)?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let path = answer.get("log_path").and_then(serde_json::Value::as_str);
    path.map(str::to_owned).ok_or_else(|| {
        let message = format!("{project}: the agent names no log of round {round}");
        Trouble::Agent(Box::new(HostResult::new(target.name.to_string(), Status::Failed, message)))
    })
}

/// Returns the output of a command that succeeded.
fn said(target: &Target, project: &str, output: Output) -> Result<Output, Trouble> {
    if output.success() {
        return Ok(output);
    }
    Err(Trouble::Agent(Box::new(agent_verb::refused(target.name.as_str(), project, &output))))
}

/// Returns why there is nothing of a journal, and what helps.
fn no_journal(target: &Target, project: &str, output: &Output) -> HostResult {
    let failed = |message: String| HostResult::new(target.name.to_string(), Status::Failed, message);
    if output.status == ExitStatus::Code(NO_JOURNAL) {
        return failed(format!("{project}: there is no journalctl"))
            .hinted("--source round shows the rounds");
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let words = stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("nothing");
    let message = format!("{project}: journalctl ended with {}, saying `{words}`", output.status);
    failed(message).hinted(format!(
        "it may be that {} may not read the journal there: add that login to the group systemd-journal, or use -b",
        target.settings.user
    ))
}

/// The exit code of a host without a journal.
const NO_JOURNAL: u32 = 69;
/// Ends with it.
const HAS_JOURNAL: &str = "command -v journalctl >/dev/null || exit 69\n";

/// Reads what the service of a project wrote, whether it is the user's or the system's.
fn journal_script(work_dir: &str, options: &str) -> String {
    let folder = Path::new(work_dir).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let unit = format!("agent-runner@{folder}.service");
    let (user, system) =
        (quote(&format!("_SYSTEMD_USER_UNIT={unit}")), quote(&format!("_SYSTEMD_UNIT={unit}")));
    format!("exec journalctl -q --no-pager -o short-unix {options} {user} + {system}")
}

/// Runs a script until nobody listens: its stdin stays open that long.
fn held(script: &str) -> String {
    format!("{{ {script}\n}} </dev/null & w=$!\ncat >/dev/null\nkill $w 2>/dev/null; :")
}

/// Follows the newest log in the folder of `path`, also when a newer one appears.
fn round_script(path: &str, lines: u32) -> String {
    let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
    let script = r#"n=LINES t= f=
end() { [ -z "$t" ] || kill "$t" 2>/dev/null; }
follow() {
    trap 'end; exit' TERM
    while :; do
        new=$(ls | sed -n 's/^R\([0-9]*\)-.*[.]log$/\1 &/p' | sort -n | tail -n 1)
        new=${new#* }
        if [ -n "$new" ] && [ "$new" != "$f" ]; then
            end; tail -n "$n" -f "./$new" & t=$!
            f=$new n=+1
        fi
        sleep 1
    done
}
follow </dev/null & w=$!
cat >/dev/null
kill "$w" 2>/dev/null; wait "$w" 2>/dev/null; :"#;
    format!("cd {} || exit\n{}", quote(folder), script.replace("LINES", &lines.to_string()))
}

fn round(text: &str) -> Result<String, String> {
    let known = text == "latest" || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    if known { Ok(text.to_owned()) } else { Err("a number, or `latest`".to_owned()) }
}
