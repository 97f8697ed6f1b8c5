//! `trackside test`: the tests of rules, and those of the example configuration.

use std::path::Path;

use trackside_tests::{Example, Finished, Setup, command, command_with};

const CONFIG: &str = r#"
[sources.orders]
subject = "orders.>"
"#;

const RULES: &str = r#"
[[rule]]
name = "masked"
source = "orders"
subject = "orders.masked"
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.card", action = "keep-last", count = 4 }] }
[rule.routes]
default = "clean.masked"
other = "clean.other"
[rule.on-failure]
dead-letter = "dead.orders"

[[rule]]
name = "parts"
source = "orders"
subject = "orders.parts"
[[rule.stage]]
plugin = "transform"
with = { jq = ".[]" }
[rule.routes]
default = "clean.parts"
[rule.on-failure]
dead-letter = "dead.orders"

[[rule]]
name = "passed-on"
source = "orders"
subject = "orders.*"
[rule.routes]
default = "copies.{subject.2}"
[rule.on-failure]
dead-letter = "dead.orders"
"#;

/// A configuration with these tests.
fn setup(tests: &str) -> Setup {
    let setup = Setup::new("nats://127.0.0.1:1", CONFIG);
    setup.write("rules/orders.toml", RULES);
    setup.write("tests/orders.toml", tests);
    setup
}

fn test(setup: &Setup, arguments: &[&str]) -> Finished {
    command(&[&["test", setup.argument()], arguments].concat(), b"")
}

/// What is printed, without the folder in the names of its files.
fn printed(setup: &Setup, done: &Finished) -> String {
    done.stdout.replace(&format!("{}/", setup.argument()), "")
}

#[test]
fn the_tests_of_the_example_pass_and_use_all_of_its_rules() {
    let example = Example::new();
    let done = command_with(&["test", example.argument(), "--min-coverage", "100"], Example::SECRETS, b"");
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{}", done.stdout);
    assert!(done.stdout.contains("\ncoverage 100.0 %: "), "{}", done.stdout);
    assert!(!done.stdout.contains("FAIL"), "{}", done.stdout);
}

const TWO_OF_THREE: &str = r#"
# Comments stay.
[[test]]
name = "the card is masked" # this one too
never = ["4111"]
message = { subject = "orders.masked", json = { card = "41111234" } }
expect = [
  { rule = "masked", route = "other", fields = { "$.card" = "1234", "$.gone" = 1 } }, # and this
]

[[test]]
name = "parts come in order"

[test.message]
subject = "orders.parts"
text = '[1, {"a": null}, 3]'

# The first part.
[[test.expect]]
rule = "parts"
text   =   "1" # as it was

[[test.expect]]
rule = "parts"
fields = { "$.a" = 7 }

[[test.expect]]
rule = "passed-on"
subject = "copies.other"

[[test]]
name = "nobody takes this"
message = { subject = "orders.a.b" }
expect = [{ outcome = "unmatched" }]
"#;

#[test]
fn what_differs_is_shown_and_the_exit_code_is_1() {
    let setup = setup(TWO_OF_THREE);
    let done = test(&setup, &[]);
    assert_eq!((done.code, done.stderr.as_str()), (1, ""));
    let want = r#"FAIL  tests/orders.toml:4:8: the card is masked
      differs from tests/orders.toml:8:3: rule `masked`, published by route `default` to `clean.masked`
        route
          - other
          + default
        $.card
          - "1234"
          + "****1234"
        $.gone
          - 1
          + (nothing)
      not expected: rule `passed-on`, published by route `default` to `copies.masked`
      must never come out: "4111" is in the payload of rule `passed-on`, published by route `default` to `copies.masked`
        {"card":"41111234"}
FAIL  tests/orders.toml:12:8: parts come in order
      differs from tests/orders.toml:23:1: rule `parts`, published by route `default` to `clean.parts`
        $.a
          - 7
          + null
      differs from tests/orders.toml:27:1: rule `passed-on`, published by route `default` to `copies.parts`
        subject
          - copies.other
          + copies.parts
      not expected: rule `parts`, published by route `default` to `clean.parts`
ok    tests/orders.toml: nobody takes this

3 tests: 1 passed, 2 failed
coverage 88.8 %: rules 3 of 3, stages 2 of 2, routes 3 of 4
  not used: route `other` of rule `masked` (rules/orders.toml:11:9)
"#;
    let got = printed(&setup, &done);
    assert!(got == want, "{got}");
}

