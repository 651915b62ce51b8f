//! A local script as a command for a host: its text travels on stdin, to the interpreter its first line names. Pure.

use crate::ssh::{Exec, quote_all};

/// Shells that read a script from stdin with `-s`.
const SHELLS: [&str; 6] = ["sh", "dash", "ash", "bash", "ksh", "zsh"];
/// Other interpreters that read a script from stdin when they are told `-`.
const OTHERS: [&str; 4] = ["python", "perl", "ruby", "node"];

/// Why a script cannot run on a host.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScriptError {
    /// The interpreter reads no script from stdin, as far as is known.
    #[error("its first line names {0}, and that reads no script from stdin")]
    Interpreter(String),
    /// The first line is no text.
    #[error("its first line is no text")]
    Binary,
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
}

/// Returns the command that runs a script with these arguments; what a shell script runs reads nothing.
///
/// # Errors
/// When nothing is known that would run it.
pub(crate) fn exec(script: &[u8], arguments: &[String]) -> Result<Exec, ScriptError> {
    if script.trim_ascii().is_empty() {
        return Err(ScriptError::Empty);
    }
    let first = script.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let first = std::str::from_utf8(first).map_err(|_| ScriptError::Binary)?;
    let interpreter = first.strip_prefix("#!").map_or_else(|| vec!["/bin/sh"], words);
    let name = interpreter.iter().rev().find(|word| !word.starts_with('-')).copied().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let is_shell = SHELLS.contains(&stem);
    if !is_shell && !OTHERS.contains(&stem) {
        return Err(ScriptError::Interpreter(interpreter.join(" ")));
    }
    let mut line: Vec<&str> = interpreter;
    line.extend(if is_shell { ["-s", "--"].as_slice() } else { &["-"] });
    line.extend(arguments.iter().map(String::as_str));
    let mut stdin = Vec::with_capacity(script.len() + 32);
    if is_shell {
        // The braces make the shell read all of it first: a script cut off on the way does nothing.
        stdin.extend(b"{ ");
        stdin.extend(script);
        stdin.extend(b"\n} </dev/null\n");
    } else {
        stdin.extend(script);
    }
    Ok(Exec::command(format!("exec {}", quote_all(&line))).stdin(stdin))
}

/// Splits an interpreter line as `env -S` and people do; `env` itself is not kept where a path is found by PATH anyway.
fn words(line: &str) -> Vec<&str> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if words.first().is_some_and(|word| word.ends_with("/env")) {
        words.remove(0);
        if words.first() == Some(&"-S") {
            words.remove(0);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn run(script: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let exec = exec(script.as_bytes(), &arguments).unwrap();
        let mut child = Command::new("/bin/sh")
            .args(["-c", &exec.script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&exec.stdin).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn a_shell_script_runs_with_its_arguments_and_reads_nothing() {
        let script = "#!/bin/sh -e\n# says\nprintf '%s|' \"$@\"; cat; x() { echo f; }\nx\nexit 7";
        assert_eq!(run(script, &["a b", "$(id)", "-n"]), (Some(7), "a b|$(id)|-n|f\n".to_owned()));
        assert_eq!(run("cat <<E\nhere\nE", &[]), (Some(0), "here\n".to_owned()));
    }

    #[test]
    fn the_first_line_chooses_the_interpreter() {
        let of = |script: &str| exec(script.as_bytes(), &["x y".to_owned()]).map(|exec| exec.script);
        assert_eq!(of("#!/usr/bin/env python3\nprint(1)").unwrap(), "exec python3 - 'x y'");
        assert_eq!(of("#!/usr/bin/env -S bash -e\n").unwrap(), "exec bash -e -s -- 'x y'");
        assert_eq!(of("echo").unwrap(), "exec /bin/sh -s -- 'x y'");
        assert_eq!(of("#!/usr/bin/awk -f\n"), Err(ScriptError::Interpreter("/usr/bin/awk -f".to_owned())));
        assert!(exec(b"\x7fELF\xff", &[]).is_err());
    }
}
