//! Steps of the hot path, to be counted in instructions by `cargo xtask instructions`: what valgrind counts is the same
//! on a busy machine as on an idle one.
//!
//! Called with `--list` it prints the names of the steps; called with a name it does that step, [`TIMES`] times, within
//! [`counted_work`]. That function is what callgrind counts, on the one thread that calls it. What comes before it, and
//! the threads that keep deadlines, are not counted.

#[path = "../common/mod.rs"]
mod common;

mod call;
mod json;
mod lookup;

use std::process::ExitCode;

use trackside::plugins::{Engine, EngineSettings};

/// How often a step is done, so that what happens now and then has its share.
const TIMES: u32 = 16;

/// A name, and what sets the step up and does it.
type Step = (&'static str, fn());

fn steps() -> impl Iterator<Item = Step> {
    json::STEPS.into_iter().chain(lookup::STEPS).chain(call::STEPS)
}

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    if wanted == "--list" {
        steps().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let Some((_, run)) = steps().find(|(name, _)| *name == wanted) else {
        eprintln!("`{wanted}` is no step; `--list` prints them, and `cargo xtask instructions` counts them");
        return ExitCode::FAILURE;
    };
    run();
    ExitCode::SUCCESS
}

/// Does a step twice, which fills caches and buffers, and then so that it is counted.
fn count<R>(mut step: impl FnMut() -> R) {
    drop(step());
    drop(step());
    counted_work(|| {
        for _ in 0..TIMES {
            drop(std::hint::black_box(step()));
        }
    });
}

/// An engine for few instances: valgrind has 32 GiB of address space.
fn engine() -> Engine {
    Engine::new(EngineSettings { max_instances: 4, ..EngineSettings::default() }).expect("an engine")
}

/// What is counted. The name is what `cargo xtask instructions` looks for.
#[inline(never)]
fn counted_work(work: impl FnOnce()) {
    work();
    // Keeps the call above from becoming a jump, after which nobody would see the function end.
    std::hint::black_box(());
}
