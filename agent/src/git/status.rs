//! What is dirty.

use super::call::Call;
use super::exclude::Scope;
use super::{Git, GitError};

/// One dirty path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirty {
    /// Relative to the top of the work tree, bad UTF-8 replaced; the new side of a rename.
    pub path: String,
    /// Whether it is a file of HEAD with other content now, and nothing else.
    pub is_modified: bool,
}

impl Git {
    /// Returns everything that is dirty, untracked files included.
    ///
    /// # Errors
    /// When git cannot be run, fails or takes too long.
    pub fn status(&self, scope: &Scope) -> Result<Vec<Dirty>, GitError> {
        let call = Call::new(["status", "--porcelain", "-z"], self.limits().query)
            .and(scope.arguments())
            .with("GIT_OPTIONAL_LOCKS", "0");
        Ok(parse(&self.run(call)?))
    }
}

/// Parses NUL-separated porcelain records; a rename or copy is followed by its old path, which is dropped.
fn parse(output: &[u8]) -> Vec<Dirty> {
    let mut records = output.split(|&byte| byte == 0);
    let mut dirty = Vec::new();
    while let Some(record) = records.next() {
        let (Some(&[x, y]), Some(path)) = (record.first_chunk::<2>(), record.get(3..)) else { continue };
        if [x, y].iter().any(|flag| matches!(flag, b'R' | b'C')) {
            records.next();
        }
        let is_modified = matches!([x, y], [b' ', b'M'] | [b'M', b' ' | b'M']);
        dirty.push(Dirty { path: String::from_utf8_lossy(path).into_owned(), is_modified });
    }
    dirty
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_counts_once_with_its_new_side() {
        let dirty = parse(b"R  new name\0old\0?? a\xff\0 M m\0MM both\0AM added\0 D gone\0");
        let found: Vec<_> = dirty.iter().map(|one| (one.path.as_str(), one.is_modified)).collect();
        assert_eq!(
            found,
            [
                ("new name", false),
                ("a\u{fffd}", false),
                ("m", true),
                ("both", true),
                ("added", false),
                ("gone", false)
            ]
        );
        assert!(parse(b"").is_empty());
    }
}
