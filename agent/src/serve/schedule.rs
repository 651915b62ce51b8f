//! When rounds may start: windows of the week in one time zone. Pure; the zone's rules come with the value.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

use crate::config::types::Schedule;

/// How far ahead an opening is looked for, in days.
const HORIZON_DAYS: i64 = 8;

/// The `active_window` of an instant outside every run window.
pub const OUTSIDE: &str = "outside run_windows";

/// A schedule with the rules of its time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    schedule: Schedule,
    zone: TimeZone,
}

impl Calendar {
    /// Returns the schedule in the given zone.
    pub fn new(schedule: Schedule, zone: TimeZone) -> Calendar {
        Calendar { schedule, zone }
    }

    /// Returns whether a round may start at `at`.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.closed_by(at).is_none()
    }

    /// Returns why no round may start at `at`: the pause window's text, or [`OUTSIDE`]; `None` when one may.
    pub fn closed_by(&self, at: Timestamp) -> Option<&str> {
        let (day, minute) = self.local(at);
        let (runs, pauses) = (&self.schedule.run_windows, &self.schedule.pause_windows);
        if let Some(pause) = pauses.iter().find(|window| window.contains(day, minute)) {
            return Some(&pause.text);
        }
        let outside = !runs.is_empty() && !runs.iter().any(|window| window.contains(day, minute));
        outside.then_some(OUTSIDE)
    }

    /// Returns the first whole minute after `at` and within eight days in which a round may start.
    pub fn next_opening(&self, at: Timestamp) -> Option<Timestamp> {
        let end = at.checked_add((HORIZON_DAYS * 24).hours()).ok()?;
        // The answer can only change where a window begins or ends, where the zone's offset changes, or at once.
        let mut candidates: Vec<Timestamp> = self.boundaries(at);
        candidates
            .extend(self.zone.following(at).take_while(|t| t.timestamp() <= end).map(|t| t.timestamp()));
        candidates.extend(next_minute(at));
        candidates.retain(|candidate| *candidate > at && *candidate <= end);
        candidates.sort_unstable();
        candidates.into_iter().find(|candidate| self.is_open(*candidate))
    }

    /// Returns the instant as ISO-8601 with the zone's offset.
    pub fn iso(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// Returns the zone as events name it.
    pub fn zone_name(&self) -> &str {
        self.schedule.timezone.as_deref().unwrap_or("local")
    }

    /// Returns the weekday (Monday 0) and the minute of the day.
    fn local(&self, at: Timestamp) -> (usize, u16) {
        let local = self.zone.to_datetime(at);
        let day = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or_default();
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        (day, u16::try_from(minute).unwrap_or_default())
    }

    /// Returns every instant of the days around `at` at which a window begins or ends; both of a repeated hour.
    fn boundaries(&self, at: Timestamp) -> Vec<Timestamp> {
        let windows = self.schedule.run_windows.iter().chain(&self.schedule.pause_windows);
        let mut minutes: Vec<i64> =
            windows.flat_map(|window| [window.start_min, window.end_min % 1440]).map(i64::from).collect();
        minutes.push(0);
        minutes.sort_unstable();
        minutes.dedup();
        let today = self.zone.to_datetime(at).date();
        let mut found = Vec::new();
        for day in -1..=HORIZON_DAYS + 1 {
            let Ok(date) = today.checked_add(Span::new().days(day)) else { continue };
            for minute in &minutes {
                let Ok(local) = date.at(0, 0, 0, 0).checked_add(Span::new().minutes(*minute)) else {
                    continue;
                };
                let instants = self.zone.to_ambiguous_timestamp(local);
                found.extend([instants.earlier().ok(), instants.later().ok()].into_iter().flatten());
            }
        }
        found
    }
}

