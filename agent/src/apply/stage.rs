//! New content beside its target, and the renames that put it there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::manifest::AgentRelease;
use super::owner::with_rights;
use super::pending::{Pending, Undo, staged};
use super::places::Places;
use super::plan::{BinarySwitch, Unlink, Write};
use crate::service::Account;
use crate::sha256;
use crate::store::atomic;

/// Copies what a write replaces into its release, and returns how to put it back.
pub(super) fn back_up(write: &Write, number: usize, release: &Path) -> io::Result<Undo> {
    let backup = match &write.old {
        None => None,
        Some((content, _)) => {
            let path = release.join("replaced").join(number.to_string());
            atomic::replace(&path, content)?;
            Some(path)
        }
    };
    Ok(Undo::File {
        path: write.path.clone(),
        staged: staged(&write.path),
        backup,
        mode: write.old.as_ref().map_or(0o644, |(_, mode)| *mode),
        rights: write.rights,
        what: write.what,
    })
}

/// Writes the new content of one file beside it.
pub(super) fn stage(write: &Write, owner: &Account) -> io::Result<()> {
    let Some((content, mode)) = &write.new else { return Ok(()) };
    with_rights(write.rights, owner, || {
        make_folder_of(&write.path)?;
        write_new(&staged(&write.path), content.as_bytes(), *mode)
    })
}

/// Puts one staged file in its place, or removes the file when nothing is staged.
pub(super) fn switch(write: &Write, owner: &Account) -> io::Result<()> {
    with_rights(write.rights, owner, || {
        match &write.new {
            Some(_) => fs::rename(staged(&write.path), &write.path)?,
            None => fs::remove_file(&write.path)?,
        }
        atomic::sync_parent(&write.path)
    })
}

/// Makes sure the wanted binary is in its version folder and executes; a first deploy may run from anywhere.
pub(super) fn place_binary(switch: &BinarySwitch, program: &Path, places: &Places) -> io::Result<()> {
    let target = places.binary(&switch.folder);
    if !switch.copy_self {
        return Ok(());
    }
    let wrong = |text: String| Err(io::Error::new(io::ErrorKind::InvalidData, text));
    if sha256::of_file(program)? != switch.sha256 {
        let text = format!("{} is not there, and this program is another one", target.display());
        return wrong(text);
    }
    let content = fs::read(program)?;
    if sha256::of(&content) != switch.sha256 {
        return wrong(format!("{} changed while it was read", program.display()));
    }
    make_folder_of(&target)?;
    atomic::replace_with_mode(&target, &content, 0o755)
}

/// Stages and switches the links to a version.
pub(super) fn switch_binary(switch: &BinarySwitch, places: &Places) -> io::Result<()> {
    switch_binary_to(places, &switch.folder)
}

fn switch_binary_to(places: &Places, folder: &str) -> io::Result<()> {
    switch_link(&places.current(), &Places::current_target(folder))?;
    switch_link(places.bin(), places.bin_target())
}

/// Removes a link that leads to what is gone.
pub(super) fn unlink(link: &Unlink, owner: &Account) -> io::Result<()> {
    with_rights(link.rights, owner, || remove_if_there(&link.path))
}

/// Copies a program to a file of ours, executable.
pub(super) fn copy_program(from: &Path, to: &Path) -> io::Result<()> {
    atomic::replace_with_mode(to, &fs::read(from)?, 0o755)
}

/// Makes a program that somebody placed by hand one of the versions, with its own name a link to it: then a switch of
/// links replaces it and puts it back. The name leads to the same bytes at every step.
pub(super) fn adopt(places: &Places, program: &Path, own: &AgentRelease) -> io::Result<()> {
    let target = places.binary(&own.folder());
    if sha256::of_file(&target).ok().as_ref() != Some(&own.sha256) {
        make_folder_of(&target)?;
        atomic::replace_with_mode(&target, &fs::read(program)?, 0o755)?;
    }
    switch_binary_to(places, &own.folder())
}

/// Puts one path back; what is already back stays.
pub(super) fn put_back(undo: &Undo, owner: &Account) -> io::Result<()> {
    match undo {
        Undo::File { path, staged, backup, mode, rights, what: _ } => {
            let content = backup.as_ref().map(fs::read).transpose()?;
            with_rights(*rights, owner, || {
                remove_if_there(staged)?;
                match &content {
                    // What never changed needs no room on a full disk.
                    Some(content) if fs::read(path).is_ok_and(|current| current == *content) => Ok(()),
                    Some(content) => {
                        make_folder_of(path)?;
                        atomic::replace_with_mode(path, content, *mode)
                    }
                    None => remove_if_there(path),
                }
            })
        }
        Undo::Link { path, staged, target, rights } => with_rights(*rights, owner, || {
            remove_if_there(staged)?;
            match target {
                Some(target) => switch_link(path, target),
                None => remove_if_there(path),
            }
        }),
    }
}

/// Removes everything that is still staged.
pub(super) fn sweep(pending: &Pending, owner: &Account) {
    for undo in &pending.undo {
        let rights = match undo {
            Undo::File { rights, .. } | Undo::Link { rights, .. } => *rights,
        };
        // A name that stays is overwritten by the next apply.
        let _ = with_rights(rights, owner, || remove_if_there(undo.staged()));
    }
}

/// Makes the state folder, which is nobody else's.
pub(super) fn make_state(places: &Places) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(places.state())
}

fn switch_link(path: &Path, target: &Path) -> io::Result<()> {
    make_folder_of(path)?;
    let beside = staged(path);
    remove_if_there(&beside)?;
    symlink(target, &beside)?;
    fs::rename(&beside, path)?;
    atomic::sync_parent(path)
}

pub(super) fn make_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn write_new(path: &PathBuf, content: &[u8], mode: u32) -> io::Result<()> {
    remove_if_there(path)?;
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::Scope;
    use super::*;
    use crate::service::Acting;

    #[test]
    fn a_program_with_another_sum_is_not_placed() {
        let dir = tempfile::tempdir().unwrap();
        let account = Account {
            user: "pi".into(),
            group: "pi".into(),
            uid: 1000,
            gid: 1000,
            home: dir.path().to_owned(),
            runtime_dir: None,
            acting: Acting::Itself,
        };
        let places = Places::of(&account, Scope::User);
        let program = dir.path().join("program");
        atomic::replace(&program, b"exchanged").unwrap();
        let switch = |content: &[u8]| BinarySwitch {
            folder: "1-a".into(),
            copy_self: true,
            sha256: sha256::of(content),
        };
        let refused = place_binary(&switch(b"the agent"), &program, &places).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        assert!(!places.binary("1-a").exists() && !places.binary("1-a").parent().unwrap().exists());
        place_binary(&switch(b"exchanged"), &program, &places).unwrap();
        assert_eq!(fs::read(places.binary("1-a")).unwrap(), b"exchanged");
    }
}
