//! The presets there are: those inside the program, and the operator's own files, which win.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::preset::{Preset, PresetError, PresetFile};
use super::rules::{PLAIN_GRACE_S, Rules};
use crate::error::in_words;
use crate::process::signals::StopSignal;
use crate::store::regular;

/// The presets inside the program, by name.
pub const EMBEDDED: &[(&str, &str)] = &[
    ("aider", include_str!("../../presets/aider.toml")),
    ("claude", include_str!("../../presets/claude.toml")),
    ("codewhale", include_str!("../../presets/codewhale.toml")),
    ("codex", include_str!("../../presets/codex.toml")),
    ("gemini", include_str!("../../presets/gemini.toml")),
    ("kimi", include_str!("../../presets/kimi.toml")),
    ("opencode", include_str!("../../presets/opencode.toml")),
    ("pi", include_str!("../../presets/pi.toml")),
];

/// Files read from one folder, and the size of one in bytes.
const FILES_MAX: usize = 100;
const SIZE_MAX: u64 = 256 << 10;

/// The files of [`EMBEDDED`], each read when it is first asked for: a round needs one of them.
static READ: [OnceLock<PresetFile>; EMBEDDED.len()] = [const { OnceLock::new() }; EMBEDDED.len()];

/// All presets.
#[derive(Debug, Clone)]
pub struct Presets {
    entries: Vec<Entry>,
    problems: Vec<String>,
    disabled: Vec<String>,
}

/// One preset.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name: the file's name without `.toml`.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Its text.
    pub text: Cow<'static, str>,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    /// The place in [`EMBEDDED`].
    Embedded(usize),
    Own(Box<PresetFile>),
}

/// Where a preset comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Inside the program.
    Embedded,
    /// One of the operator's files.
    File(PathBuf),
}

/// Why a file is no preset.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("preset {} cannot be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its content is wrong.
    #[error("preset {} cannot be used", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: PresetError,
    },
}

impl Presets {
    /// Returns the presets inside the program.
    pub fn embedded() -> Presets {
        let entry = |(index, (name, text)): (usize, &(&str, &'static str))| Entry {
            name: (*name).to_owned(),
            origin: Origin::Embedded,
            text: Cow::Borrowed(*text),
            content: Content::Embedded(index),
        };
        let entries = EMBEDDED.iter().enumerate().map(entry).collect();
        Presets { entries, problems: Vec::new(), disabled: Vec::new() }
    }

    /// Returns the presets inside the program and the `*.toml` files of `dirs`, later folders winning. A file that
    /// cannot be used is a problem, not an error.
    pub fn load(dirs: &[PathBuf]) -> Presets {
        let mut presets = Presets::embedded();
        for dir in dirs {
            for path in files(dir) {
                match Entry::read(&path) {
                    Ok(entry) => {
                        presets.entries.retain(|other| other.name != entry.name);
                        presets.entries.push(entry);
                    }
                    Err(error) => presets.problems.push(in_words(&error)),
                }
            }
        }
        presets
    }

    /// Returns the folders the operator's presets are in, the more specific one last.
    pub fn folders(config_home: Option<&Path>, work_dir: Option<&Path>) -> Vec<PathBuf> {
        let user = config_home.map(|home| home.join("agent-runner/presets"));
        let project = work_dir.map(|dir| dir.join(".agent-runner/presets"));
        user.into_iter().chain(project).collect()
    }

    /// Switches the rules of some presets off, by preset name or agent.
    pub fn without(mut self, names: &[String]) -> Presets {
        self.disabled.extend_from_slice(names);
        self
    }

    /// Returns the presets, sorted by name.
    pub fn entries(&self) -> Vec<&Entry> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// Returns the preset of a name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Returns what is wrong with the operator's files, one line each.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Returns the rules for an agent's identity, unless they are switched off.
    pub fn rules_for(&self, agent: &str) -> Option<&Rules> {
        let entry = self.reading(agent)?;
        let off = self.disabled.iter().any(|name| *name == entry.name || name == agent);
        entry.rules().filter(|_| !off)
    }

    /// Returns the first signal when a round of this agent is interrupted; switching its rules off does not matter.
    pub fn stop_signal(&self, agent: &str) -> StopSignal {
        self.stopping(agent).map_or(StopSignal::Term, Rules::stop_signal)
    }

    /// Returns the seconds between the first signal and KILL, given `agent.sigterm_grace_s`.
    pub fn grace_s(&self, agent: &str, configured_s: u64) -> u64 {
        self.stopping(agent).map_or(PLAIN_GRACE_S, |rules| rules.grace_s(configured_s))
    }

    /// Returns the option by which this agent continues a session.
    pub fn resume_flag(&self, agent: &str) -> Option<&str> {
        self.stopping(agent)?.resume_flag.as_deref()
    }

    /// Returns what the preset named after an agent says about renewing its login.
    pub fn login_hint(&self, agent: &str) -> Option<&str> {
        self.get(agent)?.preset()?.config.get("monitor")?.get("auth_fail_hint")?.as_str()
    }

    /// Returns the agents with a cooperative stop, and its signal.
    pub fn cooperative(&self) -> BTreeMap<String, StopSignal> {
        let rules = self.entries.iter().filter_map(Entry::rules);
        rules.filter_map(|rules| Some((rules.agent.clone(), rules.cooperative_signal?))).collect()
    }

    fn stopping(&self, agent: &str) -> Option<&Rules> {
        self.reading(agent)?.rules()
    }

    fn reading(&self, agent: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| match entry.content {
            // A preset inside the program is named after its agent, so the others need not be read.
            Content::Embedded(_) => entry.name == agent && entry.rules().is_some(),
            Content::Own(_) => entry.agent() == Some(agent),
        })
    }
}

