//! All metrics: hands out the counters that others add to, and writes them down in the OpenMetrics text format.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::names::{PluginName, Revision, RouteName, RuleName, SourceName};

use super::definitions::{self, Definition};
use super::handles::{ByLabel, Lag, PluginMetrics, RouteMetrics, RuleMetrics, SourceMetrics, TraceMetrics};
use super::histogram::Histogram;
use super::readings::{Reader, Readings};

/// The media type of what [`Metrics::encode`] returns (OpenMetrics 1.0).
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of the process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<State>);

/// What the running program was built from.
#[derive(Debug, Clone, Copy)]
pub struct Build {
    /// The version of Trackside.
    pub version: &'static str,
    /// The version of wasmtime.
    pub wasmtime: &'static str,
    /// The version of the plugin contract.
    pub contract: &'static str,
}

/// The names that the revision in force has.
#[derive(Debug, Clone, Default)]
pub struct InUse {
    /// Its rules.
    pub rules: BTreeSet<RuleName>,
    /// Its sources.
    pub sources: BTreeSet<SourceName>,
    /// Its plugins.
    pub plugins: BTreeSet<PluginName>,
    /// The routes of its rules.
    pub routes: BTreeSet<(RuleName, RouteName)>,
    /// Its stages.
    pub stages: BTreeSet<StageLabels>,
}

/// What a stage is told apart by: its rule, its position there counted from 1, and its plugin.
pub type StageLabels = (RuleName, usize, PluginName);

#[derive(Debug)]
struct State {
    build: Build,
    connected: Gauge,
    activated: Counter,
    unchanged: Counter,
    rejected: Counter,
    refused: Counter,
    last_reload_successful: Gauge,
    traces: Arc<TraceMetrics>,
    held_back: Counter,
    reader: OnceLock<Reader>,
    tables: Mutex<Tables>,
}

/// Locked while a plan is compiled and while the metrics are read, and never by the hot path.
#[derive(Debug, Default)]
struct Tables {
    rules: BTreeMap<RuleName, Arc<RuleMetrics>>,
    sources: BTreeMap<SourceName, Arc<SourceMetrics>>,
    plugins: BTreeMap<PluginName, Arc<PluginMetrics>>,
    routes: BTreeMap<(RuleName, RouteName), Arc<RouteMetrics>>,
    stages: BTreeMap<StageLabels, Arc<Histogram>>,
    revision: Option<(Revision, SystemTime)>,
}

impl Metrics {
    /// Begins with every counter at zero.
    #[must_use]
    pub fn new(build: Build) -> Self {
        Self(Arc::new(State {
            build,
            connected: Gauge::default(),
            activated: Counter::default(),
            unchanged: Counter::default(),
            rejected: Counter::default(),
            refused: Counter::default(),
            last_reload_successful: Gauge::default(),
            traces: Arc::default(),
            held_back: Counter::default(),
            reader: OnceLock::new(),
            tables: Mutex::default(),
        }))
    }

    /// The counters of a rule; the same ones for the same name until [`Metrics::retain`] removes them.
    #[must_use]
    pub fn rule(&self, name: &RuleName) -> Arc<RuleMetrics> {
        let mut tables = self.0.tables();
        Arc::clone(tables.rules.entry(name.clone()).or_insert_with(|| Arc::new(RuleMetrics::new())))
    }

    /// The counters of a source; the same ones for the same name until [`Metrics::retain`] removes them.
    #[must_use]
    pub fn source(&self, name: &SourceName) -> Arc<SourceMetrics> {
        Arc::clone(self.0.tables().sources.entry(name.clone()).or_default())
    }

    /// The counters of a plugin; the same ones for the same name until [`Metrics::retain`] removes them.
    #[must_use]
    pub fn plugin(&self, name: &PluginName) -> Arc<PluginMetrics> {
        let mut tables = self.0.tables();
        Arc::clone(tables.plugins.entry(name.clone()).or_insert_with(|| Arc::new(PluginMetrics::new())))
    }

    /// The counters of a route; kept as those of its rule are.
    #[must_use]
    pub fn route(&self, rule: &RuleName, route: &RouteName) -> Arc<RouteMetrics> {
        Arc::clone(self.0.tables().routes.entry((rule.clone(), route.clone())).or_default())
    }

    /// How long the calls of a stage take; kept as the counters of its rule are.
    #[must_use]
    pub fn stage(&self, labels: StageLabels) -> Arc<Histogram> {
        Arc::clone(self.0.tables().stages.entry(labels).or_default())
    }

