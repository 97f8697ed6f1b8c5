//! How long things take, on a machine that does other things too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::capture;
use crate::plugins::{ConfiguredStage, Instances, Work};
use crate::rules::{Case, Outcome};

/// Calls that are timed, unless they are slow.
const CALLS: usize = 500;

/// Runs of `configure` that are timed, unless they are slow.
const RUNS: usize = 5;

/// Time that one measurement may take.
const BUDGET: Duration = Duration::from_millis(40);

/// The fastest of several runs.
pub(super) fn fastest(mut run: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    let mut fastest = Duration::MAX;
    for _ in 0..RUNS {
        let before = Instant::now();
        run();
        fastest = fastest.min(before.elapsed());
        if start.elapsed() > BUDGET {
            break;
        }
    }
    fastest
}

/// The median time of a call with the first message of a case, an instance being there. None for what breaks the
/// instance: then the time would be that of making a new one.
pub(super) fn call(stage: &Arc<ConfiguredStage>, case: &Case) -> Option<Duration> {
    let handing = case.handings.first()?;
    let breaks = !matches!(
        handing.expected.outcome,
        Outcome::Forward
            | Outcome::Route
            | Outcome::Split
            | Outcome::Publish
            | Outcome::Drop
            | Outcome::Reject
            | Outcome::Retry
    );
    if breaks {
        return None;
    }
    capture::silently(|| {
        let (mut instances, start) = (Instances::new(1), Instant::now());
        let mut times = Vec::with_capacity(CALLS);
        // The first call makes the instance, and is not timed.
        for number in 0..=CALLS {
            let mut work = Work::new(handing.message.clone(), Arc::clone(&handing.origin));
            let before = Instant::now();
            let _ = instances.call(stage, &mut work);
            if number > 0 {
                times.push(before.elapsed());
            }
            if start.elapsed() > BUDGET && !times.is_empty() {
                break;
            }
        }
        times.sort();
        times.get(times.len() / 2).copied()
    })
}
