//! What is answered where. Every request passes the guard first, and every answer carries the same headers.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use tokio::sync::Semaphore;

use super::actions::Actions;
use super::answer::{body, harden, refusal};
use super::board::Board;
use super::guard::{Guard, Need};
use super::metrics::{self, Own};
use super::{api, page};
use crate::watcher::hub::Hub;

/// Pages that may be open at once.
pub(super) const PAGES: usize = 64;
/// Logs that may be fetched from hosts at once.
const LOGS: usize = 8;
/// The longest body of a request, in bytes.
pub(super) const BODY: usize = 16 * 1024;
/// How long an answer may take: a host is asked for its log.
const DEADLINE: Duration = Duration::from_secs(75);

/// Everything the answers are made of.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) hub: Hub,
    pub(super) board: Board,
    pub(super) actions: Actions,
    pub(super) guard: Guard,
    /// Who acts, for the history.
    pub(super) by: String,
    pub(super) pages: Arc<Semaphore>,
    pub(super) logs: Semaphore,
}

impl Site {
    pub(super) fn new(hub: Hub, guard: Guard, by: String) -> Site {
        let actions = Actions::default();
        let board = Board::new(hub.clone(), actions.clone());
        let (pages, logs) = (Arc::new(Semaphore::new(PAGES)), Semaphore::new(LOGS));
        Site { hub, board, actions, guard, by, pages, logs }
    }
}

/// Returns the table of answers.
pub(super) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/page.css", get(async || body("text/css; charset=utf-8", page::STYLE)))
        .route("/page.js", get(async || body("text/javascript; charset=utf-8", page::SCRIPT)))
        .route("/metrics", get(metrics))
        .route("/api/v1/state", get(api::state))
        .route("/api/v1/hosts", get(api::hosts))
        .route("/api/v1/hosts/{host}", get(api::host))
        .route("/api/v1/hosts/{host}/log", get(api::log))
        .route("/api/v1/alerts", get(api::alerts))
        .route("/api/v1/events", get(api::events))
        .route("/api/v1/silences", get(api::silences))
        .route("/api/v1/actions", get(api::actions).post(api::act))
        .route("/api/v1/actions/{id}", get(api::action))
        .route("/api/v1/stream", get(api::stream))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "there is nothing here"))
        .method_not_allowed_fallback(async || refusal(StatusCode::METHOD_NOT_ALLOWED, "not with this method"))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(site.clone(), guarded))
        .with_state(site)
}

/// Asks the guard, bounds the time, and adds the headers.
async fn guarded(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let need = need(request.method(), request.uri().path());
    let mut response = match site.guard.check(need, request.method(), request.headers()) {
        Err(refused) => refusal(refused.status(), &refused.to_string()),
        Ok(()) => match tokio::time::timeout(DEADLINE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => refusal(StatusCode::GATEWAY_TIMEOUT, "no answer in time"),
        },
    };
    harden(response.headers_mut());
    response
}

/// Returns what a request needs. What makes the controller ask a host counts as acting.
fn need(method: &Method, path: &str) -> Need {
    match path {
        _ if method != Method::GET && method != Method::HEAD => Need::Act,
        "/" | "/page.css" | "/page.js" => Need::Shell,
        _ if path.starts_with("/api/v1/hosts/") && path.ends_with("/log") => Need::Act,
        _ => Need::Read,
    }
}

async fn index(State(site): State<Arc<Site>>, request: Request) -> Response {
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let html = if site.guard.is_private() && !site.guard.is_token(token) {
        page::locked()
    } else {
        page::page(&site.board.view())
    };
    body("text/html; charset=utf-8", html)
}

async fn metrics(State(site): State<Arc<Site>>) -> Response {
    let own = Own { pages: site.board.pages() };
    body(metrics::CONTENT_TYPE, metrics::text(&site.hub.snapshot(), &site.board.counted(), own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_changes_something_or_asks_a_host_needs_the_token() {
        for (method, path, expected) in [
            (Method::GET, "/", Need::Shell),
            (Method::GET, "/metrics", Need::Read),
            (Method::GET, "/api/v1/stream", Need::Read),
            (Method::GET, "/api/v1/hosts/pi1", Need::Read),
            (Method::GET, "/api/v1/hosts/pi1/log", Need::Act),
            (Method::POST, "/api/v1/actions", Need::Act),
            (Method::POST, "/", Need::Act),
            (Method::DELETE, "/page.css", Need::Act),
            (Method::GET, "/elsewhere", Need::Read),
        ] {
            assert_eq!(need(&method, path), expected, "{method} {path}");
        }
    }
}
