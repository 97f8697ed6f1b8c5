//! Those who look on while messages pass. Each is shown what becomes of messages as far as it keeps up; what it misses is
//! counted, and nothing waits for it. While nobody looks, a message pays for one relaxed read of a counter.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, Weak};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::{Notify, mpsc};

use crate::message::{Message, Origin, SubjectPattern};
use crate::names::{RuleName, SourceName};
use crate::plan::Plan;
use crate::telemetry::TapReadings;

use super::job::Task;
use super::seen::{Ending, Glimpse, Seen};

/// Taps at a time.
pub const MAX_TAPS: usize = 8;

/// What may wait for one tap: so many, and about so many bytes of headers and payloads.
const WAITING: usize = 4096;
const WAITING_BYTES: usize = 4 << 20;

/// Where taps are opened, and what the pipeline shows them things by. Cheap to clone; outlives revisions.
#[derive(Debug, Clone, Default)]
pub struct Taps(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    open: AtomicUsize,
    sinks: RwLock<Vec<Sink>>,
    missed: Counter,
}

/// What somebody wants to see: what all that is given holds for.
#[derive(Debug, Clone, Default)]
pub struct TapFilter {
    /// The rule. What no rule takes is not seen then.
    pub rule: Option<RuleName>,
    /// What became of the message.
    pub ending: Option<Ending>,
    /// The subject that the message came with.
    pub subject: Option<SubjectPattern>,
}

/// As many look on as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are {MAX_TAPS} taps, which is the most")]
pub struct TooManyTaps;

/// Somebody who looks on, until it is dropped.
#[derive(Debug)]
pub struct Tap {
    items: mpsc::Receiver<Item>,
    /// What is to be given out after what was missed before it.
    next: Option<Arc<Seen>>,
    gauge: Arc<Gauge>,
    taps: Weak<Shared>,
}

/// What a tap gives out.
#[derive(Debug)]
pub enum Glance {
    /// What became of a message.
    Seen(Arc<Seen>),
    /// So many would have been shown here, and were not.
    Missed(u64),
}

/// The pipeline's side of a tap.
#[derive(Debug)]
struct Sink {
    filter: TapFilter,
    items: mpsc::Sender<Item>,
    gauge: Arc<Gauge>,
    /// What all taps missed.
    all_missed: Counter,
}

#[derive(Debug)]
struct Item {
    missed_before: u64,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Gauge {
    /// What waits.
    bytes: AtomicUsize,
    /// What was missed since something was last put there to wait.
    missed: AtomicU64,
    more_missed: Notify,
}

impl Taps {
    /// Whether anybody looks.
    pub(super) fn are_open(&self) -> bool {
        self.0.open.load(Ordering::Relaxed) > 0
    }

    /// How many look on, and how many things those have missed that looked on since the start.
    #[must_use]
    pub fn readings(&self) -> TapReadings {
        TapReadings { open: self.0.open.load(Ordering::Relaxed), missed: self.0.missed.get() }
    }

    /// Begins to look on.
    ///
    /// # Errors
    /// When as many look on as may.
    pub fn open(&self, filter: TapFilter) -> Result<Tap, TooManyTaps> {
        let mut sinks = self.0.sinks.write().unwrap_or_else(PoisonError::into_inner);
        if sinks.len() == MAX_TAPS {
            return Err(TooManyTaps);
        }
        let (sender, items) = mpsc::channel(WAITING);
        let gauge = Arc::new(Gauge::default());
        let all_missed = self.0.missed.clone();
        sinks.push(Sink { filter, items: sender, gauge: Arc::clone(&gauge), all_missed });
        self.0.open.store(sinks.len(), Ordering::Relaxed);
        Ok(Tap { items, next: None, gauge, taps: Arc::downgrade(&self.0) })
    }

    /// Begins with what is to be shown of a task: nothing if nobody wants to see it, and no more than what became of it if
    /// nobody who does has room.
    pub(super) fn look(&self, task: &Task) -> Glimpse {
        let (rule, subject) = (Some(&task.rule().name), task.job.message.subject.as_str());
        let sinks = self.sinks();
        let mut wanting = sinks.iter().filter(|sink| sink.filter.may_take(rule, subject)).peekable();
        if wanting.peek().is_none() {
            return Glimpse::default();
        }
        Glimpse::of(task, wanting.any(Sink::has_room))
    }

