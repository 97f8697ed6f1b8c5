//! Waits until the outputs of one task are safe, and tells the breakers of their routes.

use std::sync::Arc;

use crate::backbone::Confirmed;
use crate::names::RouteName;
use crate::outlets::{Post, Posted, Service};

use super::caller::{Kept, Part};
use super::emit::Sending;
use super::job::Task;
use super::outlet::{OutputError, Safe, Underway};

/// What is under way of a task's outputs, and what has become of them.
struct Confirming<'t> {
    task: &'t Task,
    /// How many are safe.
    count: usize,
    /// Where they are, if somebody waits to hear.
    parts: Vec<Part>,
    /// What went wrong first.
    failed: Option<OutputError>,
}

/// Waits for every output; how many there were, and where they are if somebody waits to hear. Once one has failed, those
/// behind it that are not on their way stay: all of them go again with the next try, and would come out of order.
pub(super) async fn confirm(task: &Task, outputs: Vec<Sending>) -> Result<(usize, Vec<Part>), OutputError> {
    let flushes = task.job.can_go_back();
    let mut confirming = Confirming { task, count: 0, parts: Vec::new(), failed: None };
    let mut outputs = outputs.into_iter().peekable();
    while let Some(sending) = outputs.next() {
        if confirming.failed.is_some() && !sending.output.is_begun() {
            continue;
        }
        if sending.output.batch().is_none() {
            let to = confirming.to(&sending);
            let Sending { route, output, span } = sending;
            let result = output.safe(flushes).await;
            if let Some(span) = span {
                span.end(&result);
            }
            confirming.add(route, to, result, false);
            continue;
        }
        let mut together = vec![sending];
        while let Some(next) = outputs.next_if(|next| goes_with(next, &together)) {
            together.push(next);
        }
        confirming.post(together).await;
    }
    let Confirming { count, parts, failed, .. } = confirming;
    failed.map_or(Ok((count, parts)), Err)
}

impl Confirming<'_> {
    /// Posts batches that go together. The last of its tries a message has alone: nothing is to become a dead letter for
    /// what is wrong with others.
    async fn post(&mut self, together: Vec<Sending>) {
        let alone = self.task.tries >= self.task.rule().on_failure.tries;
        let (mut service, mut posts, mut sent) = (None, Vec::new(), Vec::new());
        for sending in together {
            let to = self.to(&sending);
            let Sending { route, output: Underway::Posting(its_service, post), span } = sending else {
                unreachable!("nothing but what is posted is a batch")
            };
            service = Some(its_service);
            posts.push(*post);
            sent.push((route, to, span));
        }
        let service = service.expect("there is one batch at least");
        let Posted { result, told } = service.post_together(posts, alone).await;
        for (index, (route, to, span)) in sent.into_iter().enumerate() {
            let result = result.clone().map(|()| Safe::Taken).map_err(OutputError::from);
            if let Some(span) = span {
                span.end(&result);
            }
            // One request has failed, however many were in it.
            self.add(route, to, result, told || index > 0);
        }
    }

    fn to(&self, sending: &Sending) -> Option<String> {
        self.task.job.caller.as_ref().map(|_| sending.output.to())
    }

    /// An output is safe, or not known to be. The breaker of its route is told, unless it has been `told` of this failure.
    fn add(&mut self, route: usize, to: Option<String>, result: Result<Safe, OutputError>, told: bool) {
        let (rule, probes) = (self.task.rule(), &self.task.probes);
        let (route, breaker) = (&rule.routes[route], &rule.routes[route].breaker);
        match result {
            Ok(safe) => {
                breaker.succeeded(probes);
                route.metrics.confirmed();
                self.count += 1;
                self.parts.extend(to.map(|to| part(&route.name, to, safe)));
            }
            Err(error) => {
                route.metrics.failed();
                // Neither a message that cannot be sent nor a lost connection says anything about the output. A probe
                // decides about its breaker, in whatever company it was.
                if error.blames_route(rule.divert.is_some()) && (!told || !probes.is_empty()) {
                    breaker.failed(probes);
                }
                self.failed.get_or_insert(error);
            }
        }
    }
}

/// Whether an output may go in one request with these.
fn goes_with(next: &Sending, together: &[Sending]) -> bool {
    let (Some((service, post)), others) = (next.output.batch(), together.iter().filter_map(|one| one.output.batch()))
    else {
        return false;
    };
    let others: Vec<(&Arc<Service>, &Post)> = others.collect();
    let posts: Vec<&Post> = others.iter().map(|(_, post)| *post).collect();
    others.iter().all(|(other, _)| Arc::ptr_eq(other, service)) && post.goes_with(&posts)
}

fn part(route: &RouteName, to: String, safe: Safe) -> Part {
    let kept = match safe {
        Safe::Answer(content) => return Part::Answer(content),
        Safe::Confirmed(Confirmed::Stored { stream, sequence, duplicate }) => {
            Kept::Stored { stream, sequence, duplicate }
        }
        Safe::Confirmed(Confirmed::Flushed) => Kept::Flushed,
        // Nobody waits to hear of what was published among others.
        Safe::Confirmed(Confirmed::Among { .. }) | Safe::Taken => Kept::Taken,
    };
    Part::Sent { route: route.clone(), to, kept }
}
