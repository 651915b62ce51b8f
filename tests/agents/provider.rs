use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use agent_runner_tests::mock_provider::{Behavior, FAKE_KEY, MockProvider};
use agent_runner_tests::wait;

/// Sends a request and returns everything that is answered.
fn ask(mock: &MockProvider, path: &str, header: &str, body: &str) -> String {
    let address = mock.url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(wait::DEADLINE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\n{header}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    // A stream that is cut ends in an error, after what was sent.
    let _ = stream.read_to_string(&mut answer);
    answer
}

const DIALECTS: [(&str, &str, &str, &str); 4] = [
    (
        "/v1/messages",
        "x-api-key: ",
        r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"go"}],"tools":[{"name":"Bash","input_schema":{"properties":{"command":{"type":"string"}}}}]}"#,
        "message_stop",
    ),
    (
        "/v1/responses",
        "authorization: Bearer ",
        r#"{"model":"m","stream":true,"input":[{"role":"user"}],"tools":[{"type":"function","name":"shell","parameters":{"properties":{"command":{"type":"array"}}}}]}"#,
        "response.completed",
    ),
    (
        "/v1/chat/completions",
        "authorization: Bearer ",
        r#"{"model":"m","stream":true,"messages":[{"role":"user"}],"tools":[{"type":"function","function":{"name":"bash","parameters":{"properties":{"command":{"type":"string"}}}}}]}"#,
        "[DONE]",
    ),
    (
        "/v1beta/models/m:streamGenerateContent?alt=sse",
        "x-goog-api-key: ",
        r#"{"contents":[{"role":"user","parts":[{"text":"go"}]}],"tools":[{"functionDeclarations":[{"name":"run_shell_command","parametersJsonSchema":{"properties":{"command":{"type":"string"}}}}]}]}"#,
        "finishReason",
    ),
];

#[test]
fn only_its_own_key_is_taken_and_any_other_is_remembered() {
    let mock = MockProvider::start(Behavior::Idle).unwrap();
    for (path, header, body, _) in DIALECTS {
        mock.behave(Behavior::Idle);
        assert!(
            ask(&mock, path, &format!("{header}somebody-s-own-key"), body).starts_with("HTTP/1.1 418"),
            "{path}"
        );
        assert!(mock.seen().iter().all(|seen| seen.foreign_key), "{path}");
        let both = format!("{header}{FAKE_KEY}\r\ncookie: session=1");
        assert!(ask(&mock, path, &both, body).starts_with("HTTP/1.1 418"), "{path}");
        // Without any it refuses as its provider does; what Gemini's says to a key it does not know is 400.
        let refused = ask(&mock, path, "accept: */*", body);
        assert!(["HTTP/1.1 400", "HTTP/1.1 401"].iter().any(|begin| refused.starts_with(begin)), "{path}");
        mock.behave(Behavior::Idle);
        assert!(ask(&mock, path, &format!("{header}{FAKE_KEY}"), body).starts_with("HTTP/1.1 200"), "{path}");
        assert!(mock.seen().iter().all(|seen| !seen.foreign_key && seen.asked), "{path}");
    }
}

#[test]
fn every_dialect_calls_tools_ends_streams_and_cuts_them() {
    let mock = MockProvider::start(Behavior::Work).unwrap();
    for (path, header, body, end) in DIALECTS {
        let header = format!("{header}{FAKE_KEY}");
        mock.behave(Behavior::Work);
        let answer = ask(&mock, path, &header, body);
        assert!(answer.contains("work.md") && answer.contains(end), "{path}: {answer}");
        mock.behave(Behavior::Cut);
        let answer = ask(&mock, path, &header, body);
        assert!(answer.contains("Half") && !answer.contains(end), "{path}: {answer}");
        for (behavior, status) in
            [(Behavior::Forbidden, 403), (Behavior::LimitedUntil, 429), (Behavior::Broken, 500)]
        {
            mock.behave(behavior);
            let answer = ask(&mock, path, &header, body);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        }
    }
}
