use proptest::prelude::*;
use serde_json::{Value, json};
use trackside_plugin::testing::{Configured, Host, Outcome, TestMessage};
use trackside_plugin::{Header, Verdict};

use crate::Mask;

fn configure(with: Value) -> Configured<Mask> {
    Host::new().configure(with).unwrap()
}

fn fields(fields: impl Into<Value>) -> Configured<Mask> {
    configure(json!({ "fields": fields.into() }))
}

fn handle(mask: &mut Configured<Mask>, payload: &str) -> Outcome {
    mask.handle(payload)
}

#[track_caller]
fn check(with: Value, payload: &str, expected: &str) {
    let outcome = handle(&mut configure(with), payload);
    assert_eq!(outcome.verdict, Ok(Verdict::Forward));
    assert_eq!(outcome.text(), expected);
}

#[track_caller]
fn check_rejected(with: Value, payload: &str, expected: &str) {
    let outcome = handle(&mut configure(with), payload);
    let reason = outcome.rejection().unwrap_or_else(|| panic!("{:?}", outcome.verdict));
    assert!(reason.contains(expected), "{reason}");
    assert_eq!(outcome.text(), payload, "a rejected message keeps its payload");
}

#[test]
fn fields_are_masked_and_every_other_byte_stays() {
    check(
        json!({ "fields": [
            { "path": "$.customer.email", "action": "hash", "key": "k", "length": 16 },
            { "path": "$.payment.card", "action": "keep-last", "count": 4 },
            { "path": "$.items[*].serial", "action": "null" },
            { "path": "$.internal", "action": "remove" },
            { "path": "$..ssn" },
        ] }),
        r#"{ "customer" : {"email":"a@b.cc", "n":1.50}, "payment":{"card":4111111111111111},"items":[{"serial":"x"},{"serial":true}], "internal":{}, "ssn":[1] }"#,
        r#"{ "customer" : {"email":"e3bd37338c89514d", "n":1.50}, "payment":{"card":"************1111"},"items":[{"serial":null},{"serial":null}], "ssn":"***" }"#,
    );
}

#[test]
fn escaped_and_repeated_keys_are_masked_as_well() {
    check(
        json!({ "fields": [{ "path": "$.card", "text": "#" }] }),
        r#"{"c\u0061rd":1,"card":2,"card":{"card":3}}"#,
        r##"{"c\u0061rd":"#","card":"#","card":"#"}"##,
    );
}

