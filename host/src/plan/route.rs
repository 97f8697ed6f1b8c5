//! Where the outputs of a rule go.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::events::{self, EventError};
use crate::message::{Message, Subject};
use crate::names::RouteName;
use crate::outlets::{Outlets, Queue, Service};
use crate::rules::{
    BatchBounds, CALLER, Confirm, EventMode, RenderError, SUBSCRIBERS_PREFIX, Target, Template, UrlTemplate,
};
use crate::telemetry::RouteMetrics;

use super::Breaker;

/// A route of a rule, ready to run.
#[derive(Debug)]
pub struct RoutePlan {
    /// Its name.
    pub name: RouteName,
    /// Where it leads.
    pub to: RouteTo,
    /// Opens when publishing fails again and again.
    pub breaker: Arc<Breaker>,
    /// Its counters.
    pub metrics: Arc<RouteMetrics>,
}

/// Where a route leads.
#[derive(Debug)]
pub enum RouteTo {
    /// To a subject of NATS.
    Subject {
        /// What it publishes to.
        template: Template,
        /// How an output counts as safe.
        confirm: Confirm,
        /// How it is written as a CloudEvent, if it has to be one.
        events: Option<EventMode>,
    },
    /// To a service.
    Service {
        /// The service.
        service: Arc<Service>,
        /// Where it is posted to.
        url: UrlTemplate,
        /// How long an answer may take.
        timeout: Duration,
        /// How it is written as a CloudEvent, if it has to be one.
        events: Option<EventMode>,
        /// How much goes in one request, if it goes in batches.
        batch: BatchBounds,
    },
    /// To whoever subscribes.
    Subscribers {
        /// What they subscribe to.
        queue: Arc<Queue>,
        /// How long an acknowledgement may take.
        ack_wait: Duration,
        /// How it is written as a CloudEvent, if it has to be one.
        events: Option<EventMode>,
    },
    /// Back to who made the request.
    Caller,
}

/// Where one output goes.
#[derive(Debug, Clone)]
pub enum Address {
    /// To this subject of NATS.
    Subject {
        /// The subject.
        subject: Subject,
        /// How it counts as safe.
        confirm: Confirm,
        /// How it is written as a CloudEvent, if it has to be one.
        events: Option<EventMode>,
        /// The subject of the message that it comes from.
        about: Subject,
    },
    /// To a service.
    Service {
        /// The service.
        service: Arc<Service>,
        /// Path and query.
        path: String,
        /// How long an answer may take.
        timeout: Duration,
        /// How it is written as a CloudEvent, if it has to be one.
        events: Option<EventMode>,
        /// How much goes in one request, if it goes in batches.
        batch: BatchBounds,
        /// The subject of the message that it comes from.
        about: Subject,
    },
    /// To whoever subscribes.
    Subscribers {
        /// What they subscribe to.
        queue: Arc<Queue>,
        /// How long an acknowledgement may take.
        ack_wait: Duration,
        /// How it is written as a CloudEvent, if it has to be one.
        events: Option<EventMode>,
        /// The subject of the message that it comes from.
        about: Subject,
    },
    /// Back to who made the request.
    Caller,
}

/// Why an output cannot go where its route leads.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It cannot be said where that is.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// It is not the CloudEvent that it says it is.
    #[error(transparent)]
    Event(#[from] EventError),
}

impl RouteTo {
    pub(super) fn of(target: &Target, outlets: &Outlets, concurrency: usize) -> Self {
        match target {
            Target::Subject { template, confirm, events } => {
                Self::Subject { template: template.clone(), confirm: *confirm, events: *events }
            }
            Target::Service { url, timeout, events, batch } => Self::Service {
                service: outlets.service(url.address(), concurrency),
                url: url.clone(),
                timeout: *timeout,
                events: *events,
                batch: *batch,
            },
            Target::Subscribers { queue, ack_wait, events } => {
                Self::Subscribers { queue: outlets.queue(queue), ack_wait: *ack_wait, events: *events }
            }
            Target::Caller => Self::Caller,
        }
    }

    /// Where it leads for a message.
    ///
    /// # Errors
    /// When a placeholder has no value in this message, or one that could not stay in its place, or the message cannot be
    /// written as the CloudEvent that it has to be.
    pub fn address(&self, message: &Message, limits: &trackside_json::Limits) -> Result<Address, AddressError> {
        if let Some(mode) = self.events() {
            events::check(&message.headers, &message.payload, mode)?;
        }
        let about = message.subject.clone();
        Ok(match self {
            Self::Subject { template, confirm, events } => {
                let subject = template.render(message, limits)?;
                Address::Subject { subject, confirm: *confirm, events: *events, about }
            }
            Self::Service { service, url, timeout, events, batch } => Address::Service {
                service: Arc::clone(service),
                path: url.render(message, limits)?,
                timeout: *timeout,
                events: *events,
                batch: *batch,
                about,
            },
            Self::Subscribers { queue, ack_wait, events } => {
                Address::Subscribers { queue: Arc::clone(queue), ack_wait: *ack_wait, events: *events, about }
            }
            Self::Caller => Address::Caller,
        })
    }

    fn events(&self) -> Option<EventMode> {
        match self {
            Self::Subject { events, .. } | Self::Service { events, .. } | Self::Subscribers { events, .. } => *events,
            Self::Caller => None,
        }
    }

    /// The subject template, where it leads to NATS.
    #[must_use]
    pub fn subject(&self) -> Option<&Template> {
        match self {
            Self::Subject { template, .. } => Some(template),
            Self::Service { .. } | Self::Subscribers { .. } | Self::Caller => None,
        }
    }
}

impl Address {
    /// How the output is written as a CloudEvent, if it has to be one, and the subject of the message that it comes from.
    #[must_use]
    pub fn events(&self) -> Option<(EventMode, &Subject)> {
        match self {
            Self::Subject { events, about, .. }
            | Self::Service { events, about, .. }
            | Self::Subscribers { events, about, .. } => events.map(|mode| (mode, about)),
            Self::Caller => None,
        }
    }
}

impl fmt::Display for RouteTo {
    /// As it is written in the rule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject { template, .. } => template.fmt(f),
            Self::Service { url, .. } => url.fmt(f),
            Self::Subscribers { queue, .. } => write!(f, "{SUBSCRIBERS_PREFIX}{}", queue.name()),
            Self::Caller => f.write_str(CALLER),
        }
    }
}

impl fmt::Display for Address {
    /// The subject, the URL, or `sidecar:` and what is subscribed to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject { subject, .. } => subject.fmt(f),
            Self::Service { service, path, .. } => write!(f, "{}{path}", service.address()),
            Self::Subscribers { queue, .. } => write!(f, "{SUBSCRIBERS_PREFIX}{}", queue.name()),
            Self::Caller => f.write_str(CALLER),
        }
    }
}
