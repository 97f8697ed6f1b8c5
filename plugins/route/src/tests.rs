use serde_json::{Value, json};
use trackside_plugin::testing::{Configured, Host, TestMessage};
use trackside_plugin::{SetupError, Verdict};

use crate::Route;

fn configure(with: Value) -> Result<Configured<Route>, SetupError> {
    ["default", "review", "eu", "us", "canary"].into_iter().fold(Host::new(), Host::route).configure(with)
}

fn route(names: &[&str]) -> Verdict {
    Verdict::Route(names.iter().map(|&name| name.to_owned()).collect())
}

fn order() -> TestMessage {
    TestMessage::from(json!({
        "amount": 1500,
        "ratio": 0.5,
        "big": 18_446_744_073_709_551_615_u64,
        "name": "Ann",
        "none": null,
        "vip": true,
        "customer": { "id": "c1", "tags": ["a", "b"] },
        "items": [{ "sku": "X", "price": 10 }, { "sku": "Y", "price": 2.5 }],
        "odd key": { "a\"]": 1 },
    }))
    .subject("orders.eu.created")
    .header("Region", "eu")
    .header("region", "us")
    .header("Content-Type", "application/json")
}

/// What a lone condition answers about a message.
fn ask(condition: &str, message: impl Into<TestMessage>) -> Result<bool, String> {
    let mut stage = configure(json!({ "when": [{ "if": condition, "to": "review" }] })).map_err(|e| e.to_string())?;
    match stage.handle(message).verdict {
        Ok(Verdict::Forward) => Ok(false),
        Ok(Verdict::Reject(reason)) => Err(reason),
        verdict => {
            assert_eq!(verdict, Ok(route(&["review"])));
            Ok(true)
        }
    }
}

#[track_caller]
fn holds(condition: &str) {
    assert_eq!(ask(condition, order()), Ok(true), "{condition}");
}

#[track_caller]
fn fails(condition: &str) {
    assert_eq!(ask(condition, order()), Ok(false), "{condition}");
}

#[test]
fn conditions_see_subject_headers_and_body() {
    holds("subject == 'orders.eu.created'");
    holds("subject.startsWith('orders.') && subject.split('.')[1] == 'eu'");
    holds("headers.Region == 'eu'");
    holds("headers['content-TYPE'] == 'application/json'");
    holds("body.customer.id == 'c1'");
    holds("body['customer'][\"id\"] == 'c1'");
    holds("body.customer.tags[1] == 'b' && body.items[0].sku == 'X'");
    holds("body['odd key']['a\"]'] == 1");
    holds("body.vip");
    holds("body.none == null");
    fails("body.name == 'ann'");
    holds("body.name.lowerAscii() == 'ann'");
}

#[test]
fn integers_and_fractions_compare_as_numbers() {
    for condition in [
        "body.amount >= 1000.0",
        "body.amount >= 1000",
        "body.amount == 1500.0",
        "1500u == body.amount",
        "body.ratio < 1",
        "body.ratio == 0.5",
        "body.big > 9223372036854775807",
        "double(body.amount) * 1.5 == 2250.0",
        "body.amount in [1, 1500]",
        "body.items[1].price < 3",
    ] {
        holds(condition);
    }
    for (amount, expected) in [("999.99", false), ("1e3", true), ("1000", true), ("1e400", true), ("-1e400", false)] {
        let payload = format!("{{\"amount\": {amount}}}");
        assert_eq!(ask("body.amount >= 1000.0", payload.as_str()), Ok(expected), "{amount}");
    }
}

#[test]
fn what_reads_something_that_is_not_there_is_false() {
    for condition in [
        "body.missing == 1",
        "body.missing != 1",
        "!(body.missing == 1)",
        "!body.missing",
        "body.customer.missing == null",
        "body.missing.deeper == 1",
        "body.name.first == 'A'",
        "body.none.x == 1",
        "body.items[7].sku == 'X'",
        "headers.Missing != 'x'",
        "body.items.all(item, item.missing > 0)",
        "body.customer.tags[body.amount] == 'x'",
        "true && body.missing == 1",
        "body.missing == 1 || false",
    ] {
        fails(condition);
    }
    holds("body.missing == 1 || body.amount > 1000");
    holds("body.amount > 1000 || body.missing == 1");
    holds("body.?missing.orValue(7) == 7");
    holds("body.?customer.?id.orValue('none') == 'c1'");
}

