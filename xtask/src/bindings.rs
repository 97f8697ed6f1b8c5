//! The bindings of `plugin-sdk/c`, generated from the contract. They are committed, so that a project in C needs nothing
//! but a compiler; a test compares them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use trackside_toolchain::CONTRACT;
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

use crate::cargo::Workspace;

/// Where they are, from the workspace's root.
const FOLDER: &str = "plugin-sdk/c/sdk/bindings";

/// Generates them.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    for (path, bytes) in generate(&workspace.root)? {
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", workspace.shown(&path));
    }
    Ok(())
}

fn generate(root: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("plugin.wit", CONTRACT)?;
    let world = resolve.select_world(&[package], Some("plugin"))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    Ok(files.iter().map(|(name, bytes)| (root.join(FOLDER).join(name), bytes.to_vec())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bindings_for_c_are_those_of_the_contract() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (path, bytes) in generate(&root).expect("the contract has bindings") {
            let there = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(there == bytes, "{} is out of date: `cargo xtask bindings`", path.display());
        }
    }
}
