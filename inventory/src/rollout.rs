//! `[rollout]`: how a release goes out.

use serde::Serialize;

use crate::file::{Item, Report, Table};
use crate::share::Share;

const KEYS: &[&str] = &["batch", "max_fail", "confirm_s", "drain", "healthy", "pause_s"];
/// Longest wait that is taken for meant: a day, in seconds.
const MAX_WAIT_S: u64 = 86_400;
/// Most batch sizes in a list.
const MAX_BATCHES: usize = 100;

/// How a release goes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rollout {
    /// The sizes of the batches, one after another; the last repeats. Never empty.
    pub batch: Vec<Batch>,
    /// No further host is started once more than this failed, unreachable ones counted.
    pub max_fail: Share,
    /// A host reverts by itself unless it is confirmed within so many seconds.
    pub confirm_s: u64,
    /// What happens to a running round.
    pub drain: Drain,
    /// When a host counts as healthy.
    pub healthy: Healthy,
    /// The pause between two batches, in seconds.
    pub pause_s: u64,
}

/// The size of a batch; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Batch(pub Share);

/// What happens to a round that runs when a release is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Drain {
    /// It ends by itself.
    Round,
    /// It is stopped at once, gracefully.
    Now,
    /// It gets so many seconds, then it is stopped gracefully.
    Seconds(u64),
}

/// When a host counts as healthy after a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Healthy {
    /// The service is active and runs the new release.
    Active,
    /// A round of the new release ended well.
    Round,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            batch: vec![Batch(Share::Count(1)), Batch(Share::Percent(10)), Batch(Share::Percent(50))],
            max_fail: Share::Percent(10),
            confirm_s: 60,
            drain: Drain::Round,
            healthy: Healthy::Active,
            pause_s: 0,
        }
    }
}

impl Batch {
    /// The number of hosts of a batch out of `total`: at least one, at most all.
    pub fn size(self, total: usize) -> usize {
        self.0.ceil_of(total).clamp(1, total.max(1))
    }
}

impl Rollout {
    pub(crate) fn read(top: &Table<'_>, report: &mut Report<'_>) -> Self {
        let default = Self::default();
        let Some(table) = top.get("rollout").and_then(|item| Table::open(item, KEYS, report)) else {
            return default;
        };
        let mut seconds = |key: &str, range: std::ops::RangeInclusive<u64>| {
            table.get(key).and_then(|item| item.number(range, report))
        };
        // Less than 5 s is less than a login on a slow host takes.
        let confirm_s = seconds("confirm_s", 5..=MAX_WAIT_S).unwrap_or(default.confirm_s);
        let pause_s = seconds("pause_s", 0..=MAX_WAIT_S).unwrap_or(default.pause_s);
        Self {
            batch: table.get("batch").and_then(|item| batches(item, report)).unwrap_or(default.batch),
            max_fail: table.get("max_fail").and_then(|item| share(item, report)).unwrap_or(default.max_fail),
            confirm_s,
            drain: table.get("drain").and_then(|item| drain(item, report)).unwrap_or(default.drain),
            healthy: table.get("healthy").and_then(|item| healthy(item, report)).unwrap_or(default.healthy),
            pause_s,
        }
    }
}

/// Reads `"N"`, `"N%"` or a bare number.
pub(crate) fn share(item: &Item<'_>, report: &mut Report<'_>) -> Option<Share> {
    if item.value.get_ref().is_integer() {
        let count = item.number(0..=u32::MAX.into(), report)?;
        return count.try_into().ok().map(Share::Count);
    }
    item.checked(report, str::parse)
}

fn batches(item: &Item<'_>, report: &mut Report<'_>) -> Option<Vec<Batch>> {
    let items = item.one_or_many(report)?;
    if items.is_empty() || items.len() > MAX_BATCHES {
        report.problem(item.span(), format!("`{}` has 1 to {MAX_BATCHES} sizes", item.path));
        return None;
    }
    let mut sizes = Vec::new();
    for item in items {
        let size = share(&item, report)?;
        if size.is_zero() {
            report.problem(item.span(), "a batch has at least one host");
            return None;
        }
        sizes.push(Batch(size));
    }
    Some(sizes)
}

fn drain(item: &Item<'_>, report: &mut Report<'_>) -> Option<Drain> {
    if item.value.get_ref().is_integer() {
        return item.number(0..=MAX_WAIT_S, report).map(Drain::Seconds);
    }
    item.checked(report, |text| match text {
        "round" => Ok(Drain::Round),
        "now" => Ok(Drain::Now),
        _ => Err("expected \"round\", \"now\" or a number of seconds"),
    })
}

fn healthy(item: &Item<'_>, report: &mut Report<'_>) -> Option<Healthy> {
    item.checked(report, |text| match text {
        "active" => Ok(Healthy::Active),
        "round" => Ok(Healthy::Round),
        _ => Err("expected \"active\" or \"round\""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_at_least_one_host_and_at_most_all() {
        assert_eq!(Batch(Share::Percent(10)).size(5), 1);
        assert_eq!(Batch(Share::Percent(1)).size(1000), 10);
        assert_eq!(Batch(Share::Count(50)).size(20), 20);
        assert_eq!(Batch(Share::Percent(10)).size(0), 1);
    }
}
