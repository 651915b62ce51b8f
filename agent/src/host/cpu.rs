//! How busy the processors were between two readings.

use super::Root;

/// Clock ticks since boot, over all processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticks {
    /// Spent on anything.
    pub total: u64,
    /// Spent idle or waiting for a disk.
    pub idle: u64,
}

impl Ticks {
    /// Returns the busy share since `earlier` in percent; `None` when no tick has passed.
    pub fn busy_pct_since(self, earlier: Ticks) -> Option<f64> {
        let total = self.total.checked_sub(earlier.total).filter(|&ticks| ticks > 0)?;
        let idle = self.idle.saturating_sub(earlier.idle).min(total);
        Some((total - idle) as f64 * 100.0 / total as f64)
    }
}

/// Reads the sum line of `/proc/stat`; `None` where there is none.
pub fn read(root: &Root) -> Option<Ticks> {
    parse(&root.read("/proc/stat").ok()?)
}

fn parse(text: &str) -> Option<Ticks> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; guest time is part of user time already.
    let ticks: Vec<u64> = line.split_ascii_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
    let idle = ticks.get(3)? + ticks.get(4).unwrap_or(&0);
    Some(Ticks { total: ticks.iter().sum(), idle })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_what_is_not_idle_between_two_readings() {
        let first = parse("cpu  10 0 10 70 10 0 0 0 5 0\ncpu0 1 1 1 1\n").unwrap();
        assert_eq!(first, Ticks { total: 100, idle: 80 });
        let second = Ticks { total: 200, idle: 130 };
        assert_eq!(second.busy_pct_since(first), Some(50.0));
        assert_eq!(first.busy_pct_since(first), None);
        assert_eq!(parse("intr 1\n"), None);
        assert!(read(&Root::default()).is_some());
    }
}
