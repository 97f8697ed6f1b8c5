//! One message through the stages of one rule. Pure computation on the calling thread: nothing is published here, so
//! `trackside try` and the running host share it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use crate::message::{Headers, Message, Origin, is_reserved};
use crate::plan::{Plan, Probe, RoutePlan, RulePlan, StagePlan};
use crate::plugins::{
    CallError, Checked, Fault, Instances, MAX_PARTS, Part, Publication, Verdict, Work, keeping_lines,
};
use crate::rules::{FaultAction, OnFailure};

use super::confine::confine;
use super::outcome::{Dropped, Failure, FailureClass, Outcome, Output, StageTrace, fault_class, fault_kind};
use super::spans::{Called, Trail};

/// Headers of the W3C Trace Context, which follow a message wherever it goes.
const TRACE_HEADERS: [&str; 2] = ["traceparent", "tracestate"];

/// Runs messages through the stages of rules, with the instances of one thread.
#[derive(Debug)]
pub struct Runner {
    instances: Instances,
    tracing: bool,
}

/// A message, or a part of one, on its way.
struct Branch {
    message: Message,
    /// What the stages have found out about its payload.
    checked: Checked,
    /// Which part of the message it is: empty for the message itself, then for example `0.2`.
    part: String,
    /// The next stage, by position.
    next: usize,
    /// The route that the plugin which made this part chose for it.
    routed: Option<usize>,
    traces: Vec<StageTrace>,
}

/// Where the stages left a branch.
enum End {
    Routes(Vec<usize>),
    Parts(Vec<Part>),
    Published(Vec<Publication>),
    Drop(String),
}

/// What a message may still be split into. Each call of a plugin is bounded, but the parts that one stage makes can be
/// split by the next, and all of them are held until the last is through.
#[derive(Debug)]
pub(super) struct Room {
    parts: usize,
    bytes: usize,
    max_bytes: usize,
}

impl Room {
    /// How many times the largest `host-bytes` of a rule's plugins all parts of a message may have.
    const CALLS: usize = 4;

    fn of(rule: &RulePlan) -> Self {
        let limits = rule.stages.iter().map(|stage| stage.stage.plugin().settings().limits.host_bytes);
        let max_bytes = limits.max().unwrap_or(0).saturating_mul(Self::CALLS);
        Self { parts: MAX_PARTS, bytes: max_bytes, max_bytes }
    }

    /// Takes the place of a part.
    pub(super) fn take(&mut self, headers: &Headers, payload_bytes: usize) -> Result<(), Failure> {
        let full = |limit: String| {
            let reason = format!("the message was split into more than {limit}");
            Err(Failure::of_rule(FailureClass::Limit, reason))
        };
        let Some(parts) = self.parts.checked_sub(1) else { return full(format!("{MAX_PARTS} parts")) };
        let Some(bytes) = self.bytes.checked_sub(headers.copy_len() + payload_bytes) else {
            return full(format!("{} bytes, {} times `host-bytes`", self.max_bytes, Self::CALLS));
        };
        (self.parts, self.bytes) = (parts, bytes);
        Ok(())
    }
}

impl Runner {
    /// Takes the thread's instances. With `tracing`, outcomes tell each stage's verdict and time.
    #[must_use]
    pub fn new(instances: Instances, tracing: bool) -> Self {
        Self { instances, tracing }
    }

    /// Whether outcomes tell each stage's verdict and time from now on.
    pub(super) fn trace(&mut self, tracing: bool) {
        self.tracing = tracing;
    }

    /// Gives up the instances of stages that the plan does not have.
    pub fn keep_only(&mut self, plan: &Plan) {
        let stages = plan.rules.iter().flat_map(|rule| &rule.stages).map(|stage| stage.stage.id());
        self.instances.keep_only(&stages.collect());
    }

    /// Gives up all instances.
    pub(super) fn forget(&mut self) {
        self.instances.keep_only(&BTreeSet::new());
    }

    /// Runs a message through a rule. The parts of a split message share one fate: if one fails, none is published.
    /// With `probes` its result decides about breakers.
    pub fn run(
        &mut self,
        plan: &Plan,
        rule: &RulePlan,
        message: &Message,
        origin: &Arc<Origin>,
        probes: &[Probe],
    ) -> Outcome {
        self.follow(plan, rule, message, origin, probes, None)
    }

