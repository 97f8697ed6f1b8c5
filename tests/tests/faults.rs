//! Things break while messages flow, and the books are balanced afterwards: nothing lost, nothing twice, nothing out of
//! order. Each test prints a line of the table in docs/delivery.md; `cargo xtask faults` runs them at full length.

use std::time::Instant;

use trackside_tests::flow::{self, Books, Producer};
use trackside_tests::proxy::{Network, Proxy};
use trackside_tests::{Cluster, Server, Trackside, until};

/// How many messages, and how often something breaks: few by default, so that every run of the tests has them.
fn scale(few: usize, many: usize) -> usize {
    if std::env::var_os("TRACKSIDE_FAULTS_FULL").is_some() { many } else { few }
}

/// Prints the line of the table and checks that the books are balanced.
fn conclude(name: &str, faults: &str, begun: Instant, books: Books) {
    let Books { sent, lost, duplicates, disordered, dead } = books;
    let seconds = begun.elapsed().as_secs();
    println!("| {name} | {faults} | {sent} | {lost} | {duplicates} | {disordered} | {dead} | {seconds} s |");
    assert_eq!((lost, duplicates, disordered, dead), (0, 0, 0, 0), "{name}: lost, twice, out of order, dead");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_killed() {
    let begun = Instant::now();
    let (count, kills) = (scale(3_000, 50_000), scale(2, 5));
    let mut server = Server::start().await;
    flow::streams(&server.url(), 1).await;
    let setup = flow::setup(&server.url());
    let trackside = Trackside::start(&setup).await;
    let mut producer = Producer::start(&server.url(), count);
    for kill in 1..=kills {
        producer.reached(count * kill / (kills + 1)).await;
        server.restart().await;
    }
    producer.finish().await;
    flow::settled(&server.url()).await;
    let books = flow::books(&server.url(), Vec::new()).await;
    conclude("nats-server killed and started again with its store", &format!("{kills} times"), begun, books);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn trackside_killed() {
    let begun = Instant::now();
    let (count, kills) = (scale(3_000, 100_000), scale(3, 20));
    let server = Server::start().await;
    flow::streams(&server.url(), 1).await;
    let setup = flow::setup(&server.url());
    let mut trackside = Trackside::start(&setup).await;
    let mut producer = Producer::start(&server.url(), count);
    for kill in 1..=kills {
        producer.reached(count * kill / (kills + 1)).await;
        trackside.kill();
        trackside = Trackside::start(&setup).await;
    }
    producer.finish().await;
    flow::settled(&server.url()).await;
    let books = flow::books(&server.url(), Vec::new()).await;
    conclude("Trackside killed and started again", &format!("{kills} times"), begun, books);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn network_cut() {
    let begun = Instant::now();
    let (count, rounds) = (scale(3_000, 50_000), scale(1, 4));
    let server = Server::start().await;
    flow::streams(&server.url(), 1).await;
    let proxy = Proxy::start(server.port()).await;
    let setup = flow::setup(&proxy.url());
    let trackside = Trackside::start(&setup).await;
    let mut producer = Producer::start(&server.url(), count);
    let faults = [Network::Stalls, Network::Drops, Network::Down];
    for round in 0..rounds * faults.len() {
        producer.reached(count * (round + 1) / (rounds * faults.len() + 1)).await;
        proxy.set(faults[round % faults.len()]);
        // The cut lasts until the world on the other side has moved on by a good deal.
        let on = (producer.sent() + count / 20).min(count);
        producer.reached(on).await;
        proxy.set(Network::Works);
    }
    producer.finish().await;
    flow::settled(&server.url()).await;
    let books = flow::books(&server.url(), Vec::new()).await;
    let cuts = format!("stalled, dropped and reset {rounds} times each");
    conclude("network cut between the two", &cuts, begun, books);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_lost() {
    let begun = Instant::now();
    let (count, losses) = (scale(2_000, 30_000), scale(1, 4));
    let mut cluster = Cluster::start().await;
    flow::streams(&cluster.urls(), 3).await;
    let setup = flow::setup(&cluster.urls());
    let trackside = Trackside::start(&setup).await;
    let mut producer = Producer::start(&cluster.urls(), count);
    for loss in 1..=losses {
        producer.reached(count * loss / (losses + 1)).await;
        let stream = ["ORDERS", "CLEAN"][loss % 2];
        let leader = cluster.leader_of(stream).await;
        cluster.restart(leader).await;
    }
    producer.finish().await;
    flow::settled(&cluster.urls()).await;
    let books = flow::books(&cluster.urls(), Vec::new()).await;
    conclude("leader of a three-node cluster killed", &format!("{losses} times"), begun, books);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_full() {
    let begun = Instant::now();
    let count = scale(2_000, 30_000);
    let server = Server::start().await;
    let url = server.url();
    flow::streams(&url, 1).await;
    flow::stream(&url, "CLEAN", "clean.>", 1, (count / 4) as i64).await;
    let setup = flow::setup(&url);
    let trackside = Trackside::start(&setup).await;
    let mut producer = Producer::start(&url, count);
    until("the output stream to be full", async || {
        trackside.log().contains("an output could not be published").then_some(())
    })
    .await;
    flow::stream(&url, "CLEAN", "clean.>", 1, -1).await;
    producer.finish().await;
    flow::settled(&url).await;
    let books = flow::books(&url, Vec::new()).await;
    conclude("output stream full, then with room again", "once", begun, books);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_deleted() {
    let begun = Instant::now();
    let count = scale(2_000, 30_000);
    let server = Server::start().await;
    let url = server.url();
    flow::streams(&url, 1).await;
    let setup = flow::setup(&url);
    let trackside = Trackside::start(&setup).await;
    let mut producer = Producer::start(&url, count);
    producer.reached(count / 2).await;
    // What is deleted with the stream is gone, and nobody else's fault: it is read first, while nothing flows.
    producer.pause(true);
    let stored = until("the producer to hold", async || {
        let before = producer.sent();
        flow::settled(&url).await;
        (producer.sent() == before).then_some(before)
    })
    .await;
    let before = flow::numbers(&url, "CLEAN").await;
    assert!(before.len() >= stored, "everything so far has arrived");
    let context = async_nats::jetstream::new(server.client().await);
    context.delete_stream("CLEAN").await.expect("it is there");
    producer.pause(false);
    until("outputs without a stream", async || trackside.log().contains("no stream takes").then_some(())).await;
    flow::stream(&url, "CLEAN", "clean.>", 1, -1).await;
    producer.finish().await;
    flow::settled(&url).await;
    let books = flow::books(&url, before).await;
    conclude("output stream deleted, then made again", "once", begun, books);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn consumer_deleted() {
    let begun = Instant::now();
    let (count, times) = (scale(2_000, 30_000), scale(1, 3));
    let server = Server::start().await;
    let url = server.url();
    flow::streams(&url, 1).await;
    let setup = flow::setup(&url);
    let trackside = Trackside::start(&setup).await;
    let mut producer = Producer::start(&url, count);
    let context = async_nats::jetstream::new(server.client().await);
    for time in 1..=times {
        producer.reached(count * time / (times + 1)).await;
        let stream = context.get_stream("ORDERS").await.expect("it is there");
        until("the consumer to delete", async || stream.delete_consumer("trackside").await.ok()).await;
    }
    producer.finish().await;
    flow::settled(&url).await;
    let books = flow::books(&url, Vec::new()).await;
    conclude("consumer deleted", &format!("{times} times"), begun, books);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_full() {
    let begun = Instant::now();
    let count = scale(2_000, 20_000);
    let Some(disk) = trackside_tests::SmallDisk::mount("256m") else {
        println!("| disk full under the store | not run: mounting a small disk needs root | | | | | | |");
        return;
    };
    let mut server = Server::start_in(disk.path()).await;
    let url = server.url();
    flow::streams(&url, 1).await;
    let setup = flow::setup(&url);
    let trackside = Trackside::start(&setup).await;
    disk.fill(1 << 20);
    let mut producer = Producer::start(&url, count);
    until("the disk to be full", async || {
        let full = server.log().contains("no space left");
        let tells = trackside.log().contains("an output could not be published");
        (full && (tells || producer.sent() < count)).then_some(())
    })
    .await;
    disk.free();
    // A nats-server that could not write stops serving the stream until it is started again.
    server.restart().await;
    producer.finish().await;
    flow::settled(&url).await;
    let books = flow::books(&url, Vec::new()).await;
    conclude("disk full under the store, then with room again", "once", begun, books);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn instance_killed() {
    let begun = Instant::now();
    let (count, rounds) = (scale(3_000, 50_000), scale(1, 5));
    let server = Server::start().await;
    let url = server.url();
    flow::streams(&url, 1).await;
    // Two of them, each with a directory of its own that says the same: one is killed, the other is asked to end.
    let setups = [flow::setup(&url), flow::setup(&url)];
    let mut killed = Trackside::start(&setups[0]).await;
    let mut ended = Trackside::start(&setups[1]).await;
    let mut producer = Producer::start(&url, count);
    for round in 1..=rounds {
        producer.reached(count * (2 * round - 1) / (2 * rounds + 1)).await;
        killed.kill();
        killed = Trackside::start(&setups[0]).await;
        producer.reached(count * 2 * round / (2 * rounds + 1)).await;
        assert_eq!(ended.drain().await, 0);
        ended = Trackside::start(&setups[1]).await;
    }
    producer.finish().await;
    flow::settled(&url).await;
    let books = flow::books(&url, Vec::new()).await;
    let how = format!("{rounds} times killed, {rounds} times ended by SIGTERM");
    conclude("instances that share a stream come and go", &how, begun, books);
    assert_eq!((killed.drain().await, ended.drain().await), (0, 0));
}
