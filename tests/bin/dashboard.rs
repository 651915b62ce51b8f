//! The dashboard by hand, over a fleet that is invented: `cargo run -p agent-runner-tests --bin dashboard -- 60`.
//! With a folder as second word it takes pictures of the page into it instead.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use agent_runner_tests::dashboard::{Browser, Invented, Look};
use agent_runner_tests::wait;

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
        fleet.state(place % hosts, true, place / hosts % 2 == 0)?;
        place += 1;
    }
}

fn pictures(hosts: usize, folder: &Path) -> anyhow::Result<()> {
    let fleet = Invented::lively(hosts)?;
    let browser = Browser::start()?;
    for scheme in ["light", "dark"] {
        for (width, height) in [(1280, 800), (400, 800)] {
            browser.look(Look { width, height, scheme })?;
            let picture =
                |name: &str| browser.picture(&folder.join(format!("{hosts}-{scheme}-{width}-{name}.png")));
            open(&browser, fleet.address())?;
            picture("fleet")?;
            browser.run("document.querySelector('#hosts li button').click()")?;
            browser.wait("document.querySelector('#host svg rect')")?;
            picture("host")?;
        }
    }
    let paint = "return performance.getEntriesByType('paint').map(one => one.name + ' ' + Math.round(one.startTime)).join(', ')";
    say(&format!("{hosts} hosts: {}", browser.run(paint)?));
    Ok(())
}

fn open(browser: &Browser, address: SocketAddr) -> anyhow::Result<()> {
    browser.open("about:blank")?;
    browser.open(&format!("http://{address}/"))?;
    browser.wait("document.documentElement.dataset.live === 'yes'")?;
    browser.wait("summary.levels.bad > 0 && summary.levels.wait <= hosts.size / 20")
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
