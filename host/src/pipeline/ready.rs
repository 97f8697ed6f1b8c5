//! What the lanes can take at once. More urgent work goes first, and less urgent work has its share. Among rules of one
//! priority the one goes first that has had the least of the lanes' time, so that neither a flood of messages nor a plugin
//! that computes up to its deadline takes more from its neighbours than half.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::rules::Priority;

/// Of how many in a row that are taken a priority has its share while all of them have work: 16, 4 and 1 of 21.
const SHARES: [u32; 3] = [16, 4, 1];

/// What being taken costs a rule at once, in nanoseconds: rules whose work is all the same take turns.
const TURN: u64 = 1_000;

/// First in, first out within each rule.
#[derive(Debug)]
pub(super) struct Ready<T> {
    classes: [Class<T>; 3],
    /// What is left of each share.
    left: [u32; 3],
    len: usize,
}

/// The work of one priority.
#[derive(Debug)]
struct Class<T> {
    /// By the rules' numbers; bounded by the rules that ever were in a configuration of this process.
    rules: BTreeMap<u32, Queue<T>>,
    /// The rules that have work, by the time they have had.
    order: BTreeSet<(u64, u32)>,
    /// What the rule that was last taken from had had before. A rule that comes anew begins here: it has saved nothing up.
    clock: u64,
}

#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<T>,
    /// How much of the lanes' time the rule has had, in nanoseconds.
    had: u64,
}

impl<T> Default for Ready<T> {
    fn default() -> Self {
        Self { classes: Default::default(), left: SHARES, len: 0 }
    }
}

impl<T> Default for Class<T> {
    fn default() -> Self {
        Self { rules: BTreeMap::new(), order: BTreeSet::new(), clock: 0 }
    }
}

impl<T> Ready<T> {
    /// Adds work of a rule, behind what it has.
    pub(super) fn push(&mut self, priority: Priority, rule: u32, item: T) {
        self.len += 1;
        self.classes[class(priority)].queue(rule).items.push_back(item);
    }

    /// Gives work back that was taken last, before what the rule has. Its share is whole again, or work that is given back
    /// over and over would never have its turn.
    pub(super) fn give_back(&mut self, priority: Priority, rule: u32, item: T) {
        self.len += 1;
        self.left[class(priority)] += 1;
        self.classes[class(priority)].queue(rule).items.push_front(item);
    }

    /// Takes what is next of the rules that may.
    pub(super) fn pop(&mut self, may: impl Fn(u32) -> bool) -> Option<T> {
        if let Some(item) = self.pop_of_shares(&may) {
            return Some(item);
        }
        self.left = SHARES;
        self.pop_of_shares(&may)
    }

    /// The same as long as that is settled by the shares as they are, so that all of it can be given back.
    pub(super) fn pop_more(&mut self, may: impl Fn(u32) -> bool) -> Option<T> {
        let contested = self.classes.iter().filter(|class| !class.order.is_empty()).count() > 1;
        if contested { self.pop_of_shares(&may) } else { self.pop(may) }
    }

    fn pop_of_shares(&mut self, may: impl Fn(u32) -> bool) -> Option<T> {
        for (class, left) in self.classes.iter_mut().zip(&mut self.left) {
            if *left > 0
                && let Some(item) = class.pop(&may)
            {
                *left -= 1;
                self.len -= 1;
                return Some(item);
            }
        }
        None
    }

    /// Whether there is work of rules that may.
    pub(super) fn has(&self, may: impl Fn(u32) -> bool) -> bool {
        self.classes.iter().flat_map(|class| &class.order).any(|(_, rule)| may(*rule))
    }

