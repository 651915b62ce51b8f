//! The table of hosts.

use ratatui::style::Style;

use super::page::{Page, window};
use super::screen::Scene;
use agent_runner::witness::alert::Severity;

use crate::tui::model::Screen;
use crate::tui::rows::{Grouping, Row};
use crate::tui::text::width;
use crate::tui::view::{Entry, View};

/// From this width on, memory is shown; from the other one, account and version.
const ROOMY: (usize, usize) = (92, 112);

/// The columns of a table, by their widths; none where there is no room for one.
struct Columns {
    host: usize,
    project: usize,
    memory: Option<usize>,
    account: Option<usize>,
    version: Option<usize>,
    alerts: usize,
}

const STATUS: usize = 12;
const ROUND: usize = 7;
const LAST: usize = 12;
const DISK: usize = 4;
const MEMORY: usize = 7;
const AGE: usize = 4;

/// Draws heading, header and as many rows around the chosen one as there is room for.
pub(super) fn table(mut page: Page<'_>, scene: Scene<'_>) {
    let (model, view) = (scene.model, scene.view);
    page.heading(&heading(&scene), model.screen == Screen::Hosts);
    let columns = Columns::of(page.columns(), view);
    let bold = scene.look.heading();
    page.cells(&columns.line(titles(), bold), Style::new());
    let chosen = view.stream(model).map(|row| &row.stream);
    let at = view
        .entries
        .iter()
        .position(|entry| matches!(entry, Entry::Host(row) if Some(&row.stream) == chosen));
    let first = window(at.unwrap_or(0), view.entries.len(), page.room());
    if view.entries.is_empty() {
        let why = if model.filter.is_empty() {
            "no project is watched"
        } else {
            "no host is like that: Esc drops the filter"
        };
        page.text(why, scene.look.faint());
    }
    for (number, entry) in view.entries.iter().enumerate().skip(first).take(page.room()) {
        match entry {
            Entry::Heading(name, size) => page.text(&format!("{name} ({size})"), bold),
            Entry::Host(row) => {
                let is_chosen = Some(number) == at && model.screen == Screen::Hosts;
                let ground = if is_chosen { scene.look.chosen() } else { Style::new() };
                page.cells(&columns.cells(row, &scene), ground);
            }
        }
    }
}

fn heading(scene: &Scene<'_>) -> String {
    let (model, view) = (scene.model, scene.view);
    let (shown, all) = (view.rows().count(), view.fleet.streams.len());
    let mut words = if shown == all { format!("hosts: {all}") } else { format!("hosts: {shown} of {all}") };
    let turned = if model.descending { ", turned round" } else { "" };
    words.push_str(&format!("   sorted by {}{turned}", model.sort.word()));
    if model.grouping != Grouping::None {
        words.push_str(&format!("   by {}", model.grouping.word()));
    }
    if !model.filter.is_empty() {
        words.push_str(&format!("   like {:?}", model.filter));
    }
    words
}

/// The texts of one line, in the order of the columns.
struct Texts {
    sign: String,
    status: String,
    host: String,
    project: String,
    round: String,
    last: String,
    disk: String,
    memory: String,
    age: String,
    account: String,
    version: String,
    alerts: String,
}

fn titles() -> Texts {
    Texts {
        sign: String::new(),
        status: "STATE".into(),
        host: "HOST".into(),
        project: "PROJECT".into(),
        round: "ROUND".into(),
        last: "LAST".into(),
        disk: "DISK".into(),
        memory: "MEMORY".into(),
        age: " AGE".into(),
        account: "ACCOUNT".into(),
        version: "AGENT".into(),
        alerts: "ALERTS".into(),
    }
}

