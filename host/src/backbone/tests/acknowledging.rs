use std::path::Path;
use std::time::Duration;

use async_nats::jetstream;
use bytes::Bytes;
use futures::StreamExt as _;

use super::server::Server;
use super::{jetstream_source, make_stream, other_client, settings, store, subscribed, take, within};
use crate::backbone::{Connection, Delivery, connect};
use crate::rules::{NatsSettings, SourceKind};

/// A message of a source with `double-ack`, and who can look at the server.
async fn delivered(server: &Server) -> (Connection, Delivery, async_nats::Client) {
    let other = other_client(server).await;
    make_stream(&other, "ORDERS", &["orders.>"]).await;
    store(&other, "orders.eu", 0..1).await;
    let settings = NatsSettings { request_timeout: Duration::from_secs(2), ..settings(server) };
    let connection = within(connect(&settings, Path::new("/"))).await.expect("connects");
    let mut source = jetstream_source("ORDERS", "reader");
    if let SourceKind::JetStream { double_ack, .. } = &mut source.kind {
        *double_ack = true;
    }
    let mut source = within(connection.open(&source)).await.expect("opens");
    let delivery = take(&mut source, 1).await.remove(0);
    (connection, delivery, other)
}

async fn delete_consumer(client: &async_nats::Client) {
    let stream = within(jetstream::new(client.clone()).get_stream("ORDERS")).await.expect("is there");
    within(stream.delete_consumer("reader")).await.expect("is deleted");
}

#[tokio::test]
async fn a_double_acknowledgement_is_with_the_server_when_it_returns() {
    let server = Server::start();
    let (_connection, delivery, other) = delivered(&server).await;
    let mut acks = subscribed(&other, "$JS.ACK.>").await;
    within(delivery.acker.ack()).await.expect("is confirmed");
    assert!(within(acks.next()).await.expect("is sent").reply.is_some(), "it asks for an answer");
    let stream = within(jetstream::new(other).get_stream("ORDERS")).await.expect("is there");
    assert_eq!(within(stream.consumer_info("reader")).await.expect("is there").num_ack_pending, 0);
}

#[tokio::test]
async fn a_double_acknowledgement_is_sent_again_until_it_is_confirmed() {
    let server = Server::start();
    let (_connection, delivery, other) = delivered(&server).await;
    delete_consumer(&other).await;
    let mut acks = subscribed(&other, "$JS.ACK.>").await;
    let answering = async {
        acks.next().await.expect("is sent");
        let again = acks.next().await.expect("is sent again");
        other.publish(again.reply.expect("asks for an answer"), Bytes::new()).await.expect("is sent");
    };
    let (acked, ()) = within(futures::future::join(delivery.acker.ack(), answering)).await;
    acked.expect("is confirmed");
}

#[tokio::test]
async fn a_double_acknowledgement_that_nobody_confirms_says_so() {
    let server = Server::start();
    let (_connection, delivery, other) = delivered(&server).await;
    delete_consumer(&other).await;
    let error = within(delivery.acker.ack()).await.expect_err("nobody confirms");
    let text = error.to_string();
    assert!(text.starts_with("the server did not confirm the acknowledgement within 2s: no responders"), "{text}");
}
