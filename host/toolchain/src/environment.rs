//! What a program that is started must not inherit.

use std::ffi::OsString;
use std::process::Command;

/// Removes the variables of the environment that `doomed` picks by name.
pub fn forget(command: &mut Command, doomed: impl Fn(&str) -> bool) {
    let names: Vec<OsString> = std::env::vars_os().map(|(name, _)| name).collect();
    for name in names.iter().filter(|name| name.to_str().is_some_and(&doomed)) {
        command.env_remove(name);
    }
}

/// What `cargo run` sets about the package it runs: an inner cargo would take it for its own.
#[must_use]
pub fn is_about_this_package(name: &str) -> bool {
    matches!(name, "CARGO" | "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR")
        || name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_cargo_keeps_the_users_settings_and_loses_the_packages() {
        for name in ["CARGO", "CARGO_PKG_NAME", "CARGO_MANIFEST_DIR"] {
            assert!(is_about_this_package(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_INDEX", "PATH", "RUSTUP_TOOLCHAIN"] {
            assert!(!is_about_this_package(name), "{name}");
        }
    }
}
