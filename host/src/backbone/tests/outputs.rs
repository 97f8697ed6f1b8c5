use bytes::Bytes;
use futures::StreamExt as _;

use super::server::Server;
use super::{connected, make_stream, other_client, outgoing, settings, subscribed, within};
use crate::backbone::{Confirmed, Connection, Outgoing, PublishError, connect};
use crate::message::{Headers, Subject};
use crate::rules::{Auth, Confirm, NatsSettings, SecretRef};

async fn publish(connection: &Connection, message: Outgoing) -> Result<Confirmed, PublishError> {
    within(async { connection.publisher().publish(message).await?.confirmed().await }).await
}

fn stored(sequence: u64, duplicate: bool) -> Result<Confirmed, PublishError> {
    Ok(Confirmed::Stored { stream: "CLEAN".to_owned(), sequence, duplicate })
}

#[tokio::test]
async fn a_stream_confirms_what_it_stores_and_stores_one_id_once() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "CLEAN", &["clean.>"]).await;
    let connection = connected(&server).await;
    assert_eq!(publish(&connection, outgoing("clean.a", "ORDERS:1:2")).await, stored(1, false));
    assert_eq!(publish(&connection, outgoing("clean.a", "ORDERS:2:3")).await, stored(2, false));
    assert_eq!(publish(&connection, outgoing("clean.a", "ORDERS:1:2")).await, stored(1, true));
}

#[tokio::test]
async fn headers_arrive_with_the_order_of_their_values_and_our_message_id() {
    let server = Server::with("");
    let other = other_client(&server).await;
    let mut subscription = subscribed(&other, "out.>").await;
    let connection = connected(&server).await;
    let mut headers = Headers::default();
    for (name, value) in [("Region", "eu"), ("Nats-Msg-Id", "the producer's"), ("Region", "us"), ("Empty", "")] {
        headers.push(name, value);
    }
    let reply = Some(Subject::new("answer.here").expect("a subject"));
    let message = Outgoing { headers, reply, ..outgoing("out.a", "ours") };
    assert_eq!(publish(&connection, message).await, Ok(Confirmed::Flushed));
    let message = within(subscription.next()).await.expect("arrives");
    assert_eq!(message.reply.as_deref(), Some("answer.here"));
    let headers = message.headers.expect("has headers");
    let regions: Vec<_> = headers.get_all("Region").map(async_nats::HeaderValue::as_str).collect();
    assert_eq!(regions, ["eu", "us"]);
    assert_eq!(headers.get_all("Nats-Msg-Id").map(async_nats::HeaderValue::as_str).collect::<Vec<_>>(), ["ours"]);
    assert_eq!(headers.get("Empty").map(async_nats::HeaderValue::as_str), Some(""));
}

#[tokio::test]
async fn messages_reach_the_wire_in_the_order_of_the_calls() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "CLEAN", &["clean.>"]).await;
    let connection = connected(&server).await;
    let publisher = connection.publisher();
    let mut pending = Vec::new();
    for number in 0..200 {
        pending.push(publisher.publish(outgoing("clean.a", &number.to_string())).await.expect("is sent"));
    }
    for (number, pending) in pending.into_iter().enumerate() {
        assert_eq!(within(pending.confirmed()).await, stored(number as u64 + 1, false));
    }
}

#[tokio::test]
async fn what_must_be_stored_and_no_stream_takes_is_an_error_that_may_be_retried() {
    let server = Server::start();
    let connection = connected(&server).await;
    let error = publish(&connection, Outgoing { confirm: Confirm::Stream, ..outgoing("clean.a", "1") }).await;
    let error = error.expect_err("nobody stores it");
    assert_eq!(error.to_string(), "no stream takes `clean.a`");
    assert!(error.retryable());
}

#[tokio::test]
async fn a_flush_is_enough_where_the_route_says_so() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "CLEAN", &["clean.>"]).await;
    let connection = connected(&server).await;
    let message = Outgoing { confirm: Confirm::Flush, ..outgoing("clean.a", "1") };
    assert_eq!(publish(&connection, message).await, Ok(Confirmed::Flushed));
}

