//! Takes deliveries off a source, bounded in messages and bytes, pins the plan for each, and hands them to the lanes.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::backbone::{Acker, Delivery, Room, Source, SourceError};
use crate::message::{Message, Origin, Subject};
use crate::names::SourceName;
use crate::plan::{Live, Pinned, Plan};
use crate::rules::Source as SourceSettings;
use crate::telemetry::SourceMetrics;

use super::lane::LaneQueues;

/// Why waiting for a permit cannot fail.
const OPEN: &str = "the window is never closed";

/// A delivery with the plan it is pinned to, and its place in the source's window.
#[derive(Debug)]
pub struct Job {
    /// The message as it was delivered.
    pub message: Message,
    /// Where it came from.
    pub origin: Arc<Origin>,
    /// Where a requester waits for an answer.
    pub reply: Option<Subject>,
    /// How to tell the server what became of it.
    pub acker: Acker,
    /// The plan that decides about it, whatever is reloaded meanwhile.
    pub plan: Arc<Plan>,
    /// Where it came from.
    pub source: SourceName,
    /// Its place in the window, given back when the job is dropped.
    pub place: Place,
}

/// How much of a source may be between intake and acknowledgement.
#[derive(Debug, Clone)]
pub struct Window {
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    max_bytes: u32,
    metrics: Arc<SourceMetrics>,
}

/// A place in a window.
#[derive(Debug)]
pub struct Place {
    /// When the message was taken in.
    pub begun: Instant,
    /// The source's counters.
    pub metrics: Arc<SourceMetrics>,
    bytes: u32,
    _messages_permit: OwnedSemaphorePermit,
    _bytes_permit: OwnedSemaphorePermit,
}

/// Feeds the lanes from one source.
#[derive(Debug)]
pub struct Intake {
    source: SourceName,
    window: Window,
    live: Pinned,
    lanes: LaneQueues,
    /// What the source had dropped when it was last looked at.
    dropped: u64,
}

impl Window {
    /// A window as wide as the source's settings say.
    #[must_use]
    pub fn new(settings: &SourceSettings, metrics: Arc<SourceMetrics>) -> Self {
        let max_bytes = u32::try_from(settings.max_in_flight_bytes).unwrap_or(u32::MAX).max(1);
        Self {
            messages: Arc::new(Semaphore::new(settings.max_in_flight_messages)),
            bytes: Arc::new(Semaphore::new(max_bytes as usize)),
            max_bytes,
            metrics,
        }
    }

    /// Waits until there is room for a message, and says how much there is. For one caller at a time.
    pub async fn room(&self) -> Room {
        drop(self.messages.acquire().await.expect(OPEN));
        drop(self.bytes.acquire().await.expect(OPEN));
        let bytes = self.bytes.available_permits();
        Room { messages: self.messages.available_permits(), bytes, holds_nothing: bytes == self.max_bytes as usize }
    }

    /// Waits for a place. A message larger than the whole window takes all of it rather than none ever.
    pub async fn enter(&self, bytes: usize) -> Place {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.max_bytes);
        let messages_permit = Arc::clone(&self.messages).acquire_owned().await.expect(OPEN);
        let bytes_permit = Arc::clone(&self.bytes).acquire_many_owned(bytes).await.expect(OPEN);
        self.metrics.entered(bytes);
        Place {
            begun: Instant::now(),
            metrics: Arc::clone(&self.metrics),
            bytes,
            _messages_permit: messages_permit,
            _bytes_permit: bytes_permit,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.left(self.bytes);
    }
}

impl Intake {
    /// Feeds these lanes with what the source delivers.
    #[must_use]
    pub fn new(source: SourceName, window: Window, live: &Live, lanes: LaneQueues) -> Self {
        Self { source, window, live: live.reader(), lanes, dropped: 0 }
    }

    /// Feeds the lanes until it is told to stop. What was delivered by then is still handed to the lanes, so that
    /// nothing has to wait for the ack wait to come again.
    ///
    /// # Errors
    /// Why the source ended by itself.
    pub async fn run(&mut self, source: &mut Source, stop: &mut watch::Receiver<bool>) -> Result<(), SourceError> {
        loop {
            let deliveries = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                deliveries = next(source, &self.window) => deliveries,
            };
            self.count_dropped(source.dropped());
            for delivery in deliveries? {
                self.take(delivery).await;
            }
        }
    }

    /// Takes one delivery in: waits for a place in the window and in a lane, and pins the plan in force.
    async fn take(&mut self, delivery: Delivery) {
        let place = self.window.enter(delivery.bytes).await;
        place.metrics.received(delivery.origin.delivery > 1);
        // The plan is pinned last, so that a message that waited for its place takes the newest rules.
        let Delivery { message, origin, reply, acker, .. } = delivery;
        let (origin, plan, source) = (Arc::new(origin), self.live.pin(), self.source.clone());
        let job = Job { message, origin, reply, acker, plan, source, place };
        self.lanes.send(job).await;
    }

    /// Counts what a core source had to drop, and says so once for each time it was looked at.
    fn count_dropped(&mut self, in_all: u64) {
        if in_all > self.dropped {
            self.window.metrics.dropped(in_all - self.dropped);
            self.dropped = in_all;
        }
    }
}

/// Waits for room, then for what the source delivers into it. Cancel safe, as the source is.
async fn next(source: &mut Source, window: &Window) -> Result<Vec<Delivery>, SourceError> {
    let room = window.room().await;
    source.next(room).await
}
