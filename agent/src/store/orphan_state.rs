//! `orphan-state.json`: work that a round left behind and nobody has claimed yet.

use std::io;

use serde::Serialize;
use serde_json::{Map, Value};

use super::atomic;
use super::layout::Layout;
use super::state::{self, Read, read_object};

/// How many earlier orphans are kept; each is in the event log and in git all the same.
const EARLIER_MAX: usize = 50;

/// Bytes of paths kept of the newest orphan, and of each earlier one: a file that nobody can read names no stash.
const NEWEST_BYTES: usize = 1 << 20;
const EARLIER_BYTES: usize = 16 << 10;

/// One orphan: what was dirty after a round, and the stash that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Orphan {
    /// The round that left it.
    pub round_num: i64,
    /// Every path that was dirty, the new side of renames; the first MiB of them.
    pub files: Vec<String>,
    /// The stash commit.
    pub stashed_ref: Option<String>,
    /// The stash's message.
    pub stash_message: Option<String>,
    /// When it was stashed.
    pub timestamp: String,
    /// The phase of that round.
    pub phase: Option<String>,
}

/// The newest orphan and those before it that are still unclaimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrphanState {
    /// The newest.
    #[serde(flatten)]
    pub newest: Orphan,
    /// Older ones, the newest of them first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Orphan>,
}

impl OrphanState {
    /// Returns the state after one more orphan. The same stash again replaces its entry.
    pub fn followed_by(before: Option<OrphanState>, mut newest: Orphan) -> OrphanState {
        newest.keep_bytes(NEWEST_BYTES);
        let mut earlier: Vec<Orphan> = before
            .map(|state| [vec![state.newest], state.earlier].concat())
            .unwrap_or_default()
            .into_iter()
            .filter(|orphan| orphan.stashed_ref != newest.stashed_ref)
            .collect();
        earlier.truncate(EARLIER_MAX);
        for orphan in &mut earlier {
            orphan.keep_bytes(EARLIER_BYTES);
        }
        OrphanState { newest, earlier }
    }
}

impl Orphan {
    /// Keeps the first paths that together have at most this many bytes.
    fn keep_bytes(&mut self, most: usize) {
        let mut room = most;
        self.files.retain(|path| {
            let fits = path.len() <= room;
            room = if fits { room - path.len() } else { 0 };
            fits
        });
    }
}

/// Reads the orphans of a log dir.
pub fn read(layout: &Layout) -> Read<OrphanState> {
    read_object(&layout.orphan_state()).and_then(|object| {
        let newest = parse(&object).ok_or("round_num or files has a wrong type")?;
        let earlier = object.get("earlier").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Ok(OrphanState {
            newest,
            earlier: earlier.iter().filter_map(Value::as_object).filter_map(parse).collect(),
        })
    })
}

/// Replaces the orphans of a log dir.
///
/// # Errors
/// As [`atomic::replace_json`].
pub fn write(layout: &Layout, state: &OrphanState) -> io::Result<()> {
    atomic::replace_json(&layout.orphan_state(), state)
}

/// Removes the file: the tree is clean.
///
/// # Errors
/// When it exists and cannot be removed.
pub fn remove(layout: &Layout) -> io::Result<()> {
    state::remove(&layout.orphan_state())
}

fn parse(object: &Map<String, Value>) -> Option<Orphan> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Orphan {
        round_num: object.get("round_num")?.as_i64()?,
        files: object.get("files")?.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        stashed_ref: text("stashed_ref"),
        stash_message: text("stash_message"),
        timestamp: text("timestamp").unwrap_or_default(),
        phase: text("phase"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orphan(round_num: i64, stashed_ref: &str) -> Orphan {
        Orphan {
            round_num,
            files: vec!["a ü".into()],
            stashed_ref: Some(stashed_ref.into()),
            stash_message: Some("ORPHAN R1".into()),
            timestamp: "2026-01-01T00:00:00.000Z".into(),
            phase: None,
        }
    }

    #[test]
    fn two_orphans_in_a_row_keep_both_references() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let first = OrphanState::followed_by(None, orphan(1, "aa"));
        assert!(!serde_json::to_string(&first).unwrap().contains("earlier"));
        let second = OrphanState::followed_by(Some(first), orphan(2, "bb"));
        let again = OrphanState::followed_by(Some(second.clone()), orphan(2, "bb"));
        assert_eq!(again, second);
        write(&layout, &second).unwrap();
        let read_back = read(&layout).usable().unwrap();
        assert_eq!(read_back, second);
        assert_eq!(read_back.earlier, [orphan(1, "aa")]);
        remove(&layout).unwrap();
        assert_eq!(read(&layout), Read::Missing);
    }

    #[test]
    fn a_hundred_thousand_paths_still_make_a_file_that_reads() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let mut state = None;
        for number in 0..3 {
            let files = (0..100_000).map(|path| format!("some/long/folder/name/{path}")).collect();
            let orphan = Orphan { files, ..orphan(number, &number.to_string()) };
            state = Some(OrphanState::followed_by(state, orphan));
        }
        write(&layout, &state.unwrap()).unwrap();
        assert_eq!(read(&layout).usable().unwrap().earlier.len(), 2);
    }

    #[test]
    fn the_list_is_bounded() {
        let mut state = OrphanState::followed_by(None, orphan(0, "0"));
        for number in 1..100 {
            state = OrphanState::followed_by(Some(state), orphan(number, &number.to_string()));
        }
        assert_eq!(state.earlier.len(), EARLIER_MAX);
    }
}
