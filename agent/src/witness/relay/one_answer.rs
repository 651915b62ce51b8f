//! Asking another host once: the verb there answers and ends; what it printed and its code are the answer.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use super::command::{Remote, argv_of_one_answer};
use crate::process::capture::{Capture, Captured, capture};
use crate::process::child::{Environment, Stdin};

/// How long connecting and the answer may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of an answer that are taken.
const ANSWER_MAX: usize = 4 << 20;

/// Runs a verb of this program, in plain words, on a host.
///
/// # Errors
/// When ssh cannot be started or waited for.
pub fn ask(remote: &Remote, verb: &[&str]) -> io::Result<Captured> {
    capture(Capture {
        argv: argv_of_one_answer(remote, verb).into_iter().map(OsString::from).collect(),
        cwd: "/".into(),
        env: Environment::inherited(),
        stdin: Stdin::Null,
        timeout: PATIENCE,
        output_limit: ANSWER_MAX,
    })
}
