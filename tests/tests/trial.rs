//! `trackside try`: messages through the real rules and plugins, with no NATS at all.

use base64::Engine as _;
use serde_json::{Value, json};
use trackside_tests::{Finished, Setup, command, command_unread, command_with, hostile};

/// Nobody listens there.
const NO_SERVER: &str = "nats://127.0.0.1:1";

const CONFIG: &str = r#"
[sources.orders]
stream = "ORDERS"
filter-subjects = ["orders.>"]
durable = "trackside-orders"
[sources.all]
subject = ">"
[streams.CLEAN]
subjects = ["clean.>"]
[plugins.validate]
deadline = "10s"
[plugins.mask]
deadline = "10s"
[plugins.transform]
deadline = "10s"
"#;

const RULES: &str = r#"
[[rule]]
name = "masked"
source = "orders"
subject = "orders.masked"
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.card", action = "redact" }] }
[rule.routes]
default = "clean.{subject.2}"
[rule.on-failure]
dead-letter = "dead.orders"

[[rule]]
name = "split"
source = "orders"
subject = "orders.split"
[[rule.stage]]
plugin = "transform"
with = { jq = ".items[]" }
[[rule.stage]]
plugin = "mask"
with = { fields = [{ path = "$.a", action = "redact" }] }
[rule.routes]
default = "clean.items"
[rule.on-failure]
dead-letter = "dead.orders"

[[rule]]
name = "dropped"
source = "orders"
subject = "orders.dropped"
[[rule.stage]]
plugin = "transform"
with = { jq = "empty" }
[rule.routes]
default = "clean.never"
[rule.on-failure]
dead-letter = "dead.orders"

[[rule]]
name = "checked"
source = "orders"
subject = "orders.checked"
[[rule.stage]]
plugin = "validate"
with = { schema = "schemas/order.json" }
[rule.routes]
default = "clean.checked"
[rule.on-failure]
dead-letter = "dead.orders"

[[rule]]
name = "passed-on"
source = "orders"
subject = "orders.passed-on"
[rule.routes]
default = "clean.passed-on"
[rule.on-failure]
dead-letter = "dead.orders"

[[rule]]
name = "copied"
source = "all"
subject = "*.copied"
[rule.routes]
default = "copies.of.{subject.1}"
[rule.on-failure]
dead-letter = "dead.copies"
[[rule]]
name = "copied-order"
source = "orders"
subject = "orders.copied"
[rule.routes]
default = "clean.copied"
[rule.on-failure]
dead-letter = "dead.orders"
"#;

