//! The page of `peek` for a tired person: what runs, what went wrong, what to do. Pure.

use std::fmt::Write;

use jiff::Timestamp;

use super::answer::{Answer, Ended, RecentRound, Round};
use super::brake::Brake;
use super::defenses::Strength;
use crate::event::ended_well;
use crate::masking::mask_and_cut;
use crate::store::time;
use crate::witness::alert::Severity;

/// Cells of a bar.
const BAR: usize = 20;
/// Characters of a stash shown.
const SHORT_REF: usize = 10;
/// Characters of a finding or an error that are shown.
const FOREIGN_CHARS: usize = 300;

/// Whether the page is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// With ANSI colours.
    On,
    /// Plain text.
    Off,
}

#[derive(Debug, Clone, Copy)]
enum Ink {
    Red,
    Yellow,
    Green,
    Dim,
    Bold,
}

/// A page: what is so, and then the events that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// What is so.
    pub head: String,
    /// A line for each event, the newest last.
    pub events: String,
}

/// Returns the page.
pub fn view(answer: &Answer, now: Timestamp, colour: Colour) -> View {
    let mut page = Page { text: String::new(), colour };
    page.head(answer);
    page.ended(answer, now);
    page.round(answer, now);
    page.strip(answer);
    page.alerts(answer);
    page.waiting(answer, now);
    page.orphans(answer);
    page.host(answer);
    page.brake(answer);
    page.trouble(answer);
    if let Some(round) = &answer.current_round {
        page.one_round(round);
    }
    let head = std::mem::take(&mut page.text);
    page.events(answer);
    View { head, events: page.text }
}

struct Page {
    text: String,
    colour: Colour,
}

impl Page {
    fn row(&mut self, label: &str, value: &str) {
        let label = self.ink(Ink::Dim, &format!("{label:<9}"));
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{label} {value}");
    }

