//! The time in which an ordered source hands nothing over: until it is certain that what may have been lost on the way
//! has come again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::wire::{JetStreamError, Wire};
use super::working::Working;

/// The pauses between two questions about the consumer's state.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Messages that are asked for at a time, when most of them are likely to be those that are waited for.
const MAX_PROBE_MESSAGES: usize = 256;

/// Why a barrier is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The server delivers to us from now on: others may hold what comes before.
    Pinned,
    /// A delivery did not arrive.
    Gap,
    /// Something was given back that is older than what is to come.
    HandedBack,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pinned => "this instance reads from here on",
            Self::Gap => "a delivery did not arrive",
            Self::HandedBack => "a delivery was handed back",
        })
    }
}

/// What the server says about a consumer, of which only this matters.
#[derive(Debug, Deserialize)]
pub(super) struct State {
    num_ack_pending: usize,
    delivered: Delivered,
}

#[derive(Debug, Deserialize)]
struct Delivered {
    stream_seq: u64,
}

/// What the answer means.
pub(super) enum Answer {
    /// None yet, or none that helps.
    None,
    /// Everything that the server waits for is here.
    Complete,
    /// This many messages are still to come again.
    Missing(usize),
}

/// A raised barrier.
#[derive(Debug)]
pub(super) struct Barrier {
    pub(super) why: Why,
    pub(super) since: Instant,
    /// Others may have resolved what is still worked on here, so that it cannot stand for what the server waits for.
    pub(super) alone: bool,
    /// Whether the log tells of it.
    pub(super) told: bool,
    /// Something happened since the last question, so that its answer does not count.
    doubtful: bool,
    asking: Option<Asking>,
    ask_at: Instant,
    pause: Duration,
    longest_pause: Duration,
    awaited: Option<Awaited>,
    /// How many messages to ask for the next time, and when.
    probe: usize,
    probe_at: Instant,
}

/// A question on its way.
#[derive(Debug)]
struct Asking {
    answer: oneshot::Receiver<Result<State, JetStreamError>>,
    /// Messages that were held back when it was asked. Later ones may not be in the answer.
    held: usize,
}

/// What is to come again.
#[derive(Debug)]
struct Awaited {
    missing: usize,
    /// The last sequence that had been delivered: what is later is new.
    up_to: u64,
}

impl Barrier {
    pub(super) fn new(why: Why, ack_wait: Duration) -> Self {
        let now = Instant::now();
        Self {
            why,
            since: now,
            alone: false,
            told: false,
            doubtful: false,
            asking: None,
            ask_at: now,
            pause: FIRST_PAUSE,
            longest_pause: MAX_PAUSE.min(ack_wait / 4),
            awaited: None,
            probe: 1,
            probe_at: now,
        }
    }

    /// One more reason.
    pub(super) fn again(&mut self) {
        self.doubtful = true;
        self.awaited = None;
        self.ask_at = Instant::now();
        self.pause = FIRST_PAUSE;
    }

    /// Asks for the consumer's state when it is time. The answer is waited for by a task, so that a caller who is
    /// cancelled again and again gets it nevertheless.
    pub(super) fn ask(&mut self, wire: &Arc<Wire>, request: String, held: usize, working: &Arc<Working>) {
        if self.asking.is_some() || self.ask_at > Instant::now() {
            return;
        }
        self.doubtful = false;
        let (done, answer) = oneshot::channel();
        let (wire, working) = (Arc::clone(wire), Arc::clone(working));
        tokio::spawn(async move {
            let _ = done.send(wire.ask(request).await);
            working.wake();
        });
        self.asking = Some(Asking { answer, held });
    }

    /// Takes in the answer, if it has come.
    ///
    /// The server waits for what is held back here, what is worked on here, and what is to come again. Each number is
    /// taken so that it errs on the side of waiting: what is held back, from before the question, and what is worked
    /// on, from after the answer.
    pub(super) fn answer(&mut self, working: &Working) -> Result<Answer, JetStreamError> {
        let Some(asking) = &mut self.asking else { return Ok(Answer::None) };
        let answer = match asking.answer.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => return Ok(Answer::None),
            Err(oneshot::error::TryRecvError::Closed) => None,
            Ok(answer) => Some(answer),
        };
        let held = asking.held;
        self.asking = None;
        if !self.doubtful {
            self.ask_at = Instant::now() + self.pause;
            self.pause = (self.pause * 2).min(self.longest_pause);
        }
        let Some(state) = answer.transpose()?.filter(|_| !self.doubtful) else { return Ok(Answer::None) };
        let missing = state.num_ack_pending.saturating_sub(held + working.accounted());
        if missing == 0 && !(self.alone && working.unresolved() > 0) {
            return Ok(Answer::Complete);
        }
        if self.awaited.is_none() {
            self.probe_at = Instant::now();
        }
        self.awaited = Some(Awaited { missing, up_to: state.delivered.stream_seq });
        Ok(Answer::Missing(missing))
    }

    /// A message has come that was not here.
    pub(super) fn came(&mut self, sequence: u64) {
        let Some(awaited) = &mut self.awaited else { return };
        if sequence > awaited.up_to {
            // The server gives out what is to come again before anything new, so nothing is ready to come again now.
            self.probe = 1;
            self.probe_at = self.ask_at;
            return;
        }
        awaited.missing = awaited.missing.saturating_sub(1);
        self.probe = (self.probe * 2).min(MAX_PROBE_MESSAGES);
        self.probe_at = Instant::now();
        if awaited.missing == 0 {
            self.ask_at = self.probe_at;
        }
    }

    /// How many messages to ask for now.
    pub(super) fn probe(&self) -> usize {
        match &self.awaited {
            Some(awaited) if self.probe_at <= Instant::now() => self.probe.min(awaited.missing),
            _ => 0,
        }
    }

    /// When there is something to do, unless something happens before.
    pub(super) fn wake(&self) -> Option<Instant> {
        let ask = self.asking.is_none().then_some(self.ask_at);
        let probe = self.awaited.as_ref().filter(|awaited| awaited.missing > 0).map(|_| self.probe_at);
        ask.into_iter().chain(probe.filter(|time| *time > Instant::now())).min()
    }
}
