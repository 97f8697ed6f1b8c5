use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc as blocking;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::control::{Stopping, follow_hangups};
use crate::telemetry::Build;

use super::*;

mod changes;

const PATIENCE: Duration = Duration::from_secs(20);

type Call = Pin<Box<dyn Future<Output = Result<ReloadRecord, Stopping>> + Send>>;

/// What the next load is to find.
#[derive(Clone, Copy)]
enum Next {
    Plan(u8),
    Broken,
    Panic,
}

/// A controller whose loads begin with a word to the test and end when the test says how.
struct Bench {
    control: Control,
    metrics: Metrics,
    loads: mpsc::UnboundedReceiver<usize>,
    ends: blocking::Sender<Next>,
    plans: mpsc::UnboundedReceiver<u8>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Bench {
    async fn start(first: u8) -> Self {
        let (begun, loads) = mpsc::unbounded_channel();
        let (ends, next) = blocking::channel();
        let (activated, plans) = mpsc::unbounded_channel();
        let next = std::sync::Mutex::new(next);
        let count = AtomicUsize::new(0);
        let compile = move |_: &Wanted| {
            begun.send(count.fetch_add(1, Ordering::Relaxed)).unwrap();
            match next.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv().unwrap() {
                Next::Plan(plan) => Ok(compiled(plan)),
                Next::Broken => Err(Rejection { report: "rules/a.toml:1: broken".to_owned(), watch: Vec::new() }),
                Next::Panic => panic!("no such state"),
            }
        };
        let metrics = Metrics::new(Build { version: "0", wasmtime: "0", contract: "0" });
        let (mut controller, control) =
            Controller::new(compile, move |plan| activated.send(plan).unwrap(), metrics.clone());
        ends.send(Next::Plan(first)).unwrap();
        controller.start().await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(controller.run(async {
            let _ = stopped.await;
        }));
        let mut bench = Self { control, metrics, loads, ends, plans, stop, running };
        assert_eq!(bench.begun().await, 0);
        assert_eq!(bench.plans.recv().await, Some(first));
        bench
    }

    /// Waits until a load has begun.
    async fn begun(&mut self) -> usize {
        timeout(PATIENCE, self.loads.recv()).await.expect("a load").expect("a controller")
    }

    /// Asks for a reload; when this returns, the event is in the queue.
    async fn ask(&self) -> Call {
        let control = self.control.clone();
        let mut call: Call = Box::pin(async move { control.reload().await });
        std::future::poll_fn(|context| {
            assert!(call.as_mut().poll(context).is_pending(), "nothing could have answered yet");
            Poll::Ready(())
        })
        .await;
        call
    }

    fn end(&self, next: Next) {
        self.ends.send(next).unwrap();
    }

    fn active(&self) -> Revision {
        self.control.status().active.expect("a revision").revision
    }
}

fn compiled(plan: u8) -> Compiled<u8> {
    let revision = Revision::from_digest(&[plan; 32]);
    let plugins = vec![(PluginName::new("mask").unwrap(), "ab".repeat(32))];
    Compiled {
        plan,
        revision,
        rules: 2,
        plugins,
        watch: Vec::new(),
        warnings: vec!["a hint".to_owned()],
        contents: Contents::default(),
    }
}

async fn outcome(call: Call) -> ReloadRecord {
    timeout(PATIENCE, call).await.expect("an answer").expect("not stopping")
}

fn revision(plan: u8) -> Revision {
    Revision::from_digest(&[plan; 32])
}

#[tokio::test]
async fn the_start_puts_the_first_revision_in_force() {
    let bench = Bench::start(1).await;
    let status = bench.control.status();
    let (active, last) = (status.active.unwrap(), status.last_reload.unwrap());
    assert_eq!((active.revision, active.rules, active.plugins.len()), (revision(1), 2, 1));
    assert_eq!((last.trigger, last.outcome, last.revision), (Trigger::Start, Outcome::Activated, Some(revision(1))));
    assert_eq!(last.warnings, ["a hint"]);
    assert!(bench.metrics.encode().contains(&format!("trackside_revision_info{{revision=\"{}\"}} 1", revision(1))));
}

#[tokio::test]
async fn a_start_that_is_rejected_says_everything_that_is_wrong() {
    let rejection = |_: &Wanted| Err(Rejection { report: "all of it".to_owned(), watch: Vec::new() });
    let metrics = Metrics::new(Build { version: "0", wasmtime: "0", contract: "0" });
    let (mut controller, control) = Controller::<()>::new(rejection, |()| unreachable!("nothing to swap"), metrics);
    assert_eq!(controller.start().await.unwrap_err(), "all of it");
    assert!(control.status().active.is_none());
}

#[tokio::test]
async fn a_new_plan_is_activated_and_the_same_one_is_not() {
    let mut bench = Bench::start(1).await;
    let call = bench.ask().await;
    bench.end(Next::Plan(2));
    let record = outcome(call).await;
    assert_eq!(
        (record.outcome, record.revision, record.trigger),
        (Outcome::Activated, Some(revision(2)), Trigger::Admin)
    );
    assert_eq!(bench.plans.recv().await, Some(2));

    let call = bench.ask().await;
    bench.end(Next::Plan(2));
    assert_eq!(outcome(call).await.outcome, Outcome::Unchanged);
    assert!(bench.plans.try_recv().is_err(), "the plan in force was replaced by its like");
    let text = bench.metrics.encode();
    assert!(text.contains("trackside_reloads_total{outcome=\"activated\"} 2"), "{text}");
    assert!(text.contains("trackside_reloads_total{outcome=\"unchanged\"} 1"), "{text}");
}

#[tokio::test]
async fn a_rejected_or_panicking_load_leaves_the_revision_in_force() {
    let mut bench = Bench::start(1).await;
    for (next, said) in [(Next::Broken, "rules/a.toml:1: broken"), (Next::Panic, "no such state")] {
        let call = bench.ask().await;
        bench.end(next);
        let record = outcome(call).await;
        assert_eq!((record.outcome, &record.revision), (Outcome::Rejected, &Some(revision(1))));
        assert!(record.errors.as_ref().is_some_and(|errors| errors.contains(said)), "{record:?}");
        assert_eq!(bench.active(), revision(1));
        assert!(bench.metrics.encode().contains("trackside_last_reload_successful 0"));
    }
    assert!(bench.plans.try_recv().is_err());
    let call = bench.ask().await;
    bench.end(Next::Plan(3));
    assert_eq!(outcome(call).await.outcome, Outcome::Activated);
    assert!(bench.metrics.encode().contains("trackside_last_reload_successful 1"));
}

#[tokio::test]
async fn requests_during_a_load_share_one_that_begins_after_it() {
    let mut bench = Bench::start(1).await;
    let first = bench.ask().await;
    assert_eq!(bench.begun().await, 1);
    let mut late = Vec::new();
    for _ in 0..3 {
        late.push(bench.ask().await);
        bench.control.notify(Trigger::File { paths: BTreeSet::from(["rules/a.toml".into()]) });
    }
    bench.end(Next::Plan(2));
    assert_eq!(outcome(first).await.revision, Some(revision(2)), "the load that had begun answers the first");
    assert_eq!(bench.begun().await, 2);
    bench.end(Next::Plan(3));
    for call in late {
        let record = outcome(call).await;
        assert_eq!((record.revision, record.trigger), (Some(revision(3)), Trigger::Admin));
    }
    // One more request proves that no other load was under way or waiting.
    let last = bench.ask().await;
    assert_eq!(bench.begun().await, 3);
    bench.end(Next::Plan(3));
    assert_eq!(outcome(last).await.outcome, Outcome::Unchanged);
}

#[tokio::test]
async fn a_flood_of_requests_is_answered_whole() {
    let bench = Bench::start(1).await;
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            tokio::spawn({
                let control = bench.control.clone();
                async move { control.reload().await }
            })
        })
        .collect();
    for _ in 0..1000 {
        bench.control.notify(Trigger::Signal);
        bench.end(Next::Plan(2));
    }
    for call in calls {
        let record = timeout(PATIENCE, call).await.expect("an answer").unwrap().expect("not stopping");
        assert_eq!(record.revision, Some(revision(2)));
    }
}

