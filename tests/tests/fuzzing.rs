//! The fuzz targets that run Wasm, on their seeds and on what a little change makes of them: to compile wasmtime for
//! libFuzzer takes minutes, which a test cannot (`cargo xtask fuzz` does).

use std::path::Path;

use trackside_tests::hostile;

#[path = "../../fuzz/src/contract.rs"]
mod contract;
#[path = "../../fuzz/src/inspection.rs"]
mod inspection;

/// How many changes are made to each seed.
const CHANGES: u64 = 2000;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect()
}

/// The seeds, and each with a few bytes changed, cut or repeated; the same ones every time.
fn changed(seeds: &[Vec<u8>], mut check: impl FnMut(&[u8])) {
    for (number, seed) in (0..).zip(seeds) {
        check(seed);
        let mut random = fastrand::Rng::with_seed(number);
        for _ in 0..CHANGES {
            let mut bytes = seed.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(0..=bytes.len());
                match random.u8(0..4) {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, random.u8(..)),
                    2 => bytes.extend_from_within(at..),
                    _ if at < bytes.len() => bytes[at] = random.u8(..),
                    _ => {}
                }
            }
            check(&bytes);
        }
    }
}

#[test]
fn whatever_host_calls_a_guest_makes_what_comes_out_is_fit_for_those_who_get_it() {
    changed(&seeds("contract"), |script| contract::check(hostile::component, script));
}

#[test]
fn whatever_a_file_holds_what_is_said_about_it_has_bounds() {
    let mut files = seeds("inspection");
    files.push(hostile::component("virtual-wasi"));
    changed(&files, inspection::check);
}
