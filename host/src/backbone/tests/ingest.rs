use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use bytes::Bytes;

use super::server::Server;
use super::{connected, make_stream, other_client, outgoing, settings, subscribed, within};
use crate::backbone::publish::PendingKind;
use crate::backbone::streams::Stream;
use crate::backbone::{Confirmed, Connection, Outgoing, Pending, PublishError, connect};
use crate::rules::NatsSettings;

/// As many unanswered messages as a batch is opened for.
const BACKLOG: usize = 64;

fn config() -> Config {
    Config {
        name: "CLEAN".to_owned(),
        subjects: vec!["clean.>".to_owned()],
        allow_batch_publish: true,
        ..Config::default()
    }
}

async fn start_with(config: Config) -> (Server, async_nats::Client, Connection) {
    let server = Server::start();
    let other = other_client(&server).await;
    within(jetstream::new(other.clone()).create_stream(config)).await.expect("is made");
    let connection = connected(&server).await;
    (server, other, connection)
}

async fn start() -> (Server, async_nats::Client, Connection) {
    start_with(config()).await
}

async fn publish(connection: &Connection, message: Outgoing) -> Pending {
    within(connection.publisher().publish_among(message)).await.expect("is sent")
}

fn is_batched(pending: &Pending) -> bool {
    matches!(pending.kind, PendingKind::Batched(_))
}

/// Has so much under way that a batch is opened for the next message; it stays so while the result is kept.
async fn backlog(connection: &Connection) -> Vec<Pending> {
    let mut alone = Vec::new();
    for number in 0..BACKLOG {
        alone.push(publish(connection, outgoing("clean.a", &format!("alone-{number}"))).await);
    }
    assert!(!alone.iter().any(is_batched), "there was no backlog");
    alone
}

async fn confirmed(pending: Vec<Pending>) -> Vec<Result<Confirmed, PublishError>> {
    let mut confirmed = Vec::new();
    for pending in pending {
        confirmed.push(within(pending.confirmed()).await);
    }
    confirmed
}

fn among() -> Result<Confirmed, PublishError> {
    Ok(Confirmed::Among { stream: "CLEAN".into() })
}

/// The ids of what the stream has, in its order.
async fn ids(client: &async_nats::Client) -> Vec<String> {
    let mut stream = within(jetstream::new(client.clone()).get_stream("CLEAN")).await.expect("is there");
    let last = within(stream.info()).await.expect("is there").state.last_sequence;
    let mut ids = Vec::new();
    for sequence in 1..=last {
        let message = within(stream.get_raw_message(sequence)).await.expect("is there");
        ids.push(message.headers.get("Nats-Msg-Id").expect("has an id").to_string());
    }
    ids
}

fn numbered(what: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("{what}-{number}")).collect()
}

/// The stream as the publisher knows it.
fn known(connection: &Connection) -> Arc<Stream> {
    connection.publisher.parts.index.ingesting("clean.a").expect("allows fast ingest")
}

#[tokio::test]
async fn a_backlog_goes_in_a_batch_that_stores_each_message_once_and_in_order() {
    let (_server, other, connection) = start().await;
    for time in 0..2 {
        let mut pending = backlog(&connection).await;
        for number in 0..500 {
            pending.push(publish(&connection, outgoing("clean.a", &format!("batched-{number}"))).await);
        }
        let batched = pending.split_off(BACKLOG);
        assert!(batched.iter().all(is_batched), "time {time}: not all of them went in a batch");
        assert_eq!(confirmed(batched).await, vec![among(); 500], "time {time}");
        assert!(confirmed(pending).await.iter().all(Result::is_ok), "time {time}");
        let want = [numbered("alone", 0..BACKLOG), numbered("batched", 0..500)].concat();
        assert_eq!(ids(&other).await, want, "time {time}");
    }
}

#[tokio::test]
async fn the_rest_of_a_batch_is_confirmed_without_anything_after_it() {
    let (_server, _other, connection) = start().await;
    let _alone = backlog(&connection).await;
    for count in [1, 2, 31, 32, 33] {
        let begun = std::time::Instant::now();
        let mut pending = Vec::new();
        for number in 0..count {
            pending.push(publish(&connection, outgoing("clean.a", &format!("{count}-{number}"))).await);
        }
        assert!(pending.iter().all(is_batched));
        assert_eq!(confirmed(pending).await, vec![among(); count]);
        assert!(begun.elapsed() < Duration::from_secs(2), "took as long as a lost answer does");
    }
}

