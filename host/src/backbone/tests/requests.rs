//! What is asked of the server for the room that there is.

use std::collections::VecDeque;

use async_nats::jetstream;
use bytes::Bytes;
use futures::FutureExt as _;

use super::server::Server;
use super::{
    connected, core_source, jetstream_source, make_stream, next, other_client, outgoing, payload, store, take, within,
};
use crate::backbone::{Delivery, Room};

#[tokio::test]
async fn no_more_comes_than_there_is_room_for() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    store(&other, "orders.eu", 0..100).await;
    let connection = connected(&server).await;
    let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    let mut held = take(&mut source, 10).await;
    let full = Room { messages: 0, bytes: 1 << 20, holds_nothing: false };
    assert!(source.next(full).now_or_never().is_none(), "delivers although there is no room");
    // What was not asked for stays with the server, for others.
    let info = within(async {
        let stream = jetstream::new(other.clone()).get_stream("ORDERS").await.expect("is there");
        stream.consumer_info("reader").await.expect("is there")
    })
    .await;
    assert_eq!(info.num_ack_pending, 10);
    held.extend(take(&mut source, 5).await);
    assert_eq!(held.iter().map(payload).collect::<Vec<_>>(), (0..15).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn headers_count_for_the_memory_that_they_take() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    let connection = connected(&server).await;
    let mut sources = Vec::new();
    for settings in [jetstream_source("ORDERS", "reader"), core_source("orders.>", None)] {
        sources.push(within(connection.open(&settings)).await.expect("opens"));
    }
    let mut headers = async_nats::HeaderMap::new();
    (0..1000).for_each(|_| headers.append("A", ""));
    within(other.publish_with_headers("orders.a", headers, Bytes::new())).await.expect("is sent");
    for source in &mut sources {
        let delivery = next(source).await.remove(0);
        assert_eq!(delivery.message.headers.len(), 1000);
        assert!((96_000..110_000).contains(&delivery.bytes), "{}", delivery.bytes);
    }
}

#[tokio::test]
async fn room_in_bytes_is_kept_and_one_message_larger_than_all_of_it_comes_alone() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    let context = jetstream::new(other.clone());
    for size in [1000, 1000, 1000, 50_000, 1000] {
        let ack = context.publish("orders.eu", Bytes::from(vec![b'x'; size])).await.expect("is sent");
        within(std::future::IntoFuture::into_future(ack)).await.expect("is stored");
    }
    let connection = connected(&server).await;
    let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    // As the intake does: what is delivered takes room until it is acknowledged.
    for sizes in [vec![1000, 1000], vec![1000], vec![50_000], vec![1000]] {
        let mut held: Vec<Delivery> = Vec::new();
        let room = |held: &[Delivery]| Room {
            messages: 100,
            bytes: 2500_usize.saturating_sub(held.iter().map(|delivery| delivery.bytes).sum()),
            holds_nothing: held.is_empty(),
        };
        while held.len() < sizes.len() {
            held.extend(within(source.next(room(&held))).await.expect("delivers"));
        }
        assert_eq!(held.iter().map(|delivery| delivery.message.payload.len()).collect::<Vec<_>>(), sizes);
        let round_trip = async {
            let pending = connection.publisher().publish(outgoing("a", "1")).await.expect("is sent");
            within(pending.confirmed()).await.expect("is safe");
        };
        tokio::select! {
            biased;
            _ = source.next(room(&held)) => panic!("delivers although there is no room for the next one"),
            () = round_trip => {}
        }
        for delivery in held {
            delivery.acker.ack().await.expect("is sent");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_room_that_is_freed_bit_by_bit_keeps_the_source_flowing() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    store(&other, "orders.eu", 0..5000).await;
    let connection = connected(&server).await;
    let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    let mut held: VecDeque<Delivery> = VecDeque::new();
    let mut done = 0;
    while done < 5000 {
        let bytes: usize = held.iter().map(|delivery| delivery.bytes).sum();
        let room = Room { messages: 40 - held.len(), bytes: 4000 - bytes, holds_nothing: held.is_empty() };
        // One stall of a heartbeat now and then would be more than all the time there is.
        if done + held.len() < 5000 {
            held.extend(within(source.next(room)).await.expect("delivers"));
        }
        assert!(held.len() <= 40 && held.iter().map(|delivery| delivery.bytes).sum::<usize>() <= 4000);
        for delivery in held.drain(..held.len().div_ceil(3)) {
            assert_eq!(payload(&delivery), done.to_string());
            delivery.acker.ack().await.expect("is sent");
            done += 1;
        }
    }
}

#[tokio::test]
async fn room_that_messages_fill_to_the_last_byte_is_asked_for_again_at_once() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    store(&other, "orders.eu", 0..200).await;
    let connection = connected(&server).await;
    // Another consumer of as long a name is delivered the same sizes.
    let mut other = within(connection.open(&jetstream_source("ORDERS", "sizing"))).await.expect("opens");
    let sizes: Vec<usize> = take(&mut other, 200).await.iter().map(|delivery| delivery.bytes).collect();
    let mut source = within(connection.open(&jetstream_source("ORDERS", "reader"))).await.expect("opens");
    // One request after another whose bytes are used up and whose messages are not, of which the server says nothing. If
    // each were waited for until the source falls silent, all of them would take far longer than there is time.
    let all = async {
        for (index, sizes) in sizes.chunks(10).enumerate() {
            let room = Room { messages: 1000, bytes: sizes.iter().sum(), holds_nothing: true };
            let mut held: Vec<Delivery> = Vec::new();
            while held.len() < sizes.len() {
                let left = held.iter().fold(room, |room, delivery| room.less(delivery.bytes));
                held.extend(source.next(left).await.expect("delivers"));
            }
            assert_eq!(held.iter().map(|delivery| delivery.bytes).collect::<Vec<_>>(), sizes, "request {index}");
            for delivery in held {
                delivery.acker.ack().await.expect("is sent");
            }
        }
    };
    within(all).await;
}