#[test]
fn has_asks_whether_something_is_there() {
    holds("has(body.amount) && has(body.none) && has(body.customer.id)");
    fails("has(body.missing)");
    holds("!has(body.missing)");
    holds("!has(body.missing.deeper)");
    holds("!has(body.name.first)");
    holds("has(body.customer) && !has(body.customer.missing)");
    holds("has(headers.REGION) && !has(headers.Missing)");
    holds("'content-type' in headers");
    holds("!('missing' in headers)");
    holds("body.items.exists(item, has(item.price))");
}

#[test]
fn the_whole_of_headers_and_body_can_be_used_as_maps() {
    holds("headers.exists(name, name == 'region' && headers[name] == 'eu')");
    holds("size(headers) == 2");
    holds("size(body) == 9 && 'amount' in body");
    holds("body.exists(key, key == 'vip')");
    holds("body.items.filter(item, item.price > 3).size() == 1");
    holds("body.items.map(item, item.sku) == ['X', 'Y']");
    holds("body.items == [{'sku': 'X', 'price': 10}, {'sku': 'Y', 'price': 2.5}]");
}

#[test]
fn matches_takes_a_literal_pattern_that_is_compiled_once() {
    holds("subject.matches('^orders\\\\.(eu|us)\\\\.')");
    fails("body.name.matches('^[a-z]+$')");
    holds("matches(body.name, '(?i)^ANN$') && subject.matches('created$')");
    let refused = |condition: &str| ask(condition, order()).unwrap_err();
    assert_eq!(
        refused("subject.matches(body.name)"),
        "when[0].if: column 16: the pattern of `matches` must be a literal string",
    );
    let error = refused("subject.matches('(')");
    assert!(error.starts_with("when[0].if: column 17: `(` is not a regular expression: "), "{error}");
    assert_eq!(
        refused("body.amount.matches('1')"),
        "when[0].if cannot be decided: a function is given a value of another type than it takes",
    );
}

#[test]
fn a_condition_that_cannot_be_decided_rejects_without_showing_a_value() {
    for (condition, reason) in [
        ("body.name >= 1000", "`_>=_` does not take (string, int)"),
        ("body.name", "its answer is a string, and neither true nor false"),
        ("body.amount + 1.5 > 1.0", "`add` does not take an integer and a fraction; convert one of them"),
        ("body.amount / 0 == 1", "it divides by zero"),
        ("body.name && true", "`_&&_` does not take (string, bool)"),
        ("int(body.name) == 1", "`int` failed"),
        ("body.amount * 9223372036854775807 > 1", "`mul` overflows"),
        ("!body.name", "`!_` does not take (string)"),
        ("subject.startsWith(body.amount)", "`startsWith` does not take (string, int)"),
    ] {
        let error = ask(condition, order()).unwrap_err();
        assert_eq!(error, format!("when[0].if cannot be decided: {reason}"), "{condition}");
    }
}

#[test]
fn a_payload_is_only_read_if_a_condition_that_is_reached_looks_at_it() {
    let mut stage = configure(json!({ "when": [
        { "if": "subject == 'a'", "to": "eu" },
        { "if": "body.x == 1", "to": "us" },
    ] }))
    .unwrap();
    assert_eq!(stage.handle(TestMessage::new("no JSON").subject("a")).verdict, Ok(route(&["eu"])));
    let outcome = stage.handle(TestMessage::new("no JSON").subject("b"));
    assert!(outcome.rejection().expect("it should be rejected").starts_with("the payload is not JSON: "));
    assert_eq!(ask("headers.X == 'y'", TestMessage::new([0xff]).header("x", "y")), Ok(true));
}

