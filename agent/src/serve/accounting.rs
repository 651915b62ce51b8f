//! The memory one round used in the control group that bounds it. Pure.

use crate::event::Event;
use crate::host::cgroup::MemoryEvents;
use crate::host::pressure::Psi;

/// Exit codes of a round that the kernel may have killed.
const KILLED: [i64; 2] = [137, -9];

/// One look at the bounding group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// `memory.current` in bytes.
    pub current: u64,
    /// `memory.swap.current` in bytes.
    pub swap: u64,
    /// `memory.events`.
    pub events: MemoryEvents,
}

/// What was seen of a round so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accounting {
    start: MemoryEvents,
    peak: u64,
    swap_peak: u64,
}

/// What the host says at the end of a round.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct End {
    /// The group.
    pub reading: Option<Reading>,
    /// Its path.
    pub path: Option<String>,
    /// Stall times on disks.
    pub io: Option<Psi>,
    /// Stall times on memory.
    pub memory: Option<Psi>,
}

impl Accounting {
    /// Begins with the look at the start of the round.
    pub fn start(reading: Reading) -> Accounting {
        Accounting { start: reading.events, peak: reading.current, swap_peak: reading.swap }
    }

    /// Takes a look in between into account.
    pub fn tick(&mut self, reading: Reading) {
        self.peak = self.peak.max(reading.current);
        self.swap_peak = self.swap_peak.max(reading.swap);
    }

    /// Returns the event of the round; `None` when the look at the end failed.
    pub fn event(&self, round_num: i64, end: &End) -> Option<Event> {
        let delta = self.delta(end)?;
        Some(Event::RoundCgroupMemory {
            round_num,
            memory_current_peak: signed(self.peak),
            memory_swap_current_peak: signed(self.swap_peak),
            events_high_delta: signed(delta.high),
            events_max_delta: signed(delta.max),
            events_oom_delta: signed(delta.oom),
            events_oom_kill_delta: signed(delta.oom_kill),
            bounding_cgroup_path: end.path.clone(),
            io_psi_some_avg10: end.io.map(|psi| psi.some_avg10),
            io_psi_full_avg10: end.io.map(|psi| psi.full_avg10),
            psi_full_total: end.memory.and_then(|psi| psi.full_total_us).map(signed),
        })
    }

    /// Returns how many processes the kernel killed, when that explains the exit code.
    pub fn oom_kills(&self, exit_code: i64, end: &End) -> Option<i64> {
        let kills = self.delta(end)?.oom_kill;
        (kills > 0 && KILLED.contains(&exit_code)).then(|| signed(kills))
    }

    fn delta(&self, end: &End) -> Option<MemoryEvents> {
        end.reading.map(|reading| reading.events.since(self.start))
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(current: u64, oom_kill: u64) -> Reading {
        Reading { current, swap: 1, events: MemoryEvents { oom_kill, ..MemoryEvents::default() } }
    }

    #[test]
    fn peaks_cover_start_and_ticks_and_counts_are_differences() {
        let mut accounting = Accounting::start(reading(10, 3));
        accounting.tick(reading(50, 3));
        accounting.tick(reading(20, 4));
        let end = End { reading: Some(reading(5, 5)), ..End::default() };
        let Some(Event::RoundCgroupMemory { memory_current_peak, events_oom_kill_delta, .. }) =
            accounting.event(1, &end)
        else {
            panic!("no event")
        };
        assert_eq!((memory_current_peak, events_oom_kill_delta), (50, 2));
        for (code, expected) in [(137, Some(2)), (-9, Some(2)), (1, None), (0, None)] {
            assert_eq!(accounting.oom_kills(code, &end), expected);
        }
    }

    #[test]
    fn a_failed_look_at_the_end_tells_nothing() {
        let accounting = Accounting::start(reading(10, 3));
        assert_eq!(accounting.event(1, &End::default()), None);
        assert_eq!(accounting.oom_kills(137, &End::default()), None);
    }
}