    /// Something of a rule took so long.
    pub(super) fn took(&mut self, priority: Priority, rule: u32, time: Duration) {
        self.classes[class(priority)].charge(rule, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn take_all(&mut self) -> Vec<T> {
        self.len = 0;
        let queues = self.classes.iter_mut().flat_map(|class| {
            class.order.clear();
            class.rules.values_mut()
        });
        queues.flat_map(|queue| queue.items.drain(..)).collect()
    }
}

impl<T> Class<T> {
    /// The rule's queue, which is about to have work.
    fn queue(&mut self, rule: u32) -> &mut Queue<T> {
        let queue = self.rules.entry(rule).or_insert_with(|| Queue { items: VecDeque::new(), had: 0 });
        if queue.items.is_empty() {
            queue.had = queue.had.max(self.clock);
            self.order.insert((queue.had, rule));
        }
        queue
    }

    fn pop(&mut self, may: impl Fn(u32) -> bool) -> Option<T> {
        let &(had, rule) = self.order.iter().find(|(_, rule)| may(*rule))?;
        let item = self.rules.get_mut(&rule)?.items.pop_front();
        self.clock = self.clock.max(had);
        self.charge(rule, TURN);
        item
    }

    fn charge(&mut self, rule: u32, nanos: u64) {
        let Some(queue) = self.rules.get_mut(&rule) else { return };
        self.order.remove(&(queue.had, rule));
        queue.had = queue.had.saturating_add(nanos);
        if !queue.items.is_empty() {
            self.order.insert((queue.had, rule));
        }
    }
}

fn class(priority: Priority) -> usize {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGH: u32 = 0;
    const NORMAL: u32 = 1;
    const LOW: u32 = 2;

    fn taken(ready: &mut Ready<u32>, count: usize) -> [usize; 3] {
        let mut taken = [0; 3];
        for _ in 0..count {
            taken[ready.pop(|_| true).expect("there is more") as usize] += 1;
        }
        taken
    }

    fn filled(rules: &[(Priority, u32)], count: usize) -> Ready<u32> {
        let mut ready = Ready::default();
        for (priority, rule) in rules {
            (0..count).for_each(|_| ready.push(*priority, *rule, *rule));
        }
        ready
    }

    #[test]
    fn urgent_work_goes_first_and_the_rest_has_its_share() {
        let mut ready = filled(&[(Priority::Low, LOW), (Priority::Normal, NORMAL), (Priority::High, HIGH)], 1000);
        assert_eq!(taken(&mut ready, 16), [16, 0, 0]);
        assert_eq!(taken(&mut ready, 5), [0, 4, 1]);
        assert_eq!(taken(&mut ready, 210), [160, 40, 10]);
    }

    #[test]
    fn what_is_given_back_over_and_over_has_its_share_all_the_same() {
        let mut ready = filled(&[(Priority::Low, LOW), (Priority::High, HIGH)], 1000);
        let mut done = [0; 3];
        for _ in 0..170 {
            let mut batch = vec![ready.pop(|_| true).expect("there is more")];
            batch.extend((1..32).map_while(|_| ready.pop_more(|_| true)));
            // A lane whose time is over after one.
            done[batch.remove(0) as usize] += 1;
            for rule in batch.into_iter().rev() {
                ready.give_back(if rule == LOW { Priority::Low } else { Priority::High }, rule, rule);
            }
        }
        assert_eq!(done, [160, 0, 10]);
    }

    #[test]
    fn nobody_waits_for_a_share_that_is_not_used() {
        let mut ready = filled(&[(Priority::Low, LOW)], 100);
        assert_eq!(taken(&mut ready, 100), [0, 0, 100]);
        assert!(ready.pop(|_| true).is_none());
        assert_eq!(ready.len(), 0);
    }

    #[test]
    fn a_flood_of_one_rule_is_not_in_the_way_of_another() {
        let mut ready = filled(&[(Priority::Normal, 0)], 1000);
        assert_eq!(taken(&mut ready, 500), [500, 0, 0]);
        ready.push(Priority::Normal, 1, 1);
        assert!(taken(&mut ready, 2)[1] == 1, "the other one is next, or next but one");
    }

    #[test]
    fn rules_have_the_same_time_however_long_their_work_takes() {
        let mut ready = filled(&[(Priority::Normal, 0), (Priority::Normal, 1)], 1000);
        let mut had = [Duration::ZERO; 2];
        for _ in 0..1000 {
            let rule = ready.pop(|_| true).expect("there is more");
            let took = if rule == 0 { Duration::from_millis(100) } else { Duration::from_millis(1) };
            ready.took(Priority::Normal, rule, took);
            had[rule as usize] += took;
        }
        assert!(had[0].abs_diff(had[1]) <= Duration::from_millis(101), "{had:?}");
    }

    #[test]
    fn a_rule_that_had_nothing_to_do_has_saved_nothing_up() {
        let mut ready = filled(&[(Priority::Normal, 0)], 1000);
        for _ in 0..500 {
            ready.pop(|_| true);
            ready.took(Priority::Normal, 0, Duration::from_millis(1));
        }
        (0..1000).for_each(|_| ready.push(Priority::Normal, 1, 1));
        let mut taken = [0; 2];
        for _ in 0..400 {
            let rule = ready.pop(|_| true).expect("there is more");
            ready.took(Priority::Normal, rule, Duration::from_millis(1));
            taken[rule as usize] += 1;
        }
        assert!((199..=201).contains(&taken[0]), "{taken:?}");
    }

    #[test]
    fn work_that_is_given_back_is_next_of_its_rule_and_work_of_others_is_left_alone() {
        let mut ready = Ready::default();
        (0..3).for_each(|item| ready.push(Priority::Normal, 0, item));
        assert_eq!(ready.pop(|_| true), Some(0));
        ready.give_back(Priority::Normal, 0, 0);
        assert_eq!(ready.len(), 3);
        assert!(!ready.has(|rule| rule != 0) && ready.pop(|rule| rule != 0).is_none());
        let rest: Vec<_> = std::iter::from_fn(|| ready.pop(|_| true)).collect();
        assert_eq!(rest, [0, 1, 2]);
    }
}
