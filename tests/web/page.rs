//! The page: first sight, live, filtered, one host, an action, a lost connection.

use agent_runner::witness::alert::{Blindness, Severity};
use agent_runner::witness::stream::{State, StreamLine};
use agent_runner_tests::browser::{Browser, Screen};
use agent_runner_tests::dashboard::{Invented, Service};
use agent_runner_tests::skip;
use serde_json::{Value, json};

/// What a host may say to harm whoever looks at it.
const EVIL: &str = "<img src=x onerror=document.title='evil'><script>document.title='evil'</script>";
/// What browsers call these keys.
const ESCAPE: (&str, u32) = ("Escape", 27);
const ENTER: (&str, u32) = ("Enter", 13);

/// Simulated minutes after which everything that is kept once is kept, and all of them.
const WARM: usize = 6;
const MINUTES: usize = 30;
/// What the page's script may hold more at the end, in bytes: 24 changes of a thousand hosts would be more if they were kept.
const GROWTH: u64 = 1 << 20;

/// The luminance behind the page, and the texts whose contrast with what is behind them is less than 4.5 to 1 (WCAG AA).
const FAINT: &str = r#"(() => {
    const parts = (colour) => {
        const all = colour.match(/[\d.]+/g).map(Number);
        return { rgb: all.slice(0, 3).map((v) => (colour.startsWith("color(") ? v : v / 255)), a: all[3] ?? 1 };
    };
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (one) => {
        for (let at = one; at; at = at.parentElement) {
            const colour = parts(getComputedStyle(at).backgroundColor);
            if (colour.a > 0.5) return luminance(colour.rgb);
        }
        return matchMedia("(prefers-color-scheme: dark)").matches ? 0 : 1;
    };
    const texts = [...document.body.querySelectorAll("*")].filter((one) => one.offsetParent
        && !one.closest(":disabled")
        && [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
    const faint = texts.filter((one) => {
        const [a, b] = [luminance(parts(getComputedStyle(one).color).rgb), behind(one)].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05) < 4.5;
    });
    return { behind: behind(document.body), texts: texts.length, 
        faint: faint.map((one) => `${one.outerHTML.slice(0, 120)} ${getComputedStyle(one).color} on ${behind(one)}`) };
})()"#;

/// What a host says whose login failures cannot be judged.
fn blind() -> StreamLine {
    StreamLine::State(State {
        active: true,
        round_num: Some(7),
        phase: None,
        running: true,
        since: None,
        last_exit_code: Some(0),
        last_duration_s: Some(2.0),
        disk_used_pct: None,
        throttled_until: None,
        mem_available_mb: None,
        monitor_active: Some(true),
        config_sha256: None,
        cannot_judge: vec![Blindness { detector: "oauth_fail".into(), error: EVIL.into() }],
    })
}

