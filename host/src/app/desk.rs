//! Opens what the sidecar hands messages in by: the sources `sidecar` and `sidecar-replies`.

use std::sync::Arc;

use crate::names::SourceName;
use crate::pipeline::{Counter, InFlight, Window};
use crate::rules::{Config, REPLIES_SOURCE, SIDECAR_SOURCE};
use crate::sidecar::Desk;
use crate::telemetry::Condition;

use super::Failure;
use super::sources::Feed;

/// The desk of a configuration that has a sidecar.
pub(super) async fn desk(config: &Config, feed: &Feed) -> Result<Desk, Failure> {
    let (messages, replies) = (counter(config, feed, SIDECAR_SOURCE)?, counter(config, feed, REPLIES_SOURCE)?);
    let inbox = feed.connection.replies().await.map_err(|error| Failure::new(format!("sidecar: {error}")))?;
    let mut run = [0; 12];
    getrandom::fill(&mut run).map_err(|error| Failure::new(format!("the system has no random bytes: {error}")))?;
    Ok(Desk::new(feed.connection.clone(), messages, replies, inbox, hex::encode(run)))
}

fn counter(config: &Config, feed: &Feed, name: &str) -> Result<Counter, Failure> {
    let found = config.sources.iter().find(|(source, _)| source.as_str() == name);
    let (name, settings): (&SourceName, _) =
        found.ok_or_else(|| Failure::new(format!("there is no source `{name}`")))?;
    let metrics = feed.metrics.source(name);
    let flight = InFlight::new(name.clone(), Arc::clone(&metrics), feed.tracer.clone());
    let window = Window::new(settings, metrics);
    feed.readiness.set(Condition::Source(name.clone()), Ok(()));
    Ok(Counter::new(flight, window, feed.live.clone(), feed.scheduler.clone(), feed.taps.clone()))
}
