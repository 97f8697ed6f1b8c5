//! Files of wrong tests beside the reports that they lead to.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::rules::load_from as load_rules;

const CONFIG: &str = r#"
[nats]
servers = ["nats://127.0.0.1:4222"]
[sources.orders]
stream = "ORDERS"
filter-subjects = ["orders.>"]
durable = "trackside"
[sources.telemetry]
subject = "telemetry.>"
[streams.CLEAN]
subjects = ["clean.>"]
"#;
const RULES: &str = r#"
[[rule]]
name = "orders"
source = "orders"
subject = "orders.*.created"
stage = [{ plugin = "validate" }, { plugin = "mask" }]
routes = { default = "clean.orders", review = "clean.review" }
on-failure = { dead-letter = "dead.orders" }
[[rule]]
name = "telemetry"
source = "telemetry"
subject = "telemetry.*"
routes = { default = "readings.{subject.2}" }
on-failure = { dead-letter = "dead.telemetry" }
"#;

fn rules() -> Rules {
    let set = FileSet::new("").with("trackside.toml", CONFIG).with("rules/all.toml", RULES);
    load_rules(&set).unwrap_or_else(|report| panic!("{report}")).0
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules/testing/tests");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    cases.sort();
    cases
}

fn load_text(text: &str) -> Result<Vec<TestFile>, Report> {
    load_from(&FileSet::new("").with("tests/a.toml", text), &rules())
}

#[test]
fn every_wrong_file_of_tests_gets_the_report_beside_it() {
    let mut failures = String::new();
    for path in cases() {
        let text = fs::read_to_string(&path).expect("is read");
        let got = match load_text(&text) {
            Ok(_) => "fine\n".to_owned(),
            Err(report) => report.to_string(),
        };
        let beside = path.with_extension("err");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&beside, &got).expect("is written");
        }
        if fs::read_to_string(&beside).unwrap_or_default() != got {
            failures += &format!("{} differs; UPDATE=1 rewrites it. What was made:\n{got}", beside.display());
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn no_slip_of_the_pen_makes_the_parser_or_the_report_panic() {
    let mut reports = 0;
    for path in cases() {
        let case = fs::read_to_string(&path).expect("is read");
        for (number, (at, c)) in case.char_indices().enumerate().step_by(7) {
            let slip = ["", "\"", "é", "[", "\n", "=", "\u{85}", "}}"][number / 7 % 8];
            let changed = format!("{}{slip}{}", &case[..at], &case[at + c.len_utf8()..]);
            reports += load_text(&changed).map_or_else(|report| report.to_string().len().min(1), |_| 0);
        }
    }
    assert!(reports > 300, "most of the changes are errors: {reports}");
}

#[test]
fn everything_that_can_be_written_arrives() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules/testing/tests/everything.toml"))
            .expect("is read");
    let files = load_text(&text).unwrap_or_else(|report| panic!("{report}"));
    let [first, rest @ ..] = files[0].tests.as_slice() else { panic!("there are tests") };
    assert_eq!(first.message.subject.as_str(), "orders.eu.created");
    assert_eq!(&first.message.payload[..], br#"{"id":"EU-1","lines":[1,2.5]}"#);
    let headers: Vec<_> = first.message.headers.iter().map(|h| format!("{}={}", h.name, h.value)).collect();
    assert_eq!(headers, ["Region=eu", "Tag=a", "Tag=b"]);
    assert_eq!(first.timestamp_ms, 1_795_341_600_000);
    assert_eq!(first.never, ["4111111111111111"]);
    let [published, dead] = first.expect.as_slice() else { panic!("two things are expected") };
    assert_eq!(published.checks.len(), 11);
    assert_eq!((dead.ending, dead.checks.len()), (Ending::DeadLettered, 4));
    assert_eq!(rest[0].timestamp_ms, 0, "the beginning of time, for who says nothing");
    assert_eq!(&rest[0].message.payload[..], b"plain");
    assert_eq!(rest[0].expect[0].ending, Ending::Unmatched);
    assert_eq!(&rest[1].message.payload[..], [0, 1, 2]);
    assert_eq!(rest[1].expect[0].ending, Ending::Dropped);
}

#[test]
fn a_payload_comes_from_a_file_of_the_configuration_directory() {
    let directory = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(directory.path().join("tests")).expect("is made");
    fs::write(directory.path().join("order.json"), "{}\n").expect("is written");
    let test = "[[test]]\nname = \"a\"\n[test.message]\nsubject = \"x\"\nfile = \"order.json\"\n\
                [[test.expect]]\noutcome = \"unmatched\"\n";
    fs::write(directory.path().join("tests/a.toml"), test).expect("is written");
    let files = load(directory.path(), &rules()).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(&files[0].tests[0].message.payload[..], b"{}\n");
    assert_eq!(files[0].path, directory.path().join("tests/a.toml"));
}

#[test]
fn the_reference_is_the_one_in_the_documents() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rule-tests.md");
    let text = fs::read_to_string(&path).expect("the document");
    let (prose, written) = text.split_once("--lib testing -->\n").expect("the mark that ends the prose");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{prose}--lib testing -->\n{}", reference())).expect("is written");
    } else {
        assert_eq!(written, reference(), "run the test again with UPDATE_DOCS=1 in the environment");
    }
}
