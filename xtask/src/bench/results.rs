//! What was measured, for those who print it.

use std::time::Duration;

use super::latency::Latency;
use super::micro::Micro;
use super::scenario::Scenario;
use super::sidecar::Calls;
use super::stats::Spread;
use super::throughput::Measured;

/// Everything.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) throughput: Vec<Table<Measured>>,
    pub(crate) latency: Vec<Table<Latency>>,
    pub(crate) sidecar: Option<Table<Calls>>,
    pub(crate) start: Option<Start>,
    pub(crate) reloads: Vec<Reload>,
    /// Resident memory in bytes, of a Trackside that has had nothing to do.
    pub(crate) idle: Vec<u64>,
    /// What single steps cost.
    pub(crate) micro: Option<Micro>,
    /// What did not pass the arrival check, and so is no result.
    pub(crate) wrong: Vec<String>,
}

/// One scenario: a row for each contestant, in which the first is what the others are compared with.
pub(crate) struct Table<T> {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) rows: Vec<Row<T>>,
}

/// One contestant, with a value for each round. Without values if any of them did not pass the arrival check.
pub(crate) struct Row<T> {
    pub(crate) label: String,
    pub(crate) runs: Vec<T>,
}

/// Times from start to ready.
pub(crate) struct Start {
    pub(crate) cold: Vec<Duration>,
    pub(crate) warm: Vec<Duration>,
}

/// One reload under load.
pub(crate) struct Reload {
    pub(crate) took: Duration,
    /// The longest that a message took that was due while it went on, or shortly after.
    pub(crate) worst_during: Duration,
    /// The same of all other messages.
    pub(crate) worst_otherwise: Duration,
}

impl<T> Table<T> {
    /// An empty one.
    pub(crate) fn new(scenario: &Scenario, about: String) -> Self {
        let row = |label: &String| Row { label: label.clone(), runs: Vec::new() };
        let rows = scenario.contestants.iter().map(|contestant| row(&contestant.label)).collect();
        Self { name: scenario.name.clone(), about, rows }
    }

    /// The row of this label, if it has values.
    pub(crate) fn row(&self, label: &str) -> Option<&Row<T>> {
        self.rows.iter().find(|row| row.label == label && !row.runs.is_empty())
    }
}

impl<T> Row<T> {
    /// A value of each run.
    pub(crate) fn spread(&self, value: impl Fn(&T) -> f64) -> Option<Spread> {
        Spread::of(self.runs.iter().map(value))
    }

    /// A comparison of each run with the other row's run of the same round.
    pub(crate) fn against(&self, other: &Row<T>, compare: impl Fn(&T, &T) -> f64) -> Option<Spread> {
        Spread::of(self.runs.iter().zip(&other.runs).map(|(one, other)| compare(one, other)))
    }
}

impl Results {
    /// The throughput table of this name.
    pub(crate) fn table(&self, name: &str) -> Option<&Table<Measured>> {
        self.throughput.iter().find(|table| table.name == name)
    }

    /// The most memory that a Trackside had under any load, in bytes.
    pub(crate) fn peak(&self) -> Option<u64> {
        let rows = self.throughput.iter().flat_map(|table| &table.rows);
        let ours = rows.filter(|row| row.label.starts_with("trackside"));
        ours.flat_map(|row| &row.runs).map(|run| run.peak).max()
    }
}
