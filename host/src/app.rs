//! The composition root: build, run, drain.

mod buckets;
mod checked;
mod desk;
mod gauges;
mod letters;
mod offline;
mod outlets;
mod reload;
mod serve;
mod sources;
mod streams;
mod traces;
mod trial;

use std::fmt;

pub use buckets::ServerStore;
pub use checked::checked;
pub use letters::{configured, reach};
pub use offline::{Offline, default_engine, load};
pub use serve::{RunOptions, run};
pub use trial::{Trial, now_ms};

/// Why a command failed, as it is shown to whoever ran it.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure with this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// The runtime that everything but the lanes runs on.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("io")
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the runtime cannot start: {error}")))
}
