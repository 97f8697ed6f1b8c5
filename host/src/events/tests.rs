use proptest::prelude::*;
use serde_json::Value;

use super::*;

const HEAD: &str = r#""specversion":"1.0","id":"a \"1\"","source":"/shop","type":"order.created""#;

fn headers(told: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    told.iter().for_each(|(name, value)| headers.push((*name).to_owned(), *value));
    headers
}

fn told(headers: &Headers) -> Vec<(&str, &str)> {
    headers.iter().map(|header| (&*header.name, header.value.as_str())).collect()
}

fn event(text: &str) -> Result<(Headers, Bytes), EventError> {
    let body = Bytes::from(text.to_owned());
    Event::of_json(&body, &body).map(Event::into_message)
}

/// Converts, with the defaults of some message.
fn to(mode: EventMode, of: &[(&str, &str)], payload: &[u8]) -> Result<(Headers, String), EventError> {
    let (headers, payload) = (headers(of), Bytes::copy_from_slice(payload));
    let defaults = Defaults {
        id: "ORDERS:7:1",
        source: "/trackside/orders".to_owned(),
        kind: "orders.created",
        time: "2026-11-25T11:00:00Z".to_owned(),
    };
    let converted = converted(&headers, &payload, mode, &defaults);
    assert_eq!(
        check(&headers, &payload, mode),
        converted.as_ref().map(drop).map_err(Clone::clone),
        "both say the same"
    );
    let (headers, body) = converted?;
    Ok((headers, String::from_utf8(body.to_vec()).expect("it is text")))
}

