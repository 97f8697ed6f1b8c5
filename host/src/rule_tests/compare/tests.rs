//! Expectations, written as in a file, beside things that happened.

use super::*;
use crate::message::Headers;
use crate::names::{PluginName, RouteName};
use crate::rules::testing::{Ending, load_from};
use crate::rules::{FileSet, Rules};

const CONFIG: &str = r#"
[nats]
servers = ["nats://127.0.0.1:4222"]
[sources.orders]
subject = "orders.>"
"#;
const RULES: &str = r#"
[[rule]]
name = "orders"
source = "orders"
subject = "orders.*"
stage = [{ plugin = "validate", with = { schema = "order.json" } }]
routes = { default = "clean.orders", review = "clean.review" }
[[rule]]
name = "copy"
source = "orders"
subject = "orders.*"
routes = { default = "copies" }
"#;

fn rules() -> Rules {
    let set = FileSet::new("").with("trackside.toml", CONFIG).with("rules/all.toml", RULES);
    crate::rules::load_from(&set).unwrap_or_else(|report| panic!("{report}")).0
}

fn expectations(toml: &str) -> Vec<Expectation> {
    let test = format!("[[test]]\nname = \"a\"\nmessage = {{ subject = \"orders.a\" }}\nexpect = [{toml}]\n");
    let files = load_from(&FileSet::new("").with("tests/a.toml", test), &rules());
    files.unwrap_or_else(|report| panic!("{report}")).remove(0).tests.remove(0).expect
}

fn published(rule: &str, route: &str, payload: &str) -> Happened {
    let mut headers = Headers::default();
    headers.push("Region", "eu");
    headers.push("Tag", "a");
    headers.push("tag", "b");
    Happened {
        rule: Some(RuleName::new(rule).expect("a name")),
        ending: Ending::Published,
        route: Some(RouteName::new(route).expect("a name")),
        subject: Some("clean.orders".to_owned()),
        headers,
        payload: payload.as_bytes().to_vec().into(),
        ..Happened::unmatched()
    }
}

fn dead() -> Happened {
    Happened {
        rule: Some(RuleName::new("orders").expect("a name")),
        ending: Ending::DeadLettered,
        class: Some("rejected"),
        stage: Some(PluginName::new("validate").expect("a name")),
        reason: Some("the document lacks \"email\"".to_owned()),
        ..Happened::unmatched()
    }
}

/// What differs, each as `what: want | got`.
fn told(toml: &str, happened: &Happened) -> Vec<String> {
    let expected = expectations(&format!("{{ rule = \"orders\", {toml} }}"));
    let differences = differences(&expected[0], happened, &Limits::default());
    differences.into_iter().map(|d| format!("{}: {} | {}", d.what, d.want, d.got)).collect()
}

