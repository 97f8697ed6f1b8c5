//! The example configuration in `config/`, with its samples: what they show, and that they give nothing away. And the
//! configuration in the README.

use serde_json::Value;
use trackside_tests::{Example, Finished, command, command_with, hostile};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/samples/orders.jsonl");

fn run() -> Finished {
    command_with(&["try", Example::new().argument(), "--jsonl", SAMPLES], Example::SECRETS, b"")
}

#[test]
fn every_sample_has_the_outcome_that_the_example_means_to_show() {
    let done = run();
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let summary = |line: &Value| {
        let text = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
        format!("{} {} {} {} {}", line["message"], text("rule"), text("outcome"), text("route"), text("subject"))
    };
    let want = [
        "1 orders published default clean.orders.created",
        "2 orders published review review.orders.us",
        "3 orders dead-lettered - dead.orders",
        "4 orders dead-lettered - dead.orders",
        "5 orders published default clean.orders.created",
        "6 orders dead-lettered - dead.orders",
        "7 orders dead-lettered - dead.orders",
        "8 - unmatched - orders.eu.cancelled",
        "9 orders published review review.orders.de",
        "10 telemetry published default readings.press-4",
        "11 telemetry published alarm alarms.press-5",
    ];
    assert_eq!(done.lines().iter().map(summary).collect::<Vec<_>>(), want);
    for (sample, why) in [(3, "lacks \"email\""), (4, "the same key twice"), (6, "not JSON"), (7, "not JSON")] {
        let reason = done.lines()[sample - 1]["reason"].as_str().expect("a reason").to_owned();
        assert!(reason.contains(why), "{sample}: {reason}");
    }
}

#[test]
fn no_secret_of_the_samples_is_in_anything_that_is_published() {
    let done = run();
    let samples = std::fs::read_to_string(SAMPLES).expect("the samples");
    let secrets = [
        "ada@example.com",
        "grace@example.com",
        "spaces@example.com",
        "limit@example.com",
        "second@example.com",
        "4111 1111 1111 1111",
        "5500005555555559",
        "378282246310005",
        "6011111111111117",
        "@example.com",
    ];
    let published: Vec<_> = done.stdout.lines().filter(|line| line.contains(r#""outcome":"published""#)).collect();
    assert_eq!(published.len(), 6);
    for secret in secrets {
        assert!(samples.contains(secret), "{secret} is planted in the samples");
        for line in &published {
            assert!(!line.contains(secret), "{secret} in {line}");
        }
    }
    assert!(!format!("{}{}", done.stdout, done.stderr).contains("a key of the test"));
}

#[test]
fn the_page_of_the_example_shows_its_flow_and_names_all_of_its_rules() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/README.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let (before, rest) = page.split_once("```mermaid\n").expect("a picture");
    let (_, after) = rest.split_once("```").expect("its end");
    let drawn = command(&["graph", Example::new().argument()], b"");
    assert_eq!((drawn.code, drawn.stderr.as_str()), (0, ""));
    let made = format!("{before}```mermaid\n{}```{after}", drawn.stdout);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &made).expect("the page can be written");
    }
    let there = std::fs::read_to_string(path).expect("the page");
    assert!(
        there == made,
        "config/README.md is out of date: UPDATE_DOCS=1 cargo test -p trackside-tests --test samples"
    );
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/rules")).expect("the rules") {
        let name = entry.expect("a file").file_name().into_string().expect("UTF-8");
        assert!(there.contains(&format!("[rules/{name}](rules/{name})")), "{name} is not told of");
    }
}

#[test]
fn the_rules_of_the_readme_are_right_and_lead_to_no_warning() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(readme).expect("the README");
    let blocks = || readme.split("```toml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let of = |table: &str| blocks().filter(|block| block.starts_with(table)).collect::<Vec<_>>();
    let (rules, plugins) = (of("[[rule]]"), of("[plugins."));
    assert_eq!((rules.len(), plugins.len()), (2, 1));
    let setup = Example::new();
    let config = std::fs::read_to_string(setup.path().join("trackside.toml")).expect("the configuration");
    setup.write("trackside.toml", config + plugins[0]);
    setup.write("rules/orders.toml", rules.concat());
    // Any plugin will do that takes whatever settings it is given.
    setup.write("plugins/vip.wasm", hostile::component("forward"));
    let done = command_with(&["check", setup.argument()], &[], b"");
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert!(done.stdout.starts_with("ok: 3 sources, 4 rules, "), "{}", done.stdout);
}
