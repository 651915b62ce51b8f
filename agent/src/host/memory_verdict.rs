//! From two looks at memory to a verdict: stall time first, swapping second, what is free third. Pure.

use serde_json::{Map, Value, json};

use super::Sample;
use super::memory::MB;
use crate::config::types::HostHealth;

/// How bad the pressure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth telling.
    Warning,
    /// Worth acting.
    Critical,
}

impl Severity {
    /// Returns the word in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// The rung of the ladder that saw the pressure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Stall time.
    Psi,
    /// Swapping out.
    SwapOutRate,
    /// Little free and little available.
    CombinedLow,
}

impl Signal {
    /// Returns the word in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Psi => "psi",
            Signal::SwapOutRate => "swap_out_rate",
            Signal::CombinedLow => "combined_low",
        }
    }
}

/// The ladder's verdict when something is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Pressure {
    /// How bad it is.
    pub severity: Severity,
    /// Which rung saw it.
    pub signal: Signal,
    /// The figures as a sentence.
    pub message: String,
    /// The figures as event fields.
    pub context: Map<String, Value>,
}

/// Where each rung begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Percent of full stall that is critical.
    pub full_avg10_critical: f64,
    /// Percent of some stall that warns.
    pub some_avg10_warning: f64,
    /// MiB swapped out between two samples that are noise.
    pub swap_out_noise_floor_mb: u64,
    /// MemFree in MB below which memory is low.
    pub free_low_mb: u64,
    /// MemAvailable in MB below which memory is low.
    pub avail_min_mb: u64,
}

impl From<&HostHealth> for Thresholds {
    fn from(health: &HostHealth) -> Thresholds {
        Thresholds {
            full_avg10_critical: health.pressure.full_avg10_critical,
            some_avg10_warning: health.pressure.some_avg10_warning,
            swap_out_noise_floor_mb: health.memory.swap_out_noise_floor_mb,
            free_low_mb: health.memory.free_low_mb,
            avail_min_mb: health.memory.avail_min_mb,
        }
    }
}

#[cfg(test)]
impl Thresholds {
    /// Thresholds for the tests of all who ask for a verdict.
    pub(crate) const EXAMPLE: Thresholds = Thresholds {
        full_avg10_critical: 60.0,
        some_avg10_warning: 5.0,
        swap_out_noise_floor_mb: 32,
        free_low_mb: 16,
        avail_min_mb: 200,
    };
}

/// Judges two samples in a row; `None` is healthy, or a host that gives no usable figure.
pub fn memory_verdict(
    previous: Option<&Sample>,
    current: &Sample,
    thresholds: &Thresholds,
) -> Option<Pressure> {
    if let Some(some) = current.some_avg10 {
        return stalled(some, current.full_avg10.unwrap_or(0.0), thresholds);
    }
    swapping(previous, current, thresholds).or_else(|| low(current, thresholds))
}

fn stalled(some: f64, full: f64, thresholds: &Thresholds) -> Option<Pressure> {
    let (severity, message) = if full >= thresholds.full_avg10_critical {
        let message = format!(
            "memory stalls everything {full:.1}% of the time (critical from {}%)",
            thresholds.full_avg10_critical
        );
        (Severity::Critical, message)
    } else if some >= thresholds.some_avg10_warning {
        let message = format!(
            "memory stalls something {some:.1}% of the time (warning from {}%)",
            thresholds.some_avg10_warning
        );
        (Severity::Warning, message)
    } else {
        return None;
    };
    let context = fields([("psi_some_avg10", json!(some)), ("psi_full_avg10", json!(full))]);
    Some(Pressure { severity, signal: Signal::Psi, message, context })
}

