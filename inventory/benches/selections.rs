//! What large fleets cost: `cargo bench -p agent-runner-inventory`. Wall times of one machine, to be compared with themselves.
#![expect(clippy::print_stdout, reason = "a bench has nobody but a person to tell")]

use std::path::Path;
use std::time::{Duration, Instant};

use agent_runner_inventory::{HostName, Inventory, Pattern, Selection, fold_names};

/// Hosts of the large fleet.
const HOSTS: usize = 100_000;
/// Times each thing is done; the best one counts.
const RUNS: usize = 5;

fn main() {
    let text = format!(
        "[fleet]\nname = \"big\"\n[groups.n]\nhosts = [\"n[000000-{:06}]\"]\nuser = \"pi\"\n",
        HOSTS - 1
    );
    let load = || Inventory::parse(&text, Path::new("fleet.toml")).expect("it is well-formed");
    let fleet = load();
    let pattern = format!("n[000000-{:06}]", HOSTS - 1);
    let list: Vec<&str> = fleet.hosts().iter().map(HostName::as_str).step_by(2).collect();
    let list = list.join(",");
    let select = |selection: &str| {
        fleet.select(&Selection::limit([selection])).map(|chosen| chosen.len()).unwrap_or_default()
    };
    show("a range of 100 000 names", || Pattern::parse(&pattern).map(|range| range.expand().len()));
    show("an inventory of 100 000 hosts", || load().hosts().len());
    show("all of them by range", || select(&pattern));
    show("one of them", || select("n000007"));
    show("all but every tenth", || select("all & !n*7"));
    show("50 000 names with commas", || select(&list));
    show("a regular expression", || select("~7$"));
    show("the names of all, folded", || fold_names(fleet.hosts()));
    show("the settings of all", || fleet.hosts().iter().filter_map(|name| fleet.host(name)).count());
}

fn show<T>(what: &str, work: impl Fn() -> T) {
    let once = || {
        let began = Instant::now();
        std::hint::black_box(work());
        began.elapsed()
    };
    let best = (0..RUNS).map(|_| once()).min().unwrap_or(Duration::ZERO);
    println!("{what:32} {:10.3} ms", best.as_secs_f64() * 1000.0);
}
