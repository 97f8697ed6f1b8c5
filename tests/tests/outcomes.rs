//! Each thing that can become of a message, against a real server, with the standard plugins.

use bytes::Bytes;
use futures::StreamExt;
use serde_json::json;
use trackside_tests::{PATIENCE, Server, Setup, Stored, Trackside, until};

const ORDERS: &str = r#"
[sources.orders]
stream = "ORDERS"
filter-subjects = ["orders.>"]
durable = "trackside-orders"
"#;

/// A world with streams for orders, clean orders and dead letters, and these rules.
async fn orders(rules: &str) -> (Server, Setup) {
    let server = Server::start().await;
    server.stream("ORDERS", &["orders.>"]).await;
    server.stream("CLEAN", &["clean.>"]).await;
    server.stream("DEAD", &["dead.>"]).await;
    let setup = Setup::new(&server.url(), ORDERS);
    setup.write("rules/orders.toml", rules);
    (server, setup)
}

/// Publishes to a stream and waits until it is stored.
async fn publish(server: &Server, subject: &str, headers: &[(&str, &str)], payload: &str) {
    let mut map = async_nats::HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, *value);
    }
    let context = async_nats::jetstream::new(server.client().await);
    let stored = context.publish_with_headers(subject.to_owned(), map, Bytes::from(payload.to_owned())).await;
    stored.expect("the client can publish").await.expect("the stream stores it");
}

