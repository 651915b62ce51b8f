//! A window of the week: `[DAYS ]HH:MM-HH:MM`.

use std::str::FromStr;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Minutes of a day.
const DAY: u16 = 1440;

/// A window of the week; the tail after midnight belongs to the day it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The text it was read from.
    pub text: String,
    /// Days on which it starts, Monday first.
    pub days: [bool; 7],
    /// First minute of the day, 0 to 1439.
    pub start_min: u16,
    /// The minute behind the last one, 1 to 1440; not after `start_min` when it wraps over midnight.
    pub end_min: u16,
}

/// Why a text is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{window}\" is no window: {reason}")]
pub struct WindowError {
    /// The text.
    pub window: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Window {
    /// Reads `[DAYS ]HH:MM-HH:MM`; without days it starts every day.
    ///
    /// # Errors
    /// Any other shape, an hour above 23, a minute above 59, a range of days that does not ascend, and a window
    /// whose start is its end. `24:00` is an end only.
    pub fn parse(text: &str) -> Result<Window, WindowError> {
        let fail = |reason| WindowError { window: text.to_owned(), reason };
        let (days, span) = match text.split_once(' ') {
            Some((days, span)) => (parse_days(days).map_err(fail)?, span),
            None => ([true; 7], text),
        };
        let (start, end) = span.split_once('-').ok_or_else(|| fail("wanted [DAYS ]HH:MM-HH:MM"))?;
        let start_min = parse_clock(start).map_err(fail)?;
        let end_min = parse_clock(end).map_err(fail)?;
        if start_min == DAY {
            return Err(fail("24:00 can only be the end"));
        }
        // 24:00 and 00:00 are the same end, one minute behind 23:59.
        let end_min = if end_min == 0 && start_min != 0 { DAY } else { end_min };
        if start_min == end_min {
            return Err(fail("the start is the end"));
        }
        Ok(Window { text: text.to_owned(), days, start_min, end_min })
    }

    /// Returns whether a minute of the week lies inside, `weekday` 0 being Monday and `minute` 0 to 1439.
    pub fn contains(&self, weekday: usize, minute: u16) -> bool {
        let starts = |day: usize| self.days.get(day % 7).copied().unwrap_or(false);
        if self.start_min < self.end_min {
            return starts(weekday) && (self.start_min..self.end_min).contains(&minute);
        }
        (starts(weekday) && minute >= self.start_min) || (starts(weekday + 6) && minute < self.end_min)
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Window, WindowError> {
        Window::parse(text)
    }
}

fn parse_clock(text: &str) -> Result<u16, &'static str> {
    let digits = |text: &str| {
        let two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        two.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = text.split_once(':').ok_or("wanted [DAYS ]HH:MM-HH:MM")?;
    match (digits(hour), digits(minute)) {
        (Some(24), Some(0)) => Ok(DAY),
        (Some(hour), Some(minute)) if hour < 24 && minute < 60 => Ok(hour * 60 + minute),
        (Some(_), Some(_)) => Err("hours go to 23 and minutes to 59"),
        (_, _) => Err("hours and minutes have two digits"),
    }
}

fn parse_days(text: &str) -> Result<[bool; 7], &'static str> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (parse_day(first)?, parse_day(last)?),
            None => (parse_day(part)?, parse_day(part)?),
        };
        if first > last {
            return Err("a range of days must ascend from Mon to Sun");
        }
        days.iter_mut().take(last + 1).skip(first).for_each(|day| *day = true);
    }
    Ok(days)
}

fn parse_day(text: &str) -> Result<usize, &'static str> {
    let name = text.to_ascii_lowercase();
    DAYS.iter().position(|day| *day == name).ok_or("days are Mon, Tue, Wed, Thu, Fri, Sat, Sun")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_days_and_minutes() {
        let check = |text: &str, days: &str, start: u16, end: u16| {
            let window = Window::parse(text).unwrap();
            let marks: String = window.days.iter().map(|day| if *day { 'x' } else { '.' }).collect();
            assert_eq!((marks.as_str(), window.start_min, window.end_min), (days, start, end), "{text}");
        };
        check("09:00-17:30", "xxxxxxx", 540, 1050);
        check("Mon-Fri 22:00-06:00", "xxxxx..", 1320, 360);
        check("sat,SUN 00:00-24:00", ".....xx", 0, 1440);
        check("Mon,Wed-Fri 00:01-00:00", "x.xxx..", 1, 1440);
    }

    #[test]
    fn refuses_every_other_shape_and_quotes_it() {
        for text in [
            "",
            "09:00",
            "9:00-17:00",
            "09:00-17:0",
            "24:00-01:00",
            "09:00-24:01",
            "23:60-01:00",
            "25:00-26:00",
            "09:00-09:00",
            "00:00-00:00",
            "Sat-Mon 09:00-10:00",
            "Mon, Tue 09:00-10:00",
            "Foo 09:00-10:00",
            " 09:00-10:00",
            "Mon  09:00-10:00",
            "09:00-10:00 ",
            "+9:00-10:00",
            "Mon-Fri",
            ",Mon 09:00-10:00",
        ] {
            let error = Window::parse(text).unwrap_err();
            assert!(error.to_string().contains(&format!("\"{text}\"")), "{error}");
        }
    }

    #[test]
    fn the_tail_after_midnight_belongs_to_the_day_it_started() {
        let window = Window::parse("Sun 22:00-06:00").unwrap();
        assert!(window.contains(6, 1320) && window.contains(6, 1439));
        assert!(window.contains(0, 0) && window.contains(0, 359));
        assert!(!window.contains(0, 360) && !window.contains(6, 0) && !window.contains(1, 0));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(days in any::<[bool; 7]>(), start in 0u16..1440, length in 1u16..1440) {
            prop_assume!(days.contains(&true));
            let end = (start + length) % 1440;
            let names: Vec<_> =
                days.iter().zip(DAYS).filter(|(on, _)| **on).map(|(_, name)| name.to_owned()).collect();
            let text = format!(
                "{} {:02}:{:02}-{:02}:{:02}", names.join(","), start / 60, start % 60, end / 60, end % 60
            );
            let window = Window::parse(&text).unwrap();
            prop_assert_eq!(window.days, days);
            let inside: usize =
                (0..7).map(|day| (0..1440).filter(|minute| window.contains(day, *minute)).count()).sum();
            let expected = days.iter().filter(|day| **day).count() * usize::from(length);
            prop_assert_eq!(inside, expected);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,30}") {
            let _ = Window::parse(&text);
        }
    }
}
