//! Starting, stopping and changing a running Trackside: nothing is lost, nothing is handled twice.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use trackside_tests::{Server, Setup, Trackside, hostile, until};

const MESSAGES: usize = 20_000;

const RULES: &str = r#"
[[rule]]
name = "orders"
source = "orders"
subject = "orders.>"
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.card", action = "redact", text = "VERSION" }] }
[rule.routes]
default = "clean.orders"
[rule.on-failure]
dead-letter = "dead.orders"
"#;

async fn world() -> (Server, Setup) {
    let server = Server::start().await;
    server.stream("ORDERS", &["orders.>"]).await;
    server.stream("CLEAN", &["clean.>"]).await;
    server.stream("DEAD", &["dead.>"]).await;
    let setup = Setup::new(
        &server.url(),
        "[sources.orders]\nstream = \"ORDERS\"\ndurable = \"trackside-orders\"\nack-wait = \"2s\"\n",
    );
    setup.write("rules/orders.toml", rules("one"));
    (server, setup)
}

fn rules(version: &str) -> String {
    RULES.replace("VERSION", version)
}

/// Publishes numbered orders, and hands back when all are stored.
async fn publish(server: &Server, numbers: std::ops::Range<usize>) {
    let context = async_nats::jetstream::new(server.client().await);
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

/// The numbers of the clean orders by what masked them, having checked that none is there twice.
async fn clean(server: &Server, count: usize) -> BTreeMap<String, BTreeSet<u64>> {
    let mut by_version: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    let mut all = BTreeSet::new();
    for order in server.stored("CLEAN", count).await {
        let json = order.json();
        let number = json["number"].as_u64().expect("a number");
        assert!(all.insert(number), "order {number} is there twice");
        let version = json["card"].as_str().expect("a masked card").to_owned();
        by_version.entry(version).or_default().insert(number);
    }
    assert_eq!(all.len(), count);
    by_version
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_stream_loses_and_repeats_nothing() {
    let (server, setup) = world().await;
    let trackside = Trackside::start(&setup).await;
    let (publishing, _) = tokio::join!(publish(&server, 0..MESSAGES), async {
        server.stored("CLEAN", MESSAGES / 10).await;
        trackside.kill();
    });
    let () = publishing;
    let trackside = Trackside::start(&setup).await;
    server.settled("ORDERS", "trackside-orders").await;
    clean(&server, MESSAGES).await;
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_drain_in_the_middle_of_a_stream_loses_and_repeats_nothing() {
    let (server, setup) = world().await;
    let trackside = Trackside::start(&setup).await;
    tokio::join!(publish(&server, 0..MESSAGES), async {
        server.stored("CLEAN", MESSAGES / 10).await;
        assert_eq!(trackside.drain().await, 0);
    });
    let trackside = Trackside::start(&setup).await;
    server.settled("ORDERS", "trackside-orders").await;
    clean(&server, MESSAGES).await;
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_restart_of_the_server_in_the_middle_of_a_stream_loses_and_repeats_nothing() {
    let (mut server, setup) = world().await;
    publish(&server, 0..MESSAGES).await;
    let trackside = Trackside::start(&setup).await;
    server.stored("CLEAN", MESSAGES / 10).await;
    server.restart().await;
    server.settled("ORDERS", "trackside-orders").await;
    clean(&server, MESSAGES).await;
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_reload_under_load_hands_every_message_to_exactly_one_revision() {
    let (server, setup) = world().await;
    let trackside = Trackside::start(&setup).await;
    let mut revisions = vec![trackside.revision().await];
    tokio::join!(publish(&server, 0..MESSAGES), async {
        for (step, version) in ["two", "three", "four"].into_iter().enumerate() {
            server.stored("CLEAN", MESSAGES / 10 * (step + 1)).await;
            setup.write("rules/orders.toml", rules(version));
            revisions.push(trackside.revision_after(&revisions[step]).await);
        }
    });
    // Whatever the reloads raced with, something comes after the last one.
    publish(&server, MESSAGES..MESSAGES + 10).await;
    server.settled("ORDERS", "trackside-orders").await;
    let by_version = clean(&server, MESSAGES + 10).await;
    assert!(by_version.contains_key("one") && by_version.contains_key("four"), "{:?}", by_version.keys());
    let expected: BTreeMap<&str, &String> = ["one", "two", "three", "four"].into_iter().zip(&revisions).collect();
    for order in server.stored("CLEAN", MESSAGES + 10).await {
        let json = order.json();
        let stamp = order.header("Trackside-Revision").expect("a stamp");
        assert_eq!(stamp, expected[json["card"].as_str().expect("a masked card")]);
    }
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_broken_change_leaves_the_old_revision_in_force() {
    let (server, setup) = world().await;
    let trackside = Trackside::start(&setup).await;
    let revision = trackside.revision().await;
    let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("the configuration");
    setup.write("plugins/bad.wasm", b"\0asm\x01\0\0\0".as_slice());
    let with_plugin = format!("{config}\n[plugins.bad]\npath = \"plugins/bad.wasm\"\n");
    for (file, broken, names) in [
        ("rules/orders.toml", "[[rule]\nname = 1".to_owned(), "rules/orders.toml"),
        ("rules/orders.toml", rules("x").replace("redact", "eat"), "eat"),
        ("rules/orders.toml", rules("x").replace("\"mask\"", "\"mosk\""), "mosk"),
        ("trackside.toml", with_plugin, "core module"),
        ("trackside.toml", config.replace("ack-wait = \"2s\"", "ack-wait = \"3s\""), "sources.orders"),
    ] {
        let good = std::fs::read_to_string(setup.path().join(file)).expect("the file");
        setup.write(file, &broken);
        let (status, body) = trackside.admin("POST", "/v1/reload").await;
        assert_eq!(status, 422, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["revision"], revision.as_str());
        assert!(body["errors"].as_str().expect("the report").contains(names), "{names} in {body}");
        setup.write(file, &good);
    }
    publish(&server, 0..10).await;
    assert_eq!(clean(&server, 10).await.into_keys().collect::<Vec<_>>(), ["one"]);
    let (status, body) = trackside.admin("POST", "/v1/reload").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_schema_and_a_plugin_file_are_reloaded_when_they_change() {
    let (server, setup) = world().await;
    let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("the configuration");
    setup.write("plugins/own.wasm", hostile::component("forward"));
    setup.write("trackside.toml", format!("{config}\n[plugins.own]\npath = \"plugins/own.wasm\"\n"));
    setup.write("schemas/order.json", "{\"required\": [\"number\"]}");
    let staged = rules("one").replace(
        "[[rule.stage]]",
        "[[rule.stage]]\nplugin = \"own\"\n[[rule.stage]]\nplugin = \"validate\"\nwith = { schema = \"schemas/order.json\" }\n[[rule.stage]]",
    );
    setup.write("rules/orders.toml", staged);
    let trackside = Trackside::start(&setup).await;
    let first = trackside.revision().await;
    publish(&server, 0..1).await;
    server.stored("CLEAN", 1).await;

    setup.write("schemas/order.json", "{\"required\": [\"never\"]}");
    let second = trackside.revision_after(&first).await;
    publish(&server, 1..2).await;
    assert!(server.stored("DEAD", 1).await[0].header("Trackside-Dead-Reason").expect("a reason").contains("never"));

    setup.write("plugins/own.wasm", hostile::component("trap"));
    trackside.revision_after(&second).await;
    publish(&server, 2..3).await;
    let dead = server.stored("DEAD", 2).await;
    assert_eq!(dead[1].header("Trackside-Dead-Class"), Some("trap"));
    assert_eq!(dead[1].header("Trackside-Dead-Stage"), Some("own"));
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_message_that_asks_for_another_try_for_ever_becomes_a_dead_letter_after_its_tries() {
    let (server, setup) = world().await;
    let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("the configuration");
    setup.write("plugins/own.wasm", hostile::component("loop"));
    setup.write(
        "trackside.toml",
        format!("{config}\n[plugins.own]\npath = \"plugins/own.wasm\"\ndeadline = \"20ms\"\n"),
    );
    let tried = rules("one")
        .replace("plugin = \"mask\"", "plugin = \"own\"")
        .replace("with = { fields = [{ path = \"$.card\", action = \"redact\", text = \"one\" }] }", "");
    setup.write("rules/orders.toml", format!("{tried}tries = 3\nbackoff = [\"50ms\"]\n"));
    let trackside = Trackside::start(&setup).await;
    publish(&server, 0..1).await;
    let dead = server.stored("DEAD", 1).await;
    assert_eq!(dead[0].header("Trackside-Dead-Class"), Some("deadline"));
    assert_eq!(dead[0].header("Trackside-Dead-Tries"), Some("3"));
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn readiness_is_false_while_the_server_is_gone_and_true_again_after() {
    let (mut server, setup) = world().await;
    let trackside = Trackside::start(&setup).await;
    server.stop();
    until("readiness to be lost", async || {
        let (status, body) = trackside.admin("GET", "/readyz").await;
        (status == 503 && body.contains("NATS")).then_some(())
    })
    .await;
    assert_eq!(trackside.admin("GET", "/healthz").await.0, 200);
    let told = format!("no NATS server can be reached; trying on servers=\"{}\"", server.url());
    until("the log to name the server", async || trackside.log().contains(&told).then_some(())).await;
    server.restart().await;
    until("readiness to return", async || (trackside.admin("GET", "/readyz").await.0 == 200).then_some(())).await;
    publish(&server, 0..1).await;
    clean(&server, 1).await;
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_server_that_sends_its_clients_away_is_told_of_and_survived() {
    let (mut server, setup) = world().await;
    let trackside = Trackside::start(&setup).await;
    server.lame_duck();
    until("the log to tell of it", async || trackside.log().contains("lame duck mode").then_some(())).await;
    server.restart().await;
    publish(&server, 0..10).await;
    clean(&server, 10).await;
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_source_whose_stream_is_deleted_says_so_and_goes_on_when_it_is_made_again() {
    let (server, setup) = world().await;
    let trackside = Trackside::start(&setup).await;
    publish(&server, 0..10).await;
    clean(&server, 10).await;
    let context = async_nats::jetstream::new(server.client().await);
    context.delete_stream("ORDERS").await.expect("it is there");
    until("readiness to tell of it", async || {
        let (status, body) = trackside.admin("GET", "/readyz").await;
        (status == 503 && body.contains("stream `ORDERS`")).then_some(())
    })
    .await;
    assert!(trackside.log().contains("the source ended; it is opened again"), "{}", trackside.log());
    server.stream("ORDERS", &["orders.>"]).await;
    until("readiness to return", async || (trackside.admin("GET", "/readyz").await.0 == 200).then_some(())).await;
    publish(&server, 10..20).await;
    clean(&server, 20).await;
    assert_eq!(trackside.drain().await, 0);
}

/// Stores an order with a header that no client would send, and that makes the NATS client of this one panic.
async fn publish_what_breaks_the_client(server: &Server) {
    let url = server.url();
    let address = url.strip_prefix("nats://").expect("a plain address");
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let head = "NATS/1.0\r\nRegion: e\ru\r\n\r\n";
    let sent = format!(
        "CONNECT {{\"verbose\":false,\"headers\":true}}\r\nHPUB orders.new {} {}\r\n{head}{{}}\r\nPING\r\n",
        head.len(),
        head.len() + 2
    );
    stream.write_all(sent.as_bytes()).await.expect("it is sent");
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("PONG") {
        assert_ne!(stream.read_buf(&mut answer).await.expect("it is read"), 0, "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn a_message_that_ends_the_client_ends_the_process_and_the_next_one_names_it() {
    let (server, setup) = world().await;
    let mut trackside = Trackside::start(&setup).await;
    publish_what_breaks_the_client(&server).await;
    assert_eq!(trackside.process().ended().await.code(), Some(1), "{}", trackside.log());
    let log = trackside.log();
    assert!(log.contains("gone for good") && log.contains("start it again"), "{log}");
    // Its ack wait is over, so it comes to the next one as well.
    let mut trackside = Trackside::spawn(setup.path(), &setup.admin, &[]);
    assert_eq!(trackside.process().ended().await.code(), Some(1), "{}", trackside.log());
    let log = trackside.log();
    let told = log.lines().find(|line| line.contains("nats stream rmm ORDERS 1")).expect("it is named");
    assert!(told.contains("a value has a carriage return in it"), "{told}");
    let context = async_nats::jetstream::new(server.client().await);
    let stream = context.get_stream("ORDERS").await.expect("it is there");
    assert!(stream.delete_message(1).await.expect("it is deleted"));
    let trackside = Trackside::start(&setup).await;
    publish(&server, 0..10).await;
    clean(&server, 10).await;
    assert_eq!(trackside.drain().await, 0);
}
