//! A JetStream source that keeps order, over redeliveries and from one instance to the next.
//!
//! It promises: messages are handed over in stream order among all that are not acknowledged yet. When a delivery may
//! have been lost, with a connection or with another instance, nothing later is handed over before it has come again,
//! which it does when its ack wait has passed. Without that, newer messages would overtake it.
//!
//! One instance at a time is delivered to ([`Pin`]). It notices a loss by the deliveries' numbers, which leave a gap, or
//! cannot know when it begins. Then a [`Barrier`] holds back what comes until the server waits for no acknowledgement
//! other than of what is held back and of what is worked on here, and everything held back goes on, sorted.
//!
//! An acknowledgement that is lost is no reason: its message was in its place before. When it comes again, it is
//! acknowledged again and not handed over.
//!
//! What is held back is bounded by the consumer's `max_ack_pending`, in messages. In bytes it is what the instance held
//! that was delivered to before, which its room bounded, and one new message for each question asked meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::barrier::{Answer, Barrier, Why};
use self::pin::Pin;
use self::working::Working;
use super::jetstream::Place;
use super::source::Room;
use super::wire::{JetStreamError, Wire};
use super::{Acker, Delivery};

mod barrier;
mod pin;
mod working;

pub(super) use pin::{GROUP, PIN_ID, timeout};
pub(super) use working::Ticket;

/// What keeps one consumer's messages in order.
#[derive(Debug)]
pub(super) struct Ordered {
    wire: Arc<Wire>,
    stream: String,
    durable: String,
    ack_wait: Duration,
    pin: Pin,
    working: Arc<Working>,
    /// Of the last delivery; the next one has the next number.
    consumer_sequence: Option<u64>,
    /// What has come and cannot go on yet, by its sequence in the stream.
    held: BTreeMap<u64, Delivery>,
    barrier: Option<Barrier>,
    /// Deliveries of messages that were resolved before: the server has to be told once more.
    resolved_before: Vec<Acker>,
    /// When the server was told last that what is held back is not forgotten.
    told_server: Instant,
}

impl Ordered {
    pub(super) fn new(wire: &Arc<Wire>, stream: &str, durable: &str, ack_wait: Duration, timeout: Duration) -> Self {
        Self {
            wire: Arc::clone(wire),
            stream: stream.to_owned(),
            durable: durable.to_owned(),
            ack_wait,
            pin: Pin::new(wire, stream, durable, timeout),
            working: Arc::default(),
            consumer_sequence: None,
            held: BTreeMap::new(),
            barrier: None,
            resolved_before: Vec::new(),
            told_server: Instant::now(),
        }
    }

    /// Takes in a delivery with the id of who is pinned, and gives it back if it can be handed over now.
    pub(super) fn arrived(&mut self, delivery: Delivery, place: Place, pin: &str) -> Option<Delivery> {
        self.follow(place.consumer_sequence, pin);
        let sequence = place.sequence;
        if self.working.has(sequence) || self.held.contains_key(&sequence) {
            // The ack wait ran out. The earlier delivery stands for both.
            return None;
        }
        if let Some(barrier) = &mut self.barrier {
            barrier.came(sequence);
        }
        // A consumer that is set back to deliver once more begins to count anew.
        if delivery.origin.delivery > 1 && self.working.was_done(sequence) {
            self.resolved_before.push(delivery.acker);
            return None;
        }
        self.working.came(sequence);
        if self.barrier.is_none() && self.held.is_empty() {
            return Some(self.hand_over(sequence, delivery));
        }
        self.held.insert(sequence, delivery);
        None
    }

    /// The next of what was held back and is free to go on, if it fits.
    pub(super) fn release(&mut self, room: Room) -> Option<Delivery> {
        if self.barrier.is_some() {
            return None;
        }
        let (_, first) = self.held.first_key_value()?;
        if first.bytes > room.bytes && !room.holds_nothing {
            return None;
        }
        let (sequence, delivery) = self.held.pop_first()?;
        Some(self.hand_over(sequence, delivery))
    }

    /// The server delivers to somebody else.
    pub(super) fn unpinned(&mut self) {
        tracing::info!(stream = self.stream, consumer = self.durable, "another instance may read from here on");
        self.pin.lost();
    }

