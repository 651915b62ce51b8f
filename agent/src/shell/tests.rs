//! The scripts, accepted and used by the shells that are installed here.

use std::process::{Command, Stdio};

use super::{Shell, completions};

fn script(shell: Shell) -> String {
    completions(crate::cli::definition(), shell)
}

/// Returns what a shell answers to a script; `None`, told on stderr, without the shell.
fn run(shell: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(shell).args(arguments).stdin(Stdio::null()).output();
    let Ok(output) = output else {
        crate::skipped::skip(&format!("{shell} is not installed"));
        return None;
    };
    assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

fn saved(shell: Shell) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    crate::store::atomic::replace(file.path(), script(shell).as_bytes()).unwrap();
    file
}

#[test]
fn every_shell_accepts_its_script() {
    for (shell, program) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        run(program, &["-n", saved(shell).path().to_str().unwrap()]);
    }
}

#[test]
fn bash_completes_verbs_options_and_words() {
    let file = saved(Shell::Bash);
    let complete = |line: &str| {
        let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
        let text = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={}; _agent_runner; echo \"${{COMPREPLY[*]}}\"",
            file.path().display(),
            words.join(" "),
            words.len() - 1,
        );
        run("bash", &["--norc", "-c", &text]).map(|answer| answer.trim().to_owned())
    };
    let check = |line: &str, expected: &str| {
        assert!(complete(line).is_none_or(|found| found == expected), "{line}: {:?}", complete(line))
    };
    check("agent-runner mig", "migrate");
    check("agent-runner --config start st", "start stop status");
    check("agent-runner serve --max", "--max-rounds");
    check("agent-runner monitor --mode an", "anomaly");
    check("agent-runner completions f", "fish");
    check("agent-runner presets sh", "show");
    check("agent-runner serve --max-rounds 3 --on", "--once");
}

#[test]
fn fish_completes_verbs_options_and_words() {
    let file = saved(Shell::Fish);
    let complete = |line: &str| {
        let text = format!("source {}; complete -C'{line}'", file.path().display());
        let answer = run("fish", &["--no-config", "-c", &text])?;
        let words: Vec<&str> = answer.lines().filter_map(|line| line.split('\t').next()).collect();
        Some(words.join(" "))
    };
    let check = |line: &str, expected: &str| {
        assert!(complete(line).is_none_or(|found| found == expected), "{line}: {:?}", complete(line))
    };
    check("agent-runner mig", "migrate");
    check("agent-runner monitor --mode an", "anomaly");
    check("agent-runner serve --max", "--max-rounds");
    check("agent-runner completions f", "fish");
}

#[test]
fn zsh_gets_a_function_for_every_verb_and_no_quote_is_left_open() {
    let text = script(Shell::Zsh);
    let mut definition = crate::cli::definition();
    definition.build();
    for verb in definition.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set()) {
        let name = verb.get_name().replace('-', "_");
        assert!(text.contains(&format!("\n_agent_runner_{name}() {{\n")), "{name}");
    }
    for line in text.lines() {
        assert_eq!(line.replace("'\\''", "").matches('\'').count() % 2, 0, "{line}");
    }
}
