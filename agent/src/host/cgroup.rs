//! Control groups, version 2: where this process is, what bounds its memory, what it uses.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, Uid, access};

use super::Root;
use super::root::read_text;

/// One control group of the unified hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    /// Its path in the hierarchy, `/` first.
    pub path: String,
    /// The mounted root of the hierarchy.
    mount: PathBuf,
}

/// Memory limits in bytes; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// `memory.max`: the kernel kills above it.
    pub max: Option<u64>,
    /// `memory.swap.max`.
    pub swap_max: Option<u64>,
    /// `memory.high`: the kernel slows down above it.
    pub high: Option<u64>,
}

/// Counts of `memory.events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryEvents {
    /// Slowed down at `memory.high`.
    pub high: u64,
    /// Ran into `memory.max`.
    pub max: u64,
    /// Allocations that failed.
    pub oom: u64,
    /// Processes the kernel killed.
    pub oom_kill: u64,
}

impl MemoryEvents {
    /// Returns what was added since `earlier`.
    pub fn since(self, earlier: MemoryEvents) -> MemoryEvents {
        MemoryEvents {
            high: self.high.saturating_sub(earlier.high),
            max: self.max.saturating_sub(earlier.max),
            oom: self.oom.saturating_sub(earlier.oom),
            oom_kill: self.oom_kill.saturating_sub(earlier.oom_kill),
        }
    }
}

impl Cgroup {
    /// Returns the group this process is in; `None` without the unified hierarchy, or when the group is outside of
    /// what is mounted.
    pub fn own(root: &Root) -> Option<Cgroup> {
        Cgroup::of(root, "self")
    }

    /// Returns the group of the process of this number, as [`Cgroup::own`] does.
    pub fn of_process(root: &Root, pid: i32) -> Option<Cgroup> {
        Cgroup::of(root, &pid.to_string())
    }

    fn of(root: &Root, process: &str) -> Option<Cgroup> {
        let mount = root.join("/sys/fs/cgroup");
        if !mount.join("cgroup.controllers").exists() {
            return None;
        }
        let path = unified_path(&root.read(format!("/proc/{process}/cgroup")).ok()?)?;
        Some(Cgroup { path, mount })
    }

    /// Returns the folder of its interface files.
    pub fn dir(&self) -> PathBuf {
        self.mount.join(self.path.trim_start_matches('/'))
    }

    /// Returns itself and its ancestors, the innermost first.
    pub fn lineage(&self) -> Vec<Cgroup> {
        let paths = Path::new(&self.path).ancestors();
        paths
            .map(|path| Cgroup { path: path.to_string_lossy().into_owned(), mount: self.mount.clone() })
            .collect()
    }

    /// Returns the limits set on this group itself.
    pub fn limits(&self) -> Limits {
        let dir = self.dir();
        let limit = |name: &str| read_text(&dir.join(name)).ok().and_then(|text| parse_limit(&text));
        Limits { max: limit("memory.max"), swap_max: limit("memory.swap.max"), high: limit("memory.high") }
    }

    /// Returns the smallest limits over itself and its ancestors: the ones that hold.
    pub fn effective_limits(&self) -> Limits {
        self.lineage().iter().map(Cgroup::limits).fold(Limits::default(), tightest)
    }

    /// Returns the ancestor (or itself) that owns the `memory.max` that binds; the innermost of equals.
    pub fn binding(&self) -> Option<Cgroup> {
        let bounded = self.lineage().into_iter().filter_map(|group| Some((group.limits().max?, group)));
        bounded.min_by_key(|(max, _)| *max).map(|(_, group)| group)
    }

    /// Returns the bytes of memory in use by the group and everything below it.
    pub fn memory_current(&self) -> Option<u64> {
        self.number("memory.current")
    }

    /// Returns the bytes of swap in use by the group and everything below it.
    pub fn swap_current(&self) -> Option<u64> {
        self.number("memory.swap.current")
    }

    /// Returns the counts of `memory.events`.
    pub fn memory_events(&self) -> Option<MemoryEvents> {
        Some(parse_events(&read_text(&self.dir().join("memory.events")).ok()?))
    }

    /// Returns `memory.high` as the kernel writes it: a number or `max`.
    pub fn memory_high(&self) -> Option<String> {
        let text = read_text(&self.dir().join("memory.high")).ok()?;
        Some(text.trim().to_owned()).filter(|token| !token.is_empty())
    }

    /// Writes `memory.high` of this very group.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn set_memory_high(&self, token: &str) -> io::Result<()> {
        // An interface file of the kernel: it is written in place, never replaced.
        let mut file = std::fs::OpenOptions::new().write(true).open(self.dir().join("memory.high"))?;
        io::Write::write_all(&mut file, token.as_bytes())
    }

    /// Returns whether the group is ours to steer: owned by us and its files writable; `None` when it cannot be
    /// told.
    pub fn delegated(&self) -> Option<bool> {
        self.delegated_to(Uid::current().as_raw())
    }

    /// Returns the same for a process of another account.
    pub fn delegated_to(&self, uid: u32) -> Option<bool> {
        let dir = self.dir();
        let owner = std::fs::metadata(&dir).as_ref().map(Metadata::uid).ok()?;
        let is_own = uid == Uid::current().as_raw();
        let writable = |name: &str| {
            let file = dir.join(name);
            if is_own {
                return access(&file, AccessFlags::W_OK).is_ok();
            }
            std::fs::metadata(&file)
                .is_ok_and(|meta| uid == 0 || meta.uid() == uid && meta.mode() & 0o200 != 0)
        };
        Some(owner == uid && writable("cgroup.procs") && writable("memory.high"))
    }

    fn number(&self, name: &str) -> Option<u64> {
        read_text(&self.dir().join(name)).ok()?.trim().parse().ok()
    }
}

