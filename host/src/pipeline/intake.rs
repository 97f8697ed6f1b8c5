//! Takes deliveries off a source, bounded in messages and bytes, pins the plan for each, and makes the tasks of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::backbone::{Delivery, Drops, Room, Source, SourceError};
use crate::plan::{Live, Pinned};
use crate::rules::Source as SourceSettings;
use crate::telemetry::SourceMetrics;

use super::flight::InFlight;
use super::job::{Acked, Job, Task};
use super::schedule::Scheduler;
use super::taps::Taps;

/// Tasks that are submitted together, at most.
const BATCH_TASKS: usize = 64;

/// How often drops are counted and logged, at most.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Why waiting for a permit cannot fail.
const OPEN: &str = "the window is never closed";

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
    metrics: Arc<SourceMetrics>,
    bytes: u32,
    _messages_permit: OwnedSemaphorePermit,
    _bytes_permit: OwnedSemaphorePermit,
}

/// Feeds the scheduler from one source.
#[derive(Debug)]
pub struct Intake {
    flight: Arc<InFlight>,
    window: Window,
    live: Pinned,
    scheduler: Scheduler,
    taps: Taps,
    /// The rules that take the message at hand.
    found: Vec<u32>,
    /// What is to be submitted.
    tasks: Vec<Task>,
}

/// What a core source had to drop, and how much of it has been told.
#[derive(Debug)]
struct Dropped {
    drops: Option<Drops>,
    counted: u64,
    flight: Arc<InFlight>,
}

impl Window {
    /// A window as wide as the source's settings say.
    #[must_use]
    pub fn new(settings: &SourceSettings, metrics: Arc<SourceMetrics>) -> Self {
        let max_bytes = u32::try_from(settings.max_in_flight_bytes).unwrap_or(u32::MAX).max(1);
        metrics.window(settings.max_in_flight_messages, max_bytes);
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

    /// A place, if there is one now.
    #[must_use]
    pub fn try_enter(&self, bytes: usize) -> Option<Place> {
        let bytes = self.weight(bytes);
        let messages_permit = Arc::clone(&self.messages).try_acquire_owned().ok()?;
        let bytes_permit = Arc::clone(&self.bytes).try_acquire_many_owned(bytes).ok()?;
        Some(self.place(bytes, messages_permit, bytes_permit))
    }

    /// Waits for a place. A message larger than the whole window takes all of it rather than none ever.
    pub async fn enter(&self, bytes: usize) -> Place {
        let bytes = self.weight(bytes);
        let messages_permit = Arc::clone(&self.messages).acquire_owned().await.expect(OPEN);
        let bytes_permit = Arc::clone(&self.bytes).acquire_many_owned(bytes).await.expect(OPEN);
        self.place(bytes, messages_permit, bytes_permit)
    }

    fn weight(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.max_bytes)
    }

    fn place(&self, bytes: u32, messages_permit: OwnedSemaphorePermit, bytes_permit: OwnedSemaphorePermit) -> Place {
        self.metrics.entered(bytes);
        Place {
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
    /// Feeds the scheduler with what a source delivers.
    #[must_use]
    pub fn new(flight: Arc<InFlight>, window: Window, live: &Live, scheduler: Scheduler, taps: Taps) -> Self {
        Self { flight, window, live: live.reader(), scheduler, taps, found: Vec::new(), tasks: Vec::new() }
    }

    /// Feeds the scheduler until it is told to stop. What was delivered by then is still taken in, so that nothing has
    /// to wait for the ack wait to come again.
    ///
    /// # Errors
    /// Why the source ended by itself.
    pub async fn run(&mut self, source: &mut Source, stop: &mut watch::Receiver<bool>) -> Result<(), SourceError> {
        let mut dropped = Dropped::of(source, &self.flight);
        let fed = tokio::select! {
            biased;
            fed = self.feed(source, stop) => fed,
            never = dropped.follow() => match never {},
        };
        dropped.count();
        fed
    }

    async fn feed(&mut self, source: &mut Source, stop: &mut watch::Receiver<bool>) -> Result<(), SourceError> {
        loop {
            let deliveries = tokio::select! {
                biased;
                () = stopped(stop) => return Ok(()),
                deliveries = next(source, &self.window, &self.flight) => deliveries,
            };
            for delivery in deliveries? {
                self.take(delivery, stop).await;
            }
            self.submit();
        }
    }

    /// Takes one delivery in: waits for a place in the window, and pins the plan in force.
    async fn take(&mut self, delivery: Delivery, stop: &mut watch::Receiver<bool>) {
        let place = match self.window.try_enter(delivery.bytes) {
            Some(place) => place,
            None => {
                // What it waits for may be a place that one of these has.
                self.submit();
                self.window.enter(delivery.bytes).await
            }
        };
        self.flight.metrics.received(delivery.origin.delivery > 1);
        if self.flight.has(&delivery.origin) {
            return;
        }
        // The plan is pinned last, so that a message that waited for its place takes the newest rules.
        let plan = self.live.pin();
        match plan.sources.get(&self.flight.source) {
            Some(source) => source.index.find(delivery.message.subject.as_str(), &mut self.found),
            None => self.found.clear(),
        }
        let job = Job::new(delivery, plan, &self.flight, &self.found, place);
        self.flight.entered(&job);
        if self.found.is_empty() {
            self.submit();
            return self.unmatched(&job).await;
        }
        if self.flight.is_stuck() {
            // What was asked for before the source was paused still comes, and waits here.
            self.submit();
            tokio::select! {
                biased;
                () = self.flight.unstuck() => {}
                () = stopped(stop) => return job.resolve(&Acked::Retried(Duration::ZERO)).await,
            }
        }
        self.tasks.extend(job.tasks(&self.found));
        if self.tasks.len() >= BATCH_TASKS {
            self.submit();
        }
    }

    fn submit(&mut self) {
        if !self.tasks.is_empty() {
            self.scheduler.submit(self.tasks.drain(..));
        }
    }

    /// Ends what no rule takes.
    async fn unmatched(&self, job: &Job) {
        self.flight.metrics.unmatched();
        self.taps.unmatched(&job.plan, &self.flight.source, &job.message, &job.origin);
        job.resolve(&Acked::Acknowledged).await;
    }
}

impl Dropped {
    fn of(source: &Source, flight: &Arc<InFlight>) -> Self {
        Self { drops: source.drops(), counted: 0, flight: Arc::clone(flight) }
    }

    /// Tells of what is dropped, once a second. That takes no message that moves: the window may be full for long.
    async fn follow(&mut self) -> Infallible {
        let Some(drops) = self.drops.clone() else { return std::future::pending().await };
        loop {
            drops.more().await;
            self.count();
            tokio::time::sleep(TOLD_EVERY).await;
        }
    }

    fn count(&mut self) {
        let in_all = self.drops.as_ref().map_or(0, Drops::in_all);
        let more = in_all - self.counted;
        if more == 0 {
            return;
        }
        self.counted = in_all;
        self.flight.metrics.dropped(more);
        tracing::warn!(source = %self.flight.source, in_all, "messages came faster than they were handled, and were dropped");
    }
}

/// Waits until it is told to stop. Nobody left to tell is as good as being told.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Waits for room, then for what the source delivers into it. Cancel safe, as the source is.
async fn next(source: &mut Source, window: &Window, flight: &InFlight) -> Result<Vec<Delivery>, SourceError> {
    flight.unstuck().await;
    let room = window.room().await;
    source.next(room).await
}
