//! Partitions as docs/delivery.md shows them: the stream that puts them into subjects, and instances that share them.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::jetstream;
use futures::StreamExt as _;
use trackside_tests::{Server, Setup, Trackside, flow};

const PAGE: &str = include_str!("../../docs/delivery.md");

const RULE: &str = "[[rule]]\nname = \"orders\"\nsource = \"orders\"\nsubject = \"orders.*.*\"\norder-by = \"subject.3\"\n\
                    routes = { default = \"clean.{subject.3}\" }\non-failure = { dead-letter = \"dead.orders\" }\n";

/// What the page has about several partitions, and the streams for what comes out.
fn shown() -> String {
    let blocks = PAGE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let shown: Vec<&str> = blocks.filter(|block| block.contains("partitions = 8")).collect();
    assert_eq!(shown.len(), 1, "the page shows it once");
    format!("{}[streams.CLEAN]\nsubjects = [\"clean.>\"]\n[streams.DEAD]\nsubjects = [\"dead.>\"]\n", shown[0])
}

fn setup(server: &Server) -> Setup {
    let setup = Setup::new(&server.url(), &shown());
    setup.write("rules/orders.toml", RULE);
    setup
}

/// The partition and the key of a stored subject.
fn place(subject: &str) -> (u32, String) {
    let tokens: Vec<&str> = subject.split('.').collect();
    let ["orders", partition, key] = tokens[..] else { panic!("{subject} has no partition") };
    (partition.parse().expect("a number"), key.to_owned())
}

#[tokio::test]
async fn a_stream_as_the_page_shows_it_is_asked_for_and_instances_share_it_with_the_order_of_each_key_kept() {
    let server = Server::start().await;
    for (name, subjects) in [("ORDERS", "orders.>"), ("CLEAN", "clean.>"), ("DEAD", "dead.>")] {
        server.stream(name, &[subjects]).await;
    }
    let (one, two) = (setup(&server), setup(&server));
    let mut refused = Trackside::spawn(one.path(), &one.admin, &[]);
    assert_eq!(refused.process().ended().await.code(), Some(1), "{}", refused.log());
    let log = refused.log();
    for line in [
        "stream `ORDERS` of source `orders` does not store `orders.*` as `orders.{{partition(8,1)}}.{{wildcard(1)}}`; \
         change it with:",
        "nats stream edit ORDERS --transform-source \"orders.*\" --transform-destination \
         \"orders.{{partition(8,1)}}.{{wildcard(1)}}\"",
    ] {
        assert!(log.contains(line), "{line} in\n{log}");
    }

    // What that command does.
    flow::partition(&server.url(), 8).await;
    let instances = [Trackside::start(&one).await, Trackside::start(&two).await];
    let context = jetstream::new(server.client().await);
    let keys: Vec<String> = (0..20).map(|key| format!("key{key}")).collect();
    let mut pending = Vec::new();
    for number in 0..50 {
        for key in &keys {
            let published = context.publish(format!("orders.{key}"), number.to_string().into()).await;
            pending.push(published.expect("the client can publish"));
        }
    }
    for stored in pending {
        stored.await.expect("the stream stores it");
    }
    let mut partitions: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for message in server.stored("ORDERS", 1000).await {
        let (partition, key) = place(&message.subject);
        partitions.entry(key).or_default().insert(partition);
    }
    assert!(partitions.values().all(|of_a_key| of_a_key.len() == 1), "{partitions:?}");
    let all: BTreeSet<u32> = partitions.into_values().flatten().collect();
    assert!(all.len() > 2 && all.iter().all(|partition| *partition < 8), "{all:?}");

    let clean = server.stored("CLEAN", 1000).await;
    for key in &keys {
        let subject = format!("clean.{key}");
        let of_key = clean.iter().filter(|message| message.subject == subject);
        let numbers: Vec<usize> = of_key.map(|message| message.text().parse().expect("a number")).collect();
        assert_eq!(numbers, (0..50).collect::<Vec<_>>(), "{key}");
    }
    for instance in instances {
        assert_eq!(instance.drain().await, 0);
    }
}

#[tokio::test]
async fn trying_it_out_makes_the_stream_as_the_page_shows_it() {
    let server = Server::start().await;
    let setup = setup(&server);
    let mut trackside = Trackside::spawn_with(&["dev"], setup.path(), &setup.admin, &[]);
    trackside.ready().await;
    let log = trackside.log();
    let url = log.split("nats-server listens at ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let client = async_nats::connect(url.expect("it says where")).await.expect("its private server takes clients");
    let mut clean = client.subscribe("clean.*").await.expect("a subscription");
    client.flush().await.expect("is sent");
    let context = jetstream::new(client);
    context.publish("orders.anna", "1".into()).await.expect("is sent").await.expect("is stored");
    let published = tokio::time::timeout(trackside_tests::PATIENCE, clean.next()).await.expect("in time");
    assert_eq!(published.expect("a message").subject.as_str(), "clean.anna");
    let stored = context.get_stream("ORDERS").await.expect("is made").get_raw_message(1).await.expect("is stored");
    let (partition, key) = place(&stored.subject);
    assert!(partition < 8 && key == "anna", "{}", stored.subject);
    assert_eq!(trackside.drain().await, 0);
}