    fn ink(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Red => "1;31",
            Ink::Yellow => "33",
            Ink::Green => "32",
            Ink::Dim => "2",
            Ink::Bold => "1",
        };
        match self.colour {
            Colour::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Colour::Off => text.to_owned(),
        }
    }

    fn head(&mut self, answer: &Answer) {
        let service = &answer.service;
        let active = service.get("active").and_then(serde_json::Value::as_bool) == Some(true);
        let mode = service.get("mode").and_then(serde_json::Value::as_str).unwrap_or("none");
        let state = if active { self.ink(Ink::Green, "active") } else { self.ink(Ink::Red, "not running") };
        let uptime = service.get("uptime_s").and_then(serde_json::Value::as_i64).filter(|_| active);
        let uptime = uptime.map(|seconds| format!(", up {}", duration(seconds))).unwrap_or_default();
        let name = self.ink(Ink::Bold, &clean(&answer.project));
        let _ = writeln!(self.text, "{name}  {state} ({mode}{uptime})");
    }

    fn round(&mut self, answer: &Answer, now: Timestamp) {
        if let Some(running) = &answer.running {
            let budget = i64::try_from(running.budget_s).unwrap_or(i64::MAX);
            let share = running.elapsed_s as f64 / budget.max(1) as f64;
            let ink = if share > 1.0 { Ink::Red } else { Ink::Green };
            let value = format!(
                "{} running {} of {}  {}",
                numbered(running.round_num, running.phase.as_deref()),
                duration(running.elapsed_s),
                duration(budget),
                self.ink(ink, &bar(share)),
            );
            self.row("round", &value);
        } else if let Some(last) = answer.recent_rounds.last() {
            let ended = last.ended_at.as_deref().and_then(time::parse);
            let ago = ended.map(|at| format!(", {} ago", duration(now.duration_since(at).as_secs())));
            let value = format!(
                "{} {}{}",
                numbered(last.round_num, last.phase.as_deref()),
                ending(last),
                ago.unwrap_or_default()
            );
            self.row("round", &value);
        } else {
            self.row("round", "none yet");
        }
    }

    fn ended(&mut self, answer: &Answer, now: Timestamp) {
        if let Some(ended) = &answer.ended {
            let value = self.ink(Ink::Red, &why(ended, now));
            self.row("ended", &value);
        }
    }

    fn strip(&mut self, answer: &Answer) {
        let rounds = &answer.recent_rounds;
        if rounds.is_empty() {
            return;
        }
        let running = answer.running.as_ref().map(|running| running.round_num);
        let marks: String = rounds.iter().map(|round| self.mark(round, running)).collect();
        let legend = self.ink(Ink::Dim, "+ good  x failed  t timed out  > running  . no end");
        self.row("rounds", &format!("{marks}  {legend}"));
    }

    fn mark(&self, round: &RecentRound, running: Option<i64>) -> String {
        if running == Some(round.round_num) {
            return self.ink(Ink::Bold, ">");
        }
        match (round.exit_code, round.timed_out) {
            _ if round.exit_cause.as_deref().is_some_and(ended_well) => self.ink(Ink::Green, "+"),
            (_, Some(true)) => self.ink(Ink::Yellow, "t"),
            (Some(0), _) => self.ink(Ink::Green, "+"),
            (Some(_), _) => self.ink(Ink::Red, "x"),
            (None, _) => self.ink(Ink::Dim, "."),
        }
    }

    fn alerts(&mut self, answer: &Answer) {
        if answer.alerts.is_empty() && answer.cannot_judge.is_empty() {
            let none = self.ink(Ink::Green, "none");
            self.row("alerts", &none);
        }
        for blindness in &answer.cannot_judge {
            let value = self.ink(Ink::Yellow, &foreign(&blindness.to_string()));
            self.row("blind", &value);
        }
        for alert in &answer.alerts {
            let mark = match alert.severity {
                Severity::Critical => self.ink(Ink::Red, "CRITICAL"),
                Severity::Warning => self.ink(Ink::Yellow, "warning"),
                Severity::Info => self.ink(Ink::Dim, "info"),
            };
            self.row("alert", &format!("{mark} {}: {}", alert.detector, clean(&alert.message)));
            let hint = alert.context.get("hint").and_then(serde_json::Value::as_str).unwrap_or_default();
            if !hint.is_empty() {
                self.row("", &format!("-> {}", clean(hint)));
            }
        }
    }

    fn waiting(&mut self, answer: &Answer, now: Timestamp) {
        let limit = answer.service.get("rate_limit");
        let until = limit.and_then(|limit| limit.get("throttled_until_epoch")?.as_i64());
        if let Some(until) = until.and_then(|until| Timestamp::from_second(until).ok()) {
            let agent = limit.and_then(|limit| limit.get("agent")?.as_str()).unwrap_or_default();
            let kind = limit.and_then(|limit| limit.get("limit_type")?.as_str()).unwrap_or_default();
            let left = duration(until.duration_since(now).as_secs());
            let clock = until.strftime("%H:%M UTC");
            let value = format!("{} until {clock}, {left} to go ({})", clean(agent), clean(kind));
            let value = self.ink(Ink::Yellow, &value);
            self.row("throttled", &value);
        }
        if let Some(pause) = &answer.schedule {
            let until = pause.resume_at.as_deref().filter(|at| !at.is_empty()).unwrap_or("an unknown time");
            let window = pause.active_window.as_deref().unwrap_or_default();
            self.row("paused", &format!("until {} ({})", clean(until), clean(window)));
        }
    }

    fn orphans(&mut self, answer: &Answer) {
        let Some(state) = &answer.orphan else { return };
        for orphan in std::iter::once(&state.newest).chain(&state.earlier) {
            let files = orphan.files.len();
            let what =
                format!("round {} left {files} file{}", orphan.round_num, if files == 1 { "" } else { "s" });
            match &orphan.stashed_ref {
                Some(stash) => {
                    let short: String = stash.chars().take(SHORT_REF).collect();
                    self.row("orphan", &format!("{what}; get it back: git stash apply {}", clean(&short)));
                }
                None => self.row("orphan", &format!("{what}, not stashed")),
            }
        }
    }

    fn host(&mut self, answer: &Answer) {
        let system = &answer.system;
        if system.mem_total_mb == 0 {
            return;
        }
        let used = (system.mem_total_mb - system.mem_available_mb).max(0) as f64 / system.mem_total_mb as f64;
        let disk = system.disk_used_pct / 100.0;
        let (disk_bar, memory_bar) = (self.ink(level(disk), &bar(disk)), self.ink(level(used), &bar(used)));
        self.row("disk", &format!("{disk_bar} {:.1} GB free", system.disk_free_gb));
        self.row("memory", &format!("{memory_bar} {} MB available", system.mem_available_mb));
        if let Some(load) = system.load_1m {
            self.row("load", &format!("{load:.2}"));
        }
    }

    fn brake(&mut self, answer: &Answer) {
        let ink = if answer.brake == Brake::Armed.as_str() { Ink::Green } else { Ink::Yellow };
        if answer.brake != Brake::Off.as_str() {
            let value = self.ink(ink, &answer.brake);
            self.row("brake", &value);
        }
    }

    fn trouble(&mut self, answer: &Answer) {
        for weak in answer.defenses.iter().filter(|defense| defense.current_state == Strength::Degraded) {
            self.row("degraded", &format!("{}: {}", weak.name, weak.lacks.join("; ")));
        }
        for (label, list) in [
            ("hooks", &answer.recent_hook_failures),
            ("network", &answer.recent_blips),
            ("growth", &answer.recent_cgroup_growth_warnings),
            ("critic", &answer.critic_findings),
        ] {
            if let Some(newest) = list.last() {
                self.row(label, &format!("{} recently, the last at {}", list.len(), said(newest, "ts")));
                self.finding(label, newest);
            }
        }
    }

    /// What the newest of them says.
    fn finding(&mut self, label: &str, newest: &serde_json::Value) {
        if label == "hooks" {
            let (kind, message) = (said(newest, "error_type"), said(newest, "error_message"));
            self.row("", &format!("{}: {kind}: {message}", said(newest, "hook_name")));
        }
        if label == "critic" {
            let severity = said(newest, "severity");
            let ink = match severity.as_str() {
                "critical" => Ink::Red,
                "warning" => Ink::Yellow,
                _ => Ink::Dim,
            };
            let severity = self.ink(ink, &severity);
            self.row("", &format!("{severity} {}: {}", said(newest, "detector"), said(newest, "message")));
            let action = said(newest, "suggested_action");
            if !action.is_empty() {
                self.row("", &format!("-> {action}"));
            }
        }
    }

    fn one_round(&mut self, round: &Round) {
        let title = self.ink(Ink::Bold, &format!("round {}", round.round_num));
        let _ = writeln!(self.text, "\n{title}");
        self.row("started", &clean(&round.started_at));
        if let Some(seconds) = round.duration_so_far_s {
            self.row("lasted", &format!("{seconds:.0} s"));
        }
        if let Some(code) = round.exit_code {
            self.row("exit", &code.to_string());
        }
        if let Some(pid) = round.pid {
            self.row("pid", &pid.to_string());
        }
        self.row("log", &clean(&round.log_path));
        if let Some(tail) = &round.log_tail {
            for line in tail.lines() {
                let _ = writeln!(self.text, "  {}", clean(line));
            }
        }
    }

    fn events(&mut self, answer: &Answer) {
        for event in &answer.recent_events {
            let parsed = serde_json::to_vec(event).ok();
            let record = parsed.and_then(|bytes| crate::store::record::Record::parse(&bytes));
            if let Some(record) = record {
                let _ = writeln!(self.text, "{}", crate::witness::narrate::line(&record));
            }
        }
    }
}

