//! Listens to what the server says about a batch, ends the batch, and sees to what it does not confirm.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::answer::Answer;
use super::batch::{Batch, Waiting};
use crate::backbone::link::LinkState;
use crate::backbone::publish::{NatsPublisher, PublishError};

/// How long a batch with less under way than the server answers for stays open. Messages that come slower than that are
/// confirmed sooner by themselves.
const QUIET: Duration = Duration::from_millis(2);
/// How long there is no other batch after one that went wrong.
const PAUSE: Duration = Duration::from_secs(1);
/// How long there is no other batch after one that the server said nothing about: something keeps its answers away.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// Who follows a batch.
pub(super) struct Follower {
    publisher: NatsPublisher,
    batch: Arc<Batch>,
    answers: Subscriber,
    link: watch::Receiver<LinkState>,
    /// How often the connection had been lost when the batch was opened.
    lost: u64,
    /// The server was asked to end the batch.
    ending: bool,
    /// What is at this place or later does not count as stored, whatever else is said.
    before: u64,
    /// When to stop waiting for an answer.
    deadline: Option<Instant>,
}

/// How a batch ends.
enum End {
    /// The server has said how far it got, or that it is gone.
    Told,
    /// The connection it was opened on is gone.
    Lost,
    /// The server says nothing.
    Silent,
}

impl Follower {
    pub(super) fn new(
        publisher: NatsPublisher,
        batch: Arc<Batch>,
        answers: Subscriber,
        link: watch::Receiver<LinkState>,
        lost: u64,
    ) -> Self {
        Self { publisher, batch, answers, link, lost, ending: false, before: u64::MAX, deadline: None }
    }

    /// Runs until every message of the batch is confirmed, or has failed, or was published again by itself.
    pub(super) async fn run(mut self) {
        let end = self.follow().await;
        // First of all, so that what is still refused is not sent to us one by one.
        let _ = self.answers.unsubscribe().await;
        let rest = self.batch.give_up();
        let timeout = self.publisher.parts.wire.request_timeout;
        match end {
            End::Told if rest.is_empty() => {}
            End::Told => {
                self.batch.stream.inlet.rest(PAUSE);
                tracing::debug!(stream = &*self.batch.stream.name, messages = rest.len(), "a batch ended early");
                publish_again(&self.publisher, rest).await;
            }
            End::Lost => fail(rest, |subject| PublishError::Disconnected { subject }),
            End::Silent => {
                self.batch.stream.inlet.rest(LONG_PAUSE);
                tracing::warn!(stream = &*self.batch.stream.name, messages = rest.len(), after = ?timeout,
                    "the server said nothing about a batch; messages are published one by one for a minute");
                fail(rest, |subject| PublishError::Timeout { subject, after: timeout });
            }
        }
    }

    async fn follow(&mut self) -> End {
        loop {
            // While the server will answer by itself, that is waited for; otherwise the batch is ended soon.
            let waits = self.ending || self.batch.will_be_answered();
            let until = match waits {
                true => {
                    *self.deadline.get_or_insert_with(|| Instant::now() + self.publisher.parts.wire.request_timeout)
                }
                false => Instant::now() + QUIET,
            };
            tokio::select! {
                biased;
                () = lost(&mut self.link, self.lost) => return End::Lost,
                message = self.answers.next() => {
                    let Some(message) = message else { return End::Lost };
                    // What has come by a later connection may lack what was said by the one before.
                    if self.publisher.parts.wire.connects() != self.batch.connects {
                        return End::Lost;
                    }
                    if let Some(end) = self.hear(Answer::of(&message)).await {
                        return end;
                    }
                }
                () = sleep_until(until) => {
                    if waits {
                        return End::Silent;
                    }
                    if !self.batch.will_be_answered()
                        && let Some(end) = self.end().await
                    {
                        return end;
                    }
                }
            }
        }
    }

    /// Takes in an answer.
    async fn hear(&mut self, answer: Answer) -> Option<End> {
        match answer {
            Answer::Flow { stored, every } => {
                self.batch.answered_every(every);
                self.batch.confirm(stored.min(self.before - 1));
                if !self.ending {
                    self.deadline = None;
                }
                None
            }
            Answer::Ended { stored } => {
                self.batch.confirm(stored.min(self.before - 1));
                Some(End::Told)
            }
            Answer::Ending { before } => {
                // How far it got comes next.
                self.before = self.before.min(before.max(1));
                self.batch.close();
                self.ending = true;
                None
            }
            Answer::Refused { place } if self.ending && place >= self.batch.end_place() => Some(End::Told),
            Answer::Refused { place } => {
                self.before = self.before.min(place.max(1));
                if self.ending { None } else { self.end().await }
            }
            Answer::Unknown { allowed } => {
                if !allowed {
                    self.batch.stream.inlet.allow(false);
                    self.publisher.parts.index.mark_stale();
                }
                Some(End::Told)
            }
        }
    }

    /// Has the server end the batch, after everything that was sent in it. The end, if there is nothing to hear.
    async fn end(&mut self) -> Option<End> {
        self.ending = true;
        self.deadline = None;
        let mut turn = self.batch.stream.inlet.turn.lock().await;
        if turn.as_ref().is_some_and(|open| Arc::ptr_eq(open, &self.batch)) {
            *turn = None;
        }
        match self.batch.end(&self.publisher).await {
            Ok(true) => None,
            Ok(false) => Some(End::Told),
            Err(_) => Some(End::Lost),
        }
    }
}

async fn lost(link: &mut watch::Receiver<LinkState>, lost: u64) {
    if link.wait_for(|state| state.lost > lost || state.closed).await.is_err() {
        pending::<()>().await;
    }
}

fn fail(rest: VecDeque<Waiting>, error: impl Fn(crate::message::Subject) -> PublishError) {
    for Waiting { outgoing, told } in rest {
        let _ = told.send(Err(error(outgoing.subject)));
    }
}

/// Publishes messages by themselves, in order, and tells what became of each.
async fn publish_again(publisher: &NatsPublisher, rest: VecDeque<Waiting>) {
    let mut sent = Vec::with_capacity(rest.len());
    for Waiting { outgoing, told } in rest {
        sent.push((told, publisher.publish(outgoing).await));
    }
    for (told, sent) in sent {
        let confirmed = match sent {
            Ok(pending) => pending.confirmed().await,
            Err(error) => Err(error),
        };
        let _ = told.send(confirmed);
    }
}
