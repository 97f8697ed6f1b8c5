//! The parts of the host that know no Wasm, compiled here by themselves: the crate they belong to brings wasmtime, which
//! takes minutes to compile with the flags of a fuzz target. They refer to each other and to nothing else of it.

#![allow(dead_code, unused_imports, reason = "what is used of the modules is up to the targets")]

#[path = "../../host/src/message/mod.rs"]
pub mod message;
#[path = "../../host/src/names.rs"]
pub mod names;
#[path = "../../host/src/rules/mod.rs"]
pub mod rules;
#[path = "../../host/src/times.rs"]
pub mod times;
