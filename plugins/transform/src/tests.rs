use proptest::prelude::*;
use serde_json::{Value, json};
use trackside_plugin::testing::{Configured, Host, Outcome, TestMessage};
use trackside_plugin::{Failure, Header, Verdict};

use crate::Transform;

fn configure(with: Value) -> Configured<Transform> {
    Host::new().configure(with).unwrap()
}

fn run(with: Value, message: impl Into<TestMessage>) -> Outcome {
    configure(with).handle(message)
}

#[track_caller]
fn check(operations: impl Into<Value>, payload: &str, expected: &str) {
    let outcome = run(json!({ "operations": operations.into() }), payload);
    assert_eq!(outcome.verdict, Ok(Verdict::Forward));
    assert_eq!(outcome.text(), expected);
}

#[track_caller]
fn check_rejected(with: Value, payload: &str, expected: &str) {
    let outcome = run(with, payload);
    assert_eq!(outcome.rejection(), Some(expected), "{:?}", outcome.verdict);
    assert_eq!(outcome.text(), payload);
}

#[test]
fn operations_are_done_in_order_and_the_rest_keeps_its_spelling() {
    check(
        json!([
            { "rename": "$.cust", "to": "customer" },
            { "move": "$.a.b", "to": "$.c" },
            { "copy": "$.customer.name", "to": "$.names.first" },
            { "remove": "$.internal" },
            { "set": "$.source", "value": "erp" },
            { "default": "$.currency", "value": "EUR" },
            { "cast": "$.amount", "to": "number" },
            { "trim": "$.customer.name" },
            { "upper": "$.region" },
            { "lower": "$.items[*].sku" },
            { "split": "$.tags", "by": "," },
            { "timestamp": "$.created", "from": "unix-ms" },
        ]),
        r#"{"cust":{"name":" Ann "},"a":{"b":[1.50]},"internal":1,"amount":"12.30","region":"eu","items":[{"sku":"A-1"},{"sku":"B-2"}],"tags":"x,y","created":1795342272345,"big":12345678901234567890.0,"e":"\u00e9"}"#,
        r#"{"customer":{"name":"Ann"},"a":{},"amount":12.30,"region":"EU","items":[{"sku":"a-1"},{"sku":"b-2"}],"tags":["x","y"],"created":"2026-11-22T10:11:12.345Z","big":12345678901234567890.0,"e":"\u00e9","c":[1.50],"names":{"first":" Ann "},"source":"erp","currency":"EUR"}"#,
    );
}

