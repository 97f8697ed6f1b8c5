//! Which partitions an instance reads. Nobody decides: all who know of the same instances come to the same result.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

/// The partitions of one among these instances, of which it is one.
///
/// The shares differ by at most one. For each partition the instances are ranked by a hash of both (rendezvous hashing),
/// and the first takes it whose share is not full; so most partitions stay where they are when an instance comes or
/// goes.
pub(super) fn of(instance: &str, instances: &BTreeSet<String>, count: u32) -> BTreeSet<u32> {
    let number = u32::try_from(instances.len()).unwrap_or(u32::MAX).max(1);
    let (least, mut larger) = (count / number, count % number);
    let mut loads: Vec<(&str, u32)> = instances.iter().map(|instance| (instance.as_str(), 0)).collect();
    let mut mine = BTreeSet::new();
    for partition in 0..count {
        loads.sort_by_cached_key(|(instance, _)| rank(partition, instance));
        let open = loads.iter_mut().find(|(_, load)| *load < least || (*load == least && larger > 0));
        let Some((owner, load)) = open else { continue };
        if *load == least {
            larger -= 1;
        }
        *load += 1;
        if *owner == instance {
            mine.insert(partition);
        }
    }
    mine
}

/// The same in every process, whatever it was built with.
fn rank(partition: u32, instance: &str) -> [u8; 32] {
    Sha256::new().chain_update(partition.to_be_bytes()).chain_update(instance).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instances(names: std::ops::Range<u32>) -> BTreeSet<String> {
        names.map(|name| format!("instance-{name}")).collect()
    }

    /// Whose each partition is.
    fn owners(instances: &BTreeSet<String>, count: u32) -> Vec<&str> {
        let shares: Vec<_> = instances.iter().map(|name| (name.as_str(), of(name, instances, count))).collect();
        let owner = |partition| {
            let mut having = shares.iter().filter(|(_, share)| share.contains(&partition));
            let owner = having.next().expect("somebody reads it").0;
            assert!(having.next().is_none(), "{partition} has two readers");
            owner
        };
        (0..count).map(owner).collect()
    }

    #[test]
    fn every_partition_has_one_reader_and_the_shares_differ_by_at_most_one() {
        for count in [1, 2, 3, 8, 100] {
            for number in [1, 2, 3, 7, 12] {
                let instances = instances(0..number);
                let owners = owners(&instances, count);
                let loads = instances.iter().map(|name| owners.iter().filter(|owner| *owner == name).count());
                let (least, most) =
                    loads.fold((usize::MAX, 0), |(least, most), load| (least.min(load), most.max(load)));
                assert!(most - least <= 1, "{count} among {number}: {least} to {most}");
            }
        }
    }

    #[test]
    fn most_partitions_stay_where_they_are_when_an_instance_comes() {
        let (before, after) = (instances(0..9), instances(0..10));
        let (before, after) = (owners(&before, 256), owners(&after, 256));
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        assert!(moved < 64, "{moved} of 256 moved, where 26 would be least");
    }

    #[test]
    fn an_instance_that_nobody_knows_of_has_no_share() {
        assert_eq!(of("stranger", &instances(0..3), 8), BTreeSet::new());
    }
}
