//! Agents in containers: recognising the command, noting the container's id, stopping what outlives its client.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::capture::{Capture, capture};
use crate::process::child::{Environment, Stdin};
use crate::store::regular::open_regular;

/// Global flags of the runtimes that take a value.
const FLAGS_WITH_VALUE: [&str; 10] = [
    "-H",
    "--host",
    "--context",
    "-c",
    "--config",
    "-l",
    "--log-level",
    "--tlscacert",
    "--tlscert",
    "--tlskey",
];

/// How long stopping a container may take.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The longest id file that is read, in bytes.
const ID_FILE_MAX: u64 = 128;

/// A command that runs a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRun {
    /// `docker` or `podman`.
    pub runtime: String,
    /// Where `run` stands in the command.
    run_index: usize,
}

/// Returns whether a command runs a container, looking through sudo, env and the runtime's global flags.
pub fn detect(argv: &[String]) -> Option<ContainerRun> {
    let mut index = 0;
    let runtime = loop {
        match base_name(argv.get(index)?) {
            "sudo" => index = behind_flags(argv, index + 1, &["-u", "--user"]),
            "env" => {
                index = behind_flags(argv, index + 1, &["-u", "--unset"]);
                while argv.get(index).is_some_and(|word| word.contains('=')) {
                    index += 1;
                }
            }
            name @ ("docker" | "podman") => break name.to_owned(),
            _ => return None,
        }
    };
    let run_index = behind_flags(argv, index + 1, &FLAGS_WITH_VALUE);
    (argv.get(run_index)? == "run").then_some(ContainerRun { runtime, run_index })
}

/// Returns whether the words contain a flag that keeps a container's stdin open.
pub fn is_interactive(words: &[String]) -> bool {
    words.iter().any(|word| {
        if let Some(value) = word.strip_prefix("--interactive") {
            return value.is_empty() || value == "=true";
        }
        word.strip_prefix('-').is_some_and(|cluster| {
            !cluster.starts_with('-')
                && cluster.contains('i')
                && cluster.bytes().all(|byte| byte.is_ascii_alphabetic())
        })
    })
}

/// Where the runtime writes the container's id.
#[derive(Debug)]
pub enum IdFile {
    /// In a private folder of ours, removed when this is dropped.
    Ours(PrivateDir),
    /// Where the operator's command says.
    Theirs(PathBuf),
    /// Nowhere: the command is none we may add a flag to.
    Nowhere,
}

