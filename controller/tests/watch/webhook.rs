//! Webhooks and files: down, back, signed; a controller that dies in between.

use agent_runner_fleet::history::Store;
use agent_runner_fleet::sinks::{Place, SIGNATURE, signature};
use agent_runner_fleet::web::metrics::{Own, text};

use super::support::{Controller, Receiver, Recorded, until};

/// Fires while the file `bad` is there, and is over when it is gone.
pub(crate) const FAILING: &str = r#"hello
[ ! -e "$HOME/bad" ] || alert hung
state
was=$([ -e "$HOME/bad" ] && echo yes)
exec 3<&0; cat <&3 >/dev/null & w=$!
while kill -0 $w 2>/dev/null; do
    now=$([ -e "$HOME/bad" ] && echo yes)
    [ "$now" = "$was" ] || if [ "$now" ]; then alert hung; else
        printf '{"type":"resolved","detector":"hung","identity":"hung","firing_for_s":1}\n'
    fi
    was=$now
    beat
    sleep 1
done"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_wait_for_a_receiver_that_is_down_across_a_kill_and_come_once_in_order_and_signed() {
    let fleet = Recorded::start(vec![("pi1".into(), FAILING.into())]).await;
    let bad = fleet.root.path().join("pi1/bad");
    std::fs::write(&bad, "").unwrap();
    // A port on which nobody listens yet.
    let port = Receiver::start(0).await.port;
    let file = fleet.root.path().join("alerts.jsonl");
    let places = || {
        let url = format!("http://127.0.0.1:{port}/hook");
        vec![Place::Webhook { url, key: Some("k".to_owned().into()) }, Place::Jsonl { path: file.clone() }]
    };
    let path = fleet.root.path().join("h.db");
    let first = Controller::start(&fleet, &path, places());
    let lines = || std::fs::read_to_string(&file).unwrap_or_default().lines().count();
    until("the file has the alert", || lines() == 1).await;
    until("the webhook is known to be down", || {
        first.hub.snapshot().sinks.iter().any(|sink| sink.failing.is_some() && sink.waiting == 1)
    })
    .await;
    first.kill().await;

    let second = Controller::start(&fleet, &path, places());
    until("the second one is connected", || second.hub.snapshot().streams.values().all(|s| s.spoken)).await;
    let receiver = Receiver::start(port).await;
    until("the alert comes", || !receiver.got.lock().unwrap().is_empty()).await;
    std::fs::remove_file(&bad).unwrap();
    until("its end comes", || receiver.got.lock().unwrap().len() > 1).await;
    until("the file has both", || lines() == 2).await;
    let kinds: Vec<String> = receiver.bodies().iter().map(|body| body["notice"].to_string()).collect();
    assert_eq!(kinds, ["\"fired\"", "\"resolved\""], "sent once, although two controllers lived through it");
    for request in receiver.got.lock().unwrap().iter() {
        let expected = format!("{SIGNATURE}: {}", signature(b"k", request.body.as_bytes()));
        assert!(request.head.contains(&expected), "{}", request.head);
    }
    until("the sink is well again", || second.hub.snapshot().sinks.iter().all(|sink| sink.failing.is_none()))
        .await;
    second.kill().await;
    let store = Store::open(&path).unwrap();
    assert_eq!(store.open_alerts().unwrap().len(), 0);
    assert_eq!(store.past_alerts(jiff::Timestamp::UNIX_EPOCH, 10).unwrap().len(), 1);
    fleet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_refused_for_good_is_counted_and_the_sink_fails_until_it_takes_one() {
    let fleet = Recorded::start(vec![("pi1".into(), FAILING.into())]).await;
    let bad = fleet.root.path().join("pi1/bad");
    std::fs::write(&bad, "").unwrap();
    let receiver = Receiver::start(0).await;
    *receiver.status.lock().unwrap() = "422 Unprocessable Content";
    let url = format!("http://127.0.0.1:{}/", receiver.port);
    let places = vec![Place::Webhook { url, key: None }];
    let path = fleet.root.path().join("h.db");
    let controller = Controller::start(&fleet, &path, places);
    let sink = || controller.hub.snapshot().sinks.first().cloned();
    until("the refusal is known and counted", || {
        sink().is_some_and(|sink| sink.failing.is_some() && (sink.waiting, sink.dropped) == (0, 1))
    })
    .await;
    let why = sink().unwrap().failing.unwrap();
    assert!(why.contains("refused and dropped") && why.contains("422"), "{why}");
    let metrics = text(&controller.hub.snapshot(), &Default::default(), Own::default());
    let counted = |line: &str| line.contains("sink_dropped_messages_total{") && line.ends_with(" 1");
    assert!(metrics.lines().any(counted), "{metrics}");
    // Looking into an empty outbox again and again makes the sink no better.
    let looks = tokio::time::Instant::now() + std::time::Duration::from_secs(3);
    until("the worker has looked again", || tokio::time::Instant::now() > looks).await;
    assert!(sink().unwrap().failing.is_some());
    assert_eq!(receiver.got.lock().unwrap().len(), 1, "what is refused is not sent again");
    *receiver.status.lock().unwrap() = "200 OK";
    std::fs::remove_file(&bad).unwrap();
    until("the sink takes messages again", || sink().is_some_and(|sink| sink.failing.is_none())).await;
    assert_eq!(receiver.bodies()[1]["notice"], "resolved");
    assert_eq!(sink().unwrap().dropped, 1);
    controller.kill().await;
    fleet.shutdown().await;
}