    /// Counts log lines that are held back.
    #[must_use]
    pub fn held_back(&self) -> Counter {
        self.0.held_back.clone()
    }

    /// Where to read what is not counted. Once.
    pub fn read_from(&self, read: impl Fn() -> Readings + Send + Sync + 'static) {
        self.0.reader.get_or_init(|| Reader(Box::new(read)));
    }

    /// The counters of spans.
    #[must_use]
    pub fn traces(&self) -> Arc<TraceMetrics> {
        Arc::clone(&self.0.traces)
    }

    /// Shows these counters under these names. They may have been removed since they were made, where a revision comes into
    /// force again that was in force before.
    pub fn show<'a>(
        &self,
        rules: impl IntoIterator<Item = (&'a RuleName, &'a Arc<RuleMetrics>)>,
        plugins: impl IntoIterator<Item = (&'a PluginName, &'a Arc<PluginMetrics>)>,
    ) {
        let mut tables = self.0.tables();
        tables.rules.extend(rules.into_iter().map(|(name, rule)| (name.clone(), Arc::clone(rule))));
        tables.plugins.extend(plugins.into_iter().map(|(name, plugin)| (name.clone(), Arc::clone(plugin))));
    }

    /// The same for the routes of a rule, and for its stages in their order.
    pub fn show_parts<'a>(
        &self,
        rule: &RuleName,
        routes: impl IntoIterator<Item = (&'a RouteName, &'a Arc<RouteMetrics>)>,
        stages: impl IntoIterator<Item = (&'a PluginName, &'a Arc<Histogram>)>,
    ) {
        let mut tables = self.0.tables();
        let routes = routes.into_iter().map(|(route, metrics)| ((rule.clone(), route.clone()), Arc::clone(metrics)));
        tables.routes.extend(routes);
        let stages = (1..).zip(stages);
        let stages =
            stages.map(|(number, (plugin, seconds))| ((rule.clone(), number, plugin.clone()), Arc::clone(seconds)));
        tables.stages.extend(stages);
    }

    /// Removes what the revision in force does not have, both after a new one was activated and after one was
    /// rejected whose counters had been made already. Messages still in flight may go on adding to what was removed.
    pub fn retain(&self, in_use: &InUse) {
        let mut tables = self.0.tables();
        tables.rules.retain(|name, _| in_use.rules.contains(name));
        tables.sources.retain(|name, _| in_use.sources.contains(name));
        tables.plugins.retain(|name, _| in_use.plugins.contains(name));
        tables.routes.retain(|names, _| in_use.routes.contains(names));
        tables.stages.retain(|labels, _| in_use.stages.contains(labels));
    }

    /// There is a connection to a NATS server, or no longer.
    pub fn connected(&self, connected: bool) {
        self.0.connected.set(connected.into());
    }

    /// A load of the configuration led to this revision being activated at this time.
    pub fn reload_activated(&self, revision: &Revision, at: SystemTime) {
        self.0.activated.inc();
        self.0.tables().revision = Some((revision.clone(), at));
    }

    /// A load of the configuration found nothing new.
    pub fn reload_unchanged(&self) {
        self.0.unchanged.inc();
    }

    /// A load of the configuration was rejected.
    pub fn reload_rejected(&self) {
        self.0.rejected.inc();
    }

    /// What the admin API was given was rejected, and is in no file.
    pub fn reload_refused(&self) {
        self.0.refused.inc();
    }

    /// The files were loaded, and are right or not.
    pub fn files_loaded(&self, right: bool) {
        self.0.last_reload_successful.set(right.into());
    }

    /// Everything in the text format of OpenMetrics 1.0, whose media type is [`OPEN_METRICS`].
    #[must_use]
    pub fn encode(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&self.0)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("writing to a string does not fail");
        text
    }
}

