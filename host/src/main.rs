//! The `trackside` binary: argv in, exit code out. Everything else is in the library.

use std::process::ExitCode;

/// Messages are allocated by one thread and given back by another all the time, which is what glibc's allocator is slow at.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    trackside::cli::main()
}
