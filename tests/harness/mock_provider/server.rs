//! The listener: a thread a connection, each request answered as the behavior of the moment says.
#![expect(clippy::indexing_slicing, reason = "a missing member of a JSON value is null")]

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::anthropic::{self, Content};
use super::behavior::{Behavior, Reply};
use super::failure::Refusal;
use super::request::{self, Dialect};
use super::{chat, conversation, failure, gemini, http, responses};
use crate::wait;

/// Connections at one time; more are closed at once.
const CONNECTIONS: usize = 128;
/// How long a peer may take to send its request.
const READ_DEADLINE: Duration = Duration::from_secs(30);
/// The longest time without an answer that the mock keeps up.
const HANG: Duration = Duration::from_secs(600);
/// Between two pieces of a slow stream.
const PAUSE: Duration = Duration::from_millis(300);
/// Requests that are remembered.
const REMEMBERED: usize = 1000;

/// A provider; it ends when it is dropped.
#[derive(Debug)]
pub struct MockProvider {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// One request that was made.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method and path.
    pub what: String,
    /// Whether it asked the model, with tools: the main conversation.
    pub asked: bool,
    /// Whether it asked the model at all.
    model: bool,
    /// Whether it carried a key that is not the mock's own; it was refused then.
    pub foreign_key: bool,
    /// The whole body.
    pub body: String,
}

#[derive(Debug)]
struct Shared {
    ended: AtomicBool,
    open: AtomicUsize,
    behavior: Mutex<Behavior>,
    seen: Mutex<Vec<Seen>>,
}

impl MockProvider {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// Where there is none.
    pub fn start(behavior: Behavior) -> io::Result<MockProvider> {
        MockProvider::start_at(behavior, (Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Listens at an address of loopback or of a lab's bridge, on a free port for port 0.
    ///
    /// # Errors
    /// Where it is taken, or not this machine's.
    pub fn start_at(behavior: Behavior, address: SocketAddr) -> io::Result<MockProvider> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            ended: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            behavior: Mutex::new(behavior),
            seen: Mutex::new(Vec::new()),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || serving.accept(&listener));
        Ok(MockProvider { address, shared })
    }

    /// `http://ADDRESS:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Behaves so from the next request on, and forgets the requests there were.
    pub fn behave(&self, behavior: Behavior) {
        *locked(&self.shared.behavior) = behavior;
        locked(&self.shared.seen).clear();
    }

    /// The requests since the last change of behavior.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        locked(&self.shared.seen).clone()
    }
}