    /// Shows what there is to be shown.
    pub(super) fn show(&self, glimpse: Glimpse) {
        if let Some(seen) = glimpse.take() {
            self.offer(*seen);
        }
    }

    /// Shows a message that no rule takes.
    pub(super) fn unmatched(&self, plan: &Arc<Plan>, source: &SourceName, message: &Message, origin: &Arc<Origin>) {
        if self.are_open() {
            self.offer(Seen::unmatched(plan, source, message, origin));
        }
    }

    fn offer(&self, mut seen: Seen) {
        let sinks = self.sinks();
        let wanting: Vec<&Sink> = sinks.iter().filter(|sink| sink.filter.takes(&seen)).collect();
        if !seen.is_complete() || !wanting.iter().any(|sink| sink.has_room()) {
            wanting.iter().for_each(|sink| sink.missed());
            return;
        }
        seen.keep();
        let seen = Arc::new(seen);
        wanting.iter().for_each(|sink| sink.offer(&seen));
    }

    fn sinks(&self) -> RwLockReadGuard<'_, Vec<Sink>> {
        self.0.sinks.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TapFilter {
    fn takes(&self, seen: &Seen) -> bool {
        let rule = seen.rule().map(|rule| &rule.name);
        self.ending.is_none_or(|ending| ending == seen.ending) && self.may_take(rule, seen.message.subject.as_str())
    }

    /// Whether it takes such a message, if the right thing becomes of it.
    fn may_take(&self, rule: Option<&RuleName>, subject: &str) -> bool {
        self.rule.as_ref().is_none_or(|wanted| Some(wanted) == rule)
            && self.subject.as_ref().is_none_or(|pattern| pattern.matches(subject))
    }
}

impl Sink {
    fn has_room(&self) -> bool {
        self.items.capacity() > 0 && self.gauge.bytes.load(Ordering::Relaxed) < WAITING_BYTES
    }

    fn offer(&self, seen: &Arc<Seen>) {
        if !self.has_room() {
            return self.missed();
        }
        let (gauge, bytes) = (&self.gauge, seen.bytes());
        let missed_before = gauge.missed.swap(0, Ordering::Relaxed);
        gauge.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.items.try_send(Item { missed_before, seen: Arc::clone(seen) }).is_err() {
            gauge.bytes.fetch_sub(bytes, Ordering::Relaxed);
            gauge.missed.fetch_add(missed_before, Ordering::Relaxed);
            self.missed();
        }
    }

    fn missed(&self) {
        self.all_missed.inc();
        self.gauge.missed.fetch_add(1, Ordering::Relaxed);
        self.gauge.more_missed.notify_one();
    }
}

impl Tap {
    /// The next thing to see, or how much was missed before it. `None` when Trackside has ended.
    pub async fn next(&mut self) -> Option<Glance> {
        if let Some(seen) = self.next.take() {
            return Some(Glance::Seen(seen));
        }
        loop {
            let item = tokio::select! {
                biased;
                item = self.items.recv() => item?,
                // Whoever was counted after what waits is told of before what comes next, or here if nothing does.
                () = self.gauge.more_missed.notified() => match self.gauge.missed.swap(0, Ordering::Relaxed) {
                    0 => continue,
                    missed => return Some(Glance::Missed(missed)),
                },
            };
            self.gauge.bytes.fetch_sub(item.seen.bytes(), Ordering::Relaxed);
            if item.missed_before == 0 {
                return Some(Glance::Seen(item.seen));
            }
            self.next = Some(item.seen);
            return Some(Glance::Missed(item.missed_before));
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let Some(shared) = self.taps.upgrade() else { return };
        let mut sinks = shared.sinks.write().unwrap_or_else(PoisonError::into_inner);
        sinks.retain(|sink| !Arc::ptr_eq(&sink.gauge, &self.gauge));
        shared.open.store(sinks.len(), Ordering::Relaxed);
    }
}
