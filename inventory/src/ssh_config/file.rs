//! Reading configuration files into directives, with everything they include.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Local;
use super::condition::Condition;
use super::error::SshConfigError;
use super::include::{self, Owner};
use super::keywords::{self, Keyword, Treatment};
use super::line;
use super::values;

/// Deepest nesting of includes: OpenSSH's own limit.
const MAX_DEPTH: usize = 16;
/// Largest configuration file that is read, in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Most files of one configuration.
const MAX_FILES: usize = 4096;

/// An OpenSSH client configuration: all its files, read once for all hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshConfig {
    pub(super) roots: Vec<Vec<Directive>>,
    files: Vec<PathBuf>,
    pub(super) second_pass: bool,
}

/// A line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) path: Arc<Path>,
    pub(super) line: usize,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Host(Vec<String>),
    Match(Condition),
    Include(Vec<Vec<Directive>>),
    IgnoreUnknown(String),
    Set { keyword: Keyword, words: Vec<String>, rest: String },
    Unknown(String),
}

impl SshConfig {
    /// Reads `files`, the stronger one first, and what they include.
    ///
    /// A file of [`Local::standard_files`] may be missing; any other has to exist.
    pub fn load(files: &[PathBuf], local: &Local) -> Result<Self, SshConfigError> {
        let mut config = Self::default();
        for path in files {
            let standard = local.standard_files().contains(path);
            match config.read(path, Place { owner: Owner::of(path, local), depth: 0, local }) {
                Ok(directives) => config.roots.push(directives),
                Err(SshConfigError::Read { source, .. })
                    if standard && source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(config)
    }

    /// Every file that was read, so that a cache can be held against their times.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The host names that `Host` lines spell out, without wildcards and negations, in the order of the files.
    pub fn aliases(&self) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let mut names = Vec::new();
        for root in &self.roots {
            collect_aliases(root, &mut names);
        }
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    fn read(&mut self, path: &Path, place: Place<'_>) -> Result<Vec<Directive>, SshConfigError> {
        let text = read_text(path, &place)?;
        self.files.push(path.into());
        let shared: Arc<Path> = path.into();
        let mut directives = Vec::new();
        for (number, content) in (1usize..).zip(text.split('\n')) {
            let at = Position { path, line: number, place };
            let wrong = |message: String| at.wrong(message);
            let Some(line) = line::parse(content).map_err(wrong)? else { continue };
            let what = match keywords::find(line.keyword) {
                None => What::Unknown(line.keyword.to_owned()),
                Some(keyword) if keyword.treatment == Treatment::Structure => {
                    self.structure(keyword, line, &at)?
                }
                Some(keyword) => {
                    if let Some(form) = keyword.form {
                        values::check(form, &line.words, line.rest)
                            .map_err(|message| wrong(format!("{}: {message}", keyword.name)))?;
                    }
                    What::Set { keyword, words: line.words, rest: line.rest.to_owned() }
                }
            };
            directives.push(Directive { path: shared.clone(), line: number, what });
        }
        Ok(directives)
    }

    fn structure(
        &mut self,
        keyword: Keyword,
        line: line::Line<'_>,
        at: &Position<'_>,
    ) -> Result<What, SshConfigError> {
        let (place, wrong) = (&at.place, |message: String| at.wrong(message));
        if line.words.iter().any(String::is_empty) {
            return Err(wrong(format!("{}: a value is empty", keyword.name)));
        }
        match keyword.name {
            "Host" => Ok(What::Host(line.words)),
            "Match" => {
                let condition = Condition::parse(line.rest).map_err(wrong)?;
                self.second_pass |= condition.asks_for_second_pass();
                Ok(What::Match(condition))
            }
            "Include" => {
                if place.depth >= MAX_DEPTH {
                    return Err(wrong(format!("files include one another more than {MAX_DEPTH} deep")));
                }
                let mut included = Vec::new();
                for word in &line.words {
                    for path in include::files(word, place.owner, place.local).map_err(wrong)? {
                        if self.files.len() >= MAX_FILES {
                            return Err(wrong(format!("the configuration has more than {MAX_FILES} files")));
                        }
                        let deeper = Place { depth: place.depth + 1, ..*place };
                        included.push(self.read(&path, deeper)?);
                    }
                }
                Ok(What::Include(included))
            }
            _ => match line.words.as_slice() {
                [list] => Ok(What::IgnoreUnknown(list.clone())),
                _ => Err(wrong(format!("{}: expected one list", keyword.name))),
            },
        }
    }
}

/// Where a file stands among the others.
#[derive(Clone, Copy)]
struct Place<'a> {
    owner: Owner,
    depth: usize,
    local: &'a Local,
}

/// A line of a file, for messages.
struct Position<'a> {
    path: &'a Path,
    line: usize,
    place: Place<'a>,
}

impl Position<'_> {
    fn wrong(&self, message: String) -> SshConfigError {
        SshConfigError::Line { path: self.path.into(), line: self.line, message }
    }
}

fn read_text(path: &Path, place: &Place<'_>) -> Result<String, SshConfigError> {
    let failed = |source| SshConfigError::Read { path: path.into(), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    // OpenSSH checks what it includes and the user's own file, not one named with -F.
    let own = place.local.standard_files().first().is_some_and(|own| own == path);
    if (place.depth > 0 || own) && metadata.permissions().mode() & 0o022 != 0 {
        return Err(SshConfigError::Permissions { path: path.into() });
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(SshConfigError::TooLarge { path: path.into(), limit: MAX_BYTES });
    }
    // Comments may be in any encoding; a value that is not UTF-8 would not survive anyway.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn collect_aliases(directives: &[Directive], names: &mut Vec<String>) {
    for directive in directives {
        match &directive.what {
            What::Host(words) => {
                let plain = |word: &&String| !word.starts_with('!') && !word.contains(['*', '?']);
                names.extend(words.iter().filter(plain).cloned());
            }
            What::Include(files) => files.iter().for_each(|file| collect_aliases(file, names)),
            What::Match(_) | What::IgnoreUnknown(_) | What::Set { .. } | What::Unknown(_) => {}
        }
    }
}
