//! Core NATS: nothing is stored, so the load is sent while it is measured, never more than a window ahead of what has
//! arrived.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_nats::Client;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Judged, Measured, measured, warm};
use crate::bench::arrivals::Outputs;
use crate::bench::books::Books;
use crate::bench::contestant::{Contestant, Programs};
use crate::bench::task::WINDOW;
use crate::bench::usage::{Memory, Usage};
use crate::bench::world::{Load, World, numbered};

/// Longest time without an arrival while some are missing.
const STALL_LIMIT: Duration = Duration::from_secs(2);
/// Arrivals after which the sender is told of them.
const TOLD_EVERY: usize = 16;

/// How many messages have arrived.
#[derive(Default)]
struct Progress {
    arrived: AtomicUsize,
    changed: Notify,
}

/// A time, and what the process had used by then.
type Mark = (Instant, Usage);

pub(super) async fn run(
    world: &World,
    programs: &Programs,
    load: &Arc<Load>,
    contestant: &Contestant,
) -> Result<Judged<Measured>> {
    let mut outputs = Outputs::open(world, load.transport).await?;
    let mut running = contestant.start(world, programs, load.transport).await?;
    outputs.probe(world, load, &mut running.process).await?;
    let pid = running.pid()?;
    let progress = Arc::new(Progress::default());
    // Aborted when it is dropped: a sender whose messages got lost would wait for ever.
    let mut sending = JoinSet::new();
    sending.spawn(send(world.sender.clone(), Arc::clone(load), Arc::clone(&progress)));
    let keys = contestant.ordered.then_some(load.keys);
    let mut books = Books::new(&load.orders, contestant.work, load.count, keys);
    let marks = read(&mut outputs, load.count, &mut books, &progress, pid).await?;
    let peak = Memory::of(pid)?.peak;
    running.stop(world).await?;
    for arrival in outputs.rest(world).await? {
        books.arrive(&arrival.subject, arrival.number, &arrival.payload);
    }
    if let Err(mistakes) = books.close() {
        return Ok(Err(mistakes));
    }
    let [(from, before), (to, after)] = marks.context("there are too few messages to measure anything")?;
    let messages = load.count - warm(load.count) - 1;
    Ok(Ok(measured(messages, (to - from).as_secs_f64(), after.since(before), peak)))
}

async fn send(client: Client, load: Arc<Load>, progress: Arc<Progress>) -> Result<()> {
    for number in 0..load.count {
        loop {
            let changed = progress.changed.notified();
            if number < progress.arrived.load(Ordering::Acquire) + WINDOW {
                break;
            }
            changed.await;
        }
        let (subject, payload) = (load.transport.source(number, load.keys), load.orders.of(number).payload.clone());
        client.publish_with_headers(subject, numbered(number), payload).await?;
    }
    Ok(())
}

/// Books what arrives until everything has, or nothing comes any more; with marks at the end of the warming up and at the
/// end of all, if it came so far.
async fn read(
    outputs: &mut Outputs,
    count: usize,
    books: &mut Books<'_>,
    progress: &Progress,
    pid: u32,
) -> Result<Option<[Mark; 2]>> {
    let mark = || anyhow::Ok((Instant::now(), Usage::of(pid)?));
    let mut warmed = None;
    for arrived in 1..=count {
        let Ok(arrival) = tokio::time::timeout(STALL_LIMIT, outputs.next()).await else { return Ok(None) };
        let arrival = arrival?;
        books.arrive(&arrival.subject, arrival.number, &arrival.payload);
        progress.arrived.store(arrived, Ordering::Release);
        if arrived.is_multiple_of(TOLD_EVERY) || arrived == count {
            progress.changed.notify_one();
        }
        if arrived == warm(count) + 1 {
            warmed = Some(mark()?);
        }
    }
    warmed.map(|warmed| anyhow::Ok([warmed, mark()?])).transpose()
}
