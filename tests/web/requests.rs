//! Requests as scripts write them, good and bad ones.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use agent_runner_tests::dashboard::{Answer, Ask, Invented, ask};
use agent_runner_tests::wait;
use serde_json::json;

fn get(fleet: &Invented, path: &str) -> Answer {
    ask(fleet.address(), Ask { path, ..Ask::default() }).unwrap()
}

fn post(fleet: &Invented, headers: &[(&str, &str)], body: &str) -> Answer {
    ask(fleet.address(), Ask { method: "POST", path: "/api/v1/actions", headers, body }).unwrap()
}

fn bearer(fleet: &Invented) -> String {
    format!("Bearer {}", fleet.token())
}

#[test]
fn what_is_documented_is_answered() {
    let fleet = Invented::lively(3).unwrap();
    let state = || get(&fleet, "/api/v1/state").json().unwrap();
    let alerts = || get(&fleet, "/api/v1/alerts").json().unwrap();
    // The last host's alert is the last that is said: when it is there, everything is.
    assert!(
        wait::until(wait::DEADLINE, || alerts()["alerts"].as_array().unwrap().len() == 2),
        "{}",
        alerts()
    );
    assert_eq!(state()["levels"]["bad"], 1, "{}", state());
    assert_eq!(state()["fleet"], "attic");
    let hosts = get(&fleet, "/api/v1/hosts").json().unwrap();
    assert_eq!(hosts["hosts"].as_array().unwrap().len(), 3);
    let host = get(&fleet, &format!("/api/v1/hosts/{}", fleet.name(1))).json().unwrap();
    assert_eq!(host["detail"][0]["stopped"]["detector"], "oauth_fail");
    assert_eq!(host["detail"][0]["rounds"].as_array().unwrap().len(), 40);
    let kinds = || {
        let answer = get(&fleet, "/api/v1/events?kind=agent_e*&host=pi0002*&limit=3").json().unwrap();
        let events = answer["events"].as_array().unwrap().iter();
        events.map(|line| line["event"]["event"].clone()).collect::<Vec<_>>()
    };
    // Events are remembered beside the view, not before it.
    assert!(wait::until(wait::DEADLINE, || kinds() == ["agent_exit"; 3]), "{:?}", kinds());
    for (path, status) in [
        ("/api/v1/hosts/moon", 404),
        ("/api/v1/actions/7", 404),
        ("/nowhere", 404),
        ("/api/v1/silences", 200),
    ] {
        assert_eq!(get(&fleet, path).status, status, "{path}");
    }
    for path in ["/", "/page.js", "/metrics", "/api/v1/state", "/nowhere"] {
        let head = get(&fleet, path).head.to_ascii_lowercase();
        assert!(
            head.contains("content-security-policy: default-src 'none'") && head.contains("nosniff"),
            "{path}: {head}"
        );
    }
}

#[test]
fn a_head_beyond_its_bound_is_refused() {
    let fleet = Invented::lively(1).unwrap();
    let with = |bytes: usize| {
        let long = "x".repeat(bytes);
        let headers = [("x-long", long.as_str())];
        ask(fleet.address(), Ask { path: "/api/v1/state", headers: &headers, ..Ask::default() })
    };
    assert_eq!(with(8 * 1024).unwrap().status, 200);
    // The server may hang up before all of it has arrived.
    for bytes in [17 * 1024, 1024 * 1024] {
        assert!(with(bytes).map_or(true, |answer| answer.status == 431), "{bytes}");
    }
}

#[test]
fn acting_needs_the_token_and_says_what_came_of_it() {
    let fleet = Invented::lively(1).unwrap();
    let body = r#"{"action":"silence","matchers":["host=pi*"],"seconds":60,"comment":"moving"}"#;
    let json_type = ("content-type", "application/json");
    assert_eq!(post(&fleet, &[json_type], body).status, 401);
    assert_eq!(get(&fleet, "/api/v1/hosts/pi0001.lan/log?project=research").status, 401);
    let bearer = bearer(&fleet);
    let token = ("authorization", &*bearer);
    assert_eq!(post(&fleet, &[token, ("content-type", "text/plain")], body).status, 415);
    assert_eq!(post(&fleet, &[token, json_type, ("origin", "http://evil.example")], body).status, 403);
    assert_eq!(post(&fleet, &[token, json_type, ("sec-fetch-site", "cross-site")], body).status, 403);
    assert_eq!(post(&fleet, &[token, json_type, ("host", "evil.example")], body).status, 421);
    assert_eq!(post(&fleet, &[token, json_type], &format!("{body}{}", " ".repeat(20_000))).status, 413);
    assert_eq!(
        get(&fleet, "/api/v1/silences").json().unwrap()["silences"],
        json!([]),
        "nothing was done so far"
    );
    let done = post(&fleet, &[token, json_type], body);
    assert_eq!((done.status, &done.json().unwrap()["status"]), (200, &json!("done")), "{done:?}");
    let silences = || get(&fleet, "/api/v1/silences").json().unwrap();
    assert!(
        wait::until(wait::DEADLINE, || silences()["silences"][0]["comment"] == "moving"),
        "{}",
        silences()
    );
    let stop = post(&fleet, &[token, json_type], r#"{"action":"stop","host":"moon","project":"research"}"#);
    assert!(stop.status == 422 && stop.body.contains("moon/research is not watched"), "{stop:?}");
}

#[test]
fn an_address_that_others_can_reach_shows_nothing_without_the_token() {
    let fleet = Invented::start(1, "0.0.0.0:0".parse().unwrap()).unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], fleet.address().port()));
    let answer =
        |path, headers: &[(&str, &str)]| ask(address, Ask { path, headers, ..Ask::default() }).unwrap();
    let bearer = bearer(&fleet);
    let token = ("authorization", &*bearer);
    for path in ["/metrics", "/api/v1/state", "/api/v1/stream", "/api/v1/events"] {
        assert_eq!(answer(path, &[]).status, 401, "{path}");
    }
    assert_eq!(answer("/metrics", &[token]).status, 200);
    let page = answer("/", &[]);
    assert!(page.status == 200 && !page.body.contains("pi0001"), "{}", page.body);
    assert!(answer("/", &[token]).body.contains("pi0001"));
}

#[test]
fn pages_beyond_the_bound_are_refused_and_a_closed_one_makes_place() {
    let fleet = Invented::lively(1).unwrap();
    let open = || {
        let mut stream = TcpStream::connect(fleet.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "GET /api/v1/stream HTTP/1.1\r\nhost: {}\r\n\r\n", fleet.address()).unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        (String::from_utf8_lossy(&first).into_owned(), stream)
    };
    let mut pages: Vec<_> = (0..64).map(|_| open()).collect();
    assert!(pages.iter().all(|(status, _)| status == "HTTP/1.1 200"));
    assert_eq!(open().0, "HTTP/1.1 503");
    pages.clear();
    assert!(wait::until(wait::DEADLINE, || open().0 == "HTTP/1.1 200"));
}
