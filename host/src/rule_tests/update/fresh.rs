//! An expectation for something that happened, and TOML for what JSON and payloads say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use toml_edit::{Array, InlineTable, Item, Table, Value};

use crate::names::{PluginName, RouteName, RuleName};
use crate::rule_tests::Happened;
use crate::rules::testing::Ending;

/// An expectation of just this.
pub(super) fn table(happened: &Happened) -> Table {
    let mut table = Table::new();
    let mut put = |key: &str, text: Option<&str>| {
        if let Some(text) = text {
            table.insert(key, Item::Value(text.into()));
        }
    };
    put("rule", happened.rule.as_ref().map(RuleName::as_str));
    put("outcome", (happened.ending != Ending::Published).then_some(happened.ending.as_str()));
    put("route", happened.route.as_ref().map(RouteName::as_str));
    put("subject", happened.subject.as_deref());
    put("class", happened.class);
    put("stage", happened.stage.as_ref().map(PluginName::as_str));
    put("reason", happened.reason.as_deref());
    // A dead letter has the message as it came.
    if happened.ending == Ending::Published {
        let (key, payload) = payload(&happened.payload);
        table.insert(key, Item::Value(payload));
    }
    table
}

/// A payload byte for byte, and the key that it goes under.
pub(super) fn payload(payload: &[u8]) -> (&'static str, Value) {
    match std::str::from_utf8(payload) {
        Ok(text) => ("text", text.into()),
        Err(_) => ("base64", STANDARD.encode(payload).into()),
    }
}

/// JSON as TOML has it; `None` for what it cannot say: a null, a number past 64 bits.
pub(super) fn value(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(boolean) => (*boolean).into(),
        Json::Number(number) if number.is_f64() => number.as_f64()?.into(),
        Json::Number(number) => number.as_i64()?.into(),
        Json::String(text) => text.as_str().into(),
        Json::Array(elements) => Value::Array(elements.iter().map(value).collect::<Option<Array>>()?),
        Json::Object(members) => {
            let member = |(key, json): (&String, &Json)| Some((key.clone(), value(json)?));
            Value::InlineTable(members.iter().map(member).collect::<Option<InlineTable>>()?)
        }
    })
}
