//! `serve` and `monitor` without systemd: each in a session of its own, its output in a file of the log dir.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::status::running;
use super::stop::{STOP_WAIT, ServiceError, send, wait_for_end};
use super::{Project, env_file};
use crate::process::child::{Child, Environment, ParentDeath, Spawn, Stdin, spawn};
use crate::process::identity::Identity;
use crate::process::inherited::{LOCK_VARIABLE, NOTIFY_VARIABLES, STATE_VARIABLE};
use crate::store::atomic;
use crate::store::file_error::FileError;
use crate::store::regular::{self, open_regular};

/// How long `serve` may take until serve.pid names it.
const START_WAIT: Duration = Duration::from_secs(15);

/// What is meant for the process that started us and for nobody else: a hand-over's state, systemd's channels.
const NOT_INHERITED: [&str; 3] = [LOCK_VARIABLE, STATE_VARIABLE, "INVOCATION_ID"];

/// How often serve.pid is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The largest environment file that is read, in bytes.
const ENV_MAX: u64 = 1 << 20;

/// Bytes of a failed start's output that are shown.
const REASON_MAX: u64 = 2000;

/// Starts `serve` and returns it once serve.pid names it. One that runs already is returned as it is.
///
/// # Errors
/// When it cannot be started, or ends or stays silent instead of coming up.
pub fn start_serve(project: &Project, program: &Path) -> Result<Identity, ServiceError> {
    if let Some(serve) = running(project) {
        return Ok(serve);
    }
    let output = output_path(project, "serve");
    let before = fs::metadata(&output).map_or(0, |meta| meta.len());
    let mut child = start(project, program, "serve")?;
    let deadline = Instant::now() + START_WAIT;
    loop {
        if let Some(serve) = running(project) {
            return Ok(serve);
        }
        let look = deadline.min(Instant::now() + LOOK_EVERY);
        let ended = child.wait_until(look).map_err(|source| waiting(project, source))?;
        if ended.is_some() || Instant::now() >= deadline {
            let mut reason = printed_since(&output, before);
            if reason.is_empty() {
                reason = ended.map_or("serve.pid does not name it after 15 s".to_owned(), |status| {
                    format!("it ended with {} and printed nothing", status.code())
                });
            }
            return Err(ServiceError::NotStarted { project: project.name.clone(), reason });
        }
    }
}

/// Starts `monitor` unless one of ours runs.
///
/// # Errors
/// When it cannot be started or recorded.
pub fn start_monitor(project: &Project, program: &Path) -> Result<Identity, ServiceError> {
    if let Some(monitor) = running_monitor(project) {
        return Ok(monitor);
    }
    let child = start(project, program, "monitor")?;
    let identity = Identity::of(child.pid()).unwrap_or(Identity { pid: child.pid(), create_time: None });
    let path = monitor_pid(project);
    atomic::replace_json(&path, &identity).map_err(FileError::of("writing", &path))?;
    Ok(identity)
}

/// Returns the monitor that [`start_monitor`] started, while it runs.
pub fn running_monitor(project: &Project) -> Option<Identity> {
    let text = regular::read(&monitor_pid(project), ENV_MAX).ok()?;
    serde_json::from_slice::<Identity>(&text).ok().filter(Identity::is_running)
}

/// Ends the monitor that [`start_monitor`] started.
///
/// # Errors
/// When it cannot be signalled.
pub fn stop_monitor(project: &Project) -> Result<(), ServiceError> {
    if let Some(monitor) = running_monitor(project) {
        send(project, monitor, Signal::SIGTERM)?;
        if !wait_for_end(project, monitor, Instant::now() + STOP_WAIT)? {
            send(project, monitor, Signal::SIGKILL)?;
        }
    }
    let path = monitor_pid(project);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::of("removing", &path)(error).into())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Reads a project's environment file as systemd would; a missing one is empty.
///
/// # Errors
/// When it exists and cannot be read.
pub fn environment(path: &Path) -> io::Result<Vec<(String, String)>> {
    let opened = match open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    opened.take(ENV_MAX).read_to_end(&mut bytes)?;
    Ok(env_file::parse(&String::from_utf8_lossy(&bytes)))
}

fn start(project: &Project, program: &Path, verb: &str) -> Result<Child, ServiceError> {
    let root = project.layout.root();
    atomic::make_folder(root).map_err(FileError::of("making", root))?;
    let path = output_path(project, verb);
    let output = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let output = output.map_err(FileError::of("opening", &path))?;
    let env_path = project.account.env_file(&project.name);
    let env = environment(&env_path).map_err(FileError::of("reading", &env_path))?;
    let own = NOT_INHERITED
        .iter()
        .chain(&NOTIFY_VARIABLES)
        .fold(Environment::inherited(), |own, name| own.without(*name));
    let environment = env.into_iter().fold(own, |environment, (name, value)| environment.with(name, value));
    let argv: Vec<OsString> =
        vec![program.into(), verb.into(), "--config".into(), project.config.clone().into()];
    let child = Spawn {
        argv,
        cwd: project.work_dir.clone(),
        env: environment,
        stdin: Stdin::Null,
        output,
        parent_death: ParentDeath::Survive,
    };
    Ok(spawn(child).map_err(FileError::of("starting", program))?)
}

fn output_path(project: &Project, verb: &str) -> PathBuf {
    project.layout.root().join(format!("{verb}.out"))
}

fn monitor_pid(project: &Project) -> PathBuf {
    project.layout.root().join("monitor.pid")
}

fn printed_since(path: &Path, offset: u64) -> String {
    let read = || -> io::Result<String> {
        let mut file = open_regular(path)?;
        let end = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(offset.max(end.saturating_sub(REASON_MAX))))?;
        let mut bytes = Vec::new();
        file.take(REASON_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_default()
}

fn waiting(project: &Project, source: io::Error) -> ServiceError {
    ServiceError::Wait { project: project.name.clone(), source }
}