#[tokio::test]
async fn a_message_is_masked_stored_stamped_and_only_then_acknowledged() {
    let (server, setup) = orders(
        r#"
[[rule]]
name = "orders"
source = "orders"
subject = "orders.*.created"
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.card", action = "keep-last", count = 4 }] }
[rule.routes]
default = "clean.{subject.2}.created"
[rule.on-failure]
dead-letter = "dead.orders"
"#,
    )
    .await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers =
        [("traceparent", trace), ("Region", "eu"), ("Region", "de"), ("Nats-Msg-Id", "mine"), ("Nats-Rollup", "all")];
    // Rollups are refused by the stream unless allowed, so that header is left to the unit tests.
    publish(&server, "orders.eu.created", &headers[..4], r#"{ "card":4111111111111111,"n": 1.50 }"#).await;
    let trackside = Trackside::start(&setup).await;
    let clean = server.stored("CLEAN", 1).await;
    assert_eq!(clean[0].subject, "clean.eu.created");
    assert_eq!(clean[0].text(), r#"{ "card":"************1111","n": 1.50 }"#);
    assert_eq!(clean[0].header("traceparent"), Some(trace));
    assert_eq!(clean[0].headers["Region"], ["eu", "de"]);
    assert_eq!(clean[0].header("Trackside-Rule"), Some("orders"));
    assert_eq!(clean[0].header("Trackside-Revision"), Some(trackside.revision().await.as_str()));
    let id = clean[0].header("Nats-Msg-Id").expect("an id");
    assert!(id.starts_with("ORDERS:1:") && id.ends_with(":orders:default:0"), "{id}");
    server.settled("ORDERS", "trackside-orders").await;
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_message_can_be_published_to_core_split_dropped_dead_lettered_or_unmatched() {
    let (server, setup) = orders(
        r#"
[[rule]]
name = "to-core"
source = "orders"
subject = "orders.core"
[rule.routes]
default = "live.orders"
[rule.on-failure]
dead-letter = "dead.orders"

[[rule]]
name = "split"
source = "orders"
subject = "orders.split"
[[rule.stage]]
plugin = "transform"
with = { jq = ".items[]" }
[rule.routes]
default = "clean.items"
[rule.on-failure]
dead-letter = "dead.orders"

[[rule]]
name = "drop"
source = "orders"
subject = "orders.drop"
[[rule.stage]]
plugin = "transform"
with = { jq = "empty" }
[rule.routes]
default = "clean.never"
[rule.on-failure]
dead-letter = "dead.orders"

[[rule]]
name = "checked"
source = "orders"
subject = "orders.checked"
[[rule.stage]]
plugin = "validate"
with = { schema = "schemas/order.json" }
[rule.routes]
default = "clean.checked"
[rule.on-failure]
dead-letter = "dead.orders"
"#,
    )
    .await;
    setup.write("schemas/order.json", json!({"type": "object", "required": ["id"]}).to_string());
    let client = server.client().await;
    let mut live = client.subscribe("live.>").await.expect("a subscription");
    client.flush().await.expect("the subscription is known to the server");
    let trackside = Trackside::start(&setup).await;

    publish(&server, "orders.core", &[], "plain text").await;
    publish(&server, "orders.split", &[], r#"{"items":[{"a":1},{"a":2},{"a":3}]}"#).await;
    publish(&server, "orders.drop", &[], "{}").await;
    publish(&server, "orders.checked", &[("Region", "eu"), ("Nats-Msg-Id", "mine")], r#"{"no":"id 4111"}"#).await;
    publish(&server, "orders.nobody.wants", &[], "{}").await;

    let to_core = tokio::time::timeout(PATIENCE, live.next()).await.expect("in time").expect("a message");
    assert_eq!(to_core.payload, "plain text");
    assert_eq!(to_core.headers.expect("headers").get("Trackside-Rule").expect("a stamp").as_str(), "to-core");
    let parts = server.stored("CLEAN", 3).await;
    assert_eq!(parts.iter().map(Stored::json).collect::<Vec<_>>(), [json!({"a":1}), json!({"a":2}), json!({"a":3})]);
    let dead = server.stored("DEAD", 1).await;
    assert_eq!(dead[0].subject, "dead.orders");
    assert_eq!(dead[0].text(), r#"{"no":"id 4111"}"#);
    for (name, want) in [
        ("Region", "eu"),
        ("Trackside-Dead-Header-Nats-Msg-Id", "mine"),
        ("Trackside-Dead-Source", "orders"),
        ("Trackside-Dead-Stream", "ORDERS"),
        ("Trackside-Dead-Sequence", "4"),
        ("Trackside-Dead-Subject", "orders.checked"),
        ("Trackside-Rule", "checked"),
        ("Trackside-Dead-Stage", "validate"),
        ("Trackside-Dead-Class", "rejected"),
        ("Trackside-Dead-Tries", "1"),
    ] {
        assert_eq!(dead[0].header(name), Some(want), "{name}");
    }
    let reason = dead[0].header("Trackside-Dead-Reason").expect("a reason");
    assert!(reason.contains("required") && !reason.contains("4111"), "{reason}");

    server.settled("ORDERS", "trackside-orders").await;
    let metrics = trackside.metrics().await;
    let sample = |name: &str| metrics.get(name).copied().unwrap_or_else(|| panic!("no {name} in {metrics:?}"));
    assert_eq!(sample("trackside_source_unmatched_total{source=\"orders\"}"), 1.0);
    assert_eq!(sample("trackside_rule_published_total{rule=\"split\"}"), 3.0);
    assert_eq!(sample("trackside_rule_dropped_total{rule=\"drop\"}"), 1.0);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn several_rules_each_take_the_message_independently() {
    let (server, setup) = orders(
        r#"
[[rule]]
name = "one"
source = "orders"
subject = "orders.*"
[rule.routes]
default = "clean.one"
[rule.on-failure]
dead-letter = "dead.orders"
[[rule]]
name = "two"
source = "orders"
subject = "orders.>"
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.a", action = "redact" }] }
[rule.routes]
default = "clean.two"
[rule.on-failure]
dead-letter = "dead.orders"
"#,
    )
    .await;
    let trackside = Trackside::start(&setup).await;
    publish(&server, "orders.x", &[], r#"{"a":"secret"}"#).await;
    let mut clean = server.stored("CLEAN", 2).await;
    clean.sort_by(|a, b| a.subject.cmp(&b.subject));
    assert_eq!((clean[0].subject.as_str(), clean[0].text()), ("clean.one", r#"{"a":"secret"}"#));
    assert_eq!((clean[1].subject.as_str(), clean[1].text()), ("clean.two", r#"{"a":"***"}"#));
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_core_request_is_answered_by_a_service_behind_a_rule() {
    let server = Server::start().await;
    let setup = Setup::new(&server.url(), "[sources.ask]\nsubject = \"ask.>\"\nqueue-group = \"trackside\"\n");
    setup.write(
        "rules/ask.toml",
        r#"
[[rule]]
name = "ask"
source = "ask"
subject = "ask.price"
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.card", action = "redact" }] }
[rule.routes]
default = "service.price"
"#,
    );
    let client = server.client().await;
    let mut requests = client.subscribe("service.price").await.expect("a subscription");
    client.flush().await.expect("known to the server");
    let service = client.clone();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let reply = request.reply.clone().expect("the requester's inbox came along");
            service.publish(reply, request.payload).await.expect("the service answers");
        }
    });
    let trackside = Trackside::start(&setup).await;
    let answer = tokio::time::timeout(PATIENCE, client.request("ask.price", r#"{"card":"4111"}"#.into())).await;
    assert_eq!(answer.expect("in time").expect("an answer").payload, r#"{"card":"***"}"#);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_publish_that_fails_is_tried_again_and_stored_once() {
    let (server, setup) = orders(
        r#"
[[rule]]
name = "late"
source = "orders"
subject = "orders.late"
[rule.routes]
default = { subject = "late.orders", confirm = "stream" }
[rule.on-failure]
dead-letter = "dead.orders"
tries = 100
backoff = ["100ms"]
"#,
    )
    .await;
    let trackside = Trackside::start(&setup).await;
    publish(&server, "orders.late", &[], "{}").await;
    until("a try that failed", async || {
        let retried = trackside.metrics().await.get("trackside_rule_retried_total{rule=\"late\"}").copied();
        (retried? >= 1.0).then_some(())
    })
    .await;
    server.stream("LATE", &["late.>"]).await;
    assert_eq!(server.stored("LATE", 1).await.len(), 1);
    server.settled("ORDERS", "trackside-orders").await;
    assert_eq!(server.stored("LATE", 1).await.len(), 1);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn outputs_wait_for_their_stream_when_it_is_deleted_instead_of_being_lost() {
    let (server, setup) = orders(
        r#"
[[rule]]
name = "orders"
source = "orders"
subject = "orders.>"
[rule.routes]
default = "clean.orders"
[rule.on-failure]
dead-letter = "dead.orders"
tries = 100
backoff = ["100ms"]
"#,
    )
    .await;
    let trackside = Trackside::start(&setup).await;
    publish(&server, "orders.x", &[], "1").await;
    server.stored("CLEAN", 1).await;
    let context = async_nats::jetstream::new(server.client().await);
    context.delete_stream("CLEAN").await.expect("the stream can be deleted");
    until("trackside to learn that the stream is gone", async || {
        trackside.log().contains("no stream takes these subjects any longer").then_some(())
    })
    .await;
    publish(&server, "orders.x", &[], "2").await;
    until("a try that failed", async || {
        let retried = trackside.metrics().await.get("trackside_rule_retried_total{rule=\"orders\"}").copied();
        (retried? >= 1.0).then_some(())
    })
    .await;
    server.stream("CLEAN", &["clean.>"]).await;
    assert_eq!(server.stored("CLEAN", 1).await[0].text(), "2");
    server.settled("ORDERS", "trackside-orders").await;
    assert_eq!(trackside.drain().await, 0);
}