fn swapping(previous: Option<&Sample>, current: &Sample, thresholds: &Thresholds) -> Option<Pressure> {
    let delta = current.swap_out_bytes?.checked_sub(previous?.swap_out_bytes?)?;
    if delta <= thresholds.swap_out_noise_floor_mb.saturating_mul(MB) {
        return None;
    }
    let low = current.mem_free_mb.filter(|&free| free < thresholds.free_low_mb);
    let mut context = fields([("swap_sout_delta", json!(delta))]);
    if let Some(free) = current.mem_free_mb {
        context.insert("mem_free_mb".into(), json!(free));
    }
    let swapped = format!("{} MB swapped out since the last sample", delta / MB);
    let (severity, message) = match low {
        Some(free) => (Severity::Critical, format!("{swapped} with {free} MB free")),
        None => (Severity::Warning, swapped),
    };
    Some(Pressure { severity, signal: Signal::SwapOutRate, message, context })
}

fn low(current: &Sample, thresholds: &Thresholds) -> Option<Pressure> {
    let free = current.mem_free_mb.filter(|&free| free < thresholds.free_low_mb)?;
    let available = current.mem_available_mb.filter(|&available| available < thresholds.avail_min_mb)?;
    Some(Pressure {
        severity: Severity::Warning,
        signal: Signal::CombinedLow,
        message: format!("{free} MB of memory free and {available} MB available"),
        context: fields([("mem_free_mb", json!(free)), ("mem_available_mb", json!(available))]),
    })
}

fn fields<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(previous: Option<Sample>, current: Sample, expected: Option<(Severity, Signal)>) {
        let found = memory_verdict(previous.as_ref(), &current, &Thresholds::EXAMPLE);
        assert_eq!(found.map(|p| (p.severity, p.signal)), expected, "{previous:?} {current:?}");
    }

    fn psi(some: f64, full: f64) -> Sample {
        Sample { some_avg10: Some(some), full_avg10: Some(full), ..Sample::default() }
    }

    fn swap(mb: u64, free: Option<u64>) -> Sample {
        Sample { swap_out_bytes: Some(mb * MB), mem_free_mb: free, ..Sample::default() }
    }

    #[test]
    fn stall_time_decides_alone_where_it_can_be_read() {
        check(None, psi(4.9, 0.0), None);
        check(None, psi(5.0, 59.9), Some((Severity::Warning, Signal::Psi)));
        check(None, psi(99.0, 60.0), Some((Severity::Critical, Signal::Psi)));
        check(None, psi(0.0, 60.0), Some((Severity::Critical, Signal::Psi)));
        let thrashing = Sample { some_avg10: Some(0.0), ..swap(900, Some(1)) };
        check(Some(swap(0, Some(1))), thrashing, None);
    }

    #[test]
    fn swapping_counts_from_sample_to_sample() {
        check(None, swap(900, Some(1)), None);
        check(Some(swap(0, None)), swap(32, Some(1)), None);
        check(Some(swap(0, None)), swap(33, Some(15)), Some((Severity::Critical, Signal::SwapOutRate)));
        check(Some(swap(0, None)), swap(33, Some(16)), Some((Severity::Warning, Signal::SwapOutRate)));
        check(Some(swap(0, None)), swap(33, None), Some((Severity::Warning, Signal::SwapOutRate)));
        check(Some(swap(90, None)), swap(1, None), None);
    }

    #[test]
    fn little_free_only_counts_with_little_available() {
        let sample = |free, available| Sample {
            mem_free_mb: Some(free),
            mem_available_mb: Some(available),
            ..Sample::default()
        };
        check(None, sample(15, 199), Some((Severity::Warning, Signal::CombinedLow)));
        check(None, sample(15, 200), None);
        check(None, sample(16, 10), None);
        check(None, Sample::default(), None);
    }

    #[test]
    fn the_context_holds_the_rungs_own_figures() {
        let found = memory_verdict(Some(&swap(0, None)), &swap(40, Some(3)), &Thresholds::EXAMPLE).unwrap();
        let names: Vec<_> = found.context.keys().map(String::as_str).collect();
        assert_eq!(names.len(), 2);
        assert!(names.contains(&"swap_sout_delta") && names.contains(&"mem_free_mb"));
    }
}
