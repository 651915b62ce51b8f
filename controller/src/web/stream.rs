//! The live stream: a whole view, then what changes, as server-sent events.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::answer::body;
use super::board::Board;

/// One page's place in the stream.
struct Place {
    board: Board,
    /// The whole view that is sent next, and what follows it.
    full: Option<Bytes>,
    updates: Receiver<Bytes>,
    /// Held for as long as the page is open.
    _permit: OwnedSemaphorePermit,
}

/// Returns the stream for one more page.
pub(super) fn live(board: Board, permit: OwnedSemaphorePermit) -> Response {
    let (full, updates) = board.subscribe();
    let place = Place { board, full: Some(full), updates, _permit: permit };
    body("text/event-stream", Body::from_stream(unfold(place, next)))
}

async fn next(mut place: Place) -> Option<(Result<Bytes, Infallible>, Place)> {
    if let Some(full) = place.full.take() {
        return Some((Ok(full), place));
    }
    let update = match place.updates.recv().await {
        Ok(update) => update,
        Err(RecvError::Lagged(_)) => {
            // The page reads slower than the fleet changes: it gets the whole instead of what it missed.
            let (full, updates) = place.board.subscribe();
            place.updates = updates;
            full
        }
        Err(RecvError::Closed) => return None,
    };
    Some((Ok(update), place))
}
