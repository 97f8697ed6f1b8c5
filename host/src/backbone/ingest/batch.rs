//! A batch that is open: what was sent in it, and what of that is confirmed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::HeaderMap;
use async_nats::message::OutboundMessage;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::follow::Follower;
use crate::backbone::publish::{Confirmed, NatsPublisher, Outgoing, Pending, PendingKind, PublishError};
use crate::backbone::streams::Stream;
use crate::message::Subject;

/// Messages to an answer, at most. Half of what a backlog begins with, so that an answer is always on its way.
pub(super) const FLOW_MESSAGES: u64 = 32;

/// What a message is in its batch: the number in its reply subject.
#[derive(Debug, Clone, Copy)]
enum Operation {
    First = 0,
    Next = 1,
    /// Ends the batch without being stored.
    End = 3,
}

/// A batch of one stream.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) stream: Arc<Stream>,
    /// What the reply subjects of its messages begin with.
    prefix: String,
    /// How many connections there had been when it was opened.
    pub(super) connects: u64,
    queue: Mutex<Queue>,
}

/// The messages of a batch, by their places: the first one has place 1.
#[derive(Debug)]
struct Queue {
    sent: u64,
    confirmed: u64,
    /// There is an answer every so many.
    every: u64,
    /// Takes no more.
    over: bool,
    /// What was sent and is not confirmed, in order.
    waiting: VecDeque<Waiting>,
    /// A subject that the stream takes.
    subject: Option<Subject>,
}

/// What becomes of a message, as soon as that is known.
type Outcome = oneshot::Receiver<Result<Confirmed, PublishError>>;

/// A message that is not confirmed.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) outgoing: Outgoing,
    pub(super) told: oneshot::Sender<Result<Confirmed, PublishError>>,
}

impl Batch {
    /// Opens one. `None` if there is no connection to listen to its answers by.
    pub(super) async fn open(publisher: &NatsPublisher, stream: &Arc<Stream>) -> Option<Arc<Self>> {
        let wire = &publisher.parts.wire;
        let (link, connects) = (wire.link.watch(), wire.connects());
        let lost = link.borrow().lost;
        let inbox = wire.client.new_inbox();
        let answers = wire.client.subscribe(format!("{inbox}.>")).await.ok()?;
        let queue =
            Queue { sent: 0, confirmed: 0, every: FLOW_MESSAGES, over: false, waiting: VecDeque::new(), subject: None };
        let prefix = format!("{inbox}.{FLOW_MESSAGES}.fail.");
        let batch = Arc::new(Self { stream: Arc::clone(stream), prefix, connects, queue: Mutex::new(queue) });
        tokio::spawn(Follower::new(publisher.clone(), Arc::clone(&batch), answers, link, lost).run());
        Some(batch)
    }

    /// Puts a message on the wire in the next place. Only who has the stream's turn may call this: the server takes places
    /// in their order alone.
    pub(super) async fn add(
        &self,
        publisher: &NatsPublisher,
        outgoing: Outgoing,
        headers: HeaderMap,
    ) -> Result<Pending, PublishError> {
        let (subject, payload) = (outgoing.subject.clone(), outgoing.payload.clone());
        let (place, outcome) = match self.enqueue(outgoing) {
            Ok(queued) => queued,
            Err(outgoing) => return publisher.send_to_stream(outgoing.ready(headers)).await,
        };
        let operation = if place == 1 { Operation::First } else { Operation::Next };
        let message = OutboundMessage {
            subject: subject.as_str().into(),
            reply: Some(self.reply(place, operation).into()),
            payload,
            headers: Some(headers),
        };
        if let Err(error) = publisher.put(&subject, message).await {
            // Nobody else has the turn, so it is the last one, unless the batch is over and has given it up already.
            let mut queue = self.queue();
            queue.sent -= 1;
            queue.waiting.pop_back();
            return Err(error);
        }
        Ok(Pending { subject, kind: PendingKind::Batched(outcome) })
    }

    /// Takes the next place, unless the batch is over.
    fn enqueue(&self, outgoing: Outgoing) -> Result<(u64, Outcome), Outgoing> {
        let mut queue = self.queue();
        if queue.over {
            return Err(outgoing);
        }
        let (told, outcome) = oneshot::channel();
        queue.sent += 1;
        queue.subject.get_or_insert_with(|| outgoing.subject.clone());
        queue.waiting.push_back(Waiting { outgoing, told });
        Ok((queue.sent, outcome))
    }

    /// Ends the batch: the server says how far it has got. False if nothing was sent, so that the server does not know of
    /// it. Only who has the stream's turn may call this.
    pub(super) async fn end(&self, publisher: &NatsPublisher) -> Result<bool, PublishError> {
        let (place, subject) = {
            let mut queue = self.queue();
            queue.over = true;
            (queue.sent + 1, queue.subject.clone().filter(|_| queue.sent > 0))
        };
        let Some(subject) = subject else { return Ok(false) };
        let message = OutboundMessage {
            subject: subject.as_str().into(),
            reply: Some(self.reply(place, Operation::End).into()),
            payload: Bytes::new(),
            headers: None,
        };
        publisher.put(&subject, message).await.map(|()| true)
    }

    /// Whether it takes no more. A batch does not outlive the connection that it was opened on.
    pub(super) fn is_over(&self, connects: u64) -> bool {
        self.connects != connects || self.queue().over
    }

    /// Takes no more from now on.
    pub(super) fn close(&self) {
        self.queue().over = true;
    }

    /// The place of the message that ended it, or would.
    pub(super) fn end_place(&self) -> u64 {
        self.queue().sent + 1
    }

    /// Whether the server will answer by itself, without being asked to end the batch.
    pub(super) fn will_be_answered(&self) -> bool {
        let queue = self.queue();
        queue.sent.saturating_sub(queue.confirmed) >= queue.every
    }

    /// There will be an answer every so many messages.
    pub(super) fn answered_every(&self, every: u64) {
        self.queue().every = every;
    }

    /// The messages up to this place are stored.
    pub(super) fn confirm(&self, place: u64) {
        let mut queue = self.queue();
        while queue.confirmed < place {
            let Some(Waiting { told, .. }) = queue.waiting.pop_front() else { return };
            queue.confirmed += 1;
            // Whoever has stopped waiting does not want to know.
            let _ = told.send(Ok(Confirmed::Among { stream: Arc::clone(&self.stream.name) }));
        }
    }

    /// What is not confirmed, in order. Nothing more is taken.
    pub(super) fn give_up(&self) -> VecDeque<Waiting> {
        let mut queue = self.queue();
        queue.over = true;
        std::mem::take(&mut queue.waiting)
    }

    fn reply(&self, place: u64, operation: Operation) -> String {
        let digits = place.ilog10() as usize + 1;
        // Its exact length: a text with room left is copied once more when it becomes a subject.
        let mut reply = String::with_capacity(self.prefix.len() + digits + ".0.$FI".len());
        let _ = std::fmt::Write::write_fmt(&mut reply, format_args!("{}{place}.{}.$FI", self.prefix, operation as u8));
        reply
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