#[test]
fn attributes_become_headers_and_json_data_stays_byte_for_byte() {
    let text = format!(r#"{{{HEAD},"tenant":"é","attempt":3,"urgent":true,"none":null,"data": {{"n": 1.50}} }}"#);
    let (headers, payload) = event(&text).expect("an event");
    let want = [
        ("ce-specversion", "1.0"),
        ("ce-id", "a%20%221%22"),
        ("ce-source", "/shop"),
        ("ce-type", "order.created"),
        ("ce-tenant", "%C3%A9"),
        ("ce-attempt", "3"),
        ("ce-urgent", "true"),
        ("Content-Type", "application/json"),
    ];
    assert_eq!(told(&headers), want);
    assert_eq!(&payload[..], b"{\"n\": 1.50}");
}

#[test]
fn text_that_is_not_json_stands_for_itself_and_base64_is_decoded() {
    let (headers, payload) =
        event(&format!(r#"{{{HEAD},"datacontenttype":"text/plain","data":"a\"b"}}"#)).expect("text");
    assert_eq!((&payload[..], headers.get("content-type")), (&b"a\"b"[..], Some("text/plain")));
    let (_, payload) = event(&format!(r#"{{{HEAD},"data_base64":"AP8="}}"#)).expect("bytes");
    assert_eq!(&payload[..], [0, 255]);
}

#[test]
fn what_is_not_an_event_is_told() {
    for (text, want) in [
        ("[]", EventError::NotAnObject),
        ("{", EventError::NotAnObject),
        (r#"{"specversion":"1.0","id":"1","source":"/"}"#, EventError::Missing("type")),
        (r#"{"specversion":"1.0","id":"","source":"/","type":"t"}"#, EventError::Missing("id")),
        (r#"{"specversion":"0.3","id":"1","source":"/","type":"t"}"#, EventError::Version),
        (r#"{"id":"1","id":"2"}"#, EventError::Twice("id".to_owned())),
        (r#"{"Id":"1"}"#, EventError::Name("Id".to_owned())),
        (r#"{"id":{}}"#, EventError::Value("id".to_owned())),
        (r#"{"id":1.5}"#, EventError::Value("id".to_owned())),
        (r#"{"id":"a\nNats-Rollup: all"}"#, EventError::Value("id".to_owned())),
    ] {
        assert_eq!(event(text), Err(want), "{text}");
    }
    assert_eq!(event(&format!(r#"{{{HEAD},"data":1,"data_base64":""}}"#)), Err(EventError::DataTwice));
    assert_eq!(event(&format!(r#"{{{HEAD},"data_base64":"*"}}"#)), Err(EventError::Base64));
}

#[test]
fn a_message_becomes_structured_with_its_attributes_and_what_it_lacks() {
    let of = [("CE-Id", "a%20%22b"), ("ce-tenant", "eu"), ("Region", "x"), ("ce-bad_name", "y")];
    let (headers, body) = to(EventMode::Structured, &of, b" {\"n\": 1.50}").expect("an event");
    assert_eq!(
        body,
        "{\"id\":\"a \\\"b\",\"tenant\":\"eu\",\"specversion\":\"1.0\",\"source\":\"/trackside/orders\",\
         \"type\":\"orders.created\",\"time\":\"2026-11-25T11:00:00Z\",\"data\": {\"n\": 1.50}}"
    );
    assert_eq!(told(&headers), [("Region", "x"), ("ce-bad_name", "y"), ("Content-Type", STRUCTURED)]);
}

#[test]
fn what_is_not_json_goes_as_base64_and_nothing_goes_as_nothing() {
    let to = |of: &[(&str, &str)], payload| to(EventMode::Structured, of, payload).expect("an event").1;
    let body = to(&[("Content-Type", "text/plain")], b"{}");
    assert!(body.contains("\"datacontenttype\":\"text/plain\"") && body.ends_with("\"data_base64\":\"e30=\"}"));
    let body = to(&[("Content-Type", "application/vnd.x+json; charset=utf-8")], b"[1]");
    assert!(body.ends_with("\"data\":[1]}"), "{body}");
    let body = to(&[], b"");
    assert!(serde_json::from_str::<Value>(&body).is_ok() && !body.contains("data"), "{body}");
    // As `data` it would be none.
    assert!(to(&[], b"null").ends_with("\"data_base64\":\"bnVsbA==\"}"));
}

#[test]
fn a_message_becomes_binary_with_what_it_lacks_and_values_that_every_header_can_have() {
    let of = [("CE-Type", "é"), ("Content-Type", "text/plain"), ("Region", "x")];
    let (headers, body) = to(EventMode::Binary, &of, b"x").expect("an event");
    let want = [
        ("Region", "x"),
        ("ce-type", "%C3%A9"),
        ("ce-specversion", "1.0"),
        ("ce-id", "ORDERS:7:1"),
        ("ce-source", "/trackside/orders"),
        ("ce-time", "2026-11-25T11:00:00Z"),
        ("Content-Type", "text/plain"),
    ];
    assert_eq!((told(&headers), body.as_str()), (want.to_vec(), "x"));
}

const COMPLETE: [(&str, &str); 4] =
    [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/shop"), ("ce-type", "t")];

#[test]
fn an_event_is_never_wrapped_twice_and_gets_nothing_that_it_need_not_have() {
    let text = format!("{{{HEAD}, \"attempt\": 3,\"data\": 1.50}}");
    for kind in [STRUCTURED, "Application/CloudEvents+JSON; charset=utf-8"] {
        // What the headers say as well, the event says.
        let of = [("Content-Type", kind), ("ce-id", "other"), ("Region", "x")];
        let (headers, body) = to(EventMode::Structured, &of, text.as_bytes()).expect("an event");
        assert_eq!((told(&headers), &body), (vec![("Region", "x"), ("Content-Type", STRUCTURED)], &text));
        let (headers, body) = to(EventMode::Binary, &of, text.as_bytes()).expect("an event");
        assert_eq!((headers.get("ce-id"), headers.get("ce-attempt")), (Some("a%20%221%22"), Some("3")));
        assert_eq!((headers.get("region"), headers.get("ce-time"), body.as_str()), (Some("x"), None, "1.50"));
    }
    let (_, body) = to(EventMode::Structured, &COMPLETE, b"1").expect("an event");
    assert_eq!(body, r#"{"specversion":"1.0","id":"1","source":"/shop","type":"t","data":1}"#);
    let (headers, _) = to(EventMode::Binary, &COMPLETE, b"1").expect("an event");
    assert_eq!(told(&headers), COMPLETE);
}

#[test]
fn a_batch_has_one_head_and_its_events_have_what_theirs_would_have_said() {
    let more = [("Region", "x"), ("traceparent", "00-a"), ("Trackside-Rule", "orders")];
    let of = [&COMPLETE[..], &more].concat();
    let (headers, body) = to(EventMode::Batched, &of, b"1").expect("an event");
    assert_eq!(told(&headers), [("Trackside-Rule", "orders"), ("Content-Type", BATCHED)]);
    let ours = r#""tracksideid":"ORDERS:7:1","tracksidesubject":"orders.created","traceparent":"00-a""#;
    assert_eq!(body, format!(r#"[{{"specversion":"1.0","id":"1","source":"/shop","type":"t",{ours},"data":1}}]"#));

    let text = format!(r#" {{{HEAD},"attempt":3,"traceparent":"00-b","data":1.50 }} "#);
    let of = [("Content-Type", STRUCTURED), ("traceparent", "00-a"), ("tracestate", "a=1")];
    let (_, body) = to(EventMode::Batched, &of, text.as_bytes()).expect("an event");
    let ours = r#""tracksideid":"ORDERS:7:1","tracksidesubject":"orders.created""#;
    assert_eq!(body, format!(r#"[{{{HEAD},"attempt":3,"traceparent":"00-b","data":1.50 ,{ours}}}]"#));
    let text = format!(r#"{{{HEAD},"data":1.50}}"#);
    let (_, body) = to(EventMode::Batched, &of, text.as_bytes()).expect("an event");
    let trace = r#""traceparent":"00-a","tracestate":"a=1""#;
    assert_eq!(body, format!(r#"[{{{HEAD},"data":1.50,{ours},{trace}}}]"#));
    let one = Bytes::from_static(b"[1]");
    assert_eq!(&joined([&one, &Bytes::from_static(b"[2,3]")])[..], b"[1,2,3]");
    assert_eq!(&joined([&one])[..], b"[1]");
}

#[test]
fn nobody_else_says_by_what_a_service_knows_what_it_has_taken() {
    let ours = r#""tracksideid":"ORDERS:7:1","tracksidesubject":"orders.created""#;
    let said = r#""tracksideid":"another","tracksidesubject":"x""#;
    let whole = format!(r#"{{{HEAD},{said},"data":1.50}}"#);
    let (_, body) = to(EventMode::Batched, &[("Content-Type", STRUCTURED)], whole.as_bytes()).expect("an event");
    // What says no type is JSON, and an event that is written anew says so.
    assert_eq!(body, format!(r#"[{{{HEAD},{ours},"datacontenttype":"application/json","data":1.50}}]"#));
    let of = [&COMPLETE[..], &[("ce-tracksideid", "another"), ("ce-tracksidesubject", "x")]].concat();
    let (_, body) = to(EventMode::Batched, &of, b"1").expect("an event");
    assert_eq!(body, format!(r#"[{{"specversion":"1.0","id":"1","source":"/shop","type":"t",{ours},"data":1}}]"#));
}

#[test]
fn a_batch_is_one_event_where_it_has_one_and_stays_a_batch_where_one_goes_out() {
    let of = [("Content-Type", BATCHED)];
    let (headers, body) = to(EventMode::Binary, &of, format!("[{{{HEAD},\"data\":1}}]").as_bytes()).expect("one");
    assert_eq!((headers.get("ce-source"), body.as_str()), (Some("/shop"), "1"));
    let (_, body) = to(EventMode::Structured, &of, format!("[ {{{HEAD}}} ]").as_bytes()).expect("one");
    assert_eq!(body, format!("{{{HEAD}}}"));
    let two = format!("[{{{HEAD}}},{{{HEAD}}}]");
    for mode in [EventMode::Binary, EventMode::Structured] {
        assert_eq!(to(mode, &of, two.as_bytes()), Err(EventError::Count(2)));
    }
    let (_, body) = to(EventMode::Batched, &of, two.as_bytes()).expect("a batch");
    assert_eq!(serde_json::from_str::<Vec<Value>>(&body).expect("a list").len(), 2);
    assert_eq!(to(EventMode::Batched, &of, b"[]"), Err(EventError::Count(0)));
    assert_eq!(to(EventMode::Batched, &of, b"{}"), Err(EventError::NotAList));
}

#[test]
fn what_says_that_it_is_an_event_and_is_not_is_told() {
    for mode in [EventMode::Binary, EventMode::Structured, EventMode::Batched] {
        let to = |of: &[(&str, &str)], payload: &[u8]| to(mode, of, payload).map(drop);
        assert_eq!(to(&[("Content-Type", STRUCTURED)], b"{}"), Err(EventError::Missing("specversion")));
        assert_eq!(to(&[("Content-Type", STRUCTURED)], b"\xff"), Err(EventError::NotAnObject));
        assert_eq!(to(&[("Content-Type", "application/cloudevents+avro")], b"x"), Err(EventError::Format));
        assert_eq!(to(&[("ce-specversion", "0.3")], b"x"), Err(EventError::Version));
        assert_eq!(to(&[("ce-id", "a%0Ab")], b"x"), Err(EventError::Value("id".to_owned())));
    }
}

/// Attributes beside those that every event has, a media type, and data.
fn events() -> impl Strategy<Value = (Vec<(String, String)>, Option<String>, Vec<u8>)> {
    let text = "[^\\p{Cc}]{1,12}";
    let names = proptest::collection::btree_map("x[a-z0-9]{0,8}", text, 0..4);
    let kinds = proptest::option::of(prop_oneof![
        Just("application/json".to_owned()),
        Just("application/x+json; charset=utf-8".to_owned()),
        Just("text/plain".to_owned()),
        Just("application/octet-stream".to_owned()),
    ]);
    let json = prop_oneof![Just("null"), Just("\"text\""), Just("{\"a\":[1.50,\"\\u00e9\"]}"), Just("0"), Just("")];
    let data =
        prop_oneof![json.prop_map(|text| text.as_bytes().to_vec()), proptest::collection::vec(any::<u8>(), 0..16)];
    ((text, text, text, names), kinds, data).prop_map(|((id, source, kind, more), content_type, data)| {
        let required = [("specversion", VERSION.to_owned()), ("id", id), ("source", source), ("type", kind)];
        let attributes = required.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(more).collect();
        (attributes, content_type, data)
    })
}

proptest! {
    /// Structured events say the media type of JSON that needed none; nothing else changes.
    #[test]
    fn every_event_comes_back_as_it_was_by_way_of_the_other_mode((attributes, content_type, data) in events()) {
        let event = Event { attributes, content_type, payload: data.into() };
        let (headers, payload) = event.clone().into_message();
        prop_assert_eq!(&Event::of_message(&headers, &payload), &Ok(event.clone()));
        let (of_structured, body) = {
            let defaults = Defaults { id: "", source: String::new(), kind: "", time: String::new() };
            converted(&headers, &payload, EventMode::Structured, &defaults).expect("it is an event")
        };
        prop_assert_eq!(of_structured.get("content-type"), Some(STRUCTURED));
        let back = Event::of_json(&body, &body).expect("it is an event");
        let assumed = event.content_type.is_none().then(|| "application/json".to_owned());
        let kind = event.content_type.clone().or(assumed.filter(|_| back.content_type.is_some()));
        prop_assert_eq!(back, Event { content_type: kind, ..event });
    }
}
