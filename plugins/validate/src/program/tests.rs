use proptest::prelude::*;
use serde_json::{Value, json};

use super::Program;

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::validator_for(schema).unwrap()
}

/// What the program accepts, jsonschema accepts, after the document's reader did.
fn holds(schema: &Value, payload: &str) -> bool {
    let program = Program::compile(schema, None).unwrap_or_else(|| panic!("{schema} is not known"));
    let document = trackside_plugin::json::parse(payload.as_bytes());
    let matches = document.is_ok_and(|document| validator(schema).is_valid(&document));
    let accepts = program.accepts(payload.as_bytes());
    assert!(matches || !accepts, "{schema} takes {payload}");
    accepts == matches
}

const ORDER: &str = r##"{
  "type": "object", "required": ["id", "amount"],
  "properties": {
    "id": { "type": "string", "pattern": "^[A-Z]{2}-[0-9]{4,10}$" },
    "amount": { "type": "number", "exclusiveMinimum": 0 },
    "currency": { "enum": ["EUR", "USD", null, 7] },
    "lines": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/line" } },
    "note": { "anyOf": [{ "type": "string", "maxLength": 4 }, { "type": "null" }] }
  },
  "$defs": { "line": { "type": "object", "required": ["sku"], "properties": { "count": { "type": "integer", "minimum": 1 } } } }
}"##;

#[test]
fn orders_are_decided_as_jsonschema_decides_them() {
    let schema = serde_json::from_str(ORDER).unwrap();
    for payload in [
        r#"{"id":"EU-1234","amount":1.5,"currency":"EUR","lines":[{"sku":"x","count":2}],"note":"four","more":{"a":[1]}}"#,
        r#" { "amount" : 1e2 , "id" : "EU-1234" , "note" : null, "currency": 7.0 } "#,
        r#"{"id":"\u0045U-1234","amount":1,"note":"\ud83d\ude00\u00e9\n"}"#,
        r#"{"id":"EU-1234","amount":0}"#,
        r#"{"id":"EU-1234","amount":-1}"#,
        r#"{"id":"EU-123","amount":1}"#,
        r#"{"id":"EU-1234"}"#,
        r#"{"id":"EU-1234","amount":1,"currency":"GBP"}"#,
        r#"{"id":"EU-1234","amount":1,"lines":[]}"#,
        r#"{"id":"EU-1234","amount":1,"lines":[{"sku":1,"count":1.5}]}"#,
        r#"{"id":"EU-1234","amount":1,"lines":[{"sku":1,"count":2.0}]}"#,
        r#"{"id":"EU-1234","amount":1,"note":"fives"}"#,
        r#"{"id":"EU-1234","amount":"1"}"#,
        r#"[]"#,
    ] {
        assert!(holds(&schema, payload), "{payload}");
    }
}

#[test]
fn what_is_malformed_ambiguous_or_extreme_is_not_accepted() {
    let deep = "[".repeat(129) + &"]".repeat(129);
    let many = format!("{{{},\"k3\":1}}", (0..20).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(","));
    let schema = json!({ "properties": { "a": { "type": "integer" } } });
    let program = Program::compile(&schema, None).unwrap();
    for payload in [
        "",
        " ",
        "{",
        "{}x",
        "{} {}",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "[1 2]",
        "nul",
        "tru",
        "01",
        "1.",
        "-",
        "1e400",
        "\u{feff}1",
        r#""\ud800""#,
        r#""\x""#,
        r#""\u12g4""#,
        "\"\t\"",
        "\"a",
        r#"{"a":1,"a":1}"#,
        r#"{"b":1,"b":1}"#,
        r#"[{"x":{"key":1,"\u006bey":2}}]"#,
        &deep,
        &many,
        "{\"a\":1]",
        "[1}",
    ] {
        assert!(!program.accepts(payload.as_bytes()), "{payload}");
        holds(&schema, payload);
    }
    assert!(!program.accepts(b"\"\xff\""));
}

