//! Who else reads the same source: every instance says now and then that it is there, on a subject of core NATS.
//!
//! It need not be right. Who believes to be alone asks for every partition, and the server delivers each to one instance
//! only; who believes in somebody that is gone waits until it has not heard of it for some seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::super::source::SourceError;
use super::super::wire::Wire;

/// How often an instance says that it is there.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(2);
/// After how many announcements that did not come an instance counts as gone.
const MISSED: u32 = 3;
/// Instances that are kept account of; what more there are, have no share.
const MAX_INSTANCES: usize = 1024;
const MAX_NAME_BYTES: usize = 64;

/// This instance among all that read a source. Dropping it falls silent.
#[derive(Debug)]
pub(super) struct Presence {
    wire: Arc<Wire>,
    subject: String,
    me: String,
    all: watch::Receiver<BTreeSet<String>>,
    announcing: JoinHandle<()>,
}

impl Presence {
    /// Says that this instance is there. Those that are there already answer.
    pub(super) async fn begin(wire: &Arc<Wire>, stream: &str, durable: &str) -> Result<Self, SourceError> {
        let subject = format!("_TRACKSIDE.presence.{stream}.{durable}");
        let me = wire.client.new_inbox().replace("_INBOX.", "");
        let messages = wire
            .client
            .subscribe(format!("{subject}.*"))
            .await
            .map_err(|error| SourceError::Subscribe { subject: subject.clone(), reason: error.to_string() })?;
        let (sender, mut all) = watch::channel(BTreeSet::from([me.clone()]));
        all.mark_changed();
        let announcer = Announcer {
            wire: Arc::clone(wire),
            here: format!("{subject}.here"),
            me: me.clone(),
            heard: BTreeMap::new(),
            all: sender,
        };
        let announcing = tokio::spawn(announcer.run(messages));
        Ok(Self { wire: Arc::clone(wire), subject, me, all, announcing })
    }

    /// This instance's name.
    pub(super) fn me(&self) -> &str {
        &self.me
    }

    /// All instances that are there, with this one; only if that is not what was said before.
    pub(super) fn news(&mut self) -> Option<BTreeSet<String>> {
        // Once the announcing has ended, with the connection, there are none.
        self.all.has_changed().unwrap_or(false).then(|| self.all.borrow_and_update().clone())
    }

    /// Waits until there are news. Cancel safe.
    pub(super) async fn changed(&self) {
        if self.all.clone().changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Says that this instance is gone, so that the others need not wait to notice.
    pub(super) async fn end(&self) {
        self.announcing.abort();
        let _ = self.wire.client.publish(format!("{}.gone", self.subject), self.me.clone().into()).await;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.announcing.abort();
    }
}

struct Announcer {
    wire: Arc<Wire>,
    here: String,
    me: String,
    /// When the others were heard of last.
    heard: BTreeMap<String, Instant>,
    all: watch::Sender<BTreeSet<String>>,
}

impl Announcer {
    async fn run(mut self, mut messages: Subscriber) {
        let mut again = tokio::time::interval(ANNOUNCE_EVERY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let announce = tokio::select! {
                _ = again.tick() => {
                    self.forget();
                    true
                }
                message = messages.next() => match message {
                    Some(message) => self.hear(&message),
                    None => return,
                }
            };
            if announce && self.wire.client.publish(self.here.clone(), Bytes::from(self.me.clone())).await.is_err() {
                return;
            }
            self.tell();
        }
    }

    /// Takes in what another one says, and tells whether it is new here and has to be told of us.
    fn hear(&mut self, message: &async_nats::Message) -> bool {
        let name = match std::str::from_utf8(&message.payload) {
            Ok(name) if name != self.me && name.len() <= MAX_NAME_BYTES => name,
            _ => return false,
        };
        if *message.subject != *self.here {
            self.heard.remove(name);
            return false;
        }
        if !self.heard.contains_key(name) && self.heard.len() >= MAX_INSTANCES {
            return false;
        }
        self.heard.insert(name.to_owned(), Instant::now()).is_none()
    }

    /// Forgets who was not heard of for long; not while nobody can be heard.
    fn forget(&mut self) {
        let now = Instant::now();
        if self.wire.is_connected() {
            self.heard.retain(|_, heard| now - *heard < ANNOUNCE_EVERY * MISSED);
        } else {
            self.heard.values_mut().for_each(|heard| *heard = now);
        }
    }

    fn tell(&self) {
        let all: BTreeSet<String> = self.heard.keys().chain([&self.me]).cloned().collect();
        self.all.send_if_modified(|before| {
            let changed = *before != all;
            *before = all;
            changed
        });
    }
}