#[tokio::test]
async fn a_stream_made_later_is_seen_by_its_advisory_and_what_it_took_is_never_only_flushed_again() {
    let server = Server::start();
    let connection = connected(&server).await;
    assert_eq!(publish(&connection, outgoing("clean.a", "0")).await, Ok(Confirmed::Flushed));
    let other = other_client(&server).await;
    make_stream(&other, "CLEAN", &["clean.>"]).await;
    let begun = std::time::Instant::now();
    within(async {
        while connection.publisher.parts.index.takes("clean.a") != Ok(true) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(begun.elapsed().as_secs() < 5, "took as long as polling does");
    assert_eq!(publish(&connection, outgoing("clean.a", "1")).await, stored(1, false));
    within(async_nats::jetstream::new(other).delete_stream("CLEAN")).await.expect("is deleted");
    let none = publish(&connection, outgoing("clean.a", "2")).await;
    assert!(matches!(none, Err(PublishError::NoStream { .. })), "{none:?}");
    connection.publisher.parts.index.refresh(connection.wire()).await;
    assert_eq!(connection.publisher.parts.index.takes("clean.a"), Ok(true), "it was stored once");
    let none = publish(&connection, outgoing("clean.a", "3")).await;
    assert!(matches!(none, Err(PublishError::NoStream { .. })), "{none:?}");
}

#[tokio::test]
async fn a_message_larger_than_the_server_takes_is_refused_before_it_is_sent() {
    let server = Server::with("max_payload: 1000\njetstream { store_dir: \"DIRECTORY/store\" }");
    let connection = connected(&server).await;
    assert_eq!(connection.max_payload(), 1000);
    let fits = |size| Outgoing { payload: Bytes::from(vec![b'x'; size]), ..outgoing("a.b", "id") };
    // `NATS/1.0` CR LF, `Nats-Msg-Id: id` CR LF, CR LF.
    let headers = 10 + 17 + 2;
    assert_eq!(publish(&connection, fits(1000 - headers)).await, Ok(Confirmed::Flushed));
    let error = publish(&connection, fits(1001 - headers)).await.expect_err("is too large");
    let want = "a message to `a.b` has 1001 bytes with its headers, the NATS server takes 1000 (`max_payload`)";
    assert_eq!(error.to_string(), want);
    assert!(!error.retryable());
}

#[tokio::test]
async fn what_a_stream_refuses_is_told_in_its_words() {
    let server = Server::start();
    let other = other_client(&server).await;
    let config = async_nats::jetstream::stream::Config {
        name: "CLEAN".to_owned(),
        subjects: vec!["clean.>".to_owned()],
        max_messages: 1,
        max_message_size: 200,
        discard: async_nats::jetstream::stream::DiscardPolicy::New,
        ..Default::default()
    };
    within(async_nats::jetstream::new(other).create_stream(config)).await.expect("is made");
    let connection = connected(&server).await;
    assert_eq!(publish(&connection, outgoing("clean.a", "1")).await, stored(1, false));
    let full = publish(&connection, outgoing("clean.a", "2")).await.expect_err("is full");
    let want = "the stream did not take a message to `clean.a`: maximum messages exceeded (JetStream error 10077)";
    assert_eq!(full.to_string(), want);
    assert!(full.retryable(), "a full stream may be emptied");
    let large = Outgoing { payload: Bytes::from(vec![b'x'; 300]), ..outgoing("clean.a", "3") };
    let large = publish(&connection, large).await.expect_err("is too large");
    assert!(matches!(large, PublishError::Stream { code: 10054, .. }) && !large.retryable(), "{large}");
}

#[tokio::test]
async fn what_nats_cannot_carry_is_an_error_and_not_a_broken_connection() {
    let server = Server::with("");
    let connection = connected(&server).await;
    let mut headers = Headers::default();
    headers.push("A", "b\r\nNats-Rollup: all");
    let error = publish(&connection, Outgoing { headers, ..outgoing("a.b", "1") }).await.expect_err("is refused");
    assert!(error.to_string().starts_with("a message to `a.b` cannot be sent: header `A`:"), "{error}");
    assert!(!error.retryable());
    let mut message = outgoing("a.b", "1");
    message.subject = Subject::delivered("a b\r\nPUB x 0\r\n");
    assert!(matches!(publish(&connection, message).await, Err(PublishError::Invalid { .. })));
    assert_eq!(publish(&connection, outgoing("a.b", "2")).await, Ok(Confirmed::Flushed));
    assert_eq!(connection.losses(), 0);
}

#[tokio::test]
async fn a_user_who_may_not_use_inboxes_still_gets_outputs_flushed_to_the_socket() {
    let server = Server::with(
        "authorization { users: [ { user: \"a\", password: \"b\", permissions: { publish: [\"out.>\", \"$JS.API.>\"] } } ] }",
    );
    let text = |text: &str| SecretRef::Plain(text.to_owned());
    let auth = Auth::UserPassword { user: text("a"), password: text("b") };
    let settings = NatsSettings { auth, request_timeout: std::time::Duration::from_millis(500), ..settings(&server) };
    let connection = within(connect(&settings, std::path::Path::new("/"))).await.expect("connects");
    let first = publish(&connection, outgoing("out.a", "1")).await;
    assert!(matches!(first, Err(PublishError::Timeout { .. }) | Ok(Confirmed::Flushed)), "{first:?}");
    assert_eq!(publish(&connection, outgoing("out.a", "1")).await, Ok(Confirmed::Flushed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_is_lost_with_its_connection_is_an_error_at_once_and_the_retry_is_a_duplicate() {
    let mut server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "CLEAN", &["clean.>"]).await;
    let connection = connected(&server).await;
    let publisher = connection.publisher();
    assert_eq!(publish(&connection, outgoing("clean.a", "1")).await, stored(1, false));
    // Nobody answers on this subject, so the confirmation is waited for when the server goes.
    let mut silent = subscribed(&other, "silent").await;
    let message = Outgoing { confirm: Confirm::Stream, ..outgoing("silent", "2") };
    let pending = publisher.publish(message).await.expect("is sent");
    within(silent.next()).await.expect("arrives");
    server.kill();
    let error = within(pending.confirmed()).await.expect_err("is lost");
    assert_eq!(error, PublishError::Disconnected { subject: Subject::new("silent").expect("a subject") });
    server.start_again();
    assert_eq!(publish(&connection, outgoing("clean.a", "1")).await, stored(1, true));
}
