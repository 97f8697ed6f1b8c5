//! `trackside plugin lock`, `keygen`, `sign`, `verify` and `push`: which components are loaded, and whose.

mod lock;
mod push;
mod sign;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::app::Failure;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Writes trackside.lock: which bytes each plugin of a configuration has to be from now on.
    ///
    /// Where the file is there, no other plugins are loaded. Tags of registries are looked up, and pinned by it.
    Lock {
        /// The directory with trackside.toml and rules/.
        #[arg(value_name = "CONFIG_DIR")]
        directory: PathBuf,

        /// Changes nothing, and fails unless the file fits the configuration and its plugins.
        #[arg(long)]
        check: bool,
    },
    /// Makes a key to sign plugins with, and prints the line for [trust.keys].
    ///
    /// The file is readable by you alone; the public key is written beside it, with .pub at the end.
    Keygen {
        /// The file to make.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Signs a component: writes FILE.wasm.sig, or adds to it.
    Sign {
        /// The component.
        #[arg(value_name = "FILE.wasm")]
        file: PathBuf,

        /// The private key: a file, or env:NAME for an environment variable that holds the text of one.
        #[arg(long, value_name = "KEY")]
        key: String,
    },
    /// Says whether a component was signed by a key.
    Verify {
        /// The component, with its signatures in FILE.wasm.sig.
        #[arg(value_name = "FILE.wasm")]
        file: PathBuf,

        /// The public key: a file .pub, or the line that stands in [trust.keys].
        #[arg(long, value_name = "KEY")]
        key: String,
    },
    /// Brings a component to an OCI registry, with FILE.wasm.sig if that is there, and prints its reference by digest.
    Push(Push),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Push {
    /// The component.
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,

    /// Where to: registry.example/team/name:1.0.
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// The user's name, or a reference to it; needs --password.
    #[arg(long, requires = "password")]
    user: Option<String>,

    /// The password or token: env:NAME or file:PATH.
    #[arg(long, requires = "user")]
    password: Option<String>,

    /// A PEM file of the authorities to trust, in place of the system's.
    #[arg(long, value_name = "FILE", conflicts_with = "plain_http")]
    ca: Option<PathBuf>,

    /// Talks HTTP without TLS, as loopback addresses are talked to anyway.
    #[arg(long)]
    plain_http: bool,
}

/// Runs the command.
pub(super) fn supply(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Lock { directory, check: false } => lock::lock(directory),
        Command::Lock { directory, check: true } => lock::check(directory),
        Command::Keygen { file } => sign::keygen(file),
        Command::Sign { file, key } => sign::sign(file, key),
        Command::Verify { file, key } => sign::verify(file, key),
        Command::Push(arguments) => push::push(arguments),
    }
}

/// An error about a file, with its name in front.
fn about(file: &std::path::Path, error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("{}: {error}", file.display()))
}
