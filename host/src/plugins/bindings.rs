//! The host's side of the contract, generated from `plugin-sdk/wit`.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated from the documented contract"
)]

wasmtime::component::bindgen!({
    path: "../plugin-sdk/wit",
    world: "plugin",
    imports: { default: trappable },
    with: { "trackside:plugin/message.selector": super::selectors::SelectorSlot },
});
