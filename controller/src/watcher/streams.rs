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
use crate::ssh::{Client, Exec, Settings, Source, Stream, Sudo};

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
        let cursor = cursor.map(|Cursor { file, offset }| format!("{file}:{offset}"));
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
            Ok(None) => return (ended(stream, complaint).await, Reach::Reached),
            Err(_) => {
                // Nothing came in time, not even a heartbeat: the connection is as good as cut.
                stream.cut().await;
                // Silence after some words may be a cut cable, and the next attempt will tell; silence right after
                // the login is an agent that hangs.
                let reach = if greeted { Reach::Unreached } else { Reach::Reached };
                return (format!("no heartbeat for {} s", SILENCE.as_secs()), reach);
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
            complaint = words(&String::from_utf8_lossy(&line.bytes));
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
            return (format!("the agent did not answer with a stream: {said}"), Reach::Reached);
        };
        if !greeted {
            greeted = true;
            if inputs.send(Input::Connected(watched.id.clone())).await.is_err() {
                return (String::new(), Reach::Reached);
            }
        }
        match &parsed {
            StreamLine::Event { cursor: at, .. } => *cursor = Some(at.clone()),
            // A connection that is lost before the first event goes on where this one began.
            StreamLine::Hello(hello) if cursor.is_none() => cursor.clone_from(&hello.cursor),
            StreamLine::Hello(_)
            | StreamLine::Alert { .. }
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

async fn ended(stream: Stream, complaint: String) -> String {
    let how = match stream.finish().await {
        Ok(status) => format!("the stream ended ({status})"),
        Err(error) => words(&error.to_string()),
    };
    if complaint.is_empty() { how } else { format!("{how}: {complaint}") }
}

pub(super) fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WORDS).collect()
}

fn spread(id: &StreamId) -> u32 {
    id.host.bytes().fold(0, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
}