#[test]
fn an_update_rewrites_what_differs_and_leaves_the_rest_as_it_is() {
    let setup = setup(TWO_OF_THREE);
    let done = test(&setup, &["--update"]);
    let path = setup.path().join("tests/orders.toml");
    let text = std::fs::read_to_string(&path).expect("the tests");
    let want = r#"
# Comments stay.
[[test]]
name = "the card is masked" # this one too
never = ["4111"]
message = { subject = "orders.masked", json = { card = "41111234" } }
expect = [
  { rule = "masked", route = "default", fields = { "$.card" = "****1234" }, absent = ["$.gone"] },
  { rule = "passed-on", route = "default", subject = "copies.masked", text = '{"card":"41111234"}' }, # and this
]

[[test]]
name = "parts come in order"

[test.message]
subject = "orders.parts"
text = '[1, {"a": null}, 3]'

# The first part.
[[test.expect]]
rule = "parts"
text   =   "1" # as it was

[[test.expect]]
rule = "parts"
null = ["$.a"]

[[test.expect]]
rule = "passed-on"
subject = "copies.parts"

[[test.expect]]
rule = "parts"
route = "default"
subject = "clean.parts"
text = "3"

[[test]]
name = "nobody takes this"
message = { subject = "orders.a.b" }
expect = [{ outcome = "unmatched" }]
"#;
    assert!(text == want, "{text}");
    // What must never come out still does.
    assert_eq!(done.code, 1);
    assert!(
        done.stdout.contains("rewrote the expectations of 2 tests\n3 tests: 2 passed, 1 failed"),
        "{}",
        done.stdout
    );
    setup.write("tests/orders.toml", text.replace("never = [\"4111\"]\n", ""));
    assert_eq!(test(&setup, &[]).code, 0);
}

#[test]
fn an_update_that_a_full_disk_stops_leaves_the_file_as_it_is() {
    let Some(disk) = trackside_tests::SmallDisk::mount("1m") else {
        println!("not run: mounting a small disk needs root");
        return;
    };
    let setup = setup(TWO_OF_THREE);
    let tests = setup.path().join("tests");
    let path = disk.path().join("orders.toml");
    std::fs::remove_dir_all(&tests).expect("the folder is there");
    std::os::unix::fs::symlink(disk.path(), &tests).expect("a link to the disk");
    std::fs::write(&path, TWO_OF_THREE).expect("there is room yet");
    disk.fill(0);
    let done = test(&setup, &["--update"]);
    let text = std::fs::read_to_string(&path).expect("it is still there");
    assert!(text == TWO_OF_THREE, "{text}");
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("orders.toml: No space left on device"), "{}", done.stderr);

    disk.free();
    test(&setup, &["--update"]);
    assert_ne!(std::fs::read_to_string(&path).expect("it is there"), TWO_OF_THREE);
    let left: Vec<_> = std::fs::read_dir(disk.path()).expect("its files").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["orders.toml"], "no draft is left");
}

#[test]
fn a_test_of_nothing_but_its_message_fails_until_an_update_writes_what_happens() {
    let message = "[[test]]\nname = \"a\"\n[test.message]\nsubject = \"orders.parts\"\nbase64 = \"/w==\"\n";
    let setup = setup(message);
    let done = test(&setup, &[]);
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("the test expects nothing"), "{}", done.stdout);
    assert_eq!(test(&setup, &["--update"]).code, 0);
    let text = std::fs::read_to_string(setup.path().join("tests/orders.toml")).expect("the tests");
    let dead = "[[test.expect]]\nrule = \"parts\"\noutcome = \"dead-lettered\"\nsubject = \"dead.orders\"\nclass = \
                \"rejected\"\nstage = \"transform\"\nreason = ";
    assert!(text.starts_with(message) && text.contains(dead) && text.ends_with("base64 = \"/w==\"\n"), "{text}");
}

#[test]
fn a_junit_report_has_every_test_and_why_it_failed() {
    let setup = setup(TWO_OF_THREE);
    let file = setup.path().join("report.xml");
    assert_eq!(test(&setup, &["--junit", file.to_str().expect("UTF-8")]).code, 1);
    let report = std::fs::read_to_string(file).expect("a report");
    let report = quick_junit::Report::deserialize_from_str(&report).expect("JUnit");
    assert_eq!((report.tests, report.failures), (3, 2));
    let cases: Vec<_> = report.test_suites[0].test_cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(cases, ["the card is masked", "parts come in order", "nobody takes this"]);
    let quick_junit::TestCaseStatus::NonSuccess { description, .. } = &report.test_suites[0].test_cases[0].status
    else {
        panic!("the first one failed");
    };
    assert!(description.as_ref().is_some_and(|why| why.contains("must never come out")), "{description:?}");
}

#[test]
fn a_dead_letter_keeps_the_message_so_that_never_finds_it_there() {
    let tests = "[[test]]\nname = \"a\"\nnever = [\"secret\"]\n\
                 message = { subject = \"orders.parts\", text = \"\\\\u0073ecret\" }\n";
    let setup = setup(tests);
    let done = test(&setup, &["--update"]);
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("a dead letter keeps the message as it came"), "{}", done.stdout);
}

