//! A circuit breaker: what fails again and again is left alone for a while, then tried with one message.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::rules::BreakerSettings;

/// How many results a failure rate looks back on.
const WINDOW: u32 = 100;

/// One for each plugin and for each route of a rule; it outlives revisions.
#[derive(Debug)]
pub struct Breaker {
    /// What it stands for, for the log: `plugin mask`, `route clean of rule orders`.
    name: String,
    /// Closed, no failure remembered: what every result of a healthy target sees, and all that it has to see.
    quiet: AtomicBool,
    /// Whether messages pass freely.
    closed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    settings: BreakerSettings,
    /// Failures since the last success.
    failures: u32,
    /// The last results, the newest in the lowest bit: 1 is a failure.
    recent: u128,
    seen: u32,
    open: Option<Open>,
    /// How many probes there were: every one has its own number.
    probes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    until: Instant,
    /// How long it was opened for.
    period: Duration,
    /// Which probe is under way.
    probe: Option<u64>,
}

/// Whether a message may pass.
#[derive(Debug)]
pub enum Pass {
    /// It may.
    Free,
    /// It may, and its result decides whether others may.
    Probe(Probe),
    /// Not before this time, or not before the probe that is under way has its result.
    Wait(Instant),
}

/// The one message that is let through. Dropped without a result, the next message becomes the probe.
#[derive(Debug)]
pub struct Probe {
    breaker: Arc<Breaker>,
    number: u64,
}

/// How often a message asks again while another one is the probe.
const PROBE_UNDER_WAY: Duration = Duration::from_millis(50);

impl Breaker {
    /// A closed one. `name` is what the log calls it.
    #[must_use]
    pub fn new(name: String, settings: BreakerSettings) -> Self {
        let state = State { settings, failures: 0, recent: 0, seen: 0, open: None, probes: 0 };
        Self { name, quiet: AtomicBool::new(true), closed: AtomicBool::new(true), state: Mutex::new(state) }
    }

    /// Takes over the settings of a new revision.
    pub fn configure(&self, settings: BreakerSettings) {
        let mut state = self.state();
        state.settings = settings;
        self.settle_quiet(&state);
    }

    /// Whether messages pass freely.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Until when it lets nothing pass; `None` if the next message may, if only as the probe.
    #[must_use]
    pub fn shut_until(&self) -> Option<Instant> {
        if self.is_closed() {
            return None;
        }
        let open = self.state().open?;
        let now = Instant::now();
        if now < open.until {
            return Some(open.until);
        }
        open.probe.map(|_| now + PROBE_UNDER_WAY)
    }

    /// Whether a message may pass now.
    #[must_use]
    pub fn pass(self: &Arc<Self>) -> Pass {
        if self.is_closed() {
            return Pass::Free;
        }
        let mut state = self.state();
        let State { open, probes, .. } = &mut *state;
        let Some(open) = open else { return Pass::Free };
        let now = Instant::now();
        if now < open.until {
            return Pass::Wait(open.until);
        }
        if open.probe.is_some() {
            return Pass::Wait(now + PROBE_UNDER_WAY);
        }
        *probes += 1;
        open.probe = Some(*probes);
        Pass::Probe(Probe { breaker: Arc::clone(self), number: *probes })
    }

    /// Something went well, for a message that has these probes, of whatever breakers.
    pub fn succeeded(&self, probes: &[Probe]) {
        if self.quiet.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state();
        if let Some(open) = state.open {
            // What was under way when it opened says nothing about now; the probe does.
            if !self.is_decided_by(open, probes) {
                return;
            }
            tracing::info!(breaker = self.name, "closed again");
            state.open = None;
            state.recent = 0;
            state.seen = 0;
            self.closed.store(true, Ordering::Release);
        }
        state.failures = 0;
        state.remember(false);
        self.settle_quiet(&state);
    }

    /// Something failed, for a message that has these probes, of whatever breakers.
    pub fn failed(&self, probes: &[Probe]) {
        let mut state = self.state();
        self.quiet.store(false, Ordering::Relaxed);
        let now = Instant::now();
        if let Some(open) = state.open {
            if self.is_decided_by(open, probes) {
                let (period, most) = (open.period, state.settings.open_for_most);
                let period = (period * 2).min(most);
                tracing::warn!(breaker = self.name, ?period, "still failing; left alone for longer");
                state.open = Some(Open { until: now + period, period, probe: None });
            }
            return;
        }
        state.failures = state.failures.saturating_add(1);
        state.remember(true);
        let rate = state.settings.failures_of_100;
        let many = rate.is_some_and(|rate| state.seen >= WINDOW && state.recent.count_ones() >= rate);
        if many || state.failures >= state.settings.failures {
            let period = state.settings.open_for;
            tracing::warn!(breaker = self.name, failures = state.failures, ?period, "failing; left alone for a while");
            state.open = Some(Open { until: now + period, period, probe: None });
            self.closed.store(false, Ordering::Release);
        }
    }

