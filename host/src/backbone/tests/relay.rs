//! A relay that changes nothing: pull, publish, wait for the stream, acknowledge. It prints how fast that was; for a
//! figure that means something, run it in release with `TRACKSIDE_RELAY_MESSAGES=200000` and `--nocapture`.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::server::Server;
use super::{connected, jetstream_source, make_stream, other_client, outgoing, within};
use crate::backbone::{Connection, Delivery, Outgoing, PublishError, Publisher, Room};
use crate::rules::SourceKind;

const IN_FLIGHT: usize = 4096;

fn messages() -> usize {
    let asked = std::env::var("TRACKSIDE_RELAY_MESSAGES").ok();
    asked.map_or(5000, |text| text.parse().expect("TRACKSIDE_RELAY_MESSAGES is a number"))
}

async fn streams_with_orders(server: &Server, count: usize) -> async_nats::Client {
    let other = other_client(server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    make_stream(&other, "CLEAN", &["clean.>"]).await;
    let context = jetstream::new(other.clone());
    let body = Bytes::from(vec![b'x'; 1024]);
    let mut acks = FuturesUnordered::new();
    for _ in 0..count {
        let ack = context.publish("orders.eu", body.clone()).await.expect("is sent");
        acks.push(std::future::IntoFuture::into_future(ack));
        if acks.len() >= 1000 {
            within(acks.next()).await.expect("one").expect("is stored");
        }
    }
    while let Some(ack) = within(acks.next()).await {
        ack.expect("is stored");
    }
    other
}

/// The fate of one message: its id if it was passed on.
async fn pass_on(publisher: &Publisher, delivery: Delivery) -> Option<String> {
    let message = Outgoing { payload: delivery.message.payload.clone(), ..outgoing("clean.eu", &delivery.origin.id) };
    let passed: Result<_, PublishError> = async { publisher.publish(message).await?.confirmed().await }.await;
    match passed {
        Ok(_) => {
            delivery.acker.ack().await.expect("is sent");
            Some(delivery.origin.id.to_string())
        }
        Err(error) => {
            assert!(error.retryable(), "{error}");
            delivery.acker.nak(Some(Duration::from_millis(50))).await.expect("is sent");
            None
        }
    }
}

/// Relays until this many different messages were passed on; `halfway` happens once half of them were.
async fn relay(connection: &Connection, count: usize, halfway: impl FnOnce()) {
    let mut settings = jetstream_source("ORDERS", "relay");
    settings.max_in_flight_messages = IN_FLIGHT;
    if let SourceKind::JetStream { ack_wait, .. } = &mut settings.kind {
        *ack_wait = Duration::from_secs(3);
    }
    let mut source = within(connection.open(&settings)).await.expect("opens");
    let publisher = connection.publisher();
    let (mut busy, mut passed_on) = (FuturesUnordered::new(), HashSet::new());
    let mut halfway = Some(halfway);
    while passed_on.len() < count {
        let room = Room { messages: IN_FLIGHT - busy.len(), bytes: 64 << 20, holds_nothing: busy.is_empty() };
        tokio::select! {
            Some(id) = busy.next() => passed_on.extend(id),
            batch = source.next(room), if room.messages > 0 => {
                busy.extend(batch.expect("delivers").into_iter().map(|delivery| pass_on(&publisher, delivery)));
            }
        }
        if passed_on.len() > count / 2
            && let Some(halfway) = halfway.take()
        {
            halfway();
        }
    }
}

async fn stored(client: async_nats::Client) -> u64 {
    let mut stream = within(jetstream::new(client).get_stream("CLEAN")).await.expect("is there");
    within(stream.info()).await.expect("is there").state.messages
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_passes_on_every_message_once() {
    let count = messages();
    let server = Server::start();
    let other = streams_with_orders(&server, count).await;
    let connection = connected(&server).await;
    let begun = Instant::now();
    within(relay(&connection, count, || {})).await;
    println!("{count} messages of 1 kB in {:?}", begun.elapsed());
    assert_eq!(stored(other).await, count as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_over_a_crash_of_the_server_still_passes_on_every_message_once() {
    let count = 5000;
    let mut server = Server::start();
    let other = streams_with_orders(&server, count).await;
    let connection = connected(&server).await;
    let crash = || {
        server.kill();
        server.start_again();
    };
    within(relay(&connection, count, crash)).await;
    assert_eq!(connection.losses(), 1);
    assert_eq!(stored(other).await, count as u64);
}
