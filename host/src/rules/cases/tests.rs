use std::path::Path;
use std::time::Duration;

use super::*;
use crate::rules::Isolation;

fn report(text: &str) -> String {
    parse_cases("cases.toml", text, Path::new(".")).expect_err("it has mistakes").to_string()
}

#[test]
fn a_case_takes_from_the_defaults_what_it_does_not_say() {
    let text = r#"
        [defaults]
        with = { limit = 1 }
        routes = ["default", "review"]
        limits = { deadline = "20ms" }
        [[case]]
        name = "one"
        message = { json = { a = [1, "b"] }, headers = { Tag = ["x", "y"] }, delivery = 3 }
        expect = { failure = "retry", after = "250ms", reason = { contains = "later" } }
        [[case]]
        name = "two"
        with = { }
        limits = { isolation = "message" }
        expect = { json = { a = 1 }, headers = { Tag = [] } }
        [[case.then]]
        message = { size = "3B" }
        expect = { verdict = "split", parts = [{ text = "a", to = "review" }] }
    "#;
    let cases = parse_cases("cases.toml", text, Path::new(".")).unwrap_or_else(|report| panic!("{report}"));
    let [one, two] = &cases[..] else { panic!("two cases") };
    assert_eq!((one.with.to_string(), one.routes.len()), (r#"{"limit":1}"#.to_owned(), 2));
    assert_eq!(one.settings.limits.deadline, Duration::from_millis(20));
    let Handing { message, origin, expected } = &one.handings[0];
    assert_eq!((&message.payload[..], message.headers.len()), (&br#"{"a":[1,"b"]}"#[..], 2));
    assert_eq!((message.subject.as_str(), origin.delivery, &*origin.id), ("test", 3, "case"));
    assert_eq!((expected.outcome, expected.after), (Outcome::Retry, Some(Some(Duration::from_millis(250)))));
    assert_eq!(expected.reason, Some(Phrase::Contains("later".to_owned())));
    assert_eq!((two.with.to_string(), two.handings.len()), ("{}".to_owned(), 2));
    assert_eq!((two.settings.limits.deadline, two.settings.isolation), (Duration::from_millis(20), Isolation::Message));
    assert_eq!(two.handings[1].message.payload, "xxx");
    let part = &two.handings[1].expected.parts.as_ref().expect("parts are expected")[0];
    assert_eq!((part.route.as_deref(), &part.content.payload), (Some("review"), &Some(Payload::Bytes("a".into()))));
}

#[test]
fn everything_that_is_wrong_is_reported_at_once_with_its_place() {
    let text = "\
[[case]]
name = \"one\"
message = { txt = \"a\", subject = \"a b\" }
expect = { verdict = \"forwards\" }
[[case]]
message = { text = \"a\", size = \"1MiB\", headers = { \"a b\" = \"c\" } }
expect = { verdict = \"forward\", failure = \"retry\", to = [\"a\"] }
[[case]]
name = \"three\"
message = { file = \"../secret\", timestamp = -1 }
expect = { configure = \"no\" }
limits = { path = \"x.wasm\" }
";
    let report = report(text);
    for (line, message) in [
        (3, "unknown key `txt` in [case.message]"),
        (3, "`subject` is not a subject"),
        (4, "`verdict` must be \"forward\", \"route\", \"split\", \"publish\", \"drop\" or \"reject\""),
        (5, "[[case]] has no `name`"),
        (6, "a payload is given by one key, and here are `text` and `size`"),
        (6, "`a b` cannot be a header"),
        (7, "a message can come to one of `verdict`, `failure` and `configure`"),
        (7, "`to` does not go with the outcome `forward`"),
        (10, "`file` is not a path from the cases file"),
        (10, "`timestamp` is out of range"),
        (10, "`message` cannot be where `configure` is expected to fail"),
        (12, "`path` is no limit"),
    ] {
        let at = report.find(message).unwrap_or_else(|| panic!("`{message}` is not in\n{report}"));
        let place = format!("cases.toml:{line}:");
        assert!(report[at..].lines().take(3).any(|shown| shown.contains(&place)), "{message} at {place}\n{report}");
    }
    assert!(report.contains("did you mean `text`?") && report.contains("did you mean \"forward\"?"), "{report}");
}

#[test]
fn what_is_wrong_with_the_defaults_is_said_once() {
    let report = report("[defaults]\nlimits = { dead = 1 }\n[[case]]\nname = \"a\"\n[[case]]\nname = \"b\"\n");
    assert_eq!(report.matches("unknown key `dead`").count(), 1, "{report}");
}

#[test]
fn a_file_without_a_case_is_told_what_it_lacks() {
    assert!(report("").contains("cases.toml has no `case`"));
    assert!(report("[[case]\n").contains("not well-formed TOML"));
}

#[test]
fn every_default_of_the_reference_is_one_that_the_parser_takes() {
    let text = "[[case]]\nname = \"bare\"\nmessage = {}\nexpect = {}\n[[case.then]]\n";
    let cases = parse_cases("cases.toml", text, Path::new(".")).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!((cases[0].routes.len(), cases[0].handings.len()), (1, 2));
    assert_eq!(cases[0].handings[1].expected.outcome, Outcome::Forward);
}

#[test]
fn the_reference_of_cases_is_the_one_in_the_documents() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plugin-development.md");
    let is = std::fs::read_to_string(&path).expect("the document is there");
    let marker = "<!-- Made from the code from here on: UPDATE_DOCS=1 cargo test -p trackside --lib cases -->\n";
    let prose = is.split_once(marker).expect("the document has the marker").0;
    let made = format!("{prose}{marker}{}", cases_document());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return std::fs::write(&path, &made).expect("the docs can be written");
    }
    assert!(made == is, "docs/plugin-development.md is out of date: UPDATE_DOCS=1 cargo test -p trackside --lib cases");
}
