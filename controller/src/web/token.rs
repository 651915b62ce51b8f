//! The token that acting needs: from a file, or made once and kept in the user's state folder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use agent_runner::store::regular::open_regular;
use secrecy::SecretString;

/// The shortest token that is taken, in characters.
const SHORTEST: usize = 16;
/// The longest, in bytes.
const LONGEST: u64 = 4096;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or made.
    #[error("the token file {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others can read the file.
    #[error("the token file {} can be read by others (mode {mode:03o})", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The token is too short to be one.
    #[error("the token in {} has fewer than {SHORTEST} characters", .0.display())]
    Short(PathBuf),
}

/// Reads a token from a file that nobody else can read.
///
/// # Errors
/// When it cannot be read, others can, or it is too short.
pub fn read(path: &Path) -> Result<SecretString, TokenError> {
    let failed = |source| TokenError::File { path: path.to_owned(), source };
    let file = open_regular(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TokenError::Open { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    let token = text.trim();
    if token.chars().count() < SHORTEST {
        return Err(TokenError::Short(path.to_owned()));
    }
    Ok(token.to_owned().into())
}

/// Reads the token in `path`, or makes one of 256 random bits there, for this user only.
///
/// # Errors
/// As [`read`], and when it cannot be made.
pub fn read_or_make(path: &Path) -> Result<SecretString, TokenError> {
    let failed = |source| TokenError::File { path: path.to_owned(), source };
    if !path.exists() {
        make(path).map_err(failed)?;
    }
    read(path)
}

fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("it has no folder"))?;
    if !folder.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut random = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    // Written beside and linked: whoever reads the path sees a whole token, and the first of two makers wins.
    let staged = path.with_extension(format!("token.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
    let written =
        writeln!(file, "{}", data_encoding::BASE64URL_NOPAD.encode(&random)).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match fs::hard_link(&staged, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    });
    fs::remove_file(&staged)?;
    linked
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_pipe_in_the_place_of_a_token_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("token");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR).unwrap();
        let (said, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || said.send(read(&pipe).is_err()));
        assert_eq!(heard.recv_timeout(std::time::Duration::from_secs(30)), Ok(true));
    }

    #[test]
    fn a_token_is_made_once_for_this_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent-runner-fleet/attic.token");
        let first = read_or_make(&path).unwrap();
        assert_eq!(first.expose_secret().len(), 43);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_or_make(&path).unwrap().expose_secret(), first.expose_secret());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_token_that_others_can_read_or_guess_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let write = |text: &str, mode| {
            let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
        };
        write("0123456789abcdef\n", 0o644);
        assert!(matches!(read(&path), Err(TokenError::Open { mode: 0o644, .. })));
        write("short\n", 0o600);
        assert!(matches!(read(&path), Err(TokenError::Short(_))));
        write(" 0123456789abcdef\n", 0o600);
        assert_eq!(read(&path).unwrap().expose_secret(), "0123456789abcdef");
        assert!(matches!(read(dir.path()), Err(TokenError::File { .. })));
    }
}
