//! Reads what metrics tell of the moment: off the plan in force, the scheduler, services and subscriptions.

use std::time::Duration;

use crate::backbone::Connection;
use crate::pipeline::{Scheduler, Taps};
use crate::plan::{Live, RouteTo};
use crate::rules::Source;
use crate::telemetry::{PluginReadings, Readings, SourceMetrics, SubscriptionReadings};

/// How often the server is asked how far a consumer is behind.
const LAG_EVERY: Duration = Duration::from_secs(15);

/// Everything that is read when somebody asks for the metrics.
pub(super) fn read(live: &Live, scheduler: &Scheduler, taps: &Taps) -> Readings {
    let plan = live.current();
    let mut readings = Readings { tasks: scheduler.readings(), taps: taps.readings(), ..Readings::default() };
    for rule in &plan.rules {
        readings.rules.push((rule.name.clone(), rule.source.clone()));
        for stage in &rule.stages {
            readings.plugins.entry(stage.plugin.clone()).or_insert_with(|| {
                let plugin = stage.stage.plugin();
                let (instances, memory_bytes) = plugin.alive_now();
                let (log_lines_dropped, breaker_open) = (plugin.log_lines_dropped(), !stage.breaker.is_closed());
                PluginReadings { instances, memory_bytes, log_lines_dropped, breaker_open }
            });
        }
        for route in &rule.routes {
            readings.routes.push((rule.name.clone(), route.name.clone(), !route.breaker.is_closed()));
            match &route.to {
                RouteTo::Service { service, .. } => {
                    readings.services.entry(service.address().to_string()).or_insert_with(|| service.readings());
                }
                RouteTo::Subscribers { queue, .. } => {
                    let (subscribers, waiting, in_flight) = queue.readings();
                    let read = SubscriptionReadings { subscribers, waiting, in_flight };
                    readings.subscriptions.insert(queue.name().clone(), read);
                }
                RouteTo::Subject { .. } | RouteTo::Caller => {}
            }
        }
    }
    readings
}

/// Keeps what metrics tell of a consumer near to what the server says. Runs until it is dropped.
pub(super) async fn follow_lag(connection: &Connection, source: &Source, metrics: &SourceMetrics) {
    let mut turns = tokio::time::interval(LAG_EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        match connection.lag(source).await {
            // There is no consumer, and never will be.
            Ok(None) => std::future::pending().await,
            Ok(lag) => metrics.lags(lag),
            Err(error) => {
                tracing::debug!(%error, "the server does not say how far a consumer is behind");
                metrics.lags(None);
            }
        }
    }
}
