//! Every event kind and its fields, once: the vocabulary of the event log.
//!
//! The kind name is the version: fields are only ever added, a breaking change gets a new kind. The order of the
//! fields here is the order on disk. `Option` is written as `null`; [`Absent`] leaves the key out.

use serde::Serialize;
use serde_json::{Map, Value};

/// A field that is left out of the line when it has no value.
pub type Absent<T> = Option<T>;

/// The words of `agent_exit`'s `exit_cause` for an end that is well: with 0 by itself, or by us after its result was there.
pub const ENDED_WELL: [&str; 2] = ["clean", "grace_kill"];

/// Returns whether an agent ended well, by its `exit_cause`.
pub fn ended_well(exit_cause: &str) -> bool {
    ENDED_WELL.contains(&exit_cause)
}

/// One process named in an event: the kernel's name, never its arguments, which may carry secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedProcess {
    /// The kernel's process name, 64 characters at most.
    pub name: String,
    /// Its process id at the time of writing.
    pub pid: i32,
    /// The ignore pattern that matched it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Absent<String>,
}

/// Who appends a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// `agent-runner round`.
    Round,
    /// `agent-runner serve`.
    Serve,
    /// `agent-runner round` and `agent-runner serve`.
    RoundAndServe,
    /// `agent-runner monitor`.
    Monitor,
    /// `agent-runner upgrade`.
    Upgrade,
    /// `agent-runner monitor --host`, into the log of the machine it runs on.
    Relay,
    /// Any of them.
    Any,
}

/// What the catalogue says of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The name on disk.
    pub name: &'static str,
    /// Who appends it.
    pub writer: Writer,
    /// When it is appended.
    pub doc: &'static str,
    /// Field names with their Rust types, in order.
    pub fields: &'static [(&'static str, &'static str)],
}

