//! Runs the JSONPath Compliance Test Suite: `cargo run --example compliance -- cts.json`, with the file from
//! <https://github.com/jsonpath-standard/jsonpath-compliance-test-suite>.
//!
//! What a path finds is compared as a set of places, since a selector reports each place once and in document order.

use std::collections::BTreeSet;
use std::process::ExitCode;

use serde_json::Value;
use trackside_json::{Limits, Selector};

fn main() -> ExitCode {
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("name the suite's file cts.json");
        return ExitCode::from(2);
    };
    let suite = std::fs::read(&file).expect("the file can be read");
    let suite: Value = serde_json::from_slice(&suite).expect("the file is JSON");
    let tests = suite["tests"].as_array().expect("the suite has tests");
    let failures: Vec<String> = tests.iter().filter_map(|test| check(test).err()).collect();
    for failure in &failures {
        println!("{failure}");
    }
    println!("{} passed, {} failed", tests.len() - failures.len(), failures.len());
    ExitCode::from(u8::from(!failures.is_empty()))
}

fn check(test: &Value) -> Result<(), String> {
    let name = &test["name"];
    let path = test["selector"].as_str().unwrap_or_default();
    let selector = match (Selector::compile(&[path]), test["invalid_selector"] == true) {
        (Err(_), true) => return Ok(()),
        (Ok(_), true) => return Err(format!("{name}: {path} should not compile")),
        (Err(error), false) => return Err(format!("{name}: {error}")),
        (Ok(selector), false) => selector,
    };
    let document = test["document"].to_string();
    let found = places(&selector, &document);
    let alternatives = match &test["results_paths"] {
        Value::Array(alternatives) => alternatives.clone(),
        _ => vec![test["result_paths"].clone()],
    };
    let expected = |paths: &Value| -> BTreeSet<(usize, usize)> {
        let paths = paths.as_array().expect("a test names the paths of what is found");
        let compile =
            |path: &Value| Selector::compile(&[path.as_str().unwrap_or_default()]).expect("a normalized path");
        paths.iter().flat_map(|path| places(&compile(path), &document)).collect()
    };
    if alternatives.iter().any(|paths| expected(paths) == found) {
        return Ok(());
    }
    Err(format!("{name}: {path} found {found:?} in {document}"))
}

fn places(selector: &Selector, document: &str) -> BTreeSet<(usize, usize)> {
    let matches = selector.select(document.as_bytes(), &Limits::default()).expect("the document is JSON");
    matches.into_iter().map(|found| (found.span.start, found.span.end)).collect()
}
