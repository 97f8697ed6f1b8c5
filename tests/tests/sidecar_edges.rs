//! Where the sidecar's two sides meet breakers, bounds and sudden ends, over a real server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::json;
use trackside_tests::app::{App, Subscriber, ask};
use trackside_tests::{Server, Setup, Trackside, free_port, http, until};

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
        until("the admin API", async || tokio::net::TcpStream::connect(&self.setup.admin).await.ok()).await;
        trackside
    }

    async fn publish(&self, subject: &str, payload: String) {
        let context = async_nats::jetstream::new(self.server.client().await);
        let stored = context.publish(subject.to_owned(), payload.into()).await;
        stored.expect("the client can publish").await.expect("the stream stores it");
    }
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
    let app = App::start(0, async |_| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        (204, None)
    })
    .await;
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
