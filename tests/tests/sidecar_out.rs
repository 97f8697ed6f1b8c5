//! Messages on their way out to services that know HTTP and nothing else, over a real server: posted to, and subscribing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::Semaphore;
use trackside_tests::app::{self, App, Seen, Subscriber, ask};
use trackside_tests::{Authority, Server, Setup, Stored, Trackside, free_port, until};

const DURABLE: &str = "trackside-orders";

/// A world with a stream of orders and one of dead letters, a sidecar that may post to this URL, and this rule.
async fn world(app: &str, rule: &str) -> World {
    let server = Server::start().await;
    server.stream("ORDERS", &["orders.>"]).await;
    server.stream("CLEAN", &["clean.>"]).await;
    server.stream("DEAD", &["dead.>"]).await;
    let sidecar = format!("127.0.0.1:{}", free_port());
    let setup = Setup::new(
        &server.url(),
        &format!(
            "[sources.orders]\nstream = \"ORDERS\"\ndurable = \"{DURABLE}\"\npartitions = 1\nack-wait = \"5s\"\n\
             [streams.CLEAN]\nsubjects = [\"clean.>\"]\n\
             [sidecar]\nlisten = \"{sidecar}\"\ndeliver-to = [\"{app}\"]\ndeliver-concurrency = 4\n"
        ),
    );
    let world = World { server, setup, sidecar };
    world.rule(rule);
    world
}

struct World {
    server: Server,
    setup: Setup,
    sidecar: String,
}

impl World {
    fn rule(&self, rule: &str) {
        self.setup.write(
            "rules/orders.toml",
            format!("[[rule]]\nname = \"orders\"\nsource = \"orders\"\nsubject = \"orders.>\"\n{rule}"),
        );
    }

    async fn publish(&self, subject: &str, payload: &str) {
        self.publish_with(subject, &[], payload).await;
    }

    async fn publish_with(&self, subject: &str, headers: &[(&str, &str)], payload: &str) {
        let mut map = async_nats::HeaderMap::new();
        headers.iter().for_each(|(name, value)| map.append(*name, *value));
        let context = async_nats::jetstream::new(self.server.client().await);
        let stored = context.publish_with_headers(subject.to_owned(), map, payload.to_owned().into()).await;
        stored.expect("the client can publish").await.expect("the stream stores it");
    }

    /// Publishes numbered messages of so many keys: `orders.KEY` with the payload `KEY:NUMBER`.
    async fn produce(&self, numbers: std::ops::Range<usize>, keys: usize) {
        let context = async_nats::jetstream::new(self.server.client().await);
        for number in numbers {
            let key = number % keys;
            let stored = context.publish(format!("orders.k{key}"), format!("k{key}:{number}").into()).await;
            stored.expect("the client can publish").await.expect("the stream stores it");
        }
    }

    /// Waits until everything is acknowledged; what is dead by then.
    async fn settled(&self) -> Vec<Stored> {
        self.server.settled("ORDERS", DURABLE).await;
        self.server.stored("DEAD", 0).await
    }
}

fn reason(letter: &Stored) -> &str {
    letter.header("Trackside-Dead-Reason").expect("a reason")
}

/// Why it is not ready, once it says why.
async fn unready(trackside: &Trackside, with: &str) -> String {
    until(&format!("it to be unready with {with:?}"), async || {
        let (status, body) = trackside.admin("GET", "/readyz").await;
        (status == 503 && body.contains(with)).then_some(body)
    })
    .await
}

/// Waits until the admin API answers.
async fn started(setup: &Setup) -> Trackside {
    let trackside = Trackside::spawn(setup.path(), &setup.admin, &[]);
    until("the admin API", async || tokio::net::TcpStream::connect(&setup.admin).await.ok()).await;
    trackside
}

