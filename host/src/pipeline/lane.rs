//! The threads that run stages. Guest code runs on no other thread, so that a plugin that computes up to its deadline
//! holds up its thread and nothing else: the connection, acknowledgements and the admin API go on.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::backbone::Publisher;
use crate::plan::{Live, Pinned, Plan};
use crate::telemetry::{Readiness, task_panic};

use super::caller::Caller;
use super::emit::{Emitted, Routed};
use super::job::Task;
use super::outcome::{Failure, FailureClass, Outcome};
use super::schedule::{Scheduler, hand_back};
use super::seen::Glimpse;
use super::settle::{Leaving, Settler, Shelf};
use super::spans::Trail;
use super::speed::{BATCH, Batch, Ran, Seat};
use super::stages::Runner;
use super::survive::survive;
use super::taps::Taps;

/// Stack of a lane: guests may use 1 MiB of it, and the host calls they make need room beyond.
const STACK_BYTES: usize = 4 << 20;

/// Emitted tasks that are handed on together, at most.
const HANDED_ON_TASKS: usize = 16;

/// How many times that may wait to be taken by a lane's settler.
const HANDED_ON_TIMES: usize = 256;

/// Guest time after which what was emitted is handed on at once, so that nothing that is fast waits for what is slow.
const HAND_ON: Duration = Duration::from_micros(500);

/// What took less than this by the clock on the wall is not worth asking the system what the thread had of it.
const WORTH_ASKING: Duration = Duration::from_millis(1);

/// What lanes need.
#[derive(Debug, Clone)]
pub struct LanesSettings {
    /// Publishes what comes out.
    pub publisher: Publisher,
    /// Are shown every outcome, if somebody looks.
    pub taps: Taps,
    /// Is told when dead letters cannot be stored.
    pub readiness: Readiness,
    /// The plan in force.
    pub live: Live,
}

/// The lanes, running.
#[derive(Debug)]
pub struct Lanes {
    scheduler: Scheduler,
    threads: Vec<JoinHandle<()>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

struct Lane {
    scheduler: Scheduler,
    seat: Seat,
    /// How many ordinary ones there are.
    lanes: usize,
    emitted: mpsc::Sender<Vec<Emitted>>,
    /// What is to be handed on to the settler.
    waiting: Vec<Emitted>,
    /// What was safe at once.
    ended: Vec<Leaving>,
    shelf: Arc<Shelf>,
    runner: Runner,
    publisher: Publisher,
    taps: Taps,
    live: Pinned,
    /// The newest plan seen, to notice when instances have become useless.
    plan: Option<Arc<Plan>>,
}

impl Lanes {
    /// Starts a thread for each runner. If there are several, the last one is that of the spare lane.
    ///
    /// # Errors
    /// When the system gives no further thread.
    pub fn start(runners: Vec<Runner>, settings: &LanesSettings) -> std::io::Result<Self> {
        let (mut this, lanes) = Self::prepare(runners, settings);
        let runtime = tokio::runtime::Handle::current();
        for (number, lane) in lanes.into_iter().enumerate() {
            let runtime = runtime.clone();
            let named = std::thread::Builder::new().name(format!("lane-{number}")).stack_size(STACK_BYTES);
            this.threads.push(named.spawn(move || {
                // Entered but not blocked on: timers work, and a guest's virtual WASI may block on the runtime.
                let _entered = runtime.enter();
                futures::executor::block_on(lane.run());
            })?);
        }
        Ok(this)
    }

    /// Starts the lanes as tasks of the runtime that this is called on: on a runtime of one thread whose time stands
    /// still everything then happens in an order that can be repeated.
    #[must_use]
    pub fn start_as_tasks(runners: Vec<Runner>, settings: &LanesSettings) -> Self {
        let (mut this, lanes) = Self::prepare(runners, settings);
        this.tasks.extend(lanes.into_iter().map(|lane| tokio::spawn(lane.run())));
        this
    }

    fn prepare(runners: Vec<Runner>, settings: &LanesSettings) -> (Self, Vec<Lane>) {
        let scheduler = Scheduler::default();
        let shelf = Arc::new(Shelf::new(scheduler.clone(), settings));
        let mut tasks = vec![tokio::spawn(scheduler.clone().run_timer())];
        let count = runners.len();
        let lanes = runners.into_iter().enumerate().map(|(number, runner)| {
            let (emitted, settling) = mpsc::channel(HANDED_ON_TIMES);
            tasks.push(tokio::spawn(Settler::new(settling, Arc::clone(&shelf)).run()));
            Lane {
                scheduler: scheduler.clone(),
                seat: if number > 0 && number + 1 == count { Seat::Spare } else { Seat::Ordinary },
                lanes: count.saturating_sub(1).max(1),
                emitted,
                waiting: Vec::new(),
                ended: Vec::new(),
                shelf: Arc::clone(&shelf),
                runner,
                publisher: settings.publisher.clone(),
                taps: settings.taps.clone(),
                live: settings.live.reader(),
                plan: None,
            }
        });
        let lanes = lanes.collect();
        (Self { scheduler, threads: Vec::new(), tasks }, lanes)
    }

