//! What each preset reads from real records, as tables.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::scan::{Lines, RoundFacts, extract};
use super::{Presets, scan};
use crate::event::Event;

const NOW: i64 = 1_780_000_000;

fn round(agent: &str, exit_code: i64) -> RoundFacts {
    RoundFacts {
        agent: agent.into(),
        round_num: 7,
        phase: None,
        exit_code,
        timed_out: false,
        anomaly_window: 0,
        anomaly_threshold: 0,
    }
}

fn events_of(round: &RoundFacts, lines: &[Value]) -> Vec<Event> {
    let presets = Presets::embedded();
    let rules = presets.rules_for(&round.agent).unwrap();
    let now = Timestamp::from_second(NOW).unwrap();
    extract(rules, &Lines { tail: lines, head: lines }, round, now)
}

/// Compares events, given as the fields that matter.
fn check(agent: &str, exit_code: i64, lines: &[Value], expected: &[Value]) {
    let events = events_of(&round(agent, exit_code), lines);
    let found: Vec<Value> = events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!(found.len(), expected.len(), "{agent} {lines:?}: {found:?}");
    for (found, expected) in found.iter().zip(expected) {
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&found[field], value, "{agent}: `{field}` in {found}");
        }
    }
}

fn throttle(class: &str, reset_in: i64, raw: &str) -> Value {
    json!({"event": "transient_error_detected", "classification": class, "reset_at_epoch": NOW + reset_in, "raw": raw})
}

const CLASSES: [(i64, Option<(&str, i64)>); 12] = [
    (429, Some(("rate_limit_model", 60))),
    (500, Some(("api_transient_5xx", 60))),
    (502, Some(("api_transient_5xx", 60))),
    (503, Some(("api_transient_5xx", 60))),
    (504, Some(("api_transient_5xx", 60))),
    (529, Some(("api_transient_5xx", 60))),
    (408, Some(("api_timeout", 30))),
    (401, None),
    (403, None),
    (404, None),
    (501, None),
    (505, None),
];

#[test]
fn the_status_ladder_is_the_same_for_every_agent() {
    let refused = || json!({"event": "agent_auth_error_detected", "raw": "m"});
    for (status, class) in CLASSES {
        let expected: Vec<Value> = class.iter().map(|(class, base)| throttle(class, *base, "m")).collect();
        let or_refused = |statuses: &[i64]| {
            let login = statuses.contains(&status).then(refused);
            expected.iter().cloned().chain(login).collect::<Vec<_>>()
        };
        check(
            "claude",
            1,
            &[json!({"type":"result","is_error":true,"api_error_status":status,"result":"m"})],
            &or_refused(&[401]),
        );
        check(
            "gemini",
            1,
            &[json!({"type":"result","status":"error","error":{"code":status,"message":"m"}})],
            &or_refused(&[401, 403]),
        );
        check("codewhale", 1, &[json!({"type":"error","error":"m","status_code":status})], &expected);
        let retry =
            json!({"role":"meta","type":"turn.step.retrying","error_message":"m","status_code":status});
        check("kimi", 1, &[retry], &expected);
    }
    for odd in [json!("429"), json!(true), json!(429.5), json!(null)] {
        check(
            "claude",
            1,
            &[json!({"type":"result","is_error":true,"api_error_status":odd,"result":"m"})],
            &[],
        );
    }
}

#[test]
fn claude_usage_comes_from_the_last_result_that_has_one() {
    let lines = [
        json!({"type":"assistant","message":{"model":"claude-opus-5","content":[{"type":"text","text":"ok"},
            {"type":"tool_use","name":"Read","input":{"file_path":"/w/a.md"}}]}}),
        json!({"type":"result","is_error":false,"result":"done","duration_ms":41000,"total_cost_usd":0.42,"usage":
            {"input_tokens":12,"output_tokens":340,"cache_read_input_tokens":9000,"cache_creation_input_tokens":800}}),
        json!({"type":"result","is_error":false,"usage":{}}),
    ];
    let expected = json!({
        "event": "agent_usage_recorded", "agent": "claude", "model": "claude-opus-5", "round_num": 7,
        "input_tokens": 12, "output_tokens": 340, "cached_tokens": 9000, "cost_usd": 0.42, "duration_ms": 41000,
        "models_breakdown": null, "cache_creation_tokens": 800, "tool_call_count": 1, "phase": "", "success": true,
    });
    check("claude", 0, &lines, &[expected]);
    check("claude", 1, &lines, &[json!({"success": false})]);
    let odd = json!({"type":"result","total_cost_usd":"free","duration_ms":null,"usage":
        {"input_tokens":"12","output_tokens":true,"cache_read_input_tokens":"many"}});
    let guarded = json!({"model": "unknown", "input_tokens": 12, "output_tokens": 0, "cached_tokens": 0,
        "cost_usd": null, "duration_ms": 0});
    check("claude", 0, &[odd], &[guarded]);
}

