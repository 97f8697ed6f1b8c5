//! The host calls of the contract. Each pays from the call's budget before it does anything, and a limit that is met
//! ends the guest's call.

mod log;
mod message;
mod setup;
