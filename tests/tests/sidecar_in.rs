//! A service with nothing but an HTTP client publishes and requests through the sidecar, over a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use trackside_tests::http::{Answer, parse, post, raw, send};
use trackside_tests::{PATIENCE, Server, Setup, Trackside, free_port, hostile, until};

/// A rule for each way in which a message can end.
const RULES: &str = r#"
[[rule]]
name = "orders"
source = "sidecar"
subject = "orders.*"
[[rule.stage]]
plugin = "validate"
with = { schema = "schemas/order.json" }
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.card", action = "keep-last", count = 4 }] }
[[rule.stage]]
plugin = "route"
with = { when = [{ if = "body.amount == 0", to = { drop = "nothing was ordered" } }], else = "default" }
[rule.routes]
default = "clean.{subject.2}"
[rule.on-failure]
dead-letter = "dead.orders"

[[rule]]
name = "ask"
source = "sidecar"
subject = "ask.*"
[rule.routes]
default = "service.{subject.2}"
[rule.on-failure]
dead-letter = "dead.ask"

[[rule]]
name = "answers"
source = "sidecar-replies"
subject = "ask.*"
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.card", action = "keep-last", count = 4 }] }
[rule.routes]
default = "caller:"
[rule.on-failure]
dead-letter = "dead.answers"

[[rule]]
name = "unasked"
source = "sidecar-replies"
subject = "orders.stored"
routes.default = "caller:"
on-failure.dead-letter = "dead.answers"

[[rule]]
name = "traps"
source = "sidecar"
subject = "traps"
stage = [{ plugin = "trap" }]
routes.default = "clean.traps"
on-failure.dead-letter = "dead.traps"

[[rule]]
name = "later"
source = "sidecar"
subject = "later"
stage = [{ plugin = "later" }]
routes.default = "clean.later"
on-failure.dead-letter = "dead.later"

[[rule]]
name = "nowhere"
source = "sidecar"
subject = "nowhere"
routes.default = { subject = "no.stream.here", confirm = "stream" }
breaker = { failures = 1, open-for = "30s" }
on-failure = { dead-letter = "dead.nowhere", tries = 1 }

[[rule]]
name = "held"
source = "sidecar"
subject = "held.>"
order-by = "subject.2"
routes.default = "sidecar:nobody"
on-failure.dead-letter = "dead.held"
"#;

const SCHEMA: &str =
    r#"{ "type": "object", "required": ["amount"], "properties": { "amount": { "type": "number" } } }"#;

struct World {
    server: Server,
    setup: Setup,
    at: String,
}

impl World {
    async fn new(sidecar: &str) -> Self {
        let server = Server::start().await;
        for (stream, subject) in [("CLEAN", "clean.>"), ("DEAD", "dead.>")] {
            server.stream(stream, &[subject]).await;
        }
        let at = format!("127.0.0.1:{}", free_port());
        let setup = Setup::new(
            &server.url(),
            &format!(
                "[plugins.trap]\npath = \"plugins/trap.wasm\"\n[plugins.later]\npath = \"plugins/later.wasm\"\n\
                 [streams.CLEAN]\nsubjects = [\"clean.>\"]\n[sidecar]\nlisten = \"{at}\"\n{sidecar}"
            ),
        );
        setup.write("plugins/trap.wasm", hostile::component("trap"));
        setup.write("plugins/later.wasm", hostile::component("retry"));
        setup.write("schemas/order.json", SCHEMA);
        setup.write("rules/all.toml", RULES);
        Self { server, setup, at }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        post(&self.at, path, headers, body).await
    }

    /// Starts it and waits for nothing but its sidecar: the rule `held` keeps it unready.
    async fn start(&self) -> Trackside {
        let trackside = Trackside::spawn(self.setup.path(), &self.setup.admin, &[]);
        until("the sidecar to be open", async || {
            TcpStream::connect(&self.at).await.ok()?;
            let probe = self.post("/v1/publish/nobody.takes.this", &[], "").await;
            (probe.status == 404).then_some(())
        })
        .await;
        trackside
    }

    /// A service on NATS that answers with what it is asked, and this much more.
    async fn answer(&self, subject: &str, answer: &'static str) {
        let client = self.server.client().await;
        let mut asked = client.subscribe(subject.to_owned()).await.expect("a subscription");
        client.flush().await.expect("the server has it");
        tokio::spawn(async move {
            while let Some(message) = asked.next().await {
                if let Some(reply) = message.reply {
                    let mut headers = async_nats::HeaderMap::new();
                    headers.insert("ce-id", "reply-1");
                    headers.insert("Content-Type", "application/json");
                    client.publish_with_headers(reply, headers, answer.into()).await.expect("it is sent");
                }
            }
        });
    }
}