fn setup() -> Setup {
    let setup = Setup::new(NO_SERVER, CONFIG);
    setup.write("rules/orders.toml", RULES);
    setup.write("schemas/order.json", r#"{"type":"object","required":["id"]}"#);
    setup
}

/// Runs these lines.
fn try_lines(setup: &Setup, lines: &[&str]) -> Finished {
    command(&["try", setup.argument(), "--jsonl"], lines.join("\n").as_bytes())
}

/// Runs these lines, none of which is bad, and parses what is printed.
fn outcomes(setup: &Setup, lines: &[&str]) -> Vec<Value> {
    let done = try_lines(setup, lines);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    done.lines()
}

/// Runs one payload through the rule that passes everything on.
fn passed_on(setup: &Setup, payload_member: &str) -> String {
    let done = try_lines(setup, &[&format!(r#"{{"subject":"orders.passed-on",{payload_member}}}"#)]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let (_, payload) = done.stdout.split_once(r#","payload"#).expect("there is a payload");
    payload.split_once(r#","reason":null"#).expect("the reason follows").0.to_owned()
}

#[test]
fn each_outcome_is_one_line_in_the_order_of_the_input_with_its_line_number() {
    let lines = [
        r#"{"subject":"orders.masked","payload":{"card":"4111"}}"#,
        r#"{"subject":"orders.split","payload":{"items":[{"a":1},{"b":2}]}}"#,
        "",
        r#"{"subject":"orders.dropped","payload":{}}"#,
        r#"{"subject":"orders.checked","payload":{"no":"id"}}"#,
        r#"{"subject":"orders.nobody","payload":{}}"#,
    ];
    let outcomes = outcomes(&setup(), &lines);
    let summary = |line: &Value| {
        let verdicts: Vec<_> =
            line["stages"].as_array().expect("stages").iter().map(|s| s["verdict"].clone()).collect();
        json!([
            line["message"],
            line["rule"],
            line["outcome"],
            line["route"],
            line["subject"],
            line["payload"],
            verdicts
        ])
    };
    let want = [
        json!([1, "masked", "published", "default", "clean.masked", {"card": "***"}, ["forward"]]),
        json!([2, "split", "published", "default", "clean.items", {"a": "***"}, ["split", "forward"]]),
        json!([2, "split", "published", "default", "clean.items", {"b": 2}, ["split", "forward"]]),
        json!([4, "dropped", "dropped", null, null, null, ["drop"]]),
        json!([5, "checked", "dead-lettered", null, "dead.orders", {"no": "id"}, ["reject"]]),
        json!([6, null, "unmatched", null, "orders.nobody", null, []]),
    ];
    assert_eq!(outcomes.iter().map(summary).collect::<Vec<_>>(), want);
    for (line, reason) in [(3, "jq"), (4, "lacks \"id\""), (5, "no rule takes this subject")] {
        let told = outcomes[line]["reason"].as_str().expect("a reason");
        assert!(told.contains(reason), "{told}");
    }
    for stage in outcomes.iter().flat_map(|line| line["stages"].as_array().expect("stages")) {
        assert!(stage["plugin"].is_string() && stage["micros"].is_u64(), "{stage}");
    }
    assert_eq!(outcomes[4]["headers"]["Trackside-Dead-Class"], "rejected");
    assert_eq!(outcomes[4]["headers"]["Trackside-Dead-Stage"], "validate");
    assert_eq!(outcomes[0]["headers"]["Trackside-Rule"], "masked");
}

#[test]
fn the_keys_of_a_line_are_in_the_documented_order() {
    let done = try_lines(&setup(), &[r#"{"subject":"orders.masked","payload":1}"#]);
    let line: serde_json::Map<String, Value> = serde_json::from_str(done.stdout.trim()).expect("an object");
    let keys: Vec<_> = line.keys().map(String::as_str).collect();
    assert_eq!(keys, ["message", "rule", "outcome", "route", "subject", "headers", "payload", "reason", "stages"]);
}

#[test]
fn one_message_can_be_given_by_arguments_and_standard_input_or_a_file() {
    let setup = setup();
    setup.write("samples/order.json", br#"{"card":"4111"}"#);
    let file = setup.path().join("samples/order.json");
    let file = file.to_str().expect("UTF-8");
    let arguments =
        ["try", setup.argument(), "--subject", "orders.masked", "--header", "Region=eu", "--header", "A=b=c"];
    for (more, input) in [(&[] as &[&str], r#"{"card":"4111"}"#), (&["-"], r#"{"card":"4111"}"#), (&[file], "")] {
        let done = command(&[&arguments, more].concat(), input.as_bytes());
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        let line = &done.lines()[0];
        assert_eq!(line["message"], 1);
        assert_eq!(line["payload"], json!({"card": "***"}));
        assert_eq!((&line["headers"]["Region"], &line["headers"]["A"]), (&json!("eu"), &json!("b=c")));
    }
}

#[test]
fn the_lines_can_come_from_a_file_and_may_end_as_on_windows() {
    let setup = setup();
    setup.write(
        "lines.jsonl",
        "{\"subject\":\"orders.passed-on\",\"payload\":1}\r\n{\"subject\":\"orders.passed-on\"}\r\n",
    );
    let file = setup.path().join("lines.jsonl");
    let done = command(&["try", setup.argument(), "--jsonl", file.to_str().expect("UTF-8")], b"");
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(done.lines().len(), 2);
}

#[test]
fn headers_that_repeat_are_lists_in_their_order() {
    let line = r#"{"subject":"orders.passed-on","headers":{"Region":["de","eu"],"One":"1","None":[]},"payload":null}"#;
    let outcomes = outcomes(&setup(), &[line]);
    assert_eq!(outcomes[0]["headers"]["Region"], json!(["de", "eu"]));
    assert_eq!(outcomes[0]["headers"]["One"], "1");
    assert_eq!(outcomes[0]["headers"].get("None"), None);
}

#[test]
fn a_json_payload_keeps_its_keys_their_order_and_the_spelling_of_numbers() {
    let setup = setup();
    let payload =
        r#"{"z":1.50,"a":1e400,"z":-0,"n":12345678901234567890123456789012345678901234567890,"e":"\u00e9\/"}"#;
    assert_eq!(passed_on(&setup, &format!(r#""payload":{payload}"#)), format!(r#"":{payload}"#));
    let quoted = Value::from(payload).to_string();
    assert_eq!(passed_on(&setup, &format!(r#""payload_text":{quoted}"#)), format!(r#"":{payload}"#));
    let spaced = r#""payload_text":"{ \"a b\" : [ 1.0 ,\n 2 ] }""#;
    assert_eq!(passed_on(&setup, spaced), r#"":{"a b":[1.0,2]}"#, "it has to fit a line");
}

#[test]
fn what_is_not_json_comes_out_in_base64_however_it_went_in() {
    let setup = setup();
    for (member, want) in [
        (r#""payload_text":"plain text""#, b"plain text".as_slice()),
        (r#""payload_base64":"AAECAwQ=""#, &[0, 1, 2, 3, 4]),
        (r#""payload_text":"""#, b""),
    ] {
        let want = base64::engine::general_purpose::STANDARD.encode(want);
        assert_eq!(passed_on(&setup, member), format!(r#"_base64":"{want}""#));
    }
}

#[test]
fn a_payload_of_null_is_json_and_no_payload_is_an_empty_one() {
    let setup = setup();
    assert_eq!(passed_on(&setup, r#""payload":null"#), r#"":null"#);
    assert_eq!(passed_on(&setup, r#""source":null"#), r#"_base64":"""#);
}

#[test]
fn bad_lines_are_reported_by_number_while_the_others_go_on() {
    let good = r#"{"subject":"orders.passed-on","payload":1}"#;
    let lines = [
        good,
        "not json",
        r#"{"payload":1}"#,
        r#"{"subject":"orders..x"}"#,
        r#"{"subject":"orders.*"}"#,
        r#"{"subject":"orders.x","payload":1,"payload_text":"1"}"#,
        r#"{"subject":"orders.x","payload_base64":"%"}"#,
        r#"{"subject":"orders.x","playload":1}"#,
        r#"{"subject":"orders.x","source":"oders"}"#,
        r#"{"subject":"orders.x","headers":{"A b":"c"}}"#,
        r#"{"subject":"orders.x","headers":{"A":"c\r\nB: d"}}"#,
        good,
    ];
    let done = try_lines(&setup(), &lines);
    assert_eq!(done.code, 1);
    let numbers: Vec<_> = done.lines().iter().map(|line| line["message"].clone()).collect();
    assert_eq!(numbers, [1, 12]);
    let complaints: Vec<_> = done.stderr.lines().collect();
    let want = [
        (2, "not a message"),
        (3, "missing field `subject`"),
        (4, "subject: "),
        (5, "subject: "),
        (6, "give one of payload, payload_base64 and payload_text"),
        (7, "payload_base64: "),
        (8, "unknown field `playload`"),
        (9, "there is no source `oders`; the configuration has all, orders"),
        (10, "header `A b`: "),
        (11, "header `A`: "),
    ];
    assert_eq!(complaints.len(), want.len(), "{}", done.stderr);
    for (complaint, (line, why)) in complaints.into_iter().zip(want) {
        assert!(complaint.starts_with(&format!("line {line}: ")) && complaint.contains(why), "{complaint}");
    }
}

#[test]
fn without_a_source_every_source_that_could_deliver_the_subject_is_tried() {
    let setup = setup();
    let rules = |lines: &[&str]| -> Vec<Value> { outcomes(&setup, lines).iter().map(|l| l["rule"].clone()).collect() };
    assert_eq!(rules(&[r#"{"subject":"orders.copied"}"#]), ["copied", "copied-order"]);
    assert_eq!(rules(&[r#"{"subject":"orders.copied","source":"orders"}"#]), ["copied-order"]);
    assert_eq!(rules(&[r#"{"subject":"orders.copied","source":"all"}"#]), ["copied"]);
    assert_eq!(rules(&[r#"{"subject":"other.copied"}"#]), ["copied"]);
    let stray = &outcomes(&setup, &[r#"{"subject":"other.copied","source":"orders"}"#])[0];
    assert_eq!(stray["outcome"], "unmatched");
    assert!(stray["reason"].as_str().expect("a reason").contains("source `orders`"), "{stray}");
}

#[test]
fn secrets_from_the_environment_and_from_files_are_never_shown() {
    let teller = "[plugins.teller]\npath = \"plugins/teller.wasm\"\ngrants = [\"log\"]\n";
    let setup = Setup::new(NO_SERVER, &format!("{CONFIG}\n{teller}"));
    setup.write("plugins/teller.wasm", hostile::component("echo-config"));
    setup.write("secrets/token", "swordfish-in-a-file\n");
    setup.write(
        "rules/a.toml",
        r#"
[[rule]]
name = "told"
source = "orders"
subject = "orders.told"
[[rule.stage]]
plugin = "teller"
with = { key = "env:TRIAL_KEY", nested = [{ token = "file:secrets/token" }], plain = "shown" }
[rule.routes]
default = "clean.orders"
[rule.on-failure]
dead-letter = "dead.orders"
"#,
    );
    let arguments = ["--log", "trace", "try", setup.argument(), "--subject", "orders.told"];
    let done = command_with(&arguments, &[("TRIAL_KEY", "swordfish-in-the-environment")], b"{}");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let line = &done.lines()[0];
    assert!(line["reason"].as_str().expect("a reason").contains("shown"), "{line}");
    assert!(done.stderr.contains("shown"), "the plugin logs its settings: {}", done.stderr);
    for output in [&done.stdout, &done.stderr] {
        assert!(!output.contains("swordfish"), "{output}");
    }
}

#[test]
fn a_variable_that_is_not_set_is_named_with_its_place() {
    let setup = setup();
    setup.write(
        "rules/orders.toml",
        RULES.replace(r#"action = "redact""#, r#"action = "hash", key = "env:TRIAL_UNSET""#),
    );
    let done = command(&["try", setup.argument(), "--subject", "orders.masked"], b"{}");
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(done.stderr.contains("TRIAL_UNSET") && done.stderr.contains("rules/orders.toml:8:"), "{}", done.stderr);
}

#[test]
fn wrong_usage_exits_with_2_and_a_failure_with_1() {
    let setup = setup();
    let directory = setup.argument();
    for arguments in [
        &["try", directory] as &[&str],
        &["try", directory, "--jsonl", "--subject", "a"],
        &["try", directory, "--subject", "a", "--header", "no-equals-sign"],
        &["try", directory, "--subject", "a..b"],
        &["try", directory, "--subject", "a", "--colour"],
        &["try"],
    ] {
        let done = command(arguments, b"");
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{arguments:?}: {}", done.stderr);
    }
    let neither = command(&["try", directory], b"").stderr;
    assert!(neither.contains("<--subject <SUBJECT>|--jsonl>"), "{neither}");
    for (arguments, why) in [
        (&["try", directory, "--subject", "a", "/no/such/file"] as &[&str], "/no/such/file"),
        (&["try", directory, "--jsonl", "/no/such/file"], "/no/such/file"),
        (&["try", directory, "--subject", "a", "--source", "oders"], "there is no source `oders`"),
        (&["try", "/no/such/directory", "--subject", "a"], "/no/such/directory"),
    ] {
        let done = command(arguments, b"");
        assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(done.stderr.contains(why), "{arguments:?}: {}", done.stderr);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let setup = setup();
    let lines = r#"{"subject":"orders.passed-on","payload":1}"#.to_owned() + "\n";
    let done = command_unread(&["try", setup.argument(), "--jsonl"], lines.repeat(1000).as_bytes());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let done = command_unread(&["check", setup.argument()], b"");
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
}

#[test]
fn the_same_line_with_the_same_timestamp_gives_the_same_outcome_on_every_run() {
    let setup = setup();
    let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("the configuration");
    setup.write("trackside.toml", format!("{config}\n[plugins.wasi]\npath = \"plugins/wasi.wasm\"\n"));
    setup.write("plugins/wasi.wasm", hostile::component("virtual-wasi"));
    setup.write(
        "rules/a.toml",
        "[[rule]]\nname = \"a\"\nsource = \"orders\"\nsubject = \"orders.a\"\nroutes = { default = \"clean.a\" }\n\
         on-failure = { dead-letter = \"dead.a\" }\n[[rule.stage]]\nplugin = \"wasi\"\n",
    );
    let run = |timestamp: u64| {
        let line = format!(r#"{{"subject":"orders.a","timestamp":{timestamp}}}"#);
        outcomes(&setup, &[&line])[0]["payload_base64"].as_str().expect("bytes").to_owned()
    };
    let first = run(1_700_000_000_000);
    assert_eq!(run(1_700_000_000_000), first);
    assert_ne!(run(1_700_000_000_001), first);
}
