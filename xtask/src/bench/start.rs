//! How long Trackside takes until it is ready, and what memory it has when it has nothing to do.

use std::time::Duration;

use anyhow::{Context, Result};

use super::config::Shape;
use super::contestant::{Contestant, Kind, Programs};
use super::results::Start;
use super::task::Transport;
use super::usage::Memory;
use super::work::Work;
use super::world::World;

/// After so long a process that has nothing to do is taken to have settled.
const IDLE: Duration = Duration::from_secs(1);

/// A Trackside with a rule that uses all four standard plugins.
fn contestant() -> Contestant {
    Contestant { label: String::new(), kind: Kind::Trackside(Shape::PLAIN), work: Work::Five, ordered: false }
}

/// Has the standard plugins compiled, so that no run that is measured has to.
pub(crate) async fn compile(world: &World, programs: &Programs) -> Result<()> {
    let running = contestant().start(world, programs, Transport::Core).await?;
    running.stop(world).await
}

/// Starts it so many times with an empty folder of compiled plugins, and so many times with a full one.
pub(crate) async fn times(world: &World, programs: &Programs, rounds: usize) -> Result<Start> {
    world.empty_source().await?;
    world.empty_out(false).await?;
    let mut start = Start { cold: Vec::new(), warm: Vec::new() };
    for _ in 0..rounds {
        let cache = tempfile::tempdir_in(world.folder())?;
        for times in [&mut start.cold, &mut start.warm] {
            let running = contestant().start_with_cache(world, programs, Transport::JetStream, cache.path()).await?;
            times.push(running.ready_after.context("it was not waited for")?);
            running.stop(world).await?;
        }
    }
    Ok(start)
}

/// Starts it so many times, and reads its memory a while after it was ready.
pub(crate) async fn idle(world: &World, programs: &Programs, rounds: usize) -> Result<Vec<u64>> {
    world.empty_source().await?;
    world.empty_out(false).await?;
    let mut resident = Vec::new();
    for _ in 0..rounds {
        let running = contestant().start(world, programs, Transport::JetStream).await?;
        tokio::time::sleep(IDLE).await;
        resident.push(Memory::of(running.pid()?)?.resident);
        running.stop(world).await?;
    }
    Ok(resident)
}
