//! `trackside plugin`: a plugin's way from an empty folder to a component that does what its cases say.

mod build;
mod inspect;
mod new;
mod project;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::app::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Writes a project for a plugin of your own, which works as it is and has a test.
    New(new::Arguments),
    /// Builds a project to a component, by its language's own tool chain.
    ///
    /// What is missing of that tool chain is named, with the command that installs it. Nothing is installed.
    Build(build::Arguments),
    /// Runs cases through the sandbox: a message in, and what has to become of it.
    #[command(long_about = test::ABOUT)]
    Test(test::Arguments),
    /// Tells a component's imports, exports, contract version, size and digest.
    Inspect {
        /// The component.
        #[arg(value_name = "FILE.wasm")]
        file: PathBuf,
    },
}

/// Runs the command.
pub(super) fn plugin(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::New(arguments) => new::new(arguments),
        Command::Build(arguments) => build::build(arguments),
        Command::Test(arguments) => test::test(arguments),
        Command::Inspect { file } => inspect::inspect(file),
    }
}
