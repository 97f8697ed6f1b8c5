//! The one table of all metrics: what `/metrics` serves and what `docs/metrics.md` says both come from it.

use std::fmt::Write;

use prometheus_client::metrics::MetricType;
use prometheus_client::registry;

use super::histogram::BOUNDS;

/// What is known about a metric before it has a value.
#[derive(Debug)]
pub struct Definition {
    /// Its name without unit and without the suffix of its kind.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its base unit, which becomes part of its name.
    pub unit: Option<Unit>,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

/// The kinds of OpenMetrics that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, and begins at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
    /// Always 1; what it tells is in its labels.
    Info,
}

/// Base units of OpenMetrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

macro_rules! definitions {
    ($($constant:ident = $kind:ident $name:literal $([$($label:literal),+])? $(in $unit:ident)?, $help:literal;)+) => {
        $(
            pub(super) static $constant: Definition = Definition {
                name: $name,
                kind: Kind::$kind,
                unit: definitions!(@unit $($unit)?),
                labels: &[$($($label),+)?],
                help: $help,
            };
        )+

        /// Every metric, in the order of `/metrics`.
        pub static DEFINITIONS: &[&Definition] = &[$(&$constant),+];
    };
    (@unit) => { None };
    (@unit $unit:ident) => { Some(Unit::$unit) };
}

