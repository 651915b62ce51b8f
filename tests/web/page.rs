//! The page: first sight, live, filtered, one host, an action, a lost connection.

use agent_runner::witness::alert::Severity;
use agent_runner_tests::dashboard::{Browser, Invented, Look};
use agent_runner_tests::skip;
use serde_json::{Value, json};

/// What a host may say to harm whoever looks at it.
const EVIL: &str = "<img src=x onerror=document.title='evil'><script>document.title='evil'</script>";
const ESCAPE: &str = "\u{e00c}";
const ENTER: &str = "\u{e007}";

#[test]
fn a_person_sees_the_fleet_live_acts_on_it_and_sees_when_it_is_lost() {
    let Some(browser) = skip::or_skip(Browser::start()) else { return };
    let mut fleet = Invented::lively(3).unwrap();
    browser.look(Look { width: 1280, height: 800, scheme: "light" }).unwrap();
    browser.open(&format!("http://{}/", fleet.address())).unwrap();
    let standing = |place: usize| {
        let name = fleet.name(place);
        format!("document.querySelector('[data-host=\"{name}\"] .w').textContent")
    };
    browser.wait("document.getElementById('link').textContent === 'live'").unwrap();
    browser.wait(&format!("{} === 'auto-stopped'", standing(1))).unwrap();
    browser.wait(&format!("{} === 'active'", standing(0))).unwrap();
    let first = browser.run("return document.querySelector('#hosts li').dataset.host").unwrap();
    assert_eq!(first, Value::from(fleet.name(1)), "the worst comes first");

    // Live: a service stops, and an alert is told to screen readers, as text.
    fleet.state(0, false, false).unwrap();
    browser.wait(&format!("{} === 'stopped'", standing(0))).unwrap();
    fleet.alert(0, (Severity::Critical, "hung"), EVIL).unwrap();
    browser
        .wait(&format!("document.getElementById('alerts').textContent.includes({})", json!(EVIL)))
        .unwrap();
    browser.wait("document.getElementById('said').textContent.includes('critical: hung')").unwrap();
    let harmed = browser.run(
        "return document.title === 'evil' || document.images.length > 0 || document.scripts.length !== 1",
    );
    assert_eq!(harmed.unwrap(), Value::from(false));
    let nameless = "return [...document.querySelectorAll('button, input, select')].filter((one) => \
        !one.textContent.trim() && !one.getAttribute('aria-label') && !(one.labels && one.labels.length)).length";
    assert_eq!(browser.run(nameless).unwrap(), Value::from(0), "each control has a name");

    // Filter, by keyboard.
    let shown = "[...document.querySelectorAll('#hosts li')].map((one) => one.dataset.host).join(' ')";
    browser.keys("/").unwrap();
    browser.keys("disk_w").unwrap();
    browser.wait(&format!("{shown} === {}", json!(fleet.name(2)))).unwrap();
    browser.keys(ESCAPE).unwrap();
    browser.wait(&format!("{shown}.split(' ').length === 3")).unwrap();

    // One host, by keyboard: its rounds are drawn, one bar each.
    browser.run("document.activeElement.blur()").unwrap();
    browser.keys("j").unwrap();
    browser.keys(ENTER).unwrap();
    browser.wait("!document.getElementById('host').hidden").unwrap();
    browser
        .wait("document.querySelectorAll('#host svg[aria-label*=\"rounds\"] title').length === 40")
        .unwrap();
    browser.wait("document.querySelectorAll('#host .small svg').length === 3").unwrap();
    browser.keys(ESCAPE).unwrap();
    browser.wait("document.getElementById('host').hidden").unwrap();

    // An action: a wrong token is asked for again, the right one is enough.
    browser.run("document.querySelector('[aria-label^=\"Silence hung\"]').click()").unwrap();
    browser.wait("document.getElementById('ask').open").unwrap();
    let submit = "document.querySelector('#ask .yes').click()";
    browser.run(submit).unwrap();
    for (token, done) in [
        ("wrong", "document.querySelector('#ask .wrong').textContent !== ''"),
        (fleet.token(), "document.getElementById('silences').textContent.includes('detector=hung')"),
    ] {
        browser.wait("document.getElementById('token') && document.getElementById('ask').open").unwrap();
        browser.run(&format!("document.getElementById('token').value = {}; {submit}", json!(token))).unwrap();
        browser.wait(done).unwrap();
    }
    browser.wait("document.getElementById('actions').textContent.includes('tester (dashboard)')").unwrap();
    browser.wait("document.getElementById('alerts').textContent.includes('(silenced')").unwrap();

    // Lost: said out loud, and nothing is shown as up.
    fleet.end();
    browser.wait("!document.getElementById('lost').hidden").unwrap();
    let words = "[...document.querySelectorAll('#hosts .w')].map((one) => one.textContent).join(' ')";
    browser.wait(&format!("{words} === 'unknown unknown unknown'")).unwrap();
    browser.wait("document.getElementById('link').textContent === 'lost'").unwrap();
    assert_eq!(
        browser.run("return document.querySelectorAll('#hosts .good').length").unwrap(),
        Value::from(0)
    );

    // Back: another controller on the same address, which knows nothing yet.
    let again = Invented::start(3, fleet.address()).unwrap();
    browser.wait("document.getElementById('lost').hidden").unwrap();
    browser.wait(&format!("{words} === 'connecting connecting connecting'")).unwrap();
    drop(again);
}

#[test]
fn a_thousand_hosts_are_on_the_page_before_the_script_and_change_one_by_one() {
    let Some(browser) = skip::or_skip(Browser::start()) else { return };
    let fleet = Invented::lively(1000).unwrap();
    browser.open(&format!("http://{}/", fleet.address())).unwrap();
    browser.wait("document.querySelectorAll('#hosts li').length === 1000").unwrap();
    browser.wait("summary.levels.wait === 25 && summary.levels.bad === 25").unwrap();
    let name = fleet.name(500);
    // What does not change is not touched: the same element, and nobody else's text is written.
    browser
        .run(
            "window.touched = new Set(); new MutationObserver((all) => { for (const one of all) { \
             const tile = one.target.parentElement?.closest('#hosts li') || one.target.closest?.('#hosts li'); \
             if (tile) window.touched.add(tile.dataset.host); } })\
             .observe(document.getElementById('hosts'), { subtree: true, childList: true, characterData: true })",
        )
        .unwrap();
    fleet.state(500, false, false).unwrap();
    browser
        .wait(&format!("document.querySelector('[data-host=\"{name}\"] .w').textContent === 'stopped'"))
        .unwrap();
    let touched = browser.run("return [...window.touched]").unwrap();
    assert_eq!(touched, json!([name]));
}
