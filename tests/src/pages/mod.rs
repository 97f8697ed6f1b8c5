//! The pages of the documentation, and whether what they show is so.
//!
//! Every fenced block of a page is proved by what it is:
//!
//! * `toml`: `trackside check` takes it, as it is or in the frame that a fragment of its kind belongs to ([`frame`]). One
//!   whose first line is `# FOLDER/…/FILE.toml` is that file, for the commands of its page.
//! * `console`: each `$ ` command succeeds in a checkout with a real nats-server, after those before it on its page, and
//!   prints what is shown ([`sandbox`], [`session`], [`shown`]). `sh` and `bash` are scripts, run in the same way.
//! * `json`: it is JSON.
//! * anything else, and what cannot be proved so, needs a mark: a comment before the block ([`mark`]).

mod block;
mod frame;
mod mark;
mod proof;
mod sandbox;
mod session;
mod shown;

use std::path::{Path, PathBuf};

pub use block::{Block, Page};
pub use proof::{Proof, prove};

/// The folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the repository").to_owned()
}

/// The names of all pages that people read, from the folder of the repository: those in it, in `docs/`, and each README
/// of an SDK and of what is deployed.
///
/// # Panics
/// When a folder cannot be read.
#[must_use]
pub fn all() -> Vec<String> {
    let mut names = Vec::new();
    for folder in ["", "docs", "deploy", "plugin-sdk"] {
        collect(folder, folder == "deploy" || folder == "plugin-sdk", &mut names);
    }
    names.sort();
    names
}

/// The pages in a folder, and in the folders in it that are a level deeper.
fn collect(folder: &str, deeper: bool, names: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(repository().join(folder)) else { return };
    for entry in entries.map(|entry| entry.expect("an entry of the folder")) {
        let name = entry.file_name().to_str().expect("a name of UTF-8").to_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if entry.path().is_dir() {
            if deeper {
                collect(&path, false, names);
            }
        } else if name.ends_with(".md") {
            names.push(path);
        }
    }
}
