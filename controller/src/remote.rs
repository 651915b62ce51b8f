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
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use proptest::prelude::*;

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

    /// Text that some shell or program would take for something else.
    const HOSTILE: &str = r"(\$\(id\)|`id`|'|\x22|\\|\n|;|&|\||\*|\?|\[|\{|~|#|!|-|=| |\t|é|語|[a-z]){1,20}";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_remote_path_of_whatever_letters_arrives_as_it_is(text in HOSTILE, below_home in any::<bool>()) {
            let (written, expected) = match below_home {
                true => (format!("~/{text}"), format!("/h o/{text}")),
                false => (format!("/{text}"), format!("/{text}")),
            };
            prop_assert_eq!(shell(&format!("printf %s {}", path(&written))), expected);
        }

        #[test]
        fn the_agent_is_asked_about_the_work_tree_as_it_is_named(text in HOSTILE, word in HOSTILE) {
            let home = tempfile::tempdir().unwrap();
            let bin = home.path().join(".local/bin");
            fs::create_dir_all(&bin).unwrap();
            let mut file = fs::File::create(bin.join("agent-runner")).unwrap();
            std::io::Write::write_all(&mut file, b"#!/bin/sh\nprintf '%s\\036' \"$@\"\n").unwrap();
            file.set_permissions(fs::Permissions::from_mode(0o755)).unwrap();
            drop(file);
            let script = agent(&format!("~/x{text}"), &["peek", &word]);
            let mut command = Command::new("/bin/sh");
            command.args(["-c", &script]).env("HOME", home.path());
            let mut output = command.output().unwrap();
            // A process that another test begins in this moment has the new file open for writing until it executes.
            while String::from_utf8_lossy(&output.stderr).contains("Text file busy") {
                output = command.output().unwrap();
            }
            let config = format!("{}/x{text}/agent-runner.toml", home.path().display());
            let expected = ["--config", &config, "--json", "peek", &word, ""].join("\u{1e}");
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
        }
    }
}
