use serde_json::{Value, json};
use trackside_plugin::testing::Host;

use crate::Mask;

#[track_caller]
fn check(with: Value, expected: &str) {
    let error = Host::new().configure::<Mask>(with).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[track_caller]
fn check_field(field: impl Into<Value>, expected: &str) {
    check(json!({ "fields": [field.into()] }), expected);
}

#[test]
fn an_error_begins_with_the_key_and_says_what_to_write() {
    check(json!({}), "there is nothing to mask: say what in `fields` or `detect`");
    check_field(json!("$.a"), "fields[0]: must be a table, such as { path = \"$.card\", action = \"redact\" }");
    check_field(json!({ "action": "null" }), "fields[0]: give a `path` (JSONPath) or a `header` (its name)");
    check_field(json!({ "path": "$.a", "header": "A" }), "fields[0]: give either `path` or `header`, not both");
    check_field(json!({ "path": 5, "action": "null" }), "fields[0].path: must be a string");
    check_field(
        json!({ "path": "$.a", "action": "hide" }),
        "fields[0].action: must be one of redact, null, remove, keep-first, keep-last, hash, tokenise, encrypt, decrypt, round, truncate-date",
    );
    check_field(
        json!({ "path": "$.a", "action": "keep-last" }),
        "fields[0].count: is missing: how many characters to keep, such as 4",
    );
    check_field(
        json!({ "path": "$.a", "action": "keep-last", "coutn": 4 }),
        "fields[0].coutn: there is no such key here; there are: path, header, required, action, count",
    );
    check_field(
        json!({ "path": "$.a", "action": "redact", "count": 4 }),
        "fields[0].count: there is no such key here; there are: path, header, required, action, text",
    );
    check_field(
        json!({ "path": "$.a", "action": "keep-last", "count": -1 }),
        "fields[0].count: must be a whole number",
    );
    check_field(
        json!({ "path": "$.a", "action": "hash" }),
        "fields[0].key: is missing: a secret, such as \"env:MASK_KEY\"",
    );
    check_field(json!({ "path": "$.a", "action": "hash", "key": "" }), "fields[0].key: the key is empty");
    check_field(
        json!({ "path": "$.a", "action": "hash", "key": "k", "length": 4 }),
        "fields[0].length: must be 8 to 64 hexadecimal digits",
    );
    check_field(
        json!({ "path": "$.a", "action": "encrypt", "key": "short" }),
        "fields[0].key: the key must be 32 bytes, as 64 hexadecimal digits or as base64; `openssl rand -hex 32` makes one",
    );
    check_field(
        json!({ "path": "$.a", "action": "encrypt", "key": "00".repeat(32), "key-id": "a:b" }),
        "fields[0].key-id: a key id is 1 to 64 letters, digits, `.`, `_` or `-`",
    );
    check_field(
        json!({ "path": "$.a", "action": "decrypt", "keys": {} }),
        "fields[0].keys: is missing: the keys by their ids, as in { k1 = \"env:MASK_KEY\" }, or one `key`",
    );
    check_field(
        json!({ "path": "$.a", "action": "round", "to": 100, "digits": 2 }),
        "fields[0]: give either `to`, such as 100, or `digits` after the point, such as 2",
    );
    check_field(
        json!({ "path": "$.a", "action": "round", "to": 0 }),
        "fields[0].to: must be a number above 0 of at most 15 digits, such as 100, 5 or 0.05",
    );
    check_field(
        json!({ "path": "$.a", "action": "truncate-date", "to": "week" }),
        "fields[0].to: must be \"year\", \"month\", \"day\" or \"hour\"",
    );
    check_field(
        json!({ "path": "$", "action": "remove" }),
        "fields[0].action: the whole payload cannot be removed; drop the message instead",
    );
    check_field(
        json!({ "header": "nats-msg-id" }),
        "fields[0].header: headers that begin with `Nats-` or `Trackside-` cannot be changed by a stage",
    );
    check_field(
        json!({ "header": "A", "action": "null" }),
        "fields[0].action: a header cannot be null: use `redact` or `remove`",
    );
    check(json!({ "detect": [{}] }), "detect[0]: say what to look for: a `kind` or a `regex`");
    check(
        json!({ "detect": [{ "kind": "cards" }] }),
        "detect[0].kind: must be \"email\", \"card\", \"iban\", \"phone\", \"ip\", \"jwt\", \"bearer\" or \"secret\"",
    );
    check(
        json!({ "detect": [{ "kind": "card", "below": "$.a", "in": "headers" }] }),
        "detect[0].in: headers are not below a path; leave out `in` or `below`",
    );
    check(
        json!({ "detect": [{ "kind": "card", "required": true }] }),
        "detect[0].required: there is no such key here; there are: kind, regex, below, in, action, text",
    );
}

#[test]
fn an_error_of_a_path_or_regex_names_its_key() {
    let error = |with| Host::new().configure::<Mask>(with).map(|_| ()).unwrap_err().to_string();
    let path = error(json!({ "fields": [{ "path": "$.a" }, { "path": "$.b[" }] }));
    assert!(path.starts_with("fields[1].path: "), "{path}");
    let below = error(json!({ "detect": [{ "kind": "card", "below": "a" }] }));
    assert!(below.starts_with("detect[0].below: "), "{below}");
    let regex = error(json!({ "detect": [{ "regex": "(" }] }));
    assert!(regex.starts_with("detect[0].regex: "), "{regex}");
    let keys = error(json!({ "detect": [{ "kind": "card" }], "keys": "hide" }));
    assert_eq!(keys, "keys: must be \"mask\", \"reject\" or \"allow\"");
    let unknown = error(json!({ "detect": [{ "kind": "card" }], "field": [] }));
    assert!(unknown.contains("field"), "{unknown}");
}

#[test]
fn actions_that_replace_whole_values_cannot_mask_a_part_of_a_text() {
    for action in ["null", "round", "truncate-date", "encrypt", "decrypt"] {
        let key = "00".repeat(32);
        let entry = match action {
            "round" => json!({ "kind": "card", "action": action, "digits": 1 }),
            "truncate-date" => json!({ "kind": "card", "action": action, "to": "day" }),
            "encrypt" | "decrypt" => json!({ "kind": "card", "action": action, "key": key }),
            _ => json!({ "kind": "card", "action": action }),
        };
        let error = Host::new().configure::<Mask>(json!({ "detect": [entry] })).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("detect[0].action: cannot be done to a part of a text"), "{error}");
    }
}

#[test]
fn no_error_shows_a_value_that_may_be_a_secret() {
    for field in [
        json!({ "path": "$.a", "action": "hash", "key": ["hunter2"] }),
        json!({ "path": "$.a", "action": "hash", "key": "k", "length": "hunter2" }),
        json!({ "path": "$.a", "action": "hunter2" }),
        json!({ "path": "$.a", "action": "decrypt", "keys": "hunter2" }),
        json!({ "path": "$.a", "action": "decrypt", "keys": { "k1": "hunter2" } }),
        json!({ "path": "$.a", "action": "encrypt", "key": "hunter2" }),
        json!({ "path": "$.a", "action": "truncate-date", "to": "hunter2" }),
        json!({ "path": "$.a", "required": "hunter2" }),
        json!("hunter2"),
    ] {
        let error = Host::new().configure::<Mask>(json!({ "fields": [field] })).map(|_| ()).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
