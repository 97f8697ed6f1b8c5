use super::*;

fn node(json: &str) -> Node<'_> {
    Node::parse(json).unwrap()
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

/// What is at each place that the path matches, in the order in which it is changed.
fn matched(text: &str, json: &str) -> Vec<String> {
    let mut found = Vec::new();
    let done: Result<usize, ()> = path(text).change(&mut node(json), &mut |node| {
        found.push(node.print());
        Ok(())
    });
    assert_eq!(done, Ok(found.len()));
    found
}

#[test]
fn a_path_finds_members_elements_and_all_of_them() {
    let json = r#"{"a":{"b":[1,2,{"c":3}],"x-y":4,"it's":5},"a b":6}"#;
    assert_eq!(matched("$", json), [json]);
    assert_eq!(matched("$.a.b[0]", json), ["1"]);
    assert_eq!(matched("$.a.b[-1].c", json), ["3"]);
    assert_eq!(matched("$['a']['x-y']", json), ["4"]);
    assert_eq!(matched("$.a.x-y", json), ["4"]);
    assert_eq!(matched(r"$.a['it\'s']", json), ["5"]);
    assert_eq!(matched(r#"$["a b"]"#, json), ["6"]);
    assert_eq!(matched("$.a.b[*]", json), ["1", "2", r#"{"c":3}"#]);
    assert_eq!(matched("$.*", json).len(), 2);
    assert_eq!(matched("$..c", json), ["3"]);
    assert_eq!(matched("$..[2]", json), [r#"{"c":3}"#]);
    assert_eq!(matched("$..*", r#"{"a":[1]}"#), ["1", "[1]"], "inner before outer");
    for nowhere in ["$.x", "$.a.b.c", "$.a[0]", "$.a.b[3]", "$.a.b[-4]", "$.a.b[0].c"] {
        assert!(matched(nowhere, json).is_empty(), "{nowhere}");
    }
    assert_eq!(matched("$.a", r#"{"a":1,"\u0061":2}"#), ["1", "2"], "repeated and escaped keys match as well");
}

#[test]
fn a_path_that_is_none_is_refused() {
    assert_eq!(Path::parse("a.b"), Err(PathError::NoRoot));
    for text in [
        "$a", "$.", "$..", "$.a.", "$[", "$['a'", "$[a]", "$.['a']", "$[?@.a]", "$[0:1]", "$...a", "$.a b", "$.1a",
        "$[]",
    ] {
        assert!(matches!(Path::parse(text), Err(PathError::Syntax(_))), "{text}: {:?}", Path::parse(text));
    }
    assert_eq!(Path::one("$.a[*]"), Err(PathError::Several));
    assert_eq!(Path::one("$..a"), Err(PathError::Several));
    assert_eq!(Path::target("$..a"), Err(PathError::Nowhere));
    assert_eq!(Path::parse(&format!("${}", ".a".repeat(1025))), Err(PathError::TooLong));
}

#[track_caller]
fn check_put(at: &str, json: &str, only_missing: bool, expected: Result<&str, &'static str>) {
    let mut root = node(json);
    let put = Path::target(at).unwrap().put(&mut root, &node("9"), only_missing);
    assert_eq!(put.map(|()| root.print()), expected.map(str::to_owned), "{at} in {json}");
}

#[test]
fn putting_makes_the_objects_on_the_way_and_replaces_what_is_there() {
    check_put("$.a", "{}", false, Ok(r#"{"a":9}"#));
    check_put("$.a.b.c", r#"{"x":1}"#, false, Ok(r#"{"x":1,"a":{"b":{"c":9}}}"#));
    check_put("$.a.b", r#"{"a":{"b":1,"c":2}}"#, false, Ok(r#"{"a":{"b":9,"c":2}}"#));
    check_put("$.a", r#"{"a":1,"b":2,"a":3}"#, false, Ok(r#"{"b":2,"a":9}"#));
    check_put("$.a[*].b", r#"{"a":[{},{"b":1}]}"#, false, Ok(r#"{"a":[{"b":9},{"b":9}]}"#));
    check_put("$.a[-1]", r#"{"a":[1,2]}"#, false, Ok(r#"{"a":[1,9]}"#));
    check_put("$.a[5]", r#"{"a":[1,2]}"#, false, Ok(r#"{"a":[1,2]}"#));
    check_put("$", "1", false, Ok("9"));
    check_put("$.a.b", r#"{"a":"text"}"#, false, Err("string"));
    check_put("$.a", "[]", false, Err("array"));
    check_put("$[0]", "{}", false, Err("object"));
}

#[test]
fn a_default_fills_what_is_missing_or_null() {
    check_put("$.a", "{}", true, Ok(r#"{"a":9}"#));
    check_put("$.a", r#"{"a":null}"#, true, Ok(r#"{"a":9}"#));
    check_put("$.a", r#"{"a":false}"#, true, Ok(r#"{"a":false}"#));
    check_put("$.a[*].b", r#"{"a":[{"b":1},{}]}"#, true, Ok(r#"{"a":[{"b":1},{"b":9}]}"#));
}

#[test]
fn removing_takes_every_match_and_leaves_an_object_for_the_root() {
    let removed = |at: &str, json: &str| {
        let mut root = node(json);
        let count = path(at).remove(&mut root);
        (count, root.print())
    };
    assert_eq!(removed("$.a", r#"{"a":1,"b":2,"a":3}"#), (2, r#"{"b":2}"#.to_owned()));
    assert_eq!(removed("$.a[0]", r#"{"a":[1,2]}"#), (1, r#"{"a":[2]}"#.to_owned()));
    assert_eq!(removed("$.a[*]", r#"{"a":[1,2]}"#), (2, r#"{"a":[]}"#.to_owned()));
    assert_eq!(removed("$..x", r#"{"x":1,"a":[{"x":2,"y":3}]}"#), (2, r#"{"a":[{"y":3}]}"#.to_owned()));
    assert_eq!(removed("$", "1"), (1, "{}".to_owned()));
}

#[test]
fn renaming_keeps_the_place_and_replaces_who_had_the_name() {
    let renamed = |at: &str, to: &str, json: &str| {
        let mut root = node(json);
        let count = path(at).rename(&mut root, to);
        (count, root.print())
    };
    assert_eq!(renamed("$.a", "z", r#"{"a":1,"b":2}"#), (1, r#"{"z":1,"b":2}"#.to_owned()));
    assert_eq!(renamed("$.a", "b", r#"{"b":0,"a":1}"#), (1, r#"{"b":1}"#.to_owned()));
    assert_eq!(renamed("$.a", "b", r#"{"b":0}"#), (0, r#"{"b":0}"#.to_owned()));
    assert_eq!(renamed("$.a", "a", r#"{"a":0}"#), (1, r#"{"a":0}"#.to_owned()));
    assert_eq!(renamed("$.l[*].a", "b", r#"{"l":[{"a":1},{"a":2}]}"#), (2, r#"{"l":[{"b":1},{"b":2}]}"#.to_owned()));
    assert_eq!(
        renamed("$..a", "b", r#"{"a":{"a":1},"l":[{"a":2}]}"#),
        (3, r#"{"b":{"b":1},"l":[{"b":2}]}"#.to_owned())
    );
}