#[test]
fn claude_s_account_limit_outranks_the_status() {
    let limit = |status: &str, kind: Value, resets: Value| json!({"type":"rate_limit_event","rate_limit_info":{"status":status,"rateLimitType":kind,"resetsAt":resets}});
    let error =
        json!({"type":"result","is_error":true,"api_error_status":529,"result":"API Error: 529 overloaded"});
    let account = |reset: i64| {
        json!({"classification": "rate_limit_account", "reset_at_epoch": reset,
        "raw": "API Error: 529 overloaded"})
    };
    let rejected = |kind: Value, resets: Value| [limit("rejected", kind, resets), error.clone()];
    check("claude", 1, &rejected(json!("five_hour"), json!(1_790_000_000)), &[account(1_790_000_000)]);
    for unusable in [json!(null), json!(true), json!("soon"), json!(-1)] {
        check("claude", 1, &rejected(json!("five_hour"), unusable), &[account(NOW + 300)]);
    }
    let transient = [throttle("api_transient_5xx", 60, "API Error: 529 overloaded")];
    check("claude", 1, &rejected(json!(null), json!(1_790_000_000)), &transient);
    check("claude", 1, &rejected(json!("seven_day"), json!(1_790_000_000)), &transient);
    let warned = [limit("allowed_warning", json!("five_hour"), json!(1_790_000_000)), error.clone()];
    check("claude", 1, &warned, &transient);
    let refused = json!({"type":"result","is_error":true,"api_error_status":401,"result":"Invalid API key"});
    check(
        "claude",
        1,
        &[refused],
        &[json!({"event": "agent_auth_error_detected", "raw": "Invalid API key"})],
    );
    let made_of_it = json!({"type":"assistant","error":"authentication_failed","message":
        {"model":"<synthetic>","content":[{"type":"text","text":"Failed to authenticate. API Error: 403"}]}});
    let told = json!({"event": "agent_auth_error_detected", "raw": "Failed to authenticate. API Error: 403"});
    check("claude", 1, std::slice::from_ref(&made_of_it), &[told]);
    let good = json!({"type":"result","is_error":false,"usage":{"input_tokens":1}});
    check("claude", 0, &[made_of_it, good], &[json!({"model": "unknown", "success": true})]);
    check("claude", 1, &[json!({"type":"result","is_error":1,"api_error_status":529})], &[]);
}

#[test]
fn claude_s_retries_tell_why_a_round_ran_out_of_time() {
    let retry = |status: Value, error: &str| {
        json!({"type":"system","subtype":"api_retry","attempt":3,"max_retries":10,
        "error_status":status,"error":error})
    };
    let (refused, overloaded) = (retry(json!(401), "authentication_failed"), retry(json!(529), "overloaded"));
    let told = [throttle("api_transient_5xx", 60, "overloaded")];
    check("claude", 143, std::slice::from_ref(&overloaded), &told);
    let login = json!({"event": "agent_auth_error_detected", "raw": "authentication_failed"});
    check("claude", 143, &[overloaded.clone(), refused.clone()], &[login]);
    check("claude", 143, &[refused.clone(), overloaded.clone()], &told);
    // No status, no class; an answer after it, or a round that ended well: it is over.
    check("claude", 143, &[retry(json!(null), "unknown")], &[]);
    let answer = json!({"type":"assistant","message":{"content":[]}});
    check("claude", 143, &[overloaded.clone(), answer], &[]);
    let good = json!({"type":"result","is_error":false,"usage":{"input_tokens":1}});
    check("claude", 0, &[refused.clone(), overloaded.clone(), good], &[json!({"success": true})]);
    // The result has the last word.
    let result =
        |status: i64| json!({"type":"result","is_error":true,"api_error_status":status,"result":"m"});
    check("claude", 1, &[overloaded.clone(), result(429)], &[throttle("rate_limit_model", 60, "m")]);
    check("claude", 1, &[overloaded.clone(), result(400)], &[]);
    let login = json!({"event": "agent_auth_error_detected", "raw": "m"});
    check("claude", 1, &[overloaded, result(401)], &[login]);
}

