//! Goal checks: the operator's commands that say how far the goal is.

use std::ffi::OsString;
use std::time::Duration;

use crate::config::types::GoalCheck;
use crate::error::in_words;
use crate::event::Event;
use crate::process::capture::{Capture, Captured, capture};
use crate::process::child::{Environment, Stdin};

/// Bytes of a check's output that are looked at; endless output is cut.
const OUTPUT_MAX: usize = 1 << 20;

/// Characters kept of why a check could not start.
const ERROR_MAX: usize = 200;

/// Runs one check and returns its event.
pub fn run(check: &GoalCheck) -> Event {
    let done = capture(Capture {
        argv: check.cmd.iter().map(OsString::from).collect(),
        cwd: check.cwd.clone(),
        env: Environment::inherited().without("AGENT_RUNNER_FAILPOINT"),
        stdin: Stdin::Null,
        timeout: Duration::from_secs(check.timeout_s),
        output_limit: OUTPUT_MAX,
    });
    match done {
        Ok(done) => judged(&check.name, &done),
        Err(error) => Event::GoalCheck {
            name: check.name.clone(),
            satisfied: Some(false),
            value: Some(None),
            timed_out: Some(false),
            skipped: false,
            error: Some(in_words(&error).chars().take(ERROR_MAX).collect()),
        },
    }
}

/// Returns the event of a check that a dry run only names.
pub fn skipped(check: &GoalCheck) -> Event {
    Event::GoalCheck {
        name: check.name.clone(),
        satisfied: None,
        value: None,
        timed_out: None,
        skipped: true,
        error: None,
    }
}

fn judged(name: &str, done: &Captured) -> Event {
    Event::GoalCheck {
        name: name.to_owned(),
        satisfied: Some(done.is_success()),
        value: Some(last_number(&String::from_utf8_lossy(&done.stdout))),
        timed_out: Some(done.timed_out),
        skipped: false,
        error: None,
    }
}

/// Returns the last word that is a finite number.
fn last_number(text: &str) -> Option<f64> {
    text.split_whitespace()
        .rev()
        .find_map(|word| word.parse::<f64>().ok().filter(|number| number.is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(script: &str, timeout_s: u64) -> (bool, Option<f64>, bool, Option<String>) {
        let cmd = if script.is_empty() {
            vec!["/no/such/check".to_owned()]
        } else {
            ["sh", "-c", script].map(str::to_owned).to_vec()
        };
        let check = GoalCheck { name: "n".into(), cmd, cwd: "/".into(), timeout_s };
        let Event::GoalCheck { satisfied, value, timed_out, error, .. } = run(&check) else {
            panic!("a goal check writes goal_check")
        };
        (satisfied.unwrap(), value.unwrap(), timed_out.unwrap(), error)
    }

    #[test]
    fn exit_code_and_last_number_are_the_answer() {
        assert_eq!(check("echo 3 of 17 left; echo done", 10), (true, Some(17.0), false, None));
        assert_eq!(check("echo 1e2 nan inf; exit 1", 10), (false, Some(100.0), false, None));
        assert_eq!(check("printf '\\377 4.5'", 10).1, Some(4.5));
        assert_eq!(check("true", 10).1, None);
    }

    #[test]
    fn a_check_that_cannot_start_or_does_not_end_is_unsatisfied() {
        let (satisfied, _, timed_out, error) = check("", 10);
        assert!(!satisfied && !timed_out && error.is_some());
        let (satisfied, value, timed_out, error) = check("echo 7; sleep 600", 1);
        assert_eq!((satisfied, value, timed_out, error), (false, Some(7.0), true, None));
    }
}