impl Entry {
    /// Reads one file.
    ///
    /// # Errors
    /// When it cannot be read, is larger than 256 KiB, or is no preset.
    pub fn read(path: &Path) -> Result<Entry, FileError> {
        let failed = |source| FileError::Io { path: path.to_owned(), source };
        let bytes = regular::read(path, SIZE_MAX).map_err(failed)?;
        let text = String::from_utf8(bytes).map_err(|error| failed(io::Error::other(error)))?;
        let file = PresetFile::parse(&text)
            .map_err(|source| FileError::Content { path: path.to_owned(), source })?;
        let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let content = Content::Own(Box::new(file));
        Ok(Entry { name, origin: Origin::File(path.to_owned()), text: Cow::Owned(text), content })
    }

    /// Returns how its agent is started.
    pub fn preset(&self) -> Option<&Preset> {
        self.file().preset.as_ref()
    }

    /// Returns how its agent is stopped and read.
    pub fn rules(&self) -> Option<&Rules> {
        self.file().provider.as_ref()
    }

    /// Returns whose output its rules read.
    pub fn agent(&self) -> Option<&str> {
        self.rules().map(|rules| rules.agent.as_str())
    }

    fn file(&self) -> &PresetFile {
        match &self.content {
            Content::Own(file) => file,
            Content::Embedded(index) => {
                let slot = READ.get(*index).expect("there is a slot for every preset inside the program");
                slot.get_or_init(|| {
                    PresetFile::parse(&self.text).expect("a test reads every preset inside the program")
                })
            }
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    // A folder that is not there holds nothing.
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml") && path.is_file());
    paths.sort();
    paths.truncate(FILES_MAX);
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_inside_the_program_can_be_read() {
        for (name, text) in EMBEDDED {
            let file = PresetFile::parse(text).unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert!(file.preset.is_some(), "{name}");
            assert!(file.provider.is_none_or(|rules| rules.agent == *name), "{name}");
        }
        assert_eq!(Presets::embedded().entries().len(), EMBEDDED.len());
    }

    #[test]
    fn three_agents_stop_cooperatively_and_one_resumes() {
        let presets = Presets::embedded();
        let stops: Vec<_> =
            presets.cooperative().into_iter().map(|(name, signal)| (name, signal.name())).collect();
        assert_eq!(
            stops,
            [("claude".into(), "SIGINT"), ("gemini".into(), "SIGTERM"), ("pi".into(), "SIGTERM")]
        );
        assert_eq!(
            (presets.grace_s("claude", 10), presets.grace_s("kimi", 10), presets.grace_s("x", 10)),
            (10, 5, 5)
        );
        assert_eq!(presets.resume_flag("pi"), Some("--session-id"));
        assert_eq!(presets.resume_flag("claude"), None);
        assert!(presets.without(&["claude".into()]).rules_for("claude").is_none());
    }

    #[test]
    fn the_operator_s_files_win_and_broken_ones_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            crate::store::atomic::replace(&dir.path().join(name), text.as_bytes()).unwrap();
        };
        write("mine.toml", "[provider]\nagent = \"claude\"\ncooperative_signal = \"TERM\"\n");
        write("broken.toml", "[provider]\nagent = \"x\"\nagnet = 1\n");
        write("notes.txt", "not a preset");
        let presets = Presets::load(&[dir.path().to_owned(), "/nonexistent".into()]);
        assert_eq!(presets.stop_signal("claude"), StopSignal::Term);
        assert_eq!(presets.problems().len(), 1, "{:?}", presets.problems());
        assert!(presets.problems()[0].contains("broken.toml") && presets.problems()[0].contains("agnet"));
        assert!(presets.get("mine").is_some());
    }
}
