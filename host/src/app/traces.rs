//! Traces: a tracer for the pipeline, and what brings its spans to their receiver.

use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::rules::{Config, TraceSettings};
use crate::telemetry::Metrics;
use crate::telemetry::traces::{Exporter, ExporterSettings, Tracer};

use super::Failure;

/// How long the last spans may take at the end.
const LAST_LIMIT: Duration = Duration::from_secs(2);

/// The exporter, running.
#[derive(Debug)]
pub(super) struct Traces {
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

/// Starts what the configuration asks for. Without `[telemetry.traces]` there is no tracer.
pub(super) fn start(config: &Config, directory: &Path, metrics: &Metrics) -> Result<Option<(Tracer, Traces)>, Failure> {
    let Some(settings) = &config.traces else { return Ok(None) };
    let TraceSettings { endpoint, path, service_name, timeout, .. } = settings;
    let resolved = settings.headers.iter().map(|(name, value)| match value.resolve(directory) {
        Ok(value) => Ok((name.clone(), value.expose().to_owned())),
        Err(error) => Err(Failure::new(format!("[telemetry.traces.secret-headers] {name}: {error}"))),
    });
    let (tracer, spans) = Tracer::new(settings.sample_ratio, settings.max_waiting_spans, metrics.traces());
    let exporter = ExporterSettings {
        url: format!("{endpoint}{path}/v1/traces"),
        headers: resolved.collect::<Result<_, _>>()?,
        service_name: service_name.clone(),
        timeout: *timeout,
    };
    let exporter = Exporter::new(exporter, spans, metrics.traces())
        .map_err(|error| Failure::new(format!("[telemetry.traces]: {error}")))?;
    let (stop, stopping) = oneshot::channel();
    Ok(Some((tracer, Traces { stop, running: tokio::spawn(exporter.run(stopping)) })))
}

impl Traces {
    /// Exports what there is, as far as the receiver takes it at once.
    pub(super) async fn finish(self) {
        let Self { stop, mut running } = self;
        let _ = stop.send(());
        if tokio::time::timeout(LAST_LIMIT, &mut running).await.is_err() {
            tracing::warn!("the last spans could not be exported in time");
            running.abort();
        }
    }
}
