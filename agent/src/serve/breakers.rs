//! After a round: the verdict, the streaks behind it, and the delay before the next round. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Exit;
use crate::event::Event;

/// Equal misfortunes in a row that end the Loop.
pub const STREAK_MAX: u32 = 5;

/// `mem_loop` episodes in the window that are final.
const EPISODES_MAX: u32 = 3;

/// A failed round shorter than this is a short crash.
const SHORT_CRASH: Duration = Duration::from_secs(60);

/// A successful round shorter than this is suspicious when nothing was used.
const SHORT_SUCCESS: Duration = Duration::from_secs(30);

/// The longest delay after short crashes.
const DELAY_MAX: Duration = Duration::from_secs(1800);

/// Refused logins in a row after which the Loop waits for whoever watches it.
const REFUSED_MAX: u32 = 3;

/// The least delay from then on: twice the monitor's time between two polls, so that a monitor stops the Loop before
/// it has spent another round.
pub const REFUSED_DELAY: Duration = Duration::from_secs(60);

/// The round child's exit code for a broken configuration.
const CONFIG: i64 = 78;

/// The round child's exit code for an environment that heals by itself.
const ENVIRONMENT: i64 = 76;

/// Misfortunes in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Streaks {
    /// Rounds ended for memory.
    pub memory: u32,
    /// Short crashes.
    pub crash: u32,
    /// Fast successes without any use.
    pub stalled: u32,
    /// Refused logins, whatever the exit code. A program from before this was counted hands none over.
    #[serde(default)]
    pub refused: u32,
}

/// A finished round, as the breakers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// The round child's exit code.
    pub exit_code: i64,
    /// The wall time serve saw.
    pub duration: Duration,
    /// Whether it was ended for memory.
    pub mem_terminated: bool,
    /// Whether its agent is throttled.
    pub throttled: bool,
    /// Whether it reported a refused login.
    pub refused: bool,
    /// Whether its agent is known to report usage.
    pub reports_usage: bool,
    /// Whether usage was reported since it began.
    pub used: bool,
    /// `mem_loop` events within the window before now.
    pub earlier_mem_loops: u32,
}

/// Why the Loop gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// The configuration cannot work.
    ConfigBroken,
    /// Memory ended five rounds in a row; systemd may try again.
    MemLoop,
    /// The third `mem_loop` within two hours.
    MemLoopPersistent,
    /// Five short crashes in a row.
    CrashLoop,
    /// Five fast rounds in a row without any use.
    StalledNoProgress,
}

impl GiveUp {
    /// Returns what the process ends with.
    pub fn exit(self) -> Exit {
        match self {
            GiveUp::ConfigBroken => Exit::Config,
            GiveUp::MemLoop => Exit::MemLoop,
            GiveUp::MemLoopPersistent => Exit::MemLoopPersistent,
            GiveUp::CrashLoop | GiveUp::StalledNoProgress => Exit::GaveUp,
        }
    }
}

/// The verdict over one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The next round starts after this delay.
    GoOn(Duration),
    /// The Loop ends.
    GiveUp {
        /// Why.
        why: GiveUp,
        /// How many in a row; episodes in the window for [`GiveUp::MemLoopPersistent`].
        consecutive: u32,
    },
}

/// Judges a round: the new streaks, and the verdict.
pub fn judge(streaks: Streaks, round: &Finished, restart_delay: Duration) -> (Streaks, Verdict) {
    let excused = round.throttled || round.mem_terminated || round.exit_code == ENVIRONMENT;
    let crashed = round.exit_code != 0 && round.duration < SHORT_CRASH && !excused;
    let stalled = round.exit_code == 0
        && round.duration < SHORT_SUCCESS
        && !excused
        && round.reports_usage
        && !round.used;
    let grown = |streak: u32, grows: bool| if grows { streak.saturating_add(1) } else { 0 };
    let streaks = Streaks {
        memory: grown(streaks.memory, round.mem_terminated),
        crash: grown(streaks.crash, crashed),
        stalled: grown(streaks.stalled, stalled),
        refused: grown(streaks.refused, round.refused),
    };
    let verdict = match give_up(&streaks, round) {
        Some((why, consecutive)) => Verdict::GiveUp { why, consecutive },
        None => Verdict::GoOn(delay(&streaks, round, restart_delay)),
    };
    (streaks, verdict)
}

