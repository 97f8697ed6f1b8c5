//! A component from the module that cargo made.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use trackside_toolchain::component;

/// What was made.
pub(crate) struct Made {
    /// Size of the component.
    pub(crate) bytes: u64,
    /// Whether the file is another than before.
    pub(crate) changed: bool,
}

/// Makes a component of a module, unless the one at `out` was made of this very module. A file that would not change
/// is not touched, so that the host, which carries it, is not built again.
pub(crate) fn make(module: &Path, out: &Path) -> Result<Made> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let digest = hex::encode(Sha256::digest(&bytes));
    let stamp = stamp(module);
    let was = format!("{digest} {}", out.display());
    if let (Ok(size), true) = (out.metadata(), fs::read_to_string(&stamp).is_ok_and(|text| text == was)) {
        return Ok(Made { bytes: size.len(), changed: false });
    }
    let component = component::encode(&bytes).with_context(|| module.display().to_string())?;
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let changed = fs::read(out).map_or(true, |old| old != component);
    if changed {
        fs::write(out, &component).with_context(|| format!("cannot write {}", out.display()))?;
    }
    fs::write(&stamp, was).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(Made { bytes: component.len() as u64, changed })
}

/// Says which module a component was made of; beside the module, away from the folder that the host takes in.
fn stamp(module: &Path) -> PathBuf {
    module.with_extension("component-of")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest module there is: magic number and version.
    const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn a_component_is_made_once_and_again_when_its_module_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let (module, out) = (folder.path().join("m.wasm"), folder.path().join("out/m.wasm"));
        fs::write(&module, EMPTY_MODULE).expect("written");
        assert!(make(&module, &out).expect("made").changed);
        assert!(!make(&module, &out).expect("kept").changed);
        // Layer 1 in the version field is what tells a component from a module.
        assert_eq!(fs::read(&out).expect("there")[..8], *b"\0asm\x0d\0\x01\0");

        // A custom section named `x`.
        fs::write(&module, [EMPTY_MODULE, b"\0\x02\x01x"].concat()).expect("written");
        assert!(make(&module, &out).expect("made").changed);
    }

    #[test]
    fn a_component_that_was_deleted_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (module, out) = (folder.path().join("m.wasm"), folder.path().join("c.wasm"));
        fs::write(&module, EMPTY_MODULE).expect("written");
        make(&module, &out).expect("made");
        fs::remove_file(&out).expect("removed");
        assert!(make(&module, &out).expect("made").changed);
        assert!(out.is_file());
    }

    #[test]
    fn what_is_no_module_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let module = folder.path().join("m.wasm");
        fs::write(&module, "not Wasm").expect("written");
        let error = make(&module, &folder.path().join("c.wasm")).err().expect("refused").to_string();
        assert!(error.contains("m.wasm"), "{error}");
    }
}
