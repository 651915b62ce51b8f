//! The streams' connections: one shared SSH connection per host, a channel per project (where the host has no channel
//! left, a connection of the project's own), a cursor that survives every reconnect. Each stream is a task of its own, so that a hung host delays no other.

use std::time::Duration;

use agent_runner::store::follow::Cursor;
use agent_runner::witness::stream::{HEARTBEAT_S, StreamLine};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout};

use crate::fleetview::fold::Input;
use crate::fleetview::meter::Meter;
use crate::fleetview::state::{Reach, StreamId};
use crate::remote;
use crate::ssh::{Client, Exec, ExitStatus, Settings, Source, SshError, Sudo, sudo_refusal};

/// Silence after which a stream counts as hung: three heartbeats and a little.
pub(super) const SILENCE: Duration = Duration::from_secs(HEARTBEAT_S * 3 + 5);
/// The first pause before a reconnect, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The most of a host's words that is repeated in a reason, in characters.
const WORDS: usize = 200;

/// One project on one host, and how to reach it.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Which.
    pub id: StreamId,
    /// How to reach the host.
    pub settings: Settings,
    /// The project's folder there.
    pub work_dir: String,
    /// How to become whoever the agent runs as, where that is not who logs in.
    pub sudo: Option<Sudo>,
}

impl Watched {
    /// Returns a script as it runs there.
    pub fn exec(&self, script: String) -> Exec {
        self.finished(Exec::command(script))
    }

    /// Returns what follows its stream, behind a place in its log or behind everything that is in it.
    pub(super) fn speak(&self, cursor: Option<&Cursor>) -> Exec {
        let cursor = cursor.map(|Cursor { file, offset, mark: _ }| format!("{file}:{offset}"));
        let mut verb = vec!["monitor", "--mode", "stream"];
        if let Some(cursor) = &cursor {
            verb.extend(["--cursor", cursor]);
        }
        let exec = Exec::command(remote::agent(&self.work_dir, &verb)).deadline(None).hold_stdin();
        self.finished(exec)
    }

    fn finished(&self, exec: Exec) -> Exec {
        match &self.sudo {
            Some(sudo) => sudo.wrap(exec),
            None => exec,
        }
    }
}

