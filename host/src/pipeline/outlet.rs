//! An output on its way, wherever it goes: to NATS, to a service, or to whoever subscribes.

use std::sync::Arc;
use std::time::Duration;

use crate::backbone::{Confirmed, Pending, PublishError};
use crate::outlets::{Content, Post, PostError, Queue, Service, Unanswered};
use crate::rules::{CALLER, SUBSCRIBERS_PREFIX};

/// An output that is on its way, or about to be.
#[derive(Debug)]
pub(crate) enum Underway {
    /// On the wire to NATS.
    Published(Result<Pending, PublishError>),
    /// To be posted. Nothing is sent before it is waited for: a service gets the outputs of one message one after another,
    /// and none once one before it has failed.
    Posting(Arc<Service>, Box<Post>),
    /// The same for those who subscribe, with how long an acknowledgement may take.
    Offering(Arc<Queue>, Box<Content>, Duration),
    /// For who made the request.
    Answering(Box<Content>),
}

/// How an output became safe.
#[derive(Debug)]
pub(crate) enum Safe {
    /// By NATS.
    Confirmed(Confirmed),
    /// The service, or who subscribed, has taken it.
    Taken,
    /// It is handed to who made the request.
    Answer(Box<Content>),
}

/// Why an output is not known to be safe.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Post(#[from] PostError),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

impl OutputError {
    /// Whether the same message may be taken later.
    pub(super) fn retryable(&self) -> bool {
        match self {
            Self::Publish(error) => error.retryable(),
            Self::Post(error) => error.retryable(),
            Self::Unanswered(error) => error.retryable(),
        }
    }

    /// Whether it says nothing about the message, so that it does not count against its tries.
    pub(super) fn is_unsent(&self) -> bool {
        match self {
            Self::Publish(error) => error.is_disconnected(),
            Self::Post(error) => error.is_unsent(),
            Self::Unanswered(error) => error.is_unsent(),
        }
    }

    /// Whether the message waits where it is, even if its source could deliver it again: that would count as a try.
    pub(super) fn waits_here(&self) -> bool {
        self.is_unsent() && !matches!(self, Self::Publish(_))
    }

    /// Whether it speaks against the route, as its breaker has to know. That a service is not there does only where outputs
    /// are diverted meanwhile: otherwise messages wait for it at the gate, and go on as soon as it is back.
    pub(super) fn blames_route(&self, diverts: bool) -> bool {
        match self {
            Self::Post(error) if error.is_unsent() => diverts,
            Self::Post(error) if error.is_back_pressure() => false,
            error => error.retryable() && !error.is_unsent(),
        }
    }

    /// After how long to try again, if that was said.
    pub(super) fn after(&self) -> Option<Duration> {
        match self {
            Self::Publish(_) => None,
            Self::Post(error) => error.after(),
            Self::Unanswered(error) => error.after(),
        }
    }
}

impl Underway {
    /// Waits until the output is safe; what is posted or offered is so now. With `flushes` false, a flush is not waited
    /// for: nothing hangs on its answer.
    pub(crate) async fn safe(self, flushes: bool) -> Result<Safe, OutputError> {
        match self {
            Self::Published(sent) => {
                let pending = sent?;
                if flushes || pending.is_stored() {
                    return Ok(Safe::Confirmed(pending.confirmed().await?));
                }
                Ok(Safe::Confirmed(Confirmed::Flushed))
            }
            Self::Posting(service, post) => {
                match post.batch {
                    None => service.post(*post).await?,
                    Some(_) => service.post_together(vec![*post], true).await.result?,
                }
                Ok(Safe::Taken)
            }
            Self::Offering(queue, content, ack_wait) => {
                queue.offer(*content, ack_wait).answered().await?;
                Ok(Safe::Taken)
            }
            Self::Answering(content) => Ok(Safe::Answer(content)),
        }
    }

    /// The batch that it is, if it may go in one request with others.
    pub(super) fn batch(&self) -> Option<(&Arc<Service>, &Post)> {
        match self {
            Self::Posting(service, post) if post.batch.is_some() => Some((service, post)),
            _ => None,
        }
    }

    /// Where it goes, for people.
    pub(super) fn to(&self) -> String {
        match self {
            Self::Published(Ok(pending)) => pending.subject().to_string(),
            Self::Published(Err(_)) => String::new(),
            Self::Posting(service, post) => format!("{}{}", service.address(), post.path),
            Self::Offering(queue, ..) => format!("{SUBSCRIBERS_PREFIX}{}", queue.name()),
            Self::Answering(_) => CALLER.to_owned(),
        }
    }

    /// Whether it is on its way, whatever becomes of the outputs before it.
    pub(super) fn is_begun(&self) -> bool {
        matches!(self, Self::Published(_))
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;
    use crate::rules::ServiceAddress;

    #[test]
    fn a_service_that_fails_is_blamed_and_one_that_has_too_much_to_do_is_not() {
        for (status, blamed) in [(429, false), (500, true), (503, true), (404, false)] {
            let address = ServiceAddress::parse("http://app").expect("an address");
            let status = StatusCode::from_u16(status).expect("a status");
            let error = OutputError::from(PostError::Status { address, status, after: None });
            assert_eq!(error.blames_route(false), blamed, "{status}");
            assert_eq!(error.blames_route(true), blamed, "{status}");
        }
    }
}