#[test]
fn a_member_that_occurs_twice_rejects_only_if_it_is_asked_for() {
    let payload = r#"{"amount": 1, "am\u006funt": 5000, "x": 1, "deep": {"y": 1, "y": 2}}"#;
    assert_eq!(ask("body.x == 1", payload), Ok(true));
    assert_eq!(ask("body.amount >= 1000", payload), Err("`$[\"amount\"]` occurs more than once".to_owned()));
    assert_eq!(ask("!has(body.amount)", payload), Err("`$[\"amount\"]` occurs more than once".to_owned()));
    let error = ask("body.deep == {}", payload).unwrap_err();
    assert!(error.starts_with("the payload is ambiguous: an object has the same key twice"), "{error}");
}

#[test]
fn expressions_that_are_wrong_are_refused_with_the_column() {
    for (condition, expected) in [
        ("bdy.x == 1", "column 1: there is no variable `bdy`; write `subject`, `headers` or `body`"),
        ("true && foo(1)", "column 12: there is no function `foo`"),
        ("body.x.foo()", "column 11: there is no function `foo`"),
        ("body.items.all(body, true)", "column 15: `body` is a part of the message; take another name"),
        ("timestamp('x') == timestamp('y')", "column 10: there is no function `timestamp`"),
        ("Foo{a: 1} == 1", "column 4: there are no message types here"),
    ] {
        assert_eq!(ask(condition, order()), Err(format!("when[0].if: {expected}")), "{condition}");
    }
    assert_eq!(ask("1 +", order()), Err("when[0].if: column 4: mismatched input the end".to_owned()));
    for condition in ["", "1 +", "a b", "body.x ==", "'unclosed", "((((", "\u{0}"] {
        let error = ask(condition, order()).unwrap_err();
        assert!(error.starts_with("when[0].if: column "), "{condition}: {error}");
    }
    let deep = ask(&format!("{}1{} == 1", "(".repeat(1000), ")".repeat(1000)), order()).unwrap_err();
    assert!(deep.ends_with(": it nests too deep; make it simpler"), "{deep}");
    for deep in [format!("1{} == 1", " + 1".repeat(1000)), format!("subject{}", ".a".repeat(2000))] {
        let error = ask(&deep, order()).unwrap_err();
        assert!(error.ends_with(": it nests more than 100 operations; make it simpler"), "{error}");
    }
    let long = format!("'{}' == ''", "x".repeat(5000));
    assert_eq!(ask(&long, order()), Err("when[0].if: it is longer than 4096 bytes".to_owned()));
}

#[test]
fn the_first_condition_that_is_true_decides() {
    let mut stage = configure(json!({ "when": [
        { "if": "body.amount > 2000", "to": "eu" },
        { "if": "body.amount > 1000", "to": ["review", "us"] },
        { "if": "true", "to": "default" },
    ] }))
    .unwrap();
    assert_eq!(stage.handle(order()).verdict, Ok(route(&["review", "us"])));
    assert_eq!(stage.handle(json!({ "amount": 3000 })).verdict, Ok(route(&["eu"])));
    let outcome = stage.handle("{\"amount\": 1}");
    assert_eq!(outcome.verdict, Ok(route(&["default"])));
    assert_eq!(outcome.text(), "{\"amount\": 1}");
}