impl State {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        // The tables are whole at every point where a panic could be, so a poisoned lock says nothing about them.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn encode_process(&self, encoder: &mut DescriptorEncoder<'_>, tables: &Tables) -> fmt::Result {
        let Build { version, wasmtime, contract } = self.build;
        info(encoder, &definitions::BUILD, &[version, wasmtime, contract])?;
        family(encoder, &definitions::CONNECTED, [([], &self.connected)])?;
        if let Some((revision, at)) = &tables.revision {
            info(encoder, &definitions::REVISION, &[revision.as_str()])?;
            let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
            family(encoder, &definitions::ACTIVATED, [([], &ConstGauge::new(since_epoch.as_secs_f64()))])?;
        }
        let outcomes = [
            (["activated"], &self.activated),
            (["unchanged"], &self.unchanged),
            (["rejected"], &self.rejected),
            (["refused"], &self.refused),
        ];
        family(encoder, &definitions::RELOADS, outcomes)?;
        family(encoder, &definitions::RELOAD_SUCCESSFUL, [([], &self.last_reload_successful)])?;
        let TraceMetrics { exported, dropped, failed } = &*self.traces;
        let outcomes = [(["exported"], exported), (["dropped"], dropped), (["failed"], failed)];
        family(encoder, &definitions::TRACE_SPANS, outcomes)?;
        family(encoder, &definitions::LOG_HELD_BACK, [([], &self.held_back)])
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Read before anything is locked: it looks at much else.
        let readings = self.reader.get().map(|reader| (reader.0)()).unwrap_or_default();
        let tables = self.tables();
        self.encode_process(&mut encoder, &tables)?;
        let tasks = readings.tasks;
        let tasks =
            [("ready", tasks.ready), ("running", tasks.running), ("waiting", tasks.waiting), ("later", tasks.later)];
        gauges(&mut encoder, &definitions::TASKS, tasks.map(|(state, count)| ([state], count)))?;
        gauges(&mut encoder, &definitions::TAPS, [([], readings.taps.open)])?;
        counters(&mut encoder, &definitions::TAPS_MISSED, [([], readings.taps.missed)])?;
        encode_sources(&mut encoder, &tables.sources)?;
        let rules = readings.rules.iter().map(|(rule, source)| [rule.as_str(), source.as_str()]);
        infos(&mut encoder, &definitions::RULE, rules)?;
        encode_rules(&mut encoder, &tables.rules)?;
        encode_routes(&mut encoder, &tables.routes, &readings)?;
        encode_stages(&mut encoder, &tables.stages)?;
        encode_plugins(&mut encoder, &tables.plugins, &readings)?;
        encode_outlets(&mut encoder, &readings)
    }
}

fn encode_sources(
    encoder: &mut DescriptorEncoder<'_>,
    sources: &BTreeMap<SourceName, Arc<SourceMetrics>>,
) -> fmt::Result {
    each(encoder, &definitions::SOURCE_RECEIVED, sources, |source| &source.received)?;
    each(encoder, &definitions::SOURCE_REDELIVERED, sources, |source| &source.redelivered)?;
    each(encoder, &definitions::SOURCE_UNMATCHED, sources, |source| &source.unmatched)?;
    each(encoder, &definitions::SOURCE_ACKNOWLEDGED, sources, |source| &source.acknowledged)?;
    each(encoder, &definitions::SOURCE_NEGATIVE, sources, |source| &source.negative_acknowledged)?;
    each(encoder, &definitions::SOURCE_DROPPED, sources, |source| &source.dropped)?;
    each(encoder, &definitions::SOURCE_IN_FLIGHT_MESSAGES, sources, |source| &source.in_flight_messages)?;
    each(encoder, &definitions::SOURCE_IN_FLIGHT_BYTES, sources, |source| &source.in_flight_bytes)?;
    each(encoder, &definitions::SOURCE_WINDOW_MESSAGES, sources, |source| &source.window_messages)?;
    each(encoder, &definitions::SOURCE_WINDOW_BYTES, sources, |source| &source.window_bytes)?;
    each(encoder, &definitions::SOURCE_PAUSED, sources, |source| &source.paused)?;
    let lags: Vec<(&str, Lag)> =
        sources.iter().filter_map(|(name, source)| Some((name.as_str(), source.lag()?))).collect();
    let of = |figure: fn(&Lag) -> u64| lags.iter().map(move |(name, lag)| ([*name], figure(lag)));
    gauges(encoder, &definitions::SOURCE_PENDING, of(|lag| lag.pending))?;
    gauges(encoder, &definitions::SOURCE_UNACKNOWLEDGED, of(|lag| lag.unacknowledged))?;
    gauges(encoder, &definitions::SOURCE_REDELIVERED_MESSAGES, of(|lag| lag.redelivered))?;
    each(encoder, &definitions::SOURCE_LATENCY, sources, |source| &source.latency)
}

