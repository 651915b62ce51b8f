//! Spans of time as people write them: `90s`, `30m`, `2h`, `7d`. Pure.

/// Reads a span as seconds; a bare number is seconds.
///
/// # Errors
/// When it is no number with one of the units, or more than ten years.
pub fn seconds(text: &str) -> Result<u64, String> {
    let expected = || format!("{text:?} is no span of time: write 90s, 30m, 2h or 7d");
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => (text.get(..at).unwrap_or_default(), unit),
        Some(_) | None => (text, 's'),
    };
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    number.checked_mul(factor).filter(|&all| (1..=3650 * 86_400).contains(&all)).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, expected) in [("90", 90), ("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604_800)] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in ["", "h", "0s", "2 h", "-1h", "2w", "1.5h", "99999999d", "2\u{fc}"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
