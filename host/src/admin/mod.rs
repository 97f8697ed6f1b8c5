//! The HTTP listener for operators and their tools: is it alive, is it ready, what does it count, which revision runs,
//! and reload. It holds no state of its own: it asks [`Control`], [`Metrics`] and [`Readiness`].

mod accept;
mod access;
mod guard;
mod input;
mod letters;
mod line;
mod openapi;
mod problem;
mod revisions;
mod routes;
mod rules;
mod server;
mod tap;
mod trial;

use crate::control::Control;
use crate::pipeline::Taps;
use crate::plan::{Live, View};
use crate::telemetry::{Metrics, Readiness};

pub(crate) use accept::{Door, Places};
pub use access::{Access, AuditError, Credentials, Fresh};
pub(crate) use guard::{Reach, guard};
pub use letters::Desk;
pub(crate) use problem::Problem;
pub use server::serve;

/// What the listener tells about and acts on.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Where to ask for a reload, and which revision runs.
    pub control: Control,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether Trackside is ready.
    pub readiness: Readiness,
    /// The plan in force.
    pub live: Live,
    /// Where taps are opened.
    pub taps: Taps,
    /// Who may do what.
    pub access: Access,
    /// What is in force.
    pub view: View,
    /// What work on dead letters needs.
    pub desk: Desk,
}

#[cfg(test)]
mod tests;