/// Follows one stream for ever: connects, reads, reconnects after growing pauses, and goes on behind the last event.
/// Ends when nobody takes its inputs any more.
/// `cursor` is the place behind the last event an earlier run has seen.
pub async fn follow(client: Client, watched: Watched, cursor: Option<Cursor>, inputs: Sender<Input>) {
    let mut cursor = cursor;
    let mut pause = PAUSES.0;
    while !inputs.is_closed() {
        let before = cursor.clone();
        let (reason, reach) = read(&client, &watched, &mut cursor, &inputs).await;
        if cursor != before {
            pause = PAUSES.0;
        }
        if inputs.send(Input::Lost(watched.id.clone(), reason, reach)).await.is_err() {
            return;
        }
        // A share of chance keeps hosts that went down together from coming back together.
        let share =
            f64::from(std::process::id().wrapping_mul(31).wrapping_add(spread(&watched.id)) % 256) / 1024.0;
        sleep(pause.mul_f64(1.0 + share)).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Reads one connection's stream to its end and returns why it ended.
async fn read(
    client: &Client,
    watched: &Watched,
    cursor: &mut Option<Cursor>,
    inputs: &Sender<Input>,
) -> (String, Reach) {
    let session = match client.session(&watched.settings).await {
        Ok(session) => session,
        Err(error) => return (words(&error.to_string()), Reach::Unreached),
    };
    // Whoever hangs behind this point hangs on a host that is there.
    if inputs.send(Input::Reached(watched.id.clone())).await.is_err() {
        return (String::new(), Reach::Reached);
    }
    let exec = watched.speak(cursor.as_ref());
    let mut stream = match client.stream_beside(session, &watched.settings, exec).await {
        Ok(stream) => stream,
        Err(error) => return (words(&error.to_string()), Reach::Reached),
    };
    let mut complaint = String::new();
    let mut greeted = false;
    let start = Instant::now();
    let mut meter = Meter::new(start.elapsed());
    loop {
        let line = match timeout(SILENCE, stream.next()).await {
            Ok(Some(line)) => line,
            Ok(None) => {
                let ended = stream.finish().await;
                let reason = if greeted {
                    ending(ended.as_ref(), &complaint)
                } else {
                    no_stream(&watched.id.host, ended.as_ref(), &complaint)
                };
                return (reason, Reach::Reached);
            }
            Err(_) => {
                // Nothing came in time, not even a heartbeat: the connection is as good as cut.
                stream.cut().await;
                // Silence after some words may be a cut cable, and the next attempt will tell; silence right after
                // the login is an agent that hangs.
                let (host, seconds) = (&watched.id.host, SILENCE.as_secs());
                return if greeted {
                    (format!("no heartbeat for {seconds} s"), Reach::Unreached)
                } else {
                    let hung = format!("the agent there said nothing for {seconds} s");
                    (
                        format!("{hung}; see how the host is: agent-runner-fleet exec {host} -- uptime"),
                        Reach::Reached,
                    )
                };
            }
        };
        if stream.dropped() > 0 {
            let flooded = Input::Flooded(watched.id.clone(), format!("{} lines", stream.dropped()));
            if inputs.send(flooded).await.is_err() {
                return (String::new(), Reach::Reached);
            }
            return ("the host sent faster than it could be read; reading again".into(), Reach::Reached);
        }
        if line.source == Source::Stderr {
            let said = words(&String::from_utf8_lossy(&line.bytes));
            // What keeps an agent from beginning is told in several lines, and the last of them is seldom the reason.
            complaint = match (greeted, complaint.is_empty()) {
                (false, false) => words(&format!("{complaint} {said}")),
                (false, true) | (true, _) => said,
            };
            continue;
        }
        let Ok(parsed) = serde_json::from_slice::<StreamLine>(&line.bytes) else {
            let said = words(&String::from_utf8_lossy(&line.bytes));
            if greeted {
                let what = if line.cut { format!("too long: {said}") } else { said };
                if inputs.send(Input::Garbled(watched.id.clone(), what)).await.is_err() {
                    return (String::new(), Reach::Reached);
                }
                pace(&mut meter, start).await;
                continue;
            }
            let remedy = format!("agent-runner-fleet exec {} -- true must print nothing", watched.id.host);
            return (format!("the agent did not answer with a stream: {said}; {remedy}"), Reach::Reached);
        };
        if !greeted {
            greeted = true;
            if inputs.send(Input::Connected(watched.id.clone())).await.is_err() {
                return (String::new(), Reach::Reached);
            }
        }
        match &parsed {
            StreamLine::Event { cursor: at, .. } => *cursor = Some(at.clone()),
            StreamLine::Hello(hello) => match cursor.as_ref() {
                // A connection that is lost before the first event goes on where this one began.
                None => cursor.clone_from(&hello.cursor),
                Some(known) => {
                    if let Some(beginning) = hello.begins_anew(known) {
                        *cursor = Some(beginning);
                        let reason = "the log there is another one now; it is read from its beginning";
                        return (reason.into(), Reach::Reached);
                    }
                }
            },
            StreamLine::Alert { .. }
            | StreamLine::Resolved { .. }
            | StreamLine::State(_)
            | StreamLine::Heartbeat { .. } => {}
        }
        if inputs.send(Input::Line(watched.id.clone(), Box::new(parsed))).await.is_err() {
            return (String::new(), Reach::Reached);
        }
        pace(&mut meter, start).await;
    }
}

/// Waits where a host says more than its share: its own queue fills meanwhile, nobody else's.
async fn pace(meter: &mut Meter, start: Instant) {
    if let Some(wait) = meter.take(start.elapsed()) {
        sleep(wait).await;
    }
}

fn ending(ended: Result<&ExitStatus, &SshError>, complaint: &str) -> String {
    let how = match ended {
        Ok(status) => format!("the stream ended ({status})"),
        Err(error) => words(&error.to_string()),
    };
    if complaint.is_empty() { how } else { format!("{how}: {complaint}") }
}

/// Returns why a host that let us in gave no stream at all, with what helps.
fn no_stream(host: &str, ended: Result<&ExitStatus, &SshError>, complaint: &str) -> String {
    if let Some((why, remedy)) = sudo_refusal(complaint.as_bytes()) {
        return format!("{why}; {remedy}");
    }
    let how = ending(ended, complaint);
    let remedy = format!("agent-runner-fleet deploy --limit {host}");
    match ended {
        Ok(ExitStatus::Code(remote::NOT_INSTALLED)) => {
            format!("no agent there: {how}; bring it there with: {remedy}")
        }
        Ok(ExitStatus::Code(_) | ExitStatus::Signal(_)) => {
            format!("the agent there gave no stream: {how}; bring it up to date with: {remedy}")
        }
        // The connection itself broke: nothing is known of the agent.
        Err(_) => how,
    }
}

pub(super) fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WORDS).collect()
}

fn spread(id: &StreamId) -> u32 {
    id.host.bytes().fold(0, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_a_stream_is_told_with_the_reason_and_the_remedy() {
        for (status, complaint, expected) in [
            (
                ExitStatus::Code(remote::NOT_INSTALLED),
                "agent-runner is not installed for pi",
                "no agent there: the stream ended (exit code 127): agent-runner is not installed for pi; \
                 bring it there with: agent-runner-fleet deploy --limit pi7",
            ),
            (
                ExitStatus::Code(2),
                "error: invalid value 'stream' for '--mode <MODE>'",
                "the agent there gave no stream: the stream ended (exit code 2): error: invalid value 'stream' for \
                 '--mode <MODE>'; bring it up to date with: agent-runner-fleet deploy --limit pi7",
            ),
            (
                ExitStatus::Code(1),
                "sudo: a password is required",
                "sudo wants a password there; give it once with --ask-become-pass",
            ),
            (
                ExitStatus::Signal("KILL".into()),
                "",
                "the agent there gave no stream: the stream ended (signal KILL); bring it up to date with: \
                 agent-runner-fleet deploy --limit pi7",
            ),
        ] {
            assert_eq!(no_stream("pi7", Ok(&status), complaint), expected);
        }
    }
}
