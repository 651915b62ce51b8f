//! Small charts for a terminal: bars of eighths. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::history::query::Hour;

/// The widest chart, in bars.
const WIDTH: usize = 72;
const BARS: [char; 9] =
    [' ', '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];

/// Returns rounds and failures per hour, and cost per account, between two instants.
pub fn text(
    hours: &[(String, i64, Hour)],
    (since, now): (Timestamp, Timestamp),
    account: impl Fn(&str) -> Option<Arc<str>>,
    zone: &TimeZone,
) -> String {
    let (first, last) = (since.as_second().div_euclid(3600), now.as_second().div_euclid(3600));
    let count = usize::try_from(last - first + 1).unwrap_or(1).max(1);
    // Several hours share a bar where there are too many for the width.
    let per = count.div_ceil(WIDTH).max(1);
    let bars = count.div_ceil(per);
    let (mut rounds, mut failures) = (vec![0.0; bars], vec![0.0; bars]);
    let mut cost: BTreeMap<String, f64> = BTreeMap::new();
    for (host, hour, sums) in hours {
        let bar = usize::try_from(hour - first).unwrap_or_default() / per;
        for (series, value) in [(&mut rounds, sums.rounds), (&mut failures, sums.failures)] {
            if let Some(slot) = series.get_mut(bar) {
                *slot += f64::from(u32::try_from(value).unwrap_or(u32::MAX));
            }
        }
        let name = account(host).map_or_else(|| format!("({host})"), |account| account.to_string());
        *cost.entry(name).or_default() += sums.cost_usd;
    }
    let clock = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%m-%d %H:%M").to_string();
    let each = if per == 1 { "an hour".to_owned() } else { format!("{per} hours") };
    let mut text = format!("{} to {}, a bar is {each}\n", clock(since), clock(now));
    for (name, series) in [("rounds", &rounds), ("failures", &failures)] {
        let (total, most) = (series.iter().sum::<f64>(), series.iter().copied().fold(0.0, f64::max));
        let _ = writeln!(text, "{name:<9} {}  {total:.0}, at most {most:.0} a bar", line(series));
    }
    let most = cost.values().copied().fold(0.0, f64::max);
    for (name, dollars) in cost.iter().filter(|(_, dollars)| **dollars > 0.0) {
        let _ = writeln!(text, "cost      {:<24} {} {dollars:.2} USD", name, bar(*dollars, most));
    }
    text
}

/// Returns a bar of up to twenty columns.
fn bar(value: f64, most: f64) -> String {
    let full = if most > 0.0 { (value / most * 20.0).round() } else { 0.0 };
    let columns = (0..20).filter(|&column| f64::from(column) < full).count();
    "\u{2588}".repeat(columns)
}

/// Returns one character a value, as high as its share of the largest; what is not nothing is never blank.
pub fn line(values: &[f64]) -> String {
    line_to(values, 0.0)
}

/// As [`line`], as high as the share of `most` where that is more than the largest.
pub fn line_to(values: &[f64], most: f64) -> String {
    let most = values.iter().copied().fold(most, f64::max);
    let char_of = |value: f64| {
        let level =
            (1..=8_u8).rev().find(|&level| value > 0.0 && value / most >= f64::from(level) / 8.0 - 1e-9);
        let level = level.unwrap_or(u8::from(value > 0.0));
        BARS.get(usize::from(level)).copied().unwrap_or(' ')
    };
    values.iter().map(|&value| char_of(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_share_and_something_is_never_nothing() {
        assert_eq!(line(&[0.0, 1.0, 4.0, 8.0, 0.01]), " \u{2581}\u{2584}\u{2588}\u{2581}");
        assert_eq!(line(&[]), "");
        assert_eq!(line(&[0.0, 0.0]), "  ");
    }

    #[test]
    fn a_chart_sums_hosts_up_per_hour_and_cost_per_account() {
        let hour = |rounds, failures, cost_usd| Hour { rounds, failures, cost_usd };
        let hours = [
            ("a1".to_owned(), 0, hour(4, 0, 1.0)),
            ("a2".to_owned(), 0, hour(4, 1, 2.0)),
            ("b1".to_owned(), 1, hour(2, 0, 0.5)),
        ];
        let until = Timestamp::from_second(7199).unwrap();
        let account = |host: &str| host.starts_with('a').then(|| "team-a".into());
        let text = text(&hours, (Timestamp::UNIX_EPOCH, until), account, &TimeZone::UTC);
        assert!(text.contains("rounds    \u{2588}\u{2582}  10, at most 8 a bar"), "{text}");
        assert!(text.contains("failures  \u{2588}   1, at most 1 a bar"), "{text}");
        assert!(text.contains("team-a") && text.contains("3.00 USD"), "{text}");
        assert!(text.contains("(b1)"), "{text}");
    }
}
