//! Stopping a host's service on the controller's word: through the agent's own `stop`, and believed only when the
//! agent says that it is not active any more.

use std::time::Duration;

use agent_runner::service::Status;
use tokio::sync::mpsc::Sender;

use super::streams::Watched;
use crate::fleetview::fold::Input;
use crate::remote;
use crate::ssh::Client;

/// How long the verb may take: it waits 5 s for the service by itself.
const DEADLINE: Duration = Duration::from_secs(30);

/// The alert that wants a stop.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What distinguishes it.
    pub identity: String,
    /// Its detector, which the host's log names as the reason.
    pub detector: String,
}

/// Asks a host to stop a project's service and reports what it said. A service that still drains its round is neither:
/// it is asked for again later.
pub async fn stop(client: Client, watched: Watched, wanted: Wanted, inputs: Sender<Input>) {
    let Wanted { identity, detector } = wanted;
    let answer = match ask(&client, &watched, &detector).await {
        Ok(Stopping::Stopped) => Input::Stopped(watched.id, identity),
        Ok(Stopping::Draining) => Input::Draining(watched.id, identity),
        Err(reason) => Input::StopFailed(watched.id, identity, reason),
    };
    // Nobody listens when the watch has ended.
    let _ = inputs.send(answer).await;
}

enum Stopping {
    Stopped,
    Draining,
}

async fn ask(client: &Client, watched: &Watched, detector: &str) -> Result<Stopping, String> {
    let script = remote::agent(&watched.work_dir, &["stop", "--because", detector]);
    let exec = watched.exec(script).deadline(Some(DEADLINE));
    let output = client.exec_beside(&watched.settings, exec).await.map_err(|error| error.to_string())?;
    if !output.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let status: Status = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    Ok(if status.active { Stopping::Draining } else { Stopping::Stopped })
}