/// Asserts that of each key the numbers come in order, and that all of them are there.
fn assert_in_order(bodies: &[String], count: usize) {
    let mut by_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for body in bodies {
        let (key, number) = body.split_once(':').expect("a key and a number");
        by_key.entry(key).or_default().push(number.parse().expect("a number"));
    }
    for (key, numbers) in &by_key {
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
    }
    let all: BTreeSet<usize> = by_key.into_values().flatten().collect();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_is_posted_with_its_headers_and_acknowledged_after_success() {
    let app = App::start(0, async |_| (204, None)).await;
    let url = app.url();
    let world = world(
        &url,
        &format!(
            "[rule.routes]\ndefault = \"{url}/orders/{{subject.2}}?id={{json:$.id}}\"\n\
             [rule.on-failure]\ndead-letter = \"dead.orders\"\n"
        ),
    )
    .await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [
        ("traceparent", trace),
        ("ce-id", "7"),
        ("ce-specversion", "1.0"),
        ("Region", "eu"),
        ("Authorization", "Bearer of-somebody"),
        ("Transfer-Encoding", "chunked"),
        ("Nats-Msg-Id", "of-the-producer"),
    ];
    world.publish_with("orders.eu", &headers, "{ \"id\": \"a/b\", \"n\": 1.50 }").await;
    let trackside = Trackside::start(&world.setup).await;
    assert_eq!(app.took(1).await, ["{ \"id\": \"a/b\", \"n\": 1.50 }"]);
    let Seen { path, headers, .. } = app.seen().remove(0);
    assert_eq!(path, "/orders/eu?id=a%2Fb");
    let header = |name: &str| headers.get(name).map(String::as_str);
    assert_eq!(header("traceparent"), Some(trace));
    assert_eq!((header("ce-id"), header("region")), (Some("7"), Some("eu")));
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!((header("authorization"), header("transfer-encoding")), (None, None));
    assert_eq!((header("trackside-rule"), header("trackside-subject")), (Some("orders"), Some("orders.eu")));
    assert_eq!(header("trackside-revision"), Some(trackside.revision().await.as_str()));
    let id = header("nats-msg-id").expect("an id");
    assert!(id.starts_with("ORDERS:1:") && id.ends_with(":orders:default:0"), "{id}");
    assert_eq!(header("idempotency-key"), Some(id));
    assert_eq!(world.settled().await, []);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn an_event_can_be_posted_in_structured_mode() {
    let app = App::start(0, async |_| (200, None)).await;
    let url = app.url();
    let world = world(
        &url,
        &format!("[rule.routes]\ndefault = {{ url = \"{url}/\", events = \"structured\" }}\n[rule.on-failure]\ndead-letter = \"dead.orders\"\n"),
    )
    .await;
    world.publish_with("orders.eu", &[("ce-type", "order.created"), ("ce-tenant", "t%201")], "{\"n\": 1.50}").await;
    let _trackside = Trackside::start(&world.setup).await;
    let body = app.took(1).await.remove(0);
    assert!(body.ends_with(",\"data\":{\"n\": 1.50}}"), "the payload stays byte for byte: {body}");
    let event: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(event["type"], "order.created");
    assert_eq!(event["tenant"], "t 1");
    assert_eq!((&event["specversion"], &event["source"]), (&json!("1.0"), &json!("/trackside/orders")));
    let seen = app.seen().remove(0);
    assert_eq!(event["id"], seen.headers["idempotency-key"]);
    assert_eq!(seen.headers["content-type"], "application/cloudevents+json");
    assert!(!seen.headers.contains_key("ce-type"));
}

#[tokio::test]
async fn each_class_of_answers_has_its_own_end() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&tries);
    let app = App::start(0, move |seen: Seen| {
        let tries = Arc::clone(&counting);
        async move {
            match seen.path.as_str() {
                "/once" => (if tries.fetch_add(1, Ordering::SeqCst) == 0 { 500 } else { 200 }, None),
                path => (path.trim_start_matches('/').parse().expect("a status"), None),
            }
        }
    })
    .await;
    let url = app.url();
    let world = world(
        &url,
        &format!(
            "[rule.routes]\ndefault = \"{url}/{{subject.2}}\"\n[rule.breaker]\nfailures = 100\n\
             [rule.on-failure]\ndead-letter = \"dead.orders\"\ntries = 3\nbackoff = [\"50ms\"]\n"
        ),
    )
    .await;
    for answer in ["200", "202", "once", "404", "422", "408", "307", "503", "429"] {
        world.publish(&format!("orders.{answer}"), "{\"card\":\"4111111111111111\"}").await;
    }
    let trackside = Trackside::start(&world.setup).await;
    let mut posted: BTreeMap<String, usize> = BTreeMap::new();
    let letters = world.settled().await;
    app.seen().into_iter().for_each(|seen| *posted.entry(seen.path).or_default() += 1);
    let want = [("/200", 1), ("/202", 1), ("/307", 1), ("/404", 1), ("/408", 1), ("/422", 1)];
    let want = want.into_iter().chain([("/429", 3), ("/503", 3), ("/once", 2)]);
    assert_eq!(posted, want.map(|(path, times)| (path.to_owned(), times)).collect());
    let requests =
        |outcome: &str| format!("trackside_service_requests_total{{service=\"{url}\",outcome=\"{outcome}\"}}");
    let outputs = |outcome: &str| {
        format!("trackside_route_outputs_total{{rule=\"orders\",route=\"default\",outcome=\"{outcome}\"}}")
    };
    let tries = |outcome: &str| format!("trackside_rule_tries_total{{rule=\"orders\",outcome=\"{outcome}\"}}");
    for (series, value) in [
        (requests("delivered"), 3.0),
        (requests("refused"), 4.0),
        (requests("retried"), 7.0),
        (outputs("confirmed"), 3.0),
        (outputs("failed"), 11.0),
        (tries("published"), 3.0),
        (tries("dead-lettered"), 6.0),
        (tries("retried"), 5.0),
    ] {
        trackside.shows(&[(&series, value)]).await;
    }
    let dead: BTreeMap<&str, (&str, &str)> = letters
        .iter()
        .map(|letter| {
            let about = (letter.header("Trackside-Dead-Tries").expect("tries"), reason(letter));
            (letter.header("Trackside-Dead-Subject").expect("a subject"), about)
        })
        .collect();
    let subjects = ["orders.307", "orders.404", "orders.408", "orders.422", "orders.429", "orders.503"];
    assert_eq!(dead.keys().copied().collect::<Vec<_>>(), subjects);
    assert_eq!(dead["orders.422"], ("1", format!("the service at {url} answered 422 Unprocessable Entity").as_str()));
    assert_eq!(dead["orders.503"].0, "3");
    let log = trackside.log();
    assert!(!log.contains("4111111111111111") && !log.contains("secret-body"), "{log}");
    assert!(letters.iter().all(|letter| letter.header("Trackside-Dead-Class") == Some("publish")));
}

