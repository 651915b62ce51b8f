//! A real browser, without a window: headless Chromium, spoken to over its debugging pipe.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::run::find_program;
use crate::skip::Unavailable;
use crate::wait;

/// Chromium starts slowly on a busy machine.
const DEADLINE: Duration = Duration::from_secs(90);

/// The two pipes become descriptors 3 and 4, where the browser expects them.
const START: &str = r#"exec 3<"$1" 4>"$2"; shift 2; exec "$@""#;

/// A browser with one open page. Dropped, it is gone.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    asks: File,
    answers: Receiver<Value>,
    session: Option<String>,
    asked: u64,
    _profile: TempDir,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `light` or `dark`.
    pub scheme: &'static str,
}

impl Browser {
    /// Starts the browser and opens a page.
    ///
    /// # Errors
    /// [`Unavailable::Missing`] where there is no Chromium.
    pub fn open(url: &str) -> Result<Self, Unavailable> {
        let program = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(find_program);
        let Some(program) = program else { return Err(Unavailable::missing("no chromium is installed")) };
        Ok(Self::start(&program, url)?)
    }

    /// The value of a script's expression in the page.
    ///
    /// # Errors
    /// Where it throws, or the browser does not answer.
    pub fn value(&mut self, expression: &str) -> anyhow::Result<Value> {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", &asked)?;
        anyhow::ensure!(answer.get("exceptionDetails").is_none(), "`{expression}` throws: {answer}");
        Ok(answer.pointer("/result/value").cloned().unwrap_or_default())
    }

    /// Waits until an expression is true.
    ///
    /// # Errors
    /// Where it does not become true in time, with the text of the page.
    pub fn wait_for(&mut self, expression: &str) -> anyhow::Result<()> {
        let held = wait::until(DEADLINE, || self.value(expression).is_ok_and(|value| value == true));
        if held {
            return Ok(());
        }
        let text = self.value("document.body.innerText")?;
        anyhow::bail!("`{expression}` is not true of this page:\n{}", text.as_str().unwrap_or_default())
    }

    /// Presses and releases a key, as in `Tab`, `Enter`, `End`, `j`.
    ///
    /// # Errors
    /// Where the browser does not take it.
    pub fn press(&mut self, key: &str, code: u32) -> anyhow::Result<()> {
        let text = match key {
            "Enter" => "\r",
            _ if key.chars().count() == 1 => key,
            _ => "",
        };
        for kind in ["keyDown", "keyUp"] {
            let event =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", &event)?;
        }
        Ok(())
    }

    /// Sets how the page is looked at.
    ///
    /// # Errors
    /// Where the browser does not take it.
    pub fn look_at(&mut self, screen: Screen) -> anyhow::Result<()> {
        let Screen { width, height, scheme } = screen;
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &size)?;
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &media).map(drop)
    }

    /// A picture of what is seen, as the base64 text of a PNG.
    ///
    /// # Errors
    /// Where the browser makes none.
    pub fn picture(&mut self) -> anyhow::Result<String> {
        let answer = self.call("Page.captureScreenshot", &json!({"format": "png"}))?;
        Ok(answer.get("data").and_then(Value::as_str).context("no picture")?.to_owned())
    }

    /// What the page's script holds, in bytes, after everything that nobody holds was thrown away.
    ///
    /// # Errors
    /// Where the browser does not tell.
    pub fn heap(&mut self) -> anyhow::Result<u64> {
        self.call("HeapProfiler.collectGarbage", &json!({}))?;
        let usage = self.call("Runtime.getHeapUsage", &json!({}))?;
        usage.get("usedSize").and_then(Value::as_u64).context("no size")
    }

    fn start(program: &Path, url: &str) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let profile = tempfile::Builder::new().prefix("agent-runner-browser-").tempdir()?;
        let (asks, answers) = (profile.path().join("asks"), profile.path().join("answers"));
        for pipe in [&asks, &answers] {
            nix::unistd::mkfifo(pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        // Opened for both, so that opening waits for nobody.
        let both = |path: &Path| OpenOptions::new().read(true).write(true).open(path);
        let (to, from) = (both(&asks)?, both(&answers)?);
        let child = Command::new("/bin/sh")
            .args(["-c", START, "browser"])
            .args([&asks, &answers])
            .arg(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"])
            .args([
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--hide-scrollbars",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let (sender, received) = mpsc::channel();
        std::thread::spawn(move || {
            let messages = BufReader::new(from).split(0).map_while(Result::ok);
            for message in messages.filter_map(|message| serde_json::from_slice::<Value>(&message).ok()) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser =
            Self { child, asks: to, answers: received, session: None, asked: 0, _profile: profile };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}))?;
        let target = target.get("targetId").context("no page is opened")?;
        let attached =
            browser.call("Target.attachToTarget", &json!({"targetId": target, "flatten": true}))?;
        browser.session = attached.get("sessionId").and_then(Value::as_str).map(str::to_owned);
        browser.call("Page.navigate", &json!({"url": url}))?;
        browser.wait_for("document.readyState === 'complete'")?;
        Ok(browser)
    }

    fn call(&mut self, method: &str, params: &Value) -> anyhow::Result<Value> {
        self.asked += 1;
        let mut message = json!({"id": self.asked, "method": method, "params": params});
        if let (Some(session), Some(fields)) = (&self.session, message.as_object_mut()) {
            fields.insert("sessionId".to_owned(), json!(session));
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.asks.write_all(&bytes)?;
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let answer =
                self.answers.recv_timeout(left).with_context(|| format!("{method} is not answered"))?;
            if answer.get("id").and_then(Value::as_u64) == Some(self.asked) {
                if let Some(error) = answer.get("error") {
                    anyhow::bail!("{method}: {error}");
                }
                return Ok(answer.get("result").cloned().unwrap_or_default());
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // Its helpers are in its group.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}
