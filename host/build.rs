//! Puts the standard plugins' components, where they have been built, into the binary.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const STANDARD_PLUGINS: [&str; 4] = ["validate", "transform", "mask", "route"];

fn main() {
    println!("cargo::rerun-if-env-changed=TRACKSIDE_PLUGINS_DIR");
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let folder = env::var_os("TRACKSIDE_PLUGINS_DIR").map_or_else(|| manifest.join("../target/plugins"), PathBuf::from);
    let mut list = String::from("static STANDARD_COMPONENTS: &[(&str, &[u8])] = &[\n");
    for name in STANDARD_PLUGINS {
        let file = folder.join(format!("{name}.wasm"));
        println!("cargo::rerun-if-changed={}", file.display());
        if file.is_file() {
            let file = fs::canonicalize(&file).expect("it is there");
            writeln!(list, "    ({name:?}, include_bytes!({file:?})),").expect("a string takes all");
        } else {
            println!("cargo::warning=built without the standard plugin {name}: `cargo xtask build` makes it first");
        }
    }
    list.push_str("];\n");
    write(&list);
    versions(&manifest);
}

fn write(list: &str) {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    fs::write(out.join("standard.rs"), list).expect("the build folder can be written");
}

/// The version of wasmtime that `--version` shows, from the lock file that the build used.
fn versions(manifest: &Path) {
    let lock = manifest.join("../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = fs::read_to_string(lock).unwrap_or_default();
    let version = text
        .split("[[package]]")
        .find(|package| package.contains("\nname = \"wasmtime\"\n"))
        .and_then(|package| package.split("version = \"").nth(1))
        .and_then(|rest| rest.split('"').next())
        .unwrap_or("unknown");
    println!("cargo::rustc-env=TRACKSIDE_WASMTIME_VERSION={version}");
}
