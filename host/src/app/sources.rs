//! Keeps the sources open: each has a task that feeds the lanes, and opens it again when the world has changed under it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backbone::{Connection, Source, SourceError};
use crate::names::SourceName;
use crate::pipeline::{InFlight, Intake, Scheduler, Taps, Window};
use crate::plan::Live;
use crate::rules::{self, Config};
use crate::telemetry::traces::Tracer;
use crate::telemetry::{Condition, Metrics, Readiness};

use super::Failure;
use super::gauges;

/// Waits between attempts to open a source again.
const REOPEN_FIRST: Duration = Duration::from_millis(250);
const REOPEN_MOST: Duration = Duration::from_secs(10);

/// The sources, open and feeding the lanes.
pub(super) struct Sources {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// What every source's task needs.
#[derive(Clone)]
pub(super) struct Feed {
    pub(super) connection: Connection,
    pub(super) readiness: Readiness,
    pub(super) metrics: Metrics,
    pub(super) live: Live,
    pub(super) scheduler: Scheduler,
    pub(super) taps: Taps,
    pub(super) tracer: Option<Tracer>,
}

/// Opens all sources, or says what is wrong with each that cannot be.
pub(super) async fn open(connection: &Connection, config: &Config) -> Result<Vec<(SourceName, Source)>, Failure> {
    let (mut opened, mut wrong) = (Vec::new(), Vec::new());
    for (name, settings) in config.sources.iter().filter(|(_, source)| !source.kind.is_sidecar()) {
        match connection.open(settings).await {
            Ok(source) => opened.push((name.clone(), source)),
            Err(error) => wrong.push(format!("source {name}: {error}")),
        }
    }
    if wrong.is_empty() { Ok(opened) } else { Err(Failure::new(wrong.join("\n"))) }
}

impl Sources {
    /// Starts a task for each source.
    pub(super) fn start(opened: Vec<(SourceName, Source)>, config: &Config, feed: &Feed) -> Self {
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for (name, source) in opened {
            let settings = config.sources[&name].clone();
            let (feed, stop) = (feed.clone(), stop.subscribe());
            let (connection, metrics) = (feed.connection.clone(), feed.metrics.source(&name));
            tasks.spawn(async move {
                tokio::select! {
                    () = keep_open(name, source, settings.clone(), feed, stop) => {}
                    () = gauges::follow_lag(&connection, &settings, &metrics) => {}
                }
            });
        }
        Self { tasks, stop }
    }

    /// Stops taking messages in.
    pub(super) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn keep_open(
    name: SourceName,
    mut source: Source,
    settings: rules::Source,
    feed: Feed,
    mut stop: watch::Receiver<bool>,
) {
    let Feed { connection, readiness, metrics, live, scheduler, taps, tracer } = feed;
    let metrics = metrics.source(&name);
    let flight = InFlight::new(name.clone(), Arc::clone(&metrics), tracer);
    if let Some(ack_wait) = source.ack_wait() {
        flight.keep(ack_wait);
    }
    follow_pauses(&flight, &readiness);
    let window = Window::new(&settings, metrics);
    let mut intake = Intake::new(flight, window, &live, scheduler, taps);
    loop {
        readiness.set(Condition::Source(name.clone()), Ok(()));
        let Err(error) = intake.run(&mut source, &mut stop).await else { return source.retire().await };
        tracing::error!(source = %name, %error, "the source ended; it is opened again");
        readiness.set(Condition::Source(name.clone()), Err(error.to_string()));
        source.retire().await;
        let reopened = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            reopened = reopen(&name, &settings, &connection, &readiness) => reopened,
        };
        match reopened {
            Ok(opened) => source = opened,
            Err(error) => {
                tracing::error!(source = %name, %error, "the source cannot be opened again before a restart");
                return;
            }
        }
    }
}

/// Keeps readiness true to whether a message that has used up its tries keeps the source paused.
fn follow_pauses(flight: &InFlight, readiness: &Readiness) {
    let (mut stuck, readiness, metrics) = (flight.watch_stuck(), readiness.clone(), Arc::clone(&flight.metrics));
    let condition = Condition::Flow(flight.source.clone());
    tokio::spawn(async move {
        while stuck.changed().await.is_ok() {
            let count = *stuck.borrow_and_update();
            metrics.paused(count);
            let messages = if count == 1 { "message that has" } else { "messages that have" };
            let paused = || format!("paused by {count} {messages} used up all tries");
            readiness.set(condition.clone(), if count == 0 { Ok(()) } else { Err(paused()) });
        }
    });
}

/// Opens a source again, for as long as that may help.
async fn reopen(
    name: &SourceName,
    settings: &rules::Source,
    connection: &Connection,
    readiness: &Readiness,
) -> Result<Source, SourceError> {
    let mut wait = REOPEN_FIRST;
    loop {
        tokio::time::sleep(wait).await;
        match connection.open(settings).await {
            Ok(source) => {
                tracing::info!(source = %name, "the source is open again");
                return Ok(source);
            }
            Err(error) => {
                tracing::warn!(source = %name, %error, "the source cannot be opened yet");
                readiness.set(Condition::Source(name.clone()), Err(error.to_string()));
                if matches!(error, SourceError::Closed) {
                    return Err(error);
                }
            }
        }
        wait = (wait * 2).min(REOPEN_MOST);
    }
}