/// Returns the first instant after `at` with no seconds.
fn next_minute(at: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second((at.as_second().div_euclid(60) + 1) * 60).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::window::Window;
    use proptest::prelude::*;

    const WEEKDAYS: [bool; 7] = [true, true, true, true, true, false, false];

    fn window(days: [bool; 7], start_min: u16, end_min: u16) -> Window {
        Window { text: format!("{start_min}-{end_min}"), days, start_min, end_min }
    }

    fn calendar(run: Vec<Window>, pause: Vec<Window>, zone: &str) -> Calendar {
        let timezone = Some(zone.to_owned());
        let schedule = Schedule { timezone, run_windows: run, pause_windows: pause };
        Calendar::new(schedule, TimeZone::get(zone).unwrap())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn without_windows_it_is_always_open() {
        let always = calendar(Vec::new(), Vec::new(), "UTC");
        assert!(always.is_open(at("2026-01-01T00:00:00Z")));
        assert_eq!(always.next_opening(at("2026-01-01T00:00:10Z")), Some(at("2026-01-01T00:01:00Z")));
    }

    #[test]
    fn a_pause_window_wins_over_a_run_window_and_is_named() {
        let hours = calendar(vec![window(WEEKDAYS, 540, 1020)], vec![window([true; 7], 720, 780)], "UTC");
        // 2026-01-05 is a Monday.
        assert_eq!(hours.closed_by(at("2026-01-05T08:59:59Z")), Some(OUTSIDE));
        assert_eq!(hours.closed_by(at("2026-01-05T09:00:00Z")), None);
        assert_eq!(hours.closed_by(at("2026-01-05T12:00:00Z")), Some("720-780"));
        assert_eq!(hours.next_opening(at("2026-01-05T12:00:00Z")), Some(at("2026-01-05T13:00:00Z")));
        assert_eq!(hours.next_opening(at("2026-01-09T17:00:00Z")), Some(at("2026-01-12T09:00:00Z")));
    }

    #[test]
    fn the_tail_after_midnight_belongs_to_the_day_it_began() {
        let night = calendar(
            vec![window([false, false, false, false, true, false, false], 1320, 360)],
            Vec::new(),
            "UTC",
        );
        assert!(night.is_open(at("2026-01-10T05:59:00Z")));
        assert!(!night.is_open(at("2026-01-10T06:00:00Z")));
        assert!(!night.is_open(at("2026-01-09T05:59:00Z")));
        assert_eq!(night.next_opening(at("2026-01-10T06:00:00Z")), Some(at("2026-01-16T22:00:00Z")));
    }

    #[test]
    fn a_window_inside_the_hour_that_summer_time_skips_opens_where_the_clock_goes_on() {
        let gap = calendar(vec![window([true; 7], 150, 240)], Vec::new(), "Europe/Berlin");
        let opening = gap.next_opening(at("2026-03-29T00:00:00Z")).unwrap();
        assert_eq!(gap.iso(opening), "2026-03-29T03:00:00+02:00");
        assert_eq!(gap.zone_name(), "Europe/Berlin");
    }

    #[test]
    fn a_schedule_that_never_opens_has_no_opening() {
        let never = calendar(vec![window(WEEKDAYS, 0, 1440)], vec![window([true; 7], 0, 1440)], "UTC");
        assert_eq!(never.next_opening(at("2026-01-05T00:00:00Z")), None);
    }

    fn windows(count: usize) -> impl Strategy<Value = Vec<Window>> {
        let one = (any::<[bool; 7]>(), 0u16..1440, 1u16..=1440)
            .prop_filter("start and end differ", |(_, start, end)| start != end)
            .prop_map(|(days, start, end)| window(days, start, end));
        prop::collection::vec(one, 0..=count)
    }

    /// Looks at every minute of eight days.
    fn oracle(calendar: &Calendar, at: Timestamp) -> Option<Timestamp> {
        let first = next_minute(at)?.as_second();
        (0..8 * 1440)
            .filter_map(|minute| Timestamp::from_second(first + minute * 60).ok())
            .take_while(|minute| minute.as_second() <= at.as_second() + 8 * 86_400)
            .find(|minute| calendar.is_open(*minute))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn the_next_opening_is_the_one_a_look_at_every_minute_finds(
            run in windows(2),
            pause in windows(3),
            zone in prop::sample::select(vec![
                "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
                "America/Sao_Paulo", "Africa/Casablanca", "Pacific/Apia",
            ]),
            // 2010 to 2037, and with every second case right before a change of the clocks.
            seconds in 1_262_304_000i64..2_114_380_800,
            near_change in any::<bool>(),
        ) {
            let calendar = calendar(run, pause, zone);
            let mut start = Timestamp::from_second(seconds).unwrap();
            if near_change && let Some(change) = calendar.zone.following(start).next() {
                start = change.timestamp().checked_sub(SEVERAL_HOURS).unwrap();
            }
            prop_assert_eq!(calendar.next_opening(start), oracle(&calendar, start));
        }
    }

    const SEVERAL_HOURS: jiff::SignedDuration = jiff::SignedDuration::from_mins(200);
}