    /// Does what a barrier needs at this time.
    pub(super) async fn go_on(&mut self) -> Result<(), JetStreamError> {
        if self.working.take_handed_back() && self.pin.is_held() {
            self.raise(Why::HandedBack);
        }
        if !self.held.is_empty() && self.told_server.elapsed() >= self.ack_wait / 3 {
            self.told_server = Instant::now();
            for delivery in self.held.values() {
                // Without a connection there is nobody to tell, and it comes again, which changes nothing.
                let _ = delivery.acker.in_progress().await;
            }
        }
        while let Some(acker) = self.resolved_before.pop() {
            // Should this be lost as well, it comes again as well.
            let _ = acker.ack().await;
        }
        let Some(barrier) = &mut self.barrier else { return Ok(()) };
        match barrier.answer(&self.working)? {
            Answer::None => {}
            Answer::Complete => {
                self.lift();
                return Ok(());
            }
            Answer::Missing(missing) if !barrier.told => {
                barrier.told = true;
                tracing::info!(stream = self.stream, consumer = self.durable, why = %barrier.why, missing,
                    "nothing new is handed over until what may have been lost has come again");
            }
            Answer::Missing(_) => {}
        }
        let request = format!("CONSUMER.INFO.{}.{}", self.stream, self.durable);
        barrier.ask(&self.wire, request, self.held.len(), &self.working);
        Ok(())
    }

    /// How many messages to ask for, where it is not for the room to say: one to become pinned, and few while a barrier
    /// is raised.
    pub(super) fn probe(&self) -> Option<usize> {
        match &self.barrier {
            Some(barrier) => Some(barrier.probe()),
            None if !self.pin.is_held() => Some(1),
            None => None,
        }
    }

    /// What is left of the room after what is held back.
    pub(super) fn room(&self, room: Room) -> Room {
        self.held.values().fold(room, |room, delivery| room.less(delivery.bytes))
    }

    /// What a pull request has to say, as members of its JSON object.
    pub(super) fn members(&self) -> String {
        self.pin.members()
    }

    /// When there is something to do, unless something happens before.
    pub(super) fn wake(&self) -> Option<Instant> {
        let tell = (!self.held.is_empty()).then(|| self.told_server + self.ack_wait / 3);
        self.barrier.as_ref().and_then(Barrier::wake).into_iter().chain(tell).min()
    }

    /// Waits for something that [`go_on`](Self::go_on) should look at. Cancel safe.
    pub(super) async fn changed(&self) {
        self.working.changed().await;
    }

    /// Gives up being delivered to, and returns what was held back.
    pub(super) async fn retire(&mut self) -> Vec<Delivery> {
        if self.pin.is_held() {
            self.pin.release(&self.wire).await;
        }
        self.barrier = None;
        self.consumer_sequence = None;
        std::mem::take(&mut self.held).into_values().collect()
    }

    /// Notices what the delivery says about those before it.
    fn follow(&mut self, consumer_sequence: u64, pin: &str) {
        let last = self.consumer_sequence.replace(consumer_sequence);
        if !self.pin.is(pin) {
            self.pin.gained(pin);
            self.working.forget_put_off();
            self.raise(Why::Pinned);
            if let Some(barrier) = &mut self.barrier {
                barrier.alone = true;
            }
        } else if last.is_some_and(|last| consumer_sequence != last + 1) {
            self.raise(Why::Gap);
        }
    }

    fn raise(&mut self, why: Why) {
        match &mut self.barrier {
            Some(barrier) => barrier.again(),
            None => {
                tracing::debug!(stream = self.stream, consumer = self.durable, %why, "raised a barrier");
                self.barrier = Some(Barrier::new(why, self.ack_wait));
            }
        }
    }

    fn lift(&mut self) {
        let Some(barrier) = self.barrier.take() else { return };
        if barrier.told {
            let (held, after) = (self.held.len(), barrier.since.elapsed());
            tracing::info!(
                stream = self.stream,
                consumer = self.durable,
                held,
                ?after,
                "everything that may have been lost has come again; going on"
            );
        }
    }

    fn hand_over(&self, sequence: u64, mut delivery: Delivery) -> Delivery {
        delivery.acker.carry(self.working.ticket(sequence));
        delivery
    }
}
