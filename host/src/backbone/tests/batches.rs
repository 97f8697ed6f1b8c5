use async_nats::jetstream;
use bytes::Bytes;
use futures::future::join_all;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::server::Server;
use super::{connected, make_stream, other_client, outgoing, settings, within};
use crate::backbone::{Confirmed, Connection, Outgoing, PublishError, connect};
use crate::rules::{Confirm, NatsSettings};

async fn publish_together(connection: &Connection, outputs: Vec<Outgoing>) -> Vec<Result<Confirmed, PublishError>> {
    let mut results = Vec::new();
    for pending in within(connection.publisher().publish_together(outputs)).await {
        results.push(match pending {
            Ok(pending) => within(pending.confirmed()).await,
            Err(error) => Err(error),
        });
    }
    results
}

/// A stream that takes batches, of messages with at most 200 bytes.
async fn make_batch_stream(client: &async_nats::Client, name: &str, subject: &str) {
    let config = serde_json::json!({
        "name": name, "subjects": [subject], "allow_atomic": true, "max_msg_size": 200, "retention": "limits",
        "storage": "file", "num_replicas": 1,
    });
    let context = jetstream::new(client.clone());
    let request = context.request(format!("STREAM.CREATE.{name}"), &config);
    let answer: serde_json::Value = within(request).await.expect("answers");
    assert!(answer["error"].is_null(), "{answer}");
}

/// The subjects and batches of what a stream has.
async fn stored(client: &async_nats::Client, name: &str) -> Vec<(String, Option<String>)> {
    let mut stream = within(jetstream::new(client.clone()).get_stream(name)).await.expect("is there");
    let last = within(stream.info()).await.expect("is there").state.last_sequence;
    let mut found = Vec::new();
    for sequence in 1..=last {
        let message = within(stream.get_raw_message(sequence)).await.expect("is there");
        let batch = message.headers.get("Nats-Batch-Id").map(|id| id.as_str().to_owned());
        found.push((message.subject.to_string(), batch));
    }
    found
}

fn confirmed(stream: &str, sequence: u64, duplicate: bool) -> Result<Confirmed, PublishError> {
    Ok(Confirmed::Stored { stream: stream.to_owned(), sequence, duplicate })
}

async fn start() -> (Server, async_nats::Client, Connection) {
    let server = Server::start();
    let other = other_client(&server).await;
    make_batch_stream(&other, "CLEAN", "clean.>").await;
    let connection = connected(&server).await;
    (server, other, connection)
}

#[tokio::test]
async fn what_one_stream_takes_becomes_one_batch_and_everything_else_is_published_as_ever() {
    let (_server, other, connection) = start().await;
    make_stream(&other, "REST", &["rest.>"]).await;
    within(connection.publisher.parts.index.refresh(connection.wire())).await;
    let subjects = ["clean.a", "rest.a", "nobody.a", "clean.b", "clean.c"];
    let mut outputs: Vec<_> = subjects.iter().map(|subject| outgoing(subject, subject)).collect();
    outputs.push(Outgoing { confirm: Confirm::Flush, ..outgoing("clean.d", "clean.d") });
    outputs.push(Outgoing { confirm: Confirm::Stream, ..outgoing("nobody.b", "nobody.b") });
    let results = publish_together(&connection, outputs).await;
    // The flushed one was sent before the batch.
    let batch = confirmed("CLEAN", 4, false);
    assert_eq!(results[..2], [batch.clone(), confirmed("REST", 1, false)]);
    assert_eq!(results[2..6], [Ok(Confirmed::Flushed), batch.clone(), batch, Ok(Confirmed::Flushed)]);
    assert!(matches!(results[6], Err(PublishError::NoStream { .. })), "{:?}", results[6]);

    let found = stored(&other, "CLEAN").await;
    let subjects: Vec<_> = found.iter().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(subjects, ["clean.d", "clean.a", "clean.b", "clean.c"]);
    assert!(found[0].1.is_none() && found[1].1.is_some() && found[1..].iter().all(|(_, id)| *id == found[1].1));
    assert_eq!(stored(&other, "REST").await, [("rest.a".to_owned(), None)]);
}

#[tokio::test]
async fn a_batch_with_one_message_that_the_stream_refuses_stores_nothing() {
    let (_server, other, connection) = start().await;
    let mut outputs: Vec<_> = ["a", "b", "c"].iter().map(|id| outgoing("clean.a", id)).collect();
    outputs[1].payload = Bytes::from(vec![b'x'; 1000]);
    let results = publish_together(&connection, outputs).await;
    assert_eq!(results.len(), 3);
    for result in results {
        assert!(matches!(&result, Err(PublishError::Stream { code: 10176, .. })), "{result:?}");
    }
    assert_eq!(stored(&other, "CLEAN").await, []);
}

