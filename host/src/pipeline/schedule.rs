//! Decides which task is next. A task goes to a lane when it is the first of its key, its rule has room for it, the
//! services that it is for are there, the breakers let it pass, and nothing more urgent is waiting; `speed.rs` says which lanes it may take. Everything here is bounded by the windows of the sources:
//! each task belongs to a message that holds a place in one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::plan::{Breaker, Pass};
use crate::telemetry::TaskReadings;

use super::job::{LaneKey, Task};
use super::ready::Ready;
use super::settle::wait;
use super::speed::{Batch, QUICK, Ran, Seat, Speed};

/// Tasks that a lane takes at a time, at most: few enough that the lanes share the work evenly.
const MAX_BATCH_TASKS: usize = 32;

/// Shared by intakes, lanes and settlers; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Scheduler(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Wakes a lane: there is work, or there will be none any more.
    lanes: Notify,
    /// Wakes the spare lane: there may be work for it soon, or there will be none any more.
    spare: Notify,
    /// Wakes the timer: something is due earlier than it thinks, or there will be nothing any more.
    timer: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: Ready<Task>,
    /// The keys of which a task is under way, and what waits behind it.
    keys: HashMap<LaneKey, VecDeque<Task>>,
    /// By the rules' numbers.
    rules: Vec<RuleQueue>,
    /// Lanes that wait for work and have not been woken, the spare one not counted.
    idle: usize,
    /// When a lane last came for work, the spare one not counted.
    came: Option<Instant>,
    /// Whether the spare lane looks after the time by itself.
    spare_looks: bool,
    /// What waits for a time; the number keeps apart what waits for the same.
    later: BTreeMap<(Instant, u64), Later>,
    numbers: u64,
    /// Whether the timer may have to wake earlier than it thinks.
    retimed: bool,
    /// Tasks that were submitted and are not over.
    open: usize,
    closing: bool,
    /// What was given up and has to be handed back once nothing is locked.
    given_up: HandedBack,
}

#[derive(Debug, Default)]
struct RuleQueue {
    /// Tasks in a lane or being settled.
    running: usize,
    /// Tasks that wait for room or for a breaker.
    waiting: VecDeque<Task>,
    /// Whether what is waiting has been held up by a breaker or a service.
    shut: bool,
    /// Whether the timer will look at it.
    timed: bool,
    speed: Speed,
}

#[derive(Debug)]
enum Later {
    /// A task's next try.
    Task(Box<Task>),
    /// A rule, by its number, whose breakers may let something pass then.
    Rule(u32),
}

/// How a task left its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// It is over.
    Over,
    /// It is to be tried again after this long.
    Again(Duration),
}

/// Tasks that are not going to be tried here any more: their deliveries have to be handed back.
pub(super) type HandedBack = Vec<Task>;

impl Scheduler {
    /// Takes tasks in.
    pub(super) fn submit(&self, tasks: impl IntoIterator<Item = Task>) {
        let mut state = self.0.state();
        for task in tasks {
            state.open += 1;
            state.arrive(task);
        }
        // The timer hands it back.
        state.retimed |= !state.given_up.is_empty();
        self.0.wake(&mut state);
    }

    /// Waits for tasks and takes some: with an ordinary seat, its share among that many lanes. What is left of the batch
    /// before is given back, and what became of the others is remembered. False when there are none any more.
    pub(super) async fn next(&self, seat: Seat, lanes: usize, batch: &mut Batch) -> bool {
        self.0.state().account(batch);
        let more = match seat {
            Seat::Ordinary => self.next_ordinary(lanes, batch).await,
            Seat::Spare => self.next_spare(lanes, batch).await,
        };
        for task in &mut batch.tasks {
            task.held = Some(self.clone());
        }
        more
    }

    async fn next_ordinary(&self, lanes: usize, batch: &mut Batch) -> bool {
        let shared = &*self.0;
        loop {
            let mut woken = std::pin::pin!(shared.lanes.notified());
            // From here on it is among those that can be woken, so that each one that is counted as idle is woken once.
            woken.as_mut().enable();
            {
                let mut state = shared.state();
                state.came = Some(Instant::now());
                state.take(Seat::Ordinary, lanes, batch);
                if !batch.tasks.is_empty() {
                    shared.wake_lanes(&mut state);
                    return true;
                }
                if state.is_over() {
                    return false;
                }
                state.idle += 1;
            }
            woken.await;
        }
    }

