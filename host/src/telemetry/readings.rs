//! What is not counted while it happens, but read when somebody asks for the metrics.

use std::collections::BTreeMap;
use std::fmt;

use crate::names::{PluginName, QueueName, RouteName, RuleName, SourceName};

/// Everything that is read.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    /// What is to be done.
    pub tasks: TaskReadings,
    /// Those who look on.
    pub taps: TapReadings,
    /// The source of each rule.
    pub rules: Vec<(RuleName, SourceName)>,
    /// Each route, and whether its breaker is open.
    pub routes: Vec<(RuleName, RouteName, bool)>,
    /// Each plugin that a rule uses.
    pub plugins: BTreeMap<PluginName, PluginReadings>,
    /// Each service, by its address, that outputs are posted to.
    pub services: BTreeMap<String, ServiceReadings>,
    /// Each route that is subscribed to at the sidecar.
    pub subscriptions: BTreeMap<QueueName, SubscriptionReadings>,
}

/// Tasks by what they wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskReadings {
    /// For a lane.
    pub ready: usize,
    /// For nothing: they are in a lane or being confirmed.
    pub running: usize,
    /// For their key, for room, a breaker or a service.
    pub waiting: usize,
    /// For the time of their next try.
    pub later: usize,
}

/// Those who look on while messages pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TapReadings {
    /// How many there are.
    pub open: usize,
    /// What they would have been shown, had they kept up.
    pub missed: u64,
}

/// A plugin, over all of its instances.
#[derive(Debug, Clone, Copy, Default)]
pub struct PluginReadings {
    /// Instances that are alive.
    pub instances: usize,
    /// Their linear memory, in bytes.
    pub memory_bytes: usize,
    /// Log lines that it wrote too fast.
    pub log_lines_dropped: u64,
    /// Whether it is left alone.
    pub breaker_open: bool,
}

/// A service that outputs are posted to.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServiceReadings {
    /// Whether it takes connections.
    pub up: bool,
    /// Outputs that it took.
    pub delivered: u64,
    /// Outputs that it will never take.
    pub refused: u64,
    /// Outputs that it may take another time.
    pub retried: u64,
}

/// A route that is subscribed to.
#[derive(Debug, Clone, Copy, Default)]
pub struct SubscriptionReadings {
    /// Who subscribes.
    pub subscribers: usize,
    /// Outputs that wait for one.
    pub waiting: usize,
    /// Outputs that one has.
    pub in_flight: usize,
}

/// Reads everything.
pub(super) struct Reader(pub(super) Box<dyn Fn() -> Readings + Send + Sync>);

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}
