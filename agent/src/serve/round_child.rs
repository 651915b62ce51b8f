//! The `round` child: its command line, environment and log, and the ways to end it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::sessions::Eyes;
use super::state::RoundPlan;
use crate::masking::mask;
use crate::process::child::{Child, Environment, ParentDeath, Spawn, Stdin, spawn};
use crate::process::inherited::{LOCK_VARIABLE, NOTIFY_VARIABLES, STATE_VARIABLE};
use crate::process::signals::SignalInput;
use crate::process::stop;
use crate::process::tree::{self, Descendant};
use crate::store::agent_logs;
use crate::store::layout::Layout;
use crate::store::regular::open_regular;

/// Characters of the log's end that a give-up event quotes.
const REASON_MAX: usize = 2000;

/// Bytes read for that; masking comes before the cut.
const TAIL_MAX: u64 = 64 << 10;

/// A running round child.
#[derive(Debug)]
pub struct RoundChild {
    /// The process.
    pub child: Child,
    recorded: Vec<Descendant>,
}

/// Where a round child comes from.
#[derive(Debug)]
pub struct Origin<'a> {
    /// The program file the Loop was started with.
    pub program: &'a Path,
    /// The configuration.
    pub config: &'a Path,
    /// The log dir.
    pub layout: &'a Layout,
}

impl RoundChild {
    /// Starts `<program> --config PATH round [--phase P]` in its own session, with its output in `round-<N>.log`.
    ///
    /// # Errors
    /// When no program can be started.
    pub fn start(origin: &Origin<'_>, plan: &RoundPlan) -> io::Result<RoundChild> {
        let mut argv: Vec<OsString> =
            vec![program(origin.program).into(), "--config".into(), origin.config.into(), "round".into()];
        if let Some(phase) = &plan.phase {
            argv.extend(["--phase".into(), phase.into()]);
        }
        let child = spawn(Spawn {
            argv,
            cwd: PathBuf::from("/"),
            env: environment(origin.layout, plan),
            stdin: Stdin::Null,
            output: log(origin.layout, plan.round_num)?,
            // A round whose Loop is killed ends by itself, in good order; until then its lock keeps the next one out.
            parent_death: ParentDeath::Survive,
        })?;
        Ok(RoundChild { child, recorded: Vec::new() })
    }

    /// Asks the round to end: it ends its agent itself.
    pub fn ask(&mut self) {
        self.recorded = tree::descendants(self.child.pid());
        stop::signal_leader(&self.child, SignalInput::Term);
    }

    /// Kills the round and everything recorded below it, then and now.
    pub fn kill(&mut self) {
        self.recorded.extend(tree::descendants(self.child.pid()));
        stop::kill_tree(&self.child, &self.recorded);
    }

    /// Signals the round and nobody else.
    pub fn signal(&self, signal: SignalInput) {
        stop::signal_leader(&self.child, signal);
    }

    /// Reaps the round, which has ended, and returns its exit code.
    pub fn reap(&mut self) -> i64 {
        stop::reap_leader(&mut self.child).code()
    }
}

/// Returns the end of a round child's log, masked, or, when that says nothing, of its agent's log: it was the agent
/// that failed. Empty when neither can be read.
pub fn reason(layout: &Layout, round_num: i64) -> String {
    let said = |path: &Path| tail(path).ok().filter(|text| !text.trim().is_empty());
    let text = said(&layout.round_log(round_num))
        .or_else(|| said(&agent_logs::of_round(layout, round_num)?))
        .unwrap_or_default();
    let text = mask(&text);
    let skip = text.chars().count().saturating_sub(REASON_MAX);
    text.chars().skip(skip).collect()
}

