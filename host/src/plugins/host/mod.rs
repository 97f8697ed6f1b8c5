//! The host calls of the contract, and those of interfaces of others. Each pays from the call's budget before it does
//! anything, and a limit that is met ends the guest's call.

mod config;
pub(super) mod keyvalue;
mod log;
mod logging;
mod message;
pub(super) mod messaging;
mod setup;
mod wasmcloud;