fn numbered(round_num: i64, phase: Option<&str>) -> String {
    match phase {
        Some(phase) => format!("{round_num} ({})", clean(phase)),
        None => round_num.to_string(),
    }
}

/// Returns why a Loop ended, in one line.
pub fn why(ended: &Ended, now: Timestamp) -> String {
    let ago = time::parse(&ended.ts).map(|at| duration(now.duration_since(at).as_secs()));
    let ago = ago.map(|ago| format!(" {ago} ago")).unwrap_or_default();
    let what = match ended.event.as_str() {
        "monitor_auto_stop_triggered" => "stopped by its monitor".to_owned(),
        "config_broken" => "the configuration or the prompt cannot work".to_owned(),
        "agent_self_terminated" => "the agent said that it is done".to_owned(),
        other => other.replace('_', " "),
    };
    let reason = ended.reason.as_deref().and_then(|reason| reason.lines().next());
    let reason = reason.map(|reason| format!(": {}", clean(reason))).unwrap_or_default();
    format!("{what}{ago}{reason}")
}

fn ending(round: &RecentRound) -> String {
    let seconds = round.duration_s.map(|seconds| format!(" after {seconds:.0} s")).unwrap_or_default();
    match (round.exit_code, round.timed_out) {
        _ if round.exit_cause.as_deref().is_some_and(ended_well) => format!("ended well{seconds}"),
        (_, Some(true)) => format!("timed out{seconds}"),
        (Some(0), _) => format!("ended well{seconds}"),
        (Some(code), _) => format!("failed with {code}{seconds}"),
        (None, _) => "has no end".to_owned(),
    }
}