    fn is_decided_by(&self, open: Open, probes: &[Probe]) -> bool {
        let decides = |probe: &Probe| std::ptr::eq(&*probe.breaker, self) && open.probe == Some(probe.number);
        probes.iter().any(decides)
    }

    fn settle_quiet(&self, state: &State) {
        let quiet = state.open.is_none() && state.failures == 0 && state.settings.failures_of_100.is_none();
        self.quiet.store(quiet, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, failure: bool) {
        const MASK: u128 = (1 << WINDOW) - 1;
        self.recent = (self.recent << 1 | u128::from(failure)) & MASK;
        self.seen = self.seen.saturating_add(1);
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let mut state = self.breaker.state();
        if let Some(open) = state.open.as_mut().filter(|open| open.probe == Some(self.number)) {
            open.probe = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        failures: 3,
        failures_of_100: None,
        open_for: Duration::from_secs(1),
        open_for_most: Duration::from_secs(3),
    };

    fn breaker(settings: BreakerSettings) -> Arc<Breaker> {
        Arc::new(Breaker::new("test".to_owned(), settings))
    }

    fn fail(breaker: &Breaker, times: usize) {
        (0..times).for_each(|_| breaker.failed(&[]));
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_one_after_another_and_closes_with_a_probe_that_succeeds() {
        let breaker = breaker(SETTINGS);
        fail(&breaker, 2);
        breaker.succeeded(&[]);
        fail(&breaker, 2);
        assert!(matches!(breaker.pass(), Pass::Free), "a success in between starts the count anew");
        fail(&breaker, 1);
        let Pass::Wait(until) = breaker.pass() else { panic!("it is open") };
        assert_eq!(until - Instant::now(), SETTINGS.open_for);
        breaker.succeeded(&[]);
        assert!(!breaker.is_closed(), "what was under way says nothing about now");

        tokio::time::sleep_until(until).await;
        let Pass::Probe(probe) = breaker.pass() else { panic!("one may try") };
        assert!(matches!(breaker.pass(), Pass::Wait(_)), "only one at a time");
        breaker.succeeded(&[probe]);
        assert!(matches!(breaker.pass(), Pass::Free));
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_probe_is_under_way_only_its_result_counts() {
        let (one, other) = (breaker(SETTINGS), breaker(SETTINGS));
        for breaker in [&one, &other] {
            fail(breaker, 3);
        }
        tokio::time::sleep(SETTINGS.open_for).await;
        let (Pass::Probe(probe), Pass::Probe(foreign)) = (one.pass(), other.pass()) else { panic!("one may try") };
        one.succeeded(&[]);
        one.succeeded(&[foreign]);
        one.failed(&[]);
        let Pass::Wait(until) = one.pass() else { panic!("the probe is still under way") };
        assert_eq!(until - Instant::now(), PROBE_UNDER_WAY);
        one.succeeded(&[probe]);
        assert!(one.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_probe_says_after_its_first_result_is_a_result_like_any_other() {
        let breaker = breaker(SETTINGS);
        fail(&breaker, 3);
        tokio::time::sleep(SETTINGS.open_for).await;
        let Pass::Probe(probe) = breaker.pass() else { panic!("one may try") };
        let probes = [probe];
        breaker.failed(&probes);
        breaker.succeeded(&probes);
        assert!(!breaker.is_closed(), "the first part of a split message failed");
    }

    #[tokio::test(start_paused = true)]
    async fn each_probe_that_fails_doubles_the_wait_up_to_its_bound() {
        let breaker = breaker(SETTINGS);
        fail(&breaker, 3);
        for seconds in [1, 2, 3, 3] {
            let Pass::Wait(until) = breaker.pass() else { panic!("it is open") };
            assert_eq!(until - Instant::now(), Duration::from_secs(seconds));
            tokio::time::sleep_until(until).await;
            let Pass::Probe(probe) = breaker.pass() else { panic!("one may try") };
            breaker.failed(&[probe]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_without_a_result_makes_room_for_the_next_one() {
        let breaker = breaker(SETTINGS);
        fail(&breaker, 3);
        tokio::time::sleep(SETTINGS.open_for).await;
        let Pass::Probe(probe) = breaker.pass() else { panic!("one may try") };
        drop(probe);
        assert!(matches!(breaker.pass(), Pass::Probe(_)));
    }

    #[test]
    fn a_rate_opens_it_once_there_are_enough_results() {
        let settings = BreakerSettings { failures: 1000, failures_of_100: Some(50), ..SETTINGS };
        let breaker = breaker(settings);
        for number in 0..99 {
            if number % 2 == 0 { breaker.failed(&[]) } else { breaker.succeeded(&[]) }
        }
        assert!(breaker.is_closed(), "99 results are too few");
        breaker.failed(&[]);
        assert!(!breaker.is_closed());
    }
}