#[tokio::test]
async fn a_message_with_little_under_way_is_confirmed_with_its_sequence() {
    let (_server, _other, connection) = start().await;
    for number in 1..=2 * BACKLOG {
        let pending = publish(&connection, outgoing("clean.a", &number.to_string())).await;
        let want = Confirmed::Stored { stream: "CLEAN".to_owned(), sequence: number as u64, duplicate: false };
        assert_eq!(within(pending.confirmed()).await, Ok(want));
    }
}

#[tokio::test]
async fn a_message_that_the_stream_refuses_is_told_so_and_all_others_of_its_batch_are_stored_once() {
    for refused in [0, 7, 99] {
        let (_server, other, connection) = start_with(Config { max_message_size: 300, ..config() }).await;
        let alone = backlog(&connection).await;
        let mut pending = Vec::new();
        for number in 0..100 {
            let mut message = outgoing("clean.a", &format!("batched-{number}"));
            if number == refused {
                message.payload = Bytes::from(vec![b'x'; 400]);
            }
            pending.push(publish(&connection, message).await);
        }
        assert!(is_batched(&pending[refused]));
        let results = confirmed(pending).await;
        for (number, result) in results.into_iter().enumerate() {
            if number == refused {
                assert!(matches!(&result, Err(PublishError::Stream { code: 10054, .. })), "{number}: {result:?}");
            } else {
                assert!(result.is_ok(), "{number}: {result:?}");
            }
        }
        let mut stored = ids(&other).await;
        stored.sort_unstable();
        let mut want = [numbered("alone", 0..BACKLOG), numbered("batched", 0..100)].concat();
        want.retain(|id| *id != format!("batched-{refused}"));
        want.sort_unstable();
        assert_eq!(stored, want, "refused: {refused}");
        let next = publish(&connection, outgoing("clean.a", "next")).await;
        assert!(!is_batched(&next), "there is no other batch at once after one that went wrong");
        drop(alone);
    }
}

#[tokio::test]
async fn a_stream_that_becomes_full_in_the_middle_of_a_batch_confirms_what_it_has_room_for() {
    let full = Config { max_messages: BACKLOG as i64 + 50, discard: DiscardPolicy::New, ..config() };
    let (_server, other, connection) = start_with(full).await;
    let _alone = backlog(&connection).await;
    let mut pending = Vec::new();
    for number in 0..100 {
        pending.push(publish(&connection, outgoing("clean.a", &format!("batched-{number}"))).await);
    }
    for (number, result) in confirmed(pending).await.into_iter().enumerate() {
        let full = matches!(&result, Err(PublishError::Stream { code: 10077, retryable: true, .. }));
        assert!(if number < 50 { result.is_ok() } else { full }, "{number}: {result:?}");
    }
    assert_eq!(ids(&other).await, [numbered("alone", 0..BACKLOG), numbered("batched", 0..50)].concat());
}

#[tokio::test]
async fn a_stream_that_no_longer_allows_it_stores_messages_one_by_one() {
    let (_server, other, connection) = start().await;
    let stream = known(&connection);
    let _alone = backlog(&connection).await;
    let change = Config { allow_batch_publish: false, ..config() };
    within(jetstream::new(other).update_stream(change)).await.expect("is changed");
    // Whatever is known of the change by now, it is not in time for this.
    stream.inlet.allow(true);
    let mut pending = Vec::new();
    for number in 0..10 {
        let message = outgoing("clean.a", &format!("batched-{number}"));
        pending.push(within(connection.publisher.ingest(Arc::clone(&stream), message)).await.expect("is sent"));
    }
    assert!(pending.iter().all(is_batched));
    for (number, result) in confirmed(pending).await.into_iter().enumerate() {
        let sequence = (BACKLOG + number + 1) as u64;
        assert_eq!(result, Ok(Confirmed::Stored { stream: "CLEAN".to_owned(), sequence, duplicate: false }));
    }
    assert!(!stream.inlet.is_allowed(), "it is not asked again");
}

#[tokio::test]
async fn messages_of_a_batch_that_no_stream_takes_any_longer_are_told_so() {
    let (_server, other, connection) = start().await;
    let stream = known(&connection);
    let _alone = backlog(&connection).await;
    within(jetstream::new(other).delete_stream("CLEAN")).await.expect("is deleted");
    let mut pending = Vec::new();
    for number in 0..10 {
        let message = outgoing("clean.a", &format!("batched-{number}"));
        pending.push(within(connection.publisher.ingest(Arc::clone(&stream), message)).await.expect("is sent"));
    }
    assert!(pending.iter().all(is_batched));
    for result in confirmed(pending).await {
        assert!(matches!(result, Err(PublishError::NoStream { .. })), "{result:?}");
    }
}

