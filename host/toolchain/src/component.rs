//! A component from the module that a compiler made.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::CONTRACT;

/// What modules of WASI's first version import their functions from.
const WASI_MODULE: &str = "wasi_snapshot_preview1";

/// Answers to those functions that need nothing from outside; `stub.wat` says what they are.
const WASI_STUB: &str = include_str!("stub.wat");

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
#[error("the compiler's module does not become a component: {0}")]
pub struct ComponentError(String);

/// Makes a component of a module that carries the types of the contract, as those do whose bindings put them there.
/// What the module imports of WASI is answered inside of the component, which imports nothing but the contract then.
///
/// # Errors
/// When the module does not fit the contract, or is none.
pub fn encode(module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    let stub = wat::parse_str(WASI_STUB).map_err(|error| ComponentError(error.to_string()))?;
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    let encoded = encoder
        .module(module)
        .and_then(|encoder| encoder.adapter(WASI_MODULE, &stub))
        .and_then(ComponentEncoder::encode);
    encoded.map_err(|error| ComponentError(format!("{error:#}")))
}

/// The same for a module whose bindings leave the types out.
///
/// # Errors
/// As [`encode`].
pub fn embed_and_encode(mut module: Vec<u8>) -> Result<Vec<u8>, ComponentError> {
    let mut resolve = Resolve::default();
    let embedded = resolve
        .push_str("plugin.wit", CONTRACT)
        .and_then(|package| resolve.select_world(&[package], Some("plugin")))
        .and_then(|world| embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8));
    embedded.map_err(|error| ComponentError(format!("{error:#}")))?;
    encode(&module)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with the two exports of the contract, which asks WASI for what language runtimes ask it for.
    const RUNTIME: &str = r#"(module
        (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
        (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32)
            (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 8)))
            (drop (call $random (i32.const 16) (i32.const 8)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 24)))
            i32.const 64)
        (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
            (call $exit (i32.const 1)) i32.const 64))"#;

    #[test]
    fn what_a_runtime_asks_of_wasi_is_answered_inside_of_the_component() {
        let module = wat::parse_str(RUNTIME).expect("it parses");
        let component = embed_and_encode(module).expect("a component");
        // Layer 1 in the version field is what tells a component from a module.
        assert_eq!(component[..8], *b"\0asm\x0d\0\x01\0");
        assert!(!component.windows(5).any(|bytes| bytes == b"wasi:"), "an import of WASI is left");
    }

    #[test]
    fn a_module_without_the_contracts_exports_is_refused_with_the_one_that_is_missing() {
        let error = embed_and_encode(wat::parse_str("(module)").expect("it parses")).expect_err("refused");
        assert!(error.to_string().contains("trackside:plugin/stage@0.1.0"), "{error}");
    }
}
