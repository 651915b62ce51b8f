//! Patterns of paths below a folder: `*`, `?`, `[...]`, and `**` for any number of folders.

use std::fs;
use std::path::{Path, PathBuf};

/// Files found at most; more are not a fingerprint but a backup.
pub(super) const FILES_MAX: usize = 10_000;

/// Folders entered at most.
const FOLDERS_MAX: usize = 100_000;

/// Returns the regular files below `root` that match any of the patterns, resolved, sorted, each once; `None` when there
/// are more than [`FILES_MAX`]. Repositories' own folders (`.git`) and what lies outside of `root` never match.
pub(super) fn find(root: &Path, patterns: &[String]) -> Option<Vec<PathBuf>> {
    let Ok(root) = root.canonicalize() else { return Some(Vec::new()) };
    let mut search = Search { found: Vec::new(), folders: 0 };
    for pattern in patterns {
        let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        search.walk(&root, &parts)?;
    }
    let inside = search.found.iter().filter_map(|path| path.canonicalize().ok());
    let mut files: Vec<PathBuf> = inside.filter(|path| path.starts_with(&root) && path.is_file()).collect();
    files.sort();
    files.dedup();
    Some(files)
}

struct Search {
    found: Vec<PathBuf>,
    folders: usize,
}

impl Search {
    /// Returns `None` when a limit is reached.
    fn walk(&mut self, dir: &Path, parts: &[&str]) -> Option<()> {
        let Some((part, rest)) = parts.split_first() else { return Some(()) };
        self.folders += 1;
        if self.folders > FOLDERS_MAX {
            return None;
        }
        let any_depth = *part == "**";
        if any_depth && !rest.is_empty() {
            self.walk(dir, rest)?;
        }
        let Ok(entries) = fs::read_dir(dir) else { return Some(()) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name == ".git" || !(any_depth || matches(part.as_bytes(), name.as_bytes())) {
                continue;
            }
            // A link to a folder is not followed under `**`: it may lead back up.
            let is_dir =
                if any_depth { entry.file_type().is_ok_and(|t| t.is_dir()) } else { entry.path().is_dir() };
            if is_dir {
                self.walk(&entry.path(), if any_depth { parts } else { rest })?;
            } else if rest.is_empty() {
                self.found.push(entry.path());
                if self.found.len() > FILES_MAX {
                    return None;
                }
            }
        }
        Some(())
    }
}

/// Returns whether one name matches one part of a pattern.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let Some((&first, rest)) = pattern.split_first() else { return name.is_empty() };
    match first {
        b'*' => (0..=name.len()).any(|skip| name.get(skip..).is_some_and(|tail| matches(rest, tail))),
        b'?' => name.split_first().is_some_and(|(_, tail)| matches(rest, tail)),
        b'[' => match (class(rest), name.split_first()) {
            (Some((set, rest)), Some((&byte, tail))) => contains(set, byte) && matches(rest, tail),
            (Some(_), None) => false,
            (None, _) => name.split_first().is_some_and(|(&byte, tail)| byte == b'[' && matches(rest, tail)),
        },
        byte => name.split_first().is_some_and(|(&found, tail)| found == byte && matches(rest, tail)),
    }
}

/// Splits `...]rest`; a `]` in the first place is a member.
fn class(pattern: &[u8]) -> Option<(&[u8], &[u8])> {
    let skip = usize::from(pattern.first() == Some(&b'!')) + 1;
    let end = pattern.iter().skip(skip).position(|&byte| byte == b']')? + skip;
    Some((pattern.get(..end)?, pattern.get(end + 1..)?))
}

fn contains(set: &[u8], byte: u8) -> bool {
    let (negated, mut members) = match set.split_first() {
        Some((b'!', members)) => (true, members),
        Some(_) | None => (false, set),
    };
    let mut found = false;
    while let Some((&low, rest)) = members.split_first() {
        members = rest;
        if let [b'-', high, tail @ ..] = rest {
            found |= (low..=*high).contains(&byte);
            members = tail;
        } else {
            found |= low == byte;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_match_like_a_shell_does() {
        for (pattern, inside, outside) in [
            ("*.rs", "main.rs", "main.rc"),
            ("a?c", "abc", "ac"),
            ("[a-c]x", "bx", "zx"),
            ("[!a-c]x", "zx", "bx"),
            ("[]]", "]", "["),
            ("[", "[", "]"),
            ("**a*", "xxay", "xxby"),
            ("", "", "x"),
        ] {
            assert!(matches(pattern.as_bytes(), inside.as_bytes()), "{pattern} {inside}");
            assert!(!matches(pattern.as_bytes(), outside.as_bytes()), "{pattern} {outside}");
        }
    }

    #[test]
    fn finds_files_below_the_root_once_and_never_the_repository() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("work");
        for path in ["a.md", "src/b.md", "src/deep/c.md", ".git/d.md", "src/e.txt"] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap();
        }
        std::os::unix::fs::symlink("/etc", root.join("out")).unwrap();
        std::os::unix::fs::symlink("..", root.join("src/up")).unwrap();
        let names = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            let root = root.canonicalize().unwrap();
            let relative = |path: PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
            find(&root, &patterns).unwrap().into_iter().map(relative).collect::<Vec<_>>()
        };
        assert_eq!(names(&["*.md"]), ["a.md"]);
        assert_eq!(names(&["**/*.md", "a.md"]), ["a.md", "src/b.md", "src/deep/c.md"]);
        assert_eq!(names(&["src/**"]), ["src/b.md", "src/deep/c.md", "src/e.txt"]);
        assert_eq!(names(&["src/*"]), ["src/b.md", "src/e.txt"]);
        assert!(names(&["out/*", "../*", "/etc/passwd", "nothing/*"]).is_empty());
    }
}
