//! A small HTTP client: one POST with a deadline, over plain TCP or TLS with this machine's own roots.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};

/// How long one message may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const ANSWER: usize = 4096;
/// How much of it is repeated, in characters.
const WORDS: usize = 200;

/// The client; clones share their connections.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nobody answered.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Late,
    /// It answered something else than success.
    #[error("answered {status}: {said}")]
    Refused {
        /// With what.
        status: StatusCode,
        /// The beginning of what it said.
        said: String,
    },
    /// The message cannot even be put into words.
    #[error("{0}")]
    Local(String),
}

impl SendError {
    /// Returns whether the receiver does not want this very message: sending it again changes nothing.
    pub fn is_final(&self) -> bool {
        const BODY: [StatusCode; 3] =
            [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY];
        match self {
            SendError::Refused { status, .. } => BODY.contains(status),
            SendError::Unreachable(_) | SendError::Late | SendError::Local(_) => false,
        }
    }
}

impl Http {
    /// Returns a client. On a machine without roots of trust no https receiver is believed; plain ones are reached.
    pub fn with_roots_of_this_machine() -> Http {
        let builder = HttpsConnectorBuilder::new().with_native_roots().unwrap_or_else(|_| {
            let config = ClientConfig::builder().with_root_certificates(RootCertStore::empty());
            HttpsConnectorBuilder::new().with_tls_config(config.with_no_client_auth())
        });
        let connector = builder.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(90))
            .pool_max_idle_per_host(1)
            .build(connector);
        Http { client }
    }

    /// Sends a JSON body with further headers.
    ///
    /// # Errors
    /// When nobody takes it.
    pub async fn post(&self, url: &str, headers: &[(&str, String)], body: Vec<u8>) -> Result<(), SendError> {
        let mut request = Request::post(url)
            .header("content-type", "application/json")
            .header("user-agent", concat!("agent-runner-fleet/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| SendError::Local(error.to_string()))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| unreachable(&error))?;
            let status = answer.status();
            // An answer that is too long or breaks off has still said what counts.
            let said = Limited::new(answer.into_body(), ANSWER).collect().await;
            if status.is_success() {
                return Ok(());
            }
            let said = said.map(|said| said.to_bytes()).unwrap_or_default();
            let said = String::from_utf8_lossy(&said);
            let said = said.chars().filter(|c| !c.is_control()).take(WORDS).collect();
            Err(SendError::Refused { status, said })
        };
        tokio::time::timeout(DEADLINE, exchange).await.unwrap_or(Err(SendError::Late))
    }
}

/// The error with its causes: "connection refused" is in the last of them.
fn unreachable(error: &dyn std::error::Error) -> SendError {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        said = cause.to_string();
        source = cause.source();
    }
    SendError::Unreachable(said)
}
