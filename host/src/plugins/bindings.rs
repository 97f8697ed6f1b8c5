//! The host's side of the contract, generated from `plugin-sdk/wit`, and of interfaces of others, from `host/wit`.

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

/// What can be imported beside the contract.
pub(super) mod offered {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "offered",
        imports: { default: trappable },
        with: {
            "wasi:keyvalue/store.bucket": super::super::host::keyvalue::BucketSlot,
            "wasi:messaging/types.client": super::super::host::messaging::Client,
            "wasi:messaging/types.message": super::super::host::messaging::Draft,
            "wasi:messaging/request-reply.request-options": super::super::host::messaging::RequestOptions,
        },
    });
}

/// Handlers of messages as wasmCloud has them.
pub(super) mod wasmcloud {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "wasmcloud-handler",
        with: { "wasmcloud:messaging/types": super::offered::wasmcloud::messaging::types },
    });
}

/// Handlers of messages as the WASI proposal has them.
pub(super) mod wasi {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "wasi-handler",
        with: { "wasi:messaging/types": super::offered::wasi::messaging::types },
    });
}
