//! What services subscribe to: outputs wait here until a subscriber takes them, and are safe once it has acknowledged
//! them.
//!
//! Nothing is kept here: every output belongs to a message that holds a place in its source's window, and one that is not
//! acknowledged goes back to its rule, which decides about another try as about any other failure. So an order by key
//! holds here too, and there is no second place where messages could pile up or be forgotten.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use crate::message::Headers;
use crate::names::QueueName;

/// Subscribers of one queue at a time.
pub const MAX_SUBSCRIBERS: usize = 64;

/// An output for a subscriber.
#[derive(Debug, Clone)]
pub struct Content {
    /// Its id as a message, the same whenever it is handed out.
    pub message_id: String,
    /// Its headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Bytes,
}

/// Why a subscriber is not known to have taken an output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It was not handed out at all, and is not going to be here.
    #[error("subscription `{0}` is not served any more")]
    Withdrawn(QueueName),
    /// Nobody acknowledged it in time.
    #[error("no subscriber of `{queue}` acknowledged the message within {after:?}")]
    Late {
        /// What was subscribed to.
        queue: QueueName,
        /// How long was waited.
        after: Duration,
    },
    /// The subscriber hung up first.
    #[error("the subscriber of `{0}` that had the message hung up before it acknowledged it")]
    HungUp(QueueName),
    /// The subscriber wants it again.
    #[error("a subscriber of `{queue}` asked for the message again")]
    Again {
        /// What was subscribed to.
        queue: QueueName,
        /// After how long, if it said so.
        after: Option<Duration>,
    },
    /// The subscriber cannot take it, now or ever.
    #[error("a subscriber of `{0}` rejected the message")]
    Rejected(QueueName),
}

/// What a subscriber says to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has it.
    Taken,
    /// It wants it again, after this long or after the rule's back-off.
    Again(Option<Duration>),
    /// It cannot take it, now or ever.
    Rejected,
}

/// Whether a verdict came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It did, and decides about the output.
    InTime,
    /// The output was handed out and is decided about already.
    TooLate,
    /// Nothing with this number was ever handed out.
    Unknown,
}

/// A queue.
#[derive(Debug)]
pub struct Queue {
    name: QueueName,
    state: Mutex<State>,
    /// Wakes subscribers: something waits, there is room again, or the end.
    changed: Notify,
    subscribers: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether a rule leads here, and nothing is being shut down.
    served: bool,
    /// First come, first served. Each holds a place in its source's window, which bounds them.
    waiting: VecDeque<Waiting>,
    /// Handed out and not decided, by number. What was not answered in time is no longer here: a subscriber that forgot an
    /// event would otherwise have less and less room, and in the end none. Bounded by what subscribers asked for.
    out: HashMap<u64, Out>,
    /// How many of those each subscriber has.
    has: HashMap<u64, usize>,
    /// The number of what is handed out next.
    next: u64,
    next_subscriber: u64,
}

