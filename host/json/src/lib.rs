//! JSONPath (RFC 9535) over the bytes of a JSON payload: find places, and put other values in them.
//!
//! Nothing is parsed into a tree and printed again. A [`Selector`] finds the spans of what its paths match, and
//! [`replace`] splices values into them. Whatever was not selected stays byte for byte as it was: the order of keys,
//! the spelling of numbers, white space, duplicates.
//!
//! ```
//! use trackside_json::{Limits, Replacement, Selector, Value, replace};
//!
//! let payload = br#"{ "id": 1e3, "c\u0061rd": "4111 1111", "card": 4222, "notes": ["x", "y"] }"#;
//! let limits = Limits::default();
//! let selector = Selector::compile(&["$.card", "$.notes[0]"])?;
//!
//! let matches = selector.select(payload, &limits)?;
//! assert_eq!(matches.len(), 3);
//! assert_eq!(matches[0].value(payload), Value::Text("4111 1111".into()));
//! assert_eq!(matches[1].value(payload), Value::Number("4222"));
//!
//! let values = [Some(Replacement::Text("***")), Some(Replacement::Null), None];
//! let edited = replace(payload, &matches, &values, &limits)?;
//! assert_eq!(edited, br#"{ "id": 1e3, "c\u0061rd": "***", "card": null, "notes": ["y"] }"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it guarantees
//!
//! * **The whole payload is validated, each time**, unless the caller says that it has been
//!   ([`Selector::select_again_into`]). It has to be JSON as RFC 8259 has it, in UTF-8, without byte order
//!   mark, lone surrogate escapes or anything after the value. What is malformed after the last match is refused just
//!   so: nothing that other readers might read in another way slips past a mask.
//! * **Every spelling of a key matches**, and every duplicate of it. `$.card` finds `"c\u0061rd"`, and both of
//!   `{"card":1,"card":2}`.
//! * **Matches are in document order**, outer before inner, then by path. A path matches a place once, though the RFC
//!   would list it twice for `$[0, 0]`. Inside of filters `count` and `value` see duplicates as the RFC tells.
//! * **Where matches nest, the outer one is replaced**; where several paths match one place, the first one's value is
//!   put in.
//! * **Everything is bounded** by [`Limits`]: depth, length, matches, steps of evaluation, time. Errors never quote
//!   the payload.
//!
//! # What it leaves open, and how it was decided
//!
//! * A filter over duplicate keys holds if it holds for any of them: `[?@.kind == 'card']` takes
//!   `{"kind":"card","kind":"x"}`. The RFC leaves such payloads open.
//! * Numbers compare exactly if both are written as integers, however long. Others compare as IEEE 754 doubles.
//! * `match` and `search` take I-Regexp (RFC 9485) and nothing beyond, with `^` and `$` outside of brackets as anchors.
//!   A pattern in a path that is none is an error when the path is compiled; one that is found in the payload matches
//!   nothing.
//!
//! # How it works
//!
//! 1. `path` reads the paths into trees and checks them.
//! 2. `automaton` makes a deterministic automaton of all paths together, if they consist of names, wildcards, indices
//!    from the start, slices with step 1 from the start, and descendants of these. `scan`, the validating pass, then
//!    follows it: no allocation for a key, and what no path can match in is only validated. Some 1 GB/s.
//! 3. Filters, indices from the end and other slices need more than a place's own key or index. If a set has any, or if
//!    its automaton would be too large, the pass writes a tape of the values' spans, twenty bytes each, and `query`
//!    answers the paths over that. Each segment visits a value once, so that nested descendants cost what the payload
//!    is long and not a power of it.
//! 4. `splice` copies the payload with the values put in.
//!
//! The property tests and the fuzz target (`fuzz/`) hold all of this against a plain implementation over serde_json.

mod automaton;
mod error;
mod limits;
mod matches;
mod path;
mod query;
mod scan;
mod selector;
mod splice;
mod text;

pub use error::{CompileError, PayloadError};
pub use limits::Limits;
pub use matches::{Match, Replacement, Value};
pub use selector::Selector;
pub use splice::replace;

/// Checks that a payload is well-formed JSON (RFC 8259) within the limits.
///
/// # Errors
///
/// [`PayloadError::NotJson`] says at which byte it is not, [`PayloadError::Limit`] which limit was met.
pub fn validate(payload: &[u8], limits: &Limits) -> Result<(), PayloadError> {
    scan::read(payload, limits, scan::Known::Nothing, &mut scan::Ignore).map(drop)
}