/// Appends a line to a round child's log and returns the log's size before, and whether it ended in a whole line.
///
/// # Errors
/// What the log returned.
pub fn append_trailer(layout: &Layout, round_num: i64, line: &str) -> io::Result<(u64, Ending)> {
    let mut file = OpenOptions::new().read(true).append(true).open(layout.round_log(round_num))?;
    let size = file.metadata()?.len();
    let mut last = [b'\n'];
    if size > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let ending = if last == *b"\n" { Ending::Whole } else { Ending::Torn };
    let separator = if ending == Ending::Torn { "\n" } else { "" };
    file.write_all(format!("{separator}{line}\n").as_bytes())?;
    Ok((size, ending))
}

/// How a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With a newline, or it is empty.
    Whole,
    /// In the middle of a line.
    Torn,
}

/// Points `round-current.log` to a round child's log, atomically; the target is the bare name.
///
/// # Errors
/// What symlink or rename returned.
pub fn point_current(layout: &Layout, round_num: i64) -> io::Result<()> {
    let link = layout.round_current();
    let temporary = link.with_file_name(format!(".round-current.{}.tmp", std::process::id()));
    // Left by an earlier process with our pid, if at all.
    let _ = fs::remove_file(&temporary);
    std::os::unix::fs::symlink(format!("round-{round_num}.log"), &temporary)?;
    fs::rename(&temporary, link)
}

/// Returns the program file to run: always the one we are, so that a new one that cannot run is noticed at the
/// hand-over and not by five crashed rounds. By its name while that still means the same file.
fn program(named: &Path) -> PathBuf {
    let own = PathBuf::from("/proc/self/exe");
    let file = |path: &Path| path.metadata().map(|found| (found.dev(), found.ino())).ok();
    if file(named).is_some_and(|found| Some(found) == file(&own)) { named.to_owned() } else { own }
}

fn environment(layout: &Layout, plan: &RoundPlan) -> Environment {
    let mut env = Environment::inherited()
        .with("AGENT_RUNNER_LOG_DIR", layout.root())
        .with("AGENT_RUNNER_FRESH_EYES", if plan.eyes == Eyes::Fresh { "1" } else { "0" })
        .with("AGENT_RUNNER_ROUND_NUM", plan.round_num.to_string())
        .with("AGENT_RUNNER_REAP_GRACE_S", plan.grace_s.to_string())
        .with("AGENT_RUNNER_COOPERATIVE_STOP_SIGNAL", plan.stop_signal.name());
    for name in NOTIFY_VARIABLES.into_iter().chain([LOCK_VARIABLE, STATE_VARIABLE]) {
        env = env.without(name);
    }
    match &plan.session {
        Some(session) => env
            .with("AGENT_RUNNER_RESUME_FLAG", &session.flag)
            .with("AGENT_RUNNER_RESUME_SESSION_ID", &session.id),
        None => env.without("AGENT_RUNNER_RESUME_FLAG").without("AGENT_RUNNER_RESUME_SESSION_ID"),
    }
}