#[test]
fn a_table_leads_by_value_and_passes_on_what_it_does_not_have() {
    let with = |by: &str| json!({ "table": { "by": by, "routes": { "eu": "eu", "us": ["us", "review"], "7": "us" } } });
    let mut stage = configure(with("$.region")).unwrap();
    for (payload, expected) in [
        (json!({ "region": "eu" }), route(&["eu"])),
        (json!({ "region": "us" }), route(&["us", "review"])),
        (json!({ "region": 7 }), route(&["us"])),
        (json!({ "region": 7.0 }), Verdict::Forward),
        (json!({ "region": "fr" }), Verdict::Forward),
        (json!({ "region": null }), Verdict::Forward),
        (json!({}), Verdict::Forward),
    ] {
        assert_eq!(stage.handle(payload.clone()).verdict, Ok(expected), "{payload}");
    }
    assert_eq!(stage.handle(r#"{"region":"eu","region":"us"}"#).rejection(), Some("`$.region` occurs more than once"));
    assert!(stage.handle("{").rejection().is_some());
    let mut stage = configure(with("header:Region")).unwrap();
    assert_eq!(stage.handle(TestMessage::new("no JSON").header("REGION", "eu")).verdict, Ok(route(&["eu"])));
}

#[test]
fn a_split_keeps_to_its_shares_and_to_its_keys() {
    let split = |canary: f64, salt: &str| {
        configure(json!({ "split": { "by": "$.id", "salt": salt, "parts": [
            { "to": "canary", "percent": canary }, { "to": "default", "percent": 100.0 - canary },
        ] } }))
        .unwrap()
    };
    let canaries = |stage: &mut Configured<Route>| -> Vec<u32> {
        let is_canary = |id: &u32| stage.handle(json!({ "id": id })).verdict == Ok(route(&["canary"]));
        (0..2000).filter(is_canary).collect()
    };
    let five = canaries(&mut split(5.0, ""));
    assert!((60..140).contains(&five.len()), "{} of 2000", five.len());
    let ten = canaries(&mut split(10.0, ""));
    assert!(five.iter().all(|key| ten.contains(key)), "a growing part keeps its keys");
    let salted = canaries(&mut split(5.0, "other"));
    assert!(salted.iter().filter(|key| five.contains(key)).count() < 20, "another salt picks other keys");
    assert_eq!(split(5.0, "").handle(json!({ "id": null })).verdict, Ok(Verdict::Forward));
    assert!(split(5.0, "").handle(json!({ "id": {} })).rejection().is_some());
    assert!(canaries(&mut split(0.0, "")).is_empty());
    assert_eq!(canaries(&mut split(100.0, "")).len(), 2000);
}

#[test]
fn conditions_come_before_the_table_the_split_and_else() {
    let mut stage = configure(json!({
        "else": { "reject": "no way" },
        "split": { "by": "$.id", "parts": [{ "to": "canary", "percent": 100 }] },
        "table": { "by": "$.region", "routes": { "eu": "eu" } },
        "when": [{ "if": "body.vip", "to": { "drop": "too good" } }],
    }))
    .unwrap();
    let mut verdict = |payload: Value| stage.handle(payload).verdict.unwrap();
    assert_eq!(verdict(json!({ "vip": true, "region": "eu", "id": 1 })), Verdict::Drop("too good".to_owned()));
    assert_eq!(verdict(json!({ "vip": false, "region": "eu", "id": 1 })), route(&["eu"]));
    assert_eq!(verdict(json!({ "region": "us", "id": 1 })), route(&["canary"]));
    assert_eq!(verdict(json!({ "region": "us" })), Verdict::Reject("no way".to_owned()));
    let mut stage = configure(json!({ "else": "review" })).unwrap();
    assert_eq!(stage.handle("no JSON").verdict, Ok(route(&["review"])));
}

#[test]
fn settings_that_make_no_sense_are_refused_by_their_key() {
    let routes = "it declares default, review, eu, us, canary";
    let parts = |parts: Value| json!({ "split": { "by": "$.id", "parts": parts } });
    let target = "expected the name of a route, a list of names, { drop = \"why\" } or { reject = \"why\" }";
    for (with, expected) in [
        (json!({}), "nothing is set; write `when`, `table`, `split` or `else`".to_owned()),
        (
            json!({ "els": "x" }),
            "els: unknown field `els`, expected one of `when`, `table`, `split`, `else`".to_owned(),
        ),
        (json!({ "else": "x" }), format!("else: the rule has no route `x`; {routes}")),
        (json!({ "else": [] }), "else: the list is empty; name a route, or write { drop = \"why\" }".to_owned()),
        (json!({ "else": 7 }), format!("else: invalid type: integer `7`, {target}")),
        (
            json!({ "when": [{ "if": "true", "to": ["eu", "x"] }] }),
            format!("when[0].to: the rule has no route `x`; {routes}"),
        ),
        (json!({ "when": [{ "if": "true" }] }), "when[0]: missing field `to`".to_owned()),
        (
            json!({ "when": [{ "if": "true", "to": { "forward": "x" } }] }),
            "when[0].to.forward: unknown variant `forward`, expected `drop` or `reject`".to_owned(),
        ),
        (
            json!({ "table": { "by": "$.a", "routes": { "v": "x" } } }),
            format!("table.routes.v: the rule has no route `x`; {routes}"),
        ),
        (
            json!({ "table": { "by": "a", "routes": {} } }),
            "table.by: `a` is not a field; write `header:NAME` or a JSONPath like `$.customer.id`".to_owned(),
        ),
        (parts(json!([])), "split.parts: the parts are 0 percent in all, and must be 100".to_owned()),
        (
            parts(json!([{ "to": "eu", "percent": 99.9 }])),
            "split.parts: the parts are 99.9 percent in all, and must be 100".to_owned(),
        ),
        (
            parts(json!([{ "to": "eu", "percent": 100 }, { "to": "us", "percent": 1 }])),
            "split.parts: the parts are 101 percent in all, and must be 100".to_owned(),
        ),
        (
            parts(json!([{ "to": "eu", "percent": -1 }])),
            "split.parts[0].percent: write a number from 0 to 100".to_owned(),
        ),
        (
            parts(json!([{ "to": "eu", "percent": 0.0001 }])),
            "split.parts[0].percent: write at most three decimals".to_owned(),
        ),
        (
            parts(json!([{ "to": "x", "percent": 100 }])),
            format!("split.parts[0].to: the rule has no route `x`; {routes}"),
        ),
    ] {
        assert_eq!(configure(with).expect_err("it should be refused").to_string(), expected);
    }
    assert!(configure(parts(json!([{ "to": "eu", "percent": 0.1 }, { "to": "us", "percent": 99.9 }]))).is_ok());
}

/// Many conditions are answered without the interpreter, and have to be answered alike. As an element of a list they
/// are left to it.
#[test]
fn what_is_answered_without_the_interpreter_is_what_it_answers() {
    let operands = ["body.a", "body.b", "headers.Region", "subject", "has(body.a)", "'region' in headers"];
    let literals = ["1", "-1", "1.0", "0.5", "true", "'x'", "'1'", "null", "2u", "9007199254740993", "1e300"];
    let operators = ["==", "!=", "<", "<=", ">", ">="];
    let mut conditions: Vec<String> = operands.iter().map(|operand| (*operand).to_owned()).collect();
    for (operand, literal) in operands.iter().flat_map(|operand| literals.iter().map(move |literal| (operand, literal)))
    {
        for operator in operators {
            conditions.push(format!("{operand} {operator} {literal}"));
            conditions.push(format!("{literal} {operator} {operand}"));
        }
    }
    let parts = ["body.a", "body.a >= 1", "body.b == 'x'", "has(body.b)", "headers.Region == 'x'"];
    for (left, right) in parts.iter().flat_map(|left| parts.iter().map(move |right| (left, right))) {
        for combined in [
            format!("{left} && {right}"),
            format!("{left} || {right}"),
            format!("!({left}) && {right}"),
            format!("!({left} && {right})"),
            format!("!({left} || {right})"),
            format!("({left} && {right}) || {left}"),
            format!("({left} || {right}) && !({right})"),
        ] {
            conditions.push(combined);
        }
    }
    let values = [
        "1",
        "-1",
        "1.0",
        "0.5",
        "true",
        "false",
        "null",
        "\"x\"",
        "\"1\"",
        "[]",
        "9007199254740993",
        "1e400",
        "18446744073709551615",
    ];
    let mut payloads = vec!["{}".to_owned()];
    for value in values {
        payloads.push(format!("{{\"a\":{value}}}"));
        payloads.push(format!("{{\"a\":{value},\"b\":\"x\"}}"));
        payloads.push(format!("{{\"a\":true,\"b\":{value}}}"));
    }
    for condition in &conditions {
        let stage = |condition: &str| configure(json!({ "when": [{ "if": condition, "to": "review" }] })).unwrap();
        let (mut direct, mut by_interpreter) = (stage(condition), stage(&format!("[{condition}][0]")));
        for payload in &payloads {
            for region in [None, Some("x")] {
                let message = || {
                    let message = TestMessage::new(payload.as_str()).subject("x");
                    region.map_or_else(|| message.clone(), |region| message.clone().header("Region", region))
                };
                let (answer, expected) = (direct.handle(message()).verdict, by_interpreter.handle(message()).verdict);
                assert_eq!(answer, expected, "{condition} about {payload}, Region {region:?}");
            }
        }
    }
}
