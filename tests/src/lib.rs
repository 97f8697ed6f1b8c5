//! The world of an end-to-end test: a real nats-server with a temporary store, a real `trackside`, and a client.
//!
//! `cargo xtask test` builds and provides both: it sets `NATS_SERVER` and `TRACKSIDE_BIN`.

pub mod app;
pub mod attacks;
mod authority;
mod cluster;
mod collector;
mod disk;
mod example;
pub mod flow;
pub mod graph;
#[path = "../hostile/mod.rs"]
pub mod hostile;
pub mod http;
pub mod pages;
mod port;
mod process;
pub mod proxy;
pub mod readers;
mod registry;
mod server;
mod setup;
pub mod simulation;
pub mod tap;
mod trackside;

use std::path::PathBuf;
use std::time::Duration;

pub use authority::{Authority, Identity};
pub use cluster::Cluster;
pub use collector::{Collector, Received};
pub use disk::SmallDisk;
pub use example::Example;
pub use port::free_port;
pub use process::Process;
pub use registry::{LOGIN, Registry};
pub use server::{Server, Stored};
pub use setup::{Setup, cache_folder};
pub use trackside::{Finished, Trackside, command, command_unread, command_with};

/// How long anything may take before a test gives it up. Generous, since the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `probe` gives something, and panics with `what` if it does not in time.
///
/// # Panics
/// When [`PATIENCE`] is over.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let mut poll = tokio::time::interval(Duration::from_millis(20));
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            poll.tick().await;
            if let Some(found) = probe().await {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// A component of `tests/guests`, by its name.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn guest(name: &str) -> Vec<u8> {
    let target = provided("TRACKSIDE_BIN").parent().and_then(std::path::Path::parent).map(PathBuf::from);
    let path =
        target.expect("a binary is in a folder of the target folder").join("guests").join(name).with_extension("wasm");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask guests` builds it", path.display()))
}

/// A path that `cargo xtask test` hands to the tests.
///
/// # Panics
/// When it did not.
#[must_use]
pub fn provided(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => panic!("{variable} is not set; end-to-end tests are run by `cargo xtask test`"),
    }
}
