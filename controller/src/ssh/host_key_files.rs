//! The known_hosts files on disk: read once per run, appended to under a lock.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::PublicKey;

use super::error::Unreachable;
use super::host_keys::{HostName, Verdict, verdict};
use super::known_hosts::{KnownHosts, hashed_name};
use super::settings::NameForm;

/// Files larger than this are refused: ten times what a hundred thousand hosts need.
const MAX_BYTES: u64 = 256 << 20;

/// Bytes of salt before a hashed name, as OpenSSH has it.
const SALT: usize = 20;

type Cache = HashMap<Vec<PathBuf>, Arc<KnownHosts>>;

/// The known_hosts files of one run.
#[derive(Debug, Default)]
pub struct HostKeyFiles {
    read: Mutex<Cache>,
}

impl HostKeyFiles {
    /// Returns the entries of `files` if they have been read.
    pub(super) fn loaded(&self, files: &[PathBuf]) -> Option<Arc<KnownHosts>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).get(files).map(Arc::clone)
    }

    /// Returns the entries of `files`. A file that is not there is empty; one that cannot be read is an error.
    ///
    /// # Errors
    /// If a file exists and cannot be read.
    pub fn load(&self, files: &[PathBuf]) -> Result<Arc<KnownHosts>, Unreachable> {
        // Read under the lock: hosts that start together read the files once.
        let mut cache = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cache.get(files) {
            return Ok(Arc::clone(known));
        }
        let known = Arc::new(read_all(files)?);
        for (file, line) in known.unreadable_lines() {
            tracing::warn!(file = %file.display(), line, "line holds no host key we can read, ignored");
        }
        cache.insert(files.to_vec(), Arc::clone(&known));
        Ok(known)
    }

    /// Records `keys` for `host` in the first of `files`, unless meanwhile another process has
    /// recorded something about that host; returns what the records then say about each.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn record(
        &self,
        files: &[PathBuf],
        host: &HostName,
        keys: &[PublicKey],
        names: NameForm,
    ) -> Result<Vec<Verdict>, Unreachable> {
        let Some(first) = files.first() else {
            let source = io::Error::other("no file is configured");
            return Err(Unreachable::HostKeyFile { path: PathBuf::new(), action: "record a key in", source });
        };
        let failed =
            |source| Unreachable::HostKeyFile { path: first.clone(), action: "record a key in", source };
        let mut cache = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = open_for_append(first).map_err(failed)?;
        if file.metadata().map_err(failed)?.file_type().is_char_device() {
            // /dev/null: the user wants nothing recorded.
            return Ok(vec![Verdict::Known; keys.len()]);
        }
        file.lock().map_err(failed)?;
        // Judged before any is written: one key of a host must not make its others look wrong.
        let before = read_all(files)?;
        let mut verdicts = Vec::with_capacity(keys.len());
        for key in keys {
            let mut now = verdict(&before, host, key);
            if now == Verdict::Unknown {
                append(&mut file, &written(host, names).map_err(failed)?, key).map_err(failed)?;
                now = Verdict::Known;
            }
            verdicts.push(now);
        }
        cache.clear();
        Ok(verdicts)
    }
}

fn read_all(files: &[PathBuf]) -> Result<KnownHosts, Unreachable> {
    let mut known = KnownHosts::default();
    for path in files {
        match read(path) {
            Ok(text) => known.add_file(path, &text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(Unreachable::HostKeyFile { path: path.clone(), action: "read", source });
            }
        }
    }
    Ok(known)
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 256 MiB"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn open_for_append(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// One write, after a line end if the last line lacks one.
fn append(file: &mut File, name: &str, key: &PublicKey) -> io::Result<()> {
    let mut line = format!("{name} {}\n", openssh_text(key)?);
    if file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            line.insert(0, '\n');
        }
    }
    file.write_all(line.as_bytes())?;
    file.sync_data()
}

/// The name of a host as it stands in the file.
fn written(host: &HostName, names: NameForm) -> io::Result<String> {
    match names {
        NameForm::Plain => Ok(host.recorded.clone()),
        NameForm::Hashed => {
            let mut salt = [0; SALT];
            File::open("/dev/urandom")?.read_exact(&mut salt)?;
            Ok(hashed_name(&host.recorded, &salt))
        }
    }
}

fn openssh_text(key: &PublicKey) -> io::Result<String> {
    let mut key = key.clone();
    key.set_comment("");
    Ok(key.to_openssh().map_err(io::Error::other)?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use russh::keys::key::safe_rng;
    use russh::keys::{Algorithm, PrivateKey};

    use super::*;

    fn key() -> PublicKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap().public_key().clone()
    }

    fn host(name: &str) -> HostName {
        HostName::new(name, 22, None)
    }

    #[test]
    fn a_recorded_key_is_known_and_a_missing_file_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let files = [dir.path().join("ssh/known_hosts"), dir.path().join("none")];
        let store = HostKeyFiles::default();
        let (a, b) = (key(), key());
        assert_eq!(verdict(&store.load(&files).unwrap(), &host("pi"), &a), Verdict::Unknown);
        assert_eq!(
            store.record(&files, &host("pi"), std::slice::from_ref(&a), NameForm::Plain).unwrap(),
            [Verdict::Known]
        );
        assert_eq!(verdict(&store.load(&files).unwrap(), &host("pi"), &a), Verdict::Known);
        assert!(matches!(
            store.record(&files, &host("pi"), std::slice::from_ref(&b), NameForm::Plain).unwrap()[..],
            [Verdict::Mismatch { .. }]
        ));
        let mode = std::fs::metadata(&files[0]).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_name_is_recorded_as_a_hash_where_that_is_wanted_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let files = [dir.path().join("known_hosts")];
        let store = HostKeyFiles::default();
        let a = key();
        store.record(&files, &host("pi.lan"), std::slice::from_ref(&a), NameForm::Hashed).unwrap();
        let text = std::fs::read_to_string(&files[0]).unwrap();
        assert!(text.starts_with("|1|") && !text.contains("pi.lan"), "{text}");
        assert_eq!(verdict(&store.load(&files).unwrap(), &host("pi.lan"), &a), Verdict::Known);
        let found =
            std::process::Command::new("ssh-keygen").args(["-F", "pi.lan", "-f"]).arg(&files[0]).output();
        // Where OpenSSH is installed, it finds it too.
        assert!(found.is_err() || found.unwrap().status.success());
    }

    #[test]
    fn a_last_line_without_an_end_is_not_joined() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("known_hosts");
        File::create(&file).unwrap().write_all(b"# no line end").unwrap();
        let files = [file];
        let store = HostKeyFiles::default();
        store.record(&files, &host("pi"), &[key()], NameForm::Plain).unwrap();
        let text = std::fs::read_to_string(&files[0]).unwrap();
        assert!(text.starts_with("# no line end\npi ssh-ed25519 "), "{text}");
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn parallel_writers_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let files = [dir.path().join("known_hosts")];
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let files = &files;
                scope.spawn(move || {
                    // A store of its own, as another process has.
                    let store = HostKeyFiles::default();
                    for index in 0..25 {
                        store
                            .record(files, &host(&format!("h{thread}-{index}")), &[key()], NameForm::Plain)
                            .unwrap();
                    }
                });
            }
        });
        let known = HostKeyFiles::default().load(&files).unwrap();
        assert_eq!((known.entries().len(), known.unreadable_lines().len()), (100, 0));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = HostKeyFiles::default().load(&[dir.path().to_owned()]).unwrap_err();
        assert!(error.to_string().starts_with("cannot read "), "{error}");
    }
}
