//! Which lanes a rule may take. Guest code cannot be interrupted to let somebody else go first, so a plugin that computes
//! up to its deadline, on all lanes at a time, would have everybody else wait for it. Therefore there is one lane more than
//! was asked for, the spare one, which takes only work of rules that have proved to be quick, and only when none of the
//! others has come for work in a while: it costs nothing where all rules are quick.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::rules::Priority;

use super::job::Task;

/// What takes a processor for longer than this is not quick. Standard plugins take some microseconds for a message. Lanes
/// that have not come for work for as long have been given slow work, and the spare one steps in.
pub(super) const QUICK: Duration = Duration::from_millis(10);

/// How long a rule is taken for slow once it was; then it has to prove itself on an ordinary lane. A plugin that is slow
/// now and then to get round this holds up its neighbours once in that time, for one deadline.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Guest time after which a lane gives back what is left of its batch, which others may take then.
pub(super) const BATCH: Duration = Duration::from_millis(5);

/// Which lane it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    /// One that takes any work.
    Ordinary,
    /// The one that takes work of quick rules alone.
    Spare,
}

/// What a lane has taken, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Tasks that it has not begun with, in order.
    pub(super) tasks: VecDeque<Task>,
    /// The others.
    pub(super) ran: Vec<Ran>,
}

/// How long a task had a processor in the stages of its rule.
#[derive(Debug)]
pub(super) struct Ran {
    /// The rule's number.
    pub(super) rule: u32,
    pub(super) priority: Priority,
    pub(super) took: Duration,
}

/// What is known of a rule.
#[derive(Debug, Default)]
pub(super) struct Speed {
    /// Whether the last that it ran was quick.
    proved: bool,
    slow_until: Option<Instant>,
}

impl Speed {
    /// Something of the rule took so long.
    pub(super) fn ran(&mut self, took: Duration, now: Instant) {
        if took > QUICK {
            *self = Self { proved: false, slow_until: Some(now + REMEMBERED) };
        } else if self.slow_until.is_none_or(|until| now >= until) {
            *self = Self { proved: true, slow_until: None };
        }
    }

    /// Whether the spare lane takes its work. One that has done nothing yet has proved nothing.
    pub(super) fn is_quick(&self, now: Instant) -> bool {
        self.proved && self.slow_until.is_none_or(|until| now >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_quick_once_it_has_proved_so_and_slow_for_a_minute_once_it_was() {
        let begin = Instant::now();
        let mut speed = Speed::default();
        assert!(!speed.is_quick(begin), "nothing is known");
        speed.ran(QUICK, begin);
        assert!(speed.is_quick(begin));
        speed.ran(QUICK * 2, begin);
        speed.ran(QUICK, begin + REMEMBERED / 2);
        assert!(!speed.is_quick(begin + REMEMBERED / 2));
        assert!(!speed.is_quick(begin + REMEMBERED), "it has to prove itself again");
        speed.ran(QUICK, begin + REMEMBERED);
        assert!(speed.is_quick(begin + REMEMBERED));
    }
}
