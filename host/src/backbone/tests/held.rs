use async_nats::jetstream;

use super::server::Server;
use super::{connected, make_stream, other_client, pattern, within};
use crate::backbone::Holding;

/// Stores a message with two values of one header.
async fn store_with_headers(client: &async_nats::Client, subject: &'static str) {
    let mut headers = async_nats::HeaderMap::new();
    for value in ["eu", "us"] {
        headers.append("Region", value);
    }
    let sent = jetstream::new(client.clone()).publish_with_headers(subject, headers, "{}".into()).await;
    within(std::future::IntoFuture::into_future(sent.expect("is sent"))).await.expect("is stored");
}

#[tokio::test]
async fn what_a_stream_holds_is_read_in_order_with_all_its_headers() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "DEAD", &["dead.>"]).await;
    let connection = connected(&server).await;
    assert_eq!(connection.holding("NONE").await, Ok(None));
    assert_eq!(connection.holding("DEAD").await, Ok(Some(Holding { last_sequence: 0, deletable: true })));
    assert_eq!(connection.streams_with(&pattern("dead.a")).await, Ok(vec!["DEAD".to_owned()]));
    assert_eq!(connection.streams_with(&pattern("live.a")).await, Ok(Vec::new()));
    for subject in ["dead.a", "dead.b", "dead.a"] {
        store_with_headers(&other, subject).await;
    }
    let all = pattern(">");
    let second = connection.next_held("DEAD", 2, &all).await.expect("is read").expect("is there");
    assert_eq!((second.sequence, second.message.subject.as_str()), (2, "dead.b"));
    let third = connection.next_held("DEAD", 2, &pattern("dead.a")).await.expect("is read").expect("is there");
    assert_eq!((third.sequence, third.message.payload.as_ref()), (3, b"{}".as_slice()));
    let regions: Vec<_> = third.message.headers.iter().map(|header| header.value.as_str()).collect();
    assert_eq!(regions, ["eu", "us"]);
    assert!(third.stored.elapsed().expect("in the past").as_secs() < 3600);
    assert_eq!(connection.held("DEAD", 3).await, Ok(Some(third)));
    assert_eq!(connection.next_held("DEAD", 4, &all).await, Ok(None));
    assert_eq!(connection.held("NONE", 1).await, Ok(None));
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_deleting_it_again_says_so() {
    let server = Server::start();
    let other = other_client(&server).await;
    make_stream(&other, "DEAD", &["dead.>"]).await;
    let connection = connected(&server).await;
    store_with_headers(&other, "dead.a").await;
    assert_eq!(connection.delete_held("DEAD", 1).await, Ok(true));
    assert_eq!(connection.held("DEAD", 1).await, Ok(None));
    assert_eq!(connection.delete_held("DEAD", 1).await, Ok(false));

    let config = jetstream::stream::Config {
        name: "KEPT".to_owned(),
        subjects: vec!["kept.>".to_owned()],
        deny_delete: true,
        ..Default::default()
    };
    within(jetstream::new(other.clone()).create_stream(config)).await.expect("makes a stream");
    store_with_headers(&other, "kept.a").await;
    assert_eq!(connection.holding("KEPT").await, Ok(Some(Holding { last_sequence: 1, deletable: false })));
    let error = connection.delete_held("KEPT", 1).await.expect_err("is refused");
    assert!(error.to_string().contains("not permitted"), "{error}");
}
