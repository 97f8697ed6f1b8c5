//! What became of one message in one rule.

use std::time::Duration;

use bytes::Bytes;

use crate::message::Headers;
use crate::names::PluginName;
use crate::plan::{Address, StagePlan};
use crate::plugins::{CallError, Fault, Verdict};

/// What became of one message in one rule. With a failure nothing is published but a dead letter, if it is one.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is to be published, in order.
    pub outputs: Vec<Output>,
    /// What a plugin dropped: the message, or parts of it.
    pub dropped: Vec<Dropped>,
    /// Why the message cannot go on, now or ever.
    pub failure: Option<Failure>,
}

/// One message to publish.
#[derive(Debug, Clone)]
pub struct Output {
    /// The route, by its position in the rule.
    pub route: usize,
    /// Where it goes.
    pub to: Address,
    /// Its headers, without those that are reserved.
    pub headers: Headers,
    /// Its payload.
    pub payload: Bytes,
    /// The route that the stages chose, where the output is sent elsewhere because that one is left alone.
    pub diverted_from: Option<usize>,
    /// Which part of the message it is; empty for the message itself.
    pub part: String,
    /// The way it took, if that is traced.
    pub stages: Vec<StageTrace>,
}

/// A message, or a part of one, that a plugin dropped.
#[derive(Debug, Clone)]
pub struct Dropped {
    /// Why, as the plugin put it.
    pub reason: String,
    /// The way it took, if that is traced.
    pub stages: Vec<StageTrace>,
}

/// Why a message cannot go on in a rule.
#[derive(Debug)]
pub struct Failure {
    /// What kind of failure it is.
    pub class: FailureClass,
    /// A sentence that shows nothing of the payload.
    pub reason: String,
    /// Whether the log may have the reason: not the words of a plugin that may not log.
    pub loggable: bool,
    /// The plugin and its component's SHA-256, where a stage failed.
    pub plugin: Option<(PluginName, [u8; 32])>,
    /// Whether trying again may help, and after how long if the plugin said so.
    pub retry: Option<Option<Duration>>,
    /// The way it took, if that is traced.
    pub stages: Vec<StageTrace>,
}

/// What kind of failure it is; the values of `Trackside-Dead-Class`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// A plugin rejected the message.
    Rejected,
    /// A plugin asked for another try, and there was none left.
    Retry,
    /// A plugin trapped or gave itself up.
    Trap,
    /// A plugin took too long.
    Deadline,
    /// A plugin met a limit of the sandbox.
    Limit,
    /// No subject could be made for the route that was chosen.
    Route,
    /// An output could not be published.
    Publish,
    /// Trackside itself broke.
    Host,
}

/// What one stage said to a message.
#[derive(Debug, Clone)]
pub struct StageTrace {
    /// The stage's plugin.
    pub plugin: PluginName,
    /// `forward`, `route`, `split`, `publish`, `drop`, `reject`, `retry` or `fault`.
    pub verdict: &'static str,
    /// How long the call took.
    pub took: Duration,
}

impl FailureClass {
    /// The class as it stands in headers, metrics and `try`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Retry => "retry",
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Limit => "limit",
            Self::Route => "route",
            Self::Publish => "publish",
            Self::Host => "host",
        }
    }
}

impl Outcome {
    /// An outcome that is nothing but a failure.
    #[must_use]
    pub fn failed(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }

    /// Makes the outcome a failure. One that no other try can mend outweighs one that may pass.
    pub fn fail(&mut self, failure: Failure) {
        self.outputs.clear();
        self.dropped.clear();
        let outweighs = self.failure.as_ref().is_none_or(|known| known.retry.is_some() && failure.retry.is_none());
        if outweighs {
            self.failure = Some(failure);
        }
    }
}

impl Failure {
    /// A failure that lies with the rule and not with a stage; trying again does not help.
    #[must_use]
    pub fn of_rule(class: FailureClass, reason: String) -> Self {
        Self { class, reason, loggable: true, plugin: None, retry: None, stages: Vec::new() }
    }

    /// A failure of a stage that trying again does not help.
    #[must_use]
    pub fn at(stage: &StagePlan, class: FailureClass, reason: String) -> Self {
        let plugin = Some((stage.plugin.clone(), *stage.stage.plugin().digest()));
        Self { class, reason, loggable: true, plugin, retry: None, stages: Vec::new() }
    }

    /// The same, told in words of the plugin's own.
    #[must_use]
    pub fn said(stage: &StagePlan, class: FailureClass, reason: String) -> Self {
        let settings = stage.stage.plugin().settings();
        let loggable = settings.is_standard() || settings.grants.log;
        Self { loggable, ..Self::at(stage, class, reason) }
    }

    /// The reason as the log tells it: a plugin without the grant `log` would otherwise write there by rejecting.
    #[must_use]
    pub fn logged(&self) -> &str {
        if self.loggable { &self.reason } else { "in words of the plugin, which has no grant `log`" }
    }

    /// The same failure, to be tried again after this long, or after the rule's back-off.
    #[must_use]
    pub fn retried(mut self, after: Option<Duration>) -> Self {
        self.retry = Some(after);
        self
    }
}

impl StageTrace {
    /// What a call came to.
    #[must_use]
    pub fn new(plugin: &PluginName, result: &Result<Verdict, CallError>, took: Duration) -> Self {
        Self { plugin: plugin.clone(), verdict: verdict(result), took }
    }
}

/// What a call came to, in a word.
pub(super) fn verdict(result: &Result<Verdict, CallError>) -> &'static str {
    match result {
        Ok(Verdict::Forward) => "forward",
        Ok(Verdict::Route(_)) => "route",
        Ok(Verdict::Split(_)) => "split",
        Ok(Verdict::Publish(_)) => "publish",
        Ok(Verdict::Drop(_)) => "drop",
        Ok(Verdict::Reject(_)) => "reject",
        Err(CallError::Refused(_)) => "retry",
        Err(CallError::Fault(_)) => "fault",
    }
}

/// The class of a plugin's fault.
#[must_use]
pub(super) fn fault_class(fault: &Fault) -> FailureClass {
    match fault {
        // A store that does not answer has used up the call's time.
        Fault::Deadline { .. } | Fault::Store { .. } => FailureClass::Deadline,
        Fault::Memory { .. } | Fault::Limit { .. } | Fault::Instantiate { .. } => FailureClass::Limit,
        Fault::Trap { .. } | Fault::Fatal { .. } | Fault::Verdict { .. } | Fault::Configure { .. } => {
            FailureClass::Trap
        }
    }
}

/// The kind of a plugin's fault, as metrics tell it.
#[must_use]
pub(super) fn fault_kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::Trap { .. } | Fault::Verdict { .. } => "trap",
        Fault::Deadline { .. } => "deadline",
        Fault::Store { .. } => "store",
        Fault::Memory { .. } => "memory",
        Fault::Limit { .. } => "limit",
        Fault::Fatal { .. } => "fatal",
        Fault::Instantiate { .. } | Fault::Configure { .. } => "instantiate",
    }
}