#[tokio::test]
async fn a_batch_that_nobody_answers_is_an_error_in_time_and_the_next_messages_go_by_themselves() {
    let (server, other, _) = start().await;
    let settings = NatsSettings { request_timeout: Duration::from_millis(300), ..settings(&server) };
    let connection = within(connect(&settings, std::path::Path::new("/"))).await.expect("connects");
    let stream = known(&connection);
    let _silent = subscribed(&other, "silent").await;
    let _alone = backlog(&connection).await;
    let message = outgoing("silent", "batched");
    let pending = within(connection.publisher.ingest(Arc::clone(&stream), message)).await.expect("is sent");
    assert!(is_batched(&pending));
    let error = within(pending.confirmed()).await.expect_err("nobody answers");
    assert!(matches!(error, PublishError::Timeout { .. }), "{error:?}");
    let next = publish(&connection, outgoing("clean.a", "next")).await;
    assert!(!is_batched(&next));
    assert!(matches!(within(next.confirmed()).await, Ok(Confirmed::Stored { .. })));
}

#[tokio::test]
async fn a_large_message_goes_by_itself_in_its_place() {
    let (_server, other, connection) = start().await;
    let _alone = backlog(&connection).await;
    let mut pending = Vec::new();
    for number in 0..40 {
        let mut message = outgoing("clean.a", &format!("batched-{number}"));
        if number == 20 {
            message.payload = Bytes::from(vec![b'x'; 20 << 10]);
        }
        pending.push(publish(&connection, message).await);
        assert_eq!(is_batched(&pending[number]), number != 20);
    }
    assert!(confirmed(pending).await.iter().all(Result::is_ok));
    assert_eq!(ids(&other).await, [numbered("alone", 0..BACKLOG), numbered("batched", 0..40)].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_of_several_threads_and_connections_share_a_stream_and_lose_nothing() {
    let (server, other, connection) = start().await;
    let others = [connected(&server).await, connection.clone(), connection];
    let mut tasks = Vec::new();
    for (publisher, connection) in others.into_iter().enumerate() {
        tasks.push(tokio::spawn(async move {
            let mut pending = Vec::new();
            for number in 0..2000 {
                pending.push(publish(&connection, outgoing("clean.a", &format!("{publisher}-{number}"))).await);
            }
            let batched = pending.iter().filter(|pending| is_batched(pending)).count();
            assert!(batched > 1000, "publisher {publisher} had {batched} in batches");
            let results = confirmed(pending).await;
            assert!(results.iter().all(Result::is_ok), "{:?}", results.iter().find(|result| result.is_err()));
        }));
    }
    for task in tasks {
        within(task).await.expect("has not panicked");
    }
    let ids = ids(&other).await;
    assert_eq!(ids.len(), 6000);
    for publisher in 0..3 {
        let own: Vec<_> = ids.iter().filter(|id| id.starts_with(&format!("{publisher}-"))).cloned().collect();
        assert_eq!(own, numbered(&publisher.to_string(), 0..2000), "in the order of the calls");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_lost_with_its_connection_is_an_error_at_once_and_stored_once_by_the_next_try() {
    let (mut server, other, connection) = start().await;
    let send = async |connection: &Connection| {
        let mut pending = Vec::new();
        for number in 0..3000 {
            pending.push(publish(connection, outgoing("clean.a", &number.to_string())).await);
        }
        pending
    };
    let pending = send(&connection).await;
    assert!(pending.iter().any(is_batched));
    server.kill();
    let begun = std::time::Instant::now();
    let mut lost = 0;
    for result in confirmed(pending).await {
        match result {
            Ok(_) => {}
            Err(PublishError::Disconnected { .. }) => lost += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(lost > 0, "everything was stored before the server was killed");
    assert!(begun.elapsed() < Duration::from_secs(3), "took as long as a lost answer does");
    server.start_again();
    for result in confirmed(send(&connection).await).await {
        assert!(result.is_ok(), "{result:?}");
    }
    let mut ids = ids(&other).await;
    assert_eq!(ids.len(), 3000);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3000);
}

#[tokio::test]
async fn a_stream_without_it_is_never_asked_for_a_batch() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "CLEAN", &["clean.>"]).await;
    let connection = connected(&server).await;
    assert!(connection.publisher.parts.index.ingesting("clean.a").is_none());
    let _alone = backlog(&connection).await;
    assert!(!is_batched(&publish(&connection, outgoing("clean.a", "next")).await));
}
