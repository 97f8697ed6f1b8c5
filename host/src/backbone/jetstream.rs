//! Pulling from a JetStream consumer (ADR-37 on the client's side): requests are kept in flight at the server, never
//! for more than there is room for, and made anew whenever they may have been lost.

use std::sync::Arc;
use std::time::Duration;

use async_nats::StatusCode;
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::consumer::{self, Wanted};
use super::link::LinkState;
use super::ordered::{Ordered, PIN_ID};
use super::source::{Room, SourceError};
use super::wire::Wire;
use super::{Acker, Delivery, connect};
use crate::message::{Message, Subject, SubjectPattern};

mod asked;
mod convert;
mod inbox;
mod unreadable;

use asked::Asked;
pub(super) use asked::Requested;
pub(super) use convert::{Place, headers_from_wire, room};
use inbox::Inbox;

/// How long opening a source waits for the look at what is not acknowledged.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// How long a request waits at the server.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often the server says that a request still waits.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Messages of one request: enough that the next is asked for long before these are used up.
const MAX_REQUEST_MESSAGES: usize = 4096;
/// Messages that are handed over at a time, so that the next request is not made too late.
const MAX_BATCH_MESSAGES: usize = 512;
/// Bytes of one request, where there is room for them.
const MIN_REQUEST_BYTES: usize = 64 << 10;
/// Bytes on the wire that are asked for at a time. How much room they take shows only when they are there: headers take far
/// more than their bytes.
const MAX_REQUEST_BYTES: usize = 4 << 20;
/// A smaller request than this waits a little for more room: one for each message would be most of the work.
const SMALL_REQUEST_MESSAGES: usize = 64;
/// How long a small request waits.
const SMALL_REQUEST_DELAY: Duration = Duration::from_millis(2);

/// An open consumer.
#[derive(Debug)]
pub(super) struct JetStreamSource {
    wire: Arc<Wire>,
    stream: String,
    durable: String,
    filter_subjects: Vec<SubjectPattern>,
    limits: Limits,
    link: watch::Receiver<LinkState>,
    subject: async_nats::Subject,
    inbox: Inbox,
    /// What keeps the order, if the source does.
    ordered: Option<Ordered>,
    double_ack: bool,
    /// The connection that the inbox was made on.
    made: u64,
    asked: Asked,
    /// Taken, and to be returned by the next call if this one is cancelled.
    ready: Vec<Delivery>,
    /// The end, to be told after what came before it.
    end: Option<SourceError>,
    /// Bytes that proved too few for the next message.
    too_few_bytes: Option<usize>,
    /// How large messages have been of late.
    average_bytes: usize,
    /// The most room there was, in messages.
    most_room: usize,
    /// Since when a request was put off for being small.
    put_off: Option<Instant>,
    /// Something went wrong that a deleted consumer may explain.
    suspicious: bool,
    /// Requests that failed one after another.
    failures: usize,
    not_before: Option<Instant>,
    heard: Instant,
    /// The look for messages that the client cannot read; it ends with the source.
    looking: JoinSet<()>,
}

/// What the consumer's owner allows.
#[derive(Debug, Clone, Copy)]
struct Limits {
    messages: usize,
    bytes: usize,
    expires: Duration,
    ack_wait: Duration,
}

impl JetStreamSource {
    /// Finds or makes the consumer.
    pub(super) async fn open(wire: Arc<Wire>, wanted: Wanted<'_>) -> Result<Self, SourceError> {
        let config = consumer::open(&wire, wanted).await?;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", wanted.stream, wanted.durable);
        let limit = |limit: i64| usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let limits = Limits {
            messages: limit(config.max_batch).min(MAX_REQUEST_MESSAGES),
            bytes: limit(config.max_bytes),
            expires: if config.max_expires.is_zero() { EXPIRES } else { config.max_expires.min(EXPIRES) },
            ack_wait: config.ack_wait,
        };
        let link = wire.link.watch();
        let made = link.borrow().made;
        let inbox = Inbox::open(&wire).await?;
        let ordered = wanted
            .ordered
            .then(|| Ordered::new(&wire, wanted.stream, wanted.durable, config.ack_wait, config.priority_timeout));
        let source = Self {
            ordered,
            double_ack: wanted.double_ack,
            stream: wanted.stream.to_owned(),
            durable: wanted.durable.to_owned(),
            filter_subjects: wanted.filter_subjects.to_vec(),
            limits,
            link,
            subject: subject.into(),
            inbox,
            made,
            asked: Asked::default(),
            ready: Vec::new(),
            end: None,
            too_few_bytes: None,
            average_bytes: 0,
            most_room: 0,
            put_off: None,
            suspicious: false,
            failures: 0,
            not_before: None,
            heard: Instant::now(),
            looking: JoinSet::new(),
            wire,
        };
        // What cannot be read may have ended the process before this one, and may end this one when it comes: it is named
        // before anything is asked for. Without the permission to look there is no answer.
        if tokio::time::timeout(FIRST_LOOK, Box::pin(source.look_once())).await.is_err() {
            tracing::debug!(stream = source.stream, "no answer yet to the look for messages that cannot be read");
        }
        Ok(source)
    }

