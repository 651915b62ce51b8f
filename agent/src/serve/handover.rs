//! Handing the Loop over to another program file: same pid, same lock, nothing forgotten, no gap.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::execve;
use serde::{Deserialize, Serialize};

use super::state::Carried;
use crate::process::capture::{Capture, capture};
use crate::process::child::{Environment, Stdin};
use crate::process::inherited::{LOCK_VARIABLE, STATE_VARIABLE};

/// The form of [`Handover`]; another number is not read.
const VERSION: u32 = 1;

/// How long the other program may take to say its version.
const VERIFY_LIMIT: Duration = Duration::from_secs(10);

/// What the next program gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    version: u32,
    /// The release that hands over.
    pub from_version: String,
    /// The Loop's memory.
    pub carried: Carried,
    /// What is left of the delay before the next round, in milliseconds.
    pub delay_ms: u64,
}

/// Why the other program did not take over.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// It cannot be run.
    #[error("{}: cannot be run", program.display())]
    Unrunnable {
        /// The program file.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It runs, but it is not what it should be.
    #[error("{}: `--version` says {said:?} and ends with {status}", program.display())]
    Strange {
        /// The program file.
        program: PathBuf,
        /// The beginning of what it printed.
        said: String,
        /// How it ended.
        status: String,
    },
    /// The exec failed.
    #[error("{}: exec failed", program.display())]
    Exec {
        /// The program file.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Handover {
    /// Returns what this release hands over.
    pub fn new(carried: Carried, delay: Duration) -> Handover {
        Handover {
            version: VERSION,
            from_version: env!("CARGO_PKG_VERSION").into(),
            carried,
            delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Reads what another release handed over; `None` for a form of another time, which is then forgotten.
    pub fn parse(text: &str) -> Option<Handover> {
        serde_json::from_str(text).ok().filter(|handover: &Handover| handover.version == VERSION)
    }
}

/// The command line and environment this process was started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The program file that the first argument named.
    pub program: PathBuf,
    /// All arguments.
    pub argv: Vec<OsString>,
    /// All variables.
    pub environment: Vec<(OsString, OsString)>,
}

/// Runs the program file once, to learn that it can run here and is an agent-runner.
///
/// # Errors
/// When it cannot be run, does not end in time, or says something else.
pub fn verify(program: &Path) -> Result<(), HandoverError> {
    let done = capture(Capture {
        argv: vec![program.into(), "--version".into()],
        cwd: PathBuf::from("/"),
        env: Environment::inherited(),
        stdin: Stdin::Null,
        timeout: VERIFY_LIMIT,
        output_limit: 4096,
    })
    .map_err(|source| HandoverError::Unrunnable { program: program.to_owned(), source })?;
    let said = String::from_utf8_lossy(&done.stdout);
    if done.is_success() && said.starts_with("agent-runner ") {
        return Ok(());
    }
    Err(HandoverError::Strange {
        program: program.to_owned(),
        said: said.chars().take(80).collect(),
        status: done.status.to_string(),
    })
}

/// Replaces this program by the one of the invocation. Returns only when that fails.
pub fn exec(invocation: &Invocation, handover: &Handover, lock: RawFd) -> HandoverError {
    let failed = |source| HandoverError::Exec { program: invocation.program.clone(), source };
    match try_exec(invocation, handover, lock) {
        Ok(never) => match never {},
        Err(source) => failed(source),
    }
}

fn try_exec(invocation: &Invocation, handover: &Handover, lock: RawFd) -> io::Result<Infallible> {
    let program = CString::new(invocation.program.as_os_str().as_bytes())?;
    let argv = invocation.argv.iter().map(|word| CString::new(word.as_bytes()));
    let argv: Vec<CString> = argv.collect::<Result<_, _>>()?;
    let ours = [
        (LOCK_VARIABLE, lock.to_string()),
        (STATE_VARIABLE, serde_json::to_string(handover).map_err(io::Error::from)?),
    ];
    let mut environment = Vec::new();
    for (name, value) in &invocation.environment {
        if !ours.iter().any(|(own, _)| name == *own) {
            environment.push(CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())?);
        }
    }
    for (name, value) in ours {
        environment.push(CString::new(format!("{name}={value}"))?);
    }
    Ok(execve(&program, &argv, &environment)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::breakers::Streaks;

    #[test]
    fn what_is_carried_reads_back_and_another_form_is_forgotten() {
        let carried = Carried {
            rounds_completed: 12,
            streaks: Streaks { crash: 2, ..Streaks::default() },
            ..Carried::default()
        };
        let handover = Handover::new(carried, Duration::from_millis(1500));
        let text = serde_json::to_string(&handover).unwrap();
        assert_eq!(Handover::parse(&text), Some(handover));
        assert_eq!(Handover::parse(&text.replace("\"version\":1", "\"version\":2")), None);
        assert_eq!(Handover::parse("{}"), None);
    }

    #[test]
    fn the_first_form_reads_for_ever() {
        let text = r#"{"version":1,"from_version":"0.1.0","carried":{"rounds_completed":3,
            "streaks":{"memory":0,"crash":1,"stalled":0},"sessions":{"ids":{"":"abc"}}},"delay_ms":2000}"#;
        assert_eq!(Handover::parse(text).unwrap().carried.rounds_completed, 3);
    }

    #[test]
    fn a_program_that_is_something_else_is_refused() {
        assert!(matches!(verify(Path::new("/no/such/program")), Err(HandoverError::Unrunnable { .. })));
        assert!(matches!(verify(Path::new("/bin/true")), Err(HandoverError::Strange { .. })));
        assert!(matches!(verify(Path::new("/dev/null")), Err(HandoverError::Unrunnable { .. })));
    }

    #[test]
    fn an_exec_that_fails_returns() {
        let invocation = Invocation { program: "/dev/null".into(), ..Invocation::default() };
        let handover = Handover::new(Carried::default(), Duration::ZERO);
        assert!(matches!(exec(&invocation, &handover, 3), HandoverError::Exec { .. }));
    }
}
