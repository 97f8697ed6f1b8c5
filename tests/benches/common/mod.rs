//! What the benchmarks measure with: an order, and stages that take it.

#![allow(dead_code, unreachable_pub, reason = "each benchmark uses some of it")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use trackside::message::{Headers, Message, Origin, OriginKind, Subject};
use trackside::names::PluginName;
use trackside::plugins::{ConfiguredStage, Engine, PluginSource, StageSecrets, Work};
use trackside::rules::{Isolation, PluginSettings};
use trackside_tests::hostile;

/// What orders are like.
const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["id", "customer", "payment", "items", "total"],
  "properties": {
    "id": {"type": "string", "pattern": "^ord-[0-9]+$"},
    "customer": {"type": "object", "required": ["id", "email"], "properties": {"email": {"type": "string", "maxLength": 100}}},
    "payment": {"type": "object", "properties": {"method": {"enum": ["card", "invoice"]}, "card": {"type": "string"}}},
    "items": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["sku", "quantity"],
      "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer", "minimum": 1}}}}
  }
}"#;

/// Standard plugins with settings of a stage each.
pub const STANDARD: [(&str, &str); 3] = [
    ("validate", r#"{"schema": "schemas/order.json"}"#),
    (
        "mask",
        r#"{"fields": [{"path": "$.customer.email"}, {"path": "$.customer.phone", "action": "keep-last", "count": 2},
        {"path": "$.payment.card", "action": "keep-last", "count": 4}]}"#,
    ),
    ("route", r#"{"when": [{"if": "size(body.items) >= 1000", "to": "review"}], "else": "default"}"#),
];

/// An order of 1 kB.
pub fn order() -> String {
    let item = |number: u32| {
        format!(
            r#"{{"sku":"TRK-{number:05}","title":"Signal lamp, type {number}","quantity":{number},"price":{{"amount":"{number}9.90","currency":"EUR"}},"tags":["lamp","signal"]}}"#
        )
    };
    let items: Vec<String> = (1..=4).map(item).collect();
    format!(
        r#"{{"id":"ord-000017","created":"2026-11-22T10:00:00Z","region":"eu-central","customer":{{"id":4711,"name":"Ada Lovelace","email":"ada@example.org","phone":"+49 30 1234567","address":{{"street":"Invalidenstraße 43","zip":"10115","city":"Berlin","country":"DE"}}}},"payment":{{"method":"card","card":"4111 1111 1111 1111","expires":"2029-07","holder":"A. Lovelace"}},"items":[{}],"total":{{"amount":"238.60","currency":"EUR"}},"notes":null,"gift":false}}"#,
        items.join(",")
    )
}

/// A stage of one of the small plugins in `tests/hostile`.
pub fn stage(engine: &Engine, plugin: &str, isolation: Isolation) -> Arc<ConfiguredStage> {
    let settings = PluginSettings { isolation, ..PluginSettings::default() };
    let name = PluginName::new(plugin).expect("a name");
    let source = PluginSource { name, bytes: hostile::component(plugin).into(), settings };
    let plugin = engine.load(source).expect("a plugin");
    plugin.configure("{}".to_owned(), Vec::new(), Path::new("."), StageSecrets::default()).expect("a stage")
}

/// A standard plugin's stage.
pub fn standard_stage(engine: &Engine, plugin: &str, config: &str, isolation: Isolation) -> Arc<ConfiguredStage> {
    let settings = PluginSettings { isolation, ..PluginSettings::default() };
    let name = PluginName::new(plugin).expect("a name");
    let bytes = trackside::plan::standard_plugin(&name).expect("built with the standard plugins").into();
    let plugin = engine.load(PluginSource { name, bytes, settings }).expect("a plugin");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("schemas")).expect("a folder");
    std::fs::write(folder.path().join("schemas/order.json"), SCHEMA).expect("a file");
    let routes = vec!["default".to_owned(), "review".to_owned()];
    plugin.configure(config.to_owned(), routes, folder.path(), StageSecrets::default()).expect("a stage")
}

/// A message with the order of [`order`].
pub fn order_work() -> Work {
    let mut work = work();
    work.message.payload = order().into();
    work
}

/// A message with the order of [`payload`].
pub fn work() -> Work {
    let (kind, id) = (OriginKind::Core, Arc::from("core:bench:1"));
    let origin = Origin { kind, id, timestamp_ms: 1_700_000_000_000, delivery: 1 };
    let subject = Subject::new("orders.eu.created").expect("a subject");
    Work::new(Message { subject, headers: Headers::default(), payload: payload() }, Arc::new(origin))
}

/// An order of 1 kB with a `secret`.
pub fn payload() -> Bytes {
    let line = |number: u32| {
        format!(r#"{{"sku":"T-{number:04}","count":2,"price":19.90,"title":"gear wheel, brass, large"}}"#)
    };
    let lines: Vec<String> = (0..11).map(line).collect();
    let lines = lines.join(",");
    format!(r#"{{"id":"EU-1000001","region":"eu","secret":"4111111111111111","lines":[{lines}],"gift":false}}"#).into()
}