impl Drop for MockProvider {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // The listener waits for a connection; this is one.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn accept(self: Arc<Shared>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.ended() {
                return;
            }
            let Ok(stream) = stream else { continue };
            if self.open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS {
                self.open.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let shared = Arc::clone(&self);
            std::thread::spawn(move || {
                // A client that goes away is no failure of the provider.
                let _ = shared.serve(&stream);
                let _ = stream.shutdown(Shutdown::Both);
                shared.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(READ_DEADLINE))?;
        stream.set_nodelay(true)?;
        let Some(incoming) = http::read(stream)? else { return Ok(()) };
        let path = request::path(&incoming.target).to_owned();
        let dialect = Dialect::of(&path).filter(|_| incoming.method == "POST");
        let body = request::body(&incoming);
        let tools = dialect.map(|dialect| conversation::tools(dialect, &body)).unwrap_or_default();
        let foreign_key = !request::has_only_the_fake_key(&incoming);
        let seen = Seen {
            what: format!("{} {path}", incoming.method),
            asked: dialect.is_some() && !tools.is_empty(),
            model: dialect.is_some(),
            foreign_key,
            body: String::from_utf8_lossy(&incoming.body).into_owned(),
        };
        let (before, number) = self.remember(seen);
        if foreign_key {
            return http::answer(stream, 418, &[], "{\"error\":{\"message\":\"not the mock's own key\"}}");
        }
        let behavior = *locked(&self.behavior);
        let Some(dialect) = dialect else { return elsewhere(stream, &path) };
        // Whoever brings no key at all is refused, however the provider behaves.
        let wanted = if request::has_the_fake_key(&incoming) {
            behavior.reply(conversation::results(dialect, &body), before)
        } else {
            Reply::Fail(Refusal::Key)
        };
        let reply = match wanted {
            // Titles and summaries are asked without tools.
            Reply::Call(_) | Reply::Say(_) if tools.is_empty() => Reply::Say(aside(&body).into()),
            reply @ (Reply::Call(_)
            | Reply::Say(_)
            | Reply::SaySlowly(_)
            | Reply::Fail(_)
            | Reply::Half
            | Reply::Nothing
            | Reply::Garbage) => reply,
        };
        let streamed = body["stream"] == true || path.ends_with("streamGenerateContent");
        let content = match reply {
            Reply::Fail(failed) => {
                let failure = failure::failure(dialect, failed, now());
                return http::answer(stream, failure.status, &failure.headers, &failure.body.to_string());
            }
            Reply::Nothing => return self.hang(stream),
            Reply::Garbage => {
                let html = [("x-mock".to_owned(), "garbage".to_owned())];
                return http::answer(
                    stream,
                    200,
                    &html,
                    "<html><body>Sign in to the hotel's network</body></html>",
                );
            }
            Reply::Say(text) | Reply::SaySlowly(text) => Content::Text(text),
            Reply::Half => Content::Text("Half of what there is to say, and then the line is".into()),
            Reply::Call(tool) => match conversation::call(&tool, &tools) {
                Some((name, arguments)) => Content::Call(name, arguments),
                None => Content::Text("There is no tool for this.".into()),
            },
        };
        let model = body["model"].as_str().map_or_else(|| model_in(&path), str::to_owned);
        if !streamed {
            let whole = whole(dialect, (&model, number), &content).to_string();
            let shown =
                if behavior == Behavior::Cut { whole.get(..whole.len() / 2).unwrap_or("") } else { &whole };
            return http::answer(stream, 200, &[], shown);
        }
        let pieces = match dialect {
            Dialect::Anthropic => anthropic::stream(&model, number, &content),
            Dialect::Responses => responses::stream(&model, number, &content),
            Dialect::Chat => chat::stream(&model, number, &content),
            Dialect::Gemini => gemini::stream(&model, number, &content),
        };
        self.send(stream, behavior, &pieces)
    }

    fn send(&self, stream: &TcpStream, behavior: Behavior, pieces: &[String]) -> io::Result<()> {
        http::begin_stream(stream)?;
        let sent = if behavior == Behavior::Cut { pieces.len() / 2 } else { pieces.len() };
        for piece in pieces.iter().take(sent) {
            http::chunk(stream, piece)?;
            if behavior == Behavior::Slow && wait::until(PAUSE, || self.ended()) {
                return Ok(());
            }
        }
        if behavior == Behavior::Cut { Ok(()) } else { http::end_stream(stream) }
    }

    /// Says nothing until the client has gone.
    fn hang(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut byte = [0];
        let gone = || match stream.read(&mut byte) {
            Ok(read) => read == 0,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        };
        let mut gone = gone;
        let _ = wait::until(HANG, || self.ended() || gone());
        Ok(())
    }

    /// Remembers a request; returns how many before it asked the model, and its number.
    fn remember(&self, request: Seen) -> (usize, usize) {
        let mut seen = locked(&self.seen);
        let before = seen.iter().filter(|seen| seen.model).count();
        let number = seen.len();
        if number < REMEMBERED {
            seen.push(request);
        }
        (before, number)
    }
}

/// What else agents ask for: models, token counts. The rest is not there.
fn elsewhere(stream: &TcpStream, path: &str) -> io::Result<()> {
    let answer = if path.ends_with("/count_tokens") {
        json!({ "input_tokens": 10 })
    } else if path.ends_with(":countTokens") {
        json!({ "totalTokens": 10 })
    } else if path.ends_with("/models") {
        json!({ "object": "list", "data": [], "models": [] })
    } else {
        return http::answer(
            stream,
            404,
            &[],
            "{\"error\":{\"message\":\"not found\",\"type\":\"not_found_error\"}}",
        );
    };
    http::answer(stream, 200, &[], &answer.to_string())
}

/// What the model says when it is asked beside the conversation: a title, or which model is to do the work.
fn aside(body: &Value) -> &'static str {
    if body["generationConfig"]["responseMimeType"] == "application/json" {
        r#"{"reasoning":"simple","complexity_reasoning":"simple","complexity_score":10,"model_choice":"flash"}"#
    } else {
        "Some work"
    }
}

fn whole(dialect: Dialect, (model, number): (&str, usize), content: &Content) -> Value {
    match dialect {
        Dialect::Anthropic => anthropic::message(model, number, content),
        Dialect::Responses => responses::whole(model, number, content),
        Dialect::Chat => chat::whole(model, number, content),
        Dialect::Gemini => gemini::whole(model, number, content),
    }
}

/// `/v1beta/models/MODEL:streamGenerateContent`
fn model_in(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or("");
    last.split(':').next().unwrap_or("").to_owned()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A thread that panicked has spoilt a test, not the list.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