fn encode_rules(encoder: &mut DescriptorEncoder<'_>, rules: &BTreeMap<RuleName, Arc<RuleMetrics>>) -> fmt::Result {
    each_value(encoder, &definitions::RULE_TRIES, rules, |rule| &rule.tries)?;
    each(encoder, &definitions::RULE_PUBLISHED, rules, |rule| &rule.published)?;
    each(encoder, &definitions::RULE_DROPPED, rules, |rule| &rule.dropped)?;
    each_value(encoder, &definitions::RULE_DEAD_LETTERED, rules, |rule| &rule.dead_lettered)?;
    each(encoder, &definitions::RULE_DIVERTED, rules, |rule| &rule.diverted)?;
    each(encoder, &definitions::RULE_RETRIED, rules, |rule| &rule.retried)?;
    each(encoder, &definitions::RULE_TERMINATED, rules, |rule| &rule.terminated)?;
    each(encoder, &definitions::RULE_PUBLISH_ERRORS, rules, |rule| &rule.publish_errors)?;
    let mut metric = describe(encoder, &definitions::RULE_PUBLISH_SECONDS)?;
    for (rule, seconds) in rules.iter().map(|(rule, metrics)| (rule, &metrics.publish_seconds)) {
        if seconds.count() > 0 {
            seconds.encode(metric.encode_family(&[("rule", rule.as_str())])?)?;
        }
    }
    Ok(())
}

fn encode_routes(
    encoder: &mut DescriptorEncoder<'_>,
    routes: &BTreeMap<(RuleName, RouteName), Arc<RouteMetrics>>,
    readings: &Readings,
) -> fmt::Result {
    let outputs = routes.iter().flat_map(|((rule, route), metrics)| {
        let labels = |outcome| [rule.as_str(), route.as_str(), outcome];
        [(labels("confirmed"), &metrics.confirmed), (labels("failed"), &metrics.failed)]
    });
    family(encoder, &definitions::ROUTE_OUTPUTS, outputs)?;
    let open = readings.routes.iter().map(|(rule, route, open)| ([rule.as_str(), route.as_str()], *open));
    gauges(encoder, &definitions::ROUTE_BREAKER, open)
}