/// Returns the path on the `0::` line; `None` for one that leads out of our cgroup namespace.
fn unified_path(text: &str) -> Option<String> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    (path.starts_with('/') && !path.split('/').any(|part| part == "..")).then(|| path.to_owned())
}

fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn parse_events(text: &str) -> MemoryEvents {
    let mut events = MemoryEvents::default();
    for line in text.lines() {
        let Some((name, count)) = line.split_once(' ') else { continue };
        let Ok(count) = count.trim().parse() else { continue };
        match name {
            "high" => events.high = count,
            "max" => events.max = count,
            "oom" => events.oom = count,
            "oom_kill" => events.oom_kill = count,
            _ => {}
        }
    }
    events
}

fn tightest(one: Limits, other: Limits) -> Limits {
    let smaller = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
    Limits {
        max: smaller(one.max, other.max),
        swap_max: smaller(one.swap_max, other.swap_max),
        high: smaller(one.high, other.high),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::store::atomic::replace(&path, text.as_bytes()).unwrap();
        }
        (dir, root)
    }

    #[test]
    fn the_tightest_limit_of_the_lineage_holds_and_names_its_owner() {
        let (_dir, root) = host(&[
            ("/sys/fs/cgroup/cgroup.controllers", "memory\n"),
            ("/proc/self/cgroup", "4:memory:/old\n0::/user.slice/agent.service\n"),
            ("/sys/fs/cgroup/user.slice/memory.max", "1000\n"),
            ("/sys/fs/cgroup/user.slice/memory.current", "512\n"),
            (
                "/sys/fs/cgroup/user.slice/memory.events",
                "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 5\n",
            ),
            ("/sys/fs/cgroup/user.slice/agent.service/memory.max", "max\n"),
            ("/sys/fs/cgroup/user.slice/agent.service/memory.swap.max", "0\n"),
            ("/sys/fs/cgroup/user.slice/agent.service/memory.high", "max\n"),
        ]);
        let own = Cgroup::own(&root).unwrap();
        assert_eq!(own.path, "/user.slice/agent.service");
        assert_eq!(own.effective_limits(), Limits { max: Some(1000), swap_max: Some(0), high: None });
        assert_eq!(own.memory_high().as_deref(), Some("max"));
        let binding = own.binding().unwrap();
        assert_eq!(binding.path, "/user.slice");
        assert_eq!(binding.memory_current(), Some(512));
        assert_eq!(binding.swap_current(), None);
        let events = binding.memory_events().unwrap();
        assert_eq!(events, MemoryEvents { high: 1, max: 2, oom: 3, oom_kill: 4 });
        assert_eq!(events.since(MemoryEvents { oom_kill: 1, ..events }).oom_kill, 3);
    }

    #[test]
    fn a_host_without_the_unified_hierarchy_has_no_group() {
        let (_dir, root) = host(&[("/proc/self/cgroup", "0::/\n")]);
        assert_eq!(Cgroup::own(&root), None);
        assert_eq!(unified_path("0::/../outside\n"), None);
        assert_eq!(unified_path("1:cpu:/\n"), None);
    }

    #[test]
    fn the_brake_is_written_in_place_and_only_where_the_file_exists() {
        let (_dir, root) = host(&[
            ("/sys/fs/cgroup/cgroup.controllers", "memory\n"),
            ("/proc/self/cgroup", "0::/a\n"),
            ("/sys/fs/cgroup/a/memory.high", "max\n"),
            ("/sys/fs/cgroup/a/cgroup.procs", ""),
        ]);
        let own = Cgroup::own(&root).unwrap();
        assert_eq!(own.delegated(), Some(true));
        own.set_memory_high("67108864").unwrap();
        assert!(own.memory_high().unwrap().starts_with("67108864"));
        let [_, top] = own.lineage().try_into().unwrap();
        assert_eq!(top.path, "/");
        assert!(top.set_memory_high("1").is_err());
        assert_eq!(top.delegated(), Some(false));
    }

    #[test]
    fn another_process_has_its_own_group_and_its_account_decides_whether_it_may_steer_it() {
        let (_dir, root) = host(&[
            ("/sys/fs/cgroup/cgroup.controllers", "memory\n"),
            ("/proc/self/cgroup", "0::/session\n"),
            ("/proc/42/cgroup", "0::/unit\n"),
            ("/sys/fs/cgroup/unit/memory.high", "max\n"),
            ("/sys/fs/cgroup/unit/cgroup.procs", ""),
        ]);
        let unit = Cgroup::of_process(&root, 42).unwrap();
        assert_eq!((unit.path.as_str(), Cgroup::own(&root).unwrap().path.as_str()), ("/unit", "/session"));
        assert_eq!(Cgroup::of_process(&root, 43), None);
        let me = Uid::current().as_raw();
        assert_eq!(unit.delegated_to(me), Some(true));
        assert_eq!(unit.delegated_to(me + 1), Some(false));
        assert_eq!(Cgroup { path: "/gone".into(), ..unit }.delegated_to(me), None);
    }
}
