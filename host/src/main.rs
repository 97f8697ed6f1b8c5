//! The `trackside` binary: argv in, exit code out. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    trackside::cli::main()
}