#[test]
fn claude_s_repetition_is_found_inside_the_last_window() {
    let call = |name: &str, input: Value| json!({"type":"assistant","message":{"content":[{"type":"tool_use","name":name,"input":input}]}});
    let same = call("Read", json!({"file_path": "/w/a.md"}));
    let check = |lines: &[Value], window: u64, threshold: u64, expected: Option<Value>| {
        let round = RoundFacts { anomaly_window: window, anomaly_threshold: threshold, ..round("claude", 0) };
        let mut found = events_of(&round, lines);
        // These rounds have no result.
        found.retain(|event| !matches!(event, Event::ProviderOutputUnrecognised { .. }));
        let found: Vec<Value> = found.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    };
    let event = |count: i64, window: i64| {
        Some(json!({"event": "anomaly_repetitive_tool", "round_num": 7, "tool_name": "Read",
            "target": "/w/a.md", "count": count, "window": window}))
    };
    let lines: Vec<Value> = std::iter::repeat_n(same.clone(), 4).collect();
    check(&lines, 5, 3, event(4, 5));
    check(&lines, 3, 3, event(3, 3));
    check(&lines, 5, 5, None);
    check(&lines, 0, 3, None);
    check(&lines, 5, 0, None);
    let mut older = lines.clone();
    older.extend((0..5).map(|n| call("Bash", json!({"command": format!("make {n}")}))));
    check(&older, 5, 3, None);
    check(&older, 9, 3, event(4, 9));
    let long = call("Bash", json!({"path": 3, "pattern": "p".repeat(150)}));
    let bare = call("Bash", json!({}));
    let found = |lines: [Value; 2]| {
        let round = RoundFacts { anomaly_window: 2, anomaly_threshold: 2, ..round("claude", 0) };
        serde_json::to_value(events_of(&round, &lines).first().unwrap()).unwrap()["target"].clone()
    };
    assert_eq!(found([long.clone(), long]), json!("p".repeat(100)));
    assert_eq!(found([bare.clone(), bare]), Value::Null);
}

#[test]
fn gemini_s_last_result_wins_and_broken_stats_do_not_hide_an_outage() {
    let models = json!({"g-pro":{"total_tokens":2000,"input":400,"output_tokens":80,"cached":1600},
        "g-flash":{"total_tokens":190,"input_tokens":100,"output_tokens":10,"cached":0}});
    let good = json!({"type":"result","status":"success","stats":{"input":500,"input_tokens":2100,"output_tokens":90,
        "cached":1600,"duration_ms":8000,"tool_calls":3,"models":models}});
    let expected = json!({
        "event": "agent_usage_recorded", "model": "g-pro", "input_tokens": 500, "output_tokens": 90,
        "cached_tokens": 1600, "cost_usd": null, "duration_ms": 8000, "tool_call_count": 3, "cache_creation_tokens": 0,
        "models_breakdown": {
            "g-pro": {"total_tokens": 2000, "input_tokens": 400, "output_tokens": 80, "cached_tokens": 1600},
            "g-flash": {"total_tokens": 190, "input_tokens": 100, "output_tokens": 10, "cached_tokens": 0},
        },
    });
    check(
        "gemini",
        0,
        &[json!({"type":"result","status":"error","error":{"code":429}}), good.clone()],
        &[expected],
    );
    let bad = json!({"type":"result","status":"error","error":{"code":429,"message":"quota"}});
    check("gemini", 1, &[good, bad], &[throttle("rate_limit_model", 60, "quota")]);
    let broken = json!({"type":"result","status":"x","error":{"code":503},"stats":{"models":3,"input":{}}});
    let usage = json!({"model": "unknown", "input_tokens": 0, "models_breakdown": null});
    check("gemini", 1, &[broken], &[throttle("api_transient_5xx", 60, "x"), usage]);
    let one = json!({"type":"result","stats":{"models":{"g":{"total_tokens":1}}}});
    check("gemini", 0, &[one], &[json!({"model": "g", "models_breakdown": null})]);
}

