use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::names::QueueName;
use crate::telemetry::{
    DEFINITIONS, Kind, PluginReadings, RuleOutcome, ServiceReadings, SubscriptionReadings, TapReadings, TaskReadings,
    Unit, reference,
};

use super::*;

fn metrics() -> Metrics {
    Metrics::new(Build { version: "0.1.0", wasmtime: "48.0.0", contract: "0.1.0" })
}

fn full() -> Metrics {
    let metrics = metrics();
    metrics.connected(true);
    metrics.reload_activated(&Revision::from_digest(&[0xab; 32]), UNIX_EPOCH + Duration::from_millis(1_500));
    metrics.reload_rejected();
    metrics.reload_refused();
    metrics.files_loaded(true);
    let (name, mask) = (|name: &str| RuleName::new(name).expect("a name"), PluginName::new("mask").expect("a name"));
    let rule = metrics.rule(&name("orders"));
    rule.tried(RuleOutcome::Published);
    rule.tried(RuleOutcome::Returned);
    rule.published(3);
    rule.dropped(1);
    rule.dead_lettered("rejected");
    rule.dead_lettered("of a kind that nobody has heard of");
    rule.diverted();
    rule.retried();
    rule.terminated();
    rule.publish_failed();
    rule.confirmed_after(Duration::from_millis(2));
    let route = metrics.route(&name("orders"), &RouteName::new("default").expect("a name"));
    route.confirmed();
    route.confirmed();
    route.failed();
    metrics.stage((name("orders"), 1, mask.clone())).observe(Duration::from_micros(7));
    let source = metrics.source(&SourceName::new("orders").expect("a name"));
    source.received(false);
    source.received(true);
    source.entered(700);
    source.entered(300);
    source.left(300);
    source.unmatched();
    source.dropped(2);
    source.settled(Duration::from_micros(30), true);
    source.settled(Duration::from_micros(30), false);
    source.window(1000, 64 << 20);
    source.paused(3);
    source.lags(Some(Lag { pending: 20, unacknowledged: 8, redelivered: 5 }));
    let plugin = metrics.plugin(&mask);
    plugin.called(Duration::from_micros(5), None);
    plugin.called(Duration::from_millis(10), Some("deadline"));
    plugin.instance_created();
    let traces = metrics.traces();
    traces.exported(7);
    traces.dropped();
    traces.failed(2);
    metrics.held_back().inc_by(6);
    metrics.read_from(readings);
    metrics
}

/// What is read and not counted, in a host that has everything.
fn readings() -> Readings {
    let (rule, route) = (RuleName::new("orders").expect("a name"), RouteName::new("default").expect("a name"));
    let plugin = PluginReadings { instances: 2, memory_bytes: 3 << 16, log_lines_dropped: 4, breaker_open: true };
    let service = ServiceReadings { up: true, delivered: 5, refused: 6, retried: 7 };
    let subscription = SubscriptionReadings { subscribers: 1, waiting: 8, in_flight: 9 };
    Readings {
        tasks: TaskReadings { ready: 1, running: 2, waiting: 3, later: 4 },
        taps: TapReadings { open: 2, missed: 11 },
        rules: vec![(rule.clone(), SourceName::new("orders").expect("a name"))],
        routes: vec![(rule, route, true)],
        plugins: BTreeMap::from([(PluginName::new("mask").expect("a name"), plugin)]),
        services: BTreeMap::from([("http://127.0.0.1:8080".to_owned(), service)]),
        subscriptions: BTreeMap::from([(QueueName::new("audit").expect("a name"), subscription)]),
    }
}

/// Type and unit by name.
type Declared = BTreeMap<String, (String, Option<String>)>;

/// What an encoded text declares, and its samples.
fn parse(text: &str) -> (Declared, BTreeMap<String, String>) {
    let (mut declared, mut samples) = (Declared::new(), BTreeMap::new());
    for line in text.lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("#"), Some("TYPE")) => {
                let name = words.next().expect("a name").to_owned();
                declared.insert(name, (words.next().expect("a type").to_owned(), None));
            }
            (Some("#"), Some("UNIT")) => {
                let name = words.next().expect("a name");
                declared.get_mut(name).expect("the type comes first").1 = words.next().map(str::to_owned);
            }
            (Some("#"), _) => {}
            _ => {
                let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
                assert!(samples.insert(series.to_owned(), value.to_owned()).is_none(), "{series} is there twice");
            }
        }
    }
    (declared, samples)
}