#[test]
fn where_fields_nest_the_outer_one_masks_and_at_one_place_the_first_listed() {
    let outer = json!({ "path": "$.a", "text": "outer" });
    let inner = json!({ "path": "$.a.b", "text": "inner" });
    check(json!({ "fields": [inner, outer] }), r#"{"a":{"b":1}}"#, r#"{"a":"outer"}"#);
    let first = json!({ "path": "$['a']", "text": "first" });
    check(json!({ "fields": [first, outer] }), r#"{"a":1}"#, r#"{"a":"first"}"#);
    check(json!({ "fields": [outer, first] }), r#"{"a":1}"#, r#"{"a":"outer"}"#);
}

#[test]
fn the_whole_payload_can_be_masked() {
    check(json!({ "fields": [{ "path": "$" }] }), r#" {"a":1} "#, r#" "***" "#);
}

#[test]
fn a_path_that_matches_nothing_is_fine_unless_it_is_required() {
    check(json!({ "fields": [{ "path": "$.a" }] }), r#"{"b": 1}"#, r#"{"b": 1}"#);
    let required = json!({ "fields": [{ "path": "$.b", "text": "#" }, { "path": "$.a", "required": true }] });
    check_rejected(required.clone(), r#"{"b": 1}"#, "fields[1] ($.a): nothing is there, and it is required");
    check(required, r#"{"b":1,"a":2}"#, r##"{"b":"#","a":"***"}"##);
}

#[test]
fn what_cannot_be_read_is_rejected_without_being_shown() {
    let all = json!({ "fields": [{ "path": "$.a", "action": "round", "to": 10 }] });
    check_rejected(all.clone(), r#"{"a":"sesame"}"#, "fields[0] ($.a): the value is not a number that can be rounded");
    check_rejected(all.clone(), r#"{"a":[1]}"#, "is a JSON array, not a number");
    let date = json!({ "fields": [{ "path": "$.a", "action": "truncate-date", "to": "month" }] });
    check_rejected(date, r#"{"a":"sesame"}"#, "is not an RFC 3339 date");
    let decrypt = json!({ "fields": [{ "path": "$.a", "action": "decrypt", "key": "00".repeat(32) }] });
    check_rejected(decrypt, r#"{"a":"sesame"}"#, "is not a string that `encrypt` made");
    for payload in ["", "not json", r#"{"a":1"#, "{'a':1}", "\u{feff}{}", "{} {}"] {
        check_rejected(all.clone(), payload, "not JSON");
        check_rejected(json!({ "detect": [{ "kind": "card" }] }), payload, "not JSON");
    }
    let reason = handle(&mut configure(all), r#"{"a":"sesame"}"#).rejection().unwrap().to_owned();
    assert!(!reason.contains("sesame"), "{reason}");
}

#[test]
fn what_was_encrypted_comes_back_byte_for_byte() {
    let key = "8f".repeat(32);
    let payload = r#"{ "a" : {"x": [1.0, null]}, "b":-0.10, "c":"é\"", "d":null, "e":false }"#;
    let paths = ["$.a", "$.b", "$.c", "$.d", "$.e", "$.absent"];
    let all = |action: &str, key: Value| {
        let field = |path: &&str| {
            let mut field = key.clone();
            field["path"] = json!(path);
            field["action"] = json!(action);
            field
        };
        json!({ "fields": paths.iter().map(field).collect::<Vec<_>>() })
    };
    let mut encrypt = configure(all("encrypt", json!({ "key": key, "key-id": "2026" })));
    let mut decrypt = configure(all("decrypt", json!({ "keys": { "2025": "00".repeat(32), "2026": key } })));
    let sealed = handle(&mut encrypt, payload);
    assert_eq!(
        sealed.json().as_object().unwrap().values().filter(|v| v.as_str().unwrap().starts_with("enc:v1:2026:")).count(),
        5
    );
    assert_eq!(handle(&mut encrypt, payload).text(), sealed.text(), "the same each time");
    let opened = handle(&mut decrypt, sealed.text());
    assert_eq!(opened.verdict, Ok(Verdict::Forward));
    assert_eq!(opened.text(), payload);
    let moved = sealed.text().replace("\"a\"", "\"z\"").replace("\"b\"", "\"a\"");
    assert!(handle(&mut decrypt, &moved).rejection().unwrap().contains("another path"));
}

#[test]
fn fields_after_a_decrypt_mask_what_it_brought_to_light() {
    let key = "8f".repeat(32);
    let mut encrypt = fields(json!([{ "path": "$.a", "action": "encrypt", "key": key }]));
    let sealed = handle(&mut encrypt, r#"{"a":{"ssn":1,"b":2},"ssn":3}"#);
    let mut both =
        fields(json!([{ "path": "$.a", "action": "decrypt", "key": key }, { "path": "$..ssn", "text": "#" }]));
    assert_eq!(handle(&mut both, sealed.text()).text(), r##"{"a":{"ssn":"#","b":2},"ssn":"#"}"##);
}

#[test]
fn headers_are_masked_value_by_value() {
    let mut mask = configure(json!({ "fields": [
        { "header": "X-Email", "action": "keep-first", "count": 1 },
        { "header": "X-Gone", "action": "remove" },
        { "header": "X-Absent" },
    ] }));
    let message = TestMessage::new("not json")
        .header("x-email", "ann")
        .header("Other", "1")
        .header("X-EMAIL", "bob")
        .header("X-Gone", "1");
    let outcome = mask.handle(message);
    assert_eq!(outcome.verdict, Ok(Verdict::Forward), "a payload that nothing is asked of may be anything");
    let expected = [Header::new("Other", "1"), Header::new("x-email", "a**"), Header::new("X-EMAIL", "b**")];
    assert_eq!(outcome.message.headers(), expected);
}

#[test]
fn a_required_header_that_is_missing_rejects() {
    let mut mask = configure(json!({ "fields": [{ "header": "X-Email", "required": true }] }));
    let outcome = mask.handle("1");
    assert_eq!(outcome.rejection(), Some("fields[0] (header X-Email): there is none, and it is required"));
}

#[test]
fn detection_covers_strings_numbers_keys_and_headers() {
    let mut mask = configure(json!({ "detect": [
        { "kind": "card", "action": "keep-last", "count": 4 },
        { "kind": "email", "text": "<email>" },
        { "regex": "CUST-[0-9]+", "action": "hash", "key": "k", "length": 8, "prefix": "c_" },
    ] }));
    let message = TestMessage::new(
        r#"{ "note":"Pay 4111-1111-1111-1111 of a@b.cc or c@d.ee", "n":[4111111111111111, 12, null, true], "a@b.cc" : "CUST-1 CUST-1" }"#,
    );
    let outcome =
        mask.handle(message.header("X-Note", "a@b.cc").header("Nats-Msg-Id", "a@b.cc").header("traceparent", "a@b.cc"));
    assert_eq!(outcome.verdict, Ok(Verdict::Forward));
    assert_eq!(
        outcome.text(),
        r#"{ "note":"Pay ***************1111 of <email> or <email>", "n":["************1111", 12, null, true], "<email>" : "c_fd8a3f3c c_fd8a3f3c" }"#,
    );
    assert_eq!(outcome.message.header("X-Note").as_deref(), Some("<email>"));
    assert_eq!(outcome.message.header("Nats-Msg-Id").as_deref(), Some("a@b.cc"), "a stage cannot change it");
    assert_eq!(outcome.message.header("traceparent").as_deref(), Some("a@b.cc"));
}

#[test]
fn detection_can_be_kept_to_the_body_the_headers_or_below_a_path() {
    let run = |entry: Value| {
        let outcome = configure(json!({ "detect": [entry] }))
            .handle(TestMessage::new(r#"{"a":"x a@b.cc","b":{"c":["a@b.cc",1]}}"#).header("H", "a@b.cc"));
        (outcome.text().to_owned(), outcome.message.header("H").unwrap())
    };
    let (all, header) = run(json!({ "kind": "email", "text": "#" }));
    assert_eq!((all.as_str(), header.as_str()), (r##"{"a":"x #","b":{"c":["#",1]}}"##, "#"));
    let (body, header) = run(json!({ "kind": "email", "text": "#", "in": "body" }));
    assert_eq!((body.as_str(), header.as_str()), (r##"{"a":"x #","b":{"c":["#",1]}}"##, "a@b.cc"));
    let (none, header) = run(json!({ "kind": "email", "text": "#", "in": "headers" }));
    assert_eq!((none.as_str(), header.as_str()), (r#"{"a":"x a@b.cc","b":{"c":["a@b.cc",1]}}"#, "#"));
    let (below, header) = run(json!({ "kind": "email", "text": "#", "below": "$.b" }));
    assert_eq!((below.as_str(), header.as_str()), (r##"{"a":"x a@b.cc","b":{"c":["#",1]}}"##, "a@b.cc"));
    let (text, _) = run(json!({ "kind": "email", "text": "#", "below": "$.a" }));
    assert_eq!(text, r##"{"a":"x #","b":{"c":["a@b.cc",1]}}"##);
}

#[test]
fn keys_that_hold_a_find_can_be_refused() {
    let with = json!({ "detect": [{ "kind": "email" }], "keys": "reject" });
    check_rejected(with, r#"{"a@b.cc":1}"#, "detect below $: an object's key holds what `detect` looks for");
    let alike = json!({ "detect": [{ "kind": "email" }] });
    check_rejected(alike, r#"{"a@b.cc":1,"c@d.ee":2}"#, "two keys of one object would be masked alike");
}

#[test]
fn detection_leaves_what_the_fields_made_and_finds_what_they_left() {
    // A pseudonym has the shape of what it stands for, and one card number in ten or so is one again.
    let mut mask = configure(json!({
        "fields": [{ "path": "$.card", "action": "tokenise", "key": "k", "prefix": "" }],
        "detect": [{ "kind": "card", "text": "#" }],
    }));
    for last in 0..100u64 {
        let card = (4_111_111_111_111_100 + last).to_string();
        let outcome = handle(&mut mask, &format!(r#"{{"card":"{card}","note":"4111111111111111"}}"#));
        let json = outcome.json();
        assert_eq!(json["note"], "#");
        assert_eq!(json["card"].as_str().map(str::len), Some(16), "{json}");
    }
}

#[test]
fn deep_huge_and_odd_payloads_fail_closed_or_come_through_masked() {
    let with = json!({ "fields": [{ "path": "$..a" }], "detect": [{ "kind": "card" }] });
    check_rejected(with.clone(), &("[".repeat(5000) + &"]".repeat(5000)), "limit");
    check_rejected(with.clone(), r#"{"b":"\ud800"}"#, "not JSON");
    check(with.clone(), r#"{"b":"\ud83d\ude00 4111111111111111"}"#, r#"{"b":"\ud83d\ude00 ***"}"#);
    let long = format!(r#"{{"b":"{} 4111111111111111 {}"}}"#, "1 ".repeat(200_000), "a@".repeat(100_000));
    let masked = handle(&mut configure(with), &long);
    assert!(!masked.text().contains("4111111111111111"));
}

/// Every example of the crate's documentation, with references to secrets resolved as the host does.
fn examples() -> Vec<Value> {
    let docs = include_str!("lib.rs").lines().map_while(|line| line.strip_prefix("//!"));
    let docs = docs.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let blocks = docs.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let resolve = |block: &str| {
        let mut pieces = block.split("env:");
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (_name, rest) = piece.split_once('"').unwrap();
            text.push_str(&format!("{}\"{rest}", "0f".repeat(32)));
        }
        text
    };
    let texts = blocks.map(resolve);
    texts.map(|text| serde_json::to_value(toml::from_str::<toml::Table>(&text).expect(&text)).unwrap()).collect()
}

#[test]
fn every_example_of_the_documentation_is_accepted() {
    let examples = examples();
    assert_eq!(examples.len(), 3);
    for example in examples {
        if let Err(error) = Host::new().configure::<Mask>(example.clone()) {
            panic!("{error} in {example}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_at_a_masked_path_is_gone_and_the_rest_stays(
        secret in "[ -~é漢\"\\\\]{6,20}",
        other in "\\PC{0,20}",
        shape in 0..4,
        action in 0usize..7,
    ) {
        let value = match shape {
            0 => json!(secret),
            1 => json!([secret]),
            2 => json!({ secret.clone(): secret }),
            _ => json!([[{ "x": [secret.clone()] }]]),
        };
        let action = [
            json!({ "action": "redact" }),
            json!({ "action": "null" }),
            json!({ "action": "remove" }),
            json!({ "action": "keep-last", "count": 2 }),
            json!({ "action": "hash", "key": "k" }),
            json!({ "action": "tokenise", "key": "k" }),
            json!({ "action": "encrypt", "key": "00".repeat(32) }),
        ][action].clone();
        let mut field = action;
        field["path"] = json!("$.secret");
        let payload = json!({ "before": other, "secret": value, "after": [other, 1.5] }).to_string();
        let outcome = handle(&mut fields(json!([field])), &payload);
        prop_assert_eq!(&outcome.verdict, &Ok(Verdict::Forward));
        let mut json = outcome.json();
        let masked = json.as_object_mut().unwrap().remove("secret");
        prop_assert_eq!(json, json!({ "before": other, "after": [other, 1.5] }));
        let spelt = json!(secret).to_string();
        let tail = |value: &str| value.contains(&secret) || value.contains(&spelt[1..spelt.len() - 1]);
        prop_assert!(!masked.is_some_and(|value| tail(&value.to_string())));
    }
}