#[test]
fn codewhale_s_symbolic_code_does_not_hide_the_status() {
    let lines = [
        json!({"type":"metadata","meta":{"model":"deepseek-x","input_tokens":700,"output_tokens":60}}),
        json!({"type":"error","error":"rate limited","code":"RATE_LIMIT","status_code":429}),
    ];
    let usage = json!({"model": "deepseek-x", "input_tokens": 700, "output_tokens": 60, "cached_tokens": 0,
        "cost_usd": null, "duration_ms": 0, "tool_call_count": 0});
    check("codewhale", 0, &lines, &[throttle("rate_limit_model", 60, "rate limited"), usage]);
    let odd = json!({"type":"metadata","meta":{"model":null,"input_tokens":"x","output_tokens":null}});
    check("codewhale", 0, &[odd], &[json!({"model": "unknown", "input_tokens": 0, "output_tokens": 0})]);
}

#[test]
fn kimi_s_retries_count_only_when_the_round_failed() {
    let lines = [
        json!({"role":"assistant","content":"…"}),
        json!({"role":"meta","type":"turn.step.retrying","failed_attempt":1,"next_attempt":2,"max_attempts":10,
            "delay_ms":560.0,"error_name":"APIProviderRateLimitError","error_message":"429 slow down","status_code":429}),
        json!({"role":"meta","type":"session.resume_hint"}),
    ];
    check("kimi", 0, &lines, &[]);
    check("kimi", 1, &lines, &[throttle("rate_limit_model", 60, "429 slow down")]);
    let timed_out = RoundFacts { timed_out: true, ..round("kimi", 0) };
    assert_eq!(events_of(&timed_out, &lines).len(), 1);
}

fn pi_session() -> Value {
    json!({"type":"session","version":3,"id":"…","timestamp":"2026-05-01T10:00:00.000Z"})
}

#[test]
fn pi_s_usage_is_the_sum_of_its_messages() {
    let ended = json!({"type":"message_end","message":{"role":"assistant","provider":"moonshot","model":"kimi-k3",
        "stopReason":"toolUse","usage":{"input":60,"output":20,"cacheRead":40,"cacheWrite":0,"cost":{"total":0.001}},
        "content":[{"type":"toolCall"}],"timestamp":1_777_629_605_000i64}});
    let update =
        json!({"type":"message_update","message":{"role":"assistant","usage":{"input":0,"output":0}}});
    let end = json!({"type":"agent_end","messages":[{"role":"user"},{"role":"assistant","provider":"moonshot",
        "model":"kimi-k3","stopReason":"stop","usage":{"input":210,"output":7,"cacheRead":90,"cacheWrite":5},
        "content":[],"timestamp":1_777_629_611_000i64}]});
    let from_ended = json!({"model": "moonshot/kimi-k3", "input_tokens": 60, "output_tokens": 20, "cached_tokens": 40,
        "cache_creation_tokens": 0, "cost_usd": 0.001, "duration_ms": 5000, "tool_call_count": 1, "success": true});
    check("pi", 0, &[pi_session(), update.clone(), ended.clone()], &[from_ended]);
    let from_end = json!({"input_tokens": 210, "output_tokens": 7, "cached_tokens": 90, "cache_creation_tokens": 5,
        "cost_usd": null, "duration_ms": 11000, "tool_call_count": 0});
    check("pi", 0, &[pi_session(), ended.clone(), end.clone()], &[from_end]);
    let both = json!({"input_tokens": 420, "cached_tokens": 180, "duration_ms": 0});
    check("pi", 0, &[end.clone(), end], &[both]);
    check("pi", 0, &[pi_session(), update], &[json!({"event": "provider_output_unrecognised"})]);
    let mut odd = ended;
    odd["message"]["usage"] = json!({"input":"60","output":null,"cacheRead":true,"cost":{"total":"x"}});
    check(
        "pi",
        0,
        &[odd],
        &[json!({"input_tokens": 60, "output_tokens": 0, "cost_usd": null, "duration_ms": 0})],
    );
}

