//! `agent-runner stop`.

use std::time::Instant;

use clap::Args;

use crate::error::{Error, Exit};
use crate::event::Event;
use crate::output::{self, Format};
use crate::service::{self, Asked, Stopping};
use crate::store::event_log::EventLog;
use crate::verb::{Ctx, project};
use crate::witness::detectors::DETECTORS;

/// Stop the service after its round; `active: true` in the answer means that it still drains
///
/// With --because the reason becomes an event of the log once the service is stopped: what fired the detector until
/// then does not stop the service again after the next start.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// The detector that asks for the stop
    #[arg(long, value_name = "DETECTOR", value_parser = detector)]
    because: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// When the service cannot be asked.
pub fn run(ctx: &Ctx, args: StopArgs) -> Result<Exit, Error> {
    let project = project::load(ctx)?;
    let since = Instant::now();
    if ctx.format == Format::Pretty {
        output::note(&format!("stopping {} ...", project.name));
    }
    let Stopping { asked, status, unanswered } =
        service::stop(&project).map_err(|error| project::failed(&project, error))?;
    if ctx.format == Format::Pretty {
        let seconds = since.elapsed().as_secs_f64();
        output::note(&if status.active {
            format!("{} still drains its round after {seconds:.1} s", project.name)
        } else if asked == Asked::Nobody && unanswered.is_some() {
            format!("no Loop of {} was found running", project.name)
        } else {
            format!("stopped {} in {seconds:.1} s", project.name)
        });
    }
    project::note_unanswered(&project, unanswered.as_ref());
    if let Some(detector) = args.because.filter(|_| !status.active) {
        EventLog::new(project.layout.clone()).append(&Event::MonitorAutoStopTriggered { detector });
    }
    project::print(ctx, &project, &status)
}

fn detector(name: &str) -> Result<String, String> {
    let known = DETECTORS.iter().any(|detector| detector.name == name);
    known
        .then(|| name.to_owned())
        .ok_or_else(|| "no such detector; `agent-runner monitor --list` names them".to_owned())
}