fn give_up(streaks: &Streaks, round: &Finished) -> Option<(GiveUp, u32)> {
    if round.exit_code == CONFIG {
        return Some((GiveUp::ConfigBroken, 1));
    }
    if streaks.memory >= STREAK_MAX {
        let episodes = round.earlier_mem_loops.saturating_add(1);
        return Some(if episodes >= EPISODES_MAX {
            (GiveUp::MemLoopPersistent, episodes)
        } else {
            (GiveUp::MemLoop, streaks.memory)
        });
    }
    if streaks.crash >= STREAK_MAX {
        return Some((GiveUp::CrashLoop, streaks.crash));
    }
    (streaks.stalled >= STREAK_MAX).then_some((GiveUp::StalledNoProgress, streaks.stalled))
}

fn delay(streaks: &Streaks, round: &Finished, restart_delay: Duration) -> Duration {
    let delay = match (round.exit_code, streaks.crash) {
        (0, _) => restart_delay,
        (_, 0) => restart_delay.saturating_mul(2),
        (_, crashes) => restart_delay.saturating_mul(2u32.saturating_pow(crashes)).min(DELAY_MAX),
    };
    if streaks.refused >= REFUSED_MAX { delay.max(REFUSED_DELAY) } else { delay }
}

/// Returns the event of giving up; `reason` is the masked end of the round child's log.
pub fn event(why: GiveUp, consecutive: u32, exit_code: i64, reason: String) -> Event {
    let consecutive = i64::from(consecutive);
    match why {
        GiveUp::ConfigBroken => Event::ConfigBroken { reason },
        GiveUp::MemLoop => Event::MemLoop { consecutive, exit_code, reason },
        GiveUp::MemLoopPersistent => Event::MemLoopPersistent { consecutive, exit_code, reason },
        GiveUp::CrashLoop => Event::CrashLoop { consecutive, exit_code, reason },
        GiveUp::StalledNoProgress => Event::StalledNoProgress { consecutive, exit_code, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DELAY: Duration = Duration::from_secs(3);

    const CLEAN: Finished = Finished {
        exit_code: 0,
        duration: Duration::from_secs(600),
        mem_terminated: false,
        throttled: false,
        refused: false,
        reports_usage: true,
        used: true,
        earlier_mem_loops: 0,
    };
    const CRASH: Finished = Finished { exit_code: 1, duration: Duration::from_secs(59), ..CLEAN };
    const MEMORY: Finished = Finished { exit_code: 130, mem_terminated: true, ..CRASH };
    const STALL: Finished = Finished { duration: Duration::from_secs(29), used: false, ..CLEAN };

    /// Runs rounds in a row and returns the last verdict; every earlier one must go on.
    fn last(rounds: &[Finished]) -> Verdict {
        let mut streaks = Streaks::default();
        let mut verdict = Verdict::GoOn(DELAY);
        for round in rounds {
            assert!(matches!(verdict, Verdict::GoOn(_)), "{rounds:?}");
            (streaks, verdict) = judge(streaks, round, DELAY);
        }
        verdict
    }

    fn gives_up(rounds: &[Finished], why: GiveUp, consecutive: u32) {
        assert_eq!(last(rounds), Verdict::GiveUp { why, consecutive });
    }

    fn goes_on(rounds: &[Finished], delay_s: u64) {
        assert_eq!(last(rounds), Verdict::GoOn(Duration::from_secs(delay_s)), "{rounds:?}");
    }

    #[test]
    fn short_crashes_double_the_delay_and_the_fifth_gives_up() {
        for (count, delay_s) in [(1, 6), (2, 12), (3, 24), (4, 48)] {
            goes_on(&vec![CRASH; count], delay_s);
        }
        gives_up(&[CRASH; 5], GiveUp::CrashLoop, 5);
        goes_on(&[CRASH, CRASH, CRASH, CRASH, CLEAN, CRASH], 6);
    }

    #[test]
    fn a_long_or_excused_failure_resets_the_crashes_and_doubles_the_delay_once() {
        let long = Finished { duration: Duration::from_secs(60), ..CRASH };
        let throttled = Finished { throttled: true, ..CRASH };
        let environment = Finished { exit_code: 76, ..CRASH };
        for excused in [long, throttled, environment, MEMORY] {
            goes_on(&[CRASH, CRASH, CRASH, CRASH, excused], 6);
            goes_on(&[CRASH, CRASH, CRASH, CRASH, excused, CRASH], 6);
        }
    }

    #[test]
    fn a_broken_configuration_gives_up_at_once_and_before_everything_else() {
        gives_up(&[Finished { exit_code: 78, ..CLEAN }], GiveUp::ConfigBroken, 1);
        let both = Finished { exit_code: 78, ..MEMORY };
        gives_up(&[MEMORY, MEMORY, MEMORY, MEMORY, both], GiveUp::ConfigBroken, 1);
    }

    #[test]
    fn memory_gives_up_restartably_and_the_third_episode_for_good() {
        gives_up(&[MEMORY; 5], GiveUp::MemLoop, 5);
        let second = Finished { earlier_mem_loops: 1, ..MEMORY };
        gives_up(&[second; 5], GiveUp::MemLoop, 5);
        let third = Finished { earlier_mem_loops: 2, ..MEMORY };
        gives_up(&[third; 5], GiveUp::MemLoopPersistent, 3);
        goes_on(&[MEMORY, MEMORY, MEMORY, MEMORY, CLEAN], 3);
    }

    #[test]
    fn fast_successes_without_use_give_up_only_for_agents_that_report_use() {
        gives_up(&[STALL; 5], GiveUp::StalledNoProgress, 5);
        for innocent in [
            Finished { reports_usage: false, ..STALL },
            Finished { used: true, ..STALL },
            Finished { throttled: true, ..STALL },
            Finished { duration: Duration::from_secs(30), ..STALL },
        ] {
            goes_on(&[innocent; 9], 3);
            goes_on(&[STALL, STALL, STALL, STALL, innocent, STALL], 3);
        }
    }

    #[test]
    fn from_the_third_refused_login_in_a_row_on_the_loop_waits_whatever_the_exit_code() {
        let told = Finished { refused: true, ..CLEAN };
        let failed = Finished { refused: true, ..CRASH };
        goes_on(&[told; 2], 3);
        for rounds in 3..9 {
            goes_on(&vec![told; rounds], 60);
        }
        goes_on(&[told, told, CLEAN, told, told], 3);
        goes_on(&[failed; 2], 12);
        goes_on(&[failed, told, failed], 60);
        gives_up(&[failed; 5], GiveUp::CrashLoop, 5);
        let long = Duration::from_secs(100);
        let streaks = Streaks { refused: 2, ..Streaks::default() };
        assert_eq!(judge(streaks, &told, long).1, Verdict::GoOn(long));
    }

    #[test]
    fn every_reason_has_its_own_exit_code() {
        let codes: Vec<_> = [
            GiveUp::ConfigBroken,
            GiveUp::MemLoop,
            GiveUp::MemLoopPersistent,
            GiveUp::CrashLoop,
            GiveUp::StalledNoProgress,
        ]
        .iter()
        .map(|why| why.exit().code())
        .collect();
        assert_eq!(codes, [78, 71, 70, 75, 75]);
    }

    fn finished() -> impl Strategy<Value = Finished> {
        let code = prop_oneof![Just(0i64), Just(1), Just(76), Just(130), Just(137), any::<i64>()];
        (code, 0u64..120, any::<[bool; 5]>(), 0u32..4).prop_map(|(exit_code, seconds, flags, earlier)| {
            Finished {
                exit_code,
                duration: Duration::from_secs(seconds),
                mem_terminated: flags[0],
                throttled: flags[1],
                reports_usage: flags[2],
                used: flags[3],
                refused: flags[4],
                earlier_mem_loops: earlier,
            }
        })
    }

    proptest! {
        #[test]
        fn a_delay_is_never_shorter_than_asked_and_at_most_one_crash_streak_grows(
            rounds in prop::collection::vec(finished(), 1..30), delay_s in 1u64..5000,
        ) {
            let asked = Duration::from_secs(delay_s);
            let mut streaks = Streaks::default();
            for round in &rounds {
                let (next, verdict) = judge(streaks, round, asked);
                let growing = [next.memory, next.crash, next.stalled].iter().filter(|&&s| s > 0).count();
                prop_assert!(growing <= 1, "{next:?}");
                match verdict {
                    Verdict::GoOn(delay) => {
                        prop_assert!(delay >= asked.min(DELAY_MAX));
                        prop_assert!(delay <= asked.saturating_mul(2).max(DELAY_MAX));
                    }
                    Verdict::GiveUp { why, consecutive } => {
                        prop_assert!(consecutive >= 1);
                        prop_assert!(why == GiveUp::ConfigBroken || growing == 1);
                    }
                }
                streaks = next;
            }
        }
    }
}