#[test]
fn the_help_names_every_value_of_a_label_that_has_few() {
    for (name, values) in [
        ("trackside_rule_tries", crate::telemetry::RULE_OUTCOMES),
        ("trackside_rule_dead_lettered", crate::telemetry::DEAD_LETTER_CLASSES),
        ("trackside_plugin_faults", crate::telemetry::FAULT_KINDS),
        ("trackside_route_outputs", &["confirmed", "failed"]),
        ("trackside_service_requests", &["delivered", "refused", "retried"]),
    ] {
        let definition = DEFINITIONS.iter().find(|definition| definition.name == name).expect("it is in the table");
        let listed = definition.help.rsplit_once(": ").expect("a list").1.trim_end_matches('.');
        assert_eq!(listed.split(", ").collect::<Vec<_>>(), values);
    }
}

#[test]
fn what_is_served_is_what_the_table_says() {
    let text = full().encode();
    assert!(text.ends_with("# EOF\n"));
    let (declared, samples) = parse(&text);
    assert_eq!(declared.len(), DEFINITIONS.len());
    for definition in DEFINITIONS {
        let unit = match definition.unit {
            Some(Unit::Seconds) => Some("seconds"),
            Some(Unit::Bytes) => Some("bytes"),
            None => None,
        };
        let name = unit.map_or(definition.name.to_owned(), |unit| format!("{}_{unit}", definition.name));
        let (kind, declared_unit) = declared.get(&name).unwrap_or_else(|| panic!("{name} is not served"));
        assert_eq!(kind, definition.metric_type().as_str(), "{name}");
        assert_eq!(declared_unit.as_deref(), unit, "{name}");
        let sample = definition.sample_name() + if definition.kind == Kind::Histogram { "_count" } else { "" };
        let series: Vec<_> =
            samples.keys().filter(|series| series.split('{').next() == Some(sample.as_str())).collect();
        assert!(!series.is_empty(), "{sample} has no sample");
        for series in series {
            let labels = series.strip_prefix(&sample).expect("it was chosen by it").trim_matches(['{', '}']).split(',');
            let names: Vec<_> = labels.filter_map(|label| label.split_once('=')).map(|(name, _)| name).collect();
            assert_eq!(names, definition.labels, "{series}");
        }
    }
}

#[test]
fn the_reference_in_the_docs_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, reference()).expect("is written");
    }
    let written = std::fs::read_to_string(&path).expect("is read");
    assert_eq!(written, reference(), "run the test again with UPDATE_DOCS=1 in the environment");
}

