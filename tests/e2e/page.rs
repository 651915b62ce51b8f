//! `monitor --mode http` in a real browser.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use agent_runner::event::Event;
use agent_runner::store::event_log::EventLog;
use agent_runner_tests::browser::{Browser, Screen};
use agent_runner_tests::skip::or_skip;

use crate::watched::project;

const AGENT: &str = env!("CARGO_BIN_EXE_agent-runner-under-test");
const EVIL: &str = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">";

/// The running monitor and the address it printed.
struct Served {
    child: Child,
    /// Closed, it would end.
    _stdout: BufReader<ChildStdout>,
    url: String,
}

impl Served {
    fn start(command: &mut Command) -> Served {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut url).unwrap();
        Served { child, _stdout: stdout, url: url.trim().to_owned() }
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end();
    }
}

/// A project whose agent, story and events want to take the page over.
fn evil_project(dir: &Path) -> EventLog {
    let log = project(dir);
    for (name, what) in [("narrative.md", "story"), ("round-current.log", "log"), (".agent-done", "done")] {
        fs::write(dir.join("logs").join(name), format!("{what} {EVIL}\n")).unwrap();
    }
    log.append(&Event::RoundEnd { round_num: 1 });
    log.append(&Event::ConfigBroken { reason: EVIL.to_owned() });
    log
}

fn monitor(config: PathBuf) -> Command {
    let mut command = Command::new(AGENT);
    command.args(["monitor", "--mode", "http", "--port", "0", "--config"]).arg(config);
    command.env_clear().env("HOME", "/nonexistent");
    command
}

const EVENTS: &str = "document.querySelector('#events').innerText";
const LINK: &str = "document.querySelector('#link').innerText";

#[test]
fn a_browser_shows_the_page_keeps_it_fresh_and_says_when_it_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let log = evil_project(dir.path());
    let mut served = Served::start(&mut monitor(dir.path().join("agent-runner.toml")));
    let Some(mut browser) = or_skip(Browser::open(&served.url)) else { return };

    // What is foreign is shown as it is and does nothing.
    browser.wait_for(&format!("{LINK} === 'live'")).unwrap();
    for (section, word) in [("narrative", "story"), ("log", "log"), ("ended", "done"), ("events", "reason=")]
    {
        let shown = format!(
            "document.querySelector('#{section}').innerText.includes(\"{word}{}\")",
            if word.ends_with('=') { "" } else { " <script>" }
        );
        browser.wait_for(&shown).unwrap();
    }
    assert_eq!(browser.value("document.querySelectorAll('main script, main img').length").unwrap(), 0);
    assert_ne!(browser.value("document.title").unwrap(), "owned");

    // What is written is there without loading the page again.
    browser.value("window.stays = true").unwrap();
    log.append(&Event::RoundEnd { round_num: 77 });
    browser.wait_for(&format!("{EVENTS}.includes('round=77')")).unwrap();
    assert_eq!(browser.value("window.stays").unwrap(), true);

    // The keyboard reaches everything: first the way past the links, then each text that scrolls.
    browser.value("document.activeElement.blur()").unwrap();
    browser.press("Tab", 9).unwrap();
    browser.wait_for("document.activeElement.className === 'skip'").unwrap();
    let reached = |browser: &mut Browser, wanted: &str| {
        (0..20).any(|_| {
            browser.press("Tab", 9).unwrap();
            browser.value(wanted).unwrap() == true
        })
    };
    assert!(reached(&mut browser, "document.activeElement.getAttribute('aria-label') === 'Recent events'"));
    log.append(&Event::RoundEnd { round_num: 78 });
    browser.wait_for(&format!("{EVENTS}.includes('round=78')")).unwrap();
    let kept = "document.activeElement.getAttribute('aria-label') === 'Recent events'";
    assert_eq!(browser.value(kept).unwrap(), true, "what is focused stays focused");

    // It fits a telephone and a desk, by day and by night.
    let mut grounds = Vec::new();
    for (width, scheme) in [(400, "light"), (1280, "dark")] {
        browser.look_at(Screen { width, height: 900, scheme }).unwrap();
        browser.wait_for(&format!("window.innerWidth === {width}")).unwrap();
        assert_eq!(browser.value("document.documentElement.scrollWidth <= window.innerWidth").unwrap(), true);
        grounds.push(browser.value("getComputedStyle(document.body).backgroundColor").unwrap());
    }
    assert_ne!(grounds[0], grounds[1]);

    served.end();
    browser
        .wait_for(&format!("{LINK}.startsWith('connection lost, trying again; this is how it was at ')"))
        .unwrap();
    assert_eq!(browser.value("document.body.classList.contains('lost')").unwrap(), true);
}
