//! One immutable compiled set of rules and plugins. This is the one place where rules and plugins meet: names become
//! handles here, so that the hot path looks nothing up by name.

mod breaker;
mod compile;
mod gate;
mod granted;
mod keys;
mod live;
mod loaded;
mod route;
mod standard;
mod standing;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::message::{SubjectIndex, SubjectPattern};
use crate::names::{PluginName, Revision, RuleName, SourceName};
use crate::outlets::Service;
use crate::plugins::ConfiguredStage;
use crate::rules::{GiveUp, OnFailure, OrderBy, Priority};
use crate::sealing::LetterKey;
use crate::telemetry::{Histogram, PluginMetrics, RuleMetrics, SourceMetrics, Throttle};

pub use breaker::{Breaker, Pass, Probe};
pub use compile::Compiler;
pub use gate::Gate;
pub use live::{Live, Pinned};
pub use loaded::{Loaded, View};
pub use route::{Address, RoutePlan, RouteTo};
pub use standard::{STANDARD_PLUGINS, standard_plugin};

/// A revision, ready to run.
#[derive(Debug)]
pub struct Plan {
    /// Which revision this is.
    pub revision: Revision,
    /// What is done with the messages of each source.
    pub sources: BTreeMap<SourceName, SourcePlan>,
    /// The rules, in the order of their files.
    pub rules: Vec<RulePlan>,
    /// Every plugin that a rule uses, with its component's SHA-256.
    pub plugins: Vec<(PluginName, [u8; 32])>,
    /// Bounds of JSON selection in templates.
    pub json: trackside_json::Limits,
}

/// What is done with the messages of a source.
#[derive(Debug)]
pub struct SourcePlan {
    /// Its rules, by the subjects they take: positions in [`Plan::rules`].
    pub index: SubjectIndex,
    /// What the source itself is limited to; empty means any subject.
    pub filter: Vec<SubjectPattern>,
    /// Its counters.
    pub metrics: Arc<SourceMetrics>,
}

/// A rule, ready to run.
#[derive(Debug)]
pub struct RulePlan {
    /// Its name.
    pub name: RuleName,
    /// Its number: small, and the same in every revision that has a rule of this name.
    pub number: u32,
    /// The source it belongs to.
    pub source: SourceName,
    /// Which subjects it takes.
    pub subject: SubjectPattern,
    /// Its stages, in order.
    pub stages: Vec<StagePlan>,
    /// Its routes, in the order of their names.
    pub routes: Vec<RoutePlan>,
    /// Position of the route `default`.
    pub default_route: Option<usize>,
    /// What its messages are kept in order by.
    pub order_by: Option<OrderBy>,
    /// How many of its messages may be under way at once.
    pub concurrency: Option<usize>,
    /// How urgent its messages are.
    pub priority: Priority,
    /// Whether the outputs of one message to one stream are stored together or not at all.
    pub atomic: bool,
    /// Position of the route that outputs take while theirs is left alone.
    pub divert: Option<usize>,
    /// Shut while a service is not there that its outputs are posted to.
    pub gate: Arc<Gate>,
    /// What happens to messages that fail.
    pub on_failure: OnFailure,
    /// What its dead letters are encrypted with.
    pub dead_letter_key: Option<Arc<LetterKey>>,
    /// Its counters.
    pub metrics: Arc<RuleMetrics>,
    /// Bounds what is logged about its messages.
    pub throttle: Throttle,
}

/// A stage of a rule, ready to run.
#[derive(Debug)]
pub struct StagePlan {
    /// The plugin's name.
    pub plugin: PluginName,
    /// Whether a fault of the plugin may skip the stage.
    pub optional: bool,
    /// Opens when the plugin fails again and again.
    pub breaker: Arc<Breaker>,
    /// The plugin with its settings.
    pub stage: Arc<ConfiguredStage>,
    /// The plugin's counters.
    pub metrics: Arc<PluginMetrics>,
    /// How long its calls take in this stage.
    pub seconds: Arc<Histogram>,
}

impl RulePlan {
    /// Whether its messages are tried again where they are, and not by being delivered again: that would let others
    /// overtake them.
    #[must_use]
    pub fn tries_in_place(&self) -> bool {
        self.order_by.is_some() || self.pauses()
    }

    /// Whether its source pauses when a message has used up its tries.
    #[must_use]
    pub fn pauses(&self) -> bool {
        self.on_failure.give_up == GiveUp::Pause
    }

    /// The breakers that have to let its messages pass, each once: those of its plugins, and those of its routes unless
    /// their outputs are diverted.
    pub fn breakers(&self) -> impl Iterator<Item = &Arc<Breaker>> {
        // One that was asked twice would take the second question for that of another message, and say no.
        let first = |position: usize, breaker: &Arc<Breaker>| {
            !self.stages[..position].iter().any(|before| Arc::ptr_eq(&before.breaker, breaker))
        };
        let plugins = self.stages.iter().map(|stage| &stage.breaker).enumerate();
        let plugins = plugins.filter(move |(position, breaker)| first(*position, breaker)).map(|(_, breaker)| breaker);
        let routes = self.routes.iter().filter(|_| self.divert.is_none());
        plugins.chain(routes.map(|route| &route.breaker))
    }

    /// Until when its messages wait because something that they go through or to is left alone.
    #[must_use]
    pub fn shut_until(&self) -> Option<tokio::time::Instant> {
        self.breakers().filter_map(|breaker| breaker.shut_until()).chain(self.gate.closed_until()).max()
    }

    /// The services that have to be there for its messages to go on: none if its outputs are diverted meanwhile.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        let routes = self.routes.iter().filter(|_| self.divert.is_none());
        routes.filter_map(|route| match &route.to {
            RouteTo::Service { service, .. } => Some(service),
            RouteTo::Subject { .. } | RouteTo::Subscribers { .. } | RouteTo::Caller => None,
        })
    }

    /// The position of the route with this name.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<usize> {
        self.routes.iter().position(|route| route.name.as_str() == name)
    }
}

impl Plan {
    /// The sources that a message with this subject could come from, or only the one that is asked for, each with the
    /// positions of its rules that take it.
    #[must_use]
    pub fn takers(&self, subject: &str, source: Option<&str>) -> Vec<(&SourceName, Vec<usize>)> {
        let asked = |name: &SourceName| source.is_none_or(|asked| asked == name.as_str());
        let could = self.sources.iter().filter(|(name, source)| asked(name) && source.could_deliver(subject));
        let mut found = Vec::new();
        let with_rules = could.map(|(name, source)| {
            source.index.find(subject, &mut found);
            (name, found.iter().map(|&rule| rule as usize).collect())
        });
        with_rules.collect()
    }
}

impl SourcePlan {
    /// Whether a message with this subject could come from the source.
    #[must_use]
    pub fn could_deliver(&self, subject: &str) -> bool {
        self.filter.is_empty() || self.filter.iter().any(|pattern| pattern.matches(subject))
    }
}
