//! The text of `sshd_config` and of the wrapper that every session starts in. Pure.

use std::net::SocketAddr;
use std::path::Path;

use super::options::{Sftp, SshdOptions};

/// Marks every process of a server's sessions, so that none outlives it.
pub(super) const SESSION_MARK: &str = "AGENT_RUNNER_TEST_SESSION";

/// `sshd_config` of a server whose files are in `dir`.
pub(super) fn sshd_config(options: &SshdOptions, listen: SocketAddr, dir: &Path) -> String {
    let dir = dir.display();
    let mut lines = options.config_lines.clone();
    lines.push(format!("ListenAddress {listen}"));
    lines.extend(options.host_keys.iter().map(|kind| format!("HostKey {dir}/host_{}", kind.name())));
    lines.extend([
        format!("AuthorizedKeysFile {dir}/authorized_keys"),
        format!("ForceCommand {dir}/session"),
        // The user's own shell, which starts the wrapper, reads nothing of the user's either.
        format!("SetEnv HOME={dir}/home"),
        "PidFile none".to_owned(),
        "StrictModes no".to_owned(),
        "UsePAM no".to_owned(),
        "UseDNS no".to_owned(),
        "PermitRootLogin yes".to_owned(),
        "PasswordAuthentication no".to_owned(),
        "KbdInteractiveAuthentication no".to_owned(),
        "PrintMotd no".to_owned(),
        "LogLevel VERBOSE".to_owned(),
    ]);
    match options.sftp {
        Sftp::Offered => lines.push("Subsystem sftp /usr/lib/openssh/sftp-server".to_owned()),
        Sftp::Missing => {}
    }
    lines.join("\n") + "\n"
}

/// The wrapper around every session: a throw-away HOME, nothing of the user's own session, one mark.
pub(super) fn session_wrapper(options: &SshdOptions, home: &Path, mark: &str) -> String {
    let mut lines = vec![
        "#!/bin/sh".to_owned(),
        "unset DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME MAIL"
            .to_owned(),
        format!("export {SESSION_MARK}={mark} HOME='{}' SHELL='{}'", home.display(), options.shell.display()),
        "cd || exit 1".to_owned(),
    ];
    lines.extend(options.session_lines.iter().cloned());
    lines.push("if [ -n \"$SSH_ORIGINAL_COMMAND\" ]; then".to_owned());
    lines.push("    exec \"$SHELL\" -c \"$SSH_ORIGINAL_COMMAND\"".to_owned());
    lines.push("fi\nexec \"$SHELL\" -l\n".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tests_own_lines_come_first_because_the_first_value_wins() {
        let options =
            SshdOptions { config_lines: vec!["MaxSessions 1".to_owned()], ..SshdOptions::default() };
        let text = sshd_config(&options, "127.0.0.7:2222".parse().unwrap(), Path::new("/d"));
        assert!(
            text.starts_with("MaxSessions 1\nListenAddress 127.0.0.7:2222\nHostKey /d/host_ed25519\n"),
            "{text}"
        );
        assert!(!text.contains("Subsystem"), "{text}");
    }
}
