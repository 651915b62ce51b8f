//! What the control group's limits mean for the Loop: whether the kernel can be relied on, and what to advise. Pure.

use crate::event::Event;
use crate::host::cgroup::Limits;

/// Swap below this share of the host's is little, in percent.
const SWAP_SHARE_LOW_PCT: f64 = 25.0;

/// The facts, as they were when the Loop started.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// The path of our own group; `None` without the unified hierarchy.
    pub leaf: Option<String>,
    /// The limits that hold.
    pub effective: Limits,
    /// The limits set on our own group.
    pub own: Limits,
    /// Memory of the host in bytes.
    pub ram: u64,
    /// Swap of the host in bytes.
    pub swap: u64,
    /// Whether our own group is ours to steer; `None` when unknown.
    pub delegated: Option<bool>,
    /// Whether the kernel keeps stall times.
    pub psi: Psi,
    /// Whether the configuration wants the soft brake.
    pub brake: Brake,
}

/// Whether stall times can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Psi {
    /// Yes.
    Readable,
    /// No.
    #[default]
    Missing,
}

/// Whether the soft brake is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Brake {
    /// Yes.
    On,
    /// No.
    #[default]
    Off,
}

impl Facts {
    /// Returns whether memory pressure may be left to the kernel: memory and swap are both bounded, end to end.
    pub fn defer(&self) -> bool {
        self.effective.max.is_some_and(|max| max < self.ram)
            && self.effective.swap_max.is_some_and(|swap_max| swap_max <= self.swap)
    }

    /// Returns whether the soft brake may be pulled.
    pub fn brake_armed(&self) -> bool {
        self.brake == Brake::On && self.delegated == Some(true)
    }

    /// Returns the event that tells them, once per Loop.
    pub fn event(&self) -> Event {
        Event::HostCgroupMemoryLimit {
            memory_max: signed(self.effective.max),
            memory_swap_max: signed(self.effective.swap_max),
            cgroup_path: self.leaf.clone(),
            defer: self.defer(),
            swap_total_bytes: i64::try_from(self.swap).unwrap_or(i64::MAX),
            swap_cap_pct: self.swap_share_pct(),
            memory_high: signed(self.effective.high),
            advisory: self.advisory(),
            cgroup_delegated: self.delegated,
        }
    }

    /// Returns what the operator should know; the parts are joined by "; ".
    pub fn advisory(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(share) = self.swap_share_pct().filter(|share| *share < SWAP_SHARE_LOW_PCT) {
            parts.push(format!(
                "memory.swap.max allows {share:.0}% of the host's swap, so a full group is killed early"
            ));
        }
        if self.own.max.is_some() && self.own.high.is_none() {
            let caveat = match (self.defer(), self.psi) {
                (false, Psi::Readable) => {
                    ", and the host's pressure figures do not show the group's own limit"
                }
                (true, Psi::Readable | Psi::Missing) | (false, Psi::Missing) => "",
            };
            parts.push(format!(
                "memory.max is set without memory.high, so there is no slowing down before a kill{caveat}"
            ));
        }
        let bounded = self.effective.max.is_some() || self.effective.high.is_some();
        match (self.brake, self.delegated) {
            (Brake::On, Some(false) | None) => {
                parts.push(
                    "the soft brake is on but the group is not confirmed as delegated, so it stays off"
                        .into(),
                );
            }
            (Brake::Off, Some(false)) if bounded => {
                parts
                    .push("the group has limits but is not delegated, so nothing here can steer them".into());
            }
            (Brake::On, Some(true)) | (Brake::Off, Some(_) | None) => {}
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    fn swap_share_pct(&self) -> Option<f64> {
        let swap_max = self.effective.swap_max?;
        (self.swap > 0).then(|| swap_max as f64 * 100.0 / self.swap as f64)
    }
}

fn signed(bytes: Option<u64>) -> Option<i64> {
    bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(max: Option<u64>, swap_max: Option<u64>) -> Facts {
        let effective = Limits { max, swap_max, high: None };
        Facts { effective, ram: 1000, swap: 400, ..Facts::default() }
    }

    #[test]
    fn pressure_is_left_to_the_kernel_only_when_memory_and_swap_are_bounded() {
        for (max, swap_max, expected) in [
            (None, None, false),
            (Some(999), None, false),
            (Some(999), Some(0), true),
            (Some(999), Some(400), true),
            (Some(999), Some(401), false),
            (Some(1000), Some(0), false),
            (None, Some(0), false),
        ] {
            assert_eq!(facts(max, swap_max).defer(), expected, "{max:?} {swap_max:?}");
        }
    }

    #[test]
    fn the_advice_names_what_is_half_done() {
        assert_eq!(facts(None, None).advisory(), None);
        let little = facts(Some(500), Some(99)).advisory().unwrap();
        assert!(little.starts_with("memory.swap.max allows 25%"), "{little}");
        assert_eq!(facts(Some(500), Some(100)).advisory(), None);
        let both = Facts {
            own: Limits { max: Some(500), ..Limits::default() },
            brake: Brake::On,
            psi: Psi::Readable,
            ..facts(Some(500), None)
        };
        let text = both.advisory().unwrap();
        assert_eq!(text.matches("; ").count(), 1, "{text}");
        assert!(text.contains("do not show the group's own limit"), "{text}");
        let undelegated = Facts { delegated: Some(false), ..facts(Some(500), Some(400)) };
        assert!(undelegated.advisory().unwrap().contains("not delegated"));
    }

    #[test]
    fn the_brake_needs_the_switch_and_the_delegation() {
        let armed = Facts { brake: Brake::On, delegated: Some(true), ..Facts::default() };
        assert!(armed.brake_armed());
        assert!(!Facts { brake: Brake::Off, ..armed.clone() }.brake_armed());
        assert!(!Facts { delegated: None, ..armed }.brake_armed());
    }
}
