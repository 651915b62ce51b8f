//! `[monitor]`: when the controller stops a host, and when silence is a sign.

use serde::Serialize;

use crate::file::{Report, Table};
use crate::name;
use crate::rollout;
use crate::share::Share;

const KEYS: &[&str] = &["auto_stop", "brake", "stale_after_s", "for_s", "repeat_s"];
/// Longest silence that is taken for meant: a day, in seconds.
const MAX_STALE_S: u64 = 86_400;
/// Longest time between two messages about one alert: a week, in seconds.
const MAX_REPEAT_S: u64 = 7 * 86_400;
/// Most detectors in a list.
const MAX_DETECTORS: usize = 100;

/// How the fleet is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Monitor {
    /// The detectors that stop a host. The names are the agent's; the controller checks them.
    pub auto_stop: Vec<String>,
    /// The controller by itself never stops services on more than this share of the hosts.
    pub brake: Share,
    /// A host without data for so many seconds is stale.
    pub stale_after_s: u64,
    /// An alert of a host fires when it has held for so many seconds.
    pub for_s: u64,
    /// An alert that goes on is sent to the sinks again after so many seconds.
    pub repeat_s: u64,
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            auto_stop: vec!["oauth_fail".into(), "disk_critical".into()],
            brake: Share::Percent(25),
            stale_after_s: 180,
            for_s: 0,
            repeat_s: 4 * 3600,
        }
    }
}

impl Monitor {
    pub(crate) fn read(top: &Table<'_>, report: &mut Report<'_>) -> Self {
        let default = Self::default();
        let Some(table) = top.get("monitor").and_then(|item| Table::open(item, KEYS, report)) else {
            return default;
        };
        Self {
            auto_stop: detectors(&table, report).unwrap_or(default.auto_stop),
            brake: table.get("brake").and_then(|item| rollout::share(item, report)).unwrap_or(default.brake),
            // Agents send a heartbeat each 10 s: less than three of them is no silence.
            stale_after_s: table
                .get("stale_after_s")
                .and_then(|item| item.number(30..=MAX_STALE_S, report))
                .unwrap_or(default.stale_after_s),
            for_s: table
                .get("for_s")
                .and_then(|item| item.number(0..=MAX_STALE_S, report))
                .unwrap_or(default.for_s),
            repeat_s: table
                .get("repeat_s")
                .and_then(|item| item.number(60..=MAX_REPEAT_S, report))
                .unwrap_or(default.repeat_s),
        }
    }
}

fn detectors(table: &Table<'_>, report: &mut Report<'_>) -> Option<Vec<String>> {
    let item = table.get("auto_stop")?;
    let items = item.array(report)?;
    if items.len() > MAX_DETECTORS {
        report.problem(item.span(), format!("`{}` names at most {MAX_DETECTORS} detectors", item.path));
        return None;
    }
    let read = |item: &crate::file::Item<'_>, report: &mut Report<'_>| {
        item.checked(report, |text| name::check_line("detector", text).map(|()| text.to_owned()))
    };
    items.iter().map(|item| read(item, report)).collect()
}
