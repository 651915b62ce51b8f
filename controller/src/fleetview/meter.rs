//! How much one host may say: a bucket of lines that refills. Pure.

use std::time::Duration;

/// Lines a second a host may send for as long as it likes: a hundred times what a busy agent writes.
const RATE: f64 = 2000.0;
/// Lines it may send at once: a night's backlog after a reconnect.
const BURST: f64 = 20_000.0;

/// One stream's allowance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meter {
    left: f64,
    at: Duration,
}

impl Meter {
    /// Returns a full bucket.
    pub fn new(now: Duration) -> Meter {
        Meter { left: BURST, at: now }
    }

    /// Takes a line and returns how long to wait before reading the next one; none while there is something left.
    pub fn take(&mut self, now: Duration) -> Option<Duration> {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = now.max(self.at);
        self.left = (self.left + passed * RATE).min(BURST) - 1.0;
        (self.left < 0.0).then(|| Duration::from_secs_f64((1.0 - self.left) / RATE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_goes_through_and_a_flood_is_slowed_to_the_rate() {
        let mut meter = Meter::new(Duration::ZERO);
        let mut now = Duration::ZERO;
        let (mut lines, mut waited) = (0, false);
        while now < Duration::from_secs(60) {
            lines += 1;
            if let Some(wait) = meter.take(now) {
                waited = true;
                now += wait;
            } else if waited {
                // A flooding host always has the next line ready.
                now += Duration::from_nanos(1);
            }
        }
        let most = BURST + 61.0 * RATE;
        assert!(f64::from(lines) <= most && f64::from(lines) > most * 0.5, "{lines}");
    }
}