#[tokio::test]
async fn retry_after_is_honoured_and_the_service_is_left_alone_meanwhile() {
    let first = Arc::new(AtomicUsize::new(0));
    let app = App::start(0, move |_| {
        let number = first.fetch_add(1, Ordering::SeqCst);
        async move { if number == 0 { (429, Some("2".to_owned())) } else { (200, None) } }
    })
    .await;
    let url = app.url();
    let world = world(
        &url,
        &format!(
            "[rule.routes]\ndefault = \"{url}/\"\n[rule.on-failure]\ndead-letter = \"dead.orders\"\ntries = 2\nbackoff = [\"10ms\"]\n"
        ),
    )
    .await;
    world.publish("orders.a", "first").await;
    let _trackside = Trackside::start(&world.setup).await;
    until("the first request to be answered", async || app.seen().first().filter(|seen| seen.status == 429).map(drop))
        .await;
    world.publish("orders.b", "second").await;
    app.took(2).await;
    let seen = app.seen();
    assert_eq!(seen.len(), 3, "nothing came that had been told not to");
    for later in &seen[1..] {
        assert!(later.at - seen[0].at >= Duration::from_secs(2), "{:?}", later.at - seen[0].at);
    }
    assert_eq!(world.settled().await, []);
}

#[tokio::test]
async fn the_order_of_a_key_is_kept_whatever_the_service_answers() {
    const COUNT: usize = 120;
    let requests = Arc::new(AtomicUsize::new(0));
    let app = App::start(0, move |_| {
        let number = requests.fetch_add(1, Ordering::SeqCst);
        async move {
            // Not all take as long, so that they would overtake each other if they could.
            for _ in 0..number % 7 {
                tokio::task::yield_now().await;
            }
            (if number.is_multiple_of(3) { 503 } else { 200 }, None)
        }
    })
    .await;
    let url = app.url();
    let world = world(
        &url,
        &format!(
            "order-by = \"subject.2\"\n[rule.routes]\ndefault = \"{url}/\"\n[rule.breaker]\nfailures = 1000000\n\
             [rule.on-failure]\ndead-letter = \"dead.orders\"\ntries = 100\nbackoff = [\"5ms\", \"20ms\"]\n"
        ),
    )
    .await;
    world.produce(0..COUNT, 5).await;
    let trackside = Trackside::start(&world.setup).await;
    assert_eq!(world.settled().await, []);
    let taken = app.taken();
    assert_eq!(taken.len(), COUNT, "each once");
    assert_in_order(&taken, COUNT);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn messages_wait_for_a_service_that_is_not_there_and_lose_no_try_by_it() {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    // One try: whatever counted as one would make a dead letter.
    let rule = format!(
        "order-by = \"subject.2\"\n[rule.routes]\ndefault = \"{url}/\"\n\
         [rule.on-failure]\ndead-letter = \"dead.orders\"\ntries = 1\nbackoff = [\"10ms\"]\n"
    );
    let world = world(&url, &rule).await;
    world.produce(0..20, 3).await;
    let mut trackside = started(&world.setup).await;
    let told = unready(&trackside, "service http://127.0.0.1").await;
    assert!(told.contains("Connection refused"), "{told}");
    until("the messages to be taken in", async || {
        let metrics = trackside.metrics().await;
        (metrics.get("trackside_source_in_flight_messages{source=\"orders\"}") == Some(&20.0)).then_some(())
    })
    .await;
    assert_eq!(trackside.log().matches("the service is not there").count(), 1, "{}", trackside.log());

    let app = App::start(port, async |_| (200, None)).await;
    app.took(20).await;
    trackside.ready().await;
    assert_eq!(world.settled().await, []);
    let _ = app.kill();

    // It goes while nothing is under way, and comes again.
    world.produce(20..40, 3).await;
    unready(&trackside, "service http://127.0.0.1").await;
    let app = App::start(port, async |_| (200, None)).await;
    let taken = app.took(20).await;
    assert_eq!(world.settled().await, []);
    let all: Vec<String> = (0..20).map(|number| format!("k{}:{number}", number % 3)).chain(taken).collect();
    assert_in_order(&all, 40);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn nothing_is_lost_when_the_service_dies_under_load_and_comes_again() {
    const COUNT: usize = 600;
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let rule = format!(
        "order-by = \"subject.2\"\n[rule.routes]\ndefault = \"{url}/\"\n[rule.breaker]\nfailures = 3\nopen-for = \"50ms\"\n\
         [rule.on-failure]\ndead-letter = \"dead.orders\"\ntries = 20\nbackoff = [\"20ms\"]\n"
    );
    let world = world(&url, &rule).await;
    let mut taken = Vec::new();
    let trackside = started(&world.setup).await;
    let producing = world.produce(0..COUNT, 7);
    let serving = async {
        for _ in 0..3 {
            let app = App::start(port, async |_| (200, None)).await;
            app.took(60).await;
            // With requests under way: their connections are closed.
            taken.extend(app::taken(app.kill()));
        }
        let app = App::start(port, async |_| (200, None)).await;
        until("everything to come through", async || {
            let all: BTreeSet<String> = taken.iter().cloned().chain(app.taken()).collect();
            (all.len() == COUNT).then_some(())
        })
        .await;
        app
    };
    let ((), app) = tokio::join!(producing, serving);
    assert_eq!(world.settled().await, []);
    assert!(trackside.log().matches("the service is not there").count() >= 2, "it was away again and again");
    drop(app);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_service_has_no_more_requests_at_a_time_than_it_may_have() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let (at_app, most_at_app, gate_at_app) = (Arc::clone(&running), Arc::clone(&most), Arc::clone(&gate));
    let app = App::start(0, move |_| {
        let (running, most, gate) = (Arc::clone(&at_app), Arc::clone(&most_at_app), Arc::clone(&gate_at_app));
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            drop(gate.acquire().await);
            running.fetch_sub(1, Ordering::SeqCst);
            (200, None)
        }
    })
    .await;
    let url = app.url();
    let rule = format!("[rule.routes]\ndefault = \"{url}/\"\n[rule.on-failure]\ndead-letter = \"dead.orders\"\n");
    let world = world(&url, &rule).await;
    world.produce(0..40, 40).await;
    let trackside = Trackside::start(&world.setup).await;
    until("as many requests as there may be", async || (running.load(Ordering::SeqCst) == 4).then_some(())).await;
    until("all messages to be taken in", async || {
        let metrics = trackside.metrics().await;
        (metrics.get("trackside_source_in_flight_messages{source=\"orders\"}") == Some(&40.0)).then_some(())
    })
    .await;
    gate.add_permits(Semaphore::MAX_PERMITS);
    app.took(40).await;
    assert_eq!(most.load(Ordering::SeqCst), 4);
    assert_eq!(world.settled().await, []);
}

#[tokio::test]
async fn a_service_that_does_not_answer_costs_a_try_and_no_more() {
    let app = App::start(0, async |_| std::future::pending().await).await;
    let url = app.url();
    let rule = format!(
        "[rule.routes]\ndefault = {{ url = \"{url}/\", timeout = \"100ms\" }}\n\
         [rule.on-failure]\ndead-letter = \"dead.orders\"\ntries = 2\nbackoff = [\"10ms\"]\n"
    );
    let world = world(&url, &rule).await;
    world.publish("orders.a", "x").await;
    let _trackside = Trackside::start(&world.setup).await;
    let letters = world.server.stored("DEAD", 1).await;
    assert_eq!(reason(&letters[0]), format!("the service at {url} did not answer within 100ms"));
    assert_eq!(letters[0].header("Trackside-Dead-Tries"), Some("2"));
    assert_eq!(app.seen().len(), 2);
}

#[tokio::test]
async fn a_reload_leads_what_waits_for_a_service_elsewhere() {
    let app = App::start(0, async |_| (200, None)).await;
    let gone = format!("http://127.0.0.1:{}", free_port());
    let rule = |url: &str| {
        format!(
            "order-by = \"subject.2\"\n[rule.routes]\ndefault = \"{url}/\"\n\
             [rule.on-failure]\ndead-letter = \"dead.orders\"\ntries = 1\nbackoff = [\"10ms\"]\n"
        )
    };
    let world = world(&format!("{}\", \"{gone}", app.url()), &rule(&app.url())).await;
    let mut trackside = Trackside::start(&world.setup).await;
    world.produce(0..30, 3).await;
    app.took(30).await;
    let before = trackside.revision().await;
    world.rule(&rule(&gone));
    let at_gone = trackside.revision_after(&before).await;
    unready(&trackside, "Connection refused").await;
    world.produce(30..60, 3).await;
    until("the messages to be taken in", async || {
        let metrics = trackside.metrics().await;
        (metrics.get("trackside_source_in_flight_messages{source=\"orders\"}") == Some(&30.0)).then_some(())
    })
    .await;
    world.rule(&rule(&app.url()));
    trackside.revision_after(&at_gone).await;
    assert_in_order(&app.took(60).await, 60);
    assert_eq!(world.settled().await, []);
    trackside.ready().await;
}

#[tokio::test]
async fn a_drain_waits_for_the_answers_under_way_and_hands_the_rest_back() {
    let (gate, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (gate_at_app, running_at_app) = (Arc::clone(&gate), Arc::clone(&running));
    let app = App::start(0, move |_| {
        let gate = Arc::clone(&gate_at_app);
        running_at_app.fetch_add(1, Ordering::SeqCst);
        async move {
            drop(gate.acquire().await);
            (200, None)
        }
    })
    .await;
    let url = app.url();
    let rule = format!(
        "order-by = \"subject.2\"\n[rule.routes]\ndefault = {{ url = \"{url}/\", timeout = \"1m\" }}\n\
         [rule.on-failure]\ndead-letter = \"dead.orders\"\n"
    );
    let world = world(&url, &rule).await;
    world.produce(0..2, 2).await;
    let trackside = Trackside::start(&world.setup).await;
    until("two requests under way", async || (running.load(Ordering::SeqCst) == 2).then_some(())).await;
    let releasing = async {
        until("it to be draining", async || {
            let mut stream = tokio::net::TcpStream::connect(&world.setup.admin).await.ok()?;
            let asked = tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /readyz HTTP/1.0\r\n\r\n").await;
            asked.ok()?;
            let mut answer = String::new();
            tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.ok()?;
            answer.contains("draining").then_some(())
        })
        .await;
        gate.add_permits(Semaphore::MAX_PERMITS);
    };
    let (code, ()) = tokio::join!(trackside.drain(), releasing);
    assert_eq!(code, 0);
    assert_eq!(app.taken().len(), 2);
    assert_eq!(world.server.unsettled("ORDERS", DURABLE).await, (0, 0), "both were acknowledged");
}

const SUBSCRIBED: &str = "order-by = \"subject.2\"\n[rule.routes]\ndefault = { subscribers = \"orders\", ack-wait = \"1s\" }\n\
    [rule.on-failure]\ndead-letter = \"dead.orders\"\ntries = 5\nbackoff = [\"10ms\"]\n";

async fn answer(world: &World, event: &serde_json::Value, query: &str) -> u16 {
    let id = event["id"].as_str().expect("an id");
    ask(&world.sidecar, "POST", &format!("/v1/ack/{id}{query}")).await.0
}

#[tokio::test]
async fn a_subscriber_gets_messages_and_they_are_acknowledged_after_it_says_so() {
    let world = world("http://127.0.0.1:1", SUBSCRIBED).await;
    let headers =
        [("Region", "eu"), ("Authorization", "Bearer of-somebody"), ("cookie", "a=b"), ("Tag", "1"), ("Tag", "2")];
    world.publish_with("orders.eu", &headers, "{ \"n\": 1.50,\n \"text\": \"a b\" }").await;
    let mut trackside = started(&world.setup).await;
    unready(&trackside, "subscription orders: nobody subscribes").await;
    let mut subscriber = Subscriber::subscribe(&world.sidecar, "orders", 1).await;
    trackside.ready().await;
    let event = subscriber.next().await.expect("an event");
    assert_eq!(event["payload"].to_string(), "{\"n\":1.50,\"text\":\"a b\"}".replace("1.50", "1.5"));
    assert_eq!((&event["subject"], &event["headers"]["Region"]), (&json!("orders.eu"), &json!("eu")));
    assert_eq!(event["headers"]["Tag"], json!(["1", "2"]));
    assert_eq!((event["headers"].get("Authorization"), event["headers"].get("cookie")), (None, None), "{event}");
    assert!(event["message-id"].as_str().is_some_and(|id| id.ends_with(":orders:default:0")), "{event}");
    assert_eq!(world.server.unsettled("ORDERS", DURABLE).await.0, 1, "nobody has acknowledged it");
    assert_eq!(answer(&world, &event, "").await, 204);
    assert_eq!(world.settled().await, []);
    assert_eq!(answer(&world, &event, "").await, 410);

    world.publish("orders.eu", "not json").await;
    let event = subscriber.next().await.expect("an event");
    assert_eq!(event["payload-base64"], "bm90IGpzb24=");
    assert_eq!(answer(&world, &event, "?verdict=reject").await, 204);
    let letters = world.server.stored("DEAD", 1).await;
    assert_eq!(reason(&letters[0]), "a subscriber of `orders` rejected the message");

    let (status, body) = ask(&world.sidecar, "GET", "/v1/subscribe/nothing").await;
    assert_eq!(status, 404);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&body).expect("JSON")["status"], 404);
    for (method, path, status) in [
        ("POST", "/v1/ack/orders-000000000000-1", 410),
        ("POST", "/v1/ack/others-000000000000-1", 404),
        ("POST", "/v1/ack/orders", 404),
        ("POST", "/v1/ack/orders-000000000000-1?verdict=maybe", 400),
        ("GET", "/v1/subscribe/orders?max-in-flight=0", 400),
        ("GET", "/v1/subscribe/orders?x=y", 400),
        ("GET", "/v1/ack/x", 405),
        ("GET", "/v1/other", 404),
    ] {
        assert_eq!(ask(&world.sidecar, method, path).await.0, status, "{method} {path}");
    }
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn what_a_subscriber_loses_or_leaves_lying_goes_to_the_next_one_in_order() {
    const COUNT: usize = 40;
    let world = world("http://127.0.0.1:1", SUBSCRIBED).await;
    world.produce(0..COUNT, 4).await;
    let _trackside = started(&world.setup).await;
    let mut lost = Subscriber::subscribe(&world.sidecar, "orders", 2).await;
    let first = lost.next().await.expect("an event");
    lost.next().await.expect("another one");
    drop(lost);
    let mut subscriber = Subscriber::subscribe(&world.sidecar, "orders", 8).await;
    let (mut taken, mut asked, mut lying, mut again) = (Vec::new(), BTreeSet::new(), None, None);
    while taken.len() < COUNT {
        let event = subscriber.next().await.expect("an event");
        let body = String::from_utf8(
            base64::Engine::decode(
                &base64::engine::general_purpose::STANDARD,
                event["payload-base64"].as_str().expect("a payload"),
            )
            .expect("Base64"),
        )
        .expect("text");
        if body == "k1:5" && lying.is_none() {
            lying = Some((event, Instant::now()));
            continue;
        }
        if body == "k1:5" {
            again = Some(Instant::now());
        }
        // Every third is wanted again once.
        let number: usize = body.split(':').nth(1).and_then(|number| number.parse().ok()).expect("a number");
        if number.is_multiple_of(3) && asked.insert(number) {
            assert_eq!(answer(&world, &event, "?verdict=retry&after=20ms").await, 204);
            continue;
        }
        assert_eq!(answer(&world, &event, "").await, 204);
        taken.push(body);
    }
    assert_eq!(answer(&world, &first, "").await, 410, "what its subscriber had lost is no longer its to answer");
    let (event, since) = lying.expect("it was left lying");
    assert!(again.expect("it came again") - since >= Duration::from_secs(1));
    assert_eq!(answer(&world, &event, "").await, 410);
    assert_in_order(&taken, COUNT);
    assert_eq!(world.settled().await, []);
}

#[tokio::test]
async fn what_is_never_acknowledged_costs_its_tries_and_no_place_of_its_subscriber() {
    let rule = "[rule.routes]\ndefault = { subscribers = \"orders\", ack-wait = \"300ms\" }\n\
                [rule.breaker]\nfailures = 100\n\
                [rule.on-failure]\ndead-letter = \"dead.orders\"\ntries = 3\nbackoff = [\"1s\"]\n";
    let world = world("http://127.0.0.1:1", rule).await;
    world.publish("orders.eu", "\"of-nobody-else\"").await;
    let trackside = started(&world.setup).await;
    // It has one place, and answers nothing: each try needs that place again.
    let mut subscriber = Subscriber::subscribe(&world.sidecar, "orders", 1).await;
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(subscriber.next().await.expect("an event"));
    }
    assert!(events.iter().all(|event| event["message-id"] == events[0]["message-id"]), "{events:?}");
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), 3, "each is answered by an id of its own");
    let letters = world.server.stored("DEAD", 1).await;
    let why = "no subscriber of `orders` acknowledged the message within 300ms";
    assert_eq!((letters.len(), reason(&letters[0])), (1, why));
    assert_eq!(answer(&world, &events[2], "").await, 410);

    // The place is free for what comes after it.
    world.publish("orders.us", "2").await;
    let event = subscriber.next().await.expect("an event");
    assert_eq!(event["payload"], 2, "{event}");
    assert_eq!(answer(&world, &event, "").await, 204);
    assert_eq!(world.settled().await.len(), 1);
    let log = trackside.log();
    let said = log.lines().find(|line| line.contains(why)).unwrap_or_else(|| panic!("it is logged: {log}"));
    for part in ["orders", "ORDERS:1:", trackside.revision().await.as_str()] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!log.contains("of-nobody-else"), "no payload is logged: {log}");
}