impl Columns {
    fn of(all: usize, view: &View<'_>) -> Columns {
        let longest = |text: fn(&Row) -> usize| view.rows().map(text).max().unwrap_or(0);
        let memory = (all >= ROOMY.0).then_some(MEMORY);
        let account =
            (all >= ROOMY.1).then_some(longest(|row| row.account.as_ref().map_or(0, |name| width(name))));
        let account = account.map(|wide| wide.clamp(7, 14));
        let version = (all >= ROOMY.1).then_some(8);
        let optional: usize = [memory, account, version].into_iter().flatten().map(|wide| wide + 1).sum();
        let fixed = 1 + STATUS + ROUND + LAST + DISK + AGE + 8 + optional;
        let free = all.saturating_sub(fixed);
        let host = longest(|row| width(&row.stream.host)).clamp(4, (free * 2 / 5).max(4));
        let project = longest(|row| width(&row.stream.project)).clamp(7, (free / 4).max(7));
        Columns { host, project, memory, account, version, alerts: free.saturating_sub(host + project) }
    }

    fn line(&self, texts: Texts, style: Style) -> Vec<(usize, String, Style)> {
        let mut cells = vec![
            (1, texts.sign, style),
            (STATUS, texts.status, style),
            (self.host, texts.host, style),
            (self.project, texts.project, style),
            (ROUND, texts.round, style),
            (LAST, texts.last, style),
            (DISK, texts.disk, style),
        ];
        cells.extend(self.memory.map(|wide| (wide, texts.memory, style)));
        cells.push((AGE, texts.age, style));
        cells.extend(self.account.map(|wide| (wide, texts.account, style)));
        cells.extend(self.version.map(|wide| (wide, texts.version, style)));
        cells.push((self.alerts, texts.alerts, style));
        cells
    }

    fn cells(&self, row: &Row, scene: &Scene<'_>) -> Vec<(usize, String, Style)> {
        let look = scene.look;
        // What a host said before it fell silent is no figure of now.
        let style = if row.status.is_current() { Style::new() } else { look.faint() };
        let mut cells = self.line(texts(row), style);
        for (place, cell) in cells.iter_mut().enumerate() {
            match place {
                0 | 1 => cell.2 = look.status(row.status),
                2 => cell.2 = Style::new(),
                _ => {}
            }
        }
        if let Some(alerts) = cells.last_mut() {
            alerts.2 = match row.worst {
                Some(Severity::Critical) => look.bad(),
                Some(Severity::Warning | Severity::Info) => look.heading(),
                None => look.faint(),
            };
        }
        cells
    }
}

fn texts(row: &Row) -> Texts {
    let dash = || "-".to_owned();
    let running = if row.running && row.status.is_current() { " \u{25b6}" } else { "" };
    let mut alerts: Vec<String> = row.firing.iter().map(ToString::to_string).collect();
    if row.quiet > 0 {
        alerts.push(format!("({} quiet)", row.quiet));
    }
    Texts {
        sign: row.status.sign().to_string(),
        status: row.status.word().to_owned(),
        host: row.stream.host.to_string(),
        project: row.stream.project.to_string(),
        round: row.round.map_or_else(dash, |number| format!("{number}{running}")),
        last: row.last.map_or_else(dash, last),
        disk: row.disk_pct.map_or_else(dash, |used| format!("{used:.0}%")),
        memory: row.mem_mb.map_or_else(dash, memory),
        age: format!("{:>4}", age(row.age_s)),
        account: row.account.as_ref().map_or_else(dash, ToString::to_string),
        version: row.version.clone().unwrap_or_else(dash),
        alerts: alerts.join(" "),
    }
}

fn last((code, seconds): (i64, Option<f64>)) -> String {
    let how = if code == 0 { "ok".to_owned() } else { format!("exit {code}") };
    match seconds {
        Some(seconds) if seconds < 100.0 => format!("{how} {seconds:.1}s"),
        Some(seconds) if seconds < 6000.0 => format!("{how} {:.0}m", seconds / 60.0),
        Some(seconds) => format!("{how} {:.0}h", seconds / 3600.0),
        None => how,
    }
}

fn memory(mb: i64) -> String {
    if mb < 10_000 { format!("{mb}M") } else { format!("{}G", mb / 1024) }
}

/// Returns an age in at most four characters.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..100 => format!("{seconds}s"),
        100..6000 => format!("{}m", seconds / 60),
        6000..172_800 => format!("{}h", seconds / 3600),
        172_800.. => format!("{}d", (seconds / 86_400).min(999)),
    }
}
