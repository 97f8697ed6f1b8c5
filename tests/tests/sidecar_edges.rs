//! Where the sidecar's two sides meet breakers, bounds, batches, dead letters and sudden ends, over a real server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use trackside_tests::app::{App, Subscriber, ask};
use trackside_tests::{Finished, Server, Setup, Trackside, command, free_port, http, until};

/// The most subscribers of one name.
const MAX_SUBSCRIBERS: usize = 64;

const DURABLE: &str = "trackside-orders";

struct World {
    server: Server,
    setup: Setup,
    sidecar: String,
}

/// A world with streams of orders, of clean ones and of dead letters, a sidecar that may post to this URL, and these rules.
async fn world(app: &str, rules: &str) -> World {
    let server = Server::start().await;
    for (stream, subject) in [("ORDERS", "orders.>"), ("CLEAN", "clean.>"), ("DEAD", "dead.>")] {
        server.stream(stream, &[subject]).await;
    }
    let sidecar = format!("127.0.0.1:{}", free_port());
    let setup = Setup::new(
        &server.url(),
        &format!(
            "[sources.orders]\nstream = \"ORDERS\"\ndurable = \"{DURABLE}\"\nack-wait = \"2s\"\n\
             [sidecar]\nlisten = \"{sidecar}\"\ndeliver-to = [\"{app}\"]\n"
        ),
    );
    setup.write("rules/orders.toml", rules);
    World { server, setup, sidecar }
}

impl World {
    /// Starts it and waits until the admin API answers: it is not ready before somebody subscribes.
    async fn started(&self) -> Trackside {
        let trackside = Trackside::spawn(self.setup.path(), &self.setup.admin, &[]);
        until("the admin API", async || TcpStream::connect(&self.setup.admin).await.ok()).await;
        trackside
    }

    async fn publish(&self, subject: &str, payload: String) {
        let context = async_nats::jetstream::new(self.server.client().await);
        let stored = context.publish(subject.to_owned(), payload.into()).await;
        stored.expect("the client can publish").await.expect("the stream stores it");
    }

    /// `trackside dead replay`.
    async fn replay(&self) -> Finished {
        let directory = self.setup.argument().to_owned();
        let replay = move || command(&["dead", "replay", &directory], b"");
        tokio::task::spawn_blocking(replay).await.expect("it can be run")
    }
}

/// A service that answers so many requests, and one more for each permit that is added.
async fn app_with_answers(count: usize) -> (App, Arc<Semaphore>) {
    let answers = Arc::new(Semaphore::new(count));
    let may_answer = Arc::clone(&answers);
    let app = App::start(0, move |_| {
        let may_answer = Arc::clone(&may_answer);
        async move {
            may_answer.acquire().await.expect("it is never closed").forget();
            (204, None)
        }
    })
    .await;
    (app, answers)
}

/// A rule with these further lines.
fn rule(name: &str, source: &str, subject: &str, more: &str) -> String {
    format!(
        "[[rule]]\nname = \"{name}\"\nsource = \"{source}\"\nsubject = \"{subject}\"\n\
         on-failure = {{ dead-letter = \"dead.{name}\", tries = 5, backoff = [\"20ms\"] }}\n{more}\n"
    )
}

#[tokio::test]
async fn a_name_has_so_many_subscribers_and_the_next_one_is_told_to_come_again() {
    let rule = "[[rule]]\nname = \"orders\"\nsource = \"orders\"\nsubject = \"orders.>\"\n\
                routes.default = \"sidecar:app\"\non-failure.dead-letter = \"dead.orders\"\n";
    let world = world("http://127.0.0.1:9", rule).await;
    let _trackside = world.started().await;
    let mut all = Vec::new();
    for _ in 0..MAX_SUBSCRIBERS {
        all.push(Subscriber::subscribe(&world.sidecar, "app", 1).await);
    }
    let refused = http::send(&world.sidecar, "GET", "/v1/subscribe/app", &[], b"").await;
    assert!(refused.problem(429).contains("64 subscribers"), "{refused:?}");
    assert_eq!(refused.headers["retry-after"], "1");
    // One that leaves makes room, and is noticed without anything to be sent to it.
    drop(all.pop());
    drop(Subscriber::subscribe(&world.sidecar, "app", 1).await);
}

