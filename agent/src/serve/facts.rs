//! Looking at the world for one decision: small files, memory, chance. Bounded in size; never an error.

use std::io::Read;
use std::path::Path;
use std::time::Instant;

use super::accounting::{End, Reading};
use super::brake::{BrakePolicy, Own};
use super::floor::{Tick, Used, UsedSource};
use super::input::MemoryTick;
use crate::host::cgroup::Cgroup;
use crate::host::{Root, Sample, memory, pressure};
use crate::process::tree;
use crate::store::regular::open_regular;

/// Bytes read of a file that only has to exist.
const NOTE_MAX: u64 = 4096;

/// The control groups a round is watched through.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    /// Our own.
    pub(super) own: Option<Cgroup>,
    /// The one whose limit binds.
    pub(super) binding: Option<Cgroup>,
}

impl Groups {
    /// Finds them.
    pub(super) fn find(root: &Root) -> Groups {
        let own = Cgroup::own(root);
        let binding = own.as_ref().and_then(Cgroup::binding);
        Groups { own, binding }
    }

    /// Looks at the one whose limit binds.
    pub(super) fn reading(&self) -> Option<Reading> {
        let group = self.binding.as_ref()?;
        let (current, events) = (group.memory_current()?, group.memory_events()?);
        Some(Reading { current, swap: group.swap_current().unwrap_or(0), events })
    }

    /// Looks at everything a memory tick needs; `pid` is the round's child. Our own group matters to a brake only.
    pub(super) fn tick(&self, root: &Root, pid: i32, brake: Option<BrakePolicy>) -> MemoryTick {
        let reading = self.reading();
        let in_group = reading.map(|reading| Used { bytes: reading.current, source: UsedSource::Cgroup });
        let used =
            in_group.or_else(|| resident(root, pid).map(|bytes| Used { bytes, source: UsedSource::RssSum }));
        let braked = brake.and(self.own.as_ref());
        let own =
            braked.and_then(|own| Some(Own { current: own.memory_current()?, high: own.memory_high()? }));
        MemoryTick { tick: Tick { sample: Sample::take(root), used }, own, reading }
    }

    /// Looks at the host at the end of a round.
    pub(super) fn end(&self, root: &Root) -> End {
        End {
            reading: self.reading(),
            path: self.binding.as_ref().map(|group| group.path.clone()),
            io: pressure::read_io(root),
            memory: pressure::read_memory(root),
        }
    }
}

/// Returns the beginning of a file's content when it exists; empty when it is no regular file or cannot be read.
pub(super) fn note(path: &Path) -> Option<String> {
    path.metadata().ok()?;
    let mut bytes = Vec::new();
    if let Ok(file) = open_regular(path)
        && file.take(NOTE_MAX).read_to_end(&mut bytes).is_err()
    {
        bytes.clear();
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns a random id in the form of a UUID.
pub(super) fn fresh_id(root: &Root) -> String {
    let random = root.read("/proc/sys/kernel/random/uuid").ok().map(|text| text.trim().to_owned());
    random.filter(|id| id.len() == 36).unwrap_or_else(|| {
        let seed = format!("{:?}{}", Instant::now(), std::process::id());
        let digits: Vec<u8> = seed.bytes().filter(u8::is_ascii_digit).collect();
        format!(
            "00000000-0000-4000-8000-{:0>12}",
            String::from_utf8_lossy(digits.last_chunk::<12>().unwrap_or(&[b'0'; 12]))
        )
    })
}

/// Returns 5 to 30 seconds, by the chance in a random id.
pub(super) fn jitter_s(fresh_id: &str) -> u8 {
    let tail = fresh_id.get(fresh_id.len().saturating_sub(4)..).unwrap_or_default();
    let chance = u16::from_str_radix(tail, 16).unwrap_or(0) % 26;
    5 + u8::try_from(chance).unwrap_or(0)
}

fn resident(root: &Root, pid: i32) -> Option<u64> {
    memory::tree_resident(root, pid).or_else(|| {
        let below = tree::descendants(pid);
        let sum = below.iter().filter_map(|process| memory::resident(root, process.pid)).sum::<u64>();
        Some(sum + memory::resident(root, pid)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_exists_whatever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("STOP");
        assert_eq!(note(&path), None);
        std::fs::create_dir(&path).unwrap();
        assert_eq!(note(&path).as_deref(), Some(""));
        let text = dir.path().join("text");
        crate::store::atomic::replace(&text, &vec![b'x'; 10_000]).unwrap();
        assert_eq!(note(&text).map(|text| text.len()), Some(4096));
    }

    #[test]
    fn ids_differ_and_the_jitter_stays_in_its_range() {
        let root = Root::default();
        let (one, two) = (fresh_id(&root), fresh_id(&root));
        assert_ne!(one, two);
        assert_eq!(fresh_id(&Root::at("/nonexistent")).len(), 36);
        for id in [one.as_str(), two.as_str(), "", "zzzz", "0000", "0019"] {
            assert!((5..=30).contains(&jitter_s(id)), "{id}");
        }
        assert_eq!((jitter_s("0000"), jitter_s("0019"), jitter_s("001a")), (5, 30, 5));
    }

    #[test]
    fn a_tick_of_this_process_sees_its_memory() {
        let root = Root::default();
        let own = i32::try_from(std::process::id()).unwrap();
        let tick = Groups::default().tick(&root, own, None);
        assert!(tick.tick.used.is_some_and(|used| used.bytes > 0 && used.source == UsedSource::RssSum));
        assert!(tick.tick.sample.some_avg10.is_some() || tick.tick.sample.mem_free_mb.is_some());
        assert_eq!(tick.reading, None);
    }
}
