//! What became of one message in one rule, as those who look on are given it. The lanes pay for copies of what is small or
//! shared; whatever is made of them is made by who looks.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::message::{Headers, Message, Origin, Subject};
use crate::names::SourceName;
use crate::plan::{Plan, RulePlan};

use super::dead::Tries;
use super::job::Task;
use super::outcome::{Dropped, Failure, Output};

/// Payloads up to this are copied: a slice would keep the whole buffer that it was read into.
const COPIED_BYTES: usize = 256 << 10;

/// What became of one message in one rule.
#[derive(Debug)]
pub struct Seen {
    /// When that was known.
    pub at: SystemTime,
    /// The plan that decided.
    pub plan: Arc<Plan>,
    /// The rule's position there; `None` if no rule took the message.
    position: Option<usize>,
    /// Where the message came from.
    pub source: SourceName,
    /// The message as it came.
    pub message: Message,
    /// Its origin.
    pub origin: Arc<Origin>,
    /// How often it was tried.
    pub tries: Tries,
    /// What became of it.
    pub ending: Ending,
    /// What it became, or was to become if that could not be sent yet.
    pub outputs: Vec<Output>,
    /// What a plugin dropped: the message, or parts of it.
    pub dropped: Vec<Dropped>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Why nothing came of it yet, where it is not the message that failed.
    pub reason: Option<String>,
    /// After how long it is tried again.
    pub after: Option<Duration>,
    /// The subject of its dead letter.
    pub letter: Option<Subject>,
    /// Whether there was room for all of it.
    complete: bool,
}

/// What can become of a message in a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All that it became is safe.
    Published,
    /// A plugin dropped all of it.
    Dropped,
    /// It failed for good, and its dead letter is stored.
    DeadLettered,
    /// It is tried again.
    Retried,
    /// It failed for good, and the rule keeps no dead letters.
    Terminated,
    /// It could not be done now, which whoever waits for it was told.
    Unavailable,
    /// Nobody waited for it any more when its turn came.
    Late,
    /// Its rule is gone, and it is delivered again.
    HandedBack,
    /// No rule takes it.
    Unmatched,
}

impl Ending {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Published,
        Self::Dropped,
        Self::DeadLettered,
        Self::Retried,
        Self::Terminated,
        Self::Unavailable,
        Self::Late,
        Self::HandedBack,
        Self::Unmatched,
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Dropped => "dropped",
            Self::DeadLettered => "dead-lettered",
            Self::Retried => "retried",
            Self::Terminated => "terminated",
            Self::Unavailable => "unavailable",
            Self::Late => "late",
            Self::HandedBack => "handed-back",
            Self::Unmatched => "unmatched",
        }
    }

    /// The ending with this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.as_str() == word)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Seen {
    pub(super) fn unmatched(plan: &Arc<Plan>, source: &SourceName, message: &Message, origin: &Arc<Origin>) -> Self {
        let now = SystemTime::now();
        Self {
            at: now,
            plan: Arc::clone(plan),
            position: None,
            source: source.clone(),
            message: message.clone(),
            origin: Arc::clone(origin),
            tries: Tries { count: origin.delivery, first: now, last: now },
            ending: Ending::Unmatched,
            outputs: Vec::new(),
            dropped: Vec::new(),
            failure: None,
            reason: Some(format!("no rule of source `{source}` takes this subject")),
            after: None,
            letter: None,
            complete: true,
        }
    }

    /// The rule, if one took the message.
    #[must_use]
    pub fn rule(&self) -> Option<&RulePlan> {
        self.position.map(|position| &self.plan.rules[position])
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Makes it fit to wait for a while.
    pub(super) fn keep(&mut self) {
        self.at = SystemTime::now();
        let whole = std::mem::take(&mut self.message.payload);
        self.message.payload = copied(&whole);
        for output in &mut self.outputs {
            let unchanged = output.payload.as_ptr() == whole.as_ptr() && output.payload.len() == whole.len();
            output.payload = if unchanged { self.message.payload.clone() } else { copied(&output.payload) };
        }
    }

    /// About how much memory it keeps.
    pub(super) fn bytes(&self) -> usize {
        let own = |headers: &Headers, payload: &Bytes| {
            payload.len() + headers.iter().map(|header| 64 + header.value.len()).sum::<usize>()
        };
        let outputs = self.outputs.iter().map(|output| own(&output.headers, &output.payload));
        size_of::<Self>() + own(&self.message.headers, &self.message.payload) + outputs.sum::<usize>()
    }
}

/// What is to be shown of a task, if somebody looks: filled in on its way.
#[derive(Debug, Default)]
pub(super) struct Glimpse(Option<Box<Seen>>);

impl Glimpse {
    /// Begins with a task. Without room, only what became of it is noted.
    pub(super) fn of(task: &Task, room: bool) -> Self {
        let job = &task.job;
        let tries = task.tried();
        Self(Some(Box::new(Seen {
            at: tries.last,
            plan: Arc::clone(&task.plan),
            position: Some(task.rule),
            source: job.flight.source.clone(),
            message: job.message.clone(),
            origin: Arc::clone(&job.origin),
            tries,
            ending: Ending::Published,
            outputs: Vec::new(),
            dropped: Vec::new(),
            failure: None,
            reason: None,
            after: None,
            letter: None,
            complete: room,
        })))
    }

    /// What the message is to become.
    pub(super) fn outputs(&mut self, outputs: &[Output]) {
        if let Some(seen) = self.0.as_mut().filter(|seen| seen.complete) {
            seen.outputs = outputs.to_vec();
        }
    }

    /// All that the message became is safe.
    pub(super) fn done(&mut self, published: usize, dropped: &[Dropped]) {
        let Some(seen) = &mut self.0 else { return };
        if published == 0 && !dropped.is_empty() {
            seen.ending = Ending::Dropped;
        }
        if seen.complete {
            seen.dropped = dropped.to_vec();
        }
    }

    /// It failed, which ended like this.
    pub(super) fn failed(&mut self, failure: Failure, ending: Ending) {
        if let Some(seen) = &mut self.0 {
            seen.failure = Some(failure);
            seen.ending = ending;
            if ending != Ending::Unavailable {
                seen.outputs.clear();
            }
        }
    }

    /// What is to be said of it besides.
    pub(super) fn ended(&mut self, ending: Ending, reason: impl FnOnce() -> Option<String>) {
        if let Some(seen) = &mut self.0 {
            seen.ending = ending;
            seen.reason = reason();
        }
    }

    /// Where its dead letter is.
    pub(super) fn letter(&mut self, subject: &Subject) {
        if let Some(seen) = &mut self.0 {
            seen.letter = Some(subject.clone());
        }
    }

    /// It is tried again after this long.
    pub(super) fn again(&mut self, after: Duration) {
        if let Some(seen) = &mut self.0 {
            seen.ending = Ending::Retried;
            seen.after = Some(after);
        }
    }

    pub(super) fn take(self) -> Option<Box<Seen>> {
        self.0
    }
}

fn copied(payload: &Bytes) -> Bytes {
    if payload.len() > COPIED_BYTES { payload.clone() } else { Bytes::copy_from_slice(payload) }
}