#[tokio::test]
async fn outputs_are_diverted_while_a_service_fails_and_callers_are_answered_meanwhile() {
    let status = Arc::new(AtomicU16::new(500));
    let answering = Arc::clone(&status);
    let app = App::start(0, move |_| {
        let status = answering.load(Ordering::SeqCst);
        async move { (status, None) }
    })
    .await;
    let url = app.url();
    let rule = |name: &str, source: &str, subject: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\nsource = \"{source}\"\nsubject = \"{subject}\"\n\
             [rule.routes]\ndefault = \"{url}/{name}\"\noverflow = \"clean.{name}\"\n\
             [rule.breaker]\nfailures = 2\nopen-for = \"1s\"\ndivert-to = \"overflow\"\n\
             [rule.on-failure]\ndead-letter = \"dead.{name}\"\ntries = 10\nbackoff = [\"20ms\"]\n"
        )
    };
    let world =
        world(&url, &format!("{}{}", rule("orders", "orders", "orders.>"), rule("calls", "sidecar", "calls"))).await;
    let _trackside = Trackside::start(&world.setup).await;
    for number in 0..5 {
        world.publish("orders.eu", number.to_string()).await;
    }
    world.server.settled("ORDERS", DURABLE).await;
    let diverted = world.server.stored("CLEAN", 5).await;
    assert!(diverted.iter().all(|order| order.header("Trackside-Diverted-From") == Some("default")));
    let answer = http::post(&world.sidecar, "/v1/publish/calls", &[], "of a caller").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let outcome = &answer.json()["outcomes"][0];
    assert_eq!((&outcome["route"], &outcome["subject"]), (&json!("overflow"), &json!("clean.calls")), "{answer:?}");
    // Once it is well again, what comes goes to it as before.
    status.store(204, Ordering::SeqCst);
    until("the service to be taken for well", async || {
        let answer = http::post(&world.sidecar, "/v1/publish/calls", &[], "again").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        (answer.json()["outcomes"][0]["route"] == "default").then_some(())
    })
    .await;
    assert!(world.server.stored("DEAD", 0).await.is_empty());
}

#[tokio::test]
async fn nothing_is_lost_when_trackside_is_killed_while_it_posts_and_is_subscribed_to() {
    const MESSAGES: usize = 200;
    // So many are answered before the kill, so that others are under way then.
    let (app, answers) = app_with_answers(MESSAGES / 4).await;
    let url = app.url();
    let rule = |name: &str, route: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\nsource = \"orders\"\nsubject = \"orders.{name}\"\n\
             routes.default = \"{route}\"\non-failure.dead-letter = \"dead.{name}\"\n"
        )
    };
    let world = world(&url, &format!("{}{}", rule("posted", &format!("{url}/")), rule("handed", "sidecar:app"))).await;
    for number in 0..MESSAGES {
        world.publish("orders.posted", number.to_string()).await;
        world.publish("orders.handed", number.to_string()).await;
    }
    let trackside = world.started().await;
    let mut handed = BTreeSet::new();
    let mut subscriber = Subscriber::subscribe(&world.sidecar, "app", 16).await;
    let take = async |subscriber: &mut Subscriber| {
        let event = subscriber.next().await?;
        let id = event["id"].as_str().expect("an id").to_owned();
        let (status, _) = ask(&world.sidecar, "POST", &format!("/v1/ack/{id}")).await;
        // What is not known to be taken comes again.
        (status == 204).then(|| event["payload"].to_string())
    };
    while handed.len() < MESSAGES / 4 || app.taken().len() < MESSAGES / 8 {
        handed.extend(take(&mut subscriber).await);
    }
    trackside.kill();
    answers.add_permits(4 * MESSAGES);
    let _trackside = world.started().await;
    let mut subscriber = Subscriber::subscribe(&world.sidecar, "app", 16).await;
    while handed.len() < MESSAGES {
        handed.extend(take(&mut subscriber).await);
    }
    until("all to be posted", async || {
        let taken: BTreeSet<String> = app.taken().into_iter().collect();
        (taken.len() == MESSAGES).then_some(())
    })
    .await;
    world.server.settled("ORDERS", DURABLE).await;
    assert!(world.server.stored("DEAD", 0).await.is_empty());
}

