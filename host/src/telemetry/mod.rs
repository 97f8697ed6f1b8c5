//! What Trackside tells about itself: log lines, metrics, and whether it is ready. A leaf: everything else may use
//! it, and it uses only names and messages.

mod definitions;
mod handles;
mod histogram;
mod log;
mod metrics;
mod readiness;
mod readings;
pub mod supervisor;
mod throttle;
pub mod traces;

pub use definitions::{DEFINITIONS, Definition, Kind, Unit, reference};
pub use handles::{
    DEAD_LETTER_CLASSES, FAULT_KINDS, Lag, PluginMetrics, RULE_OUTCOMES, RouteMetrics, RuleMetrics, RuleOutcome,
    SourceMetrics, TraceMetrics,
};
pub use histogram::Histogram;
pub use log::{LogError, LogFormat, init_log, log_panics, panic_text, task_panic};
pub use metrics::{Build, InUse, Metrics, OPEN_METRICS, StageLabels};
pub use readiness::{Condition, Conditions, Readiness};
pub use readings::{PluginReadings, Readings, ServiceReadings, SubscriptionReadings, TapReadings, TaskReadings};
pub use throttle::Throttle;
