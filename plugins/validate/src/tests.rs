use serde_json::{Value, json};
use trackside_plugin::testing::{Configured, Host, TestMessage};
use trackside_plugin::{SetupError, Verdict};

use crate::Validate;

const ORDER: &str = r##"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["id", "amount"],
  "properties": {
    "id": { "type": "string", "minLength": 2 },
    "amount": { "type": "number", "minimum": 0 },
    "email": { "type": "string", "format": "email" },
    "address": { "$ref": "address.json#/$defs/address" },
    "lines": { "type": "array", "items": { "$ref": "#/$defs/line" } }
  },
  "additionalProperties": false,
  "$defs": { "line": { "type": "object", "required": ["sku"] } }
}"##;

const ADDRESS: &str = r##"{
  "$defs": {
    "address": {
      "type": "object",
      "properties": { "zip": { "type": "string", "pattern": "^[0-9]{5}$" }, "country": { "$ref": "parts/country.json" } }
    }
  }
}"##;

const COUNTRY: &str = r#"{ "enum": ["DE", "FR"] }"#;

fn host() -> Host {
    Host::new()
        .file("schemas/order.json", ORDER)
        .file("schemas/address.json", ADDRESS)
        .file("schemas/parts/country.json", COUNTRY)
}

fn one(schema: &Value) -> Configured<Validate> {
    Host::new().file("s.json", schema.to_string()).configure(json!({ "schema": "s.json" })).unwrap()
}

fn error(host: &Host, with: Value) -> SetupError {
    host.configure::<Validate>(with).expect_err("it should be refused")
}

#[track_caller]
fn accepted(stage: &mut Configured<Validate>, message: impl Into<TestMessage>) {
    let message = message.into();
    let outcome = stage.handle(message.clone());
    assert_eq!(outcome.verdict, Ok(Verdict::Forward));
    assert_eq!(outcome.message.payload(), stage.handle(message).message.payload());
}

#[track_caller]
fn rejected(stage: &mut Configured<Validate>, message: impl Into<TestMessage>, reason: &str) {
    let outcome = stage.handle(message);
    assert_eq!(outcome.rejection(), Some(reason), "{:?}", outcome.verdict);
}

#[test]
fn a_payload_that_matches_is_forwarded_as_it_is() {
    let mut stage = host().configure(json!({ "schema": "schemas/order.json" })).unwrap();
    let payload = r#"{ "amount": 1.50, "id":"o1", "address": {"zip": "01234", "country":"DE"} }"#;
    accepted(&mut stage, payload);
    assert_eq!(stage.handle(payload).text(), payload);
}

#[test]
fn a_rejection_lists_every_violation_with_both_places_across_files() {
    let mut stage = host().configure(json!({ "schema": "schemas/order.json" })).unwrap();
    rejected(
        &mut stage,
        json!({ "amount": -1, "extra": 1, "address": { "zip": "x", "country": "US" }, "lines": [{ "sku": 1 }, {}, 3] }),
        "the payload does not match schemas/order.json: \
         the document lacks \"id\" (schemas/order.json#/required); \
         /amount is below the minimum 0 (schemas/order.json#/properties/amount/minimum); \
         /address/zip does not match the pattern ^[0-9]{5}$ (schemas/address.json#/$defs/address/properties/zip/pattern); \
         /address/country is none of [\"DE\",\"FR\"] (schemas/parts/country.json#/enum); \
         /lines/1 lacks \"sku\" (schemas/order.json#/$defs/line/required); \
         /lines/2 is a number, and must be object (schemas/order.json#/$defs/line/type); \
         the document has 1 key that is not allowed (schemas/order.json#/additionalProperties)",
    );
}

#[test]
fn a_reason_shows_neither_values_nor_unknown_keys() {
    const SECRET: &str = "hunter2";
    let schemas = [
        json!({ "type": "integer" }),
        json!({ "type": ["integer", "null"] }),
        json!({ "const": 1 }),
        json!({ "enum": [1, 2] }),
        json!({ "not": {} }),
        json!(false),
        json!({ "maxLength": 1, "pattern": "^x$", "format": "ipv4", "$schema": "http://json-schema.org/draft-07/schema#" }),
        json!({ "minLength": 99 }),
        json!({ "anyOf": [{ "type": "null" }, { "const": 1 }] }),
        json!({ "oneOf": [{ "type": "null" }, { "const": 1 }] }),
        json!({ "oneOf": [{}, {}] }),
        json!({ "if": { "type": "string" }, "then": { "maxLength": 2 } }),
        json!({ "contentEncoding": "base64", "contentMediaType": "application/json", "$schema": "http://json-schema.org/draft-07/schema#", "type": "null" }),
    ];
    let around = [
        json!({ "additionalProperties": false }),
        json!({ "unevaluatedProperties": false }),
        json!({ "propertyNames": { "maxLength": 2 } }),
        json!({ "patternProperties": { "^h": { "type": "null" } } }),
        json!({ "maxProperties": 0 }),
        json!({ "additionalProperties": { "additionalProperties": { "type": "null" } } }),
    ];
    for schema in schemas {
        let mut around = json!({ "items": schema, "uniqueItems": true, "contains": false });
        if let Some(draft) = schema.get("$schema") {
            around["$schema"] = draft.clone();
        }
        let mut stage = one(&around);
        let reason = stage.handle(json!([SECRET, SECRET])).rejection().expect("it should be rejected").to_owned();
        assert!(!reason.contains(SECRET), "{reason}");
        assert!(reason.contains("/0 "), "{reason}");
    }
    for schema in around {
        let payload = json!({ SECRET: { SECRET: 1 } });
        let reason = one(&schema).handle(payload).rejection().expect("it should be rejected").to_owned();
        assert!(!reason.contains(SECRET), "{reason}");
    }
}

