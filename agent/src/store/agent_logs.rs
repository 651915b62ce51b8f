//! The agents' own logs, `rounds/R<N>-<stamp>.log`: which one is a round's, and what its name says.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::layout::Layout;
use super::round_number;

/// Returns the newest log of a round; the stamp in the name orders them.
pub fn of_round(layout: &Layout, round_num: i64) -> Option<PathBuf> {
    all(layout).filter(|(number, _)| *number == round_num).max().map(|(_, path)| path)
}

/// Returns the newest log of the highest round, and that round's number.
pub fn newest(layout: &Layout) -> Option<(i64, PathBuf)> {
    all(layout).max()
}

/// Returns when a round started, as its log's name says.
pub fn started(log: &Path) -> Option<Timestamp> {
    let (_, stamp) = log.file_stem()?.to_str()?.rsplit_once('-')?;
    let civil = DateTime::strptime("%Y%m%dT%H%M%S", stamp).ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn all(layout: &Layout) -> impl Iterator<Item = (i64, PathBuf)> {
    // A folder that is not there holds nothing.
    let entries = fs::read_dir(layout.rounds_dir()).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let number = round_number::of_agent_log(entry.file_name().to_str()?)?;
        Some((number, entry.path()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_log_of_a_round_is_by_its_stamp_and_the_newest_of_all_by_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        assert_eq!((of_round(&layout, 9), newest(&layout)), (None, None));
        fs::create_dir(layout.rounds_dir()).unwrap();
        let late = "2026-03-01T05:06:07Z".parse().unwrap();
        let early = "2026-02-01T00:00:00Z".parse().unwrap();
        let logs = [(9, early), (9, late), (10, early)].map(|(number, at)| layout.agent_log(number, at));
        for path in logs.iter().chain([&layout.rounds_dir().join("R11.log"), &layout.rounds_dir().join("x")])
        {
            fs::File::create(path).unwrap();
        }
        assert_eq!(of_round(&layout, 9).as_ref(), Some(&logs[1]));
        assert_eq!(of_round(&layout, 1), None);
        assert_eq!(newest(&layout), Some((10, logs[2].clone())));
        assert_eq!(started(&logs[1]), Some(late));
        assert_eq!(started(Path::new("R1.log")), None);
    }
}
