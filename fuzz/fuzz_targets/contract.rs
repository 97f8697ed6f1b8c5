//! See `fuzz/src/contract.rs`, which is a test of the workspace too.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../src/contract.rs"]
mod contract;
#[path = "../../tests/hostile/mod.rs"]
mod hostile;

fuzz_target!(|script: &[u8]| contract::check(hostile::component, script));