fn retry_after(answer: &Answer) -> u64 {
    answer.headers.get("retry-after").and_then(|after| after.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

#[tokio::test]
async fn a_message_is_published_masked_and_confirmed_and_a_repeat_of_it_is_known() {
    let world = World::new("carry-headers = [\"X-Tenant\"]").await;
    let _trackside = world.start().await;
    let headers = [
        ("Idempotency-Key", "\"order-17\""),
        ("Content-Type", "application/json"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "a=1"),
        ("x-tenant", "eu"),
        ("Authorization", "Bearer hunter2"),
        ("X-Other", "stays"),
    ];
    let body = r#"{ "amount": 1.50, "card": "4111111111111111" }"#;
    let first = world.post("/v1/publish/orders.created", &headers, body).await;
    assert_eq!(first.status, 200, "{first:?}");
    let outcome = |duplicate: bool| {
        json!([{ "rule": "orders", "outcome": "published", "route": "default", "subject": "clean.created",
            "stream": "CLEAN", "sequence": 1, "duplicate": duplicate }])
    };
    assert_eq!(first.json()["outcomes"], outcome(false));
    let again = world.post("/v1/publish/orders.created", &headers, body).await;
    assert_eq!((again.status, &again.json()["outcomes"]), (200, &outcome(true)));
    assert_eq!(again.json()["id"], first.json()["id"]);
    let stored = world.server.stored("CLEAN", 1).await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].text(), r#"{ "amount": 1.50, "card": "************1111" }"#);
    assert_eq!(stored[0].header("Nats-Msg-Id"), Some("sidecar:orders.created:order-17:orders:default:0"));
    assert_eq!(stored[0].header("traceparent"), Some(headers[2].1));
    assert_eq!((stored[0].header("tracestate"), stored[0].header("X-Tenant")), (Some("a=1"), Some("eu")));
    assert_eq!(stored[0].header("Content-Type"), Some("application/json"));
    let all = format!("{:?}", stored[0].headers).to_ascii_lowercase();
    assert!(!all.contains("hunter2") && !all.contains("x-other"), "{all}");
}

#[tokio::test]
async fn every_answer_of_publishing_has_its_cause() {
    let world = World::new("max-body = \"2KiB\"\ntimeout = \"4s\"\nmax-timeout = \"10s\"").await;
    let trackside = world.start().await;

    let dropped = world.post("/v1/publish/orders.created", &[], r#"{"amount":0}"#).await;
    assert_eq!(dropped.status, 200);
    assert_eq!(
        dropped.json()["outcomes"],
        json!([{ "rule": "orders", "outcome": "dropped", "reason": "nothing was ordered" }])
    );

    let accepted = world
        .post(
            "/v1/publish/orders.async",
            &[("Prefer", "respond-async, wait=10"), ("Idempotency-Key", "a")],
            r#"{"amount":1}"#,
        )
        .await;
    assert_eq!((accepted.status, accepted.json()["id"].as_str()), (202, Some("sidecar:orders.async:a")));
    assert_eq!(accepted.headers["preference-applied"], "respond-async");
    assert_eq!(world.server.stored("CLEAN", 1).await[0].subject, "clean.async");

    for path in [
        "orders.*",
        "orders..x",
        "orders.a%20b",
        "orders.%0d%0aPUB",
        "%ff",
        "orders.%zz",
        "orders.x%2",
        "$JS.API.STREAM.DELETE.CLEAN",
        "_INBOX.x",
    ] {
        let _ = world.post(&format!("/v1/publish/{path}"), &[], "{}").await.problem(400);
    }
    let told = world.post("/v1/publish/orders.%0A", &[], "{}").await.problem(400);
    let want =
        r"this is not a subject: `orders.\n` has '\n': white space and control characters cannot be in a subject";
    assert_eq!(told, want);
    for (name, value) in [("Trackside-Timeout", "1"), ("Trackside-Timeout", "1h"), ("Idempotency-Key", "a b")] {
        let _ = world.post("/v1/publish/orders.x", &[(name, value)], r#"{"amount":1}"#).await.problem(400);
    }
    let _ = world.post("/v1/publish/orders.x?tiemout=1s", &[], r#"{"amount":1}"#).await.problem(400);
    let _ = world.post("/v1/publish/orders.x", &[("Origin", "http://evil.example")], "{}").await.problem(403);
    let detail = world.post("/v1/publish/unknown", &[], "{}").await.problem(404);
    assert_eq!(detail, "no rule of source `sidecar` takes `unknown`");
    assert_eq!(send(&world.at, "GET", "/v1/publish/orders.x", &[], b"").await.status, 405);

    let slow = format!(
        "POST /v1/publish/orders.x?timeout=100ms HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{{",
        world.at
    );
    let _ = raw(&world.at, slow.as_bytes()).await.problem(408);
    let large = "x".repeat(3000);
    let _ = world.post("/v1/publish/orders.x", &[], &large).await.problem(413);
    let chunked = format!(
        "POST /v1/publish/orders.x HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nbb8\r\n{large}\r\n0\r\n\r\n",
        world.at
    );
    let _ = raw(&world.at, chunked.as_bytes()).await.problem(413);
    let by_name =
        "POST /v1/publish/orders.x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let _ = raw(&world.at, by_name.as_bytes()).await.problem(421);

    let rejected = world.post("/v1/publish/orders.x", &[], r#"{"amount":"secret-amount"}"#).await;
    let _ = rejected.problem(422);
    let violation = &rejected.json()["violations"][0];
    assert_eq!((&violation["rule"], &violation["plugin"]), (&json!("orders"), &json!("validate")));
    assert!(violation["reason"].as_str().is_some_and(|reason| reason.contains("amount") && !reason.contains("secret")));
    assert_eq!(rejected.json()["outcomes"][0]["dead-letter"], json!({ "stream": "DEAD", "sequence": 1 }));

    let trapped = world.post("/v1/publish/traps", &[], "{}").await;
    let _ = trapped.problem(500);
    assert_eq!(trapped.json()["outcomes"][0]["class"], "trap");
    assert_eq!(world.server.stored("DEAD", 2).await.len(), 2, "what nobody is told to send again is kept");

    // The plugin asks for another try after 1.5 seconds, which is more than this call waits.
    let later = world.post("/v1/publish/later?timeout=1s", &[], "{}").await;
    let _ = later.problem(503);
    assert_eq!(retry_after(&later), 2);
    let nowhere = world.post("/v1/publish/nowhere", &[], "{}").await;
    assert!(nowhere.problem(503).contains("no stream takes"), "{nowhere:?}");
    let begun = Instant::now();
    let open = world.post("/v1/publish/nowhere", &[], "{}").await;
    let detail = open.problem(503);
    let time = detail.split_once("left alone for ").expect("it says for how long").1;
    assert!(time.strip_suffix(" s").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{detail}");
    assert!(open.json()["id"].as_str().is_some_and(|id| id.starts_with("sidecar:")), "{open:?}");
    assert_eq!(open.json()["outcomes"], json!([{ "rule": "nowhere", "outcome": "unavailable", "reason": detail }]));
    assert!(retry_after(&open) > 20 && begun.elapsed() < Duration::from_secs(3), "{open:?}");

    let late = world.post("/v1/publish/held.1?timeout=200ms", &[], "{}").await;
    let _ = late.problem(504);
    assert_eq!(world.server.stored("DEAD", 2).await.len(), 2, "what can be sent again is in no letter");
    let metrics = trackside.metrics().await;
    assert!(metrics["trackside_source_received_total{source=\"sidecar\"}"] > 5.0, "{metrics:?}");
}

#[tokio::test]
async fn what_is_too_much_is_told_at_once_and_what_nobody_waits_for_any_more_is_not_begun() {
    let world = World::new("max-in-flight-messages = 2").await;
    let trackside = world.start().await;
    let at = world.at.clone();
    // Nobody subscribes, so this one waits; the one behind it has the same key.
    let first = tokio::spawn(async move { post(&at, "/v1/publish/held.k?timeout=3s", &[], "1").await });
    let in_flight = "trackside_source_in_flight_messages{source=\"sidecar\"}";
    let has = async |count: f64| {
        until("messages in flight", async || (trackside.metrics().await.get(in_flight) == Some(&count)).then_some(()))
            .await;
    };
    has(1.0).await;
    let at = world.at.clone();
    let second = tokio::spawn(async move { post(&at, "/v1/publish/held.k?timeout=300ms", &[], "2").await });
    has(2.0).await;
    let crowded = world.post("/v1/publish/orders.x", &[], r#"{"amount":1}"#).await;
    let _ = crowded.problem(429);
    assert_eq!(retry_after(&crowded), 1);
    let _ = second.await.expect("an answer").problem(504);
    let _ = first.await.expect("an answer").problem(504);
    let mut subscriber = trackside_tests::app::Subscriber::subscribe(&world.at, "nobody", 4).await;
    // What waits at the subscription is handed out still; the one behind it was not begun in time.
    let seen = subscriber.next().await.expect("an event");
    assert_eq!(seen["payload"], json!(1), "{seen}");
    let id = seen["id"].as_str().expect("an id");
    assert_eq!(trackside_tests::app::ask(&world.at, "POST", &format!("/v1/ack/{id}")).await.0, 204);
    has(0.0).await;
    let at = world.at.clone();
    let third = tokio::spawn(async move { post(&at, "/v1/publish/held.k", &[], "3").await });
    let seen = subscriber.next().await.expect("an event");
    assert_eq!(seen["payload"], json!(3), "{seen}");
    let id = seen["id"].as_str().expect("an id");
    assert_eq!(trackside_tests::app::ask(&world.at, "POST", &format!("/v1/ack/{id}")).await.0, 204);
    assert_eq!(third.await.expect("an answer").status, 200);
}

#[tokio::test]
async fn without_a_server_nothing_is_taken_and_after_it_everything_goes_on() {
    let mut world = World::new("").await;
    let _trackside = world.start().await;
    world.server.stop();
    let unreachable = until("the loss to be noticed", async || {
        let answer =
            world.post("/v1/publish/orders.x?timeout=2s", &[("Idempotency-Key", "k")], r#"{"amount":1}"#).await;
        (answer.status == 503 && answer.body.contains("no connection")).then_some(answer)
    })
    .await;
    assert_eq!(retry_after(&unreachable), 1);
    world.server.restart().await;
    until("the message to be taken", async || {
        let answer = world.post("/v1/publish/orders.x", &[("Idempotency-Key", "k")], r#"{"amount":1}"#).await;
        (answer.status == 200).then_some(())
    })
    .await;
    assert_eq!(world.server.stored("CLEAN", 1).await.len(), 1);
    assert!(world.server.stored("DEAD", 0).await.is_empty());
}

#[tokio::test]
async fn a_batch_has_an_outcome_for_each_message() {
    let world = World::new("max-batch-messages = 5\nmax-in-flight-messages = 2\ncarry-headers = [\"Region\"]").await;
    let _trackside = world.start().await;
    let lines = [
        r#"{"subject":"orders.a","id":"1","headers":{"region":["eu","us"],"Authorization":"Bearer hunter2","X-Other":"x"},"data":{"amount": 1.50}}"#,
        r#"{"subject":"orders.b","data":{"amount":"x"}}"#,
        r#"{"subject":"unknown","data":1}"#,
        r#"{"subject":"orders.c","headers":{"Nats-Rollup":"all"},"data":{"amount":1}}"#,
        r#"{"subject":"orders.d","data-base64":"eyJhbW91bnQiOjJ9"}"#,
    ];
    let check = |answer: &Answer| {
        assert_eq!(answer.status, 200, "{answer:?}");
        let messages = answer.json()["messages"].as_array().expect("a list").clone();
        let statuses: Vec<_> = messages.iter().map(|message| message["status"].as_u64().expect("a status")).collect();
        assert_eq!(statuses, [200, 422, 404, 400, 200], "{answer:?}");
        messages
    };
    let ndjson = [("Content-Type", "application/x-ndjson")];
    let messages = check(&world.post("/v1/publish", &ndjson, &lines.join("\n")).await);
    assert_eq!(messages[0]["outcomes"][0]["subject"], "clean.a");
    let json = [("Content-Type", "application/json; charset=utf-8")];
    let again = check(&world.post("/v1/publish", &json, &format!("[{}]", lines.join(","))).await);
    assert_eq!(again[0]["outcomes"][0]["duplicate"], true);
    let mut stored = world.server.stored("CLEAN", 3).await;
    // Messages of a batch run side by side, as the rule keeps no order.
    stored.sort_by_key(|stored| stored.subject.clone());
    assert_eq!(stored[0].text(), r#"{"amount": 1.50}"#);
    assert_eq!(stored[0].headers["Region"], ["eu", "us"]);
    let all = format!("{:?}", stored[0].headers).to_ascii_lowercase();
    assert!(!all.contains("hunter2") && !all.contains("x-other"), "{all}");
    assert_eq!(stored[1].text(), r#"{"amount":2}"#);
    let _ = world.post("/v1/publish", &ndjson, &lines[..1].repeat(6).join("\n")).await.problem(413);
    let _ = world.post("/v1/publish", &json, "{}").await.problem(400);
    let _ = world.post("/v1/publish", &[("Content-Type", "text/plain")], "x").await.problem(415);
}

#[tokio::test]
async fn cloud_events_come_in_in_all_modes_and_their_ids_make_them_known() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let world = World::new("").await;
    let _trackside = world.start().await;
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "e1"),
        ("ce-source", "/shop"),
        ("ce-type", "order.created"),
        ("Content-Type", "application/json"),
    ];
    let event = |id: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"order.created","tenant":"a b","traceparent":"{TRACE}","data": {{"amount": 1.50}} }}"#
        )
    };
    let structured = [("Content-Type", "application/cloudevents+json; charset=utf-8")];
    assert_eq!(world.post("/v1/publish/orders.e", &binary, r#"{"amount": 1.50}"#).await.status, 200);
    let same = world.post("/v1/publish/orders.e", &structured, &event("e1")).await;
    assert_eq!((same.status, &same.json()["outcomes"][0]["duplicate"]), (200, &json!(true)), "{same:?}");
    let batch = format!("[{},{},{{\"id\":\"e4\"}}]", event("e2"), event("e3"));
    let batched = [("Content-Type", "application/cloudevents-batch+json")];
    let answer = world.post("/v1/publish/orders.e", &batched, &batch).await;
    let statuses: Vec<_> =
        answer.json()["messages"].as_array().expect("a list").iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, [json!(200), json!(200), json!(400)], "{answer:?}");
    let mut stored = world.server.stored("CLEAN", 3).await;
    assert_eq!(stored.len(), 3);
    // Messages of a batch run side by side, as the rule keeps no order.
    stored.sort_by_key(|stored| stored.header("ce-id").map(str::to_owned));
    for (stored, id) in stored.iter().zip(["e1", "e2", "e3"]) {
        assert_eq!((stored.header("ce-id"), stored.header("ce-source")), (Some(id), Some("/shop")));
        assert_eq!((stored.header("Content-Type"), stored.text()), (Some("application/json"), r#"{"amount": 1.50}"#));
    }
    assert_eq!((stored[1].header("ce-tenant"), stored[1].header("traceparent")), (Some("a%20b"), Some(TRACE)));
    let _ = world.post("/v1/publish/orders.e", &binary[1..], r#"{"amount":1}"#).await.problem(400);
    let _ = world.post("/v1/publish/orders.e", &structured, "{}").await.problem(400);
}

#[tokio::test]
async fn a_request_is_answered_through_the_rules_and_every_other_answer_has_its_cause() {
    let world = World::new("").await;
    let _trackside = world.start().await;
    world.answer("service.price", r#"{ "price": 1.50, "card": "4111111111111111" }"#).await;
    world.answer("service.broken", "not json").await;
    let silent = world.server.client().await;
    let _nobody_answers = silent.subscribe("service.silent").await.expect("a subscription");
    silent.flush().await.expect("the server has it");

    let answer = world.post("/v1/request/ask.price", &[], "{}").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{ "price": 1.50, "card": "************1111" }"#));
    assert_eq!(
        (answer.headers["content-type"].as_str(), answer.headers["ce-id"].as_str()),
        ("application/json", "reply-1")
    );

    let broken = world.post("/v1/request/ask.broken", &[], "{}").await;
    let _ = broken.problem(502);
    assert!(!broken.body.contains("not json"), "{broken:?}");
    let nobody = world.post("/v1/request/ask.nobody", &[], "{}").await;
    assert!(nobody.problem(503).contains("nobody listens"));
    assert_eq!(retry_after(&nobody), 1);
    let silent = world.post("/v1/request/ask.silent", &[("Trackside-Timeout", "200ms")], "{}").await;
    assert!(silent.problem(504).contains("no answer"));
    let no_way_back = world.post("/v1/request/orders.created", &[], r#"{"amount":1}"#).await;
    assert!(no_way_back.problem(404).contains("sidecar-replies"));
    let stored = world.post("/v1/request/orders.stored", &[], r#"{"amount":1}"#).await;
    assert!(stored.problem(500).contains("stream"));
    let dropped = world.post("/v1/request/orders.stored", &[], r#"{"amount":0}"#).await;
    let _ = dropped.problem(422);
    let rejected = world.post("/v1/request/orders.stored", &[], "{}").await;
    let _ = rejected.problem(422);
    let _ = world.post("/v1/request/ask.price", &[("Prefer", "respond-async")], "{}").await.problem(400);
}

#[tokio::test]
async fn a_stop_finishes_calls_that_are_under_way_and_refuses_new_ones() {
    let world = World::new("").await;
    let mut trackside = world.start().await;
    let client = world.server.client().await;
    let mut asked = client.subscribe("service.slow").await.expect("a subscription");
    client.flush().await.expect("the server has it");
    let at = world.at.clone();
    let call = tokio::spawn(async move { post(&at, "/v1/request/ask.slow?timeout=30s", &[], "{}").await });
    let message = tokio::time::timeout(PATIENCE, asked.next()).await.expect("in time").expect("a message");
    trackside.process().signal("TERM");
    until("new calls to be refused", async || {
        let refused = world.post("/v1/publish/orders.x", &[], r#"{"amount":1}"#).await;
        (refused.status == 503 && refused.body.contains("stopping")).then_some(())
    })
    .await;
    client.publish(message.reply.expect("a reply subject"), r#"{"done":true}"#.into()).await.expect("it is sent");
    let answer = call.await.expect("an answer");
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"done":true}"#));
    assert_eq!(trackside.process().ended().await.code(), Some(0));
}

#[tokio::test]
async fn no_call_is_lost_while_rules_are_replaced() {
    let world = World::new("").await;
    let trackside = world.start().await;
    let over = Arc::new(AtomicBool::new(false));
    let work = (0..4).map(|client| {
        let (at, over) = (world.at.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            let mut calls = 0;
            while !over.load(Ordering::Relaxed) {
                let key = format!("{client}-{calls}");
                let answer =
                    post(&at, "/v1/publish/orders.load", &[("Idempotency-Key", &key)], r#"{"amount":1}"#).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                calls += 1;
            }
            calls
        })
    });
    let work: Vec<_> = work.collect();
    for round in 0..5 {
        let revision = trackside.revision().await;
        world.setup.write("rules/all.toml", format!("# {round}\n{RULES}"));
        trackside.revision_after(&revision).await;
    }
    over.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for client in work {
        calls += client.await.expect("all of them are answered");
    }
    let stored = world.server.stored("CLEAN", calls).await;
    assert_eq!(stored.len(), calls);
    let revisions: std::collections::BTreeSet<_> =
        stored.iter().filter_map(|stored| stored.header("Trackside-Revision")).collect();
    assert!(revisions.len() > 1, "none of it was under way while rules were replaced");
}

#[tokio::test]
async fn a_unix_socket_does_what_an_address_does() {
    let world = World::new("").await;
    let socket = world.setup.path().with_file_name("sidecar.sock");
    let text = std::fs::read_to_string(world.setup.path().join("trackside.toml")).expect("is read");
    let listen = format!("listen = \"unix:{}\"", socket.display());
    world.setup.write("trackside.toml", text.replace(&format!("listen = \"{}\"", world.at), &listen));
    let trackside = Trackside::spawn(world.setup.path(), &world.setup.admin, &[]);
    let request = "POST /v1/publish/orders.unix HTTP/1.1\r\nHost: any.name\r\nConnection: close\r\nContent-Length: 12\r\n\r\n{\"amount\":1}";
    until("the message to be taken", async || {
        let mut stream = UnixStream::connect(&socket).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        (parse(&answer).status == 200).then_some(())
    })
    .await;
    assert_eq!(trackside.drain().await, 0);
    assert!(!socket.exists(), "the file goes with it");
}

#[tokio::test]
async fn hostile_clients_are_bounded_and_others_are_served_meanwhile() {
    let world = World::new("").await;
    let trackside = world.start().await;
    let mut held = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(&world.at).await.expect("it listens");
        let part = match number % 3 {
            0 => "POST /v1/publish/orders.x HTT".to_owned(),
            1 => format!(
                "POST /v1/publish/orders.x?timeout=1s HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000000\r\n\r\n{{",
                world.at
            ),
            _ => format!(
                "POST /v1/publish/orders.x?timeout=1s HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
                world.at
            ),
        };
        stream.write_all(part.as_bytes()).await.expect("it reads");
        held.push(stream);
    }
    until("somebody else to be served", async || {
        let answer = world.post("/v1/publish/orders.other", &[], r#"{"amount":1}"#).await;
        (answer.status == 200).then_some(())
    })
    .await;
    // A head that never ends and bodies that never come are given up.
    for mut stream in held {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is given up");
    }
    let in_flight = "trackside_source_in_flight_bytes{source=\"sidecar\"}";
    until("all places to be free", async || (trackside.metrics().await.get(in_flight) == Some(&0.0)).then_some(()))
        .await;

    let huge = world.post("/v1/publish/orders.x", &[("X-Huge", &"x".repeat(20_000))], r#"{"amount":1}"#).await;
    assert_eq!(huge.status, 431, "{huge:?}");
    let host = &world.at;
    for bad in [
        format!(
            "POST /v1/publish/orders.x HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n"
        ),
        format!(
            "POST /v1/publish/orders.x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}}}"
        ),
        format!(
            "POST /v1/publish/orders.x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\nzz"
        ),
        format!(
            "POST /v1/publish/orders.x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nce-specversion: 1.0\x01\r\nContent-Length: 2\r\n\r\n{{}}"
        ),
        "\0\0\0\0\r\n\r\n".to_owned(),
    ] {
        let answer = raw(&world.at, bad.as_bytes()).await;
        assert!(matches!(answer.status, 0 | 400), "{bad:?}: {answer:?}");
    }
    // Two requests in one go are two messages, and answered in their order.
    let one = |key: u8| {
        let close = if key == 2 { "Connection: close\r\n" } else { "" };
        format!(
            "POST /v1/publish/orders.pipe HTTP/1.1\r\nHost: {host}\r\n{close}Idempotency-Key: p{key}\r\nContent-Length: 12\r\n\r\n{{\"amount\":{key}}}"
        )
    };
    let answers = raw(&world.at, format!("{}{}", one(1), one(2)).as_bytes()).await;
    let at = |key: u8| answers.body.find(&format!("orders.pipe:p{key}")).unwrap_or_else(|| panic!("{answers:?}"));
    assert!(at(1) < at(2), "{answers:?}");
    let stored = world.server.stored("CLEAN", 3).await;
    let payloads: Vec<Value> = stored.iter().map(|stored| stored.json()["amount"].clone()).collect();
    assert_eq!(payloads, [json!(1), json!(1), json!(2)]);
}

/// The code blocks of a language in `docs/sidecar.md`.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let rest = document.split(&begin).skip(1);
    rest.filter_map(|rest| Some(rest.split_once("\n```")?.0.to_owned())).collect()
}

#[tokio::test]
async fn what_the_document_shows_works_as_it_is_written() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sidecar.md");
    let document = std::fs::read_to_string(path).expect("the document");
    let world = World::new("").await;
    let rules: Vec<_> = blocks(&document, "toml").into_iter().filter(|block| block.contains("[[rule]]")).collect();
    world.setup.write("rules/all.toml", rules.join("\n"));
    let mut trackside = world.start().await;
    trackside.ready().await;
    let commands = blocks(&document, "console");
    let run = async |number: usize| {
        let text = commands[number].trim_start_matches("$ ").replace("127.0.0.1:9280", &world.at);
        let output = tokio::process::Command::new("sh").arg("-c").arg(text).output().await.expect("a shell");
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    };
    let shown: Value = serde_json::from_str(&blocks(&document, "json")[0]).expect("it is JSON");
    assert_eq!(run(0).await, shown);
    assert_eq!(run(1).await["messages"][0]["outcomes"][0]["sequence"], 2);
    assert_eq!(commands.len(), 2);
    let stored = world.server.stored("CLEAN", 2).await;
    assert_eq!(
        (stored[0].text(), stored[1].text()),
        (r#"{"amount":12.5,"card":"************1111"}"#, r#"{"amount":1}"#)
    );
    world.answer("service.price.x", r#"{"price":1,"supplier":"secret"}"#).await;
    let answer = world.post("/v1/request/price.x", &[], "{}").await;
    assert!(answer.status == 200 && !answer.body.contains("secret"), "{answer:?}");
}