#[tokio::test]
async fn a_caller_over_the_bound_of_its_rule_waits_and_is_not_begun_with_once_it_is_late() {
    let (app, answers) = app_with_answers(0).await;
    let rules = [
        rule(
            "calls",
            "sidecar",
            "calls",
            &format!("routes.default = {{ url = \"{}\", timeout = \"60s\" }}\nconcurrency = 2", app.url()),
        ),
        rule("others", "sidecar", "others", "routes.default = \"clean.others\""),
    ];
    let world = world(&app.url(), &rules.concat()).await;
    let trackside = Trackside::start(&world.setup).await;
    let call = |timeout: &str, payload: &'static str| {
        let (sidecar, path) = (world.sidecar.clone(), format!("/v1/publish/calls?timeout={timeout}"));
        tokio::spawn(async move { http::post(&sidecar, &path, &[], payload).await })
    };
    let in_flight = async |count: f64| {
        let name = "trackside_source_in_flight_messages{source=\"sidecar\"}";
        until("messages in flight", async || (trackside.metrics().await.get(name) == Some(&count)).then_some(())).await;
    };
    let posted = |count| {
        let app = &app;
        async move { until("calls at the service", async || (app.seen().len() >= count).then_some(())).await }
    };
    let begun = [call("60s", "1"), call("60s", "2")];
    posted(2).await;
    let late = call("300ms", "late");
    in_flight(3.0).await;
    let waits = call("60s", "waits");
    in_flight(4.0).await;
    let _ = late.await.expect("an answer").problem(504);
    // Another rule is not held up by it.
    assert_eq!(http::post(&world.sidecar, "/v1/publish/others", &[], "{}").await.status, 200);
    assert_eq!(app.seen().len(), 2, "no more than two at a time: {:?}", app.seen());

    answers.add_permits(2);
    for call in begun {
        assert_eq!(call.await.expect("an answer").status, 200);
    }
    // What is late was before it.
    posted(3).await;
    answers.add_permits(1);
    assert_eq!(waits.await.expect("an answer").status, 200);
    in_flight(0.0).await;
    let mut bodies: Vec<_> = app.seen().into_iter().map(|seen| seen.body).collect();
    bodies[..2].sort();
    assert_eq!(bodies, ["1", "2", "waits"]);
    assert!(world.server.stored("DEAD", 0).await.is_empty());
}