#[test]
fn a_template_takes_from_subject_headers_payload_and_message() {
    let operations = json!({ "operations": [
        { "set": "$.source", "value": "erp-{subject.2}" },
        { "set": "$.all", "value": "{{{subject}}} {header.Region} {json:$.n} {json:$.o} {id}" },
        { "set": "$.typed", "value": "{json:$.o}" },
        { "set": "$.at", "value": "{timestamp}" },
        { "set": "$.const", "value": { "x": [1, 0.5, null, true] } },
        { "set": "$.absent", "value": "{header.None}" },
        { "set": "$.absent", "value": "x{subject.9}" },
    ] });
    let message = TestMessage::new(r#"{"n":1.50,"o":{"a":[]}}"#)
        .subject("orders.eu.created")
        .header("region", "west")
        .id("m-1")
        .timestamp(1_795_342_272_000);
    let outcome = run(operations, message);
    assert_eq!(
        outcome.text(),
        r#"{"n":1.50,"o":{"a":[]},"source":"erp-eu","all":"{orders.eu.created} west 1.50 {\"a\":[]} m-1","typed":{"a":[]},"at":"2026-11-22T10:11:12Z","const":{"x":[1,0.5,null,true]}}"#,
    );
}

#[test]
fn texts_are_joined_from_paths_templates_or_an_array() {
    let names = json!([{ "join": ["$.first", "$.middle", "{json:$.last}"], "with": " ", "to": "$.name" }]);
    check(
        names.clone(),
        r#"{"first":"Ann","middle":null,"last":"Lee"}"#,
        r#"{"first":"Ann","middle":null,"last":"Lee","name":"Ann Lee"}"#,
    );
    check(names, r#"{"x":1}"#, r#"{"x":1}"#);
    check(json!([{ "join": "$.tags", "with": ", " }]), r#"{"tags":["a",1,"b"]}"#, r#"{"tags":"a, 1, b"}"#);
}

#[test]
fn headers_are_set_defaulted_and_removed() {
    let operations = json!({ "operations": [
        { "copy": "$.region", "to": "header:Region" },
        { "default": "header:Tenant", "value": "none" },
        { "default": "header:Source", "value": "erp" },
        { "remove": "header:X-Debug" },
    ] });
    let message = TestMessage::new(r#"{ "region": "eu" }"#).header("Tenant", "acme").header("x-debug", "1");
    let outcome = run(operations, message);
    let expected = [Header::new("Tenant", "acme"), Header::new("Region", "eu"), Header::new("Source", "erp")];
    assert_eq!(outcome.message.headers(), expected);
    assert_eq!(outcome.text(), r#"{ "region": "eu" }"#, "a payload that nothing changes stays byte for byte");
}

#[test]
fn operations_on_headers_alone_take_any_payload() {
    let outcome = run(json!({ "operations": [{ "set": "header:A", "value": "{subject}" }] }), "not json");
    assert_eq!(outcome.verdict, Ok(Verdict::Forward));
    assert_eq!(outcome.message.header("A").as_deref(), Some("test"));
}

#[test]
fn what_is_missing_is_skipped_unless_it_is_required() {
    let all = json!([
        { "rename": "$.x", "to": "y" },
        { "move": "$.x", "to": "$.y" },
        { "copy": "$.x", "to": "$.y" },
        { "remove": "$.x" },
        { "set": "$.y", "value": "{json:$.x}" },
        { "cast": "$.x", "to": "number" },
        { "trim": "$.x" },
        { "join": ["$.x"], "to": "$.y" },
        { "join": "$.x" },
        { "split": "$.x", "by": "," },
        { "timestamp": "$.x", "to": "unix-s" },
        { "remove": "header:X" },
    ]);
    check(all.clone(), r#"{ "a": 1 }"#, r#"{ "a": 1 }"#);
    for operation in all.as_array().unwrap() {
        let mut operation = operation.clone();
        operation["required"] = json!(true);
        let outcome = run(json!({ "operations": [operation] }), r#"{"a":1}"#);
        let reason = outcome.rejection().unwrap_or_else(|| panic!("{operation}"));
        assert!(
            reason.starts_with("operation 1 (") && reason.ends_with("): nothing is there, and it is required"),
            "{reason}"
        );
    }
}

#[test]
fn an_error_names_the_operation_and_not_the_value() {
    let third = |operation: Value| json!({ "operations": [{ "remove": "$.x" }, { "remove": "$.y" }, operation] });
    let payload = r#"{"a":"sesame","o":{}}"#;
    for (operation, expected) in [
        (json!({ "cast": "$.a", "to": "number" }), "operation 3 (cast $.a): the value is not a number"),
        (json!({ "cast": "$.a", "to": "boolean" }), "operation 3 (cast $.a): the value is neither true nor false"),
        (
            json!({ "cast": "$.o", "to": "string" }),
            "operation 3 (cast $.o): the value is a JSON object, not a string, number or boolean",
        ),
        (json!({ "trim": "$.o" }), "operation 3 (trim $.o): the value is a JSON object, not a string"),
        (json!({ "set": "$.a.b", "value": 1 }), "operation 3 (set $.a.b): a JSON string is in the way"),
        (
            json!({ "timestamp": "$.a", "to": "unix-s" }),
            "operation 3 (timestamp $.a): the value is not a time in the format of `from`",
        ),
        (json!({ "join": "$.a" }), "operation 3 (join $.a): the value is a JSON string, not an array"),
        (
            json!({ "set": "header:Nats-Msg-Id", "value": "1" }),
            "operation 3 (set header:Nats-Msg-Id): header `Nats-Msg-Id` has a reserved prefix",
        ),
    ] {
        check_rejected(third(operation), payload, expected);
    }
}

#[test]
fn what_is_not_json_is_rejected() {
    for with in [json!({ "operations": [{ "trim": "$.a" }] }), json!({ "jq": "." })] {
        for payload in ["", "nope", "{'a':1}", "{} {}", "NaN", "# x\n1"] {
            let outcome = run(with.clone(), payload);
            assert!(outcome.rejection().unwrap().contains("not JSON"), "{payload}");
        }
    }
}

#[test]
fn a_payload_can_be_wrapped_and_unwrapped() {
    check(json!([{ "move": "$", "to": "$.order" }]), r#"[1.0]"#, r#"{"order":[1.0]}"#);
    check(json!([{ "move": "$.order", "to": "$" }]), r#"{"order":[1.0],"x":1}"#, "[1.0]");
}

#[test]
fn null_stays_null() {
    check(
        json!([{ "upper": "$.a" }, { "cast": "$.a", "to": "string" }, { "split": "$.a", "by": "," }]),
        r#"{"a":null}"#,
        r#"{"a":null}"#,
    );
}

#[track_caller]
fn check_error(with: Value, expected: &str) {
    let error = Host::new().configure::<Transform>(with).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn an_error_of_the_settings_begins_with_its_key() {
    let check = |operation: Value, expected: &str| check_error(json!({ "operations": [operation] }), expected);
    check_error(json!({}), "give one of `operations`, `jq` and `jq-file`");
    check_error(json!({ "operations": [], "jq": "." }), "give one of `operations`, `jq` and `jq-file`");
    check_error(json!({ "operations": [] }), "operations: give one operation or more");
    check(
        json!({ "to": "$.a" }),
        "operations[0]: says not what to do: give one of rename, move, copy, remove, set, default, cast, trim, upper, lower, join, split, timestamp",
    );
    check(
        json!({ "trim": "$.a", "upper": "$.a" }),
        "operations[0]: `trim` and `upper` are two operations: give each its own table",
    );
    check(
        json!({ "trim": "$.a", "to": "$.b" }),
        "operations[0].to: does not belong to this operation, which takes `required`",
    );
    check(json!({ "rename": "$.a" }), "operations[0].to: is missing: the new name");
    check(json!({ "rename": "$.a", "to": "$.b" }), "operations[0].to: is a name, not a path; `move` takes a path");
    check(json!({ "rename": "$.a[0]", "to": "b" }), "operations[0].rename: this must end in a member's name");
    check(
        json!({ "move": "$.a[*]", "to": "$.b" }),
        "operations[0].move: this must be one place: leave out `*` and `..`",
    );
    check(json!({ "copy": "$.a", "to": "$..b" }), "operations[0].to: `..` does not say where to put something");
    check(json!({ "remove": "$" }), "operations[0].remove: the whole payload cannot be removed; `set` replaces it");
    check(json!({ "set": "$.a" }), "operations[0].value: is missing: what to put there");
    check(
        json!({ "set": "$.a", "value": "{nope}" }),
        "operations[0].value: there is no `{nope}`; there are {subject}, {subject.1}, {header.Name}, {json:$.path}, {id} and {timestamp}",
    );
    check(
        json!({ "set": "$.a", "value": "{subject.0}" }),
        "operations[0].value: there is no `{subject.0}`; there are {subject}, {subject.1}, {header.Name}, {json:$.path}, {id} and {timestamp}",
    );
    check(
        json!({ "set": "$.a", "value": "a{" }),
        "operations[0].value: a `{` has no `}`; write `{{` and `}}` for the braces themselves",
    );
    check(
        json!({ "set": "$.a", "value": "a}" }),
        "operations[0].value: a `}` has no `{`; write `{{` and `}}` for the braces themselves",
    );
    check(json!({ "set": "header:", "value": "a" }), "operations[0].set: after `header:` comes the header's name");
    check(
        json!({ "cast": "$.a", "to": "date" }),
        "operations[0].to: must be \"string\", \"number\", \"integer\" or \"boolean\"",
    );
    check(json!({ "cast": "a", "to": "number" }), "operations[0].cast: a path begins with `$`");
    check(json!({ "split": "$.a" }), "operations[0].by: is missing: the text to split by, such as \",\"");
    check(
        json!({ "join": [1], "to": "$.a" }),
        "operations[0].join: must be the path of an array, or a list of paths and templates",
    );
    check(json!({ "join": ["$.a"] }), "operations[0].to: is missing: where to put what is joined, such as \"$.name\"");
    check(
        json!({ "timestamp": "$.a", "from": "iso" }),
        "operations[0].from: must be rfc3339, unix-s, unix-ms, or a pattern such as %d/%m/%Y %H:%M",
    );
    check(
        json!({ "timestamp": "$.a", "zone": "Mars" }),
        "operations[0].zone: must be \"UTC\", an offset such as \"+02:00\", or a name such as \"Europe/Amsterdam\"",
    );
    let unknown =
        Host::new().configure::<Transform>(json!({ "operations": [{ "trimm": "$.a" }] })).map(|_| ()).unwrap_err();
    assert!(unknown.to_string().starts_with("operations[0].trimm: "), "{unknown}");
}

#[test]
fn one_output_of_jq_takes_the_payloads_place() {
    let outcome =
        run(json!({ "jq": ".total = ([.items[].price] | add)" }), r#"{"items":[{"price":1.5},{"price":2}],"n":1.50}"#);
    assert_eq!(outcome.verdict, Ok(Verdict::Forward));
    assert_eq!(outcome.text(), r#"{"items":[{"price":1.5},{"price":2}],"n":1.50,"total":3.5}"#);
}

#[test]
fn no_output_of_jq_drops_and_several_split() {
    let none = run(json!({ "jq": "empty" }), "{}");
    assert_eq!(none.verdict, Ok(Verdict::Drop("the jq program gave no output".into())));
    let message = TestMessage::new("[1,\"x\"]").header("A", "1").header("Nats-Msg-Id", "2");
    let several = run(json!({ "jq": ".[]" }), message);
    let Ok(Verdict::Split(parts)) = several.verdict else { panic!("{:?}", several.verdict) };
    assert_eq!(parts.iter().map(|part| part.payload.as_slice()).collect::<Vec<_>>(), [b"1".as_slice(), b"\"x\""]);
    assert!(parts.iter().all(|part| part.headers == [Header::new("A", "1")] && part.route.is_none()));
}

#[test]
fn jq_knows_subject_id_time_and_headers() {
    let message = TestMessage::new("null")
        .subject("a.b")
        .id("7")
        .timestamp(1_795_342_272_345)
        .header("Region", "eu")
        .header("Region", "us");
    let outcome = run(
        json!({ "jq": "[$subject, $id, $timestamp, $headers.Region, ($timestamp / 1000 | floor | todate)]" }),
        message,
    );
    assert_eq!(outcome.text(), r#"["a.b","7",1795342272345,"eu","2026-11-22T10:11:12Z"]"#);
}

#[test]
fn jq_can_come_from_a_file() {
    let host = Host::new().file("schemas/a.jq", ".a");
    let mut stage = host.configure::<Transform>(json!({ "jq-file": "schemas/a.jq" })).unwrap();
    assert_eq!(stage.handle(r#"{"a":[1]}"#).text(), "[1]");
    let missing = host.configure::<Transform>(json!({ "jq-file": "schemas/b.jq" })).map(|_| ()).unwrap_err();
    assert!(missing.to_string().starts_with("jq-file: "), "{missing}");
}

#[test]
fn a_jq_program_that_fails_rejects_without_the_value() {
    check_rejected(json!({ "jq": ".a + 1" }), r#"{"a":"sesame"}"#, "the jq program failed on this payload");
    check_rejected(json!({ "jq": "error(.a)" }), r#"{"a":"sesame"}"#, "the jq program failed on this payload");
    check_rejected(json!({ "jq": "halt" }), "1", "the jq program failed on this payload");
    check_rejected(json!({ "jq": "nan" }), "1", "the jq program gives an output that JSON cannot spell");
    check_rejected(json!({ "jq": "{(1): 2}" }), "1", "the jq program gives an output that JSON cannot spell");
    check_rejected(json!({ "jq": "repeat(1)" }), "1", "the jq program gives more than 1000 outputs");
}

#[test]
fn a_jq_program_that_is_wrong_or_sees_the_outside_is_refused() {
    check_error(json!({ "jq": ".a |\n = 1" }), "jq: line 2, column 2: expected term");
    check_error(json!({ "jq": "(1" }), "jq: line 1, column 3: expected closing parenthesis");
    check_error(json!({ "jq": "nope" }), "jq: there is no filter `nope`");
    for name in ["now", "env", "input", "localtime", "strflocaltime(\"%Y\")", "$ENV"] {
        let error = Host::new().configure::<Transform>(json!({ "jq": name })).map(|_| ()).unwrap_err().to_string();
        assert!(
            error.ends_with(": a stage sees one message and nothing else, so that it does the same on any machine"),
            "{error}"
        );
    }
    let import = Host::new().configure::<Transform>(json!({ "jq": "include \"a\"; ." })).map(|_| ()).unwrap_err();
    assert!(import.to_string().starts_with("jq: "), "{import}");
}

/// The standard library is there, and none of what was withheld is needed for it.
#[test]
fn jq_has_its_library() {
    for (program, input, expected) in [
        ("map(select(. > 1)) | sort | unique | join(\"-\")", "[3,2,1,3]", "\"2-3\""),
        ("[scan(\"[0-9]+\")] | map(tonumber)", "\"a1b22\"", "[1,22]"),
        ("gsub(\"a\"; \"b\") | ascii_upcase", "\"aXa\"", "\"BXB\""),
        ("@base64 | ., @base64d", "\"hi\"", "split"),
        ("to_entries | map(.key) ", r#"{"b":1,"a":2}"#, r#"["b","a"]"#),
        ("debug | limit(1; .[])", "[1,2]", "1"),
        ("strptime(\"%Y-%m-%d\") | mktime", "\"2026-11-22\"", "1795305600"),
        ("paths | select(length == 2)", r#"{"a":{"b":1}}"#, r#"["a","b"]"#),
        (". * 2 | sqrt", "8", "4.0"),
        ("def f: if . > 100 then . else (. * 2 | f) end; f", "1", "128"),
    ] {
        let outcome = run(json!({ "jq": program }), input);
        match expected {
            "split" => assert!(matches!(outcome.verdict, Ok(Verdict::Split(_))), "{program}"),
            _ => assert_eq!((outcome.verdict.clone(), outcome.text()), (Ok(Verdict::Forward), expected), "{program}"),
        }
    }
}

#[test]
fn a_failure_of_the_stage_is_a_rejection_and_never_a_retry() {
    let outcome = run(json!({ "operations": [{ "trim": "$.a" }] }), r#"{"a":1}"#);
    assert!(!matches!(outcome.verdict, Err(Failure::Retry { .. } | Failure::Fatal(_))));
}

/// Every example of the crate's documentation.
fn examples() -> Vec<Value> {
    let docs = include_str!("lib.rs").lines().map_while(|line| line.strip_prefix("//!"));
    let docs = docs.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let blocks = docs.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| serde_json::to_value(toml::from_str::<toml::Table>(block).expect(block)).unwrap()).collect()
}

#[test]
fn every_example_of_the_documentation_is_accepted() {
    let host = Host::new().file("schemas/orders.jq", ".");
    let examples = examples();
    assert!(examples.len() > 3);
    for example in examples {
        if let Err(error) = host.configure::<Transform>(example.clone()) {
            panic!("{error} in {example}");
        }
    }
}

#[test]
fn every_operation_is_in_the_documentation() {
    let examples: Vec<Value> =
        examples().iter().filter_map(|example| example["operations"].as_array().cloned()).flatten().collect();
    for verb in [
        "rename",
        "move",
        "copy",
        "remove",
        "set",
        "default",
        "cast",
        "trim",
        "upper",
        "lower",
        "join",
        "split",
        "timestamp",
    ] {
        assert!(examples.iter().any(|operation| operation.get(verb).is_some()), "{verb}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-d]", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_the_payload_the_outcome_is_json_or_a_rejection(
        payload in any_json(),
        at in prop::sample::select(vec!["$.a", "$.a.b", "$.a[0]", "$.c[*]", "$..b", "$..*", "$"]),
        verb in 0usize..8,
    ) {
        let operation = match verb {
            0 if at != "$" => json!({ "remove": at }),
            1 => json!({ "cast": at, "to": "string" }),
            2 => json!({ "upper": at }),
            3 => json!({ "split": at, "by": "a" }),
            4 => json!({ "default": at.replace("..", "."), "value": { "x": 1 } }),
            5 => json!({ "move": "$.a", "to": "$.d.e" }),
            6 => json!({ "rename": "$..a", "to": "b" }),
            _ => json!({ "copy": "$.b", "to": "$.a.b.c" }),
        };
        let text = payload.to_string();
        let outcome = run(json!({ "operations": [operation] }), text.as_str());
        match &outcome.verdict {
            Ok(Verdict::Forward) => drop(outcome.json()),
            Ok(Verdict::Reject(_)) => prop_assert_eq!(outcome.text(), text),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