    async fn next_spare(&self, lanes: usize, batch: &mut Batch) -> bool {
        let shared = &*self.0;
        loop {
            let woken = shared.spare.notified();
            let needed = {
                let mut state = shared.state();
                let now = Instant::now();
                let needed = state.spare_is_needed(now);
                if needed.is_some_and(|at| at <= now) {
                    state.take(Seat::Spare, lanes, batch);
                    if !batch.tasks.is_empty() {
                        return true;
                    }
                }
                if state.is_over() {
                    return false;
                }
                state.spare_looks = needed.is_some();
                if needed.is_none() {
                    // The others may have gone to sleep while it had what it has given back.
                    shared.wake_lanes(&mut state);
                }
                needed
            };
            match needed {
                Some(at) => {
                    tokio::select! {
                        biased;
                        () = woken => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
                None => woken.await,
            }
        }
    }

    /// A task has left its lane. Returns what has to be handed back because nothing is tried again any more.
    pub(super) fn left(&self, task: Task, how: Left) -> HandedBack {
        self.left_together(std::iter::once((task, how)))
    }

    /// The same for several.
    pub(super) fn left_together(&self, tasks: impl IntoIterator<Item = (Task, Left)>) -> HandedBack {
        let mut state = self.0.state();
        for (mut task, how) in tasks {
            // Told to the breakers before anything asks them again.
            task.probes.clear();
            task.held = None;
            let number = task.rule().number;
            state.rule(number).running -= 1;
            match how {
                Left::Over => {
                    state.open -= 1;
                    state.release(task.key);
                }
                Left::Again(_) if state.closing && task.job.can_go_back() => state.give_up(task),
                Left::Again(after) => state.put_off(Instant::now() + after, Later::Task(Box::new(task))),
            }
            state.serve(number);
        }
        self.0.wake(&mut state);
        std::mem::take(&mut state.given_up)
    }

    /// A task is gone in the middle of its lane, and this is its copy.
    pub(super) fn broke_off(&self, mut task: Task) {
        let after = wait(&task.rule().on_failure, task.waits, None, &task.job.origin.id);
        task.try_again(true);
        task.broke_off = true;
        let given_up = self.left(task, Left::Again(after));
        if !given_up.is_empty() {
            // The timer hands it back.
            let mut state = self.0.state();
            state.given_up.extend(given_up);
            state.retimed = true;
            self.0.wake(&mut state);
        }
    }

    /// What there is to do, by what it waits for.
    #[must_use]
    pub fn readings(&self) -> TaskReadings {
        let state = self.0.state();
        let ready = state.ready.len();
        // What is ready has its place in its rule already.
        let admitted: usize = state.rules.iter().map(|rule| rule.running).sum();
        let later = state.later.values().filter(|later| matches!(later, Later::Task(_))).count();
        let waiting = state.open.saturating_sub(admitted + later);
        TaskReadings { ready, running: admitted.saturating_sub(ready), waiting, later }
    }

    /// Nothing more is submitted. What waits for a time or a breaker, or has to later, is handed back where that is
    /// possible; everything else goes on to its end.
    pub(super) fn close(&self) -> HandedBack {
        let mut state = self.0.state();
        state.closing = true;
        for (time, later) in std::mem::take(&mut state.later) {
            match later {
                Later::Task(task) if task.job.can_go_back() => state.give_up(*task),
                later => {
                    state.later.insert(time, later);
                }
            }
        }
        for number in (0..).take(state.rules.len()) {
            state.give_up_waiting(number);
        }
        state.retimed = true;
        self.0.wake(&mut state);
        std::mem::take(&mut state.given_up)
    }

    /// Gives up everything that is in no lane.
    pub(super) fn abandon(&self) -> HandedBack {
        let mut state = self.0.state();
        let mut back: HandedBack = state.ready.take_all();
        for task in &back {
            let number = task.rule().number;
            state.rule(number).running -= 1;
        }
        // Sorted, so that it can be repeated.
        let keys: BTreeMap<_, _> = std::mem::take(&mut state.keys).into_iter().collect();
        back.extend(keys.into_values().flatten());
        for rule in &mut state.rules {
            back.extend(rule.waiting.drain(..));
        }
        for later in std::mem::take(&mut state.later).into_values() {
            if let Later::Task(task) = later {
                back.push(*task);
            }
        }
        state.open -= back.len();
        state.retimed = true;
        self.0.wake(&mut state);
        back
    }

    /// Moves what is due to where it is taken from, until there is nothing any more.
    pub(super) async fn run_timer(self) {
        loop {
            let woken = self.0.timer.notified();
            let (next, given_up) = {
                let mut state = self.0.state();
                if state.is_over() && state.given_up.is_empty() {
                    return;
                }
                state.due(Instant::now());
                state.retimed = false;
                self.0.wake(&mut state);
                (state.later.keys().next().map(|(time, _)| *time), std::mem::take(&mut state.given_up))
            };
            if !given_up.is_empty() {
                hand_back(given_up).await;
                continue;
            }
            match next {
                Some(time) => {
                    tokio::select! {
                        biased;
                        () = woken => {}
                        () = tokio::time::sleep_until(time) => {}
                    }
                }
                None => woken.await,
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, state: &mut State) {
        if std::mem::take(&mut state.retimed) {
            self.timer.notify_one();
        }
        if state.is_over() {
            self.lanes.notify_waiters();
            // For a lane that has not begun to wait yet.
            self.lanes.notify_one();
            self.spare.notify_one();
            self.timer.notify_one();
        } else {
            self.wake_lanes(state);
        }
    }

    /// Wakes a lane if there is work. Whoever is woken looks after the rest of it.
    fn wake_lanes(&self, state: &mut State) {
        if state.ready.len() == 0 {
            return;
        }
        if state.idle > 0 {
            state.idle -= 1;
            self.lanes.notify_one();
        } else if !state.spare_looks && state.spare_is_needed(Instant::now()).is_some() {
            state.spare_looks = true;
            self.spare.notify_one();
        }
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.closing && self.open == 0
    }

    /// Takes back what a lane has not begun with, and remembers how long the others took.
    fn account(&mut self, batch: &mut Batch) {
        let now = Instant::now();
        for Ran { rule, priority, took } in batch.ran.drain(..) {
            self.rule(rule).speed.ran(took, now);
            self.ready.took(priority, rule, took);
        }
        while let Some(mut task) = batch.tasks.pop_back() {
            task.held = None;
            let rule = task.rule();
            let (number, priority) = (rule.number, rule.priority);
            self.ready.give_back(priority, number, task);
        }
    }

    /// Fills a batch. What may take long is taken alone, or it would hold up what is taken with it.
    fn take(&mut self, seat: Seat, lanes: usize, batch: &mut Batch) {
        let now = Instant::now();
        let fair = self.ready.len().div_ceil(lanes.max(1)).min(MAX_BATCH_TASKS);
        while batch.tasks.len() < fair {
            let alone = seat == Seat::Spare || !batch.tasks.is_empty();
            let rules = &self.rules;
            let may = |rule| !alone || is_quick(rules, rule, now);
            let task = if batch.tasks.is_empty() { self.ready.pop(may) } else { self.ready.pop_more(may) };
            let Some(task) = task else { return };
            let quick = is_quick(&self.rules, task.rule().number, now);
            batch.tasks.push_back(task);
            if !quick {
                return;
            }
        }
    }

    /// When the spare lane is to take work, if none of the others comes for it before.
    fn spare_is_needed(&self, now: Instant) -> Option<Instant> {
        let needed = self.idle == 0 && self.ready.has(|rule| is_quick(&self.rules, rule, now));
        needed.then(|| self.came.map_or(now, |came| came + QUICK))
    }

    fn rule(&mut self, number: u32) -> &mut RuleQueue {
        let number = number as usize;
        if number >= self.rules.len() {
            self.rules.resize_with(number + 1, RuleQueue::default);
        }
        &mut self.rules[number]
    }

    /// A task that is new: it waits for those of its key that came before it.
    fn arrive(&mut self, task: Task) {
        if let Some(key) = task.key {
            if let Some(behind) = self.keys.get_mut(&key) {
                behind.push_back(task);
                return;
            }
            self.keys.insert(key, VecDeque::new());
        }
        self.admit(task);
    }

    /// A task that is the first of its key: it waits for those of its rule that came before it.
    fn admit(&mut self, task: Task) {
        let number = task.rule().number;
        if !self.rule(number).waiting.is_empty() {
            return self.rule(number).waiting.push_back(task);
        }
        if let Some((task, until)) = self.enter(task) {
            self.rule(number).waiting.push_back(task);
            self.wait(number, until);
        }
    }

    /// Hands a task to the lanes, if its rule has room and the breakers let it pass. Otherwise gives it back, and says
    /// when the breakers may let it pass if it waits for them.
    fn enter(&mut self, mut task: Task) -> Option<(Task, Option<Instant>)> {
        let rule = task.rule();
        let (number, priority) = (rule.number, rule.priority);
        if rule.concurrency.is_some_and(|most| self.rule(number).running >= most) {
            return Some((task, None));
        }
        let shut = rule.gate.closed_until();
        if shut.is_some() {
            return Some((task, shut));
        }
        let mut probes = Vec::new();
        let passes = rule.breakers().map(Breaker::pass);
        let until = passes.into_iter().find_map(|pass| match pass {
            Pass::Free => None,
            Pass::Probe(probe) => {
                probes.push(probe);
                None
            }
            Pass::Wait(until) => Some(until),
        });
        if until.is_some() {
            return Some((task, until));
        }
        task.probes = probes;
        self.rule(number).running += 1;
        self.ready.push(priority, number, task);
        None
    }

    /// Hands on what waits for a rule, as far as it may go.
    fn serve(&mut self, number: u32) {
        while let Some(mut task) = self.rule(number).waiting.pop_front() {
            task.held_up |= self.rule(number).shut;
            if let Some((task, until)) = self.enter(task) {
                self.rule(number).waiting.push_front(task);
                return self.wait(number, until);
            }
        }
        self.rule(number).shut = false;
    }

    /// Has a rule wait for room, or until its breakers may let something pass. At the end nothing waits for breakers.
    fn wait(&mut self, number: u32, until: Option<Instant>) {
        let Some(until) = until else { return };
        self.rule(number).shut = true;
        let called = |task: &Task| task.job.caller.is_some();
        let waiting = &self.rule(number).waiting;
        if waiting.front().is_some_and(called) || waiting.back().is_some_and(called) || self.closing {
            self.give_up_waiting(number);
        }
        let rule = self.rule(number);
        if !rule.timed && !rule.waiting.is_empty() {
            rule.timed = true;
            self.put_off(until, Later::Rule(number));
        }
    }

    /// Gives up what waits for a rule, as far as somebody waits for an answer, and at the end as far as it comes again.
    fn give_up_waiting(&mut self, number: u32) {
        let closing = self.closing;
        let waiting = std::mem::take(&mut self.rule(number).waiting);
        let (comes_again, kept) = waiting
            .into_iter()
            .partition::<VecDeque<_>, _>(|task| task.job.caller.is_some() || closing && task.job.redelivers());
        self.rule(number).waiting = kept;
        comes_again.into_iter().for_each(|task| self.give_up(task));
    }

    fn put_off(&mut self, until: Instant, later: Later) {
        self.numbers += 1;
        self.later.insert((until, self.numbers), later);
        self.retimed = true;
    }

    /// What was waiting for this time, or an earlier one.
    fn due(&mut self, now: Instant) {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Later::Task(task) => self.admit(*task),
                Later::Rule(number) => {
                    self.rule(number).timed = false;
                    self.serve(number);
                }
            }
        }
    }

    /// The next task of a key takes the place of one that is over.
    fn release(&mut self, key: Option<LaneKey>) {
        let Some(key) = key else { return };
        match self.keys.get_mut(&key).and_then(VecDeque::pop_front) {
            Some(next) => self.admit(next),
            None => {
                self.keys.remove(&key);
            }
        }
    }

    /// Gives a task up, and those of its key that would overtake it otherwise.
    fn give_up(&mut self, task: Task) {
        let behind = task.key.and_then(|key| self.keys.remove(&key)).unwrap_or_default();
        self.open -= 1 + behind.len();
        self.given_up.push(task);
        self.given_up.extend(behind);
    }
}

/// Hands deliveries back to their sources.
pub(super) async fn hand_back(tasks: HandedBack) {
    for task in tasks {
        if let Some(caller) = &task.job.caller {
            caller.given_up(task.rule());
        }
        task.job.hand_back().await;
    }
}

fn is_quick(rules: &[RuleQueue], rule: u32, now: Instant) -> bool {
    rules.get(rule as usize).is_some_and(|rule| rule.speed.is_quick(now))
}
