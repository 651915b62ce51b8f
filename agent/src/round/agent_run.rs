//! Starting the agent, watching it, and making sure that nothing of it is left.
//!
//! What the agent started and did not end itself ends with it, also after a clean exit: its process group, what left the
//! group, what double-forked. They get SIGTERM and two seconds. A background job that should be waited for has to be
//! waited for by the agent.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::agent_log::AgentLog;
use super::argv::{self, Told};
use super::container::{self, ContainerRun, IdFile};
use super::error::RoundError;
use super::failpoint::Step;
use super::hold::Hold;
use super::options::Resume;
use super::outcome::{AgentEnd, EndedBy};
use super::scene::Scene;
use super::watch::{self, Ending, Watched};
use crate::config::types::Delivery;
use crate::event::Event;
use crate::output;
use crate::process::child::{self, Child, ParentDeath, Spawn, Stdin};
use crate::process::identity::Identity;
use crate::process::orphans::{self, end_orphans};
use crate::process::signals::{Signals, StopSignal};

/// How long what the agent left behind may take to follow SIGTERM.
pub(super) const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// What one run of the agent needs beside the scene.
pub(super) struct Run<'a> {
    /// What arrives for us.
    pub(super) signals: &'a Signals,
    /// The agent's log.
    pub(super) log: &'a AgentLog,
    /// The prompt.
    pub(super) prompt: String,
    /// The session to continue.
    pub(super) resume: Option<Resume>,
    /// The first signal when we are told to end.
    pub(super) cooperative: StopSignal,
    /// How long the agent may take to follow a first signal.
    pub(super) reap_grace: Duration,
    /// Where a private folder can be made.
    pub(super) temp_dir: PathBuf,
}

/// Runs the agent to its end; `None` when we were told to end.
///
/// # Errors
/// When it cannot be started or waited for.
pub(super) fn run(scene: &Scene, hold: &mut Hold, run: Run<'_>) -> Result<Option<AgentEnd>, RoundError> {
    orphans::set_subreaper().map_err(|source| RoundError::System { what: "become a subreaper", source })?;
    let agent = &scene.profile.agent;
    let mut argv = argv::arguments(agent, scene.work_dir(), run.resume.as_ref(), &run.prompt);
    let container = container::detect(&argv);
    let id_file = match &container {
        Some(container) => {
            let noted = container.note_id(&mut argv, &run.temp_dir);
            scene.tolerate("note the container's id", noted).unwrap_or(IdFile::Nowhere)
        }
        None => IdFile::Nowhere,
    };
    let mut child = spawn(scene, argv, &run)?;
    let started = Instant::now();
    child.push_stdin();
    scene.reach(Step::Spawned);
    hold.announce(scene.round_num, Identity::of(child.pid()));
    scene.reach(Step::Running);
    let watched = Watched {
        child: &mut child,
        log: &run.log.file,
        started,
        signals: run.signals,
        cooperative: run.cooperative,
        reap_grace: run.reap_grace,
    };
    let ending = watch::watch(scene, watched);
    let is_stopped = match &ending {
        Ok(Ending::Over(end)) => end.was_stopped(),
        Ok(Ending::Interrupted) | Err(_) => true,
    };
    end_leftovers(scene, if is_stopped { Duration::ZERO } else { LEFTOVER_GRACE });
    scene.reach(Step::Reaped);
    if let (true, Some(container)) = (is_stopped, &container) {
        stop_container(scene, container, &id_file);
    }
    match ending {
        Ok(Ending::Over(end)) => Ok(Some(end)),
        Ok(Ending::Interrupted) => Ok(None),
        Err(source) => Err(RoundError::System { what: "wait for the agent", source }),
    }
}

/// Writes the event of an agent that we ended for its time.
pub(super) fn tell_kill(scene: &Scene, end: &AgentEnd) {
    let round_num = scene.round_num;
    match end.cause {
        EndedBy::Itself | EndedBy::Cancel => {}
        EndedBy::Grace => scene.emit(&Event::RoundGraceKill {
            round_num,
            grace_s: super::linger::grace_s(scene),
            live_children: Vec::new(),
        }),
        EndedBy::WallClock => {
            let reason = format!("exceeded round_budget_s={}", scene.profile.round_budget_s);
            scene.emit(&Event::RoundTimeoutKill { round_num, reason });
        }
    }
}

fn spawn(scene: &Scene, argv: Vec<String>, run: &Run<'_>) -> Result<Child, RoundError> {
    let agent = &scene.profile.agent;
    let told = Told {
        log_dir: scene.layout().root(),
        round_num: scene.round_num,
        phase: scene.phase(),
        work_dir: scene.work_dir(),
    };
    let program = argv.first().cloned().unwrap_or_default();
    let output = run.log.file.try_clone();
    let spawned = output.and_then(|output| {
        child::spawn(Spawn {
            argv: argv.into_iter().map(OsString::from).collect(),
            cwd: scene.work_dir().clone(),
            env: argv::environment(agent, &told),
            stdin: match agent.prompt_delivery {
                Delivery::Argv => Stdin::Null,
                Delivery::Stdin => Stdin::Bytes(run.prompt.clone().into_bytes()),
            },
            output,
            parent_death: ParentDeath::Kill,
        })
    });
    spawned.map_err(|source| RoundError::Spawn { program, source })
}

/// Ends everything below this process.
pub(super) fn end_leftovers(scene: &Scene, grace: Duration) {
    let leftovers = end_orphans(grace);
    if !leftovers.all_gone {
        output::note(&format!(
            "R{}: some of what was started does not end, even after KILL",
            scene.round_num
        ));
    }
}

fn stop_container(scene: &Scene, container: &ContainerRun, id_file: &IdFile) {
    let container_id = id_file.read(scene.work_dir());
    let stop_ok = container_id.as_ref().map(|id| container.stop(id, scene.work_dir()));
    let outcome = match stop_ok {
        Some(true) => "was stopped",
        Some(false) => "could not be stopped and may still run",
        None => "is unknown and may still run",
    };
    output::note(&format!(
        "R{}: the agent was ended; its {} container {outcome}",
        scene.round_num, container.runtime
    ));
    scene.emit(&Event::RoundContainerOrphanRisk {
        round_num: scene.round_num,
        runtime: container.runtime.clone(),
        container_id,
        stop_ok,
    });
}
