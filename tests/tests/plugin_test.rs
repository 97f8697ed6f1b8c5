//! `trackside plugin test`: what holds, what does not and how it differs, and what is wrong with the cases themselves.

use trackside_tests::{Finished, command, hostile};

/// Runs cases with a plugin of `tests/hostile`.
fn run(plugin: &str, cases: &str, options: &[&str]) -> Finished {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    std::fs::write(path("own.wasm"), hostile::component(plugin)).expect("a file in a temporary folder");
    std::fs::write(path("cases.toml"), cases).expect("a file in a temporary folder");
    let (file, cases) = (path("own.wasm"), path("cases.toml"));
    let arguments: Vec<&str> = ["plugin", "test", &file, &cases].into_iter().chain(options.iter().copied()).collect();
    command(&arguments, b"")
}

#[test]
fn cases_that_hold_are_measured_and_the_command_succeeds() {
    let cases = "[[case]]\nname = \"it goes on\"\nmessage = { text = \"a\" }\nexpect = { text = \"a\" }\n";
    let done = run("forward", cases, &[]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{}", done.stdout);
    let first = done.stdout.lines().next().expect("a line for the case");
    assert!(first.starts_with("ok ") && first.contains(" µs ") && first.ends_with("  it goes on"), "{first}");
    assert!(done.stdout.contains("\n1 of 1 cases hold\n"), "{}", done.stdout);
    let handler = run("publish-many", "[[case]]\nname = \"it publishes\"\nexpect = { verdict = \"publish\" }\n", &[]);
    assert!(handler.code == 0 && handler.stdout.contains(" µs "), "{}", handler.stdout);
}

#[test]
fn a_case_that_does_not_hold_shows_what_was_expected_and_what_came() {
    let cases = "\
[[case]]
name = \"it is rejected\"
message = { text = \"a\" }
expect = { verdict = \"reject\", text = \"b\", headers = { Tag = \"c\" } }
[[case]]
name = \"it goes on\"
";
    let done = run("forward", cases, &[]);
    assert_eq!(done.code, 1, "{}", done.stdout);
    for lines in [
        "  it is rejected\n        outcome\n          - reject\n          + forward\n",
        "        payload\n          - b\n          + a\n",
        "        header Tag\n          - c\n          + none\n",
        "\n1 of 2 cases hold\n",
    ] {
        assert!(done.stdout.contains(lines), "{lines:?} is not in\n{}", done.stdout);
    }
}

#[test]
fn faults_retries_and_refused_settings_can_be_expected() {
    for (plugin, expect) in [
        ("trap", "failure = \"trap\", reason = { contains = \"unreachable\" }, text = \"a\""),
        ("loop", "failure = \"deadline\", text = \"a\""),
        ("memory", "failure = \"memory\""),
        ("host-calls", "failure = \"limit\", reason = { contains = \"`host-calls`\" }"),
        ("fatal", "failure = \"fatal\""),
        ("retry", "failure = \"retry\""),
    ] {
        // Only what is to meet its deadline: a busy machine is no reason for the others to.
        let limits = if plugin == "loop" { "" } else { "limits = { deadline = \"10s\" }\n" };
        let cases = format!("[[case]]\nname = \"x\"\n{limits}message = {{ text = \"a\" }}\nexpect = {{ {expect} }}\n");
        let done = run(plugin, &cases, &[]);
        assert_eq!(done.code, 0, "{plugin}: {}{}", done.stdout, done.stderr);
    }
    let cases = "[[case]]\nname = \"x\"\nwith = { a = 1 }\nexpect = { configure = '{\"a\":1}' }\n";
    let done = run("refuse-config", cases, &[]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let done = run("forward", cases, &[]);
    assert!(done.code == 1 && done.stdout.contains("+ it takes the settings"), "{}", done.stdout);
}

#[test]
fn mistakes_in_the_cases_are_shown_with_line_and_caret() {
    let done = run("forward", "[[case]]\nname = \"x\"\nexpect = { verdict = \"foward\" }\n", &[]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    assert!(done.stderr.contains("cases.toml:3:22]"), "{}", done.stderr);
    assert!(done.stderr.contains("^^^^^^^^") && done.stderr.contains("did you mean \"forward\"?"), "{}", done.stderr);
}

#[test]
fn programs_are_given_one_object_of_the_cases_that_were_picked() {
    let cases = "[[case]]\nname = \"one\"\n[[case]]\nname = \"two\"\nexpect = { verdict = \"drop\" }\n";
    let done = run("forward", cases, &["--json", "--only", "one"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report: serde_json::Value = serde_json::from_str(&done.stdout).expect("one object");
    assert_eq!(report["cases"].as_array().map(Vec::len), Some(1));
    assert_eq!((report["cases"][0]["name"].as_str(), report["cases"][0]["ok"].as_bool()), (Some("one"), Some(true)));
    assert!(report["cases"][0]["call_us"].as_f64().is_some_and(|time| time > 0.0), "{report}");
}
