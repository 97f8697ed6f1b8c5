//! Trackside takes messages off a NATS backbone, runs each through sandboxed WebAssembly plugins as TOML rules say, and
//! publishes what comes out.
//!
//! # The life of a message
//!
//! A [`backbone`] source delivers it. [`pipeline`]'s intake waits until the source's window has room, pins the plan in
//! force and hands the job to a lane, which is a thread of its own. The lane looks the subject up in the plan's index
//! and runs the message through the stages of every rule that takes it. A stage is a plugin with its settings; the
//! message itself stays in the host, and the plugin asks for what it needs. What comes out is put on the wire, in
//! order, with a deterministic id. Only when everything the message became is safe is it acknowledged.
//!
//! # The life of a rule
//!
//! [`rules`] reads the configuration directory, pure and without a notion of WebAssembly. [`supply`] finds the components
//! that it names, and decides whether they may be loaded. [`plugins`] compiles them and configures stages, without a notion
//! of rules. [`plan`] brings the two together into one immutable revision, in which names have become handles.
//! [`control`] does so at the start and at every change, and swaps the plan only if all of it is right. [`flow`] reads the
//! ways of messages off the rules, for people, and [`rule_tests`] tries them on messages.
//!
//! # The modules, in the order in which data meets them
//!
//! [`cli`] and [`app`] put everything together; [`message`], [`events`], [`names`], [`telemetry`], [`times`] and `https` are leaves; [`rules`],
//! [`supply`], [`plugins`], [`plan`] and [`control`] make revisions; [`backbone`] and [`pipeline`] move messages,
//! [`sealing`] hides what the dead ones hold and [`letters`] takes them up again; [`admin`] is the edge for people and
//! their tools, and [`sidecar`] the one for a service beside Trackside, which [`outlets`] lead to.

pub mod cli;

pub mod app;

pub mod events;
mod https;
pub mod message;
pub mod names;
pub mod telemetry;
pub mod times;

pub mod control;
pub mod flow;
pub mod plan;
pub mod plugins;
pub mod rule_tests;
pub mod rules;
pub mod sealing;
pub mod supply;

pub mod backbone;
pub mod letters;
pub mod outlets;
pub mod pipeline;

pub mod admin;
pub mod sidecar;