#[test]
fn pi_s_last_message_is_the_verdict_whatever_the_exit_code() {
    let failed = |text: &str| {
        json!({"type":"agent_end","messages":[{"role":"assistant","stopReason":"error","errorMessage":text,
            "usage":{"input":0,"output":0}}]})
    };
    let limited = "429 status code (no body)";
    check("pi", 0, &[failed(limited)], &[throttle("rate_limit_model", 60, limited)]);
    check("pi", 0, &[failed("Request timed out.")], &[throttle("api_timeout", 30, "Request timed out.")]);
    let refused = "401: {\"error\":\"bad key\"}";
    check("pi", 0, &[failed(refused)], &[json!({"event": "agent_auth_error_detected", "raw": refused})]);
    check("pi", 0, &[failed("404 timeout of a kind")], &[]);
    check("pi", 0, &[failed("4290 timeouts")], &[throttle("api_timeout", 30, "4290 timeouts")]);
    let good =
        json!({"type":"agent_end","messages":[{"role":"assistant","stopReason":"stop","usage":{"input":5}}]});
    let usage = json!({"event": "agent_usage_recorded", "input_tokens": 5, "success": false});
    check("pi", 0, &[good.clone(), failed("500 x")], &[throttle("api_transient_5xx", 60, "500 x"), usage]);
    check("pi", 0, &[failed("500 x"), good], &[json!({"input_tokens": 5, "success": true})]);
}

#[test]
fn codex_counts_its_cache_once_and_names_its_limits() {
    let lines = [
        json!({"type":"thread.started","thread_id":"t"}),
        json!({"type":"turn.started"}),
        json!({"type":"item.completed","item":{"id":"i","type":"command_execution","command":"ls","exit_code":0}}),
        json!({"type":"item.completed","item":{"id":"j","type":"agent_message","text":"done"}}),
        json!({"type":"turn.completed","usage":{"input_tokens":24763,"cached_input_tokens":24448,"output_tokens":122}}),
    ];
    let usage = json!({"model": "unknown", "input_tokens": 315, "cached_tokens": 24448, "output_tokens": 122,
        "tool_call_count": 1, "success": true});
    check("codex", 0, &lines, &[usage]);
    let failed = |text: &str| {
        [json!({"type":"error","message":text}), json!({"type":"turn.failed","error":{"message":text}})]
    };
    for (text, class, base) in [
        ("You've hit your usage limit. Try again at 3:28 PM.", "rate_limit_account", 300),
        ("exceeded retry limit, last status: 429 Too Many Requests", "rate_limit_model", 60),
        ("unexpected status 503 Service Unavailable: x", "api_transient_5xx", 60),
        ("We're currently experiencing high demand.", "api_transient_5xx", 60),
        ("request timed out", "api_timeout", 30),
    ] {
        check("codex", 1, &failed(text), &[throttle(class, base, text)]);
        check("codex", 0, &failed(text), &[json!({"event": "provider_output_unrecognised"})]);
    }
    let refused = "unexpected status 401 Unauthorized: token expired";
    check("codex", 1, &failed(refused), &[json!({"event": "agent_auth_error_detected", "raw": refused})]);
}

#[test]
fn opencode_sums_its_steps_and_reports_session_errors() {
    let step = |input: i64, cost: f64| {
        json!({"type":"step_finish","timestamp":1,"sessionID":"s","part":{"type":"step-finish","reason":"tool-calls",
            "cost":cost,"tokens":{"input":input,"output":3,"reasoning":0,"cache":{"read":7,"write":1}}}})
    };
    let tool = json!({"type":"tool_use","part":{"tool":"bash","state":{"input":{"command":"ls"}}}});
    let usage = json!({"input_tokens": 30, "output_tokens": 6, "cached_tokens": 14, "cache_creation_tokens": 2,
        "cost_usd": 0.75, "tool_call_count": 1, "success": true});
    check("opencode", 0, &[step(10, 0.25), tool, step(20, 0.5)], &[usage]);
    let error = |status: i64| json!({"type":"error","error":{"name":"APIError","data":{"message":"no","statusCode":status}}});
    check("opencode", 0, &[error(429)], &[throttle("rate_limit_model", 60, "no")]);
    check("opencode", 1, &[error(401)], &[json!({"event": "agent_auth_error_detected", "raw": "no"})]);
    let login = json!({"type":"error","error":{"name":"ProviderAuthError","data":{"providerID":"x","message":"key"}}});
    check(
        "opencode",
        1,
        &[step(1, 0.0), login],
        &[
            json!({"event": "agent_auth_error_detected", "raw": "key"}),
            json!({"event": "agent_usage_recorded", "success": false, "cost_usd": null}),
        ],
    );
}