#[tokio::test]
async fn several_subscribers_share_and_one_that_stalls_does_not_hold_up_another_rule() {
    let world = world("http://127.0.0.1:1", "").await;
    world.setup.write(
        "rules/orders.toml",
        "[[rule]]\nname = \"pulled\"\nsource = \"orders\"\nsubject = \"orders.>\"\n[rule.routes]\n\
         default = { subscribers = \"orders\", ack-wait = \"1m\" }\n[rule.on-failure]\ndead-letter = \"dead.orders\"\n\
         [[rule]]\nname = \"clean\"\nsource = \"orders\"\nsubject = \"orders.>\"\n[rule.routes]\ndefault = \"clean.orders\"\n\
         [rule.on-failure]\ndead-letter = \"dead.orders\"\n",
    );
    world.produce(0..10, 10).await;
    let trackside = started(&world.setup).await;
    let mut stalled = Subscriber::subscribe(&world.sidecar, "orders", 3).await;
    for _ in 0..3 {
        stalled.next().await.expect("an event");
    }
    assert_eq!(world.server.stored("CLEAN", 10).await.len(), 10, "the other rule goes on");
    let shown = async |subscribers: f64, waiting: f64, in_flight: f64| {
        let series = ["subscribers", "waiting_messages", "in_flight_messages"]
            .map(|what| format!("trackside_subscription_{what}{{subscription=\"orders\"}}"));
        trackside.shows(&[(&series[0], subscribers), (&series[1], waiting), (&series[2], in_flight)]).await;
    };
    shown(1.0, 7.0, 3.0).await;
    let mut other = Subscriber::subscribe(&world.sidecar, "orders", 1).await;
    for _ in 0..7 {
        let event = other.next().await.expect("an event");
        assert_eq!(answer(&world, &event, "").await, 204);
    }
    assert_eq!(world.server.unsettled("ORDERS", DURABLE).await.0, 3);
    shown(2.0, 0.0, 3.0).await;
    drop(stalled);
    for _ in 0..3 {
        let event = other.next().await.expect("an event");
        assert_eq!(answer(&world, &event, "").await, 204);
    }
    assert_eq!(world.settled().await, []);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_drain_waits_for_what_subscribers_have_and_hands_the_rest_back() {
    let world = world("http://127.0.0.1:1", &SUBSCRIBED.replace("\"1s\"", "\"1m\"")).await;
    world.produce(0..6, 6).await;
    let trackside = started(&world.setup).await;
    let mut subscriber = Subscriber::subscribe(&world.sidecar, "orders", 2).await;
    let events = [subscriber.next().await.expect("an event"), subscriber.next().await.expect("another one")];
    let answering = async {
        until("it to drain", async || {
            ask(&world.setup.admin, "GET", "/readyz").await.1.contains("draining").then_some(())
        })
        .await;
        assert_eq!(ask(&world.sidecar, "GET", "/v1/subscribe/orders?max-in-flight=1").await.0, 503);
        for event in &events {
            assert_eq!(answer(&world, event, "").await, 204);
        }
        assert_eq!(subscriber.next().await, None, "the stream ends in good order");
    };
    let (code, ()) = tokio::join!(trackside.drain(), answering);
    assert_eq!(code, 0);
    until("the rest to be handed back", async || {
        let (delivered, waiting) = world.server.unsettled("ORDERS", DURABLE).await;
        (delivered as u64 + waiting == 4).then_some(())
    })
    .await;
    let _next = started(&world.setup).await;
    let mut subscriber = Subscriber::subscribe(&world.sidecar, "orders", 4).await;
    for _ in 0..4 {
        let event = subscriber.next().await.expect("an event");
        assert_eq!(answer(&world, &event, "").await, 204);
    }
    assert_eq!(world.settled().await, []);
}

/// The code blocks of a language in `docs/sidecar-out.md`.
fn blocks<'d>(document: &'d str, language: &str) -> Vec<&'d str> {
    let begin = format!("```{language}\n");
    document.split(&begin).skip(1).filter_map(|rest| Some(rest.split_once("\n```")?.0)).collect()
}

