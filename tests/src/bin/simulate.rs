//! Tries the pipeline on many seeds, or shows what happens with one: `cargo xtask simulate` builds and runs this.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use trackside_tests::simulation::{Bug, Counts, Run, World, run};

/// Seeds between two lines that tell how far it is.
const TOLD_EVERY: u64 = 1000;

#[derive(Parser)]
#[command(bin_name = "cargo xtask simulate", about = "Simulates the pipeline, with faults, on many seeds")]
struct Args {
    /// How many seeds to try
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// Show one seed, with everything that happens, instead of trying many
    #[arg(long)]
    seed: Option<u64>,
    /// Play a bug that has to be found: early-ack, early-confirm, dropped-nak, mixed-lanes, ignored-ids, no-barrier,
    /// half-batches
    #[arg(long)]
    bug: Option<Bug>,
}

/// What was found so far, on all threads.
#[derive(Default)]
struct Found {
    next: AtomicU64,
    counts: Mutex<Counts>,
    /// Of everything that happened, whatever the order of the seeds.
    digest: AtomicU64,
    /// The lowest seed that broke a promise.
    broken: Mutex<Option<(u64, Run)>>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let world = World::new();
    if let Some(seed) = args.seed {
        return show(seed, &run(&world, seed, args.bug));
    }
    let begun = Instant::now();
    let found = Found::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(World::PROCESSES);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| found.search(&world, &args));
        }
    });
    let took = begun.elapsed().as_secs_f64();
    let counts = *found.counts.lock().expect("no thread panics");
    let tried = found.next.load(Ordering::Relaxed).min(args.seeds);
    match (found.broken.into_inner().expect("no thread panics"), args.bug) {
        (None, None) => {
            let digest = found.digest.load(Ordering::Relaxed);
            println!("{tried} seeds in {took:.1} s: {counts}; digest {digest:016x}");
            println!("lost 0, twice 0, out of order 0, invented 0");
            ExitCode::SUCCESS
        }
        (None, Some(bug)) => {
            println!("the bug {bug} was not found within {tried} seeds");
            ExitCode::FAILURE
        }
        (Some((seed, run)), Some(bug)) => {
            let sentence = run.judged.err().map(|violation| violation.to_string()).unwrap_or_default();
            println!("the bug {bug} was found by seed {seed}: {sentence}");
            ExitCode::SUCCESS
        }
        (Some((seed, run)), None) => show(seed, &run),
    }
}

impl Found {
    /// Tries one seed after another, until there are no more or one has broken a promise.
    fn search(&self, world: &World, args: &Args) {
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            let mut broken = self.broken.lock().expect("no thread panics");
            if seed >= args.seeds || broken.is_some() {
                return;
            }
            drop(broken);
            let run = run(world, seed, args.bug);
            match &run.judged {
                Ok(counts) => {
                    self.counts.lock().expect("no thread panics").add(counts);
                    self.digest.fetch_xor(run.digest(), Ordering::Relaxed);
                }
                Err(_) => {
                    broken = self.broken.lock().expect("no thread panics");
                    if broken.as_ref().is_none_or(|(lowest, _)| seed < *lowest) {
                        *broken = Some((seed, run));
                    }
                    return;
                }
            }
            if (seed + 1).is_multiple_of(TOLD_EVERY) && args.bug.is_none() {
                println!("{} seeds", seed + 1);
            }
        }
    }
}

/// Prints everything about one seed.
fn show(seed: u64, run: &Run) -> ExitCode {
    println!("seed {seed}: {}", run.scenario);
    run.events.iter().for_each(|event| println!("{event}"));
    println!("\ndigest {:016x}", run.digest());
    match &run.judged {
        Ok(counts) => {
            println!("seed {seed}: {counts}; every promise was kept");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("seed {seed} broke a promise: {violation}\nagain: cargo xtask simulate --seed {seed}");
            ExitCode::FAILURE
        }
    }
}