#[test]
fn what_happened_is_what_is_counted() {
    let (_, samples) = parse(&full().encode());
    for (series, value) in [
        ("trackside_build_info{version=\"0.1.0\",wasmtime=\"48.0.0\",contract=\"0.1.0\"}", "1"),
        ("trackside_nats_connected", "1"),
        ("trackside_revision_info{revision=\"abababababab\"}", "1"),
        ("trackside_revision_activated_timestamp_seconds", "1.5"),
        ("trackside_reloads_total{outcome=\"activated\"}", "1"),
        ("trackside_reloads_total{outcome=\"refused\"}", "1"),
        ("trackside_last_reload_successful", "1"),
        ("trackside_source_received_total{source=\"orders\"}", "2"),
        ("trackside_source_redelivered_total{source=\"orders\"}", "1"),
        ("trackside_source_acknowledged_total{source=\"orders\"}", "1"),
        ("trackside_source_negative_acknowledged_total{source=\"orders\"}", "1"),
        ("trackside_source_in_flight_messages{source=\"orders\"}", "1"),
        ("trackside_source_in_flight_bytes{source=\"orders\"}", "700"),
        ("trackside_source_latency_seconds_count{source=\"orders\"}", "1"),
        ("trackside_source_latency_seconds_bucket{le=\"0.0001\",source=\"orders\"}", "1"),
        ("trackside_rule_tries_total{rule=\"orders\",outcome=\"published\"}", "1"),
        ("trackside_rule_tries_total{rule=\"orders\",outcome=\"returned\"}", "1"),
        ("trackside_rule_info{rule=\"orders\",source=\"orders\"}", "1"),
        ("trackside_rule_publish_seconds_bucket{le=\"0.001\",rule=\"orders\"}", "0"),
        ("trackside_rule_publish_seconds_bucket{le=\"0.0025\",rule=\"orders\"}", "1"),
        ("trackside_route_outputs_total{rule=\"orders\",route=\"default\",outcome=\"confirmed\"}", "2"),
        ("trackside_route_outputs_total{rule=\"orders\",route=\"default\",outcome=\"failed\"}", "1"),
        ("trackside_route_breaker_open{rule=\"orders\",route=\"default\"}", "1"),
        ("trackside_stage_seconds_count{rule=\"orders\",stage=\"1\",plugin=\"mask\"}", "1"),
        ("trackside_source_window_messages{source=\"orders\"}", "1000"),
        ("trackside_source_window_bytes{source=\"orders\"}", "67108864"),
        ("trackside_source_paused_messages{source=\"orders\"}", "3"),
        ("trackside_source_pending_messages{source=\"orders\"}", "20"),
        ("trackside_source_unacknowledged_messages{source=\"orders\"}", "8"),
        ("trackside_source_redelivered_messages{source=\"orders\"}", "5"),
        ("trackside_tasks{state=\"ready\"}", "1"),
        ("trackside_tasks{state=\"running\"}", "2"),
        ("trackside_tasks{state=\"waiting\"}", "3"),
        ("trackside_tasks{state=\"later\"}", "4"),
        ("trackside_taps", "2"),
        ("trackside_taps_missed_total", "11"),
        ("trackside_log_lines_held_back_total", "6"),
        ("trackside_plugin_instances{plugin=\"mask\"}", "2"),
        ("trackside_plugin_memory_bytes{plugin=\"mask\"}", "196608"),
        ("trackside_plugin_log_lines_dropped_total{plugin=\"mask\"}", "4"),
        ("trackside_plugin_breaker_open{plugin=\"mask\"}", "1"),
        ("trackside_service_up{service=\"http://127.0.0.1:8080\"}", "1"),
        ("trackside_service_requests_total{service=\"http://127.0.0.1:8080\",outcome=\"delivered\"}", "5"),
        ("trackside_service_requests_total{service=\"http://127.0.0.1:8080\",outcome=\"refused\"}", "6"),
        ("trackside_service_requests_total{service=\"http://127.0.0.1:8080\",outcome=\"retried\"}", "7"),
        ("trackside_subscription_subscribers{subscription=\"audit\"}", "1"),
        ("trackside_subscription_waiting_messages{subscription=\"audit\"}", "8"),
        ("trackside_subscription_in_flight_messages{subscription=\"audit\"}", "9"),
        ("trackside_trace_spans_total{outcome=\"exported\"}", "7"),
        ("trackside_trace_spans_total{outcome=\"dropped\"}", "1"),
        ("trackside_trace_spans_total{outcome=\"failed\"}", "2"),
        ("trackside_rule_published_total{rule=\"orders\"}", "3"),
        ("trackside_rule_dead_lettered_total{rule=\"orders\",class=\"rejected\"}", "1"),
        ("trackside_rule_dead_lettered_total{rule=\"orders\",class=\"other\"}", "1"),
        ("trackside_plugin_calls_total{plugin=\"mask\"}", "2"),
        ("trackside_plugin_faults_total{plugin=\"mask\",kind=\"deadline\"}", "1"),
        ("trackside_plugin_call_seconds_bucket{le=\"+Inf\",plugin=\"mask\"}", "2"),
    ] {
        assert_eq!(samples.get(series).map(String::as_str), Some(value), "{series} in {samples:#?}");
    }
}