#[tokio::test]
async fn what_the_document_shows_works_as_it_is_written() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sidecar-out.md");
    let document = std::fs::read_to_string(path).expect("the document");
    let app = App::start(0, async |_| (204, None)).await;
    let world = world(&app.url(), "").await;
    let document = document.replace("http://127.0.0.1:8080", &app.url()).replace("127.0.0.1:9280", &world.sidecar);
    let [table, rules @ ..] = &blocks(&document, "toml")[..] else { panic!("there is a table") };
    let setup = std::fs::read_to_string(world.setup.path().join("trackside.toml")).expect("the configuration");
    let (before, _) = setup.split_once("[sidecar]").expect("it has a sidecar");
    world.setup.write("trackside.toml", format!("{before}{table}\n"));
    world.setup.write("rules/orders.toml", rules.join("\n"));
    world.publish("orders.created", "{\"amount\": 1.50}").await;
    let trackside = started(&world.setup).await;
    assert_eq!(app.took(1).await, ["{\"amount\": 1.50}"]);
    assert_eq!(app.seen()[0].path, "/orders/created");

    let commands: Vec<_> = blocks(&document, "console").iter().map(|text| text.trim_start_matches("$ ")).collect();
    let [subscribe, acknowledge] = commands[..] else { panic!("there are two commands: {commands:?}") };
    let mut shell = tokio::process::Command::new("sh");
    shell.arg("-c").arg(format!("exec {subscribe}")).stdout(std::process::Stdio::piped()).kill_on_drop(true);
    let mut subscriber = shell.spawn().expect("a shell");
    let mut lines = BufReader::new(subscriber.stdout.take().expect("it is piped")).lines();
    let data = loop {
        let line = lines.next_line().await.expect("it can be read").expect("the stream goes on");
        if let Some(data) = line.strip_prefix("data: ") {
            break serde_json::from_str::<serde_json::Value>(data).expect("it is JSON");
        }
    };
    assert_eq!((&data["subject"], &data["payload"]), (&json!("orders.created"), &json!({"amount": 1.50})), "{data}");
    let id = data["id"].as_str().expect("an id");
    let text = acknowledge.replace("/ID", &format!("/{id}"));
    let acknowledged = tokio::process::Command::new("sh").arg("-c").arg(text).status().await.expect("a shell");
    assert!(acknowledged.success());
    assert!(world.settled().await.is_empty(), "nothing is dead");
    drop((subscriber, trackside));
}

