//! What the controller runs on hosts: the agent's public verbs, as text for `/bin/sh`. Pure.

use crate::ssh::quote;

/// Finds the agent where a deploy puts it, then on PATH, and says so where there is none.
const FIND_AGENT: &str = r#"a="$HOME/.local/bin/agent-runner"
[ -x "$a" ] || a=/usr/local/bin/agent-runner
[ -x "$a" ] || a=$(command -v agent-runner) || { echo "agent-runner is not installed for $(id -un)" >&2; exit 127; }
"#;

/// The exit code of a host on which the agent is not installed.
pub const NOT_INSTALLED: u32 = 127;

/// Returns a remote path as shell text: quoted, with a leading `~/` as the home of whoever runs it.
pub fn path(path: &str) -> String {
    match path.strip_prefix("~/") {
        Some(rest) => format!("\"$HOME\"/{}", quote(rest)),
        None if path == "~" => "\"$HOME\"".to_owned(),
        None => quote(path),
    }
}

/// Returns the script that runs a verb of the agent's that is about the host, with JSON as its result.
pub fn on_host(verb: &[&str]) -> String {
    let words: Vec<String> = verb.iter().map(|word| quote(word)).collect();
    format!("{FIND_AGENT}exec \"$a\" --json {}", words.join(" "))
}

/// Returns the script that runs the agent's verb on the project in `work_dir`, with JSON as its result.
pub fn agent(work_dir: &str, verb: &[&str]) -> String {
    let words: Vec<String> = verb.iter().map(|word| quote(word)).collect();
    let config = path(&format!("{}/agent-runner.toml", work_dir.trim_end_matches('/')));
    if let Some(rest) = work_dir.strip_prefix("~/") {
        // Through sudo, `~` is root's: a project of the system is below the home of who logged in.
        let rest = quote(&format!("{}/agent-runner.toml", rest.trim_end_matches('/')));
        return format!(
            "{FIND_AGENT}c={config}\n\
             [ -e \"$c\" ] || [ -z \"${{SUDO_USER:-}}\" ] || c=\"$(getent passwd \"$SUDO_USER\" | cut -d: -f6)\"/{rest}\n\
             exec \"$a\" --config \"$c\" --json {}",
            words.join(" ")
        );
    }
    format!("{FIND_AGENT}exec \"$a\" --config {config} --json {}", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn shell(script: &str) -> String {
        let output =
            Command::new("/bin/sh").args(["-c", script]).env_clear().env("HOME", "/h o").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_remote_path_keeps_its_spaces_and_quotes_and_finds_its_home() {
        assert_eq!(shell(&format!("printf %s {}", path("~/a b/it's $(x)"))), "/h o/a b/it's $(x)");
        assert_eq!(shell(&format!("printf %s {}", path("/srv/~/x"))), "/srv/~/x");
        assert_eq!(shell(&format!("printf %s {}", path("~"))), "/h o");
    }
}