#[test]
fn a_person_sees_the_fleet_live_acts_on_it_and_sees_when_it_is_lost() {
    let mut fleet = Invented::lively(3).unwrap();
    let url = format!("http://{}/", fleet.address());
    let Some(mut browser) = skip::or_skip(Browser::open(&url)) else { return };
    browser.look_at(Screen { width: 1280, height: 800, scheme: "light" }).unwrap();
    let names: Vec<String> = (0..3).map(|place| fleet.name(place).to_owned()).collect();
    let standing = |place: usize| {
        let name = &names[place];
        format!("document.querySelector('[data-host=\"{name}\"] .w').textContent")
    };
    browser.wait_for("document.getElementById('link').textContent === 'live'").unwrap();
    browser.wait_for(&format!("{} === 'auto-stopped'", standing(1))).unwrap();
    browser.wait_for(&format!("{} === 'active'", standing(0))).unwrap();
    let first = browser.value("document.querySelector('#hosts li').dataset.host").unwrap();
    assert_eq!(first, Value::from(fleet.name(1)), "the worst comes first");

    // The same in the dark: every text stands out from what is behind it.
    for (scheme, behind) in [("dark", 0.0..0.1), ("light", 0.5..1.0)] {
        browser.look_at(Screen { width: 1280, height: 800, scheme }).unwrap();
        // Colours change with the next frame.
        let clear = browser.wait_for(&format!("{FAINT}.faint.length === 0"));
        let seen = browser.value(FAINT).unwrap();
        assert!(clear.is_ok(), "{scheme}: texts with less than 4.5 to 1: {seen:#}");
        assert!(behind.contains(&seen["behind"].as_f64().unwrap()), "{scheme}: {seen:#}");
        assert!(seen["texts"].as_u64().unwrap() > 30, "{scheme}: {seen:#}");
    }

    // Live: a service stops, and an alert is told to screen readers, as text.
    fleet.state(0, Service::Stopped).unwrap();
    browser.wait_for(&format!("{} === 'stopped'", standing(0))).unwrap();
    fleet.alert(0, (Severity::Critical, "hung"), EVIL).unwrap();
    browser
        .wait_for(&format!("document.getElementById('alerts').textContent.includes({})", json!(EVIL)))
        .unwrap();
    browser.wait_for("document.getElementById('said').textContent.includes('critical: hung')").unwrap();
    let harmed = browser
        .value("document.title === 'evil' || document.images.length > 0 || document.scripts.length !== 1");
    assert_eq!(harmed.unwrap(), Value::from(false));
    let nameless = "[...document.querySelectorAll('button, input, select')].filter((one) => \
        !one.textContent.trim() && !one.getAttribute('aria-label') && !(one.labels && one.labels.length)).length";
    assert_eq!(browser.value(nameless).unwrap(), Value::from(0), "each control has a name");

    // Filter, by keyboard.
    let shown = "[...document.querySelectorAll('#hosts li')].map((one) => one.dataset.host).join(' ')";
    for key in ["/", "d", "i", "s", "k", "_", "w"] {
        browser.press(key, 0).unwrap();
    }
    browser.wait_for(&format!("{shown} === {}", json!(fleet.name(2)))).unwrap();
    browser.press(ESCAPE.0, ESCAPE.1).unwrap();
    browser.wait_for(&format!("{shown}.split(' ').length === 3")).unwrap();

    // One host, by keyboard: its rounds are drawn, one bar each.
    browser.value("document.activeElement.blur()").unwrap();
    browser.press("j", 0).unwrap();
    browser.press(ENTER.0, ENTER.1).unwrap();
    browser.wait_for("!document.getElementById('host').hidden").unwrap();
    browser
        .wait_for("document.querySelectorAll('#host svg[aria-label*=\"rounds\"] title').length === 40")
        .unwrap();
    browser.wait_for("document.querySelectorAll('#host .small svg').length === 3").unwrap();
    browser.press(ESCAPE.0, ESCAPE.1).unwrap();
    browser.wait_for("document.getElementById('host').hidden").unwrap();

    // A host whose detectors cannot judge does not look well, and says which and why.
    fleet.says(2, blind()).unwrap();
    let tile = format!("document.querySelector('[data-host=\"{}\"]')", names[2]);
    browser.wait_for(&format!("{tile}.querySelector('.a').textContent.includes('detectors_blind')")).unwrap();
    browser.value(&format!("{tile}.firstElementChild.click()")).unwrap();
    let why = json!(format!("oauth_fail: {EVIL}"));
    browser.wait_for(&format!("document.getElementById('host').textContent.includes({why})")).unwrap();
    assert_eq!(browser.value("document.images.length").unwrap(), Value::from(0));
    browser.press(ESCAPE.0, ESCAPE.1).unwrap();
    browser.wait_for("document.getElementById('host').hidden").unwrap();

    // An action: a wrong token is asked for again, the right one is enough.
    browser.value("document.querySelector('[aria-label^=\"Silence hung\"]').click()").unwrap();
    browser.wait_for("document.getElementById('ask').open").unwrap();
    let submit = "document.querySelector('#ask .yes').click()";
    browser.value(submit).unwrap();
    for (token, done) in [
        ("wrong", "document.querySelector('#ask .wrong').textContent !== ''"),
        (fleet.token(), "document.getElementById('silences').textContent.includes('detector=hung')"),
    ] {
        browser.wait_for("document.getElementById('token') && document.getElementById('ask').open").unwrap();
        browser
            .value(&format!("document.getElementById('token').value = {}; {submit}", json!(token)))
            .unwrap();
        browser.wait_for(done).unwrap();
    }
    browser
        .wait_for("document.getElementById('actions').textContent.includes('tester (dashboard)')")
        .unwrap();
    browser.wait_for("document.getElementById('alerts').textContent.includes('(silenced')").unwrap();

    // Lost: said out loud, and nothing is shown as up.
    fleet.end();
    browser.wait_for("!document.getElementById('lost').hidden").unwrap();
    let words = "[...document.querySelectorAll('#hosts .w')].map((one) => one.textContent).join(' ')";
    browser.wait_for(&format!("{words} === 'unknown unknown unknown'")).unwrap();
    browser.wait_for("document.getElementById('link').textContent === 'lost'").unwrap();
    assert_eq!(browser.value("document.querySelectorAll('#hosts .good').length").unwrap(), Value::from(0));

    // Back: another controller on the same address, which knows nothing yet.
    let again = Invented::start(3, fleet.address()).unwrap();
    browser.wait_for("document.getElementById('lost').hidden").unwrap();
    browser.wait_for(&format!("{words} === 'connecting connecting connecting'")).unwrap();
    drop(again);
}