    /// The same, with a span for each stage.
    pub(super) fn follow(
        &mut self,
        plan: &Plan,
        rule: &RulePlan,
        message: &Message,
        origin: &Arc<Origin>,
        probes: &[Probe],
        trail: Option<Trail<'_>>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let whole = Branch {
            message: message.clone(),
            checked: Checked::default(),
            part: String::new(),
            next: 0,
            routed: None,
            traces: Vec::new(),
        };
        let mut todo = vec![whole];
        let mut room = Room::of(rule);
        while let Some(mut branch) = todo.pop() {
            let result = self.stages(rule, &mut branch, origin, probes, trail).and_then(|end| match end {
                End::Routes(routes) => emit(plan, rule, &mut branch, &routes, &mut outcome),
                End::Drop(reason) => {
                    outcome.dropped.push(Dropped { reason, stages: std::mem::take(&mut branch.traces) });
                    Ok(())
                }
                End::Parts(split) => {
                    split.iter().try_for_each(|part| room.take(&part.headers, part.payload.len()))?;
                    divide(rule, &mut branch, split, &mut todo, &mut outcome)
                }
                End::Published(published) => {
                    let stage = &rule.stages[branch.next - 1];
                    let split = confine(plan, rule, stage, &branch.message, published, &mut room)?;
                    divide(rule, &mut branch, split, &mut todo, &mut outcome)
                }
            });
            if let Err(mut failure) = result {
                failure.stages = branch.traces;
                let hopeless = failure.retry.is_none();
                outcome.fail(failure);
                if hopeless {
                    break;
                }
            }
        }
        if outcome.failure.is_some() {
            outcome.outputs.clear();
            outcome.dropped.clear();
        }
        outcome
    }

    /// Runs a branch until a stage takes it off the straight way or none is left.
    fn stages(
        &mut self,
        rule: &RulePlan,
        branch: &mut Branch,
        origin: &Arc<Origin>,
        probes: &[Probe],
        trail: Option<Trail<'_>>,
    ) -> Result<End, Failure> {
        if let Some(route) = branch.routed {
            return Ok(End::Routes(vec![route]));
        }
        while let Some(stage) = rule.stages.get(branch.next) {
            branch.next += 1;
            let before = stage.optional.then(|| branch.message.clone());
            let (message, checked) = (std::mem::take(&mut branch.message), std::mem::take(&mut branch.checked));
            let mut work = Work { message, origin: Arc::clone(origin), checked };
            let (begun, created) = (Instant::now(), self.instances.created());
            let (result, lines) = match trail {
                None => (self.instances.call(&stage.stage, &mut work), None),
                Some(_) => {
                    let (result, lines) = keeping_lines(|| self.instances.call(&stage.stage, &mut work));
                    (result, Some(lines))
                }
            };
            let took = begun.elapsed();
            if self.instances.created() > created {
                stage.metrics.instance_created();
            }
            (branch.message, branch.checked) = (work.message, work.checked);
            record(stage, &result, took, probes);
            if let (Some(trail), Some(lines)) = (trail, lines) {
                trail.stage(
                    &Called { rule, stage, number: branch.next, part: &branch.part, result: &result },
                    begun,
                    took,
                    lines,
                );
            }
            if self.tracing {
                branch.traces.push(StageTrace::new(&stage.plugin, &result, took));
            }
            match result {
                Ok(Verdict::Forward) => {}
                Ok(Verdict::Route(names)) => return routes(rule, stage, &names).map(End::Routes),
                Ok(Verdict::Split(parts)) => return Ok(End::Parts(parts)),
                Ok(Verdict::Publish(published)) => return Ok(End::Published(published)),
                Ok(Verdict::Drop(reason)) => return Ok(End::Drop(reason)),
                Ok(Verdict::Reject(reason)) => return Err(Failure::said(stage, FailureClass::Rejected, reason)),
                Err(error) => match (before, refused(&rule.on_failure, stage, error)) {
                    // Nothing of what the stage had done to the message by then is kept.
                    (Some(before), (FaultAction::Skip, _)) => branch.message = before,
                    (_, (_, failure)) => return Err(failure),
                },
            }
        }
        match rule.default_route {
            Some(route) => Ok(End::Routes(vec![route])),
            None => {
                let reason = "no stage chose a route, and the rule declares no route `default`".to_owned();
                Err(Failure::of_rule(FailureClass::Route, reason))
            }
        }
    }
}

/// Counts a call; the clock is read by the caller, since the trace wants the same figure.
fn record(stage: &StagePlan, result: &Result<Verdict, CallError>, took: std::time::Duration, probes: &[Probe]) {
    let fault = match result {
        Err(CallError::Fault(fault)) => Some(fault_kind(fault)),
        _ => None,
    };
    stage.metrics.called(took, fault);
    stage.seconds.observe(took);
    match result {
        // No room for an instance is the host's fault, not the plugin's.
        Err(CallError::Fault(Fault::Instantiate { .. })) => {}
        Err(CallError::Fault(_)) => stage.breaker.failed(probes),
        _ => stage.breaker.succeeded(probes),
    }
}