#[test]
fn a_key_that_no_schema_mentions_shows_as_a_star() {
    let mut stage =
        one(&json!({ "properties": { "a/b": { "additionalProperties": { "items": { "type": "null" } } } } }));
    rejected(
        &mut stage,
        json!({ "a/b": { "eve@example.org": [null, 1] } }),
        "the payload does not match s.json: /a~1b/*/1 is a number, and must be null \
         (s.json#/properties/a~1b/additionalProperties/items/type)",
    );
}

#[test]
fn alternatives_list_why_each_of_them_failed() {
    let mut stage = one(&json!({ "oneOf": [{ "required": ["card"] }, { "required": ["iban"] }] }));
    rejected(
        &mut stage,
        json!({}),
        "the payload does not match s.json: the document matches none of 2 alternatives, and must match one (s.json#/oneOf); \
         the document lacks \"card\" (s.json#/oneOf/0/required); the document lacks \"iban\" (s.json#/oneOf/1/required)",
    );
}

#[test]
fn a_long_list_of_violations_is_cut_and_counted() {
    let mut stage = one(&json!({ "items": { "type": "string" } }));
    let reason = |count: usize, stage: &mut Configured<Validate>| {
        stage.handle(Value::from(vec![0; count])).rejection().expect("it should be rejected").to_owned()
    };
    assert!(reason(40, &mut stage).ends_with("; and 8 more"));
    assert!(reason(5000, &mut stage).ends_with("; and at least 968 more"));
    let long = "x".repeat(1000);
    let mut stage = one(&json!({ "items": { "const": long } }));
    let reason = reason(40, &mut stage);
    assert!(reason.len() < 4200 && reason.contains("x… (s.json#/items/const)"), "{reason}");
}

#[test]
fn a_reason_has_no_control_characters() {
    let mut stage = one(&json!({ "properties": { "a\nb": { "const": "c\r\nd" } } }));
    let outcome = stage.handle(json!({ "a\nb": 1 }));
    assert!(!outcome.rejection().expect("it should be rejected").contains(char::is_control));
}

