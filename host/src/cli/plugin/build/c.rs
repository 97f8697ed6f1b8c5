//! C: clang or zig makes a module of `src/*.c` and the SDK. The bindings carry the contract's types.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use trackside_toolchain::component;

use super::super::project::Project;
use super::tools;
use crate::app::Failure;

/// What Debian needs for it.
const DEBIAN_PACKAGES: &str = "clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32";

/// Oldest and newest clang that is looked for, the newest first.
const CLANG_VERSIONS: std::ops::RangeInclusive<u32> = 15..=25;

pub(super) fn component(project: &Project) -> Result<Vec<u8>, Failure> {
    let mut compiler = compiler().ok_or_else(|| {
        tools::missing(
            "C compiler for WebAssembly",
            &[
                &format!("apt-get install {DEBIAN_PACKAGES}   # on Debian"),
                "python3 -m pip install ziglang   # anywhere",
                "export WASI_SDK_PATH=DIR   # a wasi-sdk: https://github.com/WebAssembly/wasi-sdk/releases",
            ],
        )
    })?;
    let module = project.build_folder()?.join(format!("{}.module.wasm", project.name));
    compiler.args(["--target=wasm32-wasi", "-std=c11", "-Os", "-Wall", "-Wextra", "-mexec-model=reactor"]);
    // Zig would otherwise set 16 MiB aside for the stack.
    compiler.args(["-Wl,--strip-all", "-Wl,-z,stack-size=65536", "-Isdk", "-o"]).arg(&module);
    for folder in ["src", "sdk", "sdk/bindings"] {
        compiler.args(sources(&project.folder, folder)?);
    }
    compiler.arg("sdk/bindings/plugin_component_type.o");
    tools::run(project, &mut compiler)?;
    component::encode(&tools::read(&module)?).map_err(|error| Failure::new(error.to_string()))
}

/// The compiler that is there: a wasi-sdk that somebody names, Debian's clang with wasi-libc, or zig.
fn compiler() -> Option<Command> {
    if let Some(sdk) = std::env::var_os("WASI_SDK_PATH").filter(|path| !path.is_empty()) {
        return Some(Command::new(Path::new(&sdk).join("bin/clang")));
    }
    let mut clangs = CLANG_VERSIONS.rev().filter_map(|version| tools::on_path(&format!("clang-{version}")));
    if let Some(clang) = clangs.find(|clang| can_link(clang)) {
        return Some(Command::new(clang));
    }
    if tools::on_path("zig").is_some() {
        let mut zig = Command::new("zig");
        zig.arg("cc");
        return Some(zig);
    }
    let mut python = Command::new("python3");
    if tools::succeeds(python.args(["-m", "ziglang", "version"])) {
        let mut zig = Command::new("python3");
        zig.args(["-m", "ziglang", "cc"]);
        return Some(zig);
    }
    None
}

/// Whether a clang has what it takes beside itself: the C library and its own run-time library for the target.
fn can_link(clang: &Path) -> bool {
    let ask = |what: &str| {
        let output = Command::new(clang).args(["--target=wasm32-wasi", what]).stdin(Stdio::null()).output().ok()?;
        Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    };
    let found = |what: &str| ask(what).is_some_and(|file| file.is_file());
    found("--print-libgcc-file-name") && found("--print-file-name=libc.a")
}

/// The C files of a folder, as the compiler is given them from the project's.
fn sources(project: &Path, folder: &str) -> Result<Vec<String>, Failure> {
    let entries = std::fs::read_dir(project.join(folder));
    let entries = entries.map_err(|error| Failure::new(format!("{}: {error}", project.join(folder).display())))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut sources: Vec<_> =
        names.filter(|name| name.ends_with(".c")).map(|name| format!("{folder}/{name}")).collect();
    sources.sort();
    Ok(sources)
}