fn bar(share: f64) -> String {
    let percent = (share.clamp(0.0, 9.99) * 100.0).round();
    let cells = (share.clamp(0.0, 1.0) * BAR as f64).round();
    let full: String = (0..BAR).map(|cell| if (cell as f64) < cells { '#' } else { '-' }).collect();
    format!("[{full}] {percent:.0}%")
}

fn level(share: f64) -> Ink {
    match share {
        share if share >= 0.95 => Ink::Red,
        share if share >= 0.9 => Ink::Yellow,
        _ => Ink::Green,
    }
}

/// Returns seconds as the two largest units.
fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {:02}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes:02}m"),
        (days, hours, _) => format!("{days}d {hours:02}h"),
    }
}

/// Returns a text of an event, as it may stand in the page.
fn said(event: &serde_json::Value, key: &str) -> String {
    foreign(event.get(key).and_then(serde_json::Value::as_str).unwrap_or_default())
}

/// Text of any length that somebody else wrote: no secret, no more than a few lines.
fn foreign(text: &str) -> String {
    clean(&mask_and_cut(text, FOREIGN_CHARS))
}

/// Foreign text must not move the cursor or colour the page.
fn clean(text: &str) -> String {
    crate::plain::plain(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_bars_are_read_at_a_glance() {
        for (seconds, expected) in
            [(-5, "0s"), (59, "59s"), (61, "1m 01s"), (3_700, "1h 01m"), (90_000, "1d 01h")]
        {
            assert_eq!(duration(seconds), expected);
        }
        assert_eq!(bar(0.5), "[##########----------] 50%");
        assert_eq!(bar(1.5), "[####################] 150%");
        assert_eq!(bar(0.0), "[--------------------] 0%");
    }

    #[test]
    fn foreign_text_neither_moves_the_cursor_nor_breaks_the_line() {
        for said in ["\u{1b}[31mred\u{1b}[0m", "\u{1b}]0;title\u{7}", "a\r\nb\u{9b}2J", "\u{202e}"] {
            let shown = clean(said);
            assert!(!shown.contains(|c: char| c.is_control() || c == '\u{202e}'), "{said:?} gives {shown:?}");
        }
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m"), "red");
    }
}
