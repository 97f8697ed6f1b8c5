//! Replacing and removing, byte for byte.

use trackside_json::{Limits, Match, PayloadError, Replacement, Selector, Value, replace};

fn select(payload: &str, paths: &[&str]) -> Vec<Match> {
    let selector = Selector::compile(paths).unwrap_or_else(|error| panic!("{error}"));
    selector.select(payload.as_bytes(), &Limits::default()).expect("the payload is JSON")
}

#[track_caller]
fn check(payload: &str, paths: &[&str], values: &[Option<Replacement<'_>>], expected: &str) {
    let edited = replace(payload.as_bytes(), &select(payload, paths), values, &Limits::default());
    assert_eq!(String::from_utf8(edited.expect("the values fit")).expect("text"), expected);
}

#[track_caller]
fn removed(payload: &str, paths: &[&str], expected: &str) {
    check(payload, paths, &vec![None; select(payload, paths).len()], expected);
}

#[track_caller]
fn refused(payload: &str, paths: &[&str], values: &[Option<Replacement<'_>>], expected: &str) {
    let error = replace(payload.as_bytes(), &select(payload, paths), values, &Limits::default());
    assert_eq!(error, Err(PayloadError::NotJson(expected.to_owned())));
}

#[test]
fn every_kind_of_value_is_put_in_and_nothing_else_changes() {
    let payload = "{ \"a\" : [ 1e0 ,\t\"\\u0061\" , null ] , \"z\":1.50 }";
    check(payload, &["$.a[0]"], &[Some(Replacement::Null)], "{ \"a\" : [ null ,\t\"\\u0061\" , null ] , \"z\":1.50 }");
    check("[1,2]", &["$[*]"], &[Some(Replacement::Boolean(true)), Some(Replacement::Boolean(false))], "[true,false]");
    check("[1]", &["$[0]"], &[Some(Replacement::Number("-12345678901234567890.50e7"))], "[-12345678901234567890.50e7]");
    check("[1]", &["$[0]"], &[Some(Replacement::Json(" {\"b\": [ ]} "))], "[ {\"b\": [ ]} ]");
    check(" 1 ", &["$"], &[Some(Replacement::Text(""))], " \"\" ");
}

#[test]
fn text_is_escaped_where_it_has_to_be() {
    let text = "say \"é😀\" \\ \n\r\t\u{8}\u{0}\u{7f} / and on";
    let expected = "[\"say \\\"é😀\\\" \\\\ \\n\\r\\t\\u0008\\u0000\u{7f} / and on\"]";
    check("[1]", &["$[0]"], &[Some(Replacement::Text(text))], expected);
    let edited = replace(b"[1]", &select("[1]", &["$[0]"]), &[Some(Replacement::Text(text))], &Limits::default());
    let edited = edited.expect("text fits");
    let again = select(std::str::from_utf8(&edited).expect("text"), &["$[0]"]);
    assert_eq!(again[0].value(&edited), Value::Text(text.into()));
}

#[test]
fn members_are_removed_with_their_key_and_one_comma() {
    let payload = r#"{ "a":1 , "b" : 2 ,"c":3 }"#;
    removed(payload, &["$.a"], r#"{ "b" : 2 ,"c":3 }"#);
    removed(payload, &["$.b"], r#"{ "a":1  ,"c":3 }"#);
    removed(payload, &["$.c"], r#"{ "a":1 , "b" : 2  }"#);
    removed(payload, &["$.a", "$.b"], r#"{ "c":3 }"#);
    removed(payload, &["$.b", "$.c"], r#"{ "a":1   }"#);
    removed(payload, &["$.a", "$.c"], r#"{ "b" : 2  }"#);
    removed(payload, &["$.*"], "{  }");
    removed(r#"{"a":{"b":1},"c":2}"#, &["$.a.b", "$.c"], r#"{"a":{}}"#);
}

#[test]
fn elements_are_removed_with_one_comma() {
    removed("[1,2,3,4]", &["$[0]"], "[2,3,4]");
    removed("[1,2,3,4]", &["$[1:3]"], "[1,4]");
    removed("[1,2,3,4]", &["$[-1]"], "[1,2,3]");
    removed("[1,2,3,4]", &["$[::2]"], "[2,4]");
    removed("[1,2,3,4]", &["$[1::2]"], "[1,3]");
    removed("[1,2,3,4]", &["$[*]"], "[]");
    removed("[\n  1,\n  2\n]", &["$[0]"], "[\n  2\n]");
    removed("[[1],[2]]", &["$[*][*]"], "[[],[]]");
    removed("[[1,2],[3]]", &["$[0]", "$[1][0]"], "[[]]");
}

#[test]
fn neighbours_are_removed_and_replaced_at_once() {
    let payload = r#"{"a":1,"b":2,"c":3,"d":4}"#;
    let put = Some(Replacement::Text("*"));
    check(payload, &["$.*"], &[None, put, None, put], r#"{"b":"*","d":"*"}"#);
    check(payload, &["$.*"], &[put, None, None, put], r#"{"a":"*","d":"*"}"#);
    check(payload, &["$.*"], &[None, None, put, None], r#"{"c":"*"}"#);
}

#[test]
fn where_places_nest_the_outer_one_wins() {
    let payload = r#"{"a":{"b":{"c":1}},"d":2}"#;
    let (one, two) = (Some(Replacement::Number("10")), Some(Replacement::Number("20")));
    check(payload, &["$.a.b.c", "$.a"], &[one, two], r#"{"a":10,"d":2}"#);
    check(payload, &["$.a.b.c", "$.a.b"], &[None, two], r#"{"a":{},"d":2}"#);
    check(payload, &["$", "$.a"], &[one, None], "10");
}

#[test]
fn of_several_paths_to_one_place_the_first_wins() {
    let values = [Some(Replacement::Text("first")), Some(Replacement::Text("second"))];
    check(r#"{"a":1}"#, &["$.a", "$['a']"], &values, r#"{"a":"first"}"#);
    check("[1]", &["$", "$"], &[Some(Replacement::Null), None], "null");
}

#[test]
fn the_order_of_the_matches_does_not_count() {
    let payload = r#"{"a":[1,2],"b":3}"#;
    let mut matches = select(payload, &["$.a[1]", "$.b", "$.a"]);
    matches.reverse();
    let values = [Some(Replacement::Text("b")), Some(Replacement::Text("inner")), Some(Replacement::Text("a"))];
    let edited = replace(payload.as_bytes(), &matches, &values, &Limits::default()).expect("the values fit");
    assert_eq!(edited, br#"{"a":"a","b":"b"}"#);
}

#[test]
fn values_that_are_not_json_are_refused_even_if_another_wins() {
    for number in ["", "01", "1.", "+1", " 1", "1 ", "NaN", "true", "\"1\"", "1,2", "0x10", "[1]"] {
        refused("[1]", &["$[0]"], &[Some(Replacement::Number(number))], "value 0 is not a number of JSON");
    }
    let json = Some(Replacement::Json("1, 2"));
    let problem = "value 1 is not well-formed JSON: at byte 1: expected nothing more after the value";
    refused("[1]", &["$", "$[0]"], &[Some(Replacement::Null), json], problem);
}

#[test]
fn the_root_cannot_be_removed_and_each_match_needs_a_value() {
    refused(" {} ", &["$"], &[None], "the root cannot be removed: replace it");
    refused("[1,2]", &["$[*]"], &[None], "1 values for 2 matches: give one value for each match");
}

#[test]
fn the_outcome_is_bounded() {
    let limits = Limits { max_payload_bytes: 16, ..Limits::default() };
    let matches = select("[1,2]", &["$[*]"]);
    let long = Some(Replacement::Text("0123456789"));
    let error = replace(b"[1,2]", &matches, &[long, long], &limits).expect_err("too long");
    assert_eq!(error, PayloadError::Limit("the payload is longer than 16 bytes".to_owned()));
    assert!(replace(b"[1,2]", &matches, &[long, None], &limits).is_ok());
}

#[test]
fn matches_of_another_payload_never_panic() {
    let matches = select(r#"{"a":[1,2,3],"b":"some text"}"#, &["$..*"]);
    let values = vec![Some(Replacement::Null); matches.len()];
    for payload in ["", "1", "{}", "[ , ]", "{\"é\":\"😀😀😀\"}", ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"] {
        for values in [values.as_slice(), &vec![None; matches.len()]] {
            let _outcome_of_no_use = replace(payload.as_bytes(), &matches, values, &Limits::default());
        }
        for place in &matches {
            let _value_of_no_use = place.value(payload.as_bytes());
        }
    }
}
