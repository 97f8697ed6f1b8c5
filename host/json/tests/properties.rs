//! Selection and splicing held against the reference, for random documents and paths.

mod reference;

use proptest::prelude::*;
use reference::check;
use trackside_json::{Limits, Selector, validate};

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn selection_and_splicing_are_those_of_the_reference(bytes in prop::collection::vec(any::<u8>(), 100..2000)) {
        check::generated(&bytes);
    }

    #[test]
    fn broken_documents_are_refused_exactly_if_serde_json_refuses_them(
        bytes in prop::collection::vec(any::<u8>(), 0..500),
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(r#"[\[\]{}:,"\\0-9eEu.tfn +\-\n\x00-\x1f\u{80}-\u{fffd}]"#)), 1..4),
    ) {
        let mut document = reference::generate::document(&mut arbitrary::Unstructured::new(&bytes)).unwrap_or_default();
        for (index, put) in edits {
            let at = document.floor_char_boundary(index.index(document.len() + 1));
            match put {
                Some(put) => document.insert_str(at, &put),
                None if at < document.len() => drop(document.remove(at)),
                None => {}
            }
        }
        check::validity(document.as_bytes());
    }

    #[test]
    fn arbitrary_bytes_never_panic(payload in prop::collection::vec(any::<u8>(), 0..64), path in r#"\$[.\[\]'"?@$()!=<>&|:,*0-9a-c\\-]{0,24}"#) {
        check::validity(&payload);
        if let Ok(selector) = Selector::compile(&[path]) {
            let selected = selector.select(&payload, &Limits::default());
            prop_assert_eq!(selected.is_ok(), validate(&payload, &Limits::default()).is_ok());
            // Nothing is promised of what it finds here, but that it comes back.
            let _ = selector.select_again_into(&payload, &Limits::default(), &mut Vec::new());
        }
    }
}
