//! Which compiler makes Wasm: the ordinary one where its target is installed or can be, else Debian's `rustc-web`,
//! which carries the sources of the standard library so that cargo builds that too.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::process::Command;

use crate::cargo::{forget, is_about_this_package};
use crate::shell;
use crate::version::Version;

/// Plugins import nothing, so they need no WASI.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const QUERY_LIMIT: Duration = Duration::from_secs(60);
const RUSTUP_LIMIT: Duration = Duration::from_secs(5 * 60);
const APT_LIMIT: Duration = Duration::from_secs(20 * 60);

const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

/// A way to compile for [`TARGET`].
pub(crate) enum Toolchain {
    /// The toolchain that runs this program, with the target installed.
    Ordinary,
    /// Debian's, building the standard library from source.
    Debian { rustc: Version, linker: PathBuf },
}

impl Toolchain {
    /// Finds a way: first what is there, then what can be installed. A root on Debian is most often a container or a
    /// build machine, whose packages come from where the system's do; everybody else has rustup fetch the target.
    ///
    /// # Errors
    /// When there is none and none could be installed; the error says what to install.
    pub(crate) async fn find() -> Result<Self> {
        if target_is_installed().await {
            return Ok(Self::Ordinary);
        }
        if let Some(debian) = debian().await {
            return Ok(debian);
        }
        let mut tried = Vec::new();
        match apt_install(&DEBIAN_PACKAGES).await {
            Ok(()) => match debian().await {
                Some(debian) => return Ok(debian),
                None => tried.push("apt-get installed the packages, but not where they are looked for".to_owned()),
            },
            Err(error) => tried.push(error.to_string()),
        }
        match rustup_target_add().await {
            Ok(()) if target_is_installed().await => return Ok(Self::Ordinary),
            Ok(()) => tried.push("`rustup target add` succeeded, but for another toolchain".to_owned()),
            Err(error) => tried.push(error.to_string()),
        }
        bail!(
            "there is no compiler for {TARGET}: run `rustup target add {TARGET}`, or on Debian \
             `apt-get install {}` as root\n  {}",
            DEBIAN_PACKAGES.join(" "),
            tried.join("\n  ")
        )
    }

    /// `cargo build` for the target, to which the caller adds the packages. Both folders are absolute. It runs in the
    /// manifest's folder, where cargo finds the configuration (`.cargo/config.toml`) that the guests bring along.
    pub(crate) fn cargo_build(&self, manifest_dir: &Path, target_dir: &Path) -> Command {
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

async fn target_is_installed() -> bool {
    let folder = ask("rustc", &["--print", "target-libdir", "--target", TARGET]).await;
    folder.is_some_and(|folder| Path::new(&folder).is_dir())
}

async fn debian() -> Option<Toolchain> {
    if !Path::new(DEBIAN_CARGO).is_file() {
        return None;
    }
    let rustc = Version::find(&ask(DEBIAN_RUSTC, &["--version"]).await?)?;
    let sysroot = PathBuf::from(ask(DEBIAN_RUSTC, &["--print", "sysroot"]).await?);
    let has_sources = sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file();
    let is_new_enough = Version::find(env!("CARGO_PKG_RUST_VERSION")).is_some_and(|least| rustc >= least);
    if !has_sources || !is_new_enough {
        return None;
    }
    Some(Toolchain::Debian { rustc, linker: linker().await? })
}

/// The linker of the ordinary toolchain, else one of LLVM's packages, newest first.
async fn linker() -> Option<PathBuf> {
    if let Some(sysroot) = ask("rustc", &["--print", "sysroot"]).await {
        let hosts = std::fs::read_dir(Path::new(&sysroot).join("lib/rustlib"));
        let found = hosts.into_iter().flatten().flatten().map(|host| host.path().join("bin/rust-lld"));
        if let Some(linker) = found.into_iter().find(|path| path.is_file()) {
            return Some(linker);
        }
    }
    let names = (15..=25).rev().map(|llvm| format!("wasm-ld-{llvm}")).chain(["wasm-ld".to_owned()]);
    names.map(|name| Path::new("/usr/bin").join(name)).find(|path| path.is_file())
}

async fn rustup_target_add() -> Result<()> {
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]);
    println!("{TARGET} is not installed; trying `rustup target add {TARGET}`");
    shell::capture("rustup target add", &mut rustup, RUSTUP_LIMIT).await.map(drop)
}

/// Installs packages, for root on Debian.
pub(crate) async fn apt_install(packages: &[&str]) -> Result<()> {
    if !Path::new("/etc/debian_version").is_file() || !Path::new("/usr/bin/apt-get").is_file() {
        bail!("apt-get: this is no Debian");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("apt-get: not root, so nothing was installed");
    }
    println!("installing {} (apt-get, a few minutes)", packages.join(", "));
    let apt = || {
        let mut command = Command::new("/usr/bin/apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    shell::capture("apt-get update", apt().arg("update"), APT_LIMIT).await?;
    let mut install = apt();
    install.args(["install", "-y", "--no-install-recommends"]).args(packages);
    shell::capture("apt-get install", &mut install, APT_LIMIT).await.map(drop)
}

/// What a compiler answers, trimmed; nothing when it is not there or refuses.
async fn ask(rustc: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new(rustc);
    command.args(args);
    if rustc == DEBIAN_RUSTC {
        forget(&mut command, |name| is_about_this_package(name) || is_of_another_toolchain(name));
    }
    let answer = shell::capture(rustc, &mut command, QUERY_LIMIT).await.ok()?;
    Some(answer.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn debians_cargo_gets_its_own_compiler_and_linker_and_builds_std() {
        let toolchain = Toolchain::Debian { rustc: Version(1, 96, 0), linker: "/usr/bin/wasm-ld-19".into() };
        let command = toolchain.cargo_build(Path::new("/p"), Path::new("/t/wasm"));
        let command = command.as_std();
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