/// A folder only we can read, removed with its content on drop.
#[derive(Debug)]
pub struct PrivateDir {
    path: PathBuf,
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // A leftover in the temp folder is all that is at stake.
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl ContainerRun {
    /// Makes the command tell the container's id: a file the operator names already, else, for the plain form
    /// (`docker run ...`), one of our own in a private folder below `temp_dir`.
    ///
    /// # Errors
    /// When the private folder cannot be made.
    pub fn note_id(&self, argv: &mut Vec<String>, temp_dir: &Path) -> io::Result<IdFile> {
        if let Some(named) = named_id_file(argv) {
            return Ok(IdFile::Theirs(PathBuf::from(named)));
        }
        if self.run_index != 1 {
            return Ok(IdFile::Nowhere);
        }
        let path = nix::unistd::mkdtemp(&temp_dir.join("agent-runner-cid-XXXXXX"))?;
        let file = path.join("round.cid").display().to_string();
        argv.splice(2..2, ["--cidfile".to_owned(), file]);
        Ok(IdFile::Ours(PrivateDir { path }))
    }

    /// Stops a container whose client was ended; whether that worked.
    pub fn stop(&self, id: &str, cwd: &Path) -> bool {
        let argv = [self.runtime.as_str(), "stop", "-t", "5", "--", id].map(OsString::from).to_vec();
        let done = capture(Capture {
            argv,
            cwd: cwd.to_owned(),
            env: Environment::inherited(),
            stdin: Stdin::Null,
            timeout: STOP_LIMIT,
            output_limit: 64 * 1024,
        });
        done.is_ok_and(|done| {
            let said = String::from_utf8_lossy(&done.stderr).to_ascii_lowercase();
            done.is_success() || said.contains("no such container")
        })
    }
}

impl IdFile {
    /// Reads the container's id, relative names below `work_dir`.
    pub fn read(&self, work_dir: &Path) -> Option<String> {
        let path = match self {
            IdFile::Ours(dir) => dir.path.join("round.cid"),
            IdFile::Theirs(path) => work_dir.join(path),
            IdFile::Nowhere => return None,
        };
        let mut text = String::new();
        open_regular(&path).ok()?.take(ID_FILE_MAX).read_to_string(&mut text).ok()?;
        let id = text.trim();
        let is_id = (12..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| id.to_owned())
    }
}

fn named_id_file(argv: &[String]) -> Option<&str> {
    let index = argv.iter().position(|word| word == "--cidfile" || word.starts_with("--cidfile="))?;
    let word = argv.get(index)?;
    word.strip_prefix("--cidfile=").or_else(|| argv.get(index + 1).map(String::as_str))
}

fn behind_flags(argv: &[String], mut index: usize, with_value: &[&str]) -> usize {
    while let Some(word) = argv.get(index).filter(|word| word.starts_with('-')) {
        index += if with_value.contains(&word.as_str()) { 2 } else { 1 };
    }
    index
}

fn base_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn container_runs_are_seen_through_sudo_env_and_global_flags() {
        for (line, runtime) in [
            ("docker run x", Some("docker")),
            ("/usr/bin/podman run --rm x", Some("podman")),
            ("sudo -n -u me docker run x", Some("docker")),
            ("sudo --user=me env -i A=1 B=2 docker -H tcp://x --tlskey k run x", Some("docker")),
            ("env docker run", Some("docker")),
            ("docker exec x", None),
            ("docker --context run x", None),
            ("claude docker run", None),
            ("sudo", None),
        ] {
            assert_eq!(detect(&words(line)).map(|run| run.runtime).as_deref(), runtime, "{line}");
        }
        assert_eq!(detect(&[]), None);
    }

    #[test]
    fn interactive_is_a_flag_a_cluster_or_a_long_word() {
        for line in ["docker run -i x", "docker run -it x", "docker run -dti x", "x --interactive"] {
            assert!(is_interactive(&words(line)), "{line}");
        }
        for line in
            ["docker run --init x", "docker run -t image", "docker run -v /i:/i", "x --interactive=false"]
        {
            assert!(!is_interactive(&words(line)), "{line}");
        }
    }

    #[test]
    fn the_id_is_noted_for_the_plain_form_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut argv = words("docker run x");
        let file = detect(&argv).unwrap().note_id(&mut argv, dir.path()).unwrap();
        assert_eq!(argv[2], "--cidfile");
        assert!(argv[3].ends_with("/round.cid") && argv[3].contains("agent-runner-cid-"), "{argv:?}");
        assert_eq!(file.read(dir.path()), None);
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

        let mut argv = words("sudo docker run x");
        let file = detect(&argv).unwrap().note_id(&mut argv, dir.path()).unwrap();
        assert!(matches!(file, IdFile::Nowhere));
        assert_eq!(argv, words("sudo docker run x"));
    }

    #[test]
    fn an_operators_id_file_is_read_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my.cid");
        let mut argv = words("docker run --cidfile=my.cid x");
        let file = detect(&argv).unwrap().note_id(&mut argv, dir.path()).unwrap();
        for (content, id) in [
            ("0123456789ab\n", Some("0123456789ab")),
            ("0123456789a", None),
            ("0123456789ag", None),
            ("$(reboot)....", None),
        ] {
            crate::store::atomic::replace(&path, content.as_bytes()).unwrap();
            assert_eq!(file.read(dir.path()).as_deref(), id, "{content}");
        }
        drop(file);
        assert!(path.exists());
    }
}
