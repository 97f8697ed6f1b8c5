//! A stage in the native harness, as a plugin's own tests use it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use trackside_plugin::log::Level;
use trackside_plugin::testing::{Host, TestMessage};
use trackside_plugin::{
    Failure, Field, Header, Message, Origin, Part, Selector, Setup, SetupError, Stage, Value, Verdict, log,
};

/// Does what its settings say.
#[derive(Debug)]
struct Puppet(Settings);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    #[serde(default)]
    steps: Vec<Step>,
    route: Option<String>,
    file: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Step {
    Header(String, String),
    Append(String, String),
    Remove(String),
    Redact(String),
    Delete(String),
    Json(String),
    Drop(String),
    Retry(u64),
    Fatal(String),
    Split(Vec<String>),
    Route(String),
    Show,
}

impl Stage for Puppet {
    type Settings = Settings;

    fn configure(settings: Settings, setup: &Setup) -> Result<Self, SetupError> {
        if let Some(route) = &settings.route {
            setup.check_route(route).map_err(|error| error.at("route"))?;
        }
        if let Some(file) = &settings.file {
            setup.read_file(file).map_err(|error| error.at("file"))?;
        }
        for (index, step) in settings.steps.iter().enumerate() {
            if let Step::Redact(path) = step {
                Selector::compile(&[path]).map_err(|error| error.at("redact").at(format!("steps[{index}]")))?;
            }
        }
        Ok(Self(settings))
    }

    fn handle(&mut self, message: &mut Message) -> Result<Verdict, Failure> {
        for step in &self.0.steps {
            match step {
                Step::Header(name, value) => message.set_header(name, value)?,
                Step::Append(name, value) => message.append_header(name, value)?,
                Step::Remove(name) => message.remove_header(name),
                Step::Redact(path) => replace(message, path, Some(Value::text("***")))?,
                Step::Delete(path) => replace(message, path, None)?,
                Step::Json(payload) => message.set_payload(payload),
                Step::Drop(reason) => return Ok(Verdict::Drop(reason.clone())),
                Step::Retry(millis) => {
                    let after = Some(Duration::from_millis(*millis));
                    return Err(Failure::Retry { reason: "later".to_owned(), after });
                }
                Step::Fatal(reason) => return Err(Failure::Fatal(reason.clone())),
                Step::Split(parts) => {
                    let part = |payload: &String| Part { payload: payload.clone().into_bytes(), ..Part::default() };
                    return Ok(Verdict::Split(parts.iter().map(part).collect()));
                }
                Step::Route(name) => return Ok(Verdict::Route(vec![name.clone()])),
                Step::Show => log::info(format!(
                    "{} {} {:?} {} {} {}",
                    message.subject(),
                    message.id(),
                    message.origin(),
                    message.timestamp(),
                    message.delivery(),
                    message.payload_len()
                )),
            }
        }
        Ok(Verdict::Forward)
    }
}

fn replace(message: &mut Message, path: &str, value: Option<Value>) -> Result<(), Failure> {
    let selector = Selector::compile(&[path]).map_err(|error| Failure::Fatal(error.to_string()))?;
    let count = message.select(&selector)?.len();
    Ok(message.replace(&selector, vec![value; count])?)
}

#[expect(clippy::needless_pass_by_value, reason = "reads better with `json!`")]
fn puppet(steps: serde_json::Value) -> trackside_plugin::testing::Configured<Puppet> {
    Host::new().configure(json!({ "steps": steps })).expect("the puppet takes any steps")
}

#[track_caller]
fn refused(host: &Host, with: serde_json::Value, expected: &str) {
    assert_eq!(host.configure::<Puppet>(with).expect_err("it should be refused").to_string(), expected);
}

#[test]
fn a_misfit_of_the_settings_names_its_key() {
    let host = Host::new();
    refused(
        &host,
        json!({ "steps": [{ "drop": "x" }, { "drop": 7 }] }),
        "steps[1].drop: invalid type: integer `7`, expected a string",
    );
    refused(&host, json!({ "stpes": [] }), "stpes: unknown field `stpes`, expected one of `steps`, `route`, `file`");
    refused(
        &host,
        json!({ "steps": ["jump"] }),
        "steps[0]: unknown variant `jump`, expected one of `header`, `append`, `remove`, `redact`, `delete`, `json`, \
         `drop`, `retry`, `fatal`, `split`, `route`, `show`",
    );
    refused(&host, json!("x"), "invalid type: a string, expected struct Settings");
}