#[test]
fn references_in_a_circle_end() {
    let tree = json!({ "properties": { "left": { "$ref": "#" } }, "additionalProperties": false });
    assert!(holds(&tree, r#"{"left":{"left":{}}}"#));
    assert!(holds(&tree, r#"{"left":{"right":{}}}"#));
    let endless = json!({ "$ref": "#/$defs/a", "$defs": { "a": { "allOf": [{ "$ref": "#/$defs/a" }] } } });
    assert!(!Program::compile(&endless, None).is_some_and(|program| program.accepts(b"1")));
}

#[test]
fn keywords_that_are_not_known_leave_the_schema_to_jsonschema() {
    for schema in [
        json!({ "not": {} }),
        json!({ "properties": { "a": { "uniqueItems": true } } }),
        json!({ "patternProperties": {} }),
        json!({ "x-unknown": 1 }),
        json!({ "enum": [[]] }),
        json!({ "properties": { "a": { "$id": "x" } } }),
        json!({ "$ref": "other.json" }),
        json!({ "$schema": "http://json-schema.org/draft-04/schema#" }),
        json!({ "$schema": "http://json-schema.org/draft-07/schema#", "format": "date" }),
    ] {
        assert!(Program::compile(&schema, None).is_none(), "{schema}");
    }
    assert!(Program::compile(&json!({ "format": "date" }), Some(true)).is_none());
    assert!(Program::compile(&json!({ "format": "date" }), None).is_some());
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..4).prop_map(Value::from),
        (-6i64..7).prop_map(|half| json!(half as f64 / 2.0)),
        "[abé\"\\\\]{0,3}".prop_map(Value::from),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn schema() -> impl Strategy<Value = Value> {
    let types = prop::sample::select(vec!["null", "boolean", "integer", "number", "string", "array", "object"]);
    let keyword = prop_oneof![
        types.clone().prop_map(|name| json!({ "type": name })),
        prop::collection::btree_set(types, 1..3).prop_map(|names| json!({ "type": names })),
        prop::collection::vec(scalar(), 1..4).prop_map(|options| json!({ "enum": options })),
        scalar().prop_map(|option| json!({ "const": option })),
        (prop::sample::select(vec!["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]), -3i64..4)
            .prop_map(|(name, limit)| json!({ name: limit as f64 / 2.0 })),
        (
            prop::sample::select(vec![
                "minLength",
                "maxLength",
                "minItems",
                "maxItems",
                "minProperties",
                "maxProperties"
            ]),
            0..3
        )
            .prop_map(|(name, limit)| json!({ name: limit })),
        prop::sample::select(vec!["^[ab]+$", "^a", "^[^a]{1,2}$"]).prop_map(|pattern| json!({ "pattern": pattern })),
        prop::collection::btree_set("[abc]", 0..3).prop_map(|names| json!({ "required": names })),
        any::<bool>().prop_map(Value::from),
    ];
    let merged = |parts: Vec<Value>| {
        let maps = parts.into_iter().filter_map(|part| part.as_object().cloned());
        maps.fold(json!({}), |mut all, part| {
            all.as_object_mut().expect("an object").extend(part);
            all
        })
    };
    let flat = prop_oneof![keyword.clone(), prop::collection::vec(keyword, 0..4).prop_map(merged)];
    flat.prop_recursive(3, 24, 3, move |inner| {
        let nested = prop_oneof![
            inner.clone().prop_map(|schema| json!({ "items": schema })),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|schemas| json!({ "prefixItems": schemas })),
            prop::collection::btree_map("[abc]", inner.clone(), 0..3).prop_map(|map| json!({ "properties": map })),
            inner.clone().prop_map(|schema| json!({ "additionalProperties": schema })),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|schemas| json!({ "allOf": schemas })),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|schemas| json!({ "anyOf": schemas })),
            inner,
        ];
        prop::collection::vec(nested, 1..4).prop_map(merged)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_program_accepts_nothing_that_jsonschema_refuses(schema in schema(), document in document()) {
        // `enum` and `const` in one schema are not known.
        prop_assume!(Program::compile(&schema, None).is_some());
        holds(&schema, &document.to_string());
    }
}
