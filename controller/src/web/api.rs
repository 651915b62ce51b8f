//! `/api/v1`: what is answered, documented in docs/dashboard.md.

use std::sync::Arc;
use std::time::Duration;

use agent_runner::error::in_words;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::answer::{json_of, list, refusal};
use super::board::Wanted;
use super::routes::{BODY, Site};
use super::view::{SCHEMA, alert};
use super::wish::Wish;
use super::{host as of_host, stream as live};
use crate::fleetview::alert::AlertState;
use crate::fleetview::state::StreamId;

/// Events told when nobody says how many, and at most.
const EVENTS: (usize, usize) = (100, 1000);
/// Lines of a log when nobody says how many.
const LINES: u32 = 100;
/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How long a wish is waited for; then its number is the answer.
const SOON: Duration = Duration::from_secs(5);

type Shared = State<Arc<Site>>;

pub(super) async fn state(State(site): Shared) -> Response {
    let view = site.board.view();
    let mut value = json!(view.summary);
    if let Some(object) = value.as_object_mut() {
        object.insert("at".into(), agent_runner::store::time::stamp(view.at).into());
        object.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        object.insert("sinks".into(), view.sinks.into());
    }
    json_of(&value)
}

pub(super) async fn hosts(State(site): Shared) -> Response {
    let rows = site.board.view().hosts;
    list("hosts", rows.into_values().filter_map(|row| serde_json::to_value(row).ok()).collect())
}

pub(super) async fn host(State(site): Shared, Path(name): Path<String>) -> Response {
    match of_host::host(&site.hub.snapshot(), &name) {
        Some(value) => json_of(&value),
        None => refusal(StatusCode::NOT_FOUND, &format!("{name:?} is not watched")),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct LogQuery {
    project: String,
    lines: Option<u32>,
}

pub(super) async fn log(
    State(site): Shared,
    Path(host): Path<String>,
    Query(query): Query<LogQuery>,
) -> Response {
    let Ok(_place) = site.logs.try_acquire() else {
        return refusal(StatusCode::TOO_MANY_REQUESTS, "too many logs are being fetched");
    };
    let stream = StreamId { host: host.into(), project: query.project.into() };
    if !site.hub.snapshot().streams.contains_key(&stream) {
        return refusal(StatusCode::NOT_FOUND, &format!("{stream} is not watched"));
    }
    match site.hub.log_tail(&stream, query.lines.unwrap_or(LINES)).await {
        Ok(lines) => json_of(&json!({"schema": SCHEMA, "lines": lines})),
        Err(error) => refusal(StatusCode::BAD_GATEWAY, &in_words(&error)),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct AlertQuery {
    #[serde(default)]
    past: bool,
}

pub(super) async fn alerts(State(site): Shared, Query(query): Query<AlertQuery>) -> Response {
    let fleet = site.hub.snapshot();
    let value = |one: &AlertState| alert(one, &fleet);
    if query.past {
        list("alerts", fleet.alerts.past().rev().map(value).collect())
    } else {
        list("alerts", fleet.alerts.open().map(value).collect())
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct EventQuery {
    host: Option<String>,
    project: Option<String>,
    kind: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn events(State(site): Shared, Query(query): Query<EventQuery>) -> Response {
    let most = query.limit.unwrap_or(EVENTS.0).min(EVENTS.1);
    let wanted = Wanted { host: query.host, project: query.project, kind: query.kind };
    list("events", site.board.events(most, &wanted))
}

pub(super) async fn silences(State(site): Shared) -> Response {
    list("silences", site.board.view().silences)
}

pub(super) async fn actions(State(site): Shared) -> Response {
    list("actions", site.actions.list())
}

pub(super) async fn action(State(site): Shared, Path(id): Path<u64>) -> Response {
    match site.actions.get(id) {
        Some(value) => json_of(&value),
        None => refusal(StatusCode::NOT_FOUND, "no such action, or it was long ago"),
    }
}

pub(super) async fn stream(State(site): Shared) -> Response {
    match site.pages.clone().try_acquire_owned() {
        Ok(permit) => live::live(site.board.clone(), permit),
        Err(_) => refusal(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open"),
    }
}

pub(super) async fn act(State(site): Shared, body: Body) -> Response {
    let body = match timeout(BODY_TIME, to_bytes(body, BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long, or was cut off"),
        Err(_) => return refusal(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
    };
    let (action, what) = match Wish::parse(&body).and_then(|wish| wish.action(&site.hub.snapshot())) {
        Ok(wish) => wish,
        Err(why) => return refusal(StatusCode::UNPROCESSABLE_ENTITY, &why),
    };
    let Some(id) = site.actions.begin(what, &site.by, Timestamp::now()) else {
        return refusal(StatusCode::TOO_MANY_REQUESTS, "too many actions run");
    };
    site.board.acted();
    // It goes on when the page is closed: half a resume is worse than a whole one.
    let work = tokio::spawn({
        let site = site.clone();
        async move {
            let outcome = site.hub.act(action, &site.by).await.map_err(|error| in_words(&error));
            site.actions.end(id, outcome, Timestamp::now());
            site.board.acted();
        }
    });
    let status = match timeout(SOON, work).await {
        Ok(Ok(())) => StatusCode::OK,
        Ok(Err(_)) => return refusal(StatusCode::INTERNAL_SERVER_ERROR, "the action broke off"),
        Err(_) => StatusCode::ACCEPTED,
    };
    let mut response = json_of(&site.actions.get(id).unwrap_or_default());
    *response.status_mut() = status;
    response
}
