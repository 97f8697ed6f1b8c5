//! The simulation itself: it repeats, it holds, and it finds bugs. `cargo xtask simulate` tries many more seeds.

use std::sync::LazyLock;

use trackside_tests::simulation::{Bug, World, run};

static WORLD: LazyLock<World> = LazyLock::new(World::new);

#[test]
fn a_seed_is_played_in_the_same_way_every_time() {
    let mut digests = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let digest = run(&WORLD, seed, None).digest();
        assert_eq!(run(&WORLD, seed, None).digest(), digest, "seed {seed}");
        digests.insert(digest);
    }
    assert_eq!(digests.len(), 100, "every seed is another play");
}

#[test]
fn every_promise_is_kept_for_three_hundred_seeds() {
    for seed in 0..300 {
        if let Err(violation) = run(&WORLD, seed, None).judged {
            panic!("seed {seed}: {violation}; `cargo xtask simulate --seed {seed}` shows it");
        }
    }
}

#[test]
fn every_bug_is_found_within_a_hundred_seeds() {
    for bug in Bug::ALL {
        let found = (0..100).find(|seed| run(&WORLD, *seed, Some(bug)).judged.is_err());
        assert!(found.is_some(), "{bug}");
    }
}
