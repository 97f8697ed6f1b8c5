//! Which packages of a cargo manifest are plugins.

use std::path::Path;

use serde_json::Value;

/// A package that is a guest: one with a `cdylib` target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Its folder's name, which the component's file is named after.
    pub name: String,
    /// What cargo calls it.
    pub package: String,
    /// File name of the module that cargo makes.
    pub module: String,
}

/// What cargo's metadata lacks; cargo itself always gives it.
#[derive(Debug, thiserror::Error)]
#[error("cargo's metadata has no `{0}`")]
pub struct Incomplete(&'static str);

/// The guests of a manifest, itself or the members of its workspace, by what `cargo metadata --no-deps` says of it.
///
/// # Errors
/// When that is not cargo's metadata.
pub fn guests(metadata: &Value) -> Result<Vec<Guest>, Incomplete> {
    let packages = metadata["packages"].as_array().ok_or(Incomplete("packages"))?;
    packages.iter().filter_map(|package| guest(package).transpose()).collect()
}

fn guest(package: &Value) -> Result<Option<Guest>, Incomplete> {
    let is_cdylib = |target: &&Value| {
        target["crate_types"].as_array().is_some_and(|types| types.iter().any(|kind| kind == "cdylib"))
    };
    let Some(target) = package["targets"].as_array().and_then(|targets| targets.iter().find(is_cdylib)) else {
        return Ok(None);
    };
    let folder = Path::new(text(package, "manifest_path")?).parent().and_then(Path::file_name);
    Ok(Some(Guest {
        name: folder.ok_or(Incomplete("manifest_path"))?.to_string_lossy().into_owned(),
        package: text(package, "name")?.to_owned(),
        module: format!("{}.wasm", text(target, "name")?.replace('-', "_")),
    }))
}

fn text<'a>(value: &'a Value, key: &'static str) -> Result<&'a str, Incomplete> {
    value[key].as_str().ok_or(Incomplete(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(kind: &str) -> Value {
        json!({
            "name": "trackside-mask",
            "manifest_path": "/w/plugins/mask/Cargo.toml",
            "targets": [{ "name": "build-script", "crate_types": ["bin"] }, { "name": "trackside-mask", "crate_types": [kind, "rlib"] }],
        })
    }

    #[test]
    fn a_guest_is_named_after_its_folder_and_its_module_after_its_crate() {
        let guest = guest(&package("cdylib")).expect("complete").expect("a cdylib");
        assert_eq!(guest.name, "mask");
        assert_eq!(guest.module, "trackside_mask.wasm");
    }

    #[test]
    fn a_package_without_a_cdylib_is_no_guest() {
        assert!(guest(&package("lib")).expect("complete").is_none());
    }
}
