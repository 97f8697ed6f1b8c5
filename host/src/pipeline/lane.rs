//! Lanes: the threads that run stages. Guest code runs on no other thread, so that a plugin that computes up to its
//! deadline holds up its lane and nothing else: the connection, acknowledgements and the admin API go on.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use crate::backbone::Publisher;
use crate::plan::Plan;

use super::ack::Settler;
use super::emit::{Emitted, Routed};
use super::intake::Job;
use super::observe::Observer;
use super::stages::Runner;

/// Jobs that may wait for a lane.
const QUEUE_MESSAGES: usize = 256;

/// Jobs that a lane takes off its queue at a time.
const BATCH_MESSAGES: usize = 64;

/// Stack of a lane: guests may use 1 MiB of it, and the host calls they make need room beyond.
const STACK_BYTES: usize = 4 << 20;

/// Emitted messages that may wait for their confirmations, a lane.
const SETTLING_MESSAGES: usize = 4096;

/// What lanes need.
#[derive(Debug, Clone)]
pub struct LanesSettings {
    /// Publishes what comes out.
    pub publisher: Publisher,
    /// Is shown every outcome, if somebody looks.
    pub observer: Option<Observer>,
}

/// The lanes, running.
#[derive(Debug)]
pub struct Lanes {
    queues: LaneQueues,
    threads: Vec<JoinHandle<()>>,
    settlers: Vec<tokio::task::JoinHandle<()>>,
}

/// Where jobs are handed to lanes.
#[derive(Debug, Clone)]
pub struct LaneQueues(Arc<[mpsc::Sender<Job>]>);

struct Lane {
    jobs: mpsc::Receiver<Job>,
    emitted: mpsc::Sender<Emitted>,
    runner: Runner,
    publisher: Publisher,
    observer: Option<Observer>,
    /// The newest plan seen, to notice when instances have become useless.
    plan: Option<Arc<Plan>>,
    found: Vec<u32>,
}

impl Lanes {
    /// Starts a lane for each runner.
    ///
    /// # Errors
    /// When the system gives no further thread.
    pub fn start(runners: Vec<Runner>, settings: &LanesSettings) -> std::io::Result<Self> {
        let (mut queues, mut threads, mut settlers) = (Vec::new(), Vec::new(), Vec::new());
        let runtime = tokio::runtime::Handle::current();
        for (number, runner) in runners.into_iter().enumerate() {
            let (queue, jobs) = mpsc::channel(QUEUE_MESSAGES);
            let (emitted, settling) = mpsc::channel(SETTLING_MESSAGES);
            let settler = Settler::new(settling, settings.publisher.clone(), settings.observer.clone());
            let lane = Lane {
                jobs,
                emitted,
                runner,
                publisher: settings.publisher.clone(),
                observer: settings.observer.clone(),
                plan: None,
                found: Vec::new(),
            };
            let runtime = runtime.clone();
            let named = std::thread::Builder::new().name(format!("lane-{number}")).stack_size(STACK_BYTES);
            let thread = named.spawn(move || {
                // Entered but not blocked on: timers work, and a guest's virtual WASI may block on the runtime.
                let _entered = runtime.enter();
                futures::executor::block_on(lane.run());
            })?;
            settlers.push(tokio::spawn(settler.run()));
            queues.push(queue);
            threads.push(thread);
        }
        Ok(Self { queues: LaneQueues(queues.into()), threads, settlers })
    }

    /// Where jobs are handed in. The lanes run until every copy of this is gone.
    #[must_use]
    pub fn queues(&self) -> LaneQueues {
        self.queues.clone()
    }

    /// Waits until everything handed in is settled. Every other copy of the queues has to be gone.
    pub async fn drain(self) {
        drop(self.queues);
        for settler in self.settlers {
            if let Err(error) = settler.await {
                tracing::error!(%error, "a lane's acknowledgements broke off");
            }
        }
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a lane's thread panicked");
            }
        }
    }
}

impl LaneQueues {
    /// Hands a job to the lane with the shortest queue, and waits while all are full.
    pub async fn send(&self, job: Job) {
        let shortest = self.0.iter().max_by_key(|queue| queue.capacity()).expect("there is at least one lane");
        if shortest.send(job).await.is_err() {
            // The delivery is dropped unacknowledged, so a durable source redelivers it.
            tracing::error!("a lane has stopped; its messages go back to their source");
        }
    }
}

impl Lane {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MESSAGES);
        while self.jobs.recv_many(&mut batch, BATCH_MESSAGES).await > 0 {
            for job in batch.drain(..) {
                let emitted = self.route(job).emit(&self.publisher).await;
                if self.emitted.send(emitted).await.is_err() {
                    return;
                }
            }
        }
    }

    fn route(&mut self, job: Job) -> Routed {
        if self.plan.as_ref().is_none_or(|plan| !Arc::ptr_eq(plan, &job.plan)) {
            self.runner.keep_only(&job.plan);
            self.plan = Some(Arc::clone(&job.plan));
        }
        let message = &job.message;
        if let Some(source) = job.plan.sources.get(&job.source) {
            source.index.find(message.subject.as_str(), &mut self.found);
        } else {
            self.found.clear();
        }
        let mut outcomes = Vec::with_capacity(self.found.len());
        for &rule in &self.found {
            let rule = rule as usize;
            let outcome = self.runner.run(&job.plan, &job.plan.rules[rule], message, &job.origin);
            outcomes.push((rule, outcome));
        }
        Routed::new(job, outcomes, self.observer.as_ref())
    }
}