#[tokio::test]
async fn a_service_by_https_gets_nothing_until_its_certificate_is_trusted_and_then_gets_it() {
    let (trusted, strange) = (Authority::new(), Authority::new());
    let port = free_port();
    let impostor = App::start_tls(port, &strange.certify(), async |_| (204, None)).await;
    let url = impostor.url();
    assert!(url.starts_with("https://"));
    let rule = format!(
        "[rule.routes]\ndefault = \"{url}/orders\"\n[rule.on-failure]\ndead-letter = \"dead.orders\"\n\
         tries = 1\nbackoff = [\"10ms\"]\n"
    );
    let world = world(&url, &rule).await;
    let authorities = world.setup.path().with_file_name("ca.pem");
    std::fs::write(&authorities, trusted.pem()).expect("a file in a temporary folder");
    let authorities = authorities.to_str().expect("a name of UTF-8");
    for number in 0..3 {
        world.publish("orders.eu", &format!("{{\"n\":{number}}}")).await;
    }
    let environment = [("SSL_CERT_FILE", authorities)];
    let mut trackside = Trackside::spawn(world.setup.path(), &world.setup.admin, &environment);
    until("the admin API", async || tokio::net::TcpStream::connect(&world.setup.admin).await.ok()).await;
    unready(
        &trackside,
        &format!(
            "service {url}: its certificate is signed by an authority that is not trusted here: those of SSL_CERT_FILE="
        ),
    )
    .await;
    let up = format!("trackside_service_up{{service=\"{url}\"}}");
    let in_flight = "trackside_source_in_flight_messages{source=\"orders\"}";
    trackside.shows(&[(&up, 0.0), (in_flight, 3.0), ("trackside_tasks{state=\"waiting\"}", 3.0)]).await;
    assert!(impostor.kill().is_empty(), "nothing is sent before the certificate was looked at");

    let app = App::start_tls(port, &trusted.certify(), async |_| (204, None)).await;
    let mut bodies = app.took(3).await;
    bodies.sort();
    assert_eq!(bodies, ["{\"n\":0}", "{\"n\":1}", "{\"n\":2}"]);
    trackside.ready().await;
    trackside.shows(&[(&up, 1.0), (in_flight, 0.0)]).await;
    assert!(world.settled().await.is_empty(), "waiting used up no try");
    let missing = trackside.log().lines().filter(|line| line.contains("the service is not there")).count();
    assert_eq!(missing, 1, "it is said once: {}", trackside.log());
}
