//! A compiler from Rust to Wasm: one that is there, else one that can be installed.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::process::Command;
use trackside_toolchain::rust::{DEBIAN_PACKAGES, TARGET, Toolchain};

use crate::{apt, shell};

const RUSTUP_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Finds a way: first what is there, then what can be installed, from Debian for root on Debian, and otherwise by rustup.
///
/// # Errors
/// When there is none and none could be installed; the error says what to install.
pub(crate) async fn provision() -> Result<Toolchain> {
    if let Some(toolchain) = Toolchain::find() {
        return Ok(toolchain);
    }
    let mut tried = Vec::new();
    match apt::install(&DEBIAN_PACKAGES).await {
        Ok(()) => match Toolchain::find() {
            Some(toolchain) => return Ok(toolchain),
            None => tried.push("apt-get installed the packages, but not where they are looked for".to_owned()),
        },
        Err(error) => tried.push(error.to_string()),
    }
    match rustup_target_add().await {
        Ok(()) => match Toolchain::find() {
            Some(toolchain) => return Ok(toolchain),
            None => tried.push("`rustup target add` succeeded, but for another toolchain".to_owned()),
        },
        Err(error) => tried.push(error.to_string()),
    }
    bail!(
        "there is no compiler for {TARGET}: run `rustup target add {TARGET}`, or on Debian `apt-get install {}` as root\
         \n  {}",
        DEBIAN_PACKAGES.join(" "),
        tried.join("\n  ")
    )
}

async fn rustup_target_add() -> Result<()> {
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]);
    println!("{TARGET} is not installed; trying `rustup target add {TARGET}`");
    shell::capture("rustup target add", &mut rustup, RUSTUP_LIMIT).await.map(drop)
}