definitions! {
    BUILD = Info "trackside_build" ["version", "wasmtime", "contract"],
        "The version of Trackside, of wasmtime in it, and of the plugin contract.";
    CONNECTED = Gauge "trackside_nats_connected",
        "1 while there is a connection to a NATS server, otherwise 0.";
    REVISION = Info "trackside_revision" ["revision"],
        "The revision in force: a digest of the TOML files, of the plugins and of what they were configured with.";
    ACTIVATED = Gauge "trackside_revision_activated_timestamp" in Seconds,
        "When the revision in force was activated, in seconds since the Unix epoch.";
    RELOADS = Counter "trackside_reloads" ["outcome"],
        "Loads of the configuration, the first one included, by what came of them: activated; unchanged; rejected; refused, because it was put by the admin API and had mistakes.";
    RELOAD_SUCCESSFUL = Gauge "trackside_last_reload_successful",
        "0 if the files of the configuration were rejected when they were loaded last, otherwise 1. What is put without being written is none of them.";
    TRACE_SPANS = Counter "trackside_trace_spans" ["outcome"],
        "Spans of traces by what became of them: exported; dropped, because too many waited; failed, because the receiver did not take them.";
    LOG_HELD_BACK = Counter "trackside_log_lines_held_back",
        "Log lines about messages of rules that were not written, since there had been one in that second.";
    TASKS = Gauge "trackside_tasks" ["state"],
        "What is to be done with messages in rules: ready, waits for a lane; running, is in a lane or being confirmed; waiting, waits for its key, for room in its rule, a breaker or a service; later, waits for its next try.";
    TAPS = Gauge "trackside_taps",
        "Taps that are open.";
    TAPS_MISSED = Counter "trackside_taps_missed",
        "Outcomes that taps were not shown, because they came faster than these took them.";
    SOURCE_RECEIVED = Counter "trackside_source_received" ["source"],
        "Deliveries taken in, redeliveries included.";
    SOURCE_REDELIVERED = Counter "trackside_source_redelivered" ["source"],
        "Deliveries taken in that had been delivered before.";
    SOURCE_UNMATCHED = Counter "trackside_source_unmatched" ["source"],
        "Messages that no rule takes; they are acknowledged.";
    SOURCE_ACKNOWLEDGED = Counter "trackside_source_acknowledged" ["source"],
        "Messages acknowledged, all of their outcomes being safe.";
    SOURCE_NEGATIVE = Counter "trackside_source_negative_acknowledged" ["source"],
        "Deliveries given back to be tried again, or terminated.";
    SOURCE_DROPPED = Counter "trackside_source_dropped" ["source"],
        "Messages of a core NATS source lost because they came faster than they could be taken in.";
    SOURCE_IN_FLIGHT_MESSAGES = Gauge "trackside_source_in_flight_messages" ["source"],
        "Messages between intake and acknowledgement.";
    SOURCE_IN_FLIGHT_BYTES = Gauge "trackside_source_in_flight" ["source"] in Bytes,
        "Bytes of payloads and headers between intake and acknowledgement.";
    SOURCE_WINDOW_MESSAGES = Gauge "trackside_source_window_messages" ["source"],
        "How many messages may be between intake and acknowledgement.";
    SOURCE_WINDOW_BYTES = Gauge "trackside_source_window" ["source"] in Bytes,
        "How many bytes of payloads and headers may be between intake and acknowledgement.";
    SOURCE_PAUSED = Gauge "trackside_source_paused_messages" ["source"],
        "Messages that have used up their tries and keep the source paused until they succeed.";
    SOURCE_PENDING = Gauge "trackside_source_pending_messages" ["source"],
        "Messages in the stream that its consumer has not delivered to any instance; of JetStream sources, asked every 15 s.";
    SOURCE_UNACKNOWLEDGED = Gauge "trackside_source_unacknowledged_messages" ["source"],
        "Messages that its consumer has delivered to any instance and that are not acknowledged; of JetStream sources, asked every 15 s.";
    SOURCE_REDELIVERED_MESSAGES = Gauge "trackside_source_redelivered_messages" ["source"],
        "Unacknowledged messages that were delivered more than once; of JetStream sources, asked every 15 s.";
    SOURCE_LATENCY = Histogram "trackside_source_latency" ["source"] in Seconds,
        "Time from intake to acknowledgement, of messages that were acknowledged.";
    RULE = Info "trackside_rule" ["rule", "source"],
        "The source that the messages of a rule come from.";
    RULE_TRIES = Counter "trackside_rule_tries" ["rule", "outcome"],
        "Tries of messages by what came of them: published, dropped, dead-lettered, retried, terminated, returned.";
    RULE_PUBLISHED = Counter "trackside_rule_published" ["rule"],
        "Outputs published and confirmed.";
    RULE_DROPPED = Counter "trackside_rule_dropped" ["rule"],
        "Messages that a plugin dropped.";
    RULE_DEAD_LETTERED = Counter "trackside_rule_dead_lettered" ["rule", "class"],
        "Dead letters stored, by what failed: rejected, retry, trap, deadline, limit, route, publish, host, other.";
    RULE_DIVERTED = Counter "trackside_rule_diverted" ["rule"],
        "Outputs sent to the rule's route for overflow, because the breaker of their own was open.";
    RULE_RETRIED = Counter "trackside_rule_retried" ["rule"],
        "Tries that ended with the message being handed back for another one.";
    RULE_TERMINATED = Counter "trackside_rule_terminated" ["rule"],
        "Messages that failed for good in a rule that keeps no dead letters.";
    RULE_PUBLISH_ERRORS = Counter "trackside_rule_publish_errors" ["rule"],
        "Outputs and dead letters that could not be published or were not confirmed.";
    RULE_PUBLISH_SECONDS = Histogram "trackside_rule_publish" ["rule"] in Seconds,
        "Time from when the outputs of a message begin to be published until all are confirmed, where that is waited for; series begin with the first.";
    ROUTE_OUTPUTS = Counter "trackside_route_outputs" ["rule", "route", "outcome"],
        "Outputs by what came of them: confirmed, failed.";
    ROUTE_BREAKER = Gauge "trackside_route_breaker_open" ["rule", "route"],
        "1 while the route is left alone because publishing failed again and again, otherwise 0.";
    STAGE_SECONDS = Histogram "trackside_stage" ["rule", "stage", "plugin"] in Seconds,
        "Time of a call in a stage, by its position in the rule; series begin with the first call.";
    PLUGIN_CALLS = Counter "trackside_plugin_calls" ["plugin"],
        "Calls of the plugin, whatever came of them.";
    PLUGIN_FAULTS = Counter "trackside_plugin_faults" ["plugin", "kind"],
        "Calls that ended by a fault: trap, deadline, memory, limit, fatal, store, instantiate, other.";
    PLUGIN_CALL_SECONDS = Histogram "trackside_plugin_call" ["plugin"] in Seconds,
        "Time of a call of the plugin.";
    PLUGIN_INSTANCES = Counter "trackside_plugin_instances_created" ["plugin"],
        "Instances of the plugin made.";
    PLUGIN_ALIVE = Gauge "trackside_plugin_instances" ["plugin"],
        "Instances of the plugin that are alive.";
    PLUGIN_MEMORY = Gauge "trackside_plugin_memory" ["plugin"] in Bytes,
        "Linear memory of these instances.";
    PLUGIN_LINES_DROPPED = Counter "trackside_plugin_log_lines_dropped" ["plugin"],
        "Log lines of the plugin dropped, since it wrote more a second than it may.";
    PLUGIN_BREAKER = Gauge "trackside_plugin_breaker_open" ["plugin"],
        "1 while the plugin is left alone because it failed again and again, otherwise 0.";
    SERVICE_UP = Gauge "trackside_service_up" ["service"],
        "1 while a service that outputs are posted to takes connections, otherwise 0.";
    SERVICE_REQUESTS = Counter "trackside_service_requests" ["service", "outcome"],
        "Requests to a service, each with one output or a batch of them, by what came of them: delivered, refused, retried.";
    SUBSCRIBERS = Gauge "trackside_subscription_subscribers" ["subscription"],
        "Who subscribes to a route at the sidecar.";
    SUBSCRIPTION_WAITING = Gauge "trackside_subscription_waiting_messages" ["subscription"],
        "Outputs that wait for a subscriber.";
    SUBSCRIPTION_OUT = Gauge "trackside_subscription_in_flight_messages" ["subscription"],
        "Outputs that a subscriber has and has not answered.";
}

