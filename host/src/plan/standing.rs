//! What outlives a revision: a number and a gate for each rule, the breakers of plugins and routes, and where outputs go
//! that do not go to NATS.

use std::collections::HashMap;
use std::sync::Arc;

use crate::names::{PluginName, RouteName, RuleName};
use crate::outlets::Outlets;
use crate::rules::BreakerSettings;

use super::breaker::Breaker;
use super::gate::Gate;

/// Kept by the compiler from one revision to the next. Bounded by the names that were ever in a configuration of this
/// process.
#[derive(Debug, Default)]
pub(super) struct Standing {
    rules: HashMap<RuleName, u32>,
    gates: HashMap<RuleName, Arc<Gate>>,
    /// Services and queues.
    pub(super) outlets: Outlets,
    plugins: HashMap<PluginName, Arc<Breaker>>,
    routes: HashMap<(RuleName, RouteName), Arc<Breaker>>,
}

impl Standing {
    /// The rule's number: small, and the same in every revision that has a rule of this name.
    pub(super) fn rule(&mut self, name: &RuleName) -> u32 {
        let next = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        *self.rules.entry(name.clone()).or_insert(next)
    }

    pub(super) fn gate(&mut self, name: &RuleName) -> Arc<Gate> {
        Arc::clone(self.gates.entry(name.clone()).or_default())
    }

    pub(super) fn plugin(&mut self, name: &PluginName, settings: BreakerSettings) -> Arc<Breaker> {
        let make = || Arc::new(Breaker::new(format!("plugin {name}"), settings));
        let breaker = self.plugins.entry(name.clone()).or_insert_with(make);
        breaker.configure(settings);
        Arc::clone(breaker)
    }

    pub(super) fn route(&mut self, rule: &RuleName, route: &RouteName, settings: BreakerSettings) -> Arc<Breaker> {
        let make = || Arc::new(Breaker::new(format!("route {route} of rule {rule}"), settings));
        let breaker = self.routes.entry((rule.clone(), route.clone())).or_insert_with(make);
        breaker.configure(settings);
        Arc::clone(breaker)
    }
}
