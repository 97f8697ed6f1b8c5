//! The scheduler with real plans, on deliveries of the server in memory.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;

use super::job::{Job, Task};
use super::schedule::{HandedBack, Left, Scheduler};
use super::speed::{Batch, Seat};
use super::{InFlight, Window};
use crate::backbone::memory::{Happened, Server};
use crate::backbone::{Room, Source};
use crate::message::{Headers, Message, Subject, SubjectPattern};
use crate::names::SourceName;
use crate::plan::{Compiler, Plan};
use crate::plugins::{Engine, EngineSettings};
use crate::rules::{FileSet, load_from};
use crate::telemetry::{Build, Metrics};

const DURABLE: &str = "stream = \"ORDERS\"\ndurable = \"reader\"\npartitions = 1\n";
const CORE: &str = "subject = \"orders.>\"\n";

const RULES: &str = "[[rule]]\nname = \"orders\"\nsource = \"orders\"\nsubject = \"orders.>\"\norder-by = \"subject.2\"\n\
    [rule.routes]\ndefault = \"clean.{subject.2}\"\n[rule.breaker]\nfailures = 1\nopen-for = \"10m\"\nopen-for-most = \"10m\"\n";

struct World {
    server: Server,
    plan: Arc<Plan>,
    source: Source,
    flight: Arc<InFlight>,
    window: Window,
    scheduler: Scheduler,
}

impl World {
    fn new(source: &str) -> Self {
        let config = format!("[nats]\nservers = [\"nats://memory:4222\"]\n[sources.orders]\n{source}");
        let folder = tempfile::tempdir().expect("a folder");
        let files = FileSet::new(folder.path()).with("trackside.toml", config).with("rules/orders.toml", RULES);
        let (rules, _) = load_from(&files).unwrap_or_else(|report| panic!("{report}"));
        let metrics = Metrics::new(Build { version: "", wasmtime: "", contract: "" });
        let engine = Engine::new(EngineSettings::default()).expect("an engine");
        let plan = Compiler::new(engine, metrics.clone()).compile(&rules).unwrap_or_else(|report| panic!("{report}"));
        let server = Server::new(1);
        if source == DURABLE {
            let pattern = SubjectPattern::new("orders.>").expect("a pattern");
            server.add_stream("ORDERS", &[pattern], std::time::Duration::from_secs(120));
        }
        let name = SourceName::new("orders").expect("a name");
        let settings = &rules.config.sources[&name];
        let metrics = metrics.source(&name);
        Self {
            source: server.connect().open(settings).expect("opens"),
            flight: InFlight::new(name, Arc::clone(&metrics), None),
            window: Window::new(settings, metrics),
            scheduler: Scheduler::default(),
            server,
            plan,
        }
    }

    fn produce(&self, keys: &[&str]) {
        for key in keys {
            let subject = Subject::new(&format!("orders.{key}")).expect("a subject");
            let message = Message { subject, headers: Headers::default(), payload: Bytes::new() };
            let _ = self.server.produce(message);
        }
    }

    /// Takes in what the source delivers next, and returns what a lane gets then.
    async fn taken(&mut self) -> Vec<Task> {
        let room = Room { messages: 100, bytes: 1 << 20, holds_nothing: true };
        for delivery in self.source.next(room).await.expect("delivers") {
            let place = self.window.enter(delivery.bytes).await;
            let job = Job::new(delivery, Arc::clone(&self.plan), &self.flight, &[0], place);
            self.flight.entered(&job);
            self.scheduler.submit(job.tasks(&[0]));
        }
        self.ready()
    }

    fn ready(&self) -> Vec<Task> {
        let mut taken = Vec::new();
        loop {
            let mut batch = Batch::default();
            if self.scheduler.next(Seat::Ordinary, 1, &mut batch).now_or_never() != Some(true) {
                return taken;
            }
            taken.extend(batch.tasks);
        }
    }

    fn finish(&self, task: Task) -> HandedBack {
        self.scheduler.left(task, Left::Over)
    }
}

fn keys(tasks: &[Task]) -> Vec<&str> {
    tasks.iter().map(|task| task.job.message.subject.as_str().trim_start_matches("orders.")).collect()
}

#[tokio::test(start_paused = true)]
async fn what_the_spare_lane_gives_back_wakes_a_lane_that_waits_for_work() {
    let mut world = World::new(DURABLE);
    world.produce(&["a", "b", "c"]);
    let mut left_over = Batch { tasks: world.taken().await.into(), ran: Vec::new() };
    let mut batch = Batch::default();
    let mut lane = Box::pin(world.scheduler.next(Seat::Ordinary, 1, &mut batch));
    assert_eq!((&mut lane).now_or_never(), None, "there is nothing to do");
    assert_eq!(world.scheduler.next(Seat::Spare, 1, &mut left_over).now_or_never(), None, "it is not needed");
    assert_eq!(lane.now_or_never(), Some(true));
    let tasks: Vec<Task> = batch.tasks.into();
    assert_eq!(keys(&tasks), ["a"], "alone, since nothing is known of its rule");
}

#[tokio::test(start_paused = true)]
async fn at_the_end_nothing_waits_for_a_breaker_that_opens_meanwhile() {
    let mut world = World::new(DURABLE);
    world.produce(&["a", "a", "a", "b"]);
    let mut running = world.taken().await;
    assert_eq!(keys(&running), ["a", "b"]);
    assert!(world.scheduler.close().is_empty(), "nothing waits yet");
    world.plan.rules[0].routes[0].breaker.failed(&[]);
    assert!(world.finish(running.pop().expect("b")).is_empty());
    assert_eq!(keys(&world.finish(running.pop().expect("the first a"))), ["a", "a"]);
    assert_eq!(
        world.scheduler.next(Seat::Ordinary, 1, &mut Batch::default()).now_or_never(),
        Some(false),
        "everything is over"
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_gone_is_tried_again_in_its_place() {
    for source in [DURABLE, CORE] {
        let mut world = World::new(source);
        tokio::spawn(world.scheduler.clone().run_timer());
        world.produce(&["a", "b", "a"]);
        let mut running = world.taken().await;
        assert_eq!(keys(&running), ["a", "b"]);
        drop(running.remove(0));
        assert!(world.ready().is_empty(), "it waits for its next try, and what is behind it for it");
        tokio::time::sleep(world.plan.rules[0].on_failure.backoff[0]).await;
        let mut again = world.ready();
        assert_eq!((keys(&again), again[0].tries), (vec!["a"], 2));
        assert!(world.finish(again.remove(0)).is_empty());
        assert_eq!(keys(&world.ready()), ["a"], "what was behind it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_gone_at_the_end_is_handed_back_with_what_is_behind_it() {
    let mut world = World::new(DURABLE);
    world.produce(&["a", "a"]);
    let running = world.taken().await;
    assert!(world.scheduler.close().is_empty());
    drop(running);
    world.scheduler.clone().run_timer().await;
    let events = world.server.events();
    let handed_back = events.iter().filter(|event| matches!(event.what, Happened::HandedBack { .. })).count();
    assert_eq!(handed_back, 2);
}