#[test]
fn a_misfit_of_the_settings_shows_no_string_since_it_may_be_a_secret() {
    for secret in ["hunter2", "a \", expected b", "line\nbreak \"quoted\""] {
        refused(
            &Host::new(),
            json!({ "steps": [{ "retry": secret }] }),
            "steps[0].retry: invalid type: a string, expected u64",
        );
    }
}

#[test]
fn an_error_of_configure_names_the_key_it_was_given() {
    let host = Host::new().route("default").route("review");
    refused(&host, json!({ "route": "revew" }), "route: the rule has no route `revew`; it declares default, review");
    refused(
        &Host::new(),
        json!({ "route": "x" }),
        "route: the rule has no route `x`; it declares none; add it under [rule.routes]",
    );
    refused(&host, json!({ "file": "a.json" }), "file: there is no file `a.json` in the configuration directory");
    let error = host.configure::<Puppet>(json!({ "steps": [{ "redact": "$.a[" }] })).err().unwrap();
    assert_eq!(error.key(), "steps[0].redact");
    assert!(error.reason().contains("`$.a[`"), "{error}");
    assert!(host.configure::<Puppet>(json!({ "route": "review" })).is_ok());
    assert!(Host::new().file("a.json", "{}").configure::<Puppet>(json!({ "file": "a.json" })).is_ok());
}

#[test]
fn keys_of_an_error_nest() {
    let error = SetupError::new("wrong").at("path").at("[0]").at("fields");
    assert_eq!(error.to_string(), "fields[0].path: wrong");
    assert_eq!(SetupError::from("wrong").to_string(), "wrong");
}

