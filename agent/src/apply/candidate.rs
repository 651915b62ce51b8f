//! The program somebody wants here instead of this one: found, and looked at before it is run.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A program that cannot be the one.
#[derive(Debug, Error)]
pub enum CandidateError {
    /// There is none.
    #[error("{} holds no agent-runner for this machine (looked for {looked_for})", folder.display())]
    None {
        /// The folder.
        folder: PathBuf,
        /// The names it could have.
        looked_for: String,
    },
    /// It cannot be read.
    #[error("reading {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is neither built nor a script.
    #[error("{} is no program", .0.display())]
    NoProgram(PathBuf),
    /// It was built for another machine.
    #[error("{} was built for {built_for}, this machine is {}", path.display(), std::env::consts::ARCH)]
    OtherMachine {
        /// Which.
        path: PathBuf,
        /// What it runs on.
        built_for: String,
    },
}

/// Returns the program: the file itself, or the one of a folder that a release or a build leaves there for this machine.
///
/// # Errors
/// When there is none, it cannot be read, is no program, or was built for another machine.
pub(super) fn find(from: &Path) -> Result<PathBuf, CandidateError> {
    let path = if from.is_dir() { in_folder(from)? } else { from.to_owned() };
    let unreadable = |source| CandidateError::Unreadable { path: path.clone(), source };
    let mut head = Vec::new();
    let file = File::open(&path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")));
    }
    file.take(20).read_to_end(&mut head).map_err(unreadable)?;
    match machine(&head) {
        Some(machine) if machine != std::env::consts::ARCH => {
            Err(CandidateError::OtherMachine { path, built_for: machine })
        }
        // Some systems would take any text for a script.
        None if !head.starts_with(b"#!") => Err(CandidateError::NoProgram(path)),
        Some(_) | None => Ok(path),
    }
}

fn in_folder(folder: &Path) -> Result<PathBuf, CandidateError> {
    let own = env!("AGENT_RUNNER_TARGET");
    let static_one = format!("agent-runner-{}-unknown-linux-musl", std::env::consts::ARCH);
    let names = [static_one, format!("agent-runner-{own}"), "agent-runner".to_owned()];
    let found = names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| CandidateError::None { folder: folder.to_owned(), looked_for: names.join(", ") })
}

/// Returns the machine an ELF file runs on, from its first 20 bytes; `None` for any other file.
fn machine(head: &[u8]) -> Option<String> {
    let head: &[u8; 20] = head.first_chunk()?;
    let [0x7f, b'E', b'L', b'F', _, order, .., low, high] = *head else { return None };
    let number = if order == 2 { u16::from_be_bytes([low, high]) } else { u16::from_le_bytes([low, high]) };
    Some(match number {
        0x03 => "x86".to_owned(),
        0x28 => "arm".to_owned(),
        0x3e => "x86_64".to_owned(),
        0xb7 => "aarch64".to_owned(),
        0xf3 => "riscv64".to_owned(),
        other => format!("machine number {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(order: u8, number: [u8; 2]) -> Vec<u8> {
        let mut head = vec![0x7f, b'E', b'L', b'F', 2, order];
        head.resize(18, 0);
        head.extend(number);
        head
    }

    #[test]
    fn the_machine_is_read_from_the_head_in_either_byte_order() {
        assert_eq!(machine(&elf(1, [0x3e, 0])).as_deref(), Some("x86_64"));
        assert_eq!(machine(&elf(1, [0xb7, 0])).as_deref(), Some("aarch64"));
        assert_eq!(machine(&elf(2, [0, 0x28])).as_deref(), Some("arm"));
        assert_eq!(machine(&elf(1, [1, 2])).as_deref(), Some("machine number 513"));
        assert_eq!(machine(b"#!/bin/sh\nexit 1\nmore than 20 bytes"), None);
        assert_eq!(machine(b"\x7fELF"), None);
    }

    #[test]
    fn a_folder_gives_the_program_of_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(find(dir.path()), Err(CandidateError::None { .. })));
        crate::store::atomic::replace(&dir.path().join("agent-runner"), b"#!plain").unwrap();
        assert_eq!(find(dir.path()).unwrap(), dir.path().join("agent-runner"));
        let own = dir.path().join(format!("agent-runner-{}-unknown-linux-musl", std::env::consts::ARCH));
        crate::store::atomic::replace(&own, b"#!release").unwrap();
        assert_eq!(find(dir.path()).unwrap(), own);
        crate::store::atomic::replace(&own, b"release").unwrap();
        assert!(matches!(find(dir.path()), Err(CandidateError::NoProgram(path)) if path == own));
        let other = if std::env::consts::ARCH == "x86_64" { [0xb7, 0] } else { [0x3e, 0] };
        crate::store::atomic::replace(&own, &elf(1, other)).unwrap();
        assert!(matches!(find(dir.path()), Err(CandidateError::OtherMachine { .. })));
        assert!(matches!(find(&dir.path().join("nothing")), Err(CandidateError::Unreadable { .. })));
    }
}
