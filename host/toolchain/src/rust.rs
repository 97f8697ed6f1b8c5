//! Which compiler makes Wasm of Rust: the ordinary one where its target is installed, else Debian's `rustc-web`, which
//! carries the sources of the standard library so that cargo builds that too.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::environment::{forget, is_about_this_package};
use crate::version::Version;

/// Plugins import nothing, so they need no WASI.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// What Debian needs for it.
pub const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A way to compile for [`TARGET`].
#[derive(Debug)]
pub enum Toolchain {
    /// The one on the `PATH`, with the target installed.
    Ordinary,
    /// Debian's, building the standard library from source.
    Debian {
        /// The compiler's version.
        rustc: Version,
        /// The linker.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// What is there.
    #[must_use]
    pub fn find() -> Option<Self> {
        if target_is_installed() { Some(Self::Ordinary) } else { debian() }
    }

    /// `cargo build` for the target, to which the caller adds the packages. Both folders are absolute. It runs in the
    /// manifest's folder, where cargo finds the configuration (`.cargo/config.toml`) that the guests bring along.
    #[must_use]
    pub fn cargo_build(&self, manifest_dir: &Path, target_dir: &Path) -> Command {
        let mut command = match self {
            Self::Ordinary => {
                let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
                forget(&mut command, |name| is_about_this_package(name) || is_for_the_native_build(name));
                command
            }
            Self::Debian { linker, .. } => {
                let mut command = Command::new(DEBIAN_CARGO);
                forget(&mut command, |name| {
                    is_about_this_package(name) || is_for_the_native_build(name) || is_of_another_toolchain(name)
                });
                command.env("RUSTC", DEBIAN_RUSTC);
                // What makes a released compiler accept `-Z build-std`.
                command.env("RUSTC_BOOTSTRAP", "1");
                command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                command
            }
        };
        command.current_dir(manifest_dir).args(["build", "--release", "--target", TARGET]);
        command.arg("--target-dir").arg(target_dir);
        if matches!(self, Self::Debian { .. }) {
            command.args(["-Z", "build-std=std,panic_abort"]);
        }
        command
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ordinary => write!(f, "the installed target {TARGET}"),
            Self::Debian { rustc, linker } => {
                write!(f, "Debian's rustc {rustc} with its standard library from source, linker {}", linker.display())
            }
        }
    }
}

/// Flags and folders that were meant for the machine's own architecture.
fn is_for_the_native_build(name: &str) -> bool {
    matches!(name, "RUSTFLAGS" | "CARGO_ENCODED_RUSTFLAGS" | "CARGO_TARGET_DIR")
        || name.starts_with("CARGO_BUILD_")
        || name.starts_with("CARGO_PROFILE_")
        || name.starts_with("CARGO_TARGET_WASM32_")
}

/// Variables by which rustup's cargo finds rustup's compiler and its libraries, and wrappers that know only that.
fn is_of_another_toolchain(name: &str) -> bool {
    matches!(name, "LD_LIBRARY_PATH" | "DYLD_FALLBACK_LIBRARY_PATH")
        || name.starts_with("RUSTUP_")
        || name.starts_with("RUSTC")
        || name.starts_with("RUSTDOC")
}

fn target_is_installed() -> bool {
    let folder = ask("rustc", &["--print", "target-libdir", "--target", TARGET]);
    folder.is_some_and(|folder| Path::new(&folder).is_dir())
}

fn debian() -> Option<Toolchain> {
    if !Path::new(DEBIAN_CARGO).is_file() {
        return None;
    }
    let rustc = Version::find(&ask(DEBIAN_RUSTC, &["--version"])?)?;
    let sysroot = PathBuf::from(ask(DEBIAN_RUSTC, &["--print", "sysroot"])?);
    let has_sources = sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file();
    let is_new_enough = Version::find(env!("CARGO_PKG_RUST_VERSION")).is_some_and(|least| rustc >= least);
    if !has_sources || !is_new_enough {
        return None;
    }
    Some(Toolchain::Debian { rustc, linker: linker()? })
}

/// The linker of the ordinary toolchain, else one of LLVM's packages, newest first.
fn linker() -> Option<PathBuf> {
    if let Some(sysroot) = ask("rustc", &["--print", "sysroot"]) {
        let hosts = std::fs::read_dir(Path::new(&sysroot).join("lib/rustlib"));
        let found = hosts.into_iter().flatten().flatten().map(|host| host.path().join("bin/rust-lld"));
        if let Some(linker) = found.into_iter().find(|path| path.is_file()) {
            return Some(linker);
        }
    }
    let names = (15..=25).rev().map(|llvm| format!("wasm-ld-{llvm}")).chain(["wasm-ld".to_owned()]);
    names.map(|name| Path::new("/usr/bin").join(name)).find(|path| path.is_file())
}

/// What a compiler answers, trimmed; nothing when it is not there or refuses.
fn ask(rustc: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new(rustc);
    command.args(args).stdin(Stdio::null());
    if rustc == DEBIAN_RUSTC {
        forget(&mut command, |name| is_about_this_package(name) || is_of_another_toolchain(name));
    }
    let answer = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn debians_cargo_gets_its_own_compiler_and_linker_and_builds_std() {
        let toolchain = Toolchain::Debian { rustc: Version(1, 96, 0), linker: "/usr/bin/wasm-ld-19".into() };
        let command = toolchain.cargo_build(Path::new("/p"), Path::new("/t/wasm"));
        let env = |name: &str| command.get_envs().find(|(key, _)| *key == name).and_then(|(_, value)| value);
        assert_eq!(command.get_program(), DEBIAN_CARGO);
        assert_eq!(command.get_current_dir(), Some(Path::new("/p")));
        assert_eq!(env("RUSTC"), Some(OsStr::new(DEBIAN_RUSTC)));
        assert_eq!(env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER"), Some(OsStr::new("/usr/bin/wasm-ld-19")));
        assert!(command.get_args().any(|arg| arg == "build-std=std,panic_abort"));
    }

    #[test]
    fn the_wasm_build_keeps_what_reaches_the_registry_and_loses_native_flags() {
        for name in ["RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "CARGO_PROFILE_RELEASE_LTO"] {
            assert!(is_for_the_native_build(name), "{name}");
        }
        for name in ["RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "RUSTC", "RUSTDOCFLAGS", "LD_LIBRARY_PATH"] {
            assert!(is_of_another_toolchain(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_HTTP_PROXY", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_TOKEN", "PATH"] {
            assert!(!is_for_the_native_build(name) && !is_of_another_toolchain(name), "{name}");
        }
    }
}