#[test]
fn a_thousand_hosts_are_on_the_page_before_the_script_and_change_one_by_one() {
    let fleet = Invented::lively(1000).unwrap();
    let url = format!("http://{}/", fleet.address());
    let Some(mut browser) = skip::or_skip(Browser::open(&url)) else { return };
    browser.wait_for("document.querySelectorAll('#hosts li').length === 1000").unwrap();
    browser.wait_for("summary.levels.wait === 25 && summary.levels.bad === 25").unwrap();
    let name = fleet.name(500);
    // What does not change is not touched: the same element, and nobody else's text is written.
    browser
        .value(
            "window.touched = new Set(); new MutationObserver((all) => { for (const one of all) { \
             const tile = one.target.parentElement?.closest('#hosts li') || one.target.closest?.('#hosts li'); \
             if (tile) window.touched.add(tile.dataset.host); } })\
             .observe(document.getElementById('hosts'), { subtree: true, childList: true, characterData: true })",
        )
        .unwrap();
    fleet.state(500, Service::Stopped).unwrap();
    browser
        .wait_for(&format!("document.querySelector('[data-host=\"{name}\"] .w').textContent === 'stopped'"))
        .unwrap();
    let touched = browser.value("[...window.touched]").unwrap();
    assert_eq!(touched, json!([name]));

    // Half an hour in which every host changes once a minute, as fast as the page takes it, holds no more in the end
    // than after its first minutes.
    let minute = |browser: &mut Browser, number: usize| {
        let (service, word) =
            if number.is_multiple_of(2) { (Service::Idle, "active") } else { (Service::Stopped, "stopped") };
        for place in 0..1000 {
            fleet.state(place, service).unwrap();
        }
        let last = fleet.name(999);
        browser
            .wait_for(&format!(
                "document.querySelector('[data-host=\"{last}\"] .w').textContent === '{word}'"
            ))
            .unwrap();
    };
    for number in 0..WARM {
        minute(&mut browser, number);
    }
    let warm = browser.heap().unwrap();
    for number in WARM..MINUTES {
        minute(&mut browser, number);
    }
    let end = browser.heap().unwrap();
    eprintln!("the page holds {} KiB after {WARM} minutes, {} KiB after {MINUTES}", warm / 1024, end / 1024);
    assert!(end < warm + GROWTH, "from {warm} to {end} bytes");
}
