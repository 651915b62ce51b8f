//! Ending logs: pruning that never deletes more than it keeps, and months that are over.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::{Timestamp, ToSpan};

use super::layout::Layout;
use super::{round_number, time};
use crate::event::Event;

/// Prunes the agents' logs to `keep` files, oldest round first; 0 keeps all. Returns the event to write when pruning
/// was refused because it would have deleted more than it keeps.
pub fn prune_agent_logs(layout: &Layout, keep: u64) -> Option<Event> {
    let dir = layout.rounds_dir();
    let mut files: Vec<(i64, String)> =
        names(&dir).filter_map(|name| Some((round_number::of_agent_log(&name)?, name))).collect();
    files.sort();
    prune(&dir, files.into_iter().map(|(_, name)| name).collect(), keep)
}

/// Prunes the `round` processes' own output files to `keep`, the least recently written first; 0 keeps all. Returns
/// the event to write when pruning was refused because it would have deleted more than it keeps.
pub fn prune_round_logs(layout: &Layout, keep: u64) -> Option<Event> {
    let dir = layout.root();
    let mut files: Vec<(SystemTime, String)> = names(dir)
        .filter(|name| round_number::of_round_log(name).is_some())
        .filter_map(|name| {
            let meta = fs::symlink_metadata(dir.join(&name)).ok().filter(fs::Metadata::is_file)?;
            Some((meta.modified().ok()?, name))
        })
        .collect();
    files.sort();
    prune(dir, files.into_iter().map(|(_, name)| name).collect(), keep)
}

/// Removes event files older than `months` whole months before the month of `now`; `None` keeps all.
pub fn prune_events(layout: &Layout, months: Option<u64>, now: Timestamp) {
    prune_months(layout.events_files(), months, now);
}

/// Removes metrics files older than `months` whole months before the month of `now`; `None` keeps all.
pub fn prune_metrics(layout: &Layout, months: Option<u64>, now: Timestamp) {
    prune_months(layout.metrics_files(), months, now);
}

fn prune_months(files: Vec<PathBuf>, months: Option<u64>, now: Timestamp) {
    let Some(months) = months.and_then(|months| i64::try_from(months).ok()) else { return };
    let Ok(oldest) = now
        .to_zoned(jiff::tz::TimeZone::UTC)
        .first_of_month()
        .and_then(|day| day.checked_sub(months.clamp(0, 12_000).months()))
    else {
        return;
    };
    let oldest = time::month(oldest.timestamp());
    for path in files {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let month = stem.split_once('-').map_or("", |(_, month)| month);
        if month < oldest.as_str() {
            // Removed by somebody else, or tried again next time.
            let _ = fs::remove_file(path);
        }
    }
}

fn prune(dir: &Path, oldest_first: Vec<String>, keep: u64) -> Option<Event> {
    let keep_count = usize::try_from(keep).unwrap_or(usize::MAX);
    let stale = oldest_first.len().checked_sub(keep_count).filter(|_| keep > 0)?;
    if stale > keep_count {
        return Some(deferred(dir, oldest_first.len(), keep_count));
    }
    for name in oldest_first.iter().take(stale) {
        // Removed by somebody else, or tried again next time.
        let _ = fs::remove_file(dir.join(name));
    }
    None
}

fn deferred(dir: &Path, existing: usize, keep: usize) -> Event {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    Event::RoundLogsPruneDeferred {
        directory: dir.display().to_string(),
        existing: count(existing),
        keep: count(keep),
        would_delete: count(existing - keep),
        hint: "more logs would be deleted than kept: raise runtime.round_log_retention or delete old logs \
               yourself"
            .to_owned(),
    }
}

fn names(dir: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn log_dir(names: &[&str]) -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        fs::create_dir(layout.rounds_dir()).unwrap();
        for name in names {
            File::create(dir.path().join(name)).unwrap();
        }
        (dir, layout)
    }

    fn left(dir: &Path) -> Vec<String> {
        let mut left: Vec<_> = names(dir).collect();
        left.sort();
        left
    }

    #[test]
    fn the_oldest_rounds_go_first_and_ten_comes_after_nine() {
        let logs = ["rounds/R9-a.log", "rounds/R10-a.log", "rounds/R8-a.log", "rounds/note.txt"];
        let (_dir, layout) = log_dir(&logs);
        assert_eq!(prune_agent_logs(&layout, 0), None);
        assert_eq!(left(&layout.rounds_dir()).len(), 4);
        assert_eq!(prune_agent_logs(&layout, 2), None);
        assert_eq!(left(&layout.rounds_dir()), ["R10-a.log", "R9-a.log", "note.txt"]);
    }

    #[test]
    fn more_than_is_kept_is_never_deleted() {
        let (_dir, layout) = log_dir(&["round-1.log", "round-2.log", "round-3.log", "round-current.log"]);
        let Some(Event::RoundLogsPruneDeferred { existing, keep, would_delete, .. }) =
            prune_round_logs(&layout, 1)
        else {
            panic!("nothing was deferred");
        };
        assert_eq!((existing, keep, would_delete), (3, 1, 2));
        assert_eq!(prune_round_logs(&layout, 2), None);
        assert_eq!(left(layout.root()).len(), 4);
    }

    #[test]
    fn months_that_are_over_go_and_the_kept_ones_stay() {
        let files = ["events-2025-12.jsonl", "events-2026-01.jsonl", "events-2026-02.jsonl"];
        let (_dir, layout) = log_dir(&files);
        let now: Timestamp = "2026-02-28T23:00:00Z".parse().unwrap();
        prune_events(&layout, None, now);
        assert_eq!(layout.events_files().len(), 3);
        prune_events(&layout, Some(1), now);
        assert_eq!(left(layout.root()), ["events-2026-01.jsonl", "events-2026-02.jsonl", "rounds"]);
    }
}
