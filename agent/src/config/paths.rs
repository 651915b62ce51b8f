//! From a path in the file to an absolute one: `~`, `{project}`, relative to what, resolved how.

use std::path::{Component, Path, PathBuf};

/// What paths are read against.
#[derive(Debug, Clone)]
pub(super) struct Site<'a> {
    /// The operator's home, for `~`.
    pub(super) home: Option<&'a Path>,
    /// Follows symbolic links, or only tidies the text when there is no disk.
    pub(super) resolve: fn(&Path) -> PathBuf,
    /// The resolved work_dir; before it is known, the folder of the file.
    pub(super) base: PathBuf,
    /// What `{project}` stands for, once work_dir is known.
    pub(super) project: Option<String>,
}

impl Site<'_> {
    /// Returns the absolute path meant by `text`.
    pub(super) fn absolute(&self, text: &str) -> Result<PathBuf, String> {
        if text.is_empty() {
            return Err("a path must not be empty".into());
        }
        if let Some(bad) = text.chars().find(|c| !printable(*c)) {
            return Err(format!("a path must be printable, and this one contains {bad:?}"));
        }
        let text = match &self.project {
            Some(project) => text.replace("{project}", project),
            None => text.to_owned(),
        };
        let path = match text.strip_prefix('~') {
            None => PathBuf::from(text),
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                let home = self.home.ok_or("`~` is used, and there is no home folder")?;
                home.join(rest.trim_start_matches('/'))
            }
            Some(_) => return Err("only `~` and `~/` are expanded, not another user's home".into()),
        };
        Ok((self.resolve)(&self.base.join(path)))
    }
}

/// Returns whether a character may stand in a path that becomes part of a unit: no controls, no invisible or
/// unusual white space.
pub(super) fn printable(c: char) -> bool {
    let invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}');
    !c.is_control() && !invisible && (c == ' ' || !c.is_whitespace())
}

/// Removes `.` and `..` without looking at the disk.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(tidied.pop()),
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => tidied.push(component),
        }
    }
    tidied
}

/// Follows the symbolic links of the part that exists, and tidies the rest.
pub(super) fn follow(path: &Path) -> PathBuf {
    let mut existing = path.to_owned();
    loop {
        if let Ok(real) = existing.canonicalize() {
            let rest = path.strip_prefix(&existing).unwrap_or(Path::new(""));
            return tidy(&real.join(rest));
        }
        if !existing.pop() {
            return tidy(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_expanded_and_anchored() {
        let site = Site {
            home: Some(Path::new("/home/pi")),
            resolve: tidy,
            base: "/work/tree".into(),
            project: Some("tree".into()),
        };
        let check = |text: &str, expected: &str| {
            assert_eq!(site.absolute(text).unwrap(), Path::new(expected), "{text}");
        };
        check("logs", "/work/tree/logs");
        check("./a/../b", "/work/tree/b");
        check("~/.agent-runner/{project}/logs", "/home/pi/.agent-runner/tree/logs");
        check("~", "/home/pi");
        check("/x/./y", "/x/y");
        for bad in ["", "a\nb", "a\u{202e}b", "~root/x"] {
            site.absolute(bad).unwrap_err();
        }
    }

    #[test]
    fn links_are_followed_as_far_as_the_path_exists() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("a")).unwrap();
        std::os::unix::fs::symlink(real.join("a"), real.join("link")).unwrap();
        assert_eq!(follow(&real.join("link/new/x")), real.join("a/new/x"));
    }
}
