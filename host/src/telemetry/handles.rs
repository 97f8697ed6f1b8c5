//! The counters of one rule, source or plugin. Each is made once, when a plan is compiled, and kept over reloads, so
//! that the hot path only adds to what it holds already.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::histogram::Histogram;

/// What a dead letter may be for: the label `class`. Anything else is counted as `other`.
pub const DEAD_LETTER_CLASSES: &[&str] =
    &["rejected", "retry", "trap", "deadline", "limit", "route", "publish", "host", "other"];

/// How a plugin may fail: the label `kind`. Anything else is counted as `other`.
pub const FAULT_KINDS: &[&str] = &["trap", "deadline", "memory", "limit", "fatal", "store", "instantiate", "other"];

/// What has become of a message in a rule, after one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleOutcome {
    /// Its outputs are safe, or there were none.
    Published,
    /// A plugin dropped all of it.
    Dropped,
    /// Its dead letter is stored.
    DeadLettered,
    /// It is to be tried again.
    Retried,
    /// It failed for good, and nothing is kept of it.
    Terminated,
    /// It goes back to where it came from, undecided.
    Returned,
}

/// The values of [`RuleOutcome`]: the label `outcome`.
pub const RULE_OUTCOMES: &[&str] = &["published", "dropped", "dead-lettered", "retried", "terminated", "returned"];

impl RuleOutcome {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        RULE_OUTCOMES[self as usize]
    }
}

/// The counters of a rule.
#[derive(Debug)]
pub struct RuleMetrics {
    pub(super) tries: ByLabel,
    pub(super) published: Counter,
    pub(super) dropped: Counter,
    pub(super) dead_lettered: ByLabel,
    pub(super) diverted: Counter,
    pub(super) retried: Counter,
    pub(super) terminated: Counter,
    pub(super) publish_errors: Counter,
    pub(super) publish_seconds: Histogram,
}

/// The counters of a route.
#[derive(Debug, Default)]
pub struct RouteMetrics {
    pub(super) confirmed: Counter,
    pub(super) failed: Counter,
}

/// How far a consumer is behind, over all instances that share it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// Messages that it has not delivered.
    pub pending: u64,
    /// Messages that it has delivered and that are not acknowledged.
    pub unacknowledged: u64,
    /// Of those, how many were delivered more than once.
    pub redelivered: u64,
}

/// The counters of a source.
#[derive(Debug, Default)]
pub struct SourceMetrics {
    pub(super) received: Counter,
    pub(super) redelivered: Counter,
    pub(super) unmatched: Counter,
    pub(super) acknowledged: Counter,
    pub(super) negative_acknowledged: Counter,
    pub(super) dropped: Counter,
    pub(super) in_flight_messages: Gauge,
    pub(super) in_flight_bytes: Gauge,
    pub(super) window_messages: Gauge,
    pub(super) window_bytes: Gauge,
    pub(super) paused: Gauge,
    pub(super) latency: Histogram,
    lag: Mutex<Option<Lag>>,
}

/// The counters of a plugin.
#[derive(Debug)]
pub struct PluginMetrics {
    pub(super) calls: Counter,
    pub(super) faults: ByLabel,
    pub(super) call_seconds: Histogram,
    pub(super) instances_created: Counter,
}

/// The counters of spans.
#[derive(Debug, Default)]
pub struct TraceMetrics {
    pub(super) exported: Counter,
    pub(super) dropped: Counter,
    pub(super) failed: Counter,
}

/// A counter for each of a few fixed values of a label, of which the last one takes what is none of the others.
pub(super) struct ByLabel {
    values: &'static [&'static str],
    counters: Box<[Counter]>,
}

impl RuleMetrics {
    pub(super) fn new() -> Self {
        Self {
            tries: ByLabel::new(RULE_OUTCOMES),
            published: Counter::default(),
            dropped: Counter::default(),
            dead_lettered: ByLabel::new(DEAD_LETTER_CLASSES),
            diverted: Counter::default(),
            retried: Counter::default(),
            terminated: Counter::default(),
            publish_errors: Counter::default(),
            publish_seconds: Histogram::default(),
        }
    }

    /// A try of a message came to this.
    pub fn tried(&self, outcome: RuleOutcome) {
        self.tries.counters[outcome as usize].inc();
    }

    /// This many outputs were published and confirmed.
    pub fn published(&self, count: usize) {
        self.published.inc_by(count as u64);
    }

