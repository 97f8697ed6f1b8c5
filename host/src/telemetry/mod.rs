//! What Trackside tells about itself: log lines, metrics, and whether it is ready. A leaf: everything else may use
//! it, and it uses only names and messages.

mod definitions;
mod handles;
mod histogram;
mod log;
mod metrics;
mod readiness;
pub mod supervisor;
mod throttle;
pub mod traces;

pub use definitions::{DEFINITIONS, Definition, Kind, Unit, reference};
pub use handles::{
    DEAD_LETTER_CLASSES, FAULT_KINDS, PluginMetrics, RULE_OUTCOMES, RuleMetrics, RuleOutcome, SourceMetrics,
    TraceMetrics,
};
pub use histogram::Histogram;
pub use log::{LogError, LogFormat, init_log};
pub use metrics::{Build, InUse, Metrics, OPEN_METRICS};
pub use readiness::{Condition, Conditions, Readiness};
pub use throttle::Throttle;
