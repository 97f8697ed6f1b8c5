use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::telemetry::{DEFINITIONS, Kind, RuleOutcome, Unit, reference};

use super::*;

fn metrics() -> Metrics {
    Metrics::new(Build { version: "0.1.0", wasmtime: "48.0.0", contract: "0.1.0" })
}

fn full() -> Metrics {
    let metrics = metrics();
    metrics.connected(true);
    metrics.reload_activated(&Revision::from_digest(&[0xab; 32]), UNIX_EPOCH + Duration::from_millis(1_500));
    metrics.reload_rejected();
    let rule = metrics.rule(&RuleName::new("orders").unwrap());
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
    let source = metrics.source(&SourceName::new("orders").unwrap());
    source.received(false);
    source.received(true);
    source.entered(700);
    source.entered(300);
    source.left(300);
    source.unmatched();
    source.dropped(2);
    source.settled(Duration::from_micros(30), true);
    source.settled(Duration::from_micros(30), false);
    let plugin = metrics.plugin(&PluginName::new("mask").unwrap());
    plugin.called(Duration::from_micros(5), None);
    plugin.called(Duration::from_millis(10), Some("deadline"));
    plugin.instance_created();
    let traces = metrics.traces();
    traces.exported(7);
    traces.dropped();
    traces.failed(2);
    metrics
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
                let name = words.next().unwrap().to_owned();
                declared.insert(name, (words.next().unwrap().to_owned(), None));
            }
            (Some("#"), Some("UNIT")) => {
                let name = words.next().unwrap();
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
            let labels = series.strip_prefix(&sample).unwrap().trim_matches(['{', '}']).split(',');
            let names: Vec<_> = labels.filter_map(|label| label.split_once('=')).map(|(name, _)| name).collect();
            assert_eq!(names, definition.labels, "{series}");
        }
    }
}

#[test]
fn the_reference_in_the_docs_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
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
        ("trackside_last_reload_successful", "0"),
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
    let (old, kept) = (RuleName::new("old").unwrap(), RuleName::new("kept").unwrap());
    metrics.rule(&old).published(1);
    metrics.rule(&kept).published(1);
    metrics.retain(&InUse { rules: BTreeSet::from([kept.clone()]), ..InUse::default() });
    metrics.rule(&kept).published(1);
    let (_, samples) = parse(&metrics.encode());
    assert_eq!(samples.get("trackside_rule_published_total{rule=\"kept\"}").map(String::as_str), Some("2"));
    assert!(!samples.keys().any(|series| series.contains("\"old\"")), "{samples:#?}");
}

#[test]
fn what_is_in_force_again_is_shown_again_and_counts_on() {
    let metrics = metrics();
    let (rule, plugin) = (RuleName::new("back").unwrap(), PluginName::new("again").unwrap());
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
