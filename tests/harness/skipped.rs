//! A test that this machine cannot run, said out loud and counted. The tests of every crate have this file.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Names a file to which every skipped test appends one line, so that a gate can count them.
const FILE: &str = "AGENT_RUNNER_TESTS_SKIPPED";

/// Says that the running test is skipped: `SKIPPED: test name: reason`, past the capture of test output.
pub(crate) fn skip(reason: &str) {
    let thread = std::thread::current();
    let line =
        format!("SKIPPED: {}: {}\n", thread.name().unwrap_or("unnamed test"), reason.replace('\n', " "));
    // A closed standard error must not turn a skipped test into a failed one.
    let _ = std::io::stderr().write_all(line.as_bytes());
    let Some(path) = std::env::var_os(FILE).filter(|path| !path.is_empty()) else { return };
    let appended = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = appended {
        let _ = writeln!(std::io::stderr(), "cannot count the skipped test in {}: {error}", path.display());
    }
}
