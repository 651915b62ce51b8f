//! The whole screen: strip, body, foot, and what lies over them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::page::Page;
use super::{alerts, detail, help, question, strip, table};
use crate::tui::feed::Feed;
use crate::tui::look::Look;
use crate::tui::model::{Mode, Model, Screen};
use crate::tui::view::View;

/// The smallest screen that anything can be read on.
const SMALLEST: (u16, u16) = (50, 12);
/// From here on a stream is shown beside the table.
const WIDE: (u16, u16) = (140, 30);

/// Everything that is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The choices.
    pub model: &'a Model,
    /// The fleet.
    pub view: &'a View<'a>,
    /// What streams said last.
    pub feed: &'a Feed,
    /// How things look.
    pub look: Look,
}

/// Draws all of it.
pub fn draw(buffer: &mut Buffer, scene: Scene<'_>) {
    let area = buffer.area;
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let mut page = Page::new(buffer, area, scene.look);
        page.text(&format!("{} by {} is too small:", area.width, area.height), scene.look.heading());
        page.text(&format!("{} by {} is needed; q ends", SMALLEST.0, SMALLEST.1), scene.look.faint());
        return;
    }
    let head = Rect { height: strip::LINES, ..area };
    let foot = Rect { y: area.bottom() - 1, height: 1, ..area };
    let body = Rect { y: head.bottom(), height: area.height - strip::LINES - 1, ..area };
    strip::head(Page::new(buffer, head, scene.look), scene);
    match &scene.model.screen {
        Screen::Detail(stream) => detail::whole((buffer, body), stream, scene),
        Screen::Hosts | Screen::Alerts if area.width >= WIDE.0 && area.height >= WIDE.1 => {
            wide(buffer, body, scene)
        }
        Screen::Hosts => {
            let below = alerts_below(scene.view.alerts.len(), body.height);
            table::table(Page::new(buffer, Rect { height: body.height - below, ..body }, scene.look), scene);
            let rest = Rect { y: body.bottom() - below, height: below, ..body };
            alerts::list(Page::new(buffer, rest, scene.look), scene);
        }
        Screen::Alerts => alerts::list(Page::new(buffer, body, scene.look), scene),
    }
    strip::foot(Page::new(buffer, foot, scene.look), scene);
    match &scene.model.mode {
        Mode::Help => help::help((buffer, body), scene.look),
        Mode::Ask(asked) => question::question((buffer, body), asked, scene.look),
        Mode::Browse | Mode::Filter(_) => {}
    }
}

/// Returns how many lines alerts get below the table: a few, where there is room.
fn alerts_below(alerts: usize, room: u16) -> u16 {
    if alerts == 0 || room < 12 {
        return 0;
    }
    u16::try_from(alerts + 1).unwrap_or(u16::MAX).min(room / 3)
}

fn wide(buffer: &mut Buffer, body: Rect, scene: Scene<'_>) {
    let left = Rect { width: body.width * 3 / 5, ..body };
    let right = Rect { x: left.right() + 1, width: body.width - left.width - 1, ..body };
    let below = (body.height / 3).min(u16::try_from(scene.view.alerts.len() + 4).unwrap_or(u16::MAX)).max(4);
    table::table(Page::new(buffer, Rect { height: left.height - below, ..left }, scene.look), scene);
    let rest = Rect { y: left.bottom() - below, height: below, ..left };
    alerts::list(Page::new(buffer, rest, scene.look), scene);
    for y in body.top()..body.bottom() {
        buffer.set_span(left.right(), y, &Span::styled("\u{2502}", scene.look.faint()), 1);
    }
    let stream = match scene.model.screen {
        Screen::Alerts => scene.view.alert(scene.model).and_then(|alert| scene.view.stream_of(alert)),
        Screen::Hosts | Screen::Detail(_) => scene.view.stream(scene.model).map(|row| row.stream.clone()),
    };
    if let Some(stream) = stream {
        detail::beside(Page::new(buffer, right, scene.look), &stream, scene);
    }
}