/// The positions of the routes that a stage named.
fn routes(rule: &RulePlan, stage: &StagePlan, names: &[String]) -> Result<Vec<usize>, Failure> {
    if names.len() > MAX_PARTS {
        let reason = format!("the plugin chose more than {MAX_PARTS} routes");
        return Err(Failure::at(stage, FailureClass::Limit, reason));
    }
    let mut found = Vec::new();
    for name in names {
        let Some(position) = rule.route(name) else {
            let declared: Vec<_> = rule.routes.iter().map(|route| route.name.as_str()).collect();
            let reason = format!(
                "the plugin chose the route {:?}, which the rule does not declare; it declares {}",
                name.chars().take(64).collect::<String>(),
                declared.join(", ")
            );
            return Err(Failure::said(stage, FailureClass::Route, reason));
        };
        if !found.contains(&position) {
            found.push(position);
        }
    }
    if found.is_empty() {
        let reason = "the plugin chose no route at all; to drop a message it has to say so".to_owned();
        return Err(Failure::at(stage, FailureClass::Route, reason));
    }
    Ok(found)
}

/// What a stage's failure means for the message, as the rule says.
fn refused(on_failure: &OnFailure, stage: &StagePlan, error: CallError) -> (FaultAction, Failure) {
    match error {
        CallError::Refused(refusal) => {
            let failure = Failure::said(stage, FailureClass::Retry, refusal.reason).retried(refusal.after);
            (FaultAction::Retry, failure)
        }
        CallError::Fault(fault) => {
            let action = match &fault {
                Fault::Trap { .. } | Fault::Fatal { .. } | Fault::Verdict { .. } | Fault::Configure { .. } => {
                    on_failure.on_trap
                }
                Fault::Deadline { .. } => on_failure.on_deadline,
                Fault::Memory { .. } | Fault::Limit { .. } => on_failure.on_limit,
                // It is the host that had no room, or the store that did not answer, not the message that was wrong.
                Fault::Instantiate { .. } | Fault::Store { .. } => FaultAction::Retry,
            };
            let (class, reason) = (fault_class(&fault), fault.to_string());
            let failure = match &fault {
                Fault::Fatal { .. } | Fault::Verdict { .. } | Fault::Configure { .. } => {
                    Failure::said(stage, class, reason)
                }
                _ => Failure::at(stage, class, reason),
            };
            match action {
                FaultAction::Retry => (action, failure.retried(None)),
                FaultAction::DeadLetter | FaultAction::Skip => (action, failure),
            }
        }
    }
}

/// Makes an output for each of the routes.
fn emit(
    plan: &Plan,
    rule: &RulePlan,
    branch: &mut Branch,
    routes: &[usize],
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let mut headers = branch.message.headers.clone();
    headers.retain(|header| !is_reserved(&header.name));
    for &route in routes {
        let RoutePlan { name, to, .. } = &rule.routes[route];
        let to = to
            .address(&branch.message, &plan.json)
            .map_err(|error| Failure::of_rule(FailureClass::Route, format!("route {name}: {error}")))?;
        outcome.outputs.push(Output {
            route,
            to,
            headers: headers.clone(),
            payload: branch.message.payload.clone(),
            diverted_from: None,
            part: branch.part.clone(),
            stages: branch.traces.clone(),
        });
    }
    Ok(())
}

/// Puts the parts of a split message on their ways: to the route they name, or to the next stage.
fn divide(
    rule: &RulePlan,
    branch: &mut Branch,
    parts: Vec<Part>,
    todo: &mut Vec<Branch>,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    if parts.is_empty() {
        let reason = "split into no parts".to_owned();
        outcome.dropped.push(Dropped { reason, stages: std::mem::take(&mut branch.traces) });
        return Ok(());
    }
    let stage = &rule.stages[branch.next - 1];
    let begin = todo.len();
    for (number, part) in parts.into_iter().enumerate() {
        let name = if branch.part.is_empty() { number.to_string() } else { format!("{}.{number}", branch.part) };
        let headers = carry_trace(part.headers, &branch.message.headers);
        let routed = match part.route {
            Some(route) => routes(rule, stage, &[route])?.first().copied(),
            None => None,
        };
        todo.push(Branch {
            message: Message { subject: branch.message.subject.clone(), headers, payload: part.payload },
            checked: Checked::default(),
            part: name,
            next: branch.next,
            routed,
            traces: branch.traces.clone(),
        });
    }
    // Branches are taken from the end of the list: the first part has to be there.
    todo[begin..].reverse();
    Ok(())
}

/// Carries the trace over to a part that does not set one itself.
fn carry_trace(mut headers: Headers, from: &Headers) -> Headers {
    for name in TRACE_HEADERS {
        if let (None, Some(value)) = (headers.get(name), from.get(name)) {
            headers.push(name, value);
        }
    }
    headers
}
