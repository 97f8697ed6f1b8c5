//! Puts the standard plugins' components, where they have been built, and the templates of new plugins into the binary.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const STANDARD_PLUGINS: [&str; 4] = ["validate", "transform", "mask", "route"];

/// The folders of `plugin-sdk`.
const LANGUAGES: [&str; 5] = ["rust", "python", "js", "go", "c"];

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
    write("standard.rs", &list);
    templates(&manifest.join("../plugin-sdk"));
    versions(&manifest);
}

fn write(file: &str, list: &str) {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    fs::write(out.join(file), list).expect("the build folder can be written");
}

/// For each language of `plugin-sdk`, the files of a new project: its `template`, its `sdk` if projects carry that, and
/// the cases that every template passes.
fn templates(sdks: &Path) {
    let mut list = String::from("static TEMPLATES: &[(&str, Files)] = &[\n");
    for language in LANGUAGES {
        let sdk = sdks.join(language);
        let mut files = Vec::new();
        files_below(&sdk.join("template"), "", &mut files);
        files_below(&sdk.join("sdk"), "sdk/", &mut files);
        if !files.is_empty() {
            files.push(("cases.toml".to_owned(), sdks.join("cases.toml")));
        }
        files.sort();
        writeln!(list, "    ({language:?}, &[").expect("a string takes all");
        for (path, file) in files {
            let file = fs::canonicalize(&file).expect("it is there");
            writeln!(list, "        ({path:?}, include_bytes!({file:?})),").expect("a string takes all");
        }
        list.push_str("    ]),\n");
    }
    list.push_str("];\n");
    write("templates.rs", &list);
}

/// Adds the files below a folder, with their paths in a project, except what building and testing leaves there.
fn files_below(folder: &Path, path: &str, files: &mut Vec<(String, PathBuf)>) {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.expect("the folder can be read");
        let name = entry.file_name().into_string().expect("names are ASCII");
        let file = entry.path();
        match name.as_str() {
            "target" | "build" | "node_modules" | "__pycache__" | ".venv" | "Cargo.lock" => {}
            name if name.ends_with(".wasm") => {}
            name if file.is_dir() => files_below(&file, &format!("{path}{name}/"), files),
            name => files.push((format!("{path}{name}"), file)),
        }
    }
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
