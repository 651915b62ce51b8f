//! The keys of `[monitor.host_health]`: when a host counts as short of disk or memory.

use super::schema::{ANY, Default as D, Key, Kind as K, Presence, Range, Table};

const MOVED: &str = "moved into a table of [monitor.host_health]; `agent-runner migrate` moves it";

pub(super) const HOST_HEALTH: Table = Table {
    tables: &[
        Table {
            keys: &[&[
                Key::new("warning_pct", K::Float(Range::Percent), D::Float(90.0), "Percent used that warns."),
                Key::new(
                    "critical_pct",
                    K::Float(Range::Percent),
                    D::Float(95.0),
                    "Percent used that is critical, and stops the service while `disk_critical` is in `auto_stop_on`.",
                ),
                Key::new(
                    "growth_window_s",
                    K::Int(1, ANY),
                    D::Int(1800),
                    "Seconds over which growth is measured.",
                ),
                Key::new(
                    "disk_growth_pct_per_hr_warning",
                    K::Float(Range::Positive),
                    D::Float(5.0),
                    "Percent of space per hour that warns.",
                ),
                Key::new(
                    "inode_growth_pct_per_hr_warning",
                    K::Float(Range::Positive),
                    D::Float(5.0),
                    "Percent of inodes per hour that warns.",
                ),
            ]],
            ..Table::new("monitor.host_health.disk", Presence::Optional, "The file system of the log dir.")
        },
        Table {
            keys: &[&[
                Key::new(
                    "avail_min_mb",
                    K::Int(0, ANY),
                    D::Int(200),
                    "MemAvailable in MB below which memory is low.",
                ),
                Key::new(
                    "free_low_mb",
                    K::Int(1, ANY),
                    D::Int(16),
                    "MemFree in MB below which memory is low.",
                ),
                Key::new(
                    "swap_out_noise_floor_mb",
                    K::Int(1, ANY),
                    D::Int(32),
                    "Swapped-out MB between two samples that are noise.",
                ),
            ]],
            ..Table::new(
                "monitor.host_health.memory",
                Presence::Optional,
                "The gate before a round, for hosts without pressure stall information.",
            )
        },
        Table {
            keys: &[&[
                Key::new(
                    "full_avg10_critical",
                    K::Float(Range::PositivePercent),
                    D::Float(60.0),
                    "PSI `full avg10` in percent that is critical.",
                ),
                Key::new(
                    "some_avg10_warning",
                    K::Float(Range::PositivePercent),
                    D::Float(5.0),
                    "PSI `some avg10` in percent that warns.",
                ),
                Key::new(
                    "critical_consecutive_samples",
                    K::Int(1, ANY),
                    D::Int(3),
                    "Critical samples in a row that end a running round.",
                ),
                Key::new("in_round_terminate", K::Bool, D::Bool(true), "Whether they do."),
                Key::new(
                    "in_round_nudge",
                    K::Bool,
                    D::Bool(false),
                    "Whether the first critical sample already sends SIGTERM to the agent.",
                ),
                Key::new(
                    "cgroup_growth_rate_warning_mb_per_min",
                    K::Float(Range::Positive),
                    D::Float(512.0),
                    "Growth of the round's memory that warns.",
                ),
            ]],
            ..Table::new(
                "monitor.host_health.pressure",
                Presence::Optional,
                "Memory pressure while a round runs.",
            )
        },
        Table {
            keys: &[&[
                Key::new(
                    "memory_high",
                    K::Bool,
                    D::Bool(false),
                    "Whether `memory.high` of the service's cgroup is lowered under pressure.",
                ),
                Key::new("memory_high_step_pct", K::Int(0, 50), D::Int(0), "Percent below the current use."),
                Key::new(
                    "warning_consecutive_samples",
                    K::Int(1, ANY),
                    D::Int(3),
                    "Samples of pressure, and of calm, that count.",
                ),
            ]],
            ..Table::new(
                "monitor.host_health.brake",
                Presence::Optional,
                "The soft brake. It needs a control group that is the service's own, with the memory controller of cgroup v2. A unit \
                 of the account has one (`Delegate=yes`). A unit of the system has not: systemd gives it to `User=` without \
                 `memory.high`, which stays root's. Nor has a host with cgroup v1, whole or in part. There the brake stays \
                 off; `peek` says `inert(undelegated)` or `inert(no cgroup v2)`, and `degraded`.",
            )
        },
    ],
    removed: &[
        ("mem_avail_min_mb", MOVED),
        ("mem_free_low_mb", MOVED),
        ("swap_sout_noise_floor_mb", MOVED),
        ("disk_warning_pct", MOVED),
        ("disk_critical_pct", MOVED),
        ("psi_full_avg10_critical", MOVED),
        ("psi_some_avg10_warning", MOVED),
        ("mem_critical_consecutive_samples", MOVED),
        ("in_round_mem_terminate", MOVED),
    ],
    ..Table::new("monitor.host_health", Presence::Optional, "Thresholds of the host, in four tables.")
};