#[test]
fn a_replacement_leaves_every_other_byte_as_it_was() {
    let outcome = puppet(json!([{ "redact": "$..pin" }, { "delete": "$.old" }]))
        .handle(r#"{ "n": 1.50, "old": [1], "pin": 7,  "a": {"p\u0069n": "x"} }"#);
    assert_eq!(outcome.verdict, Ok(Verdict::Forward));
    assert_eq!(outcome.text(), r#"{ "n": 1.50, "pin": "***",  "a": {"p\u0069n": "***"} }"#);
}

#[test]
fn a_payload_that_is_not_json_is_rejected_by_the_question_mark() {
    let outcome = puppet(json!([{ "redact": "$.a" }])).handle("{\"a\": tru}");
    let reason = outcome.rejection().expect("it should be rejected");
    assert!(reason.starts_with("the payload is not JSON: at byte "), "{reason}");
}

#[test]
fn headers_are_found_without_regard_to_case_and_keep_their_order() {
    let message = TestMessage::new("").header("A", "1").header("b", "2").header("a", "3");
    let outcome = puppet(json!([{ "append": ["C", "4"] }, { "header": ["B", "5"] }])).handle(message.clone());
    let headers =
        |list: &[(&str, &str)]| list.iter().map(|(name, value)| Header::new(*name, *value)).collect::<Vec<_>>();
    assert_eq!(outcome.message.headers(), headers(&[("A", "1"), ("B", "5"), ("a", "3"), ("C", "4")]));
    assert_eq!(outcome.message.header("c"), Some("4".to_owned()));
    let outcome = puppet(json!([{ "remove": "A" }, { "remove": "nothing" }])).handle(message);
    assert_eq!(outcome.message.headers(), headers(&[("b", "2")]));
}

#[test]
fn a_header_that_nats_cannot_carry_or_that_is_reserved_rejects_the_message() {
    for (name, value) in [
        ("", "x"),
        ("a b", "x"),
        ("a:", "x"),
        ("é", "x"),
        ("X", "a\r\nb"),
        ("nats-msg-id", "x"),
        ("Trackside-Rule", "x"),
    ] {
        let outcome = puppet(json!([{ "header": [name, value] }])).handle("");
        assert!(outcome.rejection().is_some(), "{name}");
        assert_eq!(outcome.message.headers(), []);
    }
    assert_eq!(puppet(json!([{ "header": ["X", "ünï"] }])).handle("").verdict, Ok(Verdict::Forward));
}

#[test]
fn every_verdict_and_failure_reaches_the_test() {
    let verdict = |step| puppet(json!([step])).handle("{}").verdict;
    assert_eq!(verdict(json!({ "drop": "why" })), Ok(Verdict::Drop("why".to_owned())));
    assert_eq!(verdict(json!({ "route": "r" })), Ok(Verdict::Route(vec!["r".to_owned()])));
    let parts = vec![Part { payload: b"1".to_vec(), ..Part::default() }];
    assert_eq!(verdict(json!({ "split": ["1"] })), Ok(Verdict::Split(parts)));
    assert_eq!(verdict(json!({ "fatal": "why" })), Err(Failure::Fatal("why".to_owned())));
    let after = Some(Duration::from_millis(5));
    assert_eq!(verdict(json!({ "retry": 5 })), Err(Failure::Retry { reason: "later".to_owned(), after }));
}

#[test]
fn a_message_has_what_the_test_gave_it_and_log_lines_are_kept_for_each() {
    let mut puppet = puppet(json!(["show"]));
    let message = TestMessage::new("abc").subject("a.b").id("s:1").origin(Origin::Core).timestamp(9).delivery(3);
    let outcome = puppet.handle(message);
    assert_eq!(outcome.log.len(), 1);
    assert_eq!(outcome.log[0].level, Level::Info);
    assert_eq!(outcome.log[0].text, "a.b s:1 Core 9 3 3");
    assert_eq!(puppet.handle("").log[0].text, "test 1 JetStream 0 1 0");
}

/// Answers with the field that its settings name.
struct Echo(Field);

impl Stage for Echo {
    type Settings = String;

    fn configure(by: String, _: &Setup) -> Result<Self, SetupError> {
        Ok(Self(Field::compile(&by)?))
    }

    fn handle(&mut self, message: &mut Message) -> Result<Verdict, Failure> {
        Ok(Verdict::Drop(self.0.read(message)?.unwrap_or_else(|| "(none)".to_owned())))
    }
}

#[test]
fn a_field_is_the_first_header_or_the_scalar_at_a_path() {
    let echo = |by: &str, payload: &str| {
        let message = TestMessage::new(payload).header("Region", "eu").header("region", "us");
        Host::new().configure::<Echo>(json!(by)).unwrap().handle(message).verdict.unwrap()
    };
    let found = |text: &str| Verdict::Drop(text.to_owned());
    assert_eq!(echo("header:REGION", "no JSON"), found("eu"));
    assert_eq!(echo("header:Other", "no JSON"), found("(none)"));
    assert_eq!(echo("$.a", r#"{"a":"\u00e9"}"#), found("é"));
    assert_eq!(echo("$.a", r#"{"a":1.50}"#), found("1.50"));
    assert_eq!(echo("$.a", r#"{"a":false}"#), found("false"));
    assert_eq!(echo("$.a", r#"{"a":null}"#), found("(none)"));
    assert_eq!(echo("$.a", r#"{"b":1}"#), found("(none)"));
    let rejected = |reason: &str| Verdict::Reject(reason.to_owned());
    assert_eq!(echo("$.a", r#"{"a":1,"a":2}"#), rejected("`$.a` occurs more than once"));
    let reason = "`$.a` is an object, where a string, a number or a boolean is needed";
    assert_eq!(echo("$.a", r#"{"a":{}}"#), rejected(reason));
}

#[test]
fn a_field_that_is_neither_a_header_nor_a_path_is_refused() {
    for (by, expected) in [
        ("region", "`region` is not a field; write `header:NAME` or a JSONPath like `$.customer.id`"),
        ("header:", "the header's name is missing; write `header:NAME`"),
    ] {
        assert_eq!(Host::new().configure::<Echo>(json!(by)).err().unwrap().to_string(), expected);
    }
    assert!(Host::new().configure::<Echo>(json!("$.a[")).is_err());
}