macro_rules! events {
    ($($(#[doc = $doc:literal])+ $writer:ident $variant:ident $kind:literal {
        $($(#[$meta:meta])* $field:ident : $type:ty),* $(,)?
    })+) => {
        /// One event, as it is written.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(tag = "event")]
        #[expect(missing_docs, reason = "the fields are described by name in docs/events.md")]
        pub enum Event {
            $($(#[doc = $doc])+ #[serde(rename = $kind)] $variant { $($(#[$meta])* $field: $type),* },)+
        }

        impl Event {
            /// Returns the kind's name on disk.
            pub fn kind(&self) -> &'static str {
                match self { $(Event::$variant { .. } => $kind,)+ }
            }
        }

        /// The catalogue, in the order of this file.
        pub const KINDS: &[Kind] = &[$(Kind {
            name: $kind,
            writer: Writer::$writer,
            doc: concat!($($doc),+),
            fields: &[$((stringify!($field), stringify!($type))),*],
        }),+];
    };
}

events! {
    /// A round begins; `config_digest` identifies what it runs with, without any secret.
    Round RoundStart "round_start" {
        round_num: i64, phase: Option<String>, config_digest: String, config_changed: bool,
        #[serde(skip_serializing_if = "Option::is_none")] config_prompt_files: Absent<Vec<String>>,
        #[serde(skip_serializing_if = "Option::is_none")] config_check_names: Absent<Vec<String>>,
        #[serde(skip_serializing_if = "Option::is_none")] config_vcs_dirty_action: Absent<String>,
        #[serde(skip_serializing_if = "Option::is_none")] config_prompt_delivery: Absent<String>,
    }
    /// The agent is about to start.
    Round AgentSpawn "agent_spawn" { round_num: i64, timeout_s: i64 }
    /// The agent is gone.
    Round AgentExit "agent_exit" {
        round_num: i64, exit_code: i64, duration_s: f64, timed_out: bool, exit_cause: String,
    }
    /// Heartbeat of a running round, when `monitor.round_progress_interval_s` is set.
    Round RoundProgress "round_progress" {
        round_num: i64, log_size_kb: i64, last_write_age_s: i64, wall_age_s: i64,
    }
    /// The agent has printed its result but still has living children; once per round.
    Round RoundGraceExtended "round_grace_extended" {
        round_num: i64, grace_s: i64, live_children: Vec<NamedProcess>, ignored_children: Vec<NamedProcess>,
    }
    /// The agent stayed after its result and was ended.
    Round RoundGraceKill "round_grace_kill" { round_num: i64, grace_s: i64, live_children: Vec<NamedProcess> }
    /// The wall clock ended the agent.
    Round RoundTimeoutKill "round_timeout_kill" { round_num: i64, reason: String }
    /// A containerised agent was ended and its container may live on.
    Round RoundContainerOrphanRisk "round_container_orphan_risk" {
        round_num: i64, runtime: String, container_id: Option<String>, stop_ok: Option<bool>,
    }
    /// The work tree is dirty after the agent; `rearranged` names files whose lines only moved.
    Round DirtyDetected "dirty_detected" {
        round_num: i64, files: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")] rearranged: Absent<Vec<String>>,
    }
    /// `git status` ran out of time.
    Round DirtyCheckFailed "dirty_check_failed" { round_num: i64, reason: String }
    /// The dirty tree was stashed; `before_ref` names what was dirty before the agent started.
    Round OrphanStashed "orphan_stashed" {
        round_num: i64, r#ref: String, reason: String,
        #[serde(skip_serializing_if = "Option::is_none")] before_ref: Absent<String>,
    }
    /// A stash of this round exists already and is reused.
    Round OrphanIdempotentSkip "orphan_idempotent_skip" { round_num: i64, r#ref: String, reason: String }
    /// The stash could not be made.
    Round OrphanStashFailed "orphan_stash_failed" { round_num: i64, phase: Option<String>, reason: String }
    /// The dirty tree was committed.
    Round DirtyAutoCommitted "dirty_auto_committed" { round_num: i64, files: Vec<String>, r#ref: String }
    /// The dirty tree could not be committed.
    Round DirtyCommitFailed "dirty_commit_failed" { round_num: i64, phase: Option<String>, reason: String }
    /// The index lock of a git that we ended ourselves was removed.
    Round StaleIndexLockCleared "stale_index_lock_cleared" { lock_path: String, round_num: i64 }
    /// Pruning would delete more logs than it keeps, so it deletes none.
    RoundAndServe RoundLogsPruneDeferred "round_logs_prune_deferred" {
        directory: String, existing: i64, keep: i64, would_delete: i64, hint: String,
    }
    /// status.json was unusable and is ignored.
    Round StatusRecovered "status_recovered" { reason: String }
    /// A check of the startup battery failed.
    Round SmokeCheckFailed "smoke_check_failed" { reason: String }
    /// The round is over and its state is on disk.
    Round RoundEnd "round_end" { round_num: i64 }
    /// A failed round's log names a network error.
    Round AgentNetworkBlip "agent_network_blip" {
        round_num: i64, phase: Option<String>, matched: String, round_duration_s: f64, exit_code: i64,
        timed_out: bool,
    }
    /// A goal check ran (or, in a dry run, was skipped).
    Round GoalCheck "goal_check" {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")] satisfied: Absent<bool>,
        #[serde(skip_serializing_if = "Option::is_none")] value: Absent<Option<f64>>,
        #[serde(skip_serializing_if = "Option::is_none")] timed_out: Absent<bool>,
        skipped: bool,
        #[serde(skip_serializing_if = "Option::is_none")] error: Absent<String>,
    }
    /// Rounds are busy without moving any goal check.
    Round GoalAssessment "goal_assessment" { observation: String, question: String, confidence: String }
    /// Reading the provider's output failed; the round is unaffected.
    Round HookFailed "hook_failed" {
        hook_name: String, hook_kind: String, error_type: String, error_message: String, traceback: String,
    }
    /// The provider reported an error that heals by itself.
    Round TransientErrorDetected "transient_error_detected" {
        classification: String, agent: String, reset_at_epoch: i64, round_num: i64, raw: String, phase: String,
    }
    /// The provider refused the login: certain evidence.
    Round AgentAuthErrorDetected "agent_auth_error_detected" { round_num: i64, agent: String, raw: String }
    /// What the round used.
    Round AgentUsageRecorded "agent_usage_recorded" {
        agent: String, model: String, round_num: i64, input_tokens: i64, output_tokens: i64,
        cached_tokens: i64, cost_usd: Option<f64>, duration_ms: i64, models_breakdown: Option<Value>,
        cache_creation_tokens: i64, tool_call_count: i64, phase: String, success: bool,
    }
    /// The agent repeats one tool call.
    Round AnomalyRepetitiveTool "anomaly_repetitive_tool" {
        round_num: i64, tool_name: String, target: Option<String>, count: i64, window: i64,
    }
    /// No rule of the preset recognised what the agent printed; told once for a version of the agent CLI.
    Round ProviderOutputUnrecognised "provider_output_unrecognised" {
        round_num: i64, agent: String, json_lines: i64, raw: String,
        #[serde(skip_serializing_if = "Option::is_none")] program: Absent<String>,
    }
    /// A finding of the critic; advisory.
    Round CriticFinding "critic_finding" {
        round_num: i64, severity: String, detector: String, message: String, suggested_action: String,
    }
    /// A throttle is over.
    Serve TransientErrorRecovered "transient_error_recovered" {
        classification: String, agent: String, throttled_for_s: i64,
    }
    /// The back-off was lengthened or capped.
    Serve TransientErrorBackoffCapped "transient_error_backoff_capped" {
        classification: String, agent: String, requested_sleep_s: i64, applied_sleep_s: i64,
        #[serde(skip_serializing_if = "Option::is_none")] original_reset_at_epoch: Absent<i64>,
        #[serde(skip_serializing_if = "Option::is_none")] applied_reset_at_epoch: Absent<i64>,
        #[serde(skip_serializing_if = "Option::is_none")] consecutive_count: Absent<i64>,
        #[serde(skip_serializing_if = "Option::is_none")] capped_by_absolute_max: Absent<bool>,
    }
    /// The agent asked to end the loop (`.agent-done`), or a throttle does (`rate_limit`).
    Serve AgentSelfTerminated "agent_self_terminated" { reason: String }
    /// The loop has run its rounds.
    Serve MaxRoundsReached "max_rounds_reached" { rounds_completed: i64, max_rounds: i64 }
    /// The operator's stop file exists.
    Serve StopFileDetected "stop_file_detected" { stop_file: String, content: String, rounds_completed: i64 }
    /// The configuration cannot work; permanent.
    Serve ConfigBroken "config_broken" { reason: String }
    /// Five short crashes in a row.
    Serve CrashLoop "crash_loop" { consecutive: i64, exit_code: i64, reason: String }
    /// Five rounds in a row ended for memory.
    Serve MemLoop "mem_loop" { consecutive: i64, exit_code: i64, reason: String }
    /// The third `mem_loop` within two hours; final.
    Serve MemLoopPersistent "mem_loop_persistent" { consecutive: i64, exit_code: i64, reason: String }
    /// Five fast rounds in a row without any use of the provider.
    Serve StalledNoProgress "stalled_no_progress" { consecutive: i64, exit_code: i64, reason: String }
    /// The round's own supervisor hung and was ended.
    Serve RoundSupervisorWedged "round_supervisor_wedged" { pid: i64, timeout_s: i64, log_path: String }
    /// The running round was cancelled by the operator.
    Serve RoundCancelled "round_cancelled" { round_num: i64 }
    /// The work tree before a round.
    Serve RoundSubstrateBefore "round_substrate_before" {
        round_num: i64, git_head: Option<String>, paths_hash: Option<String>,
    }
    /// The work tree after a round.
    Serve RoundSubstrateAfter "round_substrate_after" {
        round_num: i64, git_head: Option<String>, paths_hash: Option<String>,
    }
    /// This round is told to look with fresh eyes.
    Serve FreshEyesRoundTriggered "fresh_eyes_round_triggered" { round_num: i64, every_n: i64 }
    /// The agent continues an earlier session.
    Serve SessionResumed "session_resumed" {
        session_id: String,
        #[serde(skip_serializing_if = "Option::is_none")] phase: Absent<String>,
    }
    /// The schedule is closed.
    Serve SchedulePaused "schedule_paused" {
        active_window: String, resume_at: String, timezone: String,
        #[serde(skip_serializing_if = "Option::is_none")] phase: Absent<String>,
    }
    /// The schedule is open again.
    Serve ScheduleResumed "schedule_resumed" { paused_for_s: i64 }
    /// Phases that could not run now were stepped over.
    Serve SchedulePhaseSkipped "schedule_phase_skipped" {
        round_num: i64, skipped: Vec<String>, chosen: String, active_window: String,
    }
    /// Memory pressure holds the next round back.
    Serve RoundDeferred "round_deferred" { severity: String, signal: String, message: String }
    /// The pressure is gone.
    Serve RoundResumed "round_resumed" { deferred_for_s: i64 }
    /// A critical memory tick in a running round.
    Serve RoundMemCriticalSample "round_mem_critical_sample" {
        round_num: i64, consecutive: i64, context: Map<String, Value>,
    }
    /// The round was ended (or nudged) for memory.
    Serve RoundMemTerminated "round_mem_terminated" {
        pid: i64, severity: String, signal: String, message: String, consecutive: i64,
        context: Map<String, Value>, tier: String,
    }
    /// The cgroup bounds the round, so the pressure is left to it.
    Serve MemPressureDeferredToCgroup "mem_pressure_deferred_to_cgroup" {
        pid: i64, signal: String, message: String,
    }
    /// The round's memory grows fast.
    Serve CgroupGrowthRateWarning "cgroup_growth_rate_warning" {
        round_num: i64, rate_mb_per_min: f64, threshold_mb_per_min: f64, source: String,
        context: Map<String, Value>,
    }
    /// The memory limits this loop runs under; once per loop.
    Serve HostCgroupMemoryLimit "host_cgroup_memory_limit" {
        memory_max: Option<i64>, memory_swap_max: Option<i64>, cgroup_path: Option<String>, defer: bool,
        swap_total_bytes: i64, swap_cap_pct: Option<f64>, memory_high: Option<i64>, advisory: Option<String>,
        cgroup_delegated: Option<bool>,
    }
    /// The cgroup's memory over one round.
    Serve RoundCgroupMemory "round_cgroup_memory" {
        round_num: i64, memory_current_peak: i64, memory_swap_current_peak: i64, events_high_delta: i64,
        events_max_delta: i64, events_oom_delta: i64, events_oom_kill_delta: i64,
        bounding_cgroup_path: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")] io_psi_some_avg10: Absent<f64>,
        #[serde(skip_serializing_if = "Option::is_none")] io_psi_full_avg10: Absent<f64>,
        #[serde(skip_serializing_if = "Option::is_none")] psi_full_total: Absent<i64>,
    }
    /// The kernel killed in the round's cgroup.
    Serve RoundOomKilled "round_oom_killed" {
        round_num: i64, log_path: String, log_bytes: i64, events_oom_kill_delta: i64, oom_kill_delta: i64,
        partial_log: bool,
    }
    /// The soft brake was pulled.
    Serve MemoryHighEngaged "memory_high_engaged" {
        round_num: i64, previous: String, written: i64, memory_current: i64, write_ms: i64, signal: String,
        context: Map<String, Value>, rate_mb_per_min: Option<f64>,
    }
    /// The soft brake was let go.
    Serve MemoryHighReleased "memory_high_released" { round_num: i64, reason: String }
    /// The soft brake could not be pulled.
    Serve MemoryHighWriteFailed "memory_high_write_failed" { round_num: i64, errno: Option<i64> }
    /// The loop re-executed into another binary between two rounds.
    Serve ServeHandedOver "serve_handed_over" { from_version: String, to_version: String }
    /// The monitor has started.
    Monitor MonitorStarted "monitor_started" {
        host: Option<String>, interval_s: i64, log_dir: String, mode: String,
    }
    /// A new alert.
    Monitor MonitorAlertEmitted "monitor_alert_emitted" {
        detector: String, severity: String, message: String, auto_action: String,
    }
    /// An alert is over.
    Monitor MonitorAlertResolved "monitor_alert_resolved" {
        detector: String, identity: String, firing_for_s: i64,
    }
    /// The service was stopped, and it is confirmed.
    Monitor MonitorAutoStopTriggered "monitor_auto_stop_triggered" { detector: String }
    /// The service could not be stopped.
    Monitor MonitorAutoStopFailed "monitor_auto_stop_failed" { detector: String, error: String }
    /// A detector could not judge; the others did.
    Monitor DetectorError "detector_error" { detector: String, error: String }
    /// The link to a relayed host ended and will be tried again.
    Relay MonitorRemoteBlip "monitor_remote_blip" {
        host: String, returncode: i64, error: String, attempt: i64, elapsed_s: f64, cap_s: f64,
        resume_since: Option<String>, next_sleep_s: f64,
    }
    /// The relay gave up.
    Relay MonitorRemoteGiveup "monitor_remote_giveup" {
        host: String, returncode: i64, total_attempts: i64, total_elapsed_s: f64, cap_s: f64,
        final_error: String, resume_since: Option<String>,
    }
    /// The upgrade rewrote the configuration.
    Upgrade ConfigMigrated "config_migrated" { applied: Vec<String>, manual: Vec<String>, path: String }
    /// The running service was upgraded.
    Upgrade ServiceUpgraded "service_upgraded" { from_version: String, to_version: String, duration_s: f64 }
    /// The program was upgraded, the service not restarted.
    Upgrade PackageUpgraded "package_upgraded" {
        from_version: String, to_version: String, restart_deferred: bool,
    }
    /// The upgrade failed and the old version is back.
    Upgrade ServiceUpgradeRolledBack "service_upgrade_rolled_back" {
        attempted_version: String, restored_version: String, failure_reason: String, duration_s: f64,
    }
    /// The upgrade failed and so did the way back.
    Upgrade ServiceUpgradeRollbackFailed "service_upgrade_rollback_failed" {
        attempted_version: String, restore_target_version: String, failure_reason: String,
    }
    /// The new program did not take over, the old one is in its place again, and the service does not start.
    Upgrade UpgradeStartFailed "upgrade_start_failed" {
        to_version: String, failure_reason: String, remedy: String,
    }
    /// Events were lost to a full or failing disk; written when it takes writes again.
    Any EventsDropped "events_dropped" { count: i64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_unique_lower_snake_case_with_an_underscore() {
        let mut names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        for name in &names {
            assert!(name.contains('_'), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        }
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn fields_keep_their_order_and_absent_ones_are_left_out() {
        let event = Event::GoalCheck {
            name: "tests".into(),
            satisfied: Some(false),
            value: Some(None),
            timed_out: Some(false),
            skipped: false,
            error: None,
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"event":"goal_check","name":"tests","satisfied":false,"value":null,"timed_out":false,"skipped":false}"#
        );
    }
}
