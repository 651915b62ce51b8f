//! The load average.

use super::Root;

/// Runnable and blocked tasks, averaged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Over one minute.
    pub one: f64,
    /// Over five minutes.
    pub five: f64,
    /// Over fifteen minutes.
    pub fifteen: f64,
}

/// Reads `/proc/loadavg`; `None` where there is none.
pub fn read(root: &Root) -> Option<Load> {
    parse(&root.read("/proc/loadavg").ok()?)
}

fn parse(text: &str) -> Option<Load> {
    let mut numbers = text.split_ascii_whitespace().map(|word| word.parse::<f64>().ok());
    Some(Load { one: numbers.next()??, five: numbers.next()??, fifteen: numbers.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_averages() {
        assert_eq!(parse("0.52 1.25 2.00 1/345 6789\n"), Some(Load { one: 0.52, five: 1.25, fifteen: 2.0 }));
        assert_eq!(parse("0.52 x"), None);
        assert!(read(&Root::default()).is_some());
    }
}
