//! See `fuzz/src/inspection.rs`, which is a test of the workspace too.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../src/inspection.rs"]
mod inspection;

fuzz_target!(|bytes: &[u8]| inspection::check(bytes));