#[test]
fn counters_of_a_name_live_as_long_as_a_revision_has_the_name() {
    let metrics = metrics();
    let (old, kept) = (RuleName::new("old").expect("a name"), RuleName::new("kept").expect("a name"));
    metrics.rule(&old).published(1);
    metrics.rule(&kept).published(1);
    metrics.retain(&InUse { rules: BTreeSet::from([kept.clone()]), ..InUse::default() });
    metrics.rule(&kept).published(1);
    let (_, samples) = parse(&metrics.encode());
    assert_eq!(samples.get("trackside_rule_published_total{rule=\"kept\"}").map(String::as_str), Some("2"));
    assert!(!samples.keys().any(|series| series.contains("\"old\"")), "{samples:#?}");
}

#[test]
fn routes_and_stages_go_with_their_rule_and_come_back_with_it() {
    let metrics = metrics();
    let (rule, route) = (RuleName::new("old").expect("a name"), RouteName::new("default").expect("a name"));
    let plugins = ["validate", "mask"].map(|name| PluginName::new(name).expect("a name"));
    let of_route = metrics.route(&rule, &route);
    let [first, second] = [1, 2].map(|number| metrics.stage((rule.clone(), number, plugins[number - 1].clone())));
    let happen = || {
        of_route.confirmed();
        first.observe(Duration::from_micros(5));
        second.observe(Duration::from_micros(5));
    };
    let in_use = |stages: &[usize]| InUse {
        rules: BTreeSet::from([rule.clone()]),
        routes: BTreeSet::from([(rule.clone(), route.clone())]),
        stages: stages.iter().map(|number| (rule.clone(), *number, plugins[number - 1].clone())).collect(),
        ..InUse::default()
    };
    let counted = || {
        let (_, samples) = parse(&metrics.encode());
        [
            "trackside_route_outputs_total{rule=\"old\",route=\"default\",outcome=\"confirmed\"}",
            "trackside_stage_seconds_count{rule=\"old\",stage=\"1\",plugin=\"validate\"}",
            "trackside_stage_seconds_count{rule=\"old\",stage=\"2\",plugin=\"mask\"}",
        ]
        .map(|series| samples.get(series).cloned().unwrap_or_default())
    };
    happen();
    metrics.retain(&in_use(&[1, 2]));
    assert_eq!(counted(), ["1", "1", "1"], "what is in use stays");
    metrics.retain(&in_use(&[1]));
    assert_eq!(counted(), ["1", "1", ""], "a stage that the rule has no longer goes");
    metrics.retain(&InUse::default());
    assert_eq!(counted(), ["", "", ""]);
    assert!(!metrics.encode().contains("\"old\""));
    metrics.show_parts(&rule, [(&route, &of_route)], plugins.iter().zip([&first, &second]));
    happen();
    assert_eq!(counted(), ["2", "2", "2"], "an earlier revision is in force again and counts on");
}

#[test]
fn histograms_of_rules_and_stages_that_nothing_comes_by_cost_no_lines() {
    let metrics = metrics();
    let rule = RuleName::new("idle").expect("a name");
    let publishing = metrics.rule(&rule);
    let stage = metrics.stage((rule, 1, PluginName::new("mask").expect("a name")));
    let lines = || metrics.encode().lines().filter(|line| line.contains("_bucket{")).count();
    assert_eq!(lines(), 0);
    publishing.confirmed_after(Duration::from_millis(1));
    let of_one = lines();
    assert!(of_one > 0);
    stage.observe(Duration::from_millis(1));
    assert_eq!(lines(), 2 * of_one);
}

#[test]
fn what_is_in_force_again_is_shown_again_and_counts_on() {
    let metrics = metrics();
    let (rule, plugin) = (RuleName::new("back").expect("a name"), PluginName::new("again").expect("a name"));
    let (of_rule, of_plugin) = (metrics.rule(&rule), metrics.plugin(&plugin));
    of_rule.published(1);
    metrics.retain(&InUse::default());
    assert!(!metrics.encode().contains("\"back\""));
    metrics.show([(&rule, &of_rule)], [(&plugin, &of_plugin)]);
    of_rule.published(1);
    metrics.rule(&rule).published(1);
    of_plugin.instance_created();
    let (_, samples) = parse(&metrics.encode());
    assert_eq!(samples.get("trackside_rule_published_total{rule=\"back\"}").map(String::as_str), Some("3"));
    assert!(samples.keys().any(|series| series.contains("\"again\"")), "{samples:#?}");
}
