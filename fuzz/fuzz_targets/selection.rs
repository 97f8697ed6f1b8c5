//! Selection and splicing, held against a plain implementation over serde_json: the one of the property tests.
//!
//! The first byte of an input says how the others are read:
//!
//! * even: random bytes, out of which paths and a document are made,
//! * odd: paths, one a line, up to an empty line, and then a document.
//!
//! See `fuzz/README.md` for how it is run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackside_json::{Limits, Replacement, Selector, replace};

#[path = "../../host/json/tests/reference/mod.rs"]
mod reference;

use reference::check;

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((mode, bytes)) if mode % 2 == 0 => check::generated(bytes),
        Some((_, bytes)) => written(bytes),
        None => {}
    }
});

/// Paths and a document as text. The reference reads no paths, so that what is selected is checked only in itself.
fn written(input: &[u8]) {
    let end = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
    let (paths, document) = input.split_at(end);
    let document = document.get(2..).unwrap_or_default();
    let tree = check::validity(document);
    let Ok(paths) = std::str::from_utf8(paths) else { return };
    let Ok(selector) = Selector::compile(&paths.lines().collect::<Vec<_>>()) else { return };
    let limits = Limits { max_steps: 200_000, ..Limits::default() };
    let Ok(matches) = selector.select(document, &limits) else { return };
    let values: Vec<_> = matches.iter().map(|place| place.value(document)).collect();
    let values: Vec<_> = values.iter().map(|value| Some(Replacement::from(value))).collect();
    let edited = replace(document, &matches, &values, &limits).expect("values of a payload can be put back");
    if let Some(tree) = &tree {
        let parsed = reference::tree::Tree::parse(&edited).expect("values that were put back leave JSON");
        assert_eq!(&parsed, tree, "a value that is put back says the same");
    }
    let inner = matches.iter().filter(|place| place.span.len() < document.trim_ascii().len());
    let inner: Vec<_> = inner.cloned().collect();
    let removed = replace(document, &inner, &vec![None; inner.len()], &limits).expect("all but the root can go");
    assert!(removed.len() <= document.len(), "removing makes a payload shorter");
    assert_eq!(check::validity(&removed).is_some(), tree.is_some(), "removing leaves well-formed JSON");
}