    /// A plugin dropped this many messages or parts of one.
    pub fn dropped(&self, count: usize) {
        self.dropped.inc_by(count as u64);
    }

    /// A dead letter was stored, for a failure of this class.
    pub fn dead_lettered(&self, class: &str) {
        self.dead_lettered.get(class).inc();
    }

    /// An output was sent to the route for overflow.
    pub fn diverted(&self) {
        self.diverted.inc();
    }

    /// A message is to be tried again.
    pub fn retried(&self) {
        self.retried.inc();
    }

    /// A message failed for good, and the rule keeps no dead letters.
    pub fn terminated(&self) {
        self.terminated.inc();
    }

    /// An output or dead letter could not be published.
    pub fn publish_failed(&self) {
        self.publish_errors.inc();
    }

    /// The outputs of a message were confirmed after this long.
    pub fn confirmed_after(&self, took: Duration) {
        self.publish_seconds.observe(took);
    }
}

impl RouteMetrics {
    /// An output is safe.
    pub fn confirmed(&self) {
        self.confirmed.inc();
    }

    /// An output is not known to be safe.
    pub fn failed(&self) {
        self.failed.inc();
    }
}

impl SourceMetrics {
    /// A message of this many bytes entered the source's window.
    pub fn entered(&self, bytes: u32) {
        self.in_flight_messages.inc();
        self.in_flight_bytes.inc_by(bytes.into());
    }

    /// A message of this many bytes left the source's window.
    pub fn left(&self, bytes: u32) {
        self.in_flight_messages.dec();
        self.in_flight_bytes.dec_by(bytes.into());
    }

    /// So much may be in its window.
    pub fn window(&self, messages: usize, bytes: u32) {
        self.window_messages.set(i64::try_from(messages).unwrap_or(i64::MAX));
        self.window_bytes.set(bytes.into());
    }

    /// So many messages keep it paused.
    pub fn paused(&self, messages: usize) {
        self.paused.set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// How far its consumer is behind, if that is known.
    pub fn lags(&self, lag: Option<Lag>) {
        *self.lag.lock().unwrap_or_else(PoisonError::into_inner) = lag;
    }

    pub(super) fn lag(&self) -> Option<Lag> {
        *self.lag.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A delivery was taken in.
    pub fn received(&self, redelivered: bool) {
        self.received.inc();
        if redelivered {
            self.redelivered.inc();
        }
    }

    /// No rule takes this message.
    pub fn unmatched(&self) {
        self.unmatched.inc();
    }

    /// This many messages of a core source were lost before they could be taken in.
    pub fn dropped(&self, count: u64) {
        self.dropped.inc_by(count);
    }

    /// A delivery was resolved, this long after its intake.
    pub fn settled(&self, took: Duration, acknowledged: bool) {
        if acknowledged {
            self.acknowledged.inc();
            self.latency.observe(took);
        } else {
            self.negative_acknowledged.inc();
        }
    }
}

impl PluginMetrics {
    pub(super) fn new() -> Self {
        Self {
            calls: Counter::default(),
            faults: ByLabel::new(FAULT_KINDS),
            call_seconds: Histogram::default(),
            instances_created: Counter::default(),
        }
    }

    /// A call took this long, and ended by a fault of this kind if there was one.
    pub fn called(&self, took: Duration, fault: Option<&str>) {
        self.calls.inc();
        self.call_seconds.observe(took);
        if let Some(kind) = fault {
            self.faults.get(kind).inc();
        }
    }

    /// An instance was made.
    pub fn instance_created(&self) {
        self.instances_created.inc();
    }
}

impl TraceMetrics {
    /// The receiver took this many spans.
    pub fn exported(&self, count: u64) {
        self.exported.inc_by(count);
    }

    /// A span found no place to wait in.
    pub fn dropped(&self) {
        self.dropped.inc();
    }

    /// The receiver did not take this many spans.
    pub fn failed(&self, count: u64) {
        self.failed.inc_by(count);
    }
}

impl ByLabel {
    fn new(values: &'static [&'static str]) -> Self {
        Self { values, counters: values.iter().map(|_| Counter::default()).collect() }
    }

    fn get(&self, value: &str) -> &Counter {
        let known = self.values.iter().position(|known| *known == value);
        &self.counters[known.unwrap_or(self.values.len() - 1)]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Counter)> {
        self.values.iter().copied().zip(&self.counters)
    }
}

impl fmt::Debug for ByLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(value, counter)| (value, counter.get()))).finish()
    }
}
