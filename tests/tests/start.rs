//! Starting: what keeps Trackside from it and what it says then, waiting for a server, `dev`, and several instances.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::{self, consumer};
use bytes::Bytes;
use serde_json::Value;
use trackside_tests::{PATIENCE, Server, Setup, Trackside, until};

const ORDERS: &str =
    "[sources.orders]\nstream = \"ORDERS\"\nfilter-subjects = [\"orders.>\"]\ndurable = \"trackside-orders\"\n";

const RULES: &str = r#"
[[rule]]
name = "orders"
source = "orders"
subject = "orders.>"
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.card", action = "redact" }] }
[rule.routes]
default = "clean.orders"
[rule.on-failure]
dead-letter = "dead.orders"
"#;

/// A configuration that reads orders from this server, with these further lines.
fn setup(server: &str, more: &str) -> Setup {
    let setup = Setup::new(server, &format!("{ORDERS}{more}"));
    setup.write("rules/orders.toml", RULES);
    setup
}

/// A server with the streams that the configuration needs.
async fn server() -> Server {
    let server = Server::start().await;
    server.stream("ORDERS", &["orders.>"]).await;
    server.stream("CLEAN", &["clean.>"]).await;
    server.stream("DEAD", &["dead.>"]).await;
    server
}

fn spawn(setup: &Setup) -> Trackside {
    Trackside::spawn(setup.path(), &setup.admin, &[])
}

/// Runs it to its end, which is a failure, and hands back what it said.
async fn failure(mut trackside: Trackside) -> String {
    let status = trackside.process().ended().await;
    assert_eq!(status.code(), Some(1), "{}", trackside.log());
    trackside.log()
}