#[test]
fn output_no_rule_recognises_is_reported_once() {
    let lines = [json!({"kind":"done","key":"sk-ant-0123456789abcdef"}), json!({"kind":"done"})];
    let expected = json!({"event": "provider_output_unrecognised", "agent": "claude", "json_lines": 2,
        "raw": "{\"kind\":\"done\"}"});
    check("claude", 0, &lines, &[expected]);
    let masked = json!({"raw": "{\"key\":\"[masked]\",\"kind\":\"done\"}"});
    check("claude", 0, &lines[..1], &[masked]);
    // A round that failed may have ended before there was anything to tell; a good one tells what it used.
    check("claude", 1, &[json!({"type":"system"})], &[]);
    check("claude", 1, &[], &[]);
    for nothing in [vec![json!({"type":"system"})], vec![]] {
        check("claude", 0, &nothing, &[json!({"event": "provider_output_unrecognised"})]);
    }
    check("kimi", 0, &[], &[]);
}

#[test]
fn foreign_text_is_masked_before_it_is_cut() {
    let text = format!("{} token=abcdefghijkl", "x".repeat(190));
    let line = json!({"type":"result","is_error":true,"api_error_status":529,"result":text});
    let raw = format!("{} token=[ma", "x".repeat(190));
    check("claude", 1, &[line], &[throttle("api_transient_5xx", 60, &raw)]);
}

#[test]
fn a_log_is_read_from_disk_and_a_missing_one_tells_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("R7.log");
    let noise = "plain text\n".repeat(1000);
    let end = r#"{"type":"agent_end","messages":[{"role":"assistant","usage":{"input":1},"timestamp":1777629611000}]}"#;
    let text = format!("{}\n{noise}{end}\n{noise}", pi_session());
    crate::store::atomic::replace(&path, text.as_bytes()).unwrap();
    let presets = Presets::embedded();
    let rules = presets.rules_for("pi").unwrap();
    let events = scan(&path, rules, &round("pi", 0), Timestamp::from_second(NOW).unwrap());
    assert_eq!(serde_json::to_value(&events[0]).unwrap()["duration_ms"], 11000);
    let missing = dir.path().join("gone.log");
    assert!(scan(&missing, rules, &round("pi", 0), Timestamp::UNIX_EPOCH).is_empty());
}

fn foreign() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        Just(json!("429")),
        Just(json!([[], {}])),
    ];
    leaf.boxed()
}

proptest! {
    #[test]
    fn foreign_values_never_hide_the_throttle(values in prop::collection::vec(foreign(), 8)) {
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or(Value::Null);
        let claude = [
            json!({"type":"assistant","message":{"model":next(),"content":next()}}),
            json!({"type":"assistant","message":{"content":[{"type":"tool_use","name":next(),"input":next()}]}}),
            json!({"type":"result","is_error":true,"api_error_status":529,"result":next(),"total_cost_usd":next(),
                "duration_ms":next(),"usage":{"input_tokens":next()}}),
        ];
        let round = RoundFacts { anomaly_window: 3, anomaly_threshold: 1, ..round("claude", 1) };
        let kinds: Vec<_> = events_of(&round, &claude).iter().map(Event::kind).collect();
        prop_assert_eq!(&kinds[..2], ["transient_error_detected", "agent_usage_recorded"]);
    }

    #[test]
    fn any_record_can_be_read_by_any_preset(lines in prop::collection::vec(
        (prop::sample::select(vec!["result", "agent_end", "message_end", "error", "metadata", "turn.failed"]),
            prop::sample::select(vec!["messages", "message", "error", "stats", "usage", "meta"]), foreign()), 0..4))
    {
        let lines: Vec<Value> = lines.into_iter().map(|(kind, key, value)| json!({"type": kind, key: value})).collect();
        for entry in Presets::embedded().entries() {
            if let Some(agent) = entry.agent() {
                let _ = events_of(&round(agent, 1), &lines);
            }
        }
    }
}