#[test]
fn mistakes_are_shown_all_at_once_and_the_exit_code_is_2() {
    let setup = setup("[[test]]\nname = \"a\"\nmesage = {}\n[[test.expect]]\nrule = \"maskd\"\n");
    let done = test(&setup, &[]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    for want in ["did you mean `message`?", "there is no rule `maskd`", "did you mean `masked`?", "2 errors"] {
        assert!(done.stderr.contains(want), "{want}: {}", done.stderr);
    }
}

#[test]
fn tests_are_chosen_by_name_and_none_at_all_is_a_wrong_usage() {
    let setup = setup(TWO_OF_THREE);
    let done = test(&setup, &["nobody"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (
            0,
            &*format!(
                "ok    {}/tests/orders.toml: nobody takes this\n\n1 test: 1 passed, 0 failed\n",
                setup.argument()
            )
        )
    );
    let none = test(&setup, &["no such test"]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("has \"no such test\" in its name"), "{}", none.stderr);
    assert_eq!(test(&setup, &["--min-coverage", "101"]).code, 2);
    assert_eq!(test(&setup, &["nobody", "--min-coverage", "10"]).code, 2);
    std::fs::remove_dir_all(setup.path().join("tests")).expect("is removed");
    let none = test(&setup, &[]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("there are no tests in "), "{}", none.stderr);
}

#[test]
fn a_coverage_below_what_was_asked_for_fails() {
    let setup = setup(
        "[[test]]\nname = \"a\"\nmessage = { subject = \"orders.a.b\" }\nexpect = [{ outcome = \"unmatched\" }]\n",
    );
    assert_eq!(test(&setup, &["--min-coverage", "0"]).code, 0);
    let done = test(&setup, &["--min-coverage", "1"]);
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("coverage 0.0 %: rules 0 of 3, stages 0 of 2, routes 0 of 4"), "{}", done.stdout);
    assert!(done.stdout.contains("  not used: rule `masked` ("), "{}", done.stdout);
}

#[test]
fn a_rule_that_does_not_take_the_message_says_why() {
    let setup = setup(
        "[[test]]\nname = \"a\"\nmessage = { subject = \"orders.maske\", text = \"{}\" }\nexpect = [{ rule = \"masked\" }]\n",
    );
    let done = test(&setup, &[]);
    let why = "the rule does not take `orders.maske`: `orders.masked`, token 2: want `masked`, got `maske`";
    assert!(done.stdout.contains(why), "{}", done.stdout);
}

/// The blocks of a document with this language.
fn blocks<'d>(document: &'d str, language: &str) -> Vec<&'d str> {
    let fence = format!("```{language}\n");
    document.split(fence.as_str()).skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect()
}

#[test]
fn the_document_tells_what_is_so() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rule-tests.md");
    let document = std::fs::read_to_string(path).expect("the document");
    let example = Example::new();
    let [first, second] = blocks(&document, "toml")[..] else { panic!("two blocks of tests") };
    // Every command, on the configuration that it names.
    for line in blocks(&document, "console").iter().flat_map(|block| block.lines()) {
        let line = line.strip_prefix("$ trackside ").unwrap_or_else(|| panic!("not a command: {line}"));
        let arguments = line.split_once('#').map_or(line, |(arguments, _)| arguments);
        let report = example.path().with_file_name("report.xml").display().to_string();
        let argument = |argument| match argument {
            "config" => example.argument().to_owned(),
            "report.xml" => report.clone(),
            other => String::from(other),
        };
        let arguments: Vec<String> = arguments.split_whitespace().map(argument).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let done = command_with(&arguments, Example::SECRETS, b"");
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{line}: {}", done.stdout);
    }
    let run = |first: &str| {
        std::fs::remove_dir_all(example.path().join("tests")).expect("is removed");
        example.write("tests/first.toml", first);
        example.write("tests/second.toml", second);
        command_with(&["test", example.argument()], Example::SECRETS, b"")
    };
    let done = run(first);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{}", done.stdout);
    let [failure, coverage] = blocks(&document, "text")[..] else { panic!("two blocks of output") };
    let changed = first.replacen("orders.eu", "orders.us", 1).replace("route = \"default\"", "route = \"review\"");
    let got = run(&changed).stdout.replace(example.argument(), "config");
    assert!(got.contains(failure), "{got}");
    let example = Example::new();
    let done = command_with(&["test", example.argument()], Example::SECRETS, b"");
    assert!(done.stdout.ends_with(coverage), "{}", done.stdout);
}