#[tokio::test]
async fn an_atomic_rule_stores_together_what_streams_take_whatever_a_service_answers() {
    let status = Arc::new(AtomicU16::new(500));
    let answering = Arc::clone(&status);
    // The first try of each message fails.
    let app = App::start(0, move |_| {
        let status = answering.swap(204, Ordering::SeqCst);
        async move { (status, None) }
    })
    .await;
    let atomic = |name: &str, source: &str, subject: &str| {
        let more = format!(
            "atomic = true\nroutes = {{ default = \"pairs.first\", second = \"pairs.second\", app = \"{}\" }}\n\
             stage = [{{ plugin = \"route\", with = {{ else = [\"default\", \"second\", \"app\"] }} }}]",
            app.url()
        );
        rule(name, source, subject, &more)
    };
    let rules = [atomic("orders", "orders", "orders.>"), atomic("calls", "sidecar", "calls")];
    let world = world(&app.url(), &rules.concat()).await;
    let config = json!({
        "name": "PAIRS", "subjects": ["pairs.>"], "allow_atomic": true, "max_msg_size": 1000, "retention": "limits",
        "storage": "file", "num_replicas": 1,
    });
    let context = async_nats::jetstream::new(world.server.client().await);
    let made: Value = context.request("STREAM.CREATE.PAIRS", &config).await.expect("the server answers");
    assert!(made["error"].is_null(), "{made}");
    let _trackside = Trackside::start(&world.setup).await;

    world.publish("orders.eu", "{}".to_owned()).await;
    world.server.settled("ORDERS", DURABLE).await;
    let pairs = world.server.stored("PAIRS", 2).await;
    let subjects: Vec<_> = pairs.iter().map(|message| message.subject.as_str()).collect();
    assert_eq!(subjects, ["pairs.first", "pairs.second"], "stored once, though it was tried twice");
    let batch = pairs[0].header("Nats-Batch-Id");
    assert!(batch.is_some() && pairs[1].header("Nats-Batch-Id") == batch, "{pairs:?}");
    let keys: Vec<_> =
        app.seen().into_iter().map(|seen| (seen.status, seen.headers["idempotency-key"].clone())).collect();
    assert_eq!((keys[0].0, keys[1].0, keys.len()), (500, 204, 2), "{keys:?}");
    assert_eq!(keys[0].1, keys[1].1);

    // A caller is told where each is.
    let answer = http::post(&world.sidecar, "/v1/publish/calls", &[], "{}").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let outcomes = answer.json()["outcomes"].clone();
    let places = [0, 1, 2].map(|place| outcomes[place]["sequence"].clone());
    assert_eq!(places, [json!(3), json!(4), Value::Null], "{outcomes}");

    // What the stream refuses is not posted either, since the service comes after it.
    world.publish("orders.eu", "x".repeat(2000)).await;
    world.server.settled("ORDERS", DURABLE).await;
    let answer = http::post(&world.sidecar, "/v1/publish/calls", &[], &"x".repeat(2000)).await;
    let _ = answer.problem(422);
    assert_eq!(app.seen().len(), 3, "{:?}", app.seen());
    assert_eq!(world.server.stored("PAIRS", 4).await.len(), 4);
    assert_eq!(world.server.stored("DEAD", 2).await.len(), 2);
}

