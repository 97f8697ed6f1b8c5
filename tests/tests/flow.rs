//! `trackside explain` and `trackside graph`, on the example configuration. No secret is set: they need none.

use std::collections::BTreeSet;

use serde_json::Value;
use trackside_tests::{Example, Setup, command};

#[test]
fn an_explanation_names_who_takes_a_subject_and_why_the_others_do_not() {
    let example = Example::new();
    let done = command(&["explain", example.argument(), "--subject", "orders.eu.cancelled"], b"");
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let got = done.stdout.replace(example.argument(), "config");
    let want = "\
`orders.eu.cancelled` is taken by no rule

and not by 3 rules

audit  (config/rules/audit.toml:5:8)
  source `clean-orders` never delivers it: `clean.orders.>`, token 1: want `clean`, got `orders`

orders  (config/rules/orders.toml:5:8)
  `orders.*.created`, token 3: want `created`, got `cancelled`

telemetry  (config/rules/telemetry.toml:4:8)
  source `telemetry` never delivers it: `telemetry.>`, token 1: want `telemetry`, got `orders`
";
    assert!(got == want, "{got}");
}

#[test]
fn an_explanation_is_json_on_request_and_an_unknown_source_is_an_error() {
    let example = Example::new();
    let explain = |source: &str| {
        let arguments = ["explain", example.argument(), "--subject", "orders.eu.created", "--source", source, "--json"];
        command(&arguments, b"")
    };
    let done = explain("orders");
    let json: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(json["source"], "orders");
    assert_eq!(json["taken"][0]["stages"], serde_json::json!(["validate", "mask", "route"]));
    assert_eq!(json["taken"][0]["routes"][1]["subject"], "review.orders.eu");
    assert_eq!(json["refused"][1]["why"], "it takes messages of source `telemetry`");
    let wrong = explain("order");
    assert_eq!((wrong.code, wrong.stdout.as_str()), (1, ""));
    assert!(wrong.stderr.contains("there is no source \"order\"; the configuration has "), "{}", wrong.stderr);
    assert_eq!(command(&["explain", example.argument(), "--subject", "orders.*"], b"").code, 2);
}

#[test]
fn every_format_shows_every_source_rule_subject_and_stream() {
    let example = Example::new();
    let wanted: BTreeSet<&str> =
        ["clean-orders", "audit", "review.orders.{subject.2}", "dead.telemetry", "REVIEW"].into();
    for (format, begins) in [("mermaid", "flowchart LR\n"), ("dot", "digraph trackside {\n"), ("svg", "<svg ")] {
        let done = command(&["graph", example.argument(), "--format", format], b"");
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{format}");
        assert!(done.stdout.starts_with(begins), "{format}: {}", done.stdout);
        let missing: Vec<_> = wanted.iter().filter(|text| !done.stdout.contains(**text)).collect();
        assert!(missing.is_empty(), "{format} lacks {missing:?}");
    }
}

#[test]
fn a_loop_between_rules_is_told() {
    let setup = Setup::new("nats://127.0.0.1:1", "[sources.a]\nsubject = \"a.>\"\n[sources.b]\nsubject = \"b.>\"\n");
    let rule = |name: &str, to: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\nsource = \"{name}\"\nsubject = \"{name}.*\"\n\
             routes = {{ default = \"{to}.x\", out = \"c.x\" }}\n\
             on-failure = {{ dead-letter = \"dead.{name}\" }}\n"
        )
    };
    setup.write("rules/all.toml", rule("a", "b") + &rule("b", "a"));
    let done = command(&["graph", setup.argument()], b"");
    assert_eq!((done.code, done.stderr.as_str()), (0, "a message can go round for ever: a -> b -> a\n"));
    assert!(done.stdout.contains("linkStyle"), "{}", done.stdout);
}
