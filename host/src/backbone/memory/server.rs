//! The server as whoever plays with it sees it: it is filled, told to fail, and asked what happened.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::client::Client;
use super::event::{Event, Happened};
use super::faults::{Faults, Sabotage};
use super::state::{Connected, State};
use super::stream::{Stored, Stream};
use crate::message::{Message, SubjectPattern};

/// How long a publish waits for the connection, and for its confirmation.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A NATS server in memory; cheap to clone. To be made and used where tokio's time is.
#[derive(Debug, Clone)]
pub struct Server(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes all that wait, to look again.
    changed: Notify,
}

/// What a consumer has still to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The sequences of the messages that were delivered and are not done with.
    pub pending: Vec<u64>,
    /// How many messages after those that were delivered the stream has, of whatever subject.
    pub undelivered: u64,
}

impl Server {
    /// An empty server without faults, whose chances follow from the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Shared { state: Mutex::new(State::new(seed)), changed: Notify::new() }))
    }

    /// From now on this much goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.change(|state| state.faults = faults);
    }

    /// From now on this bug is played.
    pub fn sabotage(&self, bug: Sabotage) {
        self.change(|state| state.sabotage = Some(bug));
    }

    /// Makes a stream, which must not overlap with another.
    pub fn add_stream(&self, name: &str, subjects: &[SubjectPattern], duplicate_window: Duration) {
        let stream = Stream::new(subjects, duplicate_window);
        self.change(|state| state.streams.insert(Arc::from(name), stream));
    }

    /// Publishes a message on behalf of somebody else, to whom nothing bad happens. Returns the sequence under which
    /// a stream has stored it, if one takes it.
    #[must_use = "what no stream takes may have been dropped"]
    pub fn produce(&self, message: Message) -> Option<u64> {
        self.change(|state| state.receive(message, None)).map(|(_, sequence, _)| sequence)
    }

    /// Connects a client.
    #[must_use]
    pub fn connect(&self) -> Client {
        let number = self.change(|state| {
            state.clients.push(Connected::default());
            state.clients.len() - 1
        });
        Client { server: self.clone(), number }
    }

    /// Takes every connection away for a while: deliveries and confirmations on their way are lost.
    pub fn interrupt(&self, during: Duration) {
        self.change(|state| state.interrupt(during));
    }

    /// Takes a client's connection away for a while: deliveries and confirmations on their way to it are lost.
    pub fn cut(&self, client: &Client, during: Duration) {
        self.change(|state| {
            state.note(Happened::Cut(client.number, during));
            state.lose(client.number, during);
        });
    }

    /// Lets a stream take nothing for a while.
    pub fn fill(&self, name: &str, during: Duration) {
        self.change(|state| {
            if let Some((name, stream)) = state.streams.iter_mut().find(|(known, _)| known.as_ref() == name) {
                stream.full_until = Some(Instant::now() + during);
                let name = Arc::clone(name);
                state.note(Happened::Filled(name, during));
            }
        });
    }

    /// What a stream has stored, in order.
    #[must_use]
    pub fn stored(&self, stream: &str) -> Vec<Stored> {
        self.change(|state| state.streams.get(stream).map(|stream| stream.messages().to_vec()).unwrap_or_default())
    }

    /// What a consumer has still to do; `None` if there is no such consumer.
    #[must_use]
    pub fn backlog(&self, stream: &str, consumer: &str) -> Option<Backlog> {
        self.change(|state| {
            let last = state.streams.get(stream)?.last();
            let consumer = state.consumers.get(&(Arc::from(stream), Arc::from(consumer)))?;
            Some(Backlog {
                pending: consumer.pending().collect(),
                undelivered: (last + 1).saturating_sub(consumer.next),
            })
        })
    }

    /// Everything that has happened so far, in order.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.change(|state| state.events.clone())
    }

    /// Does something with the state, and wakes all that wait for it to change.
    pub(super) fn change<R>(&self, what: impl FnOnce(&mut State) -> R) -> R {
        let result = {
            let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.advance();
            what(&mut state)
        };
        self.0.changed.notify_waiters();
        result
    }

    /// Looks at the state again and again, at every change and at the times that `look` asks for, until it has found
    /// something. Cancel safe if `look` is.
    pub(super) async fn until<R>(&self, mut look: impl FnMut(&mut State) -> Result<R, Option<Instant>>) -> R {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let found = {
                let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.advance();
                look(&mut state)
            };
            match found {
                Ok(found) => return found,
                Err(Some(wake)) => {
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = tokio::time::sleep_until(wake) => {}
                    }
                }
                Err(None) => changed.await,
            }
        }
    }
}
