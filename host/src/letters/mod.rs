//! Dead letters that are stored: found in their streams, opened, sent through the rules again, deleted. The
//! other side of what [`pipeline`](crate::pipeline) writes; of a running host only the admin API comes here.
//!
//! `store.rs` (streams -> letters, `filter.rs` saying which) -> `letter.rs` (what it says; the original, with `keys.rs`)
//! -> `replay.rs` (the original -> rules -> outputs or a new letter, and only then the old one is deleted).

mod filter;
mod json;
mod keys;
mod letter;
mod replay;
mod store;
#[cfg(test)]
mod tests;

pub use filter::{Filter, SequenceError, Sequences, TimeError, time};
pub use json::LetterJson;
pub use keys::Keys;
pub use letter::{Letter, LetterError};
pub use replay::{Fate, Replayer};
pub use store::{Scan, Store, StoreError};
