//! Pressure stall information: the share of time tasks waited for memory or disk.

use super::Root;

/// One resource's pressure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Psi {
    /// Percent of the last ten seconds in which some task waited.
    pub some_avg10: f64,
    /// Percent of the last ten seconds in which every task waited; 0 when the kernel does not tell.
    pub full_avg10: f64,
    /// Microseconds since boot in which every task waited.
    pub full_total_us: Option<u64>,
}

/// Reads the pressure on memory; `None` when the kernel keeps no such information.
pub fn read_memory(root: &Root) -> Option<Psi> {
    parse(&root.read("/proc/pressure/memory").ok()?)
}

/// Reads the pressure on disks; `None` when the kernel keeps no such information.
pub fn read_io(root: &Root) -> Option<Psi> {
    parse(&root.read("/proc/pressure/io").ok()?)
}

fn parse(text: &str) -> Option<Psi> {
    let some_avg10 = field(text, "some", "avg10")?.parse().ok()?;
    let full_avg10 = field(text, "full", "avg10").and_then(|word| word.parse().ok()).unwrap_or(0.0);
    let full_total_us = field(text, "full", "total").and_then(|word| word.parse().ok());
    Some(Psi { some_avg10, full_avg10, full_total_us })
}

fn field<'a>(text: &'a str, line: &str, name: &str) -> Option<&'a str> {
    let words = text.lines().find_map(|candidate| candidate.strip_prefix(line))?;
    words.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_lines_and_does_without_the_second() {
        let text = "some avg10=1.50 avg60=0.10 avg300=0.00 total=900\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=42\n";
        assert_eq!(parse(text), Some(Psi { some_avg10: 1.5, full_avg10: 0.25, full_total_us: Some(42) }));
        assert_eq!(
            parse("some avg10=1.50 avg60=0 avg300=0 total=9\n"),
            Some(Psi { some_avg10: 1.5, full_avg10: 0.0, full_total_us: None })
        );
        assert_eq!(parse("full avg10=1.50 avg60=0 avg300=0 total=9\n"), None);
        assert_eq!(parse(""), None);
        assert_eq!(read_memory(&Root::at("/nonexistent")), None);
    }
}
