//! `/proc/PID/stat`, the part of it that supervision needs.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What the kernel keeps of a name, in bytes.
const NAME_MAX: usize = 15;

/// One process as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Process id.
    pub pid: i32,
    /// The kernel's name for it, at most 15 bytes, bad UTF-8 replaced.
    pub name: String,
    /// `R`, `S`, `D`, `T`, `Z` and so on.
    pub state: char,
    /// Parent.
    pub ppid: i32,
    /// Process group.
    pub pgid: i32,
    /// Session.
    pub session: i32,
    /// Start, in clock ticks since boot.
    pub start_ticks: u64,
    /// Resident memory in pages.
    pub rss_pages: u64,
}

impl Stat {
    /// Reads a process; `None` when it does not exist.
    pub fn read(pid: i32) -> Option<Stat> {
        // The main thread says all of this of its process. An emulator answers `/proc/PID/stat` in the kernel's place to
        // the process that it runs, and then every exec is a new start.
        Stat::parse(&fs::read(format!("/proc/{pid}/task/{pid}/stat")).ok()?)
    }

    /// Parses the file's content. The name may hold anything, parentheses and newlines included, so fields are
    /// counted from the last parenthesis.
    pub fn parse(content: &[u8]) -> Option<Stat> {
        let open = content.iter().position(|&byte| byte == b'(')?;
        let close = content.iter().rposition(|&byte| byte == b')')?;
        let pid = std::str::from_utf8(content.get(..open)?).ok()?.trim().parse().ok()?;
        let name = String::from_utf8_lossy(content.get(open + 1..close)?).into_owned();
        let rest = std::str::from_utf8(content.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // proc(5) numbers the state 3; it is the first of these.
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Stat {
            pid,
            name,
            state: field(3)?.chars().next()?,
            ppid: field(4)?.parse().ok()?,
            pgid: field(5)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            start_ticks: field(22)?.parse().ok()?,
            rss_pages: field(24)?.parse().unwrap_or_default(),
        })
    }

    /// Returns whether it has ended and only waits to be reaped.
    pub fn is_dead(&self) -> bool {
        is_dead(self.state)
    }
}

/// Returns whether a state letter means that the process has ended.
pub(super) fn is_dead(state: char) -> bool {
    matches!(state, 'Z' | 'X' | 'x')
}

/// Returns every process there is now.
pub fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Stat::read)
        .collect()
}

/// Counts the processes whose name, of which the kernel keeps 15 bytes, is exactly `name`. It asks for nothing but the
/// names, which the kernel tells at a fraction of the price of [`Stat::read`].
pub fn count_named(name: &str) -> usize {
    let kept = name.as_bytes().get(..NAME_MAX).unwrap_or(name.as_bytes());
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let is_process = |name: &OsStr| name.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let processes = entries.flatten().filter(|entry| is_process(&entry.file_name()));
    let named = |path: PathBuf| {
        let mut line = [0; NAME_MAX + 1];
        let read = File::open(path).and_then(|mut file| file.read(&mut line));
        // What ended meanwhile has no name.
        read.is_ok_and(|count| line.get(..count).and_then(|line| line.strip_suffix(b"\n")) == Some(kept))
    };
    processes.filter(|entry| named(entry.path().join("comm"))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_parentheses_blanks_newlines_and_bad_bytes() {
        let line =
            b"42 (a) b\n(\xff) S 7 42 41 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 12345 1000 77 18446744073709551615";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat.name, "a) b\n(\u{fffd}");
        assert_eq!((stat.pid, stat.ppid, stat.pgid, stat.session), (42, 7, 42, 41));
        assert_eq!((stat.state, stat.start_ticks, stat.rss_pages), ('S', 12345, 77));
    }

    #[test]
    fn damaged_content_is_no_process() {
        for content in [&b""[..], b"42", b"42 (x)", b"42 (x) S 1 2", b"x (y) S 1 1 1", b")42("] {
            assert_eq!(Stat::parse(content), None, "{content:?}");
        }
    }

    #[test]
    fn reads_a_real_process() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(Stat::read(own).unwrap().pid, own);
        assert!(all().iter().any(|stat| stat.pid == own));
    }

    #[test]
    fn the_main_thread_says_of_a_process_what_the_process_does_also_when_nobody_has_reaped_it() {
        let mut child = std::process::Command::new("sleep").arg("86400").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let plain = || Stat::parse(&fs::read(format!("/proc/{pid}/stat")).unwrap()).unwrap();
        let identity = |stat: Stat| (stat.pid, stat.ppid, stat.pgid, stat.session, stat.start_ticks);
        assert_eq!(identity(Stat::read(pid).unwrap()), identity(plain()));
        child.kill().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !plain().is_dead() {
            assert!(std::time::Instant::now() < deadline);
        }
        assert_eq!(Stat::read(pid), Some(plain()));
        child.wait().unwrap();
        assert_eq!(Stat::read(pid), None);
    }

    #[test]
    fn processes_are_counted_by_the_name_the_kernel_keeps() {
        let own = fs::read_to_string("/proc/self/comm").unwrap();
        assert!(count_named(own.trim_end()) >= 1);
        assert!(
            count_named(&format!("{}-and-more", own.trim_end()))
                >= usize::from(own.trim_end().len() == NAME_MAX)
        );
        assert_eq!(count_named("no-such-agent-cli"), 0);
        assert_eq!(count_named(""), 0);
    }
}
