//! Whether Trackside does its work right now, and if not, what it lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tokio::sync::watch;

use crate::names::{QueueName, RuleName, SourceName};

/// Something that has to be so before Trackside is ready.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// There is a connection to a NATS server.
    Connection,
    /// A revision is in force.
    Revision,
    /// This source is open.
    Source(SourceName),
    /// No message that has used up its tries keeps this source paused.
    Flow(SourceName),
    /// The dead letters of this rule can be stored.
    DeadLetters(RuleName),
    /// The service at this address takes connections.
    Service(String),
    /// Somebody subscribes to this.
    Subscription(QueueName),
    /// Trackside is to go on, and not to stop.
    Running,
}

/// All conditions, each met or with the reason why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions(BTreeMap<Condition, Result<(), String>>);

/// Where those who know say which conditions are met; cheap to clone.
#[derive(Debug, Clone)]
pub struct Readiness(watch::Sender<Conditions>);

impl Readiness {
    /// Not ready: neither connected nor with a revision. Say which sources there are before a revision is said to be
    /// in force, otherwise everything seems ready in between.
    #[must_use]
    pub fn new() -> Self {
        let conditions = [
            (Condition::Connection, Err("not connected yet".to_owned())),
            (Condition::Revision, Err("no revision is in force yet".to_owned())),
            (Condition::Running, Ok(())),
        ];
        Self(watch::Sender::new(Conditions(conditions.into())))
    }

    /// Says that a condition is met, or why it is not.
    pub fn set(&self, condition: Condition, met: Result<(), String>) {
        self.change(|conditions| conditions.insert(condition, met));
    }

    /// Says that a condition is of no interest any more, so that nobody waits for it.
    pub fn forget(&self, condition: &Condition) {
        self.change(|conditions| conditions.remove(condition));
    }

    /// Forgets what is said of the dead letters of rules other than these.
    pub fn keep_dead_letters_of(&self, rules: &BTreeSet<RuleName>) {
        self.change(|conditions| {
            conditions
                .retain(|condition, _| !matches!(condition, Condition::DeadLetters(rule) if !rules.contains(rule)));
        });
    }

    /// The conditions as they are now.
    #[must_use]
    pub fn now(&self) -> Conditions {
        self.0.borrow().clone()
    }

    /// The conditions as they are and will be.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Conditions> {
        self.0.subscribe()
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<Condition, Result<(), String>>) -> T) {
        self.0.send_if_modified(|conditions| {
            let before = conditions.clone();
            change(&mut conditions.0);
            match (before.is_ready(), conditions.is_ready()) {
                (false, true) => tracing::info!("ready"),
                // As it was told to: nothing that anybody should look into.
                (true, false) if conditions.is_draining() => {
                    tracing::info!(reasons = conditions.reasons().join("; "), "not ready");
                }
                (true, false) => tracing::warn!(reasons = conditions.reasons().join("; "), "not ready"),
                _ => {}
            }
            *conditions != before
        });
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Conditions {
    /// Whether all of them are met.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.values().all(Result::is_ok)
    }

    /// Whether Trackside is about to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        matches!(self.0.get(&Condition::Running), Some(Err(_)))
    }

    /// Why it is not ready: one text for each condition that is not met.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let unmet = self.0.iter().filter_map(|(condition, met)| Some((condition, met.as_ref().err()?)));
        unmet.map(|(condition, reason)| format!("{condition}: {reason}")).collect()
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => f.write_str("connection"),
            Self::Revision => f.write_str("revision"),
            Self::Source(name) => write!(f, "source {name}"),
            Self::Flow(name) => write!(f, "flow of source {name}"),
            Self::DeadLetters(rule) => write!(f, "dead letters of rule {rule}"),
            Self::Service(address) => write!(f, "service {address}"),
            Self::Subscription(name) => write!(f, "subscription {name}"),
            Self::Running => f.write_str("running"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_every_condition_is_met_and_says_which_is_not() {
        let readiness = Readiness::new();
        let orders = SourceName::new("orders").unwrap();
        assert!(!readiness.now().is_ready());
        readiness.set(Condition::Source(orders.clone()), Err("the consumer is gone".to_owned()));
        readiness.set(Condition::Connection, Ok(()));
        readiness.set(Condition::Revision, Ok(()));
        assert_eq!(readiness.now().reasons(), ["source orders: the consumer is gone"]);
        readiness.forget(&Condition::Source(orders));
        assert!(readiness.now().is_ready());
        let rule = RuleName::new("gone").unwrap();
        readiness.set(Condition::DeadLetters(rule.clone()), Err("no stream takes them".to_owned()));
        readiness.keep_dead_letters_of(&[rule].into());
        assert!(!readiness.now().is_ready());
        readiness.keep_dead_letters_of(&BTreeSet::new());
        assert!(readiness.now().is_ready(), "a rule that is no more has no letters");
        readiness.set(Condition::Running, Err("draining".to_owned()));
        assert!(readiness.now().is_draining() && !readiness.now().is_ready());
    }

    #[test]
    fn only_a_change_wakes_those_who_watch() {
        let readiness = Readiness::new();
        let watching = readiness.subscribe();
        readiness.set(Condition::Running, Ok(()));
        assert!(!watching.has_changed().unwrap());
        readiness.set(Condition::Connection, Ok(()));
        assert!(watching.has_changed().unwrap());
    }
}
