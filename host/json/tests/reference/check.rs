//! One document and one set of paths: what the crate makes of them has to be what the reference makes of them.

use std::collections::BTreeMap;

use arbitrary::Unstructured;
use trackside_json::{Limits, Match, PayloadError, Replacement, Selector, replace, validate};

use super::evaluate::Evaluator;
use super::generate::{self, PATTERNS};
use super::path::Path;
use super::tree::{Location, Tree};

/// Makes a document and paths out of random bytes, and checks them.
pub(crate) fn generated(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok(paths) = generate::paths(&mut bytes) else { return };
    let Ok(document) = generate::document(&mut bytes) else { return };
    let values = bytes.arbitrary().unwrap_or_default();
    selection(&paths, document.as_bytes(), values);
}

/// Checks that a payload is taken for well-formed exactly if serde_json takes it so. Gives the tree if it is.
pub(crate) fn validity(payload: &[u8]) -> Option<Tree> {
    match (validate(payload, &Limits::default()), Tree::parse(payload)) {
        (Ok(()), Ok(tree)) => Some(tree),
        (Err(PayloadError::NotJson(_)), Err(_)) => None,
        // Both bound the depth, though not at the same level.
        (Err(PayloadError::Limit(_)), _) => None,
        (Ok(()), Err(error)) => {
            let error = error.to_string();
            let bounds = ["recursion limit exceeded", "number out of range"];
            assert!(bounds.iter().any(|bound| error.contains(bound)), "refused by serde_json alone: {error}");
            None
        }
        (Err(error), Ok(_)) => panic!("refused by this crate alone: {error}"),
    }
}

/// Checks selection, replacement and removal. `values` says which matches are removed in the last of them.
pub(crate) fn selection(paths: &[Path], payload: &[u8], values: u64) {
    let Some(tree) = validity(payload) else { return };
    let mut evaluator = Evaluator::new(&tree, &PATTERNS);
    let mut expected: Vec<(Location, u32)> = Vec::new();
    for (path, index) in paths.iter().zip(0..) {
        let Some(places) = evaluator.places(path) else { return };
        expected.extend(places.into_iter().map(|place| (place, index)));
    }
    expected.sort();
    let texts: Vec<String> = paths.iter().map(|path| format!("${path}")).collect();
    let selector = Selector::compile(&texts).expect("the paths are right");
    let matches = selector.select(payload, &Limits::default()).expect("the payload is JSON");
    let mut again = Vec::new();
    selector.select_again_into(payload, &Limits::default(), &mut again).expect("the payload is JSON");
    assert_eq!(again, matches, "selected again by {texts:?}");
    let case = Case { texts: &texts, payload, tree: &tree, expected: &expected, matches: &matches };
    case.found();
    case.identity();
    for one in 0..matches.len().min(8) {
        case.edit(&[&matches[one]], &[&expected[one]], |_| true);
    }
    let (all, places): (Vec<_>, Vec<_>) = (matches.iter().collect(), expected.iter().collect());
    case.edit(&all, &places, |_| true);
    case.edit(&all, &places, |_| false);
    case.edit(&all, &places, |index| values >> (index % 64) & 1 == 0);
}

struct Case<'c> {
    texts: &'c [String],
    payload: &'c [u8],
    tree: &'c Tree,
    expected: &'c [(Location, u32)],
    matches: &'c [Match],
}

impl Case<'_> {
    fn describe(&self) -> String {
        format!("{:?} over {}", self.texts, String::from_utf8_lossy(self.payload))
    }

    /// The matches are those of the reference, in its order, with its values.
    fn found(&self) {
        let found: Vec<_> =
            self.matches.iter().map(|place| (place.path, Tree::parse(place.raw(self.payload)).ok())).collect();
        let value = |location: &Location| {
            let at = |tree, index: &usize| Tree::children(tree).nth(*index).expect("locations are of this tree");
            Some(location.iter().fold(self.tree, at).clone())
        };
        let expected: Vec<_> = self.expected.iter().map(|(location, path)| (*path, value(location))).collect();
        assert_eq!(found, expected, "{}", self.describe());
        assert!(self.matches.is_sorted_by_key(|place| (place.span.start, place.path)), "{}", self.describe());
    }

    /// What is replaced by itself does not change a byte.
    fn identity(&self) {
        let raw = |place: &Match| std::str::from_utf8(place.raw(self.payload)).expect("values are text").to_owned();
        let raw: Vec<String> = self.matches.iter().map(raw).collect();
        let values: Vec<_> = raw.iter().map(|raw| Some(Replacement::Json(raw))).collect();
        let edited = replace(self.payload, self.matches, &values, &Limits::default()).expect("the values are JSON");
        assert_eq!(edited, self.payload, "{}", self.describe());
    }

    /// Replaces or removes: the outcome parses to the edited tree, and no byte changes outside of the edits.
    fn edit(&self, matches: &[&Match], places: &[&(Location, u32)], keep: impl Fn(usize) -> bool) {
        let markers: Vec<Option<String>> =
            (0..matches.len()).map(|index| keep(index).then(|| format!("<{index}>"))).collect();
        let values: Vec<_> = markers.iter().map(|marker| marker.as_deref().map(Replacement::Text)).collect();
        let mut edits = BTreeMap::new();
        for ((location, _), marker) in places.iter().zip(&markers) {
            edits.entry(location.clone()).or_insert_with(|| marker.clone().map(Tree::Text));
        }
        let owned: Vec<Match> = matches.iter().copied().cloned().collect();
        let edited = replace(self.payload, &owned, &values, &Limits::default());
        let Some(expected) = self.tree.edited(&edits) else {
            assert!(matches!(edited, Err(PayloadError::NotJson(_))), "the root was removed: {}", self.describe());
            return;
        };
        let edited = edited.expect("the matches are of this payload");
        let parsed = Tree::parse(&edited).expect("what is left is JSON");
        assert_eq!(parsed, expected, "{}", self.describe());
        if markers.iter().all(Option::is_some) {
            assert_eq!(edited, self.spliced(matches, &markers), "{}", self.describe());
        }
    }

    /// The payload with markers put in, outer ones before inner ones.
    fn spliced(&self, matches: &[&Match], markers: &[Option<String>]) -> Vec<u8> {
        let (mut out, mut from) = (Vec::new(), 0);
        for (place, marker) in matches.iter().zip(markers.iter().flatten()) {
            if place.span.start >= from {
                out.extend_from_slice(&self.payload[from..place.span.start]);
                out.extend_from_slice(format!("\"{marker}\"").as_bytes());
                from = place.span.end;
            }
        }
        out.extend_from_slice(&self.payload[from..]);
        out
    }
}
