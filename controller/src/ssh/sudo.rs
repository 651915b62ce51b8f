//! Running a script as another user, mostly root. The password goes in on stdin, never on a command line.

use secrecy::{ExposeSecret, SecretString};

use super::exec::Exec;
use super::quote::quote;

/// How to become another user on a host: `sudo -n`, which fails at once where a password would be asked for, or
/// `sudo -S` with the password on stdin.
#[derive(Debug, Clone, Default)]
pub struct Sudo {
    user: Option<String>,
    password: Option<SecretString>,
}

/// Ends the password's part of stdin.
const END_OF_PASSWORD: &str = "-- agent-runner: end of password --";

impl Sudo {
    /// Returns the way to root that asks nothing.
    pub fn to_root() -> Sudo {
        Sudo::default()
    }

    /// Sets who to become instead of root.
    #[must_use]
    pub fn user(mut self, name: Option<String>) -> Sudo {
        self.user = name;
        self
    }

    /// Sets the password sudo asks for.
    #[must_use]
    pub fn password(mut self, password: Option<SecretString>) -> Sudo {
        self.password = password;
        self
    }

    /// Returns `exec` wrapped so that its script runs as the other user, with the same stdin.
    ///
    /// sudo may not ask (NOPASSWD, a fresh ticket), and then leaves the password in stdin. So a
    /// marker follows the password, and the inner shell discards everything up to it.
    #[must_use]
    pub fn wrap(&self, mut exec: Exec) -> Exec {
        let user = self.user.as_ref().map(|name| format!("-u {} ", quote(name))).unwrap_or_default();
        match &self.password {
            None => exec.script = format!("exec sudo -n {user}-- /bin/sh -c {}", quote(&exec.script)),
            Some(password) => {
                let inner = format!(
                    "while IFS= read -r l; do [ \"$l\" = '{END_OF_PASSWORD}' ] && break; done\n{}",
                    exec.script
                );
                exec.script = format!("exec sudo -S -p '' {user}-- /bin/sh -c {}", quote(&inner));
                let mut fed = format!("{}\n{END_OF_PASSWORD}\n", password.expose_secret()).into_bytes();
                fed.append(&mut exec.stdin);
                exec.stdin = fed;
            }
        }
        exec
    }
}

/// Returns why sudo ran nothing and what to do about it, from what a command printed; `None` when it was not sudo.
pub fn refusal(stderr: &[u8]) -> Option<(&'static str, &'static str)> {
    let said = String::from_utf8_lossy(stderr);
    if said.contains("sudo: a password is required") {
        return Some(("sudo wants a password there", "give it once with --ask-become-pass"));
    }
    if said.contains("incorrect password attempt") {
        return Some(("sudo did not accept the password", "the password is that of the login on the host"));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// Runs the wrapped script with a stand-in sudo that does (or does not) read the password.
    fn run(fake_sudo: &str, exec: &Exec) -> String {
        let dir = tempfile::tempdir().unwrap();
        let sudo = dir.path().join("sudo");
        let mut file = std::fs::File::create(&sudo).unwrap();
        file.write_all(fake_sudo.as_bytes()).unwrap();
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        drop(file);
        loop {
            let mut child = Command::new("/bin/sh")
                .args(["-c", &exec.script])
                .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // One that could not be executed has read nothing.
            let _ = child.stdin.take().unwrap().write_all(&exec.stdin);
            let output = child.wait_with_output().unwrap();
            // A process that another test begins in this moment has the new file open for writing until it executes.
            if !String::from_utf8_lossy(&output.stderr).contains("Text file busy") {
                return String::from_utf8(output.stdout).unwrap();
            }
        }
    }

    const SHIFT: &str = "while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"\n";

    #[test]
    fn the_script_gets_its_own_stdin_whether_sudo_asks_or_not() {
        let sudo = Sudo::to_root().password(Some("s3 'cret".into()));
        let exec = sudo.wrap(Exec::command("echo \"[$(cat)]\"").stdin("in"));
        let asks = format!("#!/bin/sh\nread -r pw; [ \"$pw\" = \"s3 'cret\" ] || exit 1\n{SHIFT}");
        assert_eq!(run(&asks, &exec), "[in]\n");
        assert_eq!(run(&format!("#!/bin/sh\n{SHIFT}"), &exec), "[in]\n");
    }

    #[test]
    fn the_password_is_in_stdin_and_nowhere_else() {
        let exec = Sudo::to_root().password(Some("s3cret".into())).wrap(Exec::command("id -u"));
        assert!(!exec.script.contains("s3cret"));
        assert!(!format!("{exec:?}").contains("s3cret"), "{exec:?}");
    }

    #[test]
    fn without_a_password_nothing_is_asked() {
        let exec = Sudo::to_root().wrap(Exec::argv(&["id", "-u"]));
        assert_eq!(exec.script, "exec sudo -n -- /bin/sh -c 'exec id -u'");
    }

    #[test]
    fn another_user_than_root_is_named() {
        let exec = Sudo::to_root().user(Some("pi".into())).wrap(Exec::argv(&["id", "-u"]));
        assert_eq!(exec.script, "exec sudo -n -u pi -- /bin/sh -c 'exec id -u'");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

        #[test]
        fn a_user_of_whatever_letters_is_one_word_for_sudo(name in "[^\\x00]{1,20}") {
            let exec = Sudo::to_root().user(Some(name.clone())).wrap(Exec::command("true"));
            let says = "#!/bin/sh\nprintf '%s' \"$3\"\n";
            proptest::prop_assert_eq!(run(says, &exec), name);
        }
    }
}
