//! Which program file a process runs, also where an emulator runs it: then the kernel's link leads to the emulator.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where the number of the machine is in a program's header, from `elf.h`: `e_machine`.
const MACHINE: std::ops::Range<usize> = 18..20;

/// Returns the path by which the program file of a process can be read: the kernel's link, which also works for a
/// deleted file, or the first file for our machine that the process has mapped, where the link leads to a program
/// for another one.
pub fn file(pid: i32) -> PathBuf {
    let link = PathBuf::from(format!("/proc/{pid}/exe"));
    let own = machine(Path::new("/proc/self/exe"));
    if own.is_none() || machine(&link) == own {
        return link;
    }
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    mapped(&maps).find(|path| machine(path) == own).unwrap_or(link)
}

/// Returns the name of the program file of a process.
pub fn name(pid: i32) -> Option<PathBuf> {
    let file = file(pid);
    // Only the kernel's link is one: what is mapped has its real name.
    fs::read_link(&file).ok().or_else(|| file.exists().then_some(file))
}

/// Returns the number of the machine that a program file is for.
fn machine(path: &Path) -> Option<[u8; 2]> {
    let mut header = [0_u8; MACHINE.end];
    File::open(path).ok()?.read_exact(&mut header).ok()?;
    header.get(MACHINE)?.try_into().ok()
}

/// Returns the files in `/proc/PID/maps`, lowest address first.
fn mapped(maps: &str) -> impl Iterator<Item = PathBuf> {
    // Address, permissions, offset, device, inode, then the path, which may hold blanks.
    maps.lines().filter_map(|line| line.find('/').and_then(|start| line.get(start..)).map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_this_machine_runs_what_the_kernel_says() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(file(own), PathBuf::from(format!("/proc/{own}/exe")));
        assert_eq!(name(own), std::env::current_exe().ok());
        assert!(machine(&file(own)).is_some());
    }

    #[test]
    fn of_a_process_that_is_gone_nothing_is_known() {
        assert_eq!(name(i32::MAX), None);
    }

    #[test]
    fn files_that_an_emulator_has_mapped_are_listed_and_memory_is_not() {
        let maps = "\
00200000-00242000 r--p 00000000 fe:00 6194881                            /home/a b/agent-runner
00242000-00251000 ---p 00000000 00:00 0 
555500000000-555500900000 r-xp 00000000 fe:00 12                         /usr/bin/qemu-aarch64-static
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
";
        let files: Vec<PathBuf> = mapped(maps).collect();
        assert_eq!(files, [Path::new("/home/a b/agent-runner"), Path::new("/usr/bin/qemu-aarch64-static")]);
    }
}
