//! Hosts that let us in and give no stream: told at once, an alert with reason and remedy after the usual delay.

use agent_runner_fleet::fleetview::told::Told;

use super::support::{Recorded, told_until};

/// As a host says it on which there is no agent.
const MISSING: &str = r#"echo "agent-runner is not installed for pi" >&2; exit 127"#;

/// An agent that knows no stream yet.
const OLD: &str = r#"echo "error: invalid value 'stream' for '--mode <MODE>'" >&2
echo "For more information, try '--help'." >&2
exit 2"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_without_a_stream_is_an_alert_with_the_reason_and_the_remedy() {
    let hosts = [("missing", MISSING), ("old", OLD)];
    let fleet = Recorded::start(hosts.map(|(name, script)| (name.into(), script.into())).to_vec()).await;
    let message = |told: &[Told], wanted: &str| {
        told.iter().rev().find_map(|one| {
            let Told::Fired { alert } = one else { return None };
            let said = format!("{} {}", alert.key.detector, alert.message);
            (alert.key.subject.to_string() == wanted).then_some(said)
        })
    };
    let all = |_: &_, told: &[Told]| hosts.iter().all(|(host, _)| message(told, host).is_some());
    let (_, told) = told_until(fleet.setup(2, None), all).await;
    for (host, reason, remedy) in [
        ("missing", "agent-runner is not installed for pi", "agent-runner-fleet deploy --limit missing"),
        ("old", "invalid value 'stream' for '--mode <MODE>'", "agent-runner-fleet deploy --limit old"),
    ] {
        let said = message(&told, host).unwrap();
        assert!(said.starts_with("host_stale no data since "), "{said}");
        assert!(said.contains(reason) && said.ends_with(remedy), "{said}");
        let down = |one: &&Told| matches!(one, Told::LinkDown { stream, .. } if &*stream.host == host);
        assert_eq!(told.iter().filter(down).count(), 1, "told once, however often it is tried: {told:?}");
    }
    fleet.shutdown().await;
}
