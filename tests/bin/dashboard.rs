//! The dashboard by hand, over a fleet that is invented: `cargo run -p agent-runner-tests --bin dashboard -- 60`.
//! With a folder as second word it takes pictures of the page into it instead.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use agent_runner_tests::browser::{Browser, Screen};
use agent_runner_tests::dashboard::{Invented, Service};
use agent_runner_tests::wait;
use anyhow::Context as _;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let hosts = words.first().and_then(|word| word.parse().ok()).unwrap_or(60);
    let done = match words.get(1) {
        Some(folder) => pictures(hosts, Path::new(folder)),
        None => show(hosts),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Shows it until it is killed; one host after another begins or ends a round.
fn show(hosts: usize) -> anyhow::Result<()> {
    let fleet = Invented::lively(hosts)?;
    say(&format!("http://{}/ token {}", fleet.address(), fleet.token()));
    let mut place = 0;
    loop {
        // Nothing ever holds: this is the pause between two hosts.
        let _ = wait::until(Duration::from_millis(500), || false);
        let service = if (place / hosts).is_multiple_of(2) { Service::Running } else { Service::Idle };
        fleet.state(place % hosts, service)?;
        place += 1;
    }
}

fn pictures(hosts: usize, folder: &Path) -> anyhow::Result<()> {
    let fleet = Invented::lively(hosts)?;
    let url = format!("http://{}/", fleet.address());
    for scheme in ["light", "dark"] {
        for width in [1280, 400] {
            let mut browser = Browser::open(&url)?;
            browser.look_at(Screen { width, height: 800, scheme })?;
            let mut picture = |what: &str, ready: &str| -> anyhow::Result<()> {
                browser.wait_for(ready)?;
                let bytes = data_encoding::BASE64.decode(browser.picture()?.as_bytes())?;
                let path = folder.join(format!("{hosts}-{scheme}-{width}-{what}.png"));
                std::fs::write(&path, bytes).with_context(|| path.display().to_string())
            };
            picture(
                "fleet",
                "lost === false && summary.levels.bad > 0 && summary.levels.wait <= hosts.size / 20",
            )?;
            picture(
                "host",
                "(opened || openHost(document.querySelector('#hosts li').dataset.host), document.querySelector('#host svg rect') !== null)",
            )?;
            let paint = browser.value(
                "performance.getEntriesByType('paint').map((one) => Math.round(one.startTime)).join(' ')",
            )?;
            say(&format!("{hosts} hosts, {width} {scheme}: first paint after {paint} ms"));
        }
    }
    Ok(())
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
