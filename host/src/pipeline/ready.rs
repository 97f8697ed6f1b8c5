//! What the lanes can take at once, by priority: more urgent work goes first, and less urgent work has its share.

use std::collections::VecDeque;

use crate::rules::Priority;

/// Of how many in a row that are taken a priority has its share while all of them have work: 16, 4 and 1 of 21.
const SHARES: [u32; 3] = [16, 4, 1];

/// First in, first out within each priority.
#[derive(Debug)]
pub(super) struct Ready<T> {
    queues: [VecDeque<T>; 3],
    /// What is left of each share.
    left: [u32; 3],
}

impl<T> Default for Ready<T> {
    fn default() -> Self {
        Self { queues: Default::default(), left: SHARES }
    }
}

impl<T> Ready<T> {
    pub(super) fn push(&mut self, priority: Priority, item: T) {
        let class = match priority {
            Priority::High => 0,
            Priority::Normal => 1,
            Priority::Low => 2,
        };
        self.queues[class].push_back(item);
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        // The second time round every share is whole again.
        for _ in 0..2 {
            for (queue, left) in self.queues.iter_mut().zip(&mut self.left) {
                if *left > 0
                    && let Some(item) = queue.pop_front()
                {
                    *left -= 1;
                    return Some(item);
                }
            }
            self.left = SHARES;
        }
        None
    }

    pub(super) fn len(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    pub(super) fn take_all(&mut self) -> Vec<T> {
        self.queues.iter_mut().flat_map(|queue| queue.drain(..)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(ready: &mut Ready<Priority>, count: usize) -> [usize; 3] {
        let mut taken = [0; 3];
        for _ in 0..count {
            match ready.pop().expect("there is more") {
                Priority::High => taken[0] += 1,
                Priority::Normal => taken[1] += 1,
                Priority::Low => taken[2] += 1,
            }
        }
        taken
    }

    #[test]
    fn urgent_work_goes_first_and_the_rest_has_its_share() {
        let mut ready = Ready::default();
        for priority in [Priority::Low, Priority::Normal, Priority::High] {
            (0..1000).for_each(|_| ready.push(priority, priority));
        }
        assert_eq!(taken(&mut ready, 16), [16, 0, 0]);
        assert_eq!(taken(&mut ready, 5), [0, 4, 1]);
        assert_eq!(taken(&mut ready, 210), [160, 40, 10]);
    }

    #[test]
    fn nobody_waits_for_a_share_that_is_not_used() {
        let mut ready = Ready::default();
        (0..100).for_each(|_| ready.push(Priority::Low, Priority::Low));
        assert_eq!(taken(&mut ready, 100), [0, 0, 100]);
        assert!(ready.pop().is_none());
    }
}