/// Publishes numbered orders, and hands back when all are stored.
async fn publish(server: &Server, numbers: std::ops::Range<usize>) {
    let context = jetstream::new(server.client().await);
    let mut last = None;
    for number in numbers {
        let payload = Bytes::from(format!(r#"{{"number":{number},"card":"4111111111111111"}}"#));
        last = Some(context.publish("orders.new", payload).await.expect("the client can publish"));
    }
    // Publishes of one connection are stored in order, so the last one stands for all.
    if let Some(last) = last {
        last.await.expect("the stream stores it");
    }
}

/// Waits until it has said this.
async fn said(trackside: &Trackside, text: &str) -> String {
    until(&format!("{text:?} in the log"), async || {
        trackside.log().lines().find(|line| line.contains(text)).map(str::to_owned)
    })
    .await
}

#[tokio::test]
async fn streams_that_are_missing_are_all_named_with_the_lines_that_make_them() {
    let server = Server::start().await;
    server.stream("CLEAN", &["other.>"]).await;
    let setup = setup(&server.url(), "[streams.CLEAN]\nsubjects = [\"clean.>\"]\n");
    let log = failure(spawn(&setup)).await;
    for line in [
        "stream `ORDERS` of source `orders` does not exist; make it with:",
        "nats stream add ORDERS --subjects \"orders.>\" --defaults",
        "stream `CLEAN` of `[streams.CLEAN]` does not take `clean.>`; change it with:",
        "nats stream edit CLEAN --subjects \"other.>,clean.>\"",
        "of the dead letters of rule `orders` does not exist; make it with:",
        "nats stream add DEAD_ORDERS --subjects \"dead.orders\" --defaults",
    ] {
        assert!(log.contains(line), "{line} in\n{log}");
    }
}

#[tokio::test]
async fn a_consumer_that_differs_is_compared_field_by_field_and_left_alone() {
    let server = server().await;
    let stream = jetstream::new(server.client().await).get_stream("ORDERS").await.expect("the stream");
    let theirs = consumer::pull::Config {
        durable_name: Some("trackside-orders".to_owned()),
        ack_wait: Duration::from_secs(7),
        filter_subject: "orders.eu".to_owned(),
        ..consumer::pull::Config::default()
    };
    stream.create_consumer(theirs).await.expect("the consumer");
    let log = failure(spawn(&setup(&server.url(), ""))).await;
    for line in [
        "source orders: consumer `trackside-orders` of stream `ORDERS` is not as the configuration says:",
        "filter-subjects: it has `orders.eu`, the configuration says `orders.>`",
        "ack-wait: it has 7s, the configuration says 30s",
        "nats consumer edit ORDERS trackside-orders --filter \"orders.>\" --wait 30000ms",
    ] {
        assert!(log.contains(line), "{line} in\n{log}");
    }
    let mut consumer: consumer::PullConsumer = stream.get_consumer("trackside-orders").await.expect("it is there");
    assert_eq!(consumer.info().await.expect("its state").config.ack_wait, Duration::from_secs(7));
}

#[tokio::test]
async fn a_wrong_password_is_refused_at_once_and_not_echoed() {
    let server = Server::start_with(&["--jetstream", "--user", "trackside", "--pass", "right"]).await;
    let setup = setup(&server.url(), "");
    let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("the configuration");
    let user = "[nats]\nuser = \"trackside\"\npassword = \"env:START_PASSWORD\"\n";
    setup.write("trackside.toml", config.replace("[nats]\n", user));
    let environment = [("START_PASSWORD", "swordfish"), ("TRACKSIDE_LOG", "trace")];
    let log = failure(Trackside::spawn(setup.path(), &setup.admin, &environment)).await;
    assert!(log.contains("refused the connection, which was made with the `user` and `password` of [nats]"), "{log}");
    assert!(!log.contains("swordfish"), "{log}");
}

#[tokio::test]
async fn a_server_without_jetstream_is_an_error_that_says_how_to_enable_it() {
    let server = Server::start_with(&[]).await;
    let log = failure(spawn(&setup(&server.url(), ""))).await;
    assert!(log.contains("JetStream is not enabled on the NATS server"), "{log}");
}

#[tokio::test]
async fn an_admin_address_that_is_taken_is_named() {
    let server = server().await;
    let setup = setup(&server.url(), "");
    let taken = std::net::TcpListener::bind(&setup.admin).expect("the address was free");
    let log = failure(spawn(&setup)).await;
    assert!(log.contains(&format!("the admin API cannot listen at {}", setup.admin)), "{log}");
    drop(taken);
}

#[tokio::test]
async fn a_directory_that_is_not_there_or_is_wrong_is_an_error() {
    let setup = setup("nats://127.0.0.1:1", "");
    let missing = setup.path().with_file_name("missing");
    let log = failure(Trackside::spawn(&missing, &setup.admin, &[])).await;
    assert!(log.contains(missing.to_str().expect("UTF-8")), "{log}");
    setup.write("rules/orders.toml", RULES.replace("redact", "eat"));
    let log = failure(spawn(&setup)).await;
    assert!(log.contains("fields[0].action") && log.contains("rules/orders.toml:8:"), "{log}");
}

#[tokio::test]
async fn it_waits_for_a_server_that_is_not_there_yet_and_says_so() {
    let mut server = server().await;
    publish(&server, 0..3).await;
    server.stop();
    let setup = setup(&server.url(), "");
    let mut trackside = spawn(&setup);
    said(&trackside, "no NATS server can be reached").await;
    let (status, body) = trackside.admin("GET", "/readyz").await;
    assert!(status == 503 && body.contains("not connected yet"), "{status} {body}");
    assert_eq!(trackside.admin("GET", "/healthz").await.0, 200);
    server.restart().await;
    trackside.ready().await;
    assert_eq!(server.stored("CLEAN", 3).await.len(), 3);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_signal_ends_the_wait_for_a_server_with_0() {
    for signal in ["TERM", "INT"] {
        let setup = setup("nats://127.0.0.1:1", "");
        let mut trackside = spawn(&setup);
        said(&trackside, "no NATS server can be reached").await;
        trackside.process().signal(signal);
        assert_eq!(trackside.process().ended().await.code(), Some(0), "{signal}: {}", trackside.log());
    }
}

#[tokio::test]
async fn a_hangup_reloads_where_files_are_not_watched() {
    let server = server().await;
    let setup = Setup::new(&server.url(), &format!("watch = false\n{ORDERS}"));
    setup.write("rules/orders.toml", RULES);
    let mut trackside = Trackside::start(&setup).await;
    let first = trackside.revision().await;
    setup.write("rules/orders.toml", RULES.replace("\"redact\"", "\"redact\", text = \"new\""));
    trackside.process().signal("HUP");
    trackside.revision_after(&first).await;
    publish(&server, 0..1).await;
    assert_eq!(server.stored("CLEAN", 1).await[0].json()["card"], "new");
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn two_instances_share_one_consumer_and_the_end_of_one_loses_and_repeats_nothing() {
    const MESSAGES: usize = 10_000;
    let server = server().await;
    let settings = "ack-wait = \"2s\"\nmax-in-flight-messages = 100\n";
    let (one, two) = (setup(&server.url(), settings), setup(&server.url(), settings));
    let (first, second) = tokio::join!(Trackside::start(&one), Trackside::start(&two));
    tokio::join!(publish(&server, 0..MESSAGES), async {
        server.stored("CLEAN", MESSAGES / 4).await;
        let published = "trackside_rule_published_total{rule=\"orders\"}";
        for instance in [&first, &second] {
            assert!(instance.metrics().await.get(published).is_some_and(|count| *count > 0.0), "both take their share");
        }
        first.kill();
    });
    server.settled("ORDERS", "trackside-orders").await;
    let clean = server.stored("CLEAN", MESSAGES).await;
    let numbers: BTreeSet<_> = clean.iter().map(|order| order.json()["number"].as_u64().expect("a number")).collect();
    assert_eq!((clean.len(), numbers.len()), (MESSAGES, MESSAGES));
    assert_eq!(second.drain().await, 0);
}

#[tokio::test]
async fn an_ordinary_start_and_stop_logs_no_warning() {
    let server = server().await;
    let setup = setup(&server.url(), "[streams.CLEAN]\nsubjects = [\"clean.>\"]\n");
    let mut trackside = Trackside::start(&setup).await;
    publish(&server, 0..1).await;
    server.stored("CLEAN", 1).await;
    trackside.process().signal("TERM");
    assert_eq!(trackside.process().ended().await.code(), Some(0), "{}", trackside.log());
    let log = trackside.log();
    assert!(log.contains("not ready") && log.contains("drained"), "{log}");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

mod dev {
    use super::*;

    /// Starts `trackside dev` and waits until it is ready; with it comes where its server listens.
    async fn start(setup: &Setup) -> (Trackside, String) {
        let mut trackside = Trackside::spawn_with(&["dev"], setup.path(), &setup.admin, &[]);
        trackside.ready().await;
        let line = said(&trackside, "nats-server listens at ").await;
        let url = line.split(' ').find(|word| word.starts_with("nats://")).expect("a URL").to_owned();
        (trackside, url)
    }

    #[tokio::test]
    async fn it_makes_the_streams_prints_each_outcome_and_leaves_nothing_behind() {
        let setup = setup("nats://127.0.0.1:1", "[streams.CLEAN]\nsubjects = [\"clean.>\"]\n");
        let (mut trackside, url) = start(&setup).await;
        let client = async_nats::connect(&url).await.expect("the private server takes clients");
        let context = jetstream::new(client);
        for (name, subject) in [("ORDERS", "orders.>"), ("CLEAN", "clean.>"), ("DEAD_ORDERS", "dead.orders")] {
            let stream = context.get_stream(name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(stream.cached_info().config.subjects, [subject]);
        }
        for payload in [r#"{"card":"4111"}"#, "not json"] {
            context.publish("orders.new", payload.into()).await.expect("sent").await.expect("stored");
        }
        for (outcome, subject) in [("published", "clean.orders"), ("dead-lettered", "dead.orders")] {
            let line = said(&trackside, &format!(r#""outcome":"{outcome}""#)).await;
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_eq!((&line["rule"], &line["subject"]), (&Value::from("orders"), &Value::from(subject)));
        }
        trackside.process().signal("INT");
        assert_eq!(trackside.process().ended().await.code(), Some(0), "{}", trackside.log());
        let address = url.trim_start_matches("nats://");
        until("the private server to be gone", async || std::net::TcpStream::connect(address).is_err().then_some(()))
            .await;
    }

    #[tokio::test]
    async fn a_rule_can_be_changed_while_it_runs() {
        let setup = setup("nats://127.0.0.1:1", "");
        let (trackside, url) = start(&setup).await;
        let first = trackside.revision().await;
        setup.write("rules/orders.toml", RULES.replace("\"redact\"", "\"redact\", text = \"new\""));
        trackside.revision_after(&first).await;
        let client = async_nats::connect(&url).await.expect("the private server takes clients");
        let mut clean = client.subscribe("clean.>").await.expect("a subscription");
        client.flush().await.expect("known to the server");
        client.publish("orders.new", r#"{"card":"4111"}"#.into()).await.expect("sent");
        let order = tokio::time::timeout(PATIENCE, futures::StreamExt::next(&mut clean)).await;
        assert_eq!(order.expect("in time").expect("a message").payload, r#"{"card":"new"}"#);
        assert_eq!(trackside.drain().await, 0);
    }

    #[tokio::test]
    async fn a_server_that_cannot_be_started_is_named_with_what_to_do() {
        let setup = setup("nats://127.0.0.1:1", "");
        for (file, say) in [("/no/such/nats-server", "--nats-server FILE"), ("/bin/false", "ended (exit status: 1)")] {
            let arguments = ["dev", "--nats-server", file];
            let log = failure(Trackside::spawn_with(&arguments, setup.path(), &setup.admin, &[])).await;
            assert!(log.contains(file) && log.contains(say), "{log}");
        }
    }
}
