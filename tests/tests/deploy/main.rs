//! What is there for running Trackside, each file read by the program that it is for: the image, the service, the
//! manifests, completions, manual pages, and pictures of the flow.

#[cfg(target_os = "linux")]
mod confined;
mod graphs;
mod image;
mod kubernetes;
mod manual;
#[cfg(target_os = "linux")]
mod service;

use std::path::PathBuf;

/// A file or folder of `deploy/`.
fn deploy(name: &str) -> PathBuf {
    repository().join("deploy").join(name)
}

fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
