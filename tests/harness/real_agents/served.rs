//! Rounds under `serve`: the service is started as the page says, stopped during a round, and started again.

use std::time::Duration;

use agent_runner::provider::Presets;
use anyhow::Context as _;
use serde_json::Value;

use super::play::{FIRST_WORDS, Stage, events, newest_log};
use crate::mock_provider::{Behavior, MockProvider};
use crate::wait;

/// A round with everything before and after it.
const ROUND: Duration = Duration::from_secs(120);

/// What two rounds and the stop between them came to.
pub(super) struct Served {
    /// The exit code of the last stop.
    pub(super) code: i32,
    /// What was seen beside the log.
    pub(super) also: Vec<String>,
}

impl Stage<'_> {
    /// Two rounds, each of which the service is told to stop after. However it ends, no service is left.
    pub(super) fn serve(&self, url: &str, mock: &MockProvider) -> anyhow::Result<Served> {
        let served = self.two_rounds(url, mock);
        let ended = self.shell(url, "agent-runner kill --json");
        let served = served?;
        anyhow::ensure!(ended?.success(), "the service cannot be ended");
        Ok(served)
    }

    fn two_rounds(&self, url: &str, mock: &MockProvider) -> anyhow::Result<Served> {
        let (_, first) = self.one_round(url, 0)?;
        mock.behave(Behavior::Idle);
        let session = self.continued(url, mock)?;
        mock.behave(Behavior::Append);
        let (code, second) = self.one_round(url, first)?;
        let next = if second == first + 1 { "next round good" } else { "a round is missing" };
        let mut also = vec![session.to_owned(), next.to_owned()];
        if Presets::embedded().resume_flag(self.cli.name).is_some() {
            mock.behave(Behavior::Append);
            also.push(self.resumed(url, mock, second)?.to_owned());
        }
        Ok(Served { code, also })
    }

    /// Two rounds of one service: whether the second goes on in the session of the first, by the preset's own option.
    fn resumed(&self, url: &str, mock: &MockProvider, before: i64) -> anyhow::Result<&'static str> {
        self.shell(url, &self.steps()?.start)?.checked()?;
        let spawned = |round: i64| {
            let events = self.layout().and_then(|layout| events(&layout)).unwrap_or_default();
            events.iter().any(|event| event["event"] == "agent_spawn" && event["round_num"] == round)
        };
        anyhow::ensure!(wait::until(ROUND, || spawned(before + 2)), "the service runs no second round");
        let stopped = self.shell(url, "agent-runner stop --json")?;
        let ended = wait::until(ROUND, || self.is_inactive(url));
        anyhow::ensure!(ended, "the service does not end after its round: {}", stopped.stderr);
        // Each round asks with its prompt once; the prompt of the round before is there only in its session.
        let prompts = |body: &str| body.matches(FIRST_WORDS).count();
        let most = mock.seen().iter().map(|seen| prompts(&seen.body)).max().unwrap_or(0);
        let told = events(&self.layout()?)?.iter().any(|event| event["event"] == "session_resumed");
        Ok(match (most, told) {
            (2.., true) => "both rounds of a service in one session",
            (2.., false) => "a session continued without a word",
            (..2, _) => "each round of a service in a session of its own",
        })
    }

    /// Starts the service, stops it once a round after `before` is running, and returns the exit code of the stop and
    /// the number of the round, which has ended well.
    fn one_round(&self, url: &str, before: i64) -> anyhow::Result<(i32, i64)> {
        self.shell(url, &self.steps()?.start)?.checked()?;
        let number = |kind: &str| {
            let events = events(&self.layout().ok()?).ok()?;
            let newest = events.iter().rfind(|event| event["event"] == kind)?;
            newest["round_num"].as_i64().filter(|number| *number > before)
        };
        wait::value(ROUND, || number("agent_spawn")).context("the service runs no round")?;
        let stopped = self.shell(url, "agent-runner stop --json")?;
        // A round that takes longer than `stop` waits is drained all the same.
        let ended = wait::until(ROUND, || self.is_inactive(url));
        anyhow::ensure!(ended, "the service does not end after its round: {}", stopped.stderr);
        let all = events(&self.layout()?)?;
        let exit = all.iter().rfind(|event| event["event"] == "agent_exit").context("no agent has ended")?;
        let log = newest_log(&self.layout()?)?;
        let said = String::from_utf8_lossy(log.get(log.len().saturating_sub(2000)..).unwrap_or(&log));
        anyhow::ensure!(exit["exit_cause"] == "clean", "the round did not end well: {exit}: {said}");
        Ok((stopped.code(), number("agent_exit").context("the round that was running has not ended")?))
    }

    fn is_inactive(&self, url: &str) -> bool {
        let status =
            self.shell(url, "agent-runner status --json").map(|output| output.stdout).unwrap_or_default();
        let status: Value = serde_json::from_str(&status).unwrap_or_default();
        status.get("active") == Some(&Value::Bool(false))
    }
}