#[derive(Debug)]
struct Waiting {
    content: Content,
    handed: oneshot::Sender<u64>,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
struct Out {
    subscriber: u64,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Verdict(Verdict),
    HungUp,
}

/// An output that is offered to subscribers. Dropping it takes it back, as far as nobody has it yet.
#[derive(Debug)]
#[must_use = "an output is not safe before a subscriber has acknowledged it"]
pub struct Offered {
    queue: Arc<Queue>,
    ack_wait: Duration,
    handed: oneshot::Receiver<u64>,
    answer: oneshot::Receiver<Answer>,
}

/// A subscriber. Dropping it gives what it has not answered back.
#[derive(Debug)]
pub struct Subscriber {
    queue: Arc<Queue>,
    number: u64,
    max_in_flight: usize,
}

/// What a subscriber is handed.
#[derive(Debug)]
pub struct Handed {
    /// By which it is answered; unlike any other of this queue.
    pub number: u64,
    /// The output.
    pub content: Content,
}

impl Queue {
    pub(super) fn new(name: QueueName) -> Self {
        let subscribers = watch::Sender::new(0);
        Self { name, state: Mutex::default(), changed: Notify::new(), subscribers }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &QueueName {
        &self.name
    }

    /// How many subscribers there are, now and after every change.
    #[must_use]
    pub fn subscribers(&self) -> watch::Receiver<usize> {
        self.subscribers.subscribe()
    }

    /// Subscribers, outputs that wait for one, and outputs that one has.
    #[must_use]
    pub fn readings(&self) -> (usize, usize, usize) {
        let subscribers = *self.subscribers.borrow();
        let state = self.state();
        (subscribers, state.waiting.len(), state.out.len())
    }

    /// Whether it is served: subscribers are taken, and outputs handed out. Otherwise what waits goes back to its rule, and
    /// each subscriber is let go once it has answered what it has.
    pub fn serve(&self, served: bool) {
        let mut state = self.state();
        state.served = served;
        if !served {
            state.waiting.clear();
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Whether it is served.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.state().served
    }

    /// Offers an output to whoever subscribes.
    pub fn offer(self: &Arc<Self>, content: Content, ack_wait: Duration) -> Offered {
        let ((handed, when_handed), (answer, answered)) = (oneshot::channel(), oneshot::channel());
        let mut state = self.state();
        if state.served {
            state.waiting.push_back(Waiting { content, handed, answer });
        }
        drop(state);
        self.changed.notify_waiters();
        Offered { queue: Arc::clone(self), ack_wait, handed: when_handed, answer: answered }
    }

    /// Subscribes. `None` if it is not served or has as many subscribers as it takes.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, max_in_flight: usize) -> Option<Subscriber> {
        let mut state = self.state();
        let mut room = state.served;
        self.subscribers.send_if_modified(|count| {
            room &= *count < MAX_SUBSCRIBERS;
            *count += usize::from(room);
            room
        });
        if !room {
            return None;
        }
        state.next_subscriber += 1;
        Some(Subscriber { queue: Arc::clone(self), number: state.next_subscriber, max_in_flight })
    }

    /// A subscriber's verdict about what it was handed.
    pub fn answer(&self, number: u64, verdict: Verdict) -> Heard {
        let mut state = self.state();
        if number >= state.next {
            return Heard::Unknown;
        }
        let Some(answer) = state.take_back(number) else { return Heard::TooLate };
        // Under the lock: whoever finds that the time is over finds either this answer or a place that is still taken, so
        // nobody is told `InTime` about an answer that was not heard.
        let sent = answer.send(Answer::Verdict(verdict));
        drop(state);
        // There is room for another one, whatever became of this one.
        self.changed.notify_waiters();
        if sent.is_ok() { Heard::InTime } else { Heard::TooLate }
    }

    /// Nobody waits any more for an answer to what was handed out; its subscriber has room for another one.
    fn give_up(&self, number: u64) {
        let given_up = self.state().take_back(number).is_some();
        if given_up {
            self.changed.notify_waiters();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes what was handed out from its subscriber, which has room for another one then; where its answer was to go.
    fn take_back(&mut self, number: u64) -> Option<oneshot::Sender<Answer>> {
        let Out { subscriber, answer } = self.out.remove(&number)?;
        if let Some(has) = self.has.get_mut(&subscriber) {
            *has -= 1;
        }
        Some(answer)
    }
}

impl Offered {
    /// Waits until a subscriber has acknowledged it.
    ///
    /// # Errors
    /// When none has, or it is not known.
    pub async fn answered(mut self) -> Result<(), Unanswered> {
        let name = || self.queue.name.clone();
        let Ok(number) = (&mut self.handed).await else { return Err(Unanswered::Withdrawn(name())) };
        let deadline = Instant::now() + self.ack_wait;
        let answer = match tokio::time::timeout_at(deadline, &mut self.answer).await {
            Ok(answer) => answer.ok(),
            Err(_) => {
                // From here on an answer is too late; one that came while this was decided is not.
                self.queue.give_up(number);
                self.answer.try_recv().ok()
            }
        };
        match answer {
            Some(Answer::Verdict(Verdict::Taken)) => Ok(()),
            Some(Answer::Verdict(Verdict::Again(after))) => Err(Unanswered::Again { queue: name(), after }),
            Some(Answer::Verdict(Verdict::Rejected)) => Err(Unanswered::Rejected(name())),
            Some(Answer::HungUp) => Err(Unanswered::HungUp(name())),
            None => Err(Unanswered::Late { queue: name(), after: self.ack_wait }),
        }
    }
}

impl Subscriber {
    /// Waits for the next output, and for room for it. `None` once the queue is not served any more and everything that
    /// was handed out here is decided. Cancel safe.
    pub async fn next(&mut self) -> Option<Handed> {
        loop {
            let queue = Arc::clone(&self.queue);
            let mut changed = std::pin::pin!(queue.changed.notified());
            // Enlisted before looking, so that nothing is missed in between.
            changed.as_mut().enable();
            match self.take() {
                Some(handed) => return Some(handed),
                None if self.is_done() => return None,
                None => changed.await,
            }
        }
    }

    fn is_done(&self) -> bool {
        let state = self.queue.state();
        !state.served && !state.out.values().any(|out| out.subscriber == self.number)
    }

    fn take(&self) -> Option<Handed> {
        let mut state = self.queue.state();
        if state.has.get(&self.number).is_some_and(|has| *has >= self.max_in_flight) {
            return None;
        }
        while let Some(Waiting { content, handed, answer }) = state.waiting.pop_front() {
            let number = state.next;
            // Nobody waits for it any more if that fails.
            if handed.send(number).is_ok() {
                state.next += 1;
                *state.has.entry(self.number).or_default() += 1;
                state.out.insert(number, Out { subscriber: self.number, answer });
                return Some(Handed { number, content });
            }
        }
        None
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        let number = self.number;
        state.has.remove(&number);
        // In the order in which they were handed out.
        let mut has: Vec<u64> = state.out.iter().filter(|(_, out)| out.subscriber == number).map(|(n, _)| *n).collect();
        has.sort_unstable();
        for number in has {
            if let Some(answer) = state.take_back(number) {
                // Who waited for it may be gone.
                let _ = answer.send(Answer::HungUp);
            }
        }
        drop(state);
        self.queue.subscribers.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Unanswered {
    /// Whether the same message may be taken later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        !matches!(self, Self::Rejected(_))
    }

    /// Whether it says nothing about the message, since nobody was handed it.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Withdrawn(_))
    }

    /// After how long to try again, if that is known. What a subscriber that hung up had goes to the next one at once.
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        match self {
            Self::Again { after, .. } => *after,
            Self::HungUp(_) => Some(Duration::ZERO),
            Self::Withdrawn(_) | Self::Late { .. } | Self::Rejected(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const ACK_WAIT: Duration = Duration::from_secs(30);

    fn queue() -> Arc<Queue> {
        let queue = Arc::new(Queue::new(QueueName::new("orders").expect("a name")));
        queue.serve(true);
        queue
    }

    fn offer(queue: &Arc<Queue>, id: &str) -> Offered {
        let content = Content { message_id: id.to_owned(), headers: Headers::default(), payload: Bytes::new() };
        queue.offer(content, ACK_WAIT)
    }

    fn next(subscriber: &mut Subscriber) -> Option<(u64, String)> {
        let handed = subscriber.next().now_or_never().flatten()?;
        Some((handed.number, handed.content.message_id))
    }

    #[tokio::test(start_paused = true)]
    async fn an_output_is_safe_when_its_subscriber_says_so_and_not_before() {
        let queue = queue();
        let mut offered = std::pin::pin!(offer(&queue, "a").answered());
        assert!(offered.as_mut().now_or_never().is_none(), "nobody subscribes");
        let mut subscriber = queue.subscribe(1).expect("subscribes");
        let (number, _) = next(&mut subscriber).expect("is handed");
        assert!(offered.as_mut().now_or_never().is_none(), "it has it, and has said nothing");
        assert_eq!(queue.answer(number, Verdict::Taken), Heard::InTime);
        assert_eq!(offered.await, Ok(()));
        assert_eq!(queue.answer(number, Verdict::Taken), Heard::TooLate);
        assert_eq!(queue.answer(number + 1, Verdict::Taken), Heard::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscriber_has_no_more_than_it_asked_for_and_others_share_the_rest() {
        let queue = queue();
        let _offered: Vec<_> = ["a", "b", "c", "d"].map(|id| offer(&queue, id)).into();
        let (mut one, mut other) = (queue.subscribe(2).expect("one"), queue.subscribe(1).expect("another"));
        assert_eq!(next(&mut one).expect("first").1, "a");
        let (second, _) = next(&mut one).expect("second");
        assert_eq!(next(&mut one), None, "it has two");
        assert_eq!(next(&mut other).expect("third").1, "c");
        queue.answer(second, Verdict::Again(None));
        assert_eq!(next(&mut one).expect("there is room again").1, "d");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_answered_in_time_makes_room_for_the_next_and_who_answers_it_late_is_told() {
        let queue = queue();
        let (late, _next, _third) = (offer(&queue, "a"), offer(&queue, "b"), offer(&queue, "c"));
        let mut subscriber = queue.subscribe(1).expect("subscribes");
        let (number, _) = next(&mut subscriber).expect("is handed");
        let error = late.answered().await.expect_err("nobody answered");
        assert_eq!(error, Unanswered::Late { queue: queue.name().clone(), after: ACK_WAIT });
        assert_eq!(next(&mut subscriber).expect("there is room without an answer").1, "b");
        assert_eq!(queue.answer(number, Verdict::Taken), Heard::TooLate);
        assert_eq!(next(&mut subscriber), None, "a late answer makes no second room");
        assert_eq!(queue.readings(), (1, 1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_subscriber_that_hangs_up_has_goes_back_at_once() {
        let queue = queue();
        let offered = offer(&queue, "a");
        let mut subscriber = queue.subscribe(1).expect("subscribes");
        next(&mut subscriber).expect("is handed");
        drop(subscriber);
        let error = offered.answered().await.expect_err("it hung up");
        assert_eq!((error.after(), error.retryable()), (Some(Duration::ZERO), true));
        assert_eq!(*queue.subscribers().borrow(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_goes_back_when_the_queue_is_not_served_any_more_and_what_is_out_can_be_answered() {
        let queue = queue();
        let (out, waiting) = (offer(&queue, "a"), offer(&queue, "b"));
        let mut subscriber = queue.subscribe(1).expect("subscribes");
        let (number, _) = next(&mut subscriber).expect("is handed");
        queue.serve(false);
        assert_eq!(waiting.answered().await, Err(Unanswered::Withdrawn(queue.name().clone())));
        assert!(queue.subscribe(1).is_none());
        assert!(subscriber.next().now_or_never().is_none(), "it has something yet");
        assert_eq!(queue.answer(number, Verdict::Taken), Heard::InTime);
        assert!(subscriber.next().await.is_none(), "now it is let go");
        assert_eq!(out.answered().await, Ok(()));
        let refused = offer(&queue, "c").answered().await;
        assert_eq!(refused, Err(Unanswered::Withdrawn(queue.name().clone())));
    }

    #[test]
    fn there_are_only_so_many_subscribers() {
        let queue = queue();
        let all: Vec<_> = (0..MAX_SUBSCRIBERS).map_while(|_| queue.subscribe(1)).collect();
        assert_eq!(all.len(), MAX_SUBSCRIBERS);
        assert!(queue.subscribe(1).is_none());
        drop(all);
        assert!(queue.subscribe(1).is_some());
    }
}
