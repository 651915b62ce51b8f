//! The one place that turns values into shell text.
//!
//! Two shells are involved: the user's login shell, which may be fish or tcsh and reads the
//! command line sshd hands it, and `/bin/sh`, which runs what we mean.

use std::fmt::Write as _;

/// Returns `argument` as one word of a `/bin/sh` command line.
///
/// The text may hold anything but a NUL byte, which no argument of a process can hold;
/// [`login_shell_line`] refuses those.
pub fn quote(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    let mut quoted = String::with_capacity(argument.len() + 2);
    quoted.push('\'');
    for c in argument.chars() {
        if c == '\'' {
            quoted.push_str("'\\''");
        } else {
            quoted.push(c);
        }
    }
    quoted.push('\'');
    quoted
}

/// Returns `arguments` as the words of one `/bin/sh` command.
pub fn quote_all<S: AsRef<str>>(arguments: &[S]) -> String {
    arguments.iter().map(|a| quote(a.as_ref())).collect::<Vec<_>>().join(" ")
}

/// Returns a command line that makes any login shell run `script` in `/bin/sh`, or `None` if the
/// script holds a NUL byte.
///
/// Inside single quotes tcsh still expands `!` and refuses line ends, and fish still reads `\`:
/// text with such bytes travels as octal escapes, which no shell touches.
pub fn login_shell_line(script: &str) -> Option<String> {
    if script.contains('\0') {
        return None;
    }
    if script.bytes().all(is_literal_everywhere) {
        return Some(format!("/bin/sh -c '{script}'"));
    }
    let mut line = String::with_capacity(script.len() * 2 + 64);
    line.push_str("/bin/sh -c 'eval \"$(printf %b \"$1\")\"' sh '");
    for byte in script.bytes() {
        if is_literal_everywhere(byte) {
            line.push(char::from(byte));
        } else {
            write!(line, "\\0{byte:03o}").expect("a String takes every write");
        }
    }
    line.push('\'');
    Some(line)
}

/// Whether a byte between single quotes means itself to sh, bash, zsh, ksh, csh, tcsh and fish.
fn is_literal_everywhere(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) && !matches!(byte, b'\'' | b'\\' | b'!')
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;
    use proptest::test_runner::TestCaseError;

    use super::*;

    /// Every shell somebody may log in with, as far as it is installed here.
    fn login_shells() -> Vec<&'static str> {
        let shells =
            ["/bin/sh", "/bin/bash", "/bin/dash", "/bin/zsh", "/bin/ksh", "/bin/tcsh", "/usr/bin/fish"];
        shells.into_iter().filter(|shell| std::path::Path::new(shell).exists()).collect()
    }

    fn check(line: &str, expected: &[u8]) -> Result<(), TestCaseError> {
        let home = tempfile::tempdir().unwrap();
        for shell in login_shells() {
            let mut command = Command::new(shell);
            let output =
                command.arg("-c").arg(line).env("HOME", home.path()).env_remove("TERM").output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            prop_assert!(output.status.success(), "{shell}: {line:?}: {said}");
            prop_assert_eq!(&output.stdout, expected, "{}: {:?}: {}", shell, line, said);
        }
        Ok(())
    }

    #[test]
    fn ordinary_words_stay_readable() {
        assert_eq!(quote("/usr/bin/agent-runner"), "/usr/bin/agent-runner");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote_all(&["ls", "a b"]), "ls 'a b'");
    }

    #[test]
    fn a_leading_dash_is_left_to_the_command() {
        assert_eq!(quote("-rf"), "-rf");
    }

    #[test]
    fn ordinary_scripts_stay_readable() {
        assert_eq!(login_shell_line("uname -m").unwrap(), "/bin/sh -c 'uname -m'");
        assert_eq!(login_shell_line("a\0b"), None);
    }

    #[test]
    fn the_line_holds_nothing_a_login_shell_could_read_differently() {
        let line = login_shell_line("echo '!x'\n\\ \u{e9}").unwrap();
        assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'!'), "{line}");
        assert!(!line.contains("\\'") && !line.contains("\\\\"), "{line}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_argument_arrives_unchanged_through_a_real_shell(
            arguments in prop::collection::vec("[^\0]{0,40}", 1..6)
        ) {
            let script = format!("printf '%s\\036' {}", quote_all(&arguments));
            let line = login_shell_line(&script).unwrap();
            let mut expected = Vec::new();
            for argument in &arguments {
                expected.extend_from_slice(argument.as_bytes());
                expected.push(0o36);
            }
            check(&line, &expected)?;
        }

        #[test]
        fn hostile_text_is_never_interpreted(
            text in r"(\$\(|`|\$\{IFS\}|'|\x22|\\|\n|;|&|\||\*|~|#|!|-| ){0,30}"
        ) {
            let line = login_shell_line(&format!("printf %s {}", quote_all(&["x".to_owned() + &text]))).unwrap();
            check(&line, format!("x{text}").as_bytes())?;
        }
    }
}
