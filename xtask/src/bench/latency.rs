//! How long a message takes, at a steady rate below the maximum. The load is open-loop: each message has a time at which
//! it is due, whatever became of those before it, and its latency counts from that time and not from when it got its
//! turn. So a stall is seen by every message that it held up (no coordinated omission).

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_nats::Client;
use hdrhistogram::Histogram;
use tokio::runtime::Handle;

use super::arrivals::Outputs;
use super::books::Books;
use super::contestant::{Contestant, Kind, Programs};
use super::flame;
use super::task::Transport;
use super::throughput::{Judged, warm};
use super::turns::{self, Watch};
use super::world::{Load, World, numbered};

/// Longest time without an arrival while some are missing.
const STALL_LIMIT: Duration = Duration::from_secs(5);
/// From now to when the first message is due.
const RUN_UP: Duration = Duration::from_millis(50);
/// What a histogram tells apart: a minute at most, in nanoseconds, to three digits.
pub(crate) const MOST_NANOS: u64 = 60_000_000_000;
pub(crate) const DIGITS: u8 = 3;

/// What one run showed.
pub(crate) struct Latency {
    /// Messages a second.
    pub(crate) rate: f64,
    /// In nanoseconds.
    pub(crate) histogram: Histogram<u64>,
}

impl Latency {
    /// What this share of the messages did not exceed.
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.histogram.value_at_quantile(quantile))
    }
}

/// When messages are due.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    start: Instant,
    rate: f64,
}

impl Pace {
    /// So many messages a second, the first one in a moment.
    pub(crate) fn of(rate: f64) -> Self {
        Self { start: Instant::now() + RUN_UP, rate }
    }

    /// When the message of this number is due.
    pub(crate) fn due(self, number: usize) -> Instant {
        #[expect(clippy::cast_precision_loss, reason = "no run has that many messages")]
        let seconds = number as f64 / self.rate;
        self.start + Duration::from_secs_f64(seconds)
    }
}

/// Runs a contestant at so many messages a second.
///
/// # Errors
/// When it cannot be run at all.
pub(crate) async fn run(
    world: &World,
    programs: &Programs,
    load: &Arc<Load>,
    contestant: &Contestant,
    rate: f64,
) -> Result<Judged<Latency>> {
    if load.transport == Transport::JetStream {
        world.empty_source().await?;
        world.empty_out(contestant.is_batched()).await?;
    }
    let mut outputs = Outputs::open(world, load.transport).await?;
    // Samples of its stacks would be one more thing that waits for a processor.
    let unwatched = Programs { flames: None, ..programs.clone() };
    let mut running = contestant.start(world, &unwatched, load.transport).await?;
    outputs.probe(world, load, &mut running.process).await?;
    let turns = match (&programs.flames, &contestant.kind) {
        (Some(folder), Kind::Trackside(_) | Kind::Relay) => {
            let file = folder.join(turns::file_name(&flame::file_name(load.transport, &contestant.label)));
            let title = format!("{}: {}, {rate:.0} messages a second", load.transport, contestant.label);
            Some((Watch::start(running.pid()?, world.folder()).await?, title, file))
        }
        _ => None,
    };
    let keys = contestant.ordered.then_some(load.keys);
    let mut books = Books::new(&load.orders, contestant.work, load.count, keys);
    let mut histogram = Histogram::new_with_max(MOST_NANOS, DIGITS)?;
    let pace = Pace::of(rate);
    let sending = spawn_sender(world.sender.clone(), Arc::clone(load), pace);
    for _ in 0..load.count {
        let Ok(arrival) = tokio::time::timeout(STALL_LIMIT, outputs.next()).await else { break };
        let (arrival, now) = (arrival?, Instant::now());
        if let Some(number) = arrival.number.filter(|number| *number >= warm(load.count)) {
            let nanos = now.saturating_duration_since(pace.due(number)).as_nanos();
            histogram.saturating_record(u64::try_from(nanos).unwrap_or(u64::MAX));
        }
        books.arrive(&arrival.subject, arrival.number, &arrival.payload);
    }
    sending.await.context("the sender has panicked")??;
    running.stop(world).await?;
    if let Some((watch, title, file)) = turns {
        watch.write(&title, &file).await?;
    }
    for arrival in outputs.rest(world).await? {
        books.arrive(&arrival.subject, arrival.number, &arrival.payload);
    }
    Ok(books.close().map(|()| Latency { rate, histogram }))
}

/// Sends a load at its pace, on a thread of its own: the runtime's timers go by the millisecond.
pub(crate) fn spawn_sender(client: Client, load: Arc<Load>, pace: Pace) -> tokio::task::JoinHandle<Result<()>> {
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        for number in 0..load.count {
            std::thread::sleep(pace.due(number).saturating_duration_since(Instant::now()));
            let (subject, payload) = (load.transport.source(number, load.keys), load.orders.of(number).payload.clone());
            runtime.block_on(client.publish_with_headers(subject, numbered(number), payload))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_even_distances() {
        let pace = Pace::of(1_000.0);
        assert_eq!(pace.due(1500) - pace.due(500), Duration::from_secs(1));
    }
}
