//! Amounts of time as people write them: `90s`, `30m`, `8h`, `2d`. Pure.

/// Reads an amount of time and returns it in seconds; a bare number is seconds.
///
/// # Errors
/// What was expected.
pub fn parse(text: &str) -> Result<u64, String> {
    let expected = || format!("expected a time such as 90s, 30m, 8h or 2d, not {text:?}");
    let (digits, unit) = match text.char_indices().last() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => (text.get(..at).unwrap_or_default(), unit),
        Some(_) => (text, 's'),
        None => return Err(expected()),
    };
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(expected()),
    };
    let number: u64 = digits.parse().map_err(|_| expected())?;
    number
        .checked_mul(factor)
        .filter(|seconds| (1..=10 * 366 * 86_400).contains(seconds))
        .ok_or_else(expected)
}

/// Returns a time span as a person says it.
pub fn words(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        172_800.. => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, words};

    #[test]
    fn a_span_is_said_in_the_unit_that_suits_it() {
        for (seconds, said) in
            [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 d")]
        {
            assert_eq!(words(seconds), said);
        }
    }

    #[test]
    fn a_number_and_a_unit_are_seconds() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("30m", 1800), ("8h", 28_800), ("2d", 172_800)] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
        for wrong in ["", "0", "h", "-1h", "1w", "1.5h", "99999999999d", "1é"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
