//! `Include`: which files a line takes in.

use std::path::{Component, Path, PathBuf};

use globset::GlobBuilder;

use super::Local;

/// Most files one `Include` word may take in.
const MAX_FILES: usize = 1000;

/// Whether a file is the user's or the system's, which decides what its relative paths start at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    User,
    System,
}

impl Owner {
    pub(super) fn of(path: &Path, local: &Local) -> Self {
        if path.starts_with(&local.system_dir) { Self::System } else { Self::User }
    }
}

/// The files that a word of an `Include` line stands for, sorted; none if none exists.
pub(super) fn files(word: &str, owner: Owner, local: &Local) -> Result<Vec<PathBuf>, String> {
    let full = match (word.strip_prefix('~'), owner) {
        (Some(_), Owner::System) => return Err("an Include of the system begins with no \"~\"".into()),
        (Some(rest), Owner::User) => {
            let below = rest.strip_prefix(&local.user).filter(|below| below.starts_with('/')).unwrap_or(rest);
            let Some(below) = below.strip_prefix('/') else {
                return Err(format!("the home folder meant by {word:?} is not known"));
            };
            local.home.join(below)
        }
        (None, Owner::User) => local.home.join(".ssh").join(word),
        (None, Owner::System) => local.system_dir.join(word),
    };
    let mut found = vec![PathBuf::new()];
    for part in full.components() {
        let text = part.as_os_str().to_string_lossy();
        if part == Component::CurDir {
            continue;
        }
        if !text.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for folder in found {
            next.extend(children(&folder, &text)?);
            if next.len() > MAX_FILES {
                return Err(format!("{word:?} stands for more than {MAX_FILES} files"));
            }
        }
        found = next;
    }
    found.retain(|path| path.exists());
    Ok(found)
}

/// The entries of a folder that match a shell pattern, sorted; a folder that cannot be read has none, as in glob(3).
fn children(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let escaped = pattern.replace('{', "\\{").replace('}', "\\}");
    let glob = GlobBuilder::new(&escaped).literal_separator(true).backslash_escape(true).build();
    let matcher = glob.map_err(|error| format!("{pattern:?}: {}", error.kind()))?.compile_matcher();
    let mut names: Vec<_> = match folder.read_dir() {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.file_name()).collect(),
        Err(_) => Vec::new(),
    };
    names.retain(|name| {
        let hidden = name.to_string_lossy().starts_with('.');
        (!hidden || pattern.starts_with('.')) && matcher.is_match(name)
    });
    names.sort();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