    /// Looks for messages that the client cannot read, in place of the look before, whose questions went with the
    /// connection.
    fn look(&mut self) {
        self.looking = JoinSet::new();
        self.looking.spawn(self.look_once());
    }

    fn look_once(&self) -> impl Future<Output = ()> + Send + 'static {
        let (stream, durable) = (self.stream.clone(), self.durable.clone());
        unreadable::look(Arc::clone(&self.wire), stream, durable, self.filter_subjects.clone())
    }

    pub(super) fn ack_wait(&self) -> Duration {
        self.limits.ack_wait
    }

    /// What the server was asked for and has not answered with yet.
    pub(super) fn requested(&self) -> Requested {
        self.asked.requested()
    }

    /// Stops being delivered to, and sends back what came and was not handed over. A call of
    /// [`next`](Self::next) begins anew.
    pub(super) async fn retire(&mut self) {
        let Some(ordered) = &mut self.ordered else { return };
        let held = ordered.retire().await;
        // With the old subject go the requests that wait at the server.
        if self.inbox.renew(&self.wire).await.is_err() {
            return;
        }
        for delivery in self.ready.drain(..).chain(held) {
            let _ = delivery.acker.nak(None).await;
        }
        for message in self.inbox.left_over.drain(..) {
            if let Some(reply) = message.reply {
                let _ = Acker::jetstream(Arc::clone(&self.wire), reply, false).nak(None).await;
            }
        }
        self.asked = Asked::default();
    }

    /// See [`Source::next`](super::Source::next).
    pub(super) async fn next(&mut self, room: Room) -> Result<Vec<Delivery>, SourceError> {
        self.most_room = self.most_room.max(room.messages);
        loop {
            if self.ready.is_empty() {
                if let Some(end) = self.end.take() {
                    return Err(end);
                }
                self.recover().await?;
                self.take(room);
            }
            self.request(room.after(&self.ready)).await?;
            if !self.ready.is_empty() {
                return Ok(std::mem::take(&mut self.ready));
            }
            let ask_anew = self.inbox.stale && self.not_before.is_none();
            if self.end.is_none() && !ask_anew {
                self.wait().await?;
            }
        }
    }

    /// Puts right what became wrong since the last call.
    async fn recover(&mut self) -> Result<(), SourceError> {
        let link = *self.link.borrow_and_update();
        if link.closed {
            return Err(SourceError::Closed);
        }
        if link.made != self.made {
            // Requests do not outlive the connection they came by.
            self.inbox.stale = true;
            self.made = link.made;
            self.not_before = None;
            self.look();
        }
        if let Some(ordered) = &mut self.ordered
            && let Err(error) = ordered.go_on().await
        {
            tracing::debug!(stream = self.stream, consumer = self.durable, %error, "cannot ask for a consumer's state");
            self.suspicious |= !error.retryable();
        }
        if self.suspicious {
            match consumer::check_alive(&self.wire, &self.stream, &self.durable, &self.filter_subjects).await {
                Ok(()) => {}
                Err(SourceError::JetStream { error, .. }) if error.retryable() => {
                    tracing::warn!(stream = self.stream, consumer = self.durable, %error, "cannot reach a consumer");
                }
                Err(error) => return Err(error),
            }
            self.suspicious = false;
        }
        if self.inbox.stale {
            self.inbox.renew(&self.wire).await?;
            self.asked = Asked::on_their_way(self.inbox.left_over.iter().map(counted));
            self.heard = Instant::now();
        }
        Ok(())
    }

    /// Takes what has come, without waiting.
    fn take(&mut self, room: Room) {
        while self.ready.len() < room.messages.min(MAX_BATCH_MESSAGES) && self.end.is_none() {
            let left = room.after(&self.ready);
            if let Some(delivery) = self.ordered.as_mut().and_then(|ordered| ordered.release(left)) {
                self.ready.push(delivery);
                continue;
            }
            let Some(message) = self.inbox.pop() else { return };
            match self.arrived(message) {
                Ok(Some(delivery)) => self.ready.push(delivery),
                Ok(None) => {}
                Err(end) => self.end = Some(end),
            }
        }
    }

    /// What a message that came to the inbox means.
    fn arrived(&mut self, message: async_nats::Message) -> Result<Option<Delivery>, SourceError> {
        self.heard = Instant::now();
        // Only the server sends to an inbox without a reply subject. A status line in the headers is no sign: a
        // producer can store one.
        let Some(reply) = message.reply.clone() else {
            self.status(&message)?;
            return Ok(None);
        };
        self.asked.delivered(counted(&message));
        self.average_bytes = (self.average_bytes * 15 + message.length) / 16;
        self.failures = 0;
        self.too_few_bytes = None;
        let Some((origin, place)) = convert::origin(&reply) else {
            tracing::warn!(reply = reply.as_str(), "ignored a message that no consumer delivered");
            return Ok(None);
        };
        let mut delivery = Delivery {
            bytes: convert::room(&message),
            origin,
            reply: None,
            acker: Acker::jetstream(Arc::clone(&self.wire), reply, self.double_ack),
            message: Message {
                subject: Subject::delivered(&message.subject),
                headers: message.headers.as_ref().map(headers_from_wire).unwrap_or_default(),
                payload: message.payload,
            },
        };
        let Some(ordered) = &mut self.ordered else { return Ok(Some(delivery)) };
        let pin = message.headers.as_ref().and_then(|headers| headers.get_last(PIN_ID)).map_or("", |id| id.as_str());
        // It differs from one delivery to the next, and what a stage sees must not.
        delivery.message.headers.remove(PIN_ID);
        Ok(ordered.arrived(delivery, place, pin))
    }

    /// Takes in what the server says about a request (the table in ADR-37).
    fn status(&mut self, message: &async_nats::Message) -> Result<(), SourceError> {
        let description = message.description.as_deref().unwrap_or_default();
        match message.status.unwrap_or(StatusCode::OK) {
            StatusCode::IDLE_HEARTBEAT => {
                self.failures = 0;
                return Ok(());
            }
            StatusCode::NO_RESPONDERS => {
                self.suspicious = true;
                self.pause("nobody serves the consumer");
                return Ok(());
            }
            StatusCode::PIN_ID_MISMATCH => {
                self.ordered.iter_mut().for_each(Ordered::unpinned);
                // All other requests with this id come to nothing as well.
                self.inbox.stale = true;
                return Ok(());
            }
            _ => {}
        }
        match description {
            "Consumer Deleted" => {
                return Err(SourceError::ConsumerGone { stream: self.stream.clone(), consumer: self.durable.clone() });
            }
            "Consumer is push based" => return Err(self.refused(description)),
            _ if description.starts_with("Exceeded MaxRequest") => return Err(self.refused(description)),
            _ if description.starts_with("Bad Request") => return Err(self.refused(description)),
            "Message Size Exceeds MaxBytes" => {
                self.too_few_bytes = self.too_few_bytes.max(pending(message, "Nats-Pending-Bytes"));
            }
            _ => {}
        }
        if !self.give_back(message) {
            // The server has forgotten the request, and does not say how much of it.
            self.pause(description);
        }
        Ok(())
    }

    /// Subtracts what an ended request asked for and did not get.
    fn give_back(&mut self, message: &async_nats::Message) -> bool {
        let Some(messages) = pending(message, "Nats-Pending-Messages") else { return false };
        self.asked.given_back(messages, pending(message, "Nats-Pending-Bytes").unwrap_or(0));
        true
    }

    fn pause(&mut self, reason: &str) {
        self.failures += 1;
        let pause = connect::backoff(self.failures);
        tracing::debug!(stream = self.stream, consumer = self.durable, reason, ?pause, "asking a consumer again");
        self.not_before = Some(Instant::now() + pause);
        self.inbox.stale = true;
    }

    fn refused(&self, reason: &str) -> SourceError {
        let (stream, consumer) = (self.stream.clone(), self.durable.clone());
        SourceError::Refused { stream, consumer, reason: reason.to_owned() }
    }

    /// Asks for as much as there is room for and was not asked for yet, once that is worth a request.
    async fn request(&mut self, room: Room) -> Result<(), SourceError> {
        let Some((messages, bytes)) = self.worth_asking(room) else { return Ok(()) };
        let expires = self.limits.expires.as_nanos();
        let heartbeat = self.limits.heartbeat().as_nanos();
        let max_bytes = bytes.map(|bytes| format!(",\"max_bytes\":{bytes}")).unwrap_or_default();
        let who = self.ordered.as_ref().map(Ordered::members).unwrap_or_default();
        let body =
            format!("{{\"batch\":{messages},\"expires\":{expires},\"idle_heartbeat\":{heartbeat}{max_bytes}{who}}}");
        let (subject, inbox) = (self.subject.clone(), self.inbox.subject.clone());
        let sent = self.wire.client.publish_with_reply(subject, inbox, Bytes::from(body)).await;
        sent.map_err(|_| SourceError::Closed)?;
        if self.requested().messages == 0 {
            self.heard = Instant::now();
        }
        self.asked.add(messages, bytes);
        Ok(())
    }

    /// How many messages, and of how many bytes, to ask for now; `None` bytes for one message of any size.
    fn worth_asking(&mut self, room: Room) -> Option<(usize, Option<usize>)> {
        let put_off = self.put_off.take();
        if self.inbox.stale || self.end.is_some() || self.not_before.is_some_and(|time| time > Instant::now()) {
            return None;
        }
        let requested = self.requested();
        if self.asked.is_for_any_size() {
            return None;
        }
        let room = match &self.ordered {
            Some(ordered) => match ordered.probe() {
                Some(few) if few > 0 && requested.messages == 0 => {
                    return Some((few.min(self.limits.messages), None));
                }
                Some(_) => return None,
                None => ordered.room(room),
            },
            None => room,
        };
        let wanted = room.messages.min(self.limits.messages);
        let messages = wanted.saturating_sub(requested.messages);
        if messages == 0 || requested.messages > wanted / 2 {
            return None;
        }
        let most = MAX_REQUEST_BYTES.max(self.too_few_bytes.map_or(0, |few| few.saturating_mul(2)));
        let bytes = room.bytes.min(most).saturating_sub(requested.bytes).min(self.limits.bytes);
        if bytes == 0 || self.too_few_bytes.is_some_and(|few| bytes <= few) {
            return (room.holds_nothing && requested.messages == 0).then_some((1, None));
        }
        if messages < SMALL_REQUEST_MESSAGES.min(self.most_room / 8) {
            let since = put_off.unwrap_or_else(Instant::now);
            if since.elapsed() < SMALL_REQUEST_DELAY {
                self.put_off = Some(since);
                return None;
            }
        }
        // Not all the room for a few messages: it would be taken until the last request has ended.
        let likely = messages * self.average_bytes * 2 + MIN_REQUEST_BYTES;
        let ample = self.average_bytes == 0 || self.too_few_bytes.is_some();
        Some((messages, Some(if ample { bytes } else { bytes.min(likely) })))
    }

    /// Waits for something to come, the connection to change, or the time to ask again.
    async fn wait(&mut self) -> Result<(), SourceError> {
        let asked = self.requested().messages > 0 && self.wire.is_connected();
        let silence = self.heard + self.limits.heartbeat() * 2 + Duration::from_secs(1);
        let wake = match (self.not_before, self.put_off) {
            (Some(time), _) => time,
            (None, Some(since)) => since + SMALL_REQUEST_DELAY,
            (None, None) if asked => silence,
            (None, None) => Instant::now() + HEARTBEAT,
        };
        let wake = self.ordered.as_ref().and_then(Ordered::wake).map_or(wake, |time| time.min(wake));
        let changed = async {
            match &self.ordered {
                Some(ordered) => ordered.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = self.inbox.messages.next() => match message {
                Some(message) => self.inbox.left_over.push_back(message),
                None => return Err(SourceError::Closed),
            },
            changed = self.link.changed() => changed.map_err(|_| SourceError::Closed)?,
            () = changed => {}
            () = tokio::time::sleep_until(wake) => {
                self.not_before = self.not_before.filter(|time| *time > Instant::now());
                if asked && Instant::now() >= silence {
                    tracing::warn!(stream = self.stream, consumer = self.durable, "a consumer fell silent; asking again");
                    self.suspicious = true;
                    self.inbox.stale = true;
                }
            }
        }
        Ok(())
    }
}

impl Limits {
    fn heartbeat(&self) -> Duration {
        HEARTBEAT.min(self.expires / 3)
    }
}

impl Room {
    /// What is left after a batch.
    fn after(self, batch: &[Delivery]) -> Self {
        batch.iter().fold(self, |room, delivery| room.less(delivery.bytes))
    }

    /// What is left after a message of so many bytes.
    pub(super) fn less(self, bytes: usize) -> Self {
        Self {
            messages: self.messages.saturating_sub(1),
            bytes: self.bytes.saturating_sub(bytes),
            holds_nothing: false,
        }
    }
}

/// The size of a message as the server counts it for requests: without the header that says who is pinned.
fn counted(message: &async_nats::Message) -> usize {
    let Some(headers) = &message.headers else { return message.length };
    let Some(id) = headers.get_last(PIN_ID) else { return message.length };
    let line = PIN_ID.len() + ": \r\n".len() + id.as_str().len();
    let others = headers.len() > 1;
    message.length.saturating_sub(line + if others { 0 } else { "NATS/1.0\r\n\r\n".len() })
}

/// A number in the headers of a status message.
fn pending(status: &async_nats::Message, name: &str) -> Option<usize> {
    status.headers.as_ref()?.get(name)?.as_str().parse().ok()
}
