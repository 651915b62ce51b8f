//! Which number the next round gets.

use std::fs;

use super::layout::Layout;
use super::status;

/// Returns one more than the highest number that status.json or the name of a `round-<N>.log` mentions.
pub fn next(layout: &Layout) -> i64 {
    let finished = status::read(layout).usable().map_or(0, |status| status.round_num);
    let started = fs::read_dir(layout.root())
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| of_round_log(entry.file_name().to_str()?))
        .max()
        .unwrap_or(0);
    finished.max(started).saturating_add(1)
}

/// Returns the number in `round-<N>.log`.
pub(super) fn of_round_log(name: &str) -> Option<i64> {
    digits(name.strip_prefix("round-")?.strip_suffix(".log")?)
}

/// Returns the number in `R<N>-<stamp>.log`.
pub(super) fn of_agent_log(name: &str) -> Option<i64> {
    let (number, _) = name.strip_prefix('R')?.strip_suffix(".log")?.split_once('-')?;
    digits(number)
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn goes_on_after_the_highest_of_status_and_logs() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        assert_eq!(next(&layout), 1);
        super::super::atomic::replace(&layout.status(), br#"{"round_num": 4}"#).unwrap();
        assert_eq!(next(&layout), 5);
        for name in ["round-9.log", "round-10.log", "round-x.log", "round-current.log", "round--3.log"] {
            File::create(dir.path().join(name)).unwrap();
        }
        assert_eq!(next(&layout), 11);
        super::super::atomic::replace(&layout.status(), br#"{"round_num": 40}"#).unwrap();
        assert_eq!(next(&layout), 41);
    }

    #[test]
    fn agent_logs_are_ordered_by_number() {
        assert_eq!(of_agent_log("R10-20260101T000000.log"), Some(10));
        for name in ["R-1.log", "Rx-1.log", "R1.log", "round-1.log", "R1-2.txt"] {
            assert_eq!(of_agent_log(name), None, "{name}");
        }
    }
}
