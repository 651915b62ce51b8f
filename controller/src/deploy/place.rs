//! The script with which root puts an uploaded agent into its place. Pure.

use crate::ssh::quote;

/// An agent that the login has uploaded below its home, and that root shall run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placing<'a> {
    /// The login's home folder, as the host named it.
    pub(super) home: &'a str,
    /// Where the upload is below it.
    pub(super) uploaded: &'a str,
    /// Where it shall be.
    pub(super) binary: &'a str,
    /// How many bytes it has.
    pub(super) size: u64,
    /// Their SHA-256.
    pub(super) sha256: &'a str,
}

impl Placing<'_> {
    /// Returns the script. The login can exchange the upload at any time: what root copies is compared where only root
    /// can write, before it has its name and is run. No more is copied than there should be, and nobody may read it
    /// before it is known to be the agent.
    pub(super) fn script(self) -> String {
        let from = quote(&format!("{}/{}", self.home, self.uploaded));
        let to = quote(self.binary);
        let (size, sha256) = (self.size, quote(self.sha256));
        format!(
            "from={from}; to={to}\n\
             umask 022; mkdir -p \"${{to%/*}}\" || exit 1\n\
             umask 077; head -c {size} <\"$from\" >\"$to.new\" || {{ rm -f \"$to.new\"; exit 1; }}\n\
             if command -v sha256sum >/dev/null 2>&1; then s=$(sha256sum <\"$to.new\")\n\
             elif command -v shasum >/dev/null 2>&1; then s=$(shasum -a 256 <\"$to.new\")\n\
             else s=$(openssl dgst -sha256 -r <\"$to.new\"); fi\n\
             if [ \"${{s%% *}}\" != {sha256} ]; then\n\
             rm -f \"$to.new\"; echo 'the uploaded agent was exchanged before root took it' >&2; exit 1; fi\n\
             chmod 755 \"$to.new\" && mv -f \"$to.new\" \"$to\" || exit 1\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;
    use std::process::{Command, Output};

    use agent_runner::store::atomic::replace;

    use super::*;

    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn run(home: &Path, binary: &Path) -> Output {
        let (home, binary) = (home.to_str().unwrap(), binary.to_str().unwrap());
        let script = Placing { home, uploaded: "up/agent", binary, size: 5, sha256: HELLO }.script();
        Command::new("/bin/sh").args(["-c", &script]).output().unwrap()
    }

    #[test]
    fn only_what_has_the_right_sum_gets_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (home, binary) = (dir.path().join("home"), dir.path().join("lib/1/agent-runner"));
        let uploaded = home.join("up/agent");
        fs::create_dir_all(home.join("up")).unwrap();
        for wrong in ["hellp", "hell", ""] {
            replace(&uploaded, wrong.as_bytes()).unwrap();
            let output = run(&home, &binary);
            assert!(!output.status.success(), "{wrong}: {output:?}");
            assert_eq!(fs::read_dir(dir.path().join("lib/1")).unwrap().count(), 0, "{wrong} left something");
        }
        replace(&uploaded, b"hello").unwrap();
        let output = run(&home, &binary);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(fs::read(&binary).unwrap(), b"hello");
        assert_eq!(fs::metadata(&binary).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::metadata(binary.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o755);
        fs::remove_file(&uploaded).unwrap();
        symlink("/dev/zero", &uploaded).unwrap();
        assert!(!run(&home, &binary).status.success());
        assert_eq!(fs::read(&binary).unwrap(), b"hello", "what is there stays");
    }

    #[test]
    fn a_home_that_says_more_than_a_path_is_only_a_path() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a\"; touch owned; \"", "a'; touch owned; '", "$(touch owned)", "`touch owned`", "a\nb"]
        {
            let home = dir.path().join(name);
            fs::create_dir_all(home.join("up")).unwrap();
            replace(&home.join("up/agent"), b"hello").unwrap();
            let binary = dir.path().join("lib").join("agent-runner");
            let script = Placing {
                home: home.to_str().unwrap(),
                uploaded: "up/agent",
                binary: binary.to_str().unwrap(),
                size: 5,
                sha256: HELLO,
            }
            .script();
            let output =
                Command::new("/bin/sh").args(["-c", &script]).current_dir(dir.path()).output().unwrap();
            assert!(output.status.success(), "{name}: {output:?}");
            assert!(!dir.path().join("owned").exists(), "{name}");
            fs::remove_dir_all(dir.path().join("lib")).unwrap();
        }
    }
}
