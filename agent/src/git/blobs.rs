//! Contents of files as git has them.

use super::call::Call;
use super::{Git, GitError};

/// What an object name of the form `commit:path` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blob {
    /// There is no such file.
    Missing,
    /// Its content and its object id.
    Content {
        /// The object id.
        id: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

impl Git {
    /// Returns the contents of `commit:path` for every path, in order, with one call. A path with a newline, which the
    /// protocol cannot ask for, counts as missing.
    ///
    /// # Errors
    /// When git cannot be run, fails or takes too long.
    pub fn blobs(&self, commit: &str, paths: &[&str]) -> Result<Vec<Blob>, GitError> {
        let name =
            |path: &&str| if path.contains('\n') { "-".to_owned() } else { format!("{commit}:{path}") };
        let asked: String = paths.iter().map(|path| name(path) + "\n").collect();
        let call = Call::new(["cat-file", "--batch"], self.limits().query).reading(asked.into_bytes());
        let answer = self.run(call)?;
        let mut rest = answer.as_slice();
        Ok(paths.iter().map(|_| next_blob(&mut rest)).collect())
    }
}

/// Takes one answer off the front: `<id> blob <size>`, the bytes and a newline, or a line that says `missing`.
fn next_blob(rest: &mut &[u8]) -> Blob {
    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Blob::Missing };
    let (header, after) = rest.split_at(end);
    let after = after.get(1..).unwrap_or_default();
    *rest = after;
    let header = String::from_utf8_lossy(header);
    let mut words = header.rsplit(' ');
    let (size, kind, id) = (words.next(), words.next(), words.next());
    let (Some(Ok(size)), Some(id)) = (size.map(str::parse::<usize>), id) else { return Blob::Missing };
    let bytes = after.get(..size).unwrap_or_default().to_vec();
    *rest = after.get(size + 1..).unwrap_or_default();
    match kind {
        Some("blob") => Blob::Content { id: id.to_owned(), bytes },
        Some(_) | None => Blob::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart_by_their_size() {
        let mut rest: &[u8] = b"aa blob 3\nx\ny\nHEAD:no such missing\nbb tree 1\n\0\ncc blob 0\n\n";
        let blob = |id: &str, bytes: &[u8]| Blob::Content { id: id.into(), bytes: bytes.into() };
        assert_eq!(next_blob(&mut rest), blob("aa", b"x\ny"));
        assert_eq!(next_blob(&mut rest), Blob::Missing);
        assert_eq!(next_blob(&mut rest), Blob::Missing);
        assert_eq!(next_blob(&mut rest), blob("cc", b""));
        assert_eq!(next_blob(&mut rest), Blob::Missing);
    }
}
