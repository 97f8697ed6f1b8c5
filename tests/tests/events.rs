//! CloudEvents in each mode, in and out, over a real server and real services: brought from each mode into the others, and
//! posted in batches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use trackside_tests::app::{App, Seen, Subscriber, ask};
use trackside_tests::http::{Answer, post};
use trackside_tests::{Server, Setup, Stored, Trackside, command_with, free_port, until};

const DURABLE: &str = "trackside-orders";

const STRUCTURED: &str = "application/cloudevents+json";
const BATCHED: &str = "application/cloudevents-batch+json";

/// An event whose data is JSON, in each of the modes that it can have on NATS.
const BINARY: [(&str, &str); 6] = [
    ("ce-specversion", "1.0"),
    ("ce-id", "e1"),
    ("ce-source", "/shop"),
    ("ce-type", "order.created"),
    ("ce-tenant", "a%20%C3%A9"),
    ("Content-Type", "application/json"),
];
const DATA: &str = r#"{"amount": 1.50}"#;
const TEXT: &str = r#"{ "specversion":"1.0","id":"e1","source":"/shop","type":"order.created","tenant":"a é","datacontenttype":"application/json","data":{"amount": 1.50} }"#;

struct World {
    server: Server,
    setup: Setup,
    sidecar: String,
}

impl World {
    /// A stream of orders, others for outputs and letters, and a sidecar that may post to this URL, one request at a time.
    async fn new(app: &str, rules: &str) -> Self {
        Self::with(app, rules, "").await
    }

    /// The same, with further lines for the source.
    async fn with(app: &str, rules: &str, source: &str) -> Self {
        let server = Server::start().await;
        for (stream, subject) in [("ORDERS", "orders.>"), ("CLEAN", "clean.>"), ("DEAD", "dead.>")] {
            server.stream(stream, &[subject]).await;
        }
        let sidecar = format!("127.0.0.1:{}", free_port());
        let setup = Setup::new(
            &server.url(),
            &format!(
                "[sources.orders]\nstream = \"ORDERS\"\ndurable = \"{DURABLE}\"\n{source}[streams.CLEAN]\nsubjects = [\"clean.>\"]\n\
                 [sidecar]\nlisten = \"{sidecar}\"\ndeliver-to = [\"{app}\"]\ndeliver-concurrency = 1\n"
            ),
        );
        setup.write("rules/orders.toml", rules);
        Self { server, setup, sidecar }
    }

    async fn publish(&self, subject: &str, headers: &[(&str, &str)], payload: &str) {
        let mut map = async_nats::HeaderMap::new();
        headers.iter().for_each(|(name, value)| map.append(*name, *value));
        let context = async_nats::jetstream::new(self.server.client().await);
        let stored = context.publish_with_headers(subject.to_owned(), map, payload.to_owned().into()).await;
        stored.expect("the client can publish").await.expect("the stream stores it");
    }

    /// Waits until everything is acknowledged; what is dead by then.
    async fn settled(&self) -> Vec<Stored> {
        self.server.settled("ORDERS", DURABLE).await;
        self.server.stored("DEAD", 0).await
    }

    async fn started(&self) -> Trackside {
        let trackside = Trackside::spawn(self.setup.path(), &self.setup.admin, &[]);
        until("the sidecar to be open", async || {
            tokio::net::TcpStream::connect(&self.sidecar).await.ok()?;
            let probe = post(&self.sidecar, "/v1/publish/nobody.takes.this", &[], "").await;
            (probe.status == 404).then_some(())
        })
        .await;
        trackside
    }
}

/// A rule that takes all orders, with this route and these further lines.
fn rule(name: &str, route: &str, more: &str) -> String {
    format!(
        "[[rule]]\nname = \"{name}\"\nsource = \"orders\"\nsubject = \"orders.>\"\n{more}\n[rule.routes]\ndefault = {route}\n\
         [rule.breaker]\nfailures = 1000\n[rule.on-failure]\ndead-letter = \"dead.{name}\"\ntries = 3\nbackoff = [\"20ms\"]\n"
    )
}

/// A route to a service, in batches.
fn batches(url: &str, more: &str) -> String {
    format!("{{ url = \"{url}/\", events = \"batched\"{more} }}")
}

