//! State files are replaced, never edited: temporary file, write, fsync, rename, fsync of the folder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// Replaces `path` with `content`, readable by the owner only (0600).
///
/// # Errors
/// Any step's I/O error; the target is then untouched and no temporary file is left.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_with_mode(path, content, 0o600)
}

/// Replaces `path` with `content` and permissions `mode`, whatever the umask.
///
/// # Errors
/// `InvalidInput` when the target exists and is not a regular file; else any step's I/O error. The target is then
/// untouched and no temporary file is left.
pub fn replace_with_mode(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    if let Ok(meta) = fs::symlink_metadata(path)
        && !meta.is_file()
    {
        let text = format!("{} exists and is not a regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let temporary = temporary_beside(path)?;
    let written = write_synced(&temporary, content, mode).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one that matters.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    sync_parent(path)
}

/// Replaces `path` with a value as JSON, indented by two, non-ASCII kept.
///
/// # Errors
/// As [`replace`].
pub fn replace_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(value)?;
    replace(path, &text)
}

/// Makes a folder, and those above it that are missing, for this account only (0700); what is there stays as it is.
///
/// # Errors
/// When one cannot be made.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Tries whether files can be made in a folder, by making this one and removing it. What is at its path goes first, so
/// that nothing is written through a link.
///
/// # Errors
/// When it cannot be made or removed.
pub fn probe(path: &Path) -> io::Result<()> {
    create(path, 0o600)?;
    fs::remove_file(path)
}

/// Makes a renamed or removed name in `path`'s folder survive a power cut.
///
/// # Errors
/// When the folder cannot be opened or synced.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{} has no file name", path.display()))
    })?;
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let temporary = format!(".{}.{}-{serial}.tmp", name.to_string_lossy(), std::process::id());
    Ok(path.with_file_name(temporary))
}

fn write_synced(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = create(path, mode)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes a new file: what is left over at its path, or was put there by somebody else, goes and is not followed.
fn create(path: &Path, mode: u32) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_we_make_is_the_accounts_alone_and_one_that_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let old = dir.path().join("old");
        fs::create_dir(&old).unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
        let logs = old.join("project/logs");
        make_folder(&logs).unwrap();
        assert_eq!((mode(&logs), mode(&old.join("project")), mode(&old)), (0o700, 0o700, 0o755));
        fs::set_permissions(&logs, fs::Permissions::from_mode(0o750)).unwrap();
        make_folder(&logs).unwrap();
        assert_eq!(mode(&logs), 0o750);
    }

    #[test]
    fn a_link_in_the_place_of_a_new_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, place) = (dir.path().join("victim"), dir.path().join(".write_probe"));
        replace(&victim, b"precious").unwrap();
        symlink(&victim, &place).unwrap();
        probe(&place).unwrap();
        assert!(fs::symlink_metadata(&place).is_err(), "the probe is gone");
        symlink(&victim, &place).unwrap();
        write_synced(&place, b"new", 0o644).unwrap();
        assert_eq!(
            (fs::read(&victim).unwrap(), fs::read(&place).unwrap()),
            (b"precious".to_vec(), b"new".to_vec())
        );
        fs::remove_file(&place).unwrap();
        symlink(dir.path().join("missing"), &place).unwrap();
        probe(&place).unwrap();
        assert!(!dir.path().join("missing").exists(), "nothing is made where a link leads");
    }

    #[test]
    fn replaces_with_the_mode_and_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.json");
        replace(&path, b"one").unwrap();
        replace_with_mode(&path, b"two", 0o644).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn refuses_a_target_that_is_no_regular_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("link");
        symlink("/dev/null", &path).unwrap();
        assert!(replace(&path, b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
