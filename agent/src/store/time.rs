//! Timestamps as the event log writes them: UTC, three fractional digits, `Z`.

use jiff::Timestamp;

/// Returns the 24 characters of an event's `ts`.
pub fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Returns the stamp in a round log's name, `YYYYMMDDTHHMMSS` in UTC.
pub fn file_stamp(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%S").to_string()
}

/// Returns the month in an event file's name, `YYYY-MM` in UTC.
pub fn month(at: Timestamp) -> String {
    at.strftime("%Y-%m").to_string()
}

/// Reads an ISO-8601 instant; one without an offset is UTC.
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_have_three_digits_and_read_back() {
        let at: Timestamp = "2026-03-01T05:06:07.0089Z".parse().unwrap();
        assert_eq!(stamp(at), "2026-03-01T05:06:07.008Z");
        assert_eq!(file_stamp(at), "20260301T050607");
        assert_eq!(month(at), "2026-03");
        assert_eq!(parse("2026-03-01T05:06:07.008Z").map(stamp).as_deref(), Some("2026-03-01T05:06:07.008Z"));
        assert_eq!(parse("2026-03-01T05:06:07").map(stamp).as_deref(), Some("2026-03-01T05:06:07.000Z"));
        assert_eq!(parse("yesterday"), None);
    }
}
