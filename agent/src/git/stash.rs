//! The stash, identified by commit and never by index.

use super::call::Call;
use super::exclude::Scope;
use super::{Git, GitError};

/// One entry of the stash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stash {
    /// The commit: the identity.
    pub sha: String,
    /// When it was made, in seconds since the epoch.
    pub made_at: i64,
    /// The message it was made with, without git's "On branch:".
    pub message: String,
}

impl Git {
    /// Stashes everything in scope, untracked files included. With nothing to stash this does nothing.
    ///
    /// # Errors
    /// When git cannot be run, fails or takes too long.
    pub fn stash_push(&self, message: &str, scope: &Scope) -> Result<(), GitError> {
        let call = Call::new(["stash", "push", "--include-untracked", "--quiet", "-m"], self.limits().stash)
            .and([message])
            .and(scope.arguments());
        self.run(call).map(|_| ())
    }

    /// Returns the newest stash; `None` when there is none.
    ///
    /// # Errors
    /// When git cannot be run, fails or takes too long.
    pub fn newest_stash(&self) -> Result<Option<Stash>, GitError> {
        let answer = self.query(["stash", "list", "-1", "--format=%H%x00%ct%x00%gs"])?;
        Ok(parse(&String::from_utf8_lossy(&answer)))
    }

    /// Returns the paths a stash holds, untracked ones included.
    ///
    /// # Errors
    /// When git cannot be run, fails or takes too long.
    pub fn stash_files(&self, sha: &str) -> Result<Vec<String>, GitError> {
        let answer =
            self.query(["stash", "show", "--include-untracked", "--no-renames", "--name-only", "-z", sha])?;
        let names = answer.split(|&byte| byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }
}

fn parse(line: &str) -> Option<Stash> {
    let mut fields = line.trim_end_matches('\n').splitn(3, '\0');
    let (sha, made_at, subject) = (fields.next()?, fields.next()?, fields.next()?);
    // A branch name holds no colon.
    let message = match subject.split_once(": ") {
        Some((branch, message)) if branch.starts_with("On ") => message,
        Some(_) | None => subject,
    };
    Some(Stash { sha: sha.to_owned(), made_at: made_at.parse().ok()?, message: message.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_what_was_given() {
        let stash = parse("abc\x0017\0On feature/x: ORPHAN R1 ts=10:00:00\n").unwrap();
        assert_eq!(
            (stash.sha.as_str(), stash.made_at, stash.message.as_str()),
            ("abc", 17, "ORPHAN R1 ts=10:00:00")
        );
        assert_eq!(parse("abc\x0017\0On (no branch): x: y").unwrap().message, "x: y");
        assert_eq!(parse("abc\x0017\0WIP on main: 1 x").unwrap().message, "WIP on main: 1 x");
        assert_eq!(parse(""), None);
    }
}