impl Definition {
    /// The name of its samples; those of a histogram get `_bucket`, `_count` and `_sum` after it.
    #[must_use]
    pub fn sample_name(&self) -> String {
        let unit = self.unit.map_or(String::new(), |unit| format!("_{}", unit.as_str()));
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{}{unit}{suffix}", self.name)
    }

    pub(super) fn metric_type(&self) -> MetricType {
        match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
            Kind::Info => MetricType::Info,
        }
    }

    pub(super) fn open_metrics_unit(&self) -> Option<&'static registry::Unit> {
        self.unit.map(|unit| match unit {
            Unit::Seconds => &registry::Unit::Seconds,
            Unit::Bytes => &registry::Unit::Bytes,
        })
    }
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
        }
    }
}

/// The text of `docs/metrics.md`.
#[must_use]
pub fn reference() -> String {
    const INFALLIBLE: &str = "writing to a string does not fail";
    let bounds: Vec<String> = BOUNDS.iter().map(|bound| format!("{bound:?}")).collect();
    let mut text = String::from(
        "# Metrics\n\n\
        `GET /metrics` of the admin listener serves these, in the OpenMetrics text format. This page is made from the\n\
        table in `host/src/telemetry/definitions.rs`; a test compares the two.\n\n\
        | name | type | labels | unit | meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    for definition in DEFINITIONS {
        let labels: Vec<String> = definition.labels.iter().map(|label| format!("`{label}`")).collect();
        let unit = definition.unit.map_or("", Unit::as_str);
        let (name, kind) = (definition.sample_name(), definition.kind.as_str());
        writeln!(text, "| `{name}` | {kind} | {} | {unit} | {} |", labels.join(", "), definition.help)
            .expect(INFALLIBLE);
    }
    writeln!(
        text,
        "\nA histogram has the series `_bucket`, `_count` and `_sum`; its buckets end at {}.\n\
        Series of rules, sources and plugins that the revision in force no longer has are removed.\n\n\
        The revision covers every byte of `trackside.toml` and `rules/*.toml`, connection settings and comments\n\
        included. Instances that differ in nothing but the address of their servers have different revisions.",
        bounds.join(", ")
    )
    .expect(INFALLIBLE);
    text
}