#[test]
fn what_is_as_expected_does_not_differ() {
    let got = published("orders", "default", r#"{"id":"EU-1","amount":1000.0,"lines":[{"n":1},{"n":2}],"note":null}"#);
    for toml in [
        r#"route = "default", subject = "clean.orders""#,
        r#"headers = { region = "eu", Tag = ["a", "b"] }"#,
        r#"fields = { "$.amount" = 1000, "$.id" = "EU-1", "$.lines[*].n" = [1, 2], "$.lines[0]" = { n = 1.0 } }"#,
        r#"fields = { "$..missing" = [] }, null = ["$.note"], absent = ["$.card", "$..card"], headers = { X = [] }"#,
    ] {
        assert!(told(toml, &got).is_empty(), "{toml}: {:?}", told(toml, &got));
    }
    assert!(
        told(
            r#"outcome = "dead-lettered", class = "rejected", stage = "validate", reason = { contains = "lacks" }"#,
            &dead()
        )
        .is_empty()
    );
    let plain = published("orders", "default", "{ \"lines\": [{\"n\":1.0}], \"a\": 1e3 }");
    assert!(told("json = { a = 1000, lines = [{ n = 1 }] }", &plain).is_empty());
}

#[test]
fn every_check_tells_what_differs() {
    let got = published("orders", "default", r#"{"id":"EU-1","card":1,"c\u0061rd":2,"note":null,"n":[1]}"#);
    for (toml, want) in [
        (r#"route = "review""#, "route: review | default"),
        (r#"subject = "clean.review""#, "subject: clean.review | clean.orders"),
        (r#"headers = { Tag = "a" }"#, "header Tag: a | a\nb"),
        (r#"headers = { X = "a" }"#, "header X: a | (nothing)"),
        (r#"headers = { region = [] }"#, "header region: (nothing) | eu"),
        (r#"fields = { "$.id" = "EU-2" }"#, r#"$.id: "EU-2" | "EU-1""#),
        (r#"fields = { "$.no" = 1 }"#, "$.no: 1 | (nothing)"),
        (r#"fields = { "$.card" = 2 }"#, "$.card: 2 | (a key of the path is there 2 times: [1,2])"),
        (r#"null = ["$.id"]"#, r#"$.id: null | "EU-1""#),
        (r#"absent = ["$.note"]"#, "$.note: (nothing) | null"),
        (r#"absent = ["$.n[*]"]"#, "$.n[*]: (nothing) | [1]"),
    ] {
        assert_eq!(told(toml, &got), [want], "{toml}");
    }
    let whole = told("json = {}", &got);
    assert!(whole[0].contains("(not JSON: an object has the same key twice"), "{whole:?}");
    let not_json = told(r#"fields = { "$.id" = 1 }"#, &published("orders", "default", "x"));
    assert!(not_json[0].starts_with("$.id: 1 | (") && not_json[0].contains("JSON"), "{not_json:?}");
    let other = told(r#"route = "default""#, &dead());
    assert_eq!(other, ["outcome: published | dead-lettered: the document lacks \"email\""]);
}

/// Positions of what was met, missing and different, and of what was not expected.
fn aligned(toml: &str, happened: &[Happened]) -> String {
    let expected = expectations(toml);
    let comparison = compare(&expected, happened, &Limits::default());
    let pairs = comparison.pairs.iter().map(|pair| match pair {
        Pair::Met => "met".to_owned(),
        Pair::Differs(at, _) => format!("differs({at})"),
        Pair::Missing => "missing".to_owned(),
    });
    let pairs = pairs.collect::<Vec<_>>().join(" ");
    format!("{pairs} {:?}", comparison.unexpected)
}

#[test]
fn one_too_many_and_one_too_few_leave_the_others_where_they_are() {
    let part = |payload: &str| published("orders", "default", payload);
    let expect = |text: &str| format!("{{ rule = \"orders\", text = \"{text}\" }}, ");
    let three = [part("a"), part("b"), part("c")];
    assert_eq!(aligned(&["a", "b", "c"].map(expect).concat(), &three), "met met met []");
    assert_eq!(aligned(&["a", "c"].map(expect).concat(), &three), "met met [(1, Some(1))]");
    assert_eq!(aligned(&["a", "b"].map(expect).concat(), &three), "met met [(2, None)]");
    assert_eq!(aligned(&["a", "x", "b", "c"].map(expect).concat(), &three), "met missing met met []");
    assert_eq!(aligned(&["b", "a", "c"].map(expect).concat(), &three), "differs(0) differs(1) met []");
    assert_eq!(aligned("", &three[..1]), " [(0, None)]");
}

#[test]
fn the_outcomes_of_different_rules_may_be_in_any_order() {
    let happened = [published("orders", "default", "a"), published("copy", "default", "b")];
    let expected = "{ rule = \"copy\", text = \"b\" }, { rule = \"orders\", text = \"a\" }";
    assert_eq!(aligned(expected, &happened), "met met []");
    assert_eq!(aligned("{ outcome = \"unmatched\" }", &happened), "missing [(0, None), (1, None)]");
    assert_eq!(aligned("{ outcome = \"unmatched\" }", &[Happened::unmatched()]), "met []");
}
