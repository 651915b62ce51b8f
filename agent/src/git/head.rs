//! What HEAD names, read from the repository's own files where they say it plainly: a process of git costs more than
//! everything else a waiting Loop does. Whatever is not plain (packed or linked references, another storage) is git's.

use std::io::Read;
use std::path::Path;

use crate::store::regular::open_regular;

/// The longest file of a reference that is read, in bytes.
const FILE_MAX: u64 = 1024;

/// Returns the commit, when HEAD holds it or names a branch whose own file holds it.
pub(super) fn plain(git_dir: &Path) -> Option<String> {
    let head = line(&git_dir.join("HEAD"))?;
    match head.strip_prefix("ref: ") {
        None => commit(head),
        Some(branch) if branch.starts_with("refs/heads/") && !branch.contains("..") => {
            commit(line(&git_dir.join(branch))?)
        }
        Some(_) => None,
    }
}

fn line(path: &Path) -> Option<String> {
    let mut text = String::new();
    open_regular(path).ok()?.take(FILE_MAX).read_to_string(&mut text).ok()?;
    text.truncate(text.trim_end().len());
    Some(text)
}

fn commit(text: String) -> Option<String> {
    let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::atomic::replace;

    #[test]
    fn only_what_is_plain_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let id = "0123456789abcdef0123456789abcdef01234567";
        let check = |head: &str, branch: Option<&str>, expected: Option<&str>| {
            replace(&dir.path().join("HEAD"), head.as_bytes()).unwrap();
            std::fs::create_dir_all(dir.path().join("refs/heads/a")).unwrap();
            let file = dir.path().join("refs/heads/a/b");
            match branch {
                Some(text) => replace(&file, text.as_bytes()).unwrap(),
                None => drop(std::fs::remove_file(file)),
            }
            assert_eq!(plain(dir.path()).as_deref(), expected, "{head:?} {branch:?}");
        };
        let line = format!("{id}\n");
        check(&line, None, Some(id));
        check("ref: refs/heads/a/b\n", Some(&line), Some(id));
        check("ref: refs/heads/a/b\n", None, None);
        check("ref: refs/heads/a/b\n", Some("ref: refs/heads/other\n"), None);
        check("ref: refs/heads/.invalid\n", None, None);
        check("ref: refs/heads/../../x\n", Some(&line), None);
        check("ref: refs/remotes/a\n", Some(&line), None);
        check("0123\n", None, None);
        check("", None, None);
    }
}
