//! A number of hosts, given as a count or as a share of them.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// `N` or `N%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many hosts.
    Count(u32),
    /// So many of a hundred hosts, 0 to 100.
    Percent(u8),
}

/// Why a text is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// Neither `N` nor `N%`.
    #[error("expected a number of hosts, as in \"3\", or a share of them, as in \"10%\"")]
    Form,
    /// More than everything.
    #[error("a share is at most 100%")]
    TooMuch,
}

impl Share {
    /// The number of hosts out of `total`, a fraction rounded down: for limits.
    pub fn floor_of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => total.saturating_mul(percent.into()) / 100,
        }
    }

    /// The number of hosts out of `total`, a fraction rounded up: for batches.
    pub fn ceil_of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => total.saturating_mul(percent.into()).div_ceil(100),
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        matches!(self, Self::Count(0) | Self::Percent(0))
    }
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let digits = text.strip_suffix('%').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ShareError::Form);
        }
        if digits.len() == text.len() {
            return digits.parse().map(Self::Count).map_err(|_| ShareError::Form);
        }
        match digits.parse::<u8>() {
            Ok(percent) if percent <= 100 => Ok(Self::Percent(percent)),
            Ok(_) | Err(_) => Err(ShareError::TooMuch),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_percentages_are_read_and_written() {
        for text in ["0", "1", "4000", "0%", "10%", "100%"] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
        }
        for (text, error) in [
            ("", ShareError::Form),
            ("%", ShareError::Form),
            ("-1", ShareError::Form),
            ("1.5%", ShareError::Form),
            ("ten", ShareError::Form),
            ("99999999999", ShareError::Form),
            ("101%", ShareError::TooMuch),
            ("999%", ShareError::TooMuch),
        ] {
            assert_eq!(text.parse::<Share>(), Err(error), "{text}");
        }
    }

    #[test]
    fn limits_round_down_and_batches_round_up() {
        assert_eq!(Share::Percent(10).floor_of(19), 1);
        assert_eq!(Share::Percent(10).ceil_of(19), 2);
        assert_eq!(Share::Percent(100).floor_of(7), 7);
        assert_eq!(Share::Count(3).floor_of(100), 3);
    }
}
