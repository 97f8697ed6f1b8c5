//! Plugins that misbehave, each a core module in a `.wat` file beside this one, written against the contract's
//! canonical ABI; the first line of each says what it attacks. This module makes components of them. It is included
//! by the tests of several crates.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const CONTRACT: &str = include_str!("../../plugin-sdk/wit/plugin.wit");
const RUNTIME: &str = include_str!("runtime.wit");
const HANDLERS: [(&str, &str); 3] = [
    ("messaging.wit", include_str!("../../host/wit/deps/messaging.wit")),
    ("wasmcloud.wit", include_str!("../../host/wit/deps/wasmcloud.wit")),
    ("handlers.wit", include_str!("handlers.wit")),
];

/// The component made of a `.wat` file, by its name without the extension.
pub fn component(name: &str) -> Vec<u8> {
    component_of(&text(name))
}

/// The text of a `.wat` file, by its name without the extension.
pub fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/hostile").join(name).with_extension("wat");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The component made of a module in text form.
pub fn component_of(module: &str) -> Vec<u8> {
    component_of_version(module, "0.1.0")
}

/// The same against another version of the contract.
pub fn component_of_version(module: &str, version: &str) -> Vec<u8> {
    component_of_contract(module, CONTRACT, version)
}

/// The same against another contract of the same package.
pub fn component_of_contract(module: &str, contract: &str, version: &str) -> Vec<u8> {
    let at_version = |text: &str| text.replace("@0.1.0", &format!("@{version}"));
    let mut resolve = Resolve::default();
    let mut package = resolve.push_str("plugin.wit", &at_version(contract)).expect("the contract parses");
    let mut world = "plugin";
    let handler = [("wasi:messaging/incoming-handler", "wasi"), ("wasmcloud:messaging/handler", "wasmcloud")];
    if let Some((_, exporting)) = handler.iter().find(|(export, _)| module.contains(export)) {
        for (path, text) in HANDLERS {
            package = resolve.push_str(path, text).expect("the interfaces of others parse");
        }
        world = exporting;
    } else if module.contains("\"wasi:") {
        package = resolve.push_str("runtime.wit", &at_version(RUNTIME)).expect("the WASI parts parse");
        world = "runtime";
    }
    let world = resolve.select_world(&[package], Some(world)).expect("the world is there");
    let mut module = wat::parse_str(at_version(module)).expect("the module parses");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("the metadata fits");
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    encoder.module(&module).expect("the module fits the contract");
    encoder.encode().expect("a component")
}
