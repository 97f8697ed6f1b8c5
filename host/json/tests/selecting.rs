//! What is selected where RFC 9535 leaves it open, what is refused, and what is bounded.

use std::time::{Duration, Instant};

use trackside_json::{CompileError, Limits, PayloadError, Selector, Value};

fn compile(paths: &[&str]) -> Selector {
    Selector::compile(paths).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn found(payload: &str, paths: &[&str], expected: &[(u32, &str)]) {
    let matches = compile(paths).select(payload.as_bytes(), &Limits::default()).expect("the payload is JSON");
    let raw = |raw: &[u8]| String::from_utf8(raw.to_vec()).expect("values are text");
    let found: Vec<(u32, String)> =
        matches.iter().map(|place| (place.path, raw(place.raw(payload.as_bytes())))).collect();
    let expected: Vec<_> = expected.iter().map(|(path, raw)| (*path, (*raw).to_owned())).collect();
    assert_eq!(found, expected, "{paths:?} over {payload}");
}

#[track_caller]
fn refused(path: &str, column: usize, problem: &str) {
    let error = Selector::compile(&["$", path]).expect_err("the path is wrong");
    let (index, path, problem) = (1, path.to_owned(), problem.to_owned());
    assert_eq!(error, CompileError::Syntax { index, path, column, problem });
}

#[track_caller]
fn limited(selector: &Selector, payload: &str, limits: &Limits, expected: &str) {
    let mut matches = compile(&["$"]).select(b"1", &Limits::default()).expect("the payload is JSON");
    let error = selector.select_into(payload.as_bytes(), limits, &mut matches).expect_err("a limit is met");
    assert_eq!(error, PayloadError::Limit(expected.to_owned()));
    assert!(matches.is_empty(), "nothing is left of matches after an error");
}

#[test]
fn escaped_spellings_of_a_key_match() {
    let payload = r#"{"c\u0061rd":1,"\u0063\u0061\u0072\u0064":2,"card":3,"c\\u0061rd":4,"CARD":5}"#;
    for paths in [["$.card"], ["$['c\\u0061rd']"], ["$[?@ < 4]"], ["$..card"], ["$['card', -1]"]] {
        found(payload, &paths, &[(0, "1"), (0, "2"), (0, "3")]);
    }
    found(r#"{"\ud83d\ude00":1,"😀":2,"\/":3}"#, &["$['😀','/']"], &[(0, "1"), (0, "2"), (0, "3")]);
}

#[test]
fn every_duplicate_of_a_key_matches() {
    let payload = r#"{"a":{"b":1,"b":2},"a":{"b":3},"a":4}"#;
    found(payload, &["$.a.b"], &[(0, "1"), (0, "2"), (0, "3")]);
    found(payload, &["$.a['b', -1]"], &[(0, "1"), (0, "2"), (0, "3")]);
}

#[test]
fn a_filter_holds_if_it_holds_for_any_duplicate_of_a_key() {
    let payload = r#"[{"k":"card","k":"other","n":1},{"k":"other","n":2}]"#;
    found(payload, &["$[?@.k == 'card'].n"], &[(0, "1")]);
    found(payload, &["$[?match(@.k, 'c.*')].n"], &[(0, "1")]);
    found(payload, &["$[?length(@.k) == 4].n"], &[(0, "1")]);
    found(
        r#"[{"a":1,"a":2},{"a":2,"a":1},{"a":1}]"#,
        &["$[?@ == $[0]]"],
        &[(0, r#"{"a":1,"a":2}"#), (0, r#"{"a":2,"a":1}"#)],
    );
}

#[test]
fn matches_come_in_document_order_outer_before_inner_then_by_path() {
    let payload = r#"{"a":{"b":[1,2]},"c":3}"#;
    let expected = [(1, payload), (2, r#"{"b":[1,2]}"#), (0, "[1,2]"), (2, "[1,2]"), (2, "1"), (2, "2"), (2, "3")];
    found(payload, &["$..b", "$", "$..*"], &expected);
    found(payload, &["$['a','c'][?@]", "$", "$..*"], &expected);
}

#[test]
fn a_path_matches_a_place_once() {
    found("[1,[2]]", &["$[0,0,0:1]", "$..*..*", "$[?@,?@]"], &[(0, "1"), (2, "1"), (2, "[2]"), (1, "2")]);
    found("[[[1]]]", &["$..*..*"], &[(0, "[1]"), (0, "1")]);
    found("[[[1]]]", &["$..*..[-1]"], &[(0, "[1]"), (0, "1")]);
}

#[test]
fn values_cross_over_unescaped_and_with_all_their_digits() {
    let payload = r#"[null,true,false,1234567890123456789012345678901234567890.10,"a\u00e9\n\ud83d\ude00","plain",[ 1 ],{"a": 2}]"#;
    let matches = compile(&["$[*]"]).select(payload.as_bytes(), &Limits::default()).expect("the payload is JSON");
    let values: Vec<_> = matches.iter().map(|place| place.value(payload.as_bytes())).collect();
    let expected = [
        Value::Null,
        Value::Boolean(true),
        Value::Boolean(false),
        Value::Number("1234567890123456789012345678901234567890.10"),
        Value::Text("aé\n😀".into()),
        Value::Text("plain".into()),
        Value::Json("[ 1 ]"),
        Value::Json(r#"{"a": 2}"#),
    ];
    assert_eq!(values, expected);
}

#[test]
fn integers_in_filters_compare_exactly_whatever_their_length() {
    let payload = "[12345678901234567890123456789,12345678901234567890123456788]";
    found(payload, &["$[?@ == 12345678901234567890123456789]"], &[(0, "12345678901234567890123456789")]);
    found(payload, &["$[?@ < 12345678901234567890123456789]"], &[(0, "12345678901234567890123456788")]);
    found("[100,1e2,100.0,101]", &["$[?@ == 100]"], &[(0, "100"), (0, "1e2"), (0, "100.0")]);
}

#[test]
fn what_is_malformed_after_the_last_match_is_refused_all_the_same() {
    for path in ["$.a", "$[?@ == 1]"] {
        for payload in [r#"{"a":1,"b":tru}"#, r#"{"a":1} x"#, r#"{"a":1,"b":{"c":["\ud800"]}}"#, r#"{"a":1"#, ""] {
            let outcome = compile(&[path]).select(payload.as_bytes(), &Limits::default());
            assert!(matches!(outcome, Err(PayloadError::NotJson(_))), "{path} over {payload}");
        }
    }
}

#[test]
fn a_selector_without_paths_validates() {
    let none = Selector::compile::<&str>(&[]).expect("no paths are fine");
    assert_eq!(none.select(b"{}", &Limits::default()), Ok(Vec::new()));
    assert!(none.select(b"{", &Limits::default()).is_err());
}

#[test]
fn the_first_match_is_found_for_lookups() {
    let payload = br#"{"region":"eu"}"#;
    let region = compile(&["$.region"]).first(payload, &Limits::default()).expect("the payload is JSON");
    assert_eq!(region.map(|place| place.value(payload)), Some(Value::Text("eu".into())));
    assert_eq!(compile(&["$.city"]).first(payload, &Limits::default()), Ok(None));
}

#[test]
fn many_paths_and_names_are_told_apart() {
    let names: Vec<String> = (0..Selector::MAX_PATHS).map(|number| format!("name-{number}")).collect();
    let paths: Vec<String> = names.iter().map(|name| format!("$['{name}']..x")).collect();
    let members: Vec<String> = names.iter().rev().map(|name| format!(r#""{name}":{{"x":"{name}"}}"#)).collect();
    let payload = format!(r#"{{{},"name":{{"x":1}}}}"#, members.join(","));
    let selector = Selector::compile(&paths).expect("the paths are right");
    let matches = selector.select(payload.as_bytes(), &Limits::default()).expect("the payload is JSON");
    assert_eq!(matches.len(), names.len());
    for place in matches {
        assert_eq!(place.value(payload.as_bytes()), Value::Text(names[place.path as usize].as_str().into()));
    }
}

#[test]
fn paths_whose_states_would_be_too_many_are_answered_all_the_same() {
    let path = format!("$..a{}", ".*".repeat(20));
    let payload = format!("{}1{}", r#"{"a":"#.repeat(24), "}".repeat(24));
    let matches = compile(&[&path]).select(payload.as_bytes(), &Limits::default()).expect("the payload is JSON");
    assert_eq!(matches.len(), 4);
}

#[test]
fn paths_that_are_not_json_path_are_refused_with_the_place() {
    refused("", 1, "expected `$`, the root, at the start");
    refused(" $", 1, "expected `$`, the root, at the start");
    refused("$ ", 2, "expected `.`, `..`, `[` or the end");
    refused("$.é.", 5, "expected a name or `*` after the dot: write others as `['name']`");
    refused("$.9", 3, "expected a name or `*` after the dot: write others as `['name']`");
    refused("$[", 3, "expected a name in quotes, an index, a slice, `*` or a filter `?…`");
    refused("$[a]", 3, "expected a name in quotes, an index, a slice, `*` or a filter `?…`");
    refused("$[1 2]", 5, "expected `,` or `]`");
    refused("$['a]", 6, "expected the end of the string, `'`");
    refused("$['\\ud800']", 10, "lone surrogate escape");
    refused("$[01]", 3, "expected an integer without leading zeros");
    refused("$[-0]", 3, "expected an integer, and `-0` is none: write `0`");
    refused("$[9007199254740992]", 3, "expected an integer between -(2^53)+1 and (2^53)-1");
    refused("$[?@.a == ]", 11, "expected `@`, `$`, a literal, a function, `!` or `(`");
    refused("$[?@.* == 1]", 4, "expected a path with names and indices only, for what it finds is one value here");
    refused("$[?1]", 4, "expected a literal to be compared with something");
    refused("$[?length(@)]", 4, "expected what this function gives to be compared with something");
    refused("$[?size(@) == 1]", 4, "expected one of the functions length, count, match, search and value");
    refused("$[?count(1) == 1]", 10, "expected a path that starts with `@` or `$`");
    refused("$[?(@.a]", 8, "expected `)`");
    refused(&format!("$[?{}@", "(".repeat(70)), 68, "expected no more than 64 levels of nesting");
}

#[test]
fn patterns_that_are_not_i_regexp_are_refused_with_a_hint() {
    let refused_pattern = |pattern: &str, hint: &str| {
        let path = format!("$[?match(@, \"{}\")]", pattern.replace('\\', "\\\\"));
        let error = Selector::compile(&[path]).expect_err("the pattern is wrong").to_string();
        assert!(error.contains("column 13: expected a ") && error.ends_with(hint), "{error}");
    };
    refused_pattern(r"\d{4}", r"`\d` is not part of it: write `[0-9]`");
    refused_pattern(r"\w", r"`\w` is not part of it: write `[A-Za-z0-9_]`");
    refused_pattern("(a", "a `(` is not closed");
    refused_pattern("a)", "a `)` closes nothing");
    refused_pattern("[a", "a `[` is not closed");
    refused_pattern("*a", "`*` repeats nothing here");
    refused_pattern("a??", "`?` repeats nothing here");
    refused_pattern("a{,2}", "write a repetition as `{2}`, `{2,}` or `{2,3}`");
    refused_pattern("[z-a]", "a range or repetition is out of order");
    refused_pattern(r"\p{Greek}", r"write a general category of Unicode after `\p`, as in `\p{Lu}`");
    refused_pattern("((a{100}){100}){100}", "smaller regular expression: repeat less");
}

#[test]
fn regular_expressions_are_bounded_together_and_by_the_deadline() {
    let paths = |count: usize| vec!["$[?search(@, '\\\\p{L}{20}')]"; count];
    let eight = Selector::compile(&paths(8)).expect("they have eight mebibytes at most");
    assert!((32 << 20..64 << 20).contains(&eight.heap_bytes()), "{}", eight.heap_bytes());
    let error = Selector::compile(&paths(9)).expect_err("they have more").to_string();
    let hint = "expected smaller regular expressions: those of all paths have at most 8 MiB together once compiled";
    assert!(error.starts_with("path 8") && error.ends_with(hint), "{error}");

    let past = Instant::now() - Duration::from_millis(1);
    let error = Selector::compile_until(&paths(1), past).expect_err("it is late").to_string();
    assert!(error.ends_with("the deadline passed before this regular expression was compiled"), "{error}");
    let future = Instant::now() + Duration::from_secs(60);
    assert!(Selector::compile_until(&paths(1), future).is_ok());
}

#[test]
fn long_names_are_not_copied_to_every_state() {
    // Each state leads on by the long name, and there are two to the eighth of them at least.
    let long = format!("$..['{}']", "x".repeat(4000));
    let ways = format!("$..a{}", "[*]".repeat(8));
    let selector = Selector::compile(&[long, ways]).expect("they compile");
    assert!(selector.heap_bytes() < 512 << 10, "{}", selector.heap_bytes());
}

#[test]
fn patterns_say_what_rfc_9485_says() {
    let all = r#"["a","ab","a\nb","a-b","^","é","É","7","&&"]"#;
    found(all, &["$[?match(@, 'a.?b')]"], &[(0, r#""ab""#), (0, r#""a-b""#)]);
    found(all, &["$[?match(@, '[a-]{2,}b?')]"], &[(0, r#""a-b""#)]);
    found(all, &["$[?match(@, '[^a-z]')]"], &[(0, r#""^""#), (0, r#""é""#), (0, r#""É""#), (0, r#""7""#)]);
    found(all, &["$[?match(@, '[&^]+')]"], &[(0, r#""^""#), (0, r#""&&""#)]);
    found(all, &["$[?match(@, '[\\\\p{Lu}\\\\p{N}]')]"], &[(0, r#""É""#), (0, r#""7""#)]);
    found(all, &["$[?match(@, '\\\\P{L}|a')]"], &[(0, r#""a""#), (0, r#""^""#), (0, r#""7""#)]);
    found(
        all,
        &["$[?match(@, '[\\\\p{L}\\\\p{N}_]{1,20}')]"],
        &[(0, r#""a""#), (0, r#""ab""#), (0, r#""é""#), (0, r#""É""#), (0, r#""7""#)],
    );
    found(all, &["$[?search(@, '\\\\n|-')]"], &[(0, r#""a\nb""#), (0, r#""a-b""#)]);
}

#[test]
fn a_pattern_in_the_payload_that_is_none_matches_nothing() {
    let payload = r#"{"p":["(","a+",1],"t":["aa","(","b"]}"#;
    found(payload, &["$.t[?match(@, $.p[0])]"], &[]);
    found(payload, &["$.t[?match(@, $.p[1])]"], &[(0, r#""aa""#)]);
    found(payload, &["$.t[?match(@, $.p[2])]"], &[]);
    let large = r#"{"p":"((a{100}){100}){100}","t":["a"]}"#;
    limited(
        &compile(&["$.t[?match(@, $.p)]"]),
        large,
        &Limits::default(),
        "a regular expression in the payload is too large",
    );
}

#[test]
fn paths_are_bounded_in_number_and_length() {
    let error = Selector::compile(&["$"; 257]).expect_err("too many");
    assert_eq!(error, CompileError::TooMany { count: 257 });
    assert_eq!(error.to_string(), "257 paths are too many for one selector: give at most 256");
    let error = Selector::compile(&["$".to_owned(), "$".repeat(4097)]).expect_err("too long");
    assert_eq!(error, CompileError::TooLong { index: 1, bytes: 4097 });
    let error = Selector::compile(&["$", "$["]).expect_err("incomplete").to_string();
    assert!(error.starts_with("path 1 (`$[`), column 3: expected"), "{error}");
}

#[test]
fn matches_are_bounded() {
    let limits = Limits { max_matches: 3, ..Limits::default() };
    for path in ["$[*]", "$[?@]"] {
        assert_eq!(compile(&[path]).select(b"[1,2,3]", &limits).map(|found| found.len()), Ok(3));
        limited(&compile(&[path]), "[1,2,3,4]", &limits, "the paths match more than 3 places");
    }
}

#[test]
fn evaluation_is_bounded_in_steps_and_time() {
    let wide = format!("[{}1]", "1,".repeat(3_000));
    let quadratic = compile(&["$[?count(@..*) > 0 || $[?@ == 2]]"]);
    assert!(
        quadratic.select(wide.as_bytes(), &Limits::default()).is_ok(),
        "what starts at the root is looked for once"
    );
    let limits = Limits { max_steps: 5_000, ..Limits::default() };
    limited(&quadratic, &wide, &limits, "the paths take more than 5000 steps");

    // The payload is too short for the pass to look at the clock, but not for the evaluation.
    let past = Instant::now() - Duration::from_millis(1);
    let limits = Limits { deadline: Some(past), ..Limits::default() };
    limited(&quadratic, &wide, &limits, "the deadline passed while the payload was read");
}

#[test]
fn nodelists_that_grow_exponentially_are_counted_without_listing_them() {
    let payload = format!("[{}1{}]", "[".repeat(100), "]".repeat(100));
    let path = format!("$[?count(@{}) > 1000000000000]", "..*".repeat(30));
    let matches = compile(&[&path]).select(payload.as_bytes(), &Limits::default()).expect("within the limits");
    assert_eq!(matches.len(), 1);
}

#[test]
fn values_as_deep_as_may_be_are_compared() {
    let limits = Limits { max_depth: Limits::MAX_DEPTH, ..Limits::default() };
    let deep = r#"{"a":["#.repeat(511) + "1" + &"]}".repeat(511);
    let payload = format!("[{deep},{deep}]");
    let matches = compile(&["$[?@ == $[1]]"]).select(payload.as_bytes(), &limits).expect("the payload is JSON");
    assert_eq!(matches.len(), 2);
}

#[test]
fn what_is_known_to_be_well_formed_is_not_read_again_where_no_path_leads() {
    let selector = Selector::compile(&["$.b", "$.c[0]"]).unwrap();
    let mut matches = Vec::new();
    let payload = br#"{"a":{"x":["]}",{}]},"b":1,"c":[2,{}],"b":{"y":[]}}"#;
    selector.select_again_into(payload, &Limits::default(), &mut matches).unwrap();
    assert_eq!(matches, selector.select(payload, &Limits::default()).unwrap());
    assert_eq!(matches.len(), 3);
    // It is the caller who knows.
    let broken = br#"{"a":[1,,],"b":1}"#;
    assert!(selector.select(broken, &Limits::default()).is_err());
    selector.select_again_into(broken, &Limits::default(), &mut matches).unwrap();
    assert_eq!(matches[0].value(broken), Value::Number("1"));
}