#[test]
fn payloads_that_are_read_differently_by_others_are_rejected() {
    let mut stage = one(&json!(true));
    for (payload, reason) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{\"a\":1} x", "trailing characters at line 1 column 9"),
        ("{\"n\":1e400}", "number out of range at line 1 column 10"),
        (r#"{"s":"\ud800"}"#, "unexpected end of hex escape at line 1 column 13"),
    ] {
        rejected(&mut stage, payload, &format!("the payload is not JSON: {reason}"));
    }
    let twice = "the payload is ambiguous: an object has the same key twice at line 1 column 14";
    rejected(&mut stage, r#"{"a":-1,"a":1}"#, twice);
    let deep = "[".repeat(129) + &"]".repeat(129);
    rejected(&mut stage, deep.as_str(), "the payload is not JSON: recursion limit exceeded at line 1 column 128");
    accepted(&mut stage, r#"{"n":123456789012345678901234567890,"m":1e308}"#);
}

#[test]
fn the_draft_is_the_one_that_the_schema_names() {
    // An array of schemas under `items` is a tuple up to draft 2019-09; 2020-12 calls it `prefixItems`.
    let tuple = |draft: &str| json!({ "$schema": draft, "items": [{ "type": "string" }] });
    let mut stage = one(&tuple("http://json-schema.org/draft-07/schema#"));
    accepted(&mut stage, json!(["a", 1]));
    let host = Host::new().file("s.json", tuple("https://json-schema.org/draft/2020-12/schema").to_string());
    let refused = error(&host, json!({ "schema": "s.json" }));
    assert!(refused.to_string().starts_with("schema: s.json is not a valid schema: at s.json#/items: "), "{refused}");
    let mut stage = one(&json!({ "prefixItems": [{ "type": "string" }], "items": false }));
    accepted(&mut stage, json!(["a"]));
    rejected(&mut stage, json!(["a", 1]), "the payload does not match s.json: /1 is not allowed (s.json#/items)");
}

#[test]
fn formats_are_checked_as_the_draft_says_unless_the_settings_do() {
    let schema = |draft: &str| json!({ "$schema": draft, "format": "date" }).to_string();
    let host = Host::new()
        .file("7.json", schema("http://json-schema.org/draft-07/schema#"))
        .file("new.json", schema("https://json-schema.org/draft/2020-12/schema"));
    for (file, check, expected) in [
        ("7.json", None, false),
        ("7.json", Some(false), true),
        ("new.json", None, true),
        ("new.json", Some(true), false),
    ] {
        let with = match check {
            None => json!({ "schema": file }),
            Some(check) => json!({ "schema": file, "check-formats": check }),
        };
        let forwarded = host.configure::<Validate>(with).unwrap().handle(json!("2026-02-30")).rejection().is_none();
        assert_eq!(forwarded, expected, "{file} {check:?}");
    }
}

#[test]
fn references_are_relative_to_the_file_or_to_its_id() {
    let schema = |id: &str| json!({ "$id": id, "$ref": "parts/country.json" }).to_string();
    for id in ["https://example.com/v1/order.json", "order.json", "https://example.com/v1/order.json#"] {
        let host = Host::new().file("schemas/order.json", schema(id)).file("schemas/parts/country.json", COUNTRY);
        let mut stage = host.configure(json!({ "schema": "schemas/order.json" })).unwrap();
        accepted(&mut stage, json!("DE"));
        assert!(stage.handle(json!("US")).rejection().is_some());
    }
    let host = Host::new().file("my schemas/ö.json", r#"{ "$ref": "%C3%A4%20b.json" }"#);
    let mut stage =
        host.file("my schemas/ä b.json", COUNTRY).configure(json!({ "schema": "my schemas/ö.json" })).unwrap();
    accepted(&mut stage, json!("DE"));
}

#[test]
fn references_between_files_may_go_in_circles() {
    let host = Host::new()
        .file("tree.json", r#"{ "properties": { "left": { "$ref": "node.json" } } }"#)
        .file("node.json", r#"{ "type": "object", "properties": { "tree": { "$ref": "tree.json" } } }"#);
    let mut stage = host.configure(json!({ "schema": "tree.json" })).unwrap();
    accepted(&mut stage, json!({ "left": { "tree": { "left": {} } } }));
    rejected(
        &mut stage,
        json!({ "left": { "tree": { "left": 1 } } }),
        "the payload does not match tree.json: /left/tree/left is a number, and must be object (node.json#/type)",
    );
}

#[test]
fn a_reference_into_the_network_needs_a_document_with_that_id() {
    let host = Host::new()
        .file("s.json", r#"{ "$ref": "https://example.com/country.json" }"#)
        .file("c.json", r#"{ "$id": "https://example.com/country.json", "enum": ["DE"] }"#);
    assert_eq!(
        error(&host, json!({ "schema": "s.json" })).to_string(),
        "schema: s.json refers to `https://example.com/country.json`: there is no network here; \
         add the file that has this `$id` to `documents`",
    );
    let mut stage = host.configure(json!({ "schema": "s.json", "documents": ["c.json"] })).unwrap();
    accepted(&mut stage, json!("DE"));
    rejected(
        &mut stage,
        json!("US"),
        "the payload does not match s.json: the document is none of [\"DE\"] (https://example.com/country.json#/enum)",
    );
}

#[test]
fn a_schema_that_cannot_be_compiled_is_refused_with_the_file_and_the_place() {
    let refused = |content: &str| {
        let host = Host::new().file("s.json", content);
        error(&host, json!({ "schema": "s.json" })).to_string()
    };
    assert_eq!(refused("{"), "schema: s.json is not JSON: EOF while parsing an object at line 1 column 1");
    assert_eq!(
        refused(r#"{ "type": "a", "type": "b" }"#),
        "schema: in s.json, an object has the same key twice at line 1 column 28",
    );
    assert_eq!(
        refused(r#"{ "$ref": "other.json#/a" }"#),
        "schema: s.json refers to `other.json`: there is no file `other.json` in the configuration directory",
    );
    assert_eq!(
        refused(r##"{ "$ref": "#/$defs/none" }"##),
        "schema: s.json has a reference that leads nowhere: Pointer '/$defs/none' does not exist",
    );
    for (content, place) in [
        (r#"{ "properties": { "a": { "type": "strin" } } }"#, "s.json#/properties/a/type: "),
        (r#"{ "properties": { "a": { "pattern": "(" } } }"#, "s.json#/properties/a/pattern: "),
        ("[]", "s.json#: "),
    ] {
        let refused = refused(content);
        assert!(refused.starts_with(&format!("schema: s.json is not a valid schema: at {place}")), "{refused}");
    }
}

fn by(by: &str, otherwise: Option<&str>) -> Result<Configured<Validate>, SetupError> {
    let mut with = json!({ "schemas": { "number": "n.json", "text": "t.json" }, "by": by });
    if let Some(otherwise) = otherwise {
        with["otherwise"] = json!(otherwise);
    }
    Host::new()
        .file("n.json", r#"{ "properties": { "v": { "type": "number" } } }"#)
        .file("t.json", r#"{ "properties": { "v": { "type": "string" } } }"#)
        .configure(with)
}

#[test]
fn a_header_or_a_member_chooses_among_several_schemas() {
    let mut stage = by("header:Type", None).unwrap();
    accepted(&mut stage, TestMessage::from(json!({ "v": 1 })).header("type", "number"));
    accepted(&mut stage, TestMessage::from(json!({ "v": "1" })).header("type", "text"));
    rejected(
        &mut stage,
        TestMessage::from(json!({ "v": "1" })).header("Type", "number"),
        "the payload does not match n.json: /v is a string, and must be number (n.json#/properties/v/type)",
    );
    let mut stage = by("$.type", None).unwrap();
    accepted(&mut stage, json!({ "type": "text", "v": "1" }));
    rejected(
        &mut stage,
        json!({ "type": "text", "v": 1 }),
        "the payload does not match t.json: /v is a number, and must be string (t.json#/properties/v/type)",
    );
    rejected(&mut stage, r#"{ "type": "text", "type": "number", "v": 1 }"#, "`$.type` occurs more than once");
    assert!(stage.handle("{").rejection().is_some());
}

#[test]
fn a_message_that_names_no_schema_takes_the_other_way() {
    for otherwise in [None, Some("reject")] {
        let mut stage = by("$.type", otherwise).unwrap();
        rejected(&mut stage, json!({ "v": 1 }), "`$.type` is missing: it must be one of number, text");
        rejected(
            &mut stage,
            json!({ "type": "x" }),
            "`$.type` names none of the schemas: it must be one of number, text",
        );
    }
    accepted(&mut by("$.type", Some("forward")).unwrap(), json!({ "type": "x", "v": [] }));
    accepted(&mut by("header:Type", Some("forward")).unwrap(), "not JSON");
    let mut stage = by("$.type", Some("number")).unwrap();
    accepted(&mut stage, json!({ "v": 1 }));
    assert!(stage.handle(json!({ "v": "1" })).rejection().is_some());
}

#[test]
fn settings_that_make_no_sense_are_refused_by_their_key() {
    let host = host();
    for (with, expected) in [
        (json!({}), "`schema` is missing; write the path of a schema file"),
        (json!({ "schema": "a", "schemas": {} }), "give either `schema` or `schemas`, not both"),
        (json!({ "schema": 7 }), "schema: invalid type: integer `7`, expected a string"),
        (json!({ "schema": "a", "by": "$.a" }), "by: it chooses among `schemas`, and there is only one"),
        (json!({ "schema": "a", "otherwise": "reject" }), "otherwise: it goes with `schemas`, and there is only one"),
        (json!({ "schemas": {}, "by": "$.a" }), "schemas: it is empty; name at least one schema file"),
        (json!({ "schemas": {} }), "`by` is missing; write `header:NAME` or a JSONPath that names one of the schemas"),
        (
            json!({ "schemas": { "x": "none.json" }, "by": "$.a" }),
            "schemas.x: there is no file `none.json` in the configuration directory",
        ),
        (
            json!({ "schemas": { "reject": "schemas/order.json" }, "by": "$.a" }),
            "schemas.reject: this name means something else to `otherwise`; take another",
        ),
        (
            json!({ "schemas": { "x": "schemas/order.json" }, "by": "$.a", "otherwise": "y" }),
            "otherwise: there is no schema `y`; write `reject`, `forward` or one of x",
        ),
        (
            json!({ "schema": "a", "formats": true }),
            "formats: unknown field `formats`, expected one of `schema`, `schemas`, `by`, `otherwise`, `documents`, \
             `check-formats`",
        ),
        (
            json!({ "schema": "a", "documents": ["none.json"] }),
            "documents[0]: there is no file `none.json` in the configuration directory",
        ),
    ] {
        assert_eq!(error(&host, with).to_string(), expected);
    }
    assert_eq!(error(&host, json!({ "schemas": { "x": "schemas/order.json" }, "by": "type" })).key(), "by");
}
