//! Explanations and graphs of small configurations.

use super::*;
use crate::message::Subject;
use crate::names::SourceName;
use crate::rules::{FileSet, load_from};

const CONFIG: &str = r#"
[nats]
servers = ["nats://127.0.0.1:4222"]
[sources.orders]
stream = "ORDERS"
filter-subjects = ["orders.>"]
durable = "trackside"
[sources.enriched]
subject = "enriched.>"
[sources.telemetry]
subject = "telemetry.>"
[streams.ORDERS]
subjects = ["orders.>"]
[streams.CLEAN]
subjects = ["clean.>"]
"#;

const RULES: &str = r#"
[[rule]]
name = "created"
source = "orders"
subject = "orders.*.created"
stage = [{ plugin = "validate", with = { schema = "schemas/order.json" } }, { plugin = "mask" }]
routes = { default = "clean.{subject.2}.{header.Kind}", enrich = { subject = "enriched.orders", confirm = "flush" } }
on-failure = { dead-letter = "dead.orders" }
[[rule]]
name = "deleted"
source = "orders"
subject = "orders.eu.deleted"
routes = { default = "clean.deleted" }
[[rule]]
name = "back"
source = "enriched"
subject = "enriched.*"
routes = { default = "orders.{header.Region}.created", all = "readings.{json:$['a\"<&b']}" }
[[rule]]
name = "readings"
source = "telemetry"
subject = "telemetry.*.*"
routes = { default = "readings.{subject.2}" }
"#;

fn rules() -> Rules {
    let set = FileSet::new("").with("trackside.toml", CONFIG).with("rules/all.toml", RULES);
    load_from(&set).unwrap_or_else(|report| panic!("{report}")).0
}

fn explained(subject: &str, source: Option<&str>) -> Explanation {
    let source = source.map(|source| SourceName::new(source).expect("a name"));
    Explanation::of(&rules(), &Subject::new(subject).expect("a subject"), source.as_ref())
}

#[test]
fn rules_that_take_a_subject_show_their_stages_and_where_they_lead() {
    let text = explained("orders.eu.created", None).to_string();
    let want = "\
`orders.eu.created` is taken by 1 rule

created  (rules/all.toml:3:8)
  from source `orders`
  stage 1: validate
  stage 2: mask
  route `default` -> clean.eu.{header.Kind}  (stream CLEAN)
  route `enrich` -> enriched.orders
  dead letter -> dead.orders

and not by 3 rules
";
    assert!(text.starts_with(want), "{text}");
}

#[test]
fn rules_that_do_not_take_a_subject_say_which_token_makes_the_difference() {
    let why = |subject: &str, source: Option<&str>| -> Vec<String> {
        explained(subject, source)
            .refused
            .into_iter()
            .map(|refused| format!("{}: {}", refused.rule, refused.why))
            .collect()
    };
    let of_telemetry = "source `telemetry` never delivers it: `telemetry.>`, token 1: want `telemetry`, got `orders`";
    assert_eq!(
        why("orders.us.deleted", None),
        [
            "created: `orders.*.created`, token 3: want `created`, got `deleted`",
            "deleted: `orders.eu.deleted`, token 2: want `eu`, got `us`",
            "back: source `enriched` never delivers it: `enriched.>`, token 1: want `enriched`, got `orders`",
            &format!("readings: {of_telemetry}"),
        ]
    );
    assert_eq!(why("telemetry.press-4", None)[3], "readings: `telemetry.*.*`, too short: want 3 tokens, got 2");
    assert_eq!(why("telemetry.a.b.c", None)[3], "readings: `telemetry.*.*`, too long: want 3 tokens, got 4");
    assert_eq!(why("orders.eu.created", Some("telemetry"))[0], "created: it takes messages of source `orders`");
}

#[test]
fn an_explanation_as_json_has_what_the_text_has() {
    let json = serde_json::to_value(explained("orders.eu.created", None)).expect("is written");
    assert_eq!(json["taken"][0]["routes"][0]["subject"], "clean.eu.{header.Kind}");
    assert_eq!(json["taken"][0]["routes"][0]["streams"][0], "CLEAN");
    assert_eq!(json["taken"][0]["dead-letter"]["subject"], "dead.orders");
    assert_eq!(json["refused"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_loop_over_another_source_is_marked_and_what_only_looks_like_one_is_not() {
    let graph = Graph::of(&rules());
    assert_eq!(graph.loops, [["created", "back"]]);
    let told = |edge: &Edge| {
        let name = |node: usize| graph.nodes[node].lines[0].clone();
        format!("{} -> {}", name(edge.from), name(edge.to))
    };
    let in_loop: Vec<_> = graph.edges.iter().filter(|edge| edge.in_loop).map(told).collect();
    assert_eq!(
        in_loop,
        [
            "orders -> created",
            "enriched -> back",
            "created -> enriched.orders",
            "enriched.orders -> enriched",
            "back -> orders.{header.Region}.created",
            "orders.{header.Region}.created -> orders",
        ]
    );
    let others = graph.edges.iter().filter(|edge| !edge.in_loop && edge.kind == EdgeKind::Again).count();
    assert_eq!(others, 0);
}

#[test]
fn subjects_and_streams_are_in_the_graph_once() {
    let graph = Graph::of(&rules());
    let of = |kind: NodeKind| {
        let nodes = graph.nodes.iter().filter(move |node| node.kind == kind);
        nodes.map(|node| node.lines[0].as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of(NodeKind::Source), ["enriched", "orders", "telemetry"]);
    assert_eq!(of(NodeKind::Stream), ["CLEAN", "ORDERS"]);
    assert_eq!(of(NodeKind::Subject).len(), 7);
    assert_eq!(graph.nodes[3].lines, ["created", "orders.*.created", "1 validate", "2 mask"]);
}

#[test]
fn no_text_of_a_configuration_can_leave_its_place_in_a_picture() {
    let graph = Graph::of(&rules());
    let raw = "readings.{json:$['a\"<&b']}";
    assert!(mermaid(&graph).contains("readings.{json:$['a#34;#60;#38;b']}"));
    assert!(dot(&graph).contains("readings.{json:$['a\\\"<&b']}"));
    assert!(svg(&graph).contains("readings.{json:$['a&quot;&lt;&amp;b']}"));
    for text in [mermaid(&graph), dot(&graph), svg(&graph)] {
        assert!(!text.contains(raw), "{text}");
    }
}

#[test]
fn nodes_of_a_picture_do_not_overlap() {
    let picture = svg(&Graph::of(&rules()));
    let number = |rect: &str, name: &str| -> i32 {
        let value = rect.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
        value.and_then(|(value, _)| value.parse().ok()).unwrap_or_else(|| panic!("{name} of {rect}"))
    };
    let rects: Vec<[i32; 4]> = picture
        .lines()
        .filter(|line| line.starts_with("<rect x="))
        .map(|rect| ["x", "y", "width", "height"].map(|name| number(rect, name)))
        .collect();
    assert_eq!(rects.len(), 16);
    for (position, a) in rects.iter().enumerate() {
        for b in &rects[..position] {
            let apart = a[0] + a[2] <= b[0] || b[0] + b[2] <= a[0] || a[1] + a[3] <= b[1] || b[1] + b[3] <= a[1];
            assert!(apart, "{a:?} and {b:?}");
        }
    }
}