#[tokio::test]
async fn stopping_answers_those_who_wait_and_swaps_nothing_any_more() {
    let mut bench = Bench::start(1).await;
    let (under_way, waiting) = (bench.ask().await, bench.ask().await);
    assert_eq!(bench.begun().await, 1);
    bench.stop.send(()).unwrap();
    timeout(PATIENCE, bench.running).await.expect("the controller stops").unwrap();
    assert_eq!(under_way.await.unwrap_err(), Stopping);
    assert_eq!(waiting.await.unwrap_err(), Stopping);
    assert_eq!(bench.control.reload().await.unwrap_err(), Stopping);
    bench.ends.send(Next::Plan(2)).unwrap();
    assert_eq!(bench.plans.recv().await, None, "the plan of a load that was given up came into force");
}

#[tokio::test]
async fn a_second_look_that_finds_nothing_is_not_told() {
    let mut bench = Bench::start(1).await;
    let began = bench.control.status().last_reload.unwrap().at;
    bench.control.notify(Trigger::Recheck);
    assert_eq!(bench.begun().await, 1);
    let after = bench.ask().await;
    bench.end(Next::Plan(1));
    assert_eq!(bench.begun().await, 2);
    assert_eq!(bench.control.status().last_reload.unwrap().at, began);
    bench.end(Next::Plan(1));
    assert_eq!(outcome(after).await.outcome, Outcome::Unchanged);
}

#[tokio::test]
async fn a_hangup_signal_asks_for_a_reload() {
    let mut bench = Bench::start(1).await;
    let following = tokio::spawn(follow_hangups(bench.control.clone()).unwrap());
    let own = std::process::id().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &own]).status().unwrap().success());
    assert_eq!(bench.begun().await, 1);
    bench.end(Next::Plan(2));
    assert_eq!(timeout(PATIENCE, bench.plans.recv()).await.unwrap(), Some(2));
    following.abort();
}

#[tokio::test]
async fn files_that_a_rejected_load_looked_for_are_watched_beside_those_in_force() {
    let looks = AtomicUsize::new(0);
    let compile = move |_: &Wanted| match looks.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(Compiled { watch: vec!["/plugins/a.wasm".into()], ..compiled(1) }),
        _ => Err(Rejection { report: "no such file".to_owned(), watch: vec!["/plugins/b.wasm".into()] }),
    };
    let metrics = Metrics::new(Build { version: "0", wasmtime: "0", contract: "0" });
    let (mut controller, control) = Controller::new(compile, |_| {}, metrics);
    controller.start().await.unwrap();
    let watched = control.watched();
    assert_eq!(*watched.borrow(), [PathBuf::from("/plugins/a.wasm")]);
    let running = tokio::spawn(controller.run(std::future::pending()));
    assert_eq!(control.reload().await.unwrap().outcome, Outcome::Rejected);
    assert_eq!(*watched.borrow(), [PathBuf::from("/plugins/a.wasm"), PathBuf::from("/plugins/b.wasm")]);
    running.abort();
}
