//! A headless Chromium, driven over the WebDriver protocol.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use data_encoding::BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Ask, ask};
use crate::fleet::Running;
use crate::packages::{Needed, ensure};
use crate::skip::Unavailable;
use crate::wait;

/// A browser takes its time on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// A browser with one window and a throw-away profile.
#[derive(Debug)]
pub struct Browser {
    driver: SocketAddr,
    session: String,
    _running: Running,
    _profile: TempDir,
}

/// How the window looks.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// `light` or `dark`.
    pub scheme: &'static str,
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Errors
    /// [`Unavailable::Missing`] where there is no Chromium and none may be installed.
    pub fn start() -> Result<Self, Unavailable> {
        ensure(&[
            Needed { program: "chromium", package: "chromium" },
            Needed { program: "chromedriver", package: "chromium-driver" },
        ])?;
        Ok(Self::begin()?)
    }

    fn begin() -> anyhow::Result<Self> {
        let profile = tempfile::Builder::new().prefix("agent-runner-browser-").tempdir()?;
        let mut command = Command::new("chromedriver");
        command.args(["--port=0", "--allowed-ips=127.0.0.1"]).env("HOME", profile.path());
        let running = Running::start(&mut command)?;
        let port = || {
            let said = running.said();
            said.split("started successfully on port ")
                .nth(1)?
                .split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse::<u16>()
                .ok()
        };
        let port =
            wait::value(DEADLINE, || port().filter(|port| *port != 0)).context("the driver names no port")?;
        let driver = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let profile_argument = format!("--user-data-dir={}", profile.path().display());
        let options = json!({"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--disable-component-update", "--disable-dev-shm-usage", "--no-first-run", profile_argument]});
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}});
        let answer = post(driver, "/session", &wanted)?;
        let session = answer.get("sessionId").and_then(Value::as_str).context("no session")?.to_owned();
        Ok(Self { driver, session, _running: running, _profile: profile })
    }

    /// Sets the size of the window and the scheme of its colours.
    ///
    /// # Errors
    /// Where the browser refuses.
    pub fn look(&self, look: Look) -> anyhow::Result<()> {
        let size =
            json!({"width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": false});
        self.tools("Emulation.setDeviceMetricsOverride", &size)?;
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": look.scheme}]});
        self.tools("Emulation.setEmulatedMedia", &features)
    }

    /// Opens an address and waits until it is loaded.
    ///
    /// # Errors
    /// Where the browser refuses.
    pub fn open(&self, url: &str) -> anyhow::Result<()> {
        self.post("/url", &json!({"url": url})).map(drop)
    }

    /// Runs a function body in the page and returns its value.
    ///
    /// # Errors
    /// Where it throws.
    pub fn run(&self, script: &str) -> anyhow::Result<Value> {
        self.post("/execute/sync", &json!({"script": script, "args": []})).with_context(|| script.to_owned())
    }

    /// Waits until an expression is true in the page.
    ///
    /// # Errors
    /// Where it does not become true in time.
    pub fn wait(&self, expression: &str) -> anyhow::Result<()> {
        let script = format!("return Boolean({expression})");
        let holds = wait::until(DEADLINE, || self.run(&script).is_ok_and(|value| value == Value::Bool(true)));
        anyhow::ensure!(
            holds,
            "{expression} did not become true; the page:\n{}",
            self.run("return document.body.innerText")?
        );
        Ok(())
    }

    /// Presses keys, one after another, where the focus is.
    ///
    /// # Errors
    /// Where the browser refuses.
    pub fn keys(&self, keys: &str) -> anyhow::Result<()> {
        let each = keys.chars().flat_map(|key| {
            let key = key.to_string();
            [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
        });
        let actions =
            json!({"actions": [{"type": "key", "id": "keyboard", "actions": each.collect::<Vec<_>>()}]});
        self.post("/actions", &actions).map(drop)
    }

    /// Writes what the window shows to a PNG file.
    ///
    /// # Errors
    /// Where the browser refuses, or the file cannot be written.
    pub fn picture(&self, path: &Path) -> anyhow::Result<()> {
        let answer = ask(
            self.driver,
            Ask { path: &format!("/session/{}/screenshot", self.session), ..Ask::default() },
        )?;
        let value = answer.json()?;
        let text = value.get("value").and_then(Value::as_str).context("no picture")?;
        std::fs::write(path, BASE64.decode(text.as_bytes())?).with_context(|| path.display().to_string())
    }

    fn tools(&self, command: &str, parameters: &Value) -> anyhow::Result<()> {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters})).map(drop)
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        post(self.driver, &format!("/session/{}{path}", self.session), body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session; the driver is killed right after.
        let _ = ask(
            self.driver,
            Ask { method: "DELETE", path: &format!("/session/{}", self.session), ..Ask::default() },
        );
    }
}

fn post(driver: SocketAddr, path: &str, body: &Value) -> anyhow::Result<Value> {
    let body = body.to_string();
    let headers = [("content-type", "application/json")];
    let answer = ask(driver, Ask { method: "POST", path, headers: &headers, body: &body })?;
    anyhow::ensure!(answer.status == 200, "{path}: {}", answer.body);
    Ok(answer.json()?.get("value").cloned().unwrap_or_default())
}