fn encode_stages(encoder: &mut DescriptorEncoder<'_>, stages: &BTreeMap<StageLabels, Arc<Histogram>>) -> fmt::Result {
    let mut metric = describe(encoder, &definitions::STAGE_SECONDS)?;
    // Ten thousand rules have many stages; those that nothing comes by are not worth their lines.
    for ((rule, number, plugin), seconds) in stages.iter().filter(|(_, seconds)| seconds.count() > 0) {
        let number = number.to_string();
        let values = [rule.as_str(), number.as_str(), plugin.as_str()];
        let labels: Vec<_> = definitions::STAGE_SECONDS.labels.iter().copied().zip(values).collect();
        seconds.encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

fn encode_plugins(
    encoder: &mut DescriptorEncoder<'_>,
    plugins: &BTreeMap<PluginName, Arc<PluginMetrics>>,
    readings: &Readings,
) -> fmt::Result {
    each(encoder, &definitions::PLUGIN_CALLS, plugins, |plugin| &plugin.calls)?;
    each_value(encoder, &definitions::PLUGIN_FAULTS, plugins, |plugin| &plugin.faults)?;
    each(encoder, &definitions::PLUGIN_CALL_SECONDS, plugins, |plugin| &plugin.call_seconds)?;
    each(encoder, &definitions::PLUGIN_INSTANCES, plugins, |plugin| &plugin.instances_created)?;
    let read = || readings.plugins.iter().map(|(name, plugin)| ([name.as_str()], plugin));
    gauges(encoder, &definitions::PLUGIN_ALIVE, read().map(|(name, plugin)| (name, plugin.instances)))?;
    gauges(encoder, &definitions::PLUGIN_MEMORY, read().map(|(name, plugin)| (name, plugin.memory_bytes)))?;
    let dropped = read().map(|(name, plugin)| (name, plugin.log_lines_dropped));
    counters(encoder, &definitions::PLUGIN_LINES_DROPPED, dropped)?;
    gauges(encoder, &definitions::PLUGIN_BREAKER, read().map(|(name, plugin)| (name, plugin.breaker_open)))
}

fn encode_outlets(encoder: &mut DescriptorEncoder<'_>, readings: &Readings) -> fmt::Result {
    let services = || readings.services.iter().map(|(address, service)| (address.as_str(), service));
    gauges(encoder, &definitions::SERVICE_UP, services().map(|(address, service)| ([address], service.up)))?;
    let requests = services().flat_map(|(address, service)| {
        [("delivered", service.delivered), ("refused", service.refused), ("retried", service.retried)]
            .map(|(outcome, count)| ([address, outcome], count))
    });
    counters(encoder, &definitions::SERVICE_REQUESTS, requests)?;
    let read = || readings.subscriptions.iter().map(|(name, queue)| ([name.as_str()], queue));
    gauges(encoder, &definitions::SUBSCRIBERS, read().map(|(name, queue)| (name, queue.subscribers)))?;
    gauges(encoder, &definitions::SUBSCRIPTION_WAITING, read().map(|(name, queue)| (name, queue.waiting)))?;
    gauges(encoder, &definitions::SUBSCRIPTION_OUT, read().map(|(name, queue)| (name, queue.in_flight)))
}

/// A figure as a gauge has it.
trait Figure {
    fn figure(self) -> i64;
}

impl Figure for u64 {
    fn figure(self) -> i64 {
        i64::try_from(self).unwrap_or(i64::MAX)
    }
}

impl Figure for usize {
    fn figure(self) -> i64 {
        i64::try_from(self).unwrap_or(i64::MAX)
    }
}

impl Figure for bool {
    fn figure(self) -> i64 {
        self.into()
    }
}

/// Writes a gauge whose values were read.
fn gauges<'m, const LABELS: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    definition: &'static Definition,
    samples: impl IntoIterator<Item = ([&'m str; LABELS], impl Figure)>,
) -> fmt::Result {
    let gauges = samples.into_iter().map(|(values, value)| (values, ConstGauge::new(value.figure())));
    let gauges: Vec<_> = gauges.collect();
    family(encoder, definition, gauges.iter().map(|(values, gauge)| (*values, gauge)))
}

/// Writes a counter whose values were read.
fn counters<'m, const LABELS: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    definition: &'static Definition,
    samples: impl IntoIterator<Item = ([&'m str; LABELS], u64)>,
) -> fmt::Result {
    let counters: Vec<_> = samples.into_iter().map(|(values, value)| (values, ConstCounter::new(value))).collect();
    family(encoder, definition, counters.iter().map(|(values, counter)| (*values, counter)))
}

/// Writes several that are nothing but their labels.
fn infos<'m, const LABELS: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    definition: &'static Definition,
    all: impl IntoIterator<Item = [&'m str; LABELS]>,
) -> fmt::Result {
    let mut metric = describe(encoder, definition)?;
    for values in all {
        let labels: Vec<_> = definition.labels.iter().copied().zip(values).collect();
        metric.encode_info(&labels)?;
    }
    Ok(())
}

/// Writes one metric of all rules, sources or plugins.
fn each<'m, N: Borrow<str>, H, M: EncodeMetric + 'm>(
    encoder: &mut DescriptorEncoder<'_>,
    definition: &'static Definition,
    handles: &'m BTreeMap<N, Arc<H>>,
    metric: impl Fn(&'m H) -> &'m M,
) -> fmt::Result {
    family(encoder, definition, handles.iter().map(|(name, handle)| ([name.borrow()], metric(handle))))
}

/// Writes one metric of all rules or plugins that has a further label.
fn each_value<'m, N: Borrow<str>, H>(
    encoder: &mut DescriptorEncoder<'_>,
    definition: &'static Definition,
    handles: &'m BTreeMap<N, Arc<H>>,
    metric: impl Fn(&'m H) -> &'m ByLabel,
) -> fmt::Result {
    let samples = handles.iter().flat_map(|(name, handle)| {
        let name: &str = name.borrow();
        metric(handle).iter().map(move |(value, counter)| ([name, value], counter))
    });
    family(encoder, definition, samples)
}

fn describe<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    definition: &'e Definition,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    let unit = definition.open_metrics_unit();
    encoder.encode_descriptor(definition.name, definition.help, unit, definition.metric_type())
}

/// Writes a metric with one sample for each set of values of its labels.
fn family<'m, const LABELS: usize, M: EncodeMetric + 'm>(
    encoder: &mut DescriptorEncoder<'_>,
    definition: &'static Definition,
    samples: impl IntoIterator<Item = ([&'m str; LABELS], &'m M)>,
) -> fmt::Result {
    let mut metric = describe(encoder, definition)?;
    for (values, sample) in samples {
        let labels: Vec<(&str, &str)> = definition.labels.iter().copied().zip(values).collect();
        if labels.is_empty() {
            sample.encode(metric)?;
            return Ok(());
        }
        sample.encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Writes a metric that is nothing but its labels.
fn info(encoder: &mut DescriptorEncoder<'_>, definition: &'static Definition, values: &[&str]) -> fmt::Result {
    let labels: Vec<(&str, &str)> = definition.labels.iter().copied().zip(values.iter().copied()).collect();
    describe(encoder, definition)?.encode_info(&labels)
}

#[cfg(test)]
mod tests;
