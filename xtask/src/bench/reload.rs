//! A change of a thousand rules under load: how long it takes, and how long it holds messages up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::arrivals::Outputs;
use super::books::Books;
use super::config::{self, Shape};
use super::contestant::{Contestant, Kind, Programs};
use super::latency::{Pace, spawn_sender};
use super::orders::Orders;
use super::results::Reload;
use super::task::Transport;
use super::throughput::Judged;
use super::work::Work;
use super::world::{Load, World};
use crate::admin;

const RULES: usize = 1_000;
/// Messages a second, far below what the machine can do, so that what holds them up is the reload.
const RATE: f64 = 2_000.0;
/// For so long there is load before the change, and again after it.
const AROUND: Duration = Duration::from_secs(1);
/// A message that was due so long after the reload may still have been held up by it.
const AFTERMATH: Duration = Duration::from_millis(200);
const STALL_LIMIT: Duration = Duration::from_secs(10);

/// Changes every rule once, and watches.
pub(crate) async fn run(world: &World, programs: &Programs) -> Result<Judged<Reload>> {
    let shape = Shape { rules: RULES, ..Shape::PLAIN };
    let contestant =
        Contestant { label: String::new(), kind: Kind::Trackside(shape), work: Work::Check, ordered: false };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
    let count = (RATE * AROUND.as_secs_f64() * 3.0) as usize;
    let orders = Orders::new(1_000);
    let load = Arc::new(Load { transport: Transport::Core, keys: RULES, count, orders });
    let mut outputs = Outputs::open(world, load.transport).await?;
    let mut running = contestant.start(world, programs, load.transport).await?;
    outputs.probe(world, &load, &mut running.process).await?;

    let pace = Pace::of(RATE);
    let sending = spawn_sender(world.sender.clone(), Arc::clone(&load), pace);
    let (folder, task) = (running.config.clone(), running.task.clone());
    let admin = running.admin.clone().context("it has no admin API")?;
    let reloading = tokio::spawn(async move {
        // All routes change, and no order is of an amount between the two.
        config::write_rules(&folder, &task, shape, 1_001)?;
        tokio::time::sleep_until((pace.due(0) + AROUND).into()).await;
        let from = Instant::now();
        admin::reload(&admin).await?;
        anyhow::Ok((from, Instant::now()))
    });
    let mut books = Books::new(&load.orders, Work::Check, count, None);
    let mut latencies = Vec::with_capacity(count);
    for _ in 0..count {
        let Ok(arrival) = tokio::time::timeout(STALL_LIMIT, outputs.next()).await else { break };
        let (arrival, now) = (arrival?, Instant::now());
        if let Some(number) = arrival.number {
            let due = pace.due(number);
            latencies.push((due, now.saturating_duration_since(due)));
        }
        books.arrive(&arrival.subject, arrival.number, &arrival.payload);
    }
    sending.await.context("the sender has panicked")??;
    let (from, to) = reloading.await.context("the reload has panicked")??;
    running.stop(world).await?;
    for arrival in outputs.rest(world).await? {
        books.arrive(&arrival.subject, arrival.number, &arrival.payload);
    }
    let during = |due: &Instant| (from - AFTERMATH..to + AFTERMATH).contains(due);
    let worst = |wanted: bool| {
        let latencies = latencies.iter().filter(|(due, _)| during(due) == wanted);
        latencies.map(|(_, latency)| *latency).max().unwrap_or_default()
    };
    let reload = Reload { took: to - from, worst_during: worst(true), worst_otherwise: worst(false) };
    Ok(books.close().map(|()| reload))
}
