//! JetStream: the load is stored before the clock starts, and what came of it is read when it has stopped. The times are
//! those at which the server stored the outputs, so measuring costs nothing while it goes on.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures::StreamExt;

use super::{Judged, Measured, measured, warm};
use crate::bench::books::Books;
use crate::bench::contestant::{Contestant, Programs};
use crate::bench::usage::{Memory, Sampler};
use crate::bench::world::{Load, OUT, World, number_of};

/// Longest time for one run.
const RUN_LIMIT: Duration = Duration::from_secs(120);
/// Longest time for the next message of a stream that has more.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// The source has to be filled already: it is the same for all.
pub(super) async fn run(
    world: &World,
    programs: &Programs,
    load: &Load,
    contestant: &Contestant,
) -> Result<Judged<Measured>> {
    world.empty_out(contestant.is_batched()).await?;
    let mut running = contestant.start(world, programs, load.transport).await?;
    let pid = running.pid()?;
    let sampler = Sampler::start(pid);
    running.settle(world, RUN_LIMIT).await?;
    let samples = sampler.stop()?;
    let peak = Memory::of(pid)?.peak;
    running.stop(world).await?;

    let keys = contestant.ordered.then_some(load.keys);
    let mut books = Books::new(&load.orders, contestant.work, load.count, keys);
    let times = read(world, &mut books).await?;
    if let Err(mistakes) = books.close() {
        return Ok(Err(mistakes));
    }
    let (from, to) = (times[warm(times.len())], times[times.len() - 1]);
    let seconds = to.duration_since(from).unwrap_or_default().as_secs_f64();
    let used = samples.at(to)?.since(samples.at(from)?);
    Ok(Ok(measured(times.len() - warm(times.len()) - 1, seconds, used, peak)))
}

/// Books everything in the output stream, and returns when each was stored.
pub(crate) async fn read(world: &World, books: &mut Books<'_>) -> Result<Vec<SystemTime>> {
    let stored = usize::try_from(world.stored(OUT).await?)?;
    let mut times = Vec::with_capacity(stored);
    let consumer = world.jetstream.create_consumer_on_stream(OrderedConfig::default(), OUT).await?;
    let mut messages = consumer.messages().await?;
    while times.len() < stored {
        let message = tokio::time::timeout(READ_LIMIT, messages.next()).await;
        let message = message.context("the output stream gives out no more")?.context("its reader has ended")??;
        times.push(message.info().map_err(anyhow::Error::from_boxed)?.published.into());
        books.arrive(&message.subject, number_of(message.headers.as_ref()), &message.payload);
    }
    Ok(times)
}