/// Opens the log; on a full disk the round runs without one.
fn log(layout: &Layout, round_num: i64) -> io::Result<File> {
    match File::create(layout.round_log(round_num)) {
        Ok(file) => Ok(file),
        Err(_) => OpenOptions::new().write(true).open("/dev/null"),
    }
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = open_regular(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL_MAX)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::stat::Stat;
    use crate::process::wait;
    use crate::store::atomic;
    use std::time::{Duration, Instant};

    #[test]
    fn the_reason_is_the_masked_end_of_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        assert_eq!(reason(&layout, 3), "");
        let secret = format!("{}\nAuthorization: Bearer abcdefghijklmnop\nend\n", "x".repeat(5000));
        atomic::replace(&layout.round_log(3), secret.as_bytes()).unwrap();
        let reason = reason(&layout, 3);
        assert_eq!(reason.chars().count(), REASON_MAX);
        assert!(reason.ends_with("end\n") && !reason.contains("abcdefghijklmnop"));
    }

    #[test]
    fn an_agent_that_crashed_gives_the_reason_itself() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        fs::create_dir(layout.rounds_dir()).unwrap();
        for (name, text) in [("R3-1.log", "old"), ("R3-2.log", "no such model"), ("R30-1.log", "another")] {
            atomic::replace(&layout.rounds_dir().join(name), text.as_bytes()).unwrap();
        }
        atomic::replace(&layout.round_log(3), b"\n").unwrap();
        assert_eq!(reason(&layout, 3), "no such model");
        atomic::replace(&layout.round_log(3), b"STARTUP FAIL: x\n").unwrap();
        assert_eq!(reason(&layout, 3), "STARTUP FAIL: x\n");
    }

    #[test]
    fn the_link_names_the_newest_log_by_its_bare_name() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        for round in [3, 4] {
            point_current(&layout, round).unwrap();
            let target = fs::read_link(layout.round_current()).unwrap();
            assert_eq!(target, Path::new(&format!("round-{round}.log")));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    /// Starts a shell in the place of a round and waits until it has written so many process ids.
    fn stand_in(script: &str, count: usize) -> (RoundChild, Vec<i32>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("said");
        let child = spawn(Spawn {
            argv: ["sh", "-c", script].map(OsString::from).to_vec(),
            cwd: "/".into(),
            env: Environment::inherited(),
            stdin: Stdin::Null,
            output: File::create(&path).unwrap(),
            parent_death: ParentDeath::Survive,
        })
        .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let said = fs::read_to_string(&path).unwrap();
            let pids: Vec<i32> = said.lines().map_while(|line| line.parse().ok()).collect();
            if said.ends_with('\n') && pids.len() == count {
                return (RoundChild { child, recorded: Vec::new() }, pids);
            }
            assert!(Instant::now() < deadline, "{said}");
            wait::wait_until(Instant::now() + Duration::from_millis(5)).unwrap();
        }
    }

    #[test]
    fn a_round_that_is_asked_ends_by_itself_also_when_it_has_stopped() {
        let script = "trap 'exit 42' TERM; echo $$; kill -STOP $$; while :; do sleep 0.01; done";
        let (mut round, _) = stand_in(script, 1);
        round.ask();
        assert!(round.child.has_ended(Instant::now() + Duration::from_secs(20)).unwrap());
        assert_eq!(round.reap(), 42);
    }

    #[test]
    fn a_killed_round_takes_along_what_left_its_group() {
        let script = "trap '' TERM; echo $$; setsid sh -c 'echo $$; while :; do sleep 0.01; done' & wait";
        let (mut round, pids) = stand_in(script, 2);
        round.ask();
        assert!(!round.child.has_ended(Instant::now()).unwrap());
        round.kill();
        assert!(round.child.has_ended(Instant::now() + Duration::from_secs(20)).unwrap());
        assert_eq!(round.reap(), -9);
        let deadline = Instant::now() + Duration::from_secs(20);
        while pids.iter().any(|&pid| Stat::read(pid).is_some_and(|stat| !stat.is_dead())) {
            assert!(Instant::now() < deadline, "{pids:?}");
        }
    }

    #[test]
    fn a_replaced_program_is_not_run_before_the_hand_over() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(program(&own), own);
        assert_eq!(program(Path::new("/bin/sh")), Path::new("/proc/self/exe"));
        assert_eq!(program(Path::new("/no/such/program")), Path::new("/proc/self/exe"));
    }

    #[test]
    fn a_trailer_starts_on_its_own_line() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        atomic::replace(&layout.round_log(3), b"torn").unwrap();
        assert_eq!(append_trailer(&layout, 3, "killed").unwrap(), (4, Ending::Torn));
        assert_eq!(append_trailer(&layout, 3, "again").unwrap(), (12, Ending::Whole));
        assert_eq!(fs::read(layout.round_log(3)).unwrap(), b"torn\nkilled\nagain\n");
        assert!(append_trailer(&layout, 4, "x").is_err());
    }
}