    /// Where tasks are submitted.
    #[must_use]
    pub fn scheduler(&self) -> Scheduler {
        self.scheduler.clone()
    }

    /// Waits until everything that was submitted is settled or handed back: what waits for another try, or for a
    /// breaker, is handed back at once. Nothing may be submitted any more.
    pub async fn drain(&mut self) {
        hand_back(self.scheduler.close()).await;
        for task in &mut self.tasks {
            if let Err(error) = task.await {
                tracing::error!(panic = task_panic(error), "a part of the pipeline broke off");
            }
        }
        self.tasks.clear();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a lane's thread panicked");
            }
        }
    }

    /// Hands back whatever no lane has begun with; what a lane has begun with is left to come again by itself.
    pub async fn abandon(&self) {
        hand_back(self.scheduler.abandon()).await;
    }
}

impl Drop for Lanes {
    /// Without having been drained, what runs as tasks breaks off in the middle of whatever it does.
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// How long this thread has had a processor.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

impl Lane {
    async fn run(mut self) {
        let mut batch = Batch::default();
        while self.scheduler.next(self.seat, self.lanes, &mut batch).await {
            let (mut spent, mut handed_on, mut cpu) = (Duration::ZERO, Duration::ZERO, processor_time());
            while spent < BATCH
                && let Some(task) = batch.tasks.pop_front()
            {
                let (rule, priority, begun) = (task.rule().number, task.rule().priority, Instant::now());
                let mut took = Duration::ZERO;
                let emitting = async {
                    let routed = self.route(task);
                    took = begun.elapsed();
                    let routed_at = begun + took;
                    if took > WORTH_ASKING {
                        // What the thread waited for a processor is not the rule's: on a busy machine all would be slow.
                        let before = std::mem::replace(&mut cpu, processor_time());
                        took = took.min(cpu.saturating_sub(before));
                    }
                    routed.emit(&self.publisher, routed_at).await
                };
                let emitted = survive("handling a message", emitting).await;
                batch.ran.push(Ran { rule, priority, took });
                spent += took;
                match emitted {
                    Some(emitted) if emitted.is_safe() => self.ended.extend(self.shelf.settle(emitted).await),
                    Some(emitted) => self.waiting.push(emitted),
                    None => self.runner.forget(),
                }
                let many = self.waiting.len() + self.ended.len() >= HANDED_ON_TASKS;
                if many || spent - handed_on > HAND_ON {
                    handed_on = spent;
                    self.hand_on().await;
                }
            }
            self.hand_on().await;
        }
    }

    /// Ends what is safe, and has the settler wait for the rest.
    async fn hand_on(&mut self) {
        self.shelf.end(&mut self.ended).await;
        if !self.waiting.is_empty() {
            // Without a settler the pipeline is being torn down, and what is in it comes again.
            let _ = self.emitted.send(std::mem::take(&mut self.waiting)).await;
        }
    }

    fn route(&mut self, mut task: Task) -> Routed {
        let watched = self.taps.are_open();
        let glimpse = if watched { self.taps.look(&task) } else { Glimpse::default() };
        if task.held_up && !task.renew(&self.live.pin()) && (task.stuck.is_some() || task.job.redelivers()) {
            return Routed::withdrawn(task, glimpse);
        }
        if task.job.caller.as_ref().is_some_and(Caller::is_late) {
            return Routed::withdrawn(task, glimpse);
        }
        let (job, plan) = (&task.job, &task.plan);
        if self.plan.as_ref().is_none_or(|known| !Arc::ptr_eq(known, plan)) {
            self.runner.keep_only(plan);
            self.plan = Some(Arc::clone(plan));
        }
        let rule = task.rule();
        let outcome = if task.broke_off && task.tries > rule.on_failure.tries && !rule.pauses() {
            let reason = "Trackside broke off whenever it handled the message; its log says why".to_owned();
            Outcome::failed(Failure::of_rule(FailureClass::Host, reason).retried(None))
        } else {
            self.runner.trace(watched);
            self.runner.follow(plan, rule, &job.message, &task.origin(), &task.probes, Trail::of(&task))
        };
        Routed::new(task, outcome, glimpse)
    }
}