#[tokio::test]
async fn a_batch_that_comes_again_is_confirmed_and_stored_once() {
    let (_server, other, connection) = start().await;
    let outputs: Vec<_> = ["a", "b", "c"].iter().map(|id| outgoing("clean.a", id)).collect();
    assert_eq!(publish_together(&connection, outputs.clone()).await, vec![confirmed("CLEAN", 3, false); 3]);
    assert_eq!(publish_together(&connection, outputs).await, vec![confirmed("CLEAN", 3, true); 3]);
    assert_eq!(stored(&other, "CLEAN").await.len(), 3);
}

#[tokio::test]
async fn a_batch_of_which_the_stream_has_a_part_is_completed() {
    let (_server, other, connection) = start().await;
    let outputs: Vec<_> = ["a", "b", "c"].iter().map(|id| outgoing("clean.a", id)).collect();
    publish_together(&connection, outputs[..2].to_vec()).await;
    assert_eq!(publish_together(&connection, outputs).await, vec![confirmed("CLEAN", 3, false); 3]);
    let ids: Vec<_> = stored(&other, "CLEAN").await.into_iter().map(|(_, batch)| batch.is_some()).collect();
    assert_eq!(ids, [true, true, false]);
}

#[tokio::test]
async fn batches_that_are_published_at_once_are_unfinished_one_at_a_time() {
    let server =
        Server::with("jetstream { store_dir: \"DIRECTORY/store\", limits { batch { max_inflight_per_stream: 1 } } }");
    let other = other_client(&server).await;
    make_batch_stream(&other, "CLEAN", "clean.>").await;
    let connection = connected(&server).await;
    // More messages than the client's send queue has places, so that the senders get in each other's way.
    let batches = (0..120).map(|number| {
        let outputs = (0..40).map(|part| outgoing("clean.a", &format!("{number}:{part}"))).collect();
        publish_together(&connection, outputs)
    });
    for results in within(join_all(batches)).await {
        for result in results {
            result.expect("is stored");
        }
    }
    let mut stream = within(jetstream::new(other).get_stream("CLEAN")).await.expect("is there");
    assert_eq!(within(stream.info()).await.expect("is there").state.messages, 4800);
}

#[tokio::test]
async fn a_stream_that_does_not_allow_batches_is_an_error_with_the_line_that_allows_them() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "CLEAN", &["clean.>"]).await;
    let connection = connected(&server).await;
    let results = publish_together(&connection, vec![outgoing("clean.a", "a"), outgoing("clean.a", "b")]).await;
    let error = results[0].clone().expect_err("is refused");
    let want = "stream `CLEAN` cannot store 2 outputs of one message together: it does not allow that; allow it with:\n    \
                nats stream edit CLEAN --allow-batch";
    assert_eq!(error.to_string(), want);
    assert!(error.retryable());
    assert_eq!(stored(&other, "CLEAN").await, []);
}

#[tokio::test]
async fn a_batch_larger_than_the_server_takes_is_refused_before_anything_is_sent() {
    let (_server, other, connection) = start().await;
    let outputs = (0..1001).map(|number| outgoing("clean.a", &number.to_string())).collect();
    let results = publish_together(&connection, outputs).await;
    assert_eq!(results.len(), 1001);
    let error = results[1000].clone().expect_err("is refused");
    let want = "stream `CLEAN` cannot store 1001 outputs of one message together: the server takes at most 1000";
    assert_eq!(error.to_string(), want);
    assert!(!error.retryable());
    assert_eq!(stored(&other, "CLEAN").await, []);
}

/// The address of the same server, which says that it is an older one.
pub(super) async fn older(server: &Server) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let real = server.url().replace("nats://", "");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = BufReader::new(TcpStream::connect(&real).await.expect("connects"));
            let mut info = String::new();
            server.read_line(&mut info).await.expect("says who it is");
            let (before, after) = info.split_once("\"version\":\"").expect("says its version");
            let (_, after) = after.split_once('"').expect("says its version");
            let info = format!("{before}\"version\":\"2.11.9\"{after}");
            client.write_all(info.as_bytes()).await.expect("is sent");
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    format!("nats://{address}")
}

#[tokio::test]
async fn a_server_that_knows_no_batches_is_an_error_instead_of_messages_stored_one_by_one() {
    let (server, other, _connection) = start().await;
    let settings = NatsSettings { servers: vec![older(&server).await], ..settings(&server) };
    let connection = within(connect(&settings, std::path::Path::new("/"))).await.expect("connects");
    let results = publish_together(&connection, vec![outgoing("clean.a", "a"), outgoing("clean.a", "b")]).await;
    let error = results[0].clone().expect_err("is refused");
    let want = "stream `CLEAN` cannot store 2 outputs of one message together: the NATS server is 2.11.9, and can do so \
                from 2.12 on; update it, or take `atomic` out of the rule";
    assert_eq!(error.to_string(), want);
    assert!(error.retryable());
    assert_eq!(stored(&other, "CLEAN").await, []);
}