#[tokio::test]
async fn a_dead_letter_of_what_a_service_refused_is_posted_by_a_replay_once_the_service_takes_it() {
    let refusing = App::start(0, async |_| (422, None)).await;
    let url = refusing.url();
    let rules = [
        rule("orders", "orders", "orders.>", &format!("routes.default = \"{url}/orders\"")),
        rule("calls", "sidecar", "calls", &format!("routes.default = \"{url}/calls\"")),
    ];
    let world = world(&url, &rules.concat()).await;
    let trackside = Trackside::start(&world.setup).await;
    world.publish("orders.eu", r#"{"n":1}"#.to_owned()).await;
    world.server.stored("DEAD", 1).await;
    let answer = http::post(&world.sidecar, "/v1/publish/calls", &[], r#"{"n":2}"#).await;
    let _ = answer.problem(422);
    assert_eq!(answer.json()["outcomes"][0]["dead-letter"]["sequence"], 2, "{answer:?}");
    world.server.settled("ORDERS", DURABLE).await;

    let refused = world.replay().await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stdout.contains("stays: ") && refused.stdout.contains("422"), "{refused:?}");
    assert!(refused.stdout.ends_with("0 replayed, 0 failed again, 2 stay\n"), "{refused:?}");
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let before = refusing.kill();
    let missing = world.replay().await;
    assert!(missing.stdout.ends_with("0 replayed, 0 failed again, 2 stay\n"), "{missing:?}");
    assert!(missing.stdout.contains(&url), "{missing:?}");

    let taking = App::start(port, async |_| (204, None)).await;
    let replayed = world.replay().await;
    assert_eq!(replayed.code, 0, "{replayed:?}");
    assert!(replayed.stdout.ends_with("2 replayed, 0 failed again, 0 stay\n"), "{replayed:?}");
    assert!(world.server.stored("DEAD", 0).await.is_empty());
    // The ids are those that it was posted with at first, by which a service knows it again.
    let after = taking.seen();
    for (number, path) in ["/orders", "/calls"].into_iter().enumerate() {
        let (first, again) = (&before[number], &after[number]);
        assert_eq!((first.path.as_str(), again.path.as_str(), &first.body), (path, path, &again.body));
        assert_eq!(first.headers["idempotency-key"], again.headers["idempotency-key"]);
        assert_eq!(again.headers["trackside-replayed"], (number + 1).to_string());
    }
    assert_eq!(after.len(), 2);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn the_sidecar_listens_where_others_reach_it_only_if_that_is_meant() {
    let world =
        world("http://127.0.0.1:9", &rule("calls", "sidecar", "calls", "routes.default = \"clean.calls\"")).await;
    let port = world.sidecar.rsplit(':').next().expect("a port");
    // Part of this machine, and reached by a listener at every address alone.
    let elsewhere = format!("127.0.0.2:{port}");
    let config = std::fs::read_to_string(world.setup.path().join("trackside.toml")).expect("the configuration");
    let trackside = Trackside::start(&world.setup).await;
    assert_eq!(http::post(&world.sidecar, "/v1/publish/calls", &[], "{}").await.status, 200);
    TcpStream::connect(&elsewhere).await.expect_err("nobody listens there");
    assert_eq!(trackside.drain().await, 0);

    let everywhere = format!("listen = \"0.0.0.0:{port}\"");
    let open = config.replace(&format!("listen = \"{}\"", world.sidecar), &everywhere);
    world.setup.write("trackside.toml", &open);
    let refused = command(&["check", world.setup.argument()], b"");
    assert_eq!(refused.code, 1, "{refused:?}");
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("allow-remote") && said.contains("0.0.0.0"), "{said}");

    world.setup.write("trackside.toml", open.replace(&everywhere, &format!("{everywhere}\nallow-remote = true")));
    let _trackside = Trackside::start(&world.setup).await;
    assert_eq!(http::post(&elsewhere, "/v1/publish/calls", &[], "{}").await.status, 200);
    // By whatever name others know it; a web page that somebody has open does not get through all the same.
    let named = |more: &str| {
        format!(
            "POST /v1/publish/calls HTTP/1.1\r\nHost: trackside.internal\r\nConnection: close\r\nContent-Length: 2\r\n{more}\r\n{{}}"
        )
    };
    assert_eq!(http::raw(&elsewhere, named("").as_bytes()).await.status, 200);
    let page = http::raw(&elsewhere, named("Origin: http://evil.example\r\n").as_bytes()).await;
    assert!(page.problem(403).contains("web pages"), "{page:?}");
    assert_eq!(world.server.stored("CLEAN", 3).await.len(), 3);
}

#[tokio::test]
async fn the_trace_of_a_call_goes_on_to_streams_and_services_and_one_that_is_none_fails_nothing() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let app = App::start(0, async |_| (204, None)).await;
    let rules = [
        rule("stored", "sidecar", "calls", "routes.default = \"clean.calls\""),
        rule("posted", "sidecar", "calls", &format!("routes.default = \"{}\"", app.url())),
    ];
    let world = world(&app.url(), &rules.concat()).await;
    let _trackside = Trackside::start(&world.setup).await;
    let call = async |headers: &[(&str, &str)]| {
        let answer = http::post(&world.sidecar, "/v1/publish/calls", headers, "{}").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    call(&[("traceparent", TRACE), ("tracestate", "a=1")]).await;
    call(&[("traceparent", "nonsense")]).await;
    call(&[("traceparent", TRACE), ("traceparent", "00-0")]).await;
    call(&[]).await;
    let stored = world.server.stored("CLEAN", 4).await;
    assert_eq!((stored[0].header("traceparent"), stored[0].header("tracestate")), (Some(TRACE), Some("a=1")));
    assert_eq!(stored[0].headers["traceparent"].len(), 1);
    assert_eq!(stored[3].header("traceparent"), None, "{stored:?}");
    let posted = app.seen();
    assert_eq!((posted[0].headers["traceparent"].as_str(), posted[0].headers["tracestate"].as_str()), (TRACE, "a=1"));
    assert!(!posted[3].headers.contains_key("traceparent"), "{posted:?}");
}