/// What has to be the same of an event whatever mode it is in.
fn facts(event: &Value) -> Value {
    let of = |name: &str| event[name].clone();
    json!([of("specversion"), of("id"), of("source"), of("type"), of("tenant"), of("datacontenttype"), of("data")])
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn outputs_come_out_in_the_mode_that_their_route_asks_for_whatever_mode_they_came_in() {
    let modes = ["as-they-are", "binary", "structured"];
    let rules: String = modes
        .iter()
        .map(|mode| rule(mode, &format!("{{ subject = \"clean.{mode}.{{subject.2}}\", events = \"{mode}\" }}"), ""))
        .collect();
    let world = World::new("http://127.0.0.1:1", &rules).await;
    world.publish("orders.binary", &BINARY, DATA).await;
    world.publish("orders.structured", &[("Content-Type", STRUCTURED), ("Region", "eu")], TEXT).await;
    world.publish("orders.plain", &[("Region", "eu")], "not json").await;
    let trackside = Trackside::start(&world.setup).await;
    let stored = world.server.stored("CLEAN", 9).await;
    assert_eq!(world.settled().await, []);
    let by_subject: BTreeMap<&str, &Stored> = stored.iter().map(|stored| (stored.subject.as_str(), stored)).collect();
    let out = |mode: &str, came: &str| by_subject[format!("clean.{mode}.{came}").as_str()];

    assert_eq!(out("as-they-are", "binary").text(), DATA);
    assert_eq!(out("as-they-are", "structured").text(), TEXT);
    assert_eq!(out("as-they-are", "plain").text(), "not json");
    assert_eq!(out("as-they-are", "plain").header("ce-id"), None, "it is no event, and nobody wants it to be one");
    for came in ["binary", "structured"] {
        let binary = out("binary", came);
        assert_eq!(binary.text(), DATA, "{came}");
        for (name, value) in BINARY {
            assert_eq!(binary.headers.get(name).map(Vec::as_slice), Some(&[value.to_owned()][..]), "{came}: {name}");
        }
        assert_eq!(binary.header("ce-time"), None, "it has no time, and gets none");
        let structured = out("structured", came);
        assert_eq!(structured.header("Content-Type"), Some(STRUCTURED), "{came}");
        assert_eq!(facts(&structured.json()), facts(&parsed(TEXT)), "{came}: {}", structured.text());
        assert!(structured.text().contains(DATA), "the data stays byte for byte: {}", structured.text());
        assert!(structured.headers.keys().all(|name| !name.starts_with("ce-")), "{:?}", structured.headers);
    }
    assert_eq!(out("structured", "structured").text(), TEXT, "it is in that mode already");
    assert_eq!(out("binary", "structured").header("Region"), Some("eu"), "other headers stay");

    let plain = out("binary", "plain");
    let id = plain.header("Nats-Msg-Id").expect("an id");
    assert_eq!((plain.text(), plain.header("ce-id")), ("not json", Some(id)));
    assert_eq!((plain.header("ce-source"), plain.header("ce-type")), (Some("/trackside/orders"), Some("orders.plain")));
    let plain = out("structured", "plain");
    let event = plain.json();
    assert_eq!(Some(event["id"].as_str().expect("an id")), plain.header("Nats-Msg-Id"));
    assert_eq!((&event["type"], &event["data_base64"]), (&json!("orders.plain"), &json!("bm90IGpzb24=")), "{event}");
    assert!(event["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{event}");
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn what_says_that_it_is_an_event_and_is_not_is_a_dead_letter_where_a_mode_is_asked_for() {
    let rules = [
        rule("kept", "\"clean.kept\"", ""),
        rule("binary", "{ subject = \"clean.binary\", events = \"binary\" }", ""),
        rule("structured", "{ subject = \"clean.structured\", events = \"structured\" }", ""),
    ];
    let world = World::new("http://127.0.0.1:1", &rules.concat()).await;
    world.publish("orders.a", &[("Content-Type", STRUCTURED)], r#"{"id":"1","card":"4111111111111111"}"#).await;
    let _trackside = Trackside::start(&world.setup).await;
    let letters = world.settled().await;
    let mut rules: Vec<_> = letters
        .iter()
        .map(|letter| {
            assert_eq!(letter.header("Trackside-Dead-Class"), Some("route"));
            let reason = letter.header("Trackside-Dead-Reason").expect("a reason");
            assert_eq!(reason, "route default: this is not a CloudEvent: it has no `specversion`");
            letter.header("Trackside-Rule").expect("a rule")
        })
        .collect();
    rules.sort_unstable();
    assert_eq!(rules, ["binary", "structured"]);
    let stored = world.server.stored("CLEAN", 1).await;
    assert_eq!(stored.iter().map(|stored| stored.subject.as_str()).collect::<Vec<_>>(), ["clean.kept"]);
}

#[tokio::test]
async fn services_and_subscribers_get_the_mode_that_their_route_asks_for() {
    let app = App::start(0, async |_| (204, None)).await;
    let url = app.url();
    let rules = [
        rule("binary", &format!("{{ url = \"{url}/binary\", events = \"binary\" }}"), ""),
        rule("structured", &format!("{{ url = \"{url}/structured\", events = \"structured\" }}"), ""),
        rule("batched", &batches(&format!("{url}/batched"), ""), ""),
        rule("subscribed", "{ subscribers = \"orders\", events = \"structured\" }", ""),
    ];
    let world = World::new(&url, &rules.concat()).await;
    world.publish("orders.eu", &[("Content-Type", STRUCTURED), ("Region", "eu"), ("traceparent", TRACE)], TEXT).await;
    let trackside = world.started().await;
    let mut subscriber = Subscriber::subscribe(&world.sidecar, "orders", 1).await;
    let handed = subscriber.next().await.expect("an event");
    assert_eq!(handed["headers"]["Content-Type"], STRUCTURED);
    assert_eq!(facts(&handed["payload"]), facts(&parsed(TEXT)));
    let id = handed["id"].as_str().expect("an id");
    assert_eq!(ask(&world.sidecar, "POST", &format!("/v1/ack/{id}")).await.0, 204);

    app.took(3).await;
    let seen: BTreeMap<String, Seen> = app.seen().into_iter().map(|seen| (seen.path.clone(), seen)).collect();
    let binary = &seen["/binary"];
    assert_eq!((binary.body.as_str(), binary.headers["ce-tenant"].as_str()), (DATA, "a%20%C3%A9"));
    assert_eq!(
        (binary.headers["content-type"].as_str(), binary.headers["region"].as_str()),
        ("application/json", "eu")
    );
    let structured = &seen["/structured"];
    assert_eq!((structured.body.as_str(), structured.headers["content-type"].as_str()), (TEXT, STRUCTURED));
    let batched = &seen["/batched/"];
    assert_eq!(batched.headers["content-type"], BATCHED);
    assert_eq!(batched.headers["trackside-rule"], "batched");
    for name in ["idempotency-key", "nats-msg-id", "trackside-subject", "region", "traceparent", "ce-id"] {
        assert!(!batched.headers.contains_key(name), "a batch has one head: {name}");
    }
    let [event] = parsed(&batched.body).as_array().cloned().expect("a list").try_into().expect("one event");
    assert_eq!(facts(&event), facts(&parsed(TEXT)));
    let ids = (event["tracksideid"].as_str().expect("an id"), event["tracksidesubject"].as_str());
    assert!(ids.0.starts_with("ORDERS:1:") && ids.0.ends_with(":batched:default:0"), "{event}");
    assert_eq!((ids.1, event["traceparent"].as_str()), (Some("orders.eu"), Some(TRACE)));
    assert_eq!(world.settled().await, []);
    assert_eq!(trackside.drain().await, 0);
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn an_event_that_comes_in_in_any_mode_goes_out_in_any_other() {
    let app = App::start(0, async |_| (204, None)).await;
    let url = app.url();
    let rules: String = ["binary", "structured", "batched"]
        .iter()
        .map(|mode| {
            rule(mode, &format!("{{ url = \"{url}/{mode}\", events = \"{mode}\" }}"), "")
                .replace("source = \"orders\"", "source = \"sidecar\"")
        })
        .collect();
    let world = World::new(&url, &rules).await;
    let _trackside = world.started().await;
    let batch = format!("[{TEXT}]");
    let ways: [(&[(&str, &str)], &str); 3] =
        [(&BINARY, DATA), (&[("Content-Type", STRUCTURED)], TEXT), (&[("Content-Type", BATCHED)], &batch)];
    for (headers, body) in ways {
        let answer = post(&world.sidecar, "/v1/publish/orders.x", headers, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let seen = app.seen();
    assert_eq!(seen.len(), 9);
    for Seen { path, headers, body, .. } in &seen {
        if path == "/binary" {
            assert_eq!((headers["ce-tenant"].as_str(), body.as_str()), ("a%20%C3%A9", DATA));
            continue;
        }
        let event = parsed(body);
        let event = if path == "/batched" { &event[0] } else { &event };
        assert_eq!(facts(event), facts(&parsed(TEXT)), "{path}");
        assert!(body.contains(DATA), "{body}");
    }
}

/// A service that keeps its first request until it is let go, and then answers by what `answer` says.
async fn held(answer: impl Fn(&Seen) -> u16 + Send + Sync + 'static) -> (App, Arc<Semaphore>) {
    let (gate, answer) = (Arc::new(Semaphore::new(0)), Arc::new(answer));
    let at_app = Arc::clone(&gate);
    let app = App::start(0, move |seen: Seen| {
        let (gate, answer) = (Arc::clone(&at_app), Arc::clone(&answer));
        async move {
            drop(gate.acquire().await);
            (answer(&seen), None)
        }
    })
    .await;
    (app, gate)
}

/// Publishes one message, and once that is at the service the others; lets the service go when all are under way.
async fn publish_behind(world: &World, trackside: &Trackside, app: &App, gate: &Semaphore, others: &[String]) {
    world.publish("orders.first", &[], "\"first\"").await;
    until("the first request", async || (app.seen().len() == 1).then_some(())).await;
    for (index, payload) in others.iter().enumerate() {
        world.publish(&format!("orders.k{}", index % 4), &[], payload).await;
    }
    let all = others.len() as f64 + 1.0;
    let series = "trackside_source_in_flight_messages{source=\"orders\"}";
    until("all to be under way", async || {
        let metrics = trackside.metrics().await;
        let waiting = ["ready", "waiting", "later"].map(|state| format!("trackside_tasks{{state=\"{state}\"}}"));
        let begun = waiting.iter().all(|series| metrics.get(series) == Some(&0.0));
        (metrics.get(series) == Some(&all) && begun).then_some(())
    })
    .await;
    gate.add_permits(Semaphore::MAX_PERMITS);
}

/// The data of the events of each request that was answered so.
fn requests(app: &App, status: impl Fn(u16) -> bool) -> Vec<Vec<String>> {
    let requests = app.seen().into_iter().filter(|seen| status(seen.status));
    let data = |seen: Seen| {
        let events = parsed(&seen.body);
        let events = events.as_array().expect("a list");
        events.iter().map(|event| event["data"].as_str().expect("a text").to_owned()).collect()
    };
    requests.map(data).collect()
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("\"k{}:{number}\"", number % 4)).collect()
}

#[tokio::test]
async fn what_waits_for_a_service_goes_in_one_request_within_its_bounds_and_alone_where_nothing_else_waits() {
    let (app, gate) = held(|_| 200).await;
    let url = app.url();
    let world = World::new(&url, &rule("orders", &batches(&url, ", batch-events = 5"), "")).await;
    let trackside = Trackside::start(&world.setup).await;
    publish_behind(&world, &trackside, &app, &gate, &numbered(40)).await;
    assert_eq!(world.settled().await, []);
    let requests = requests(&app, |status| status == 200);
    assert_eq!(requests[0], ["first"], "nobody waits for company");
    let sizes: Vec<usize> = requests.iter().map(Vec::len).collect();
    assert!(sizes.iter().all(|size| *size <= 5) && sizes.contains(&5), "{sizes:?}");
    let taken: Vec<&String> = requests.iter().flatten().collect();
    assert_eq!((taken.len(), taken.iter().collect::<BTreeSet<_>>().len()), (41, 41), "each once");
    let series = format!("trackside_service_requests_total{{service=\"{url}\",outcome=\"delivered\"}}");
    trackside.shows(&[(&series, requests.len() as f64)]).await;
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_batch_is_as_long_as_it_may_be_and_what_is_longer_goes_alone() {
    let (app, gate) = held(|_| 200).await;
    let url = app.url();
    let world = World::new(&url, &rule("orders", &batches(&url, ", batch-bytes = \"2KiB\""), "")).await;
    let trackside = Trackside::start(&world.setup).await;
    let mut others = numbered(20);
    others.push(format!("\"{}\"", "x".repeat(4000)));
    publish_behind(&world, &trackside, &app, &gate, &others).await;
    assert_eq!(world.settled().await, []);
    for seen in app.seen() {
        let count = parsed(&seen.body).as_array().expect("a list").len();
        assert!(seen.body.len() <= 2048 || count == 1, "{count} events of {} bytes", seen.body.len());
    }
    let requests = requests(&app, |_| true);
    assert_eq!(requests.iter().flatten().count(), 22);
    assert!(requests.len() < 22, "{requests:?}");
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_refused_batch_costs_nobody_anything_but_what_is_refused_alone_as_well() {
    let (app, gate) = held(|seen| if seen.body.contains("poison") { 422 } else { 200 }).await;
    let url = app.url();
    let world = World::new(&url, &rule("orders", &batches(&url, ""), "")).await;
    let trackside = Trackside::start(&world.setup).await;
    let mut others = numbered(12);
    others.insert(5, "\"poison\"".to_owned());
    publish_behind(&world, &trackside, &app, &gate, &others).await;
    let letters = world.settled().await;
    let [letter] = &letters[..] else { panic!("one is dead: {letters:?}") };
    assert_eq!(letter.text(), "\"poison\"");
    assert_eq!(letter.header("Trackside-Dead-Tries"), Some("1"));
    let refused = requests(&app, |status| status == 422);
    assert!(refused[0].len() > 1 && refused.last().is_some_and(|alone| alone == &["poison"]), "{refused:?}");
    let mut taken: Vec<String> = requests(&app, |status| status == 200).into_iter().flatten().collect();
    taken.sort();
    let mut want: Vec<String> = numbered(12).iter().map(|text| text.trim_matches('"').to_owned()).collect();
    want.push("first".to_owned());
    want.sort();
    assert_eq!(taken, want, "each once");
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_batch_that_fails_is_tried_again_as_a_whole_and_what_fails_alone_is_dead() {
    let (app, gate) = held(|seen| if seen.body.contains("poison") { 503 } else { 200 }).await;
    let url = app.url();
    let world = World::new(&url, &rule("orders", &batches(&url, ""), "")).await;
    let trackside = Trackside::start(&world.setup).await;
    let mut others = numbered(12);
    others.insert(5, "\"poison\"".to_owned());
    publish_behind(&world, &trackside, &app, &gate, &others).await;
    let letters = world.settled().await;
    let [letter] = &letters[..] else { panic!("one is dead: {letters:?}") };
    assert_eq!((letter.text(), letter.header("Trackside-Dead-Tries")), ("\"poison\"", Some("3")));
    let failed = requests(&app, |status| status == 503);
    assert!(failed[0].len() > 1, "they failed together: {failed:?}");
    assert_eq!(failed.last().map(Vec::as_slice), Some(&["poison".to_owned()][..]), "its last try it had alone");
    let taken: Vec<String> = requests(&app, |status| status == 200).into_iter().flatten().collect();
    assert_eq!((taken.len(), taken.iter().collect::<BTreeSet<_>>().len()), (13, 13), "each once: {taken:?}");
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn the_order_of_a_key_is_kept_in_batches_whatever_the_service_answers() {
    const COUNT: usize = 120;
    let count = Arc::new(AtomicUsize::new(0));
    let (app, gate) = held(move |_| if count.fetch_add(1, Ordering::SeqCst) % 3 == 1 { 503 } else { 200 }).await;
    let url = app.url();
    let rule = rule("orders", &batches(&url, ""), "order-by = \"subject.2\"").replace("tries = 3", "tries = 100");
    let world = World::with(&url, &rule, "partitions = 1\n").await;
    for number in 0..COUNT {
        let key = number % 6;
        world.publish(&format!("orders.k{key}"), &[], &format!("\"k{key}:{number}\"")).await;
    }
    let trackside = Trackside::start(&world.setup).await;
    until("the first request", async || (!app.seen().is_empty()).then_some(())).await;
    gate.add_permits(Semaphore::MAX_PERMITS);
    assert_eq!(world.settled().await, []);
    let requests = requests(&app, |status| status == 200);
    assert!(requests.iter().any(|request| request.len() > 1), "some went together");
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for text in requests.into_iter().flatten() {
        let (key, number) = text.split_once(':').expect("a key and a number");
        by_key.entry(key.to_owned()).or_default().push(number.parse().expect("a number"));
    }
    assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), COUNT, "each once");
    for (key, numbers) in &by_key {
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
    }
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn the_outputs_of_one_message_go_in_one_request_in_their_order() {
    let app = App::start(0, async |_| (200, None)).await;
    let url = app.url();
    let split = "[[rule.stage]]\nplugin = \"transform\"\nwith = { jq = \".[]\" }";
    let world = World::new(&url, &rule("orders", &batches(&url, ", batch-events = 3"), split)).await;
    let trackside = Trackside::start(&world.setup).await;
    world.publish("orders.a", &[], r#"["a","b","c","d"]"#).await;
    assert_eq!(world.settled().await, []);
    assert_eq!(requests(&app, |_| true), [vec!["a", "b", "c"], vec!["d"]]);
    assert_eq!(trackside.drain().await, 0);
}

/// Rules by which a request is answered by whoever listens on NATS.
const ASKING: &str = r#"
[[rule]]
name = "ask"
source = "sidecar"
subject = "ask.*"
routes.default = "service.{subject.2}"
on-failure.dead-letter = "dead.ask"

[[rule]]
name = "answers"
source = "sidecar-replies"
subject = "ask.*"
routes.default = "caller:"
on-failure.dead-letter = "dead.answers"
"#;

/// Answers requests: each subject in its own mode.
async fn answering(server: &Server) {
    let client = server.client().await;
    let mut requests = client.subscribe("service.*").await.expect("it can subscribe");
    client.flush().await.expect("the subscription is known");
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let two = format!("[{TEXT},{TEXT}]");
            let (headers, payload): (&[(&str, &str)], &str) = match request.subject.as_str() {
                "service.binary" => (&BINARY, DATA),
                "service.structured" => (&[("Content-Type", STRUCTURED)], TEXT),
                "service.two" => (&[("Content-Type", BATCHED)], &two),
                "service.broken" => (&[("Content-Type", STRUCTURED)], "{}"),
                _ => (&[("Content-Type", "text/plain")], "hello"),
            };
            let mut map = async_nats::HeaderMap::new();
            headers.iter().for_each(|(name, value)| map.append(*name, *value));
            let reply = request.reply.expect("somebody waits");
            client.publish_with_headers(reply, map, payload.to_owned().into()).await.expect("it is sent");
        }
    });
}

#[tokio::test]
async fn an_answer_is_in_the_mode_that_the_call_accepts() {
    let world = World::new("http://127.0.0.1:1", ASKING).await;
    answering(&world.server).await;
    let _trackside = world.started().await;
    let ask = async |subject: &str, accept: &str| -> Answer {
        let headers = [("Accept", accept)];
        let headers = if accept.is_empty() { &[][..] } else { &headers };
        post(&world.sidecar, &format!("/v1/request/ask.{subject}"), headers, "{}").await
    };
    let kind = |answer: &Answer| answer.headers["content-type"].clone();
    for accept in ["", "*/*", "application/json", "application/*;q=0.5, text/html"] {
        for subject in ["binary", "structured"] {
            let answer = ask(subject, accept).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, DATA), "{subject} {accept}");
            assert_eq!(
                (kind(&answer).as_str(), answer.headers["ce-tenant"].as_str()),
                ("application/json", "a%20%C3%A9")
            );
        }
    }
    for subject in ["binary", "structured"] {
        let answer = ask(subject, "application/cloudevents+json, */*").await;
        assert_eq!((answer.status, kind(&answer).as_str()), (200, STRUCTURED), "{answer:?}");
        assert_eq!(facts(&answer.json()), facts(&parsed(TEXT)));
        assert!(!answer.headers.contains_key("ce-id") && answer.body.contains(DATA), "{answer:?}");
        let answer = ask(subject, BATCHED).await;
        assert_eq!((answer.status, kind(&answer).as_str()), (200, BATCHED), "{answer:?}");
        assert_eq!(facts(&answer.json()[0]), facts(&parsed(TEXT)));
    }

    let plain = ask("plain", "*/*").await;
    assert_eq!((plain.body.as_str(), kind(&plain).as_str()), ("hello", "text/plain"));
    assert!(!plain.headers.contains_key("ce-id"), "it is no event, and nobody wants it to be one");
    let plain = ask("plain", STRUCTURED).await;
    let event = plain.json();
    assert_eq!(
        (&event["type"], &event["source"]),
        (&json!("ask.plain"), &json!("/trackside/sidecar-replies")),
        "{event}"
    );
    assert_eq!(
        (&event["data_base64"], &event["datacontenttype"]),
        (&json!("aGVsbG8="), &json!("text/plain")),
        "{event}"
    );

    let two = ask("two", "").await;
    assert_eq!((two.status, kind(&two).as_str()), (200, BATCHED));
    assert_eq!(ask("two", BATCHED).await.json().as_array().map(Vec::len), Some(2));
    let detail = ask("two", STRUCTURED).await.problem(406);
    assert!(detail.ends_with("this is a batch of 2 CloudEvents, where one is needed"), "{detail}");
    assert_eq!(ask("broken", "*/*").await.body, "{}");
    let detail = ask("broken", STRUCTURED).await.problem(502);
    assert_eq!(detail, "there was an answer, and this is not a CloudEvent: it has no `specversion`");

    let refused = ask("plain", "text/html").await;
    assert!(refused.problem(406).contains("media type"), "{refused:?}");
    assert!(refused.json()["id"].is_string(), "{refused:?}");
    // Known before anything is asked: nobody listens there.
    let refused =
        post(&world.sidecar, "/v1/request/ask.a.b", &[("Accept", "application/cloudevents+avro")], "{}").await;
    assert!(refused.problem(406).contains(BATCHED), "{refused:?}");
}

#[tokio::test]
async fn trying_a_message_shows_it_in_the_mode_that_its_route_asks_for() {
    let modes = ["binary", "structured"];
    let rules: String = modes
        .iter()
        .map(|mode| rule(mode, &format!("{{ subject = \"clean.{mode}\", events = \"{mode}\" }}"), ""))
        .chain([rule("batched", &batches("http://127.0.0.1:1", ""), "")])
        .collect();
    let setup = Setup::new(
        "nats://127.0.0.1:1",
        &format!(
            "[sources.orders]\nstream = \"ORDERS\"\ndurable = \"{DURABLE}\"\n[streams.CLEAN]\nsubjects = [\"clean.>\"]\n\
             [sidecar]\nlisten = \"127.0.0.1:{}\"\ndeliver-to = [\"http://127.0.0.1:1\"]\n",
            free_port()
        ),
    );
    setup.write("rules/orders.toml", rules);
    let message = json!({ "subject": "orders.a", "headers": { "Content-Type": STRUCTURED }, "payload": parsed(TEXT) });
    let directory = setup.path().to_str().expect("a name of UTF-8").to_owned();
    let finished = command_with(&["try", "--jsonl", &directory], &[], message.to_string().as_bytes());
    assert_eq!(finished.code, 0, "{finished:?}");
    let lines: Vec<Value> = finished.stdout.lines().map(parsed).collect();
    let of = |rule: &str| lines.iter().find(|line| line["rule"] == rule).unwrap_or_else(|| panic!("{lines:?}"));
    assert_eq!((&of("binary")["payload"], &of("binary")["headers"]["ce-id"]), (&json!({"amount": 1.5}), &json!("e1")));
    assert_eq!(facts(&of("structured")["payload"]), facts(&parsed(TEXT)));
    assert_eq!(of("structured")["headers"]["Content-Type"], STRUCTURED);
    assert_eq!(facts(&of("batched")["payload"][0]), facts(&parsed(TEXT)));
    assert_eq!(of("batched")["headers"]["Content-Type"], BATCHED);
}
