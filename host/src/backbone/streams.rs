//! Which subjects a stream takes: a snapshot of all streams' subjects, renewed often enough that a publisher can
//! tell from it whether to wait for a stream's confirmation.
//!
//! It also tells which stream that is, for outputs that are to be stored together or among others.
//!
//! What a stream took once counts as stored for as long as the process lives. Otherwise the outputs of a rule would
//! turn into mere core messages the moment somebody deletes their stream, and be acknowledged without being kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::StreamExt as _;
use serde::Deserialize;
use tokio::sync::Notify;

use super::ingest::Inlet;
use super::wire::{JetStreamError, Wire};

/// How old the snapshot gets at most while the server answers.
const REFRESH_EVERY: Duration = Duration::from_secs(10);
/// How long changes are collected, so that many streams made at once cost one listing.
const SETTLE: Duration = Duration::from_millis(50);
/// Streams that are listed; more would be a broken server.
const MAX_STREAMS: usize = 100_000;
/// Changes of streams that the server tells of.
const ADVISORIES: [&str; 3] = [
    "$JS.EVENT.ADVISORY.STREAM.CREATED.>",
    "$JS.EVENT.ADVISORY.STREAM.DELETED.>",
    "$JS.EVENT.ADVISORY.STREAM.UPDATED.>",
];

/// The current snapshot.
#[derive(Debug)]
pub(super) struct StreamIndex {
    snapshot: ArcSwap<Snapshot>,
    /// What there was so far.
    ever: Mutex<Ever>,
    stale: Notify,
}

/// A stream, for as long as the process lives.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) name: Arc<str>,
    pub(super) inlet: Inlet,
}

#[derive(Debug, Default)]
struct Ever {
    /// Every subject that a stream took so far.
    taken: Listing,
    /// Those that no stream takes any longer, as the log has been told.
    told: BTreeSet<String>,
    /// Every stream, by its name.
    streams: BTreeMap<Arc<str>, Arc<Stream>>,
}

#[derive(Debug)]
enum Snapshot {
    Unknown(JetStreamError),
    Known {
        /// The subjects that streams take.
        now: Subjects,
        /// Those that streams took since the process began.
        ever: Subjects,
        /// Whether any stream allows fast ingest.
        any_ingests: bool,
    },
}

/// Subjects, each with its stream.
type Listing = BTreeMap<String, Arc<Stream>>;

impl StreamIndex {
    /// Takes the first snapshot. That it fails is no error yet: nobody may ever ask.
    pub(super) async fn load(wire: &Wire) -> Self {
        let mut ever = Ever::default();
        let snapshot = match list(wire).await {
            Ok(listed) => ever.remember(listed),
            Err(error) => {
                tracing::warn!(%error, "cannot list the streams; routes with `confirm = \"auto\"` have to wait for it");
                Snapshot::Unknown(error)
            }
        };
        Self { snapshot: ArcSwap::from_pointee(snapshot), ever: Mutex::new(ever), stale: Notify::new() }
    }

    /// Whether a stream takes messages of this subject, or did so since the process began.
    pub(super) fn takes(&self, subject: &str) -> Result<bool, JetStreamError> {
        match &**self.snapshot.load() {
            Snapshot::Known { ever, .. } => Ok(ever.find(subject).is_some()),
            Snapshot::Unknown(error) => Err(error.clone()),
        }
    }

    /// The stream that takes messages of this subject, as far as is known now.
    pub(super) fn stream_of(&self, subject: &str) -> Result<Option<Arc<str>>, JetStreamError> {
        match &**self.snapshot.load() {
            Snapshot::Known { now, .. } => Ok(now.find(subject).map(|stream| Arc::clone(&stream.name))),
            Snapshot::Unknown(error) => Err(error.clone()),
        }
    }

    /// The stream that takes messages of this subject, if it allows fast ingest.
    pub(super) fn ingesting(&self, subject: &str) -> Option<Arc<Stream>> {
        match &**self.snapshot.load() {
            Snapshot::Known { now, any_ingests: true, .. } => {
                now.find(subject).filter(|stream| stream.inlet.is_allowed()).cloned()
            }
            _ => None,
        }
    }

    /// Says that an answer turned out to be wrong.
    pub(super) fn mark_stale(&self) {
        self.stale.notify_one();
    }

    /// Keeps the snapshot fresh, until the connection is closed.
    pub(super) async fn keep_fresh(self: Arc<Self>, wire: Arc<Wire>) {
        let mut link = wire.link.watch();
        let mut advisories = futures::stream::SelectAll::new();
        for subject in ADVISORIES {
            if let Ok(subscription) = wire.client.subscribe(subject).await {
                advisories.push(subscription);
            }
        }
        while !wire.link.state().closed {
            tokio::select! {
                () = tokio::time::sleep(REFRESH_EVERY) => {}
                () = self.stale.notified() => {}
                Some(_) = advisories.next() => {}
                changed = link.changed() => if changed.is_err() { return },
            }
            tokio::time::sleep(SETTLE).await;
            while futures::FutureExt::now_or_never(advisories.next()).flatten().is_some() {}
            if wire.is_connected() {
                self.refresh(&wire).await;
            }
        }
    }

    pub(super) async fn refresh(&self, wire: &Wire) {
        match list(wire).await {
            Ok(listed) => {
                let mut ever = self.ever.lock().unwrap_or_else(PoisonError::into_inner);
                self.snapshot.store(Arc::new(ever.remember(listed)));
            }
            // What is known stays: it is rather right than not.
            Err(error) => tracing::debug!(%error, "cannot list the streams"),
        }
    }
}

impl Ever {
    /// Adds what is listed to what was ever listed, and tells of what is there no longer.
    fn remember(&mut self, listed: Vec<ListedConfig>) -> Snapshot {
        let mut now = Listing::new();
        let mut any_ingests = false;
        for ListedConfig { name, subjects, allow_batched } in listed {
            let stream = self
                .streams
                .entry(name.as_str().into())
                .or_insert_with_key(|name| Arc::new(Stream { name: Arc::clone(name), inlet: Inlet::default() }));
            stream.inlet.allow(allow_batched);
            any_ingests |= allow_batched;
            now.extend(subjects.into_iter().map(|subject| (subject, Arc::clone(stream))));
        }
        let gone: BTreeSet<String> = self.taken.keys().filter(|had| !now.contains_key(*had)).cloned().collect();
        let news: Vec<&str> = gone.difference(&self.told).map(String::as_str).collect();
        if !news.is_empty() {
            tracing::warn!(
                subjects = news.join(" "),
                "no stream takes these subjects any longer; what is published to them waits for one"
            );
        }
        self.told = gone;
        let subjects = Subjects::of(&now);
        self.taken.extend(now);
        Snapshot::Known { now: subjects, ever: Subjects::of(&self.taken), any_ingests }
    }
}

/// One page of `STREAM.LIST`; of a stream's configuration only what matters here.
#[derive(Debug, Deserialize)]
struct Page {
    total: usize,
    streams: Option<Vec<Listed>>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    config: ListedConfig,
}

#[derive(Debug, Deserialize)]
struct ListedConfig {
    name: String,
    #[serde(default)]
    subjects: Vec<String>,
    #[serde(default)]
    allow_batched: bool,
}

async fn list(wire: &Wire) -> Result<Vec<ListedConfig>, JetStreamError> {
    let mut listed = Vec::new();
    let mut offset = 0;
    while offset < MAX_STREAMS {
        let request = serde_json::json!({ "offset": offset });
        let page: Page = match wire.api("STREAM.LIST".to_owned(), &request).await {
            Ok(page) => page,
            // Without JetStream there are no streams, which is an answer too.
            Err(JetStreamError::Off | JetStreamError::OffForAccount) => return Ok(listed),
            Err(error) => return Err(error),
        };
        let streams = page.streams.unwrap_or_default();
        offset += streams.len();
        let last = streams.is_empty();
        listed.extend(streams.into_iter().map(|stream| stream.config));
        if last || offset >= page.total {
            break;
        }
    }
    Ok(listed)
}

/// Subject patterns with the streams that they belong to, asked by walking the tokens of a subject.
#[derive(Debug, Default)]
struct Subjects {
    tokens: HashMap<Box<str>, Subjects>,
    /// Whose pattern ends here.
    ends: Option<Arc<Stream>>,
    /// Whose pattern goes on here with `>`.
    tail: Option<Arc<Stream>>,
}

impl Subjects {
    fn of(listing: &Listing) -> Self {
        let mut subjects = Self::default();
        for (pattern, stream) in listing {
            subjects.insert(pattern, stream);
        }
        subjects
    }

    fn insert(&mut self, pattern: &str, stream: &Arc<Stream>) {
        let mut node = self;
        for token in pattern.split('.') {
            if token == ">" {
                node.tail = Some(Arc::clone(stream));
                return;
            }
            node = node.tokens.entry(Box::from(token)).or_default();
        }
        node.ends = Some(Arc::clone(stream));
    }

    /// Recursion is as deep as the stored patterns have tokens.
    fn find(&self, subject: &str) -> Option<&Arc<Stream>> {
        if self.tail.is_some() {
            return self.tail.as_ref();
        }
        let (token, rest) = match subject.split_once('.') {
            Some((token, rest)) => (token, Some(rest)),
            None => (subject, None),
        };
        [token, "*"].into_iter().filter_map(|token| self.tokens.get(token)).find_map(|node| match rest {
            Some(rest) => node.find(rest),
            None => node.ends.as_ref(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Inlet, Listing, Stream, Subjects};

    fn stream(name: &str) -> Arc<Stream> {
        Arc::new(Stream { name: name.into(), inlet: Inlet::default() })
    }

    #[test]
    fn a_subject_is_found_by_any_pattern_that_stands_for_it() {
        let patterns = ["orders.>", "a.*.c", "a.b", "*.x.y.z", "exact"];
        let listing: Listing = patterns.iter().map(|&pattern| (pattern.to_owned(), stream(pattern))).collect();
        let subjects = Subjects::of(&listing);
        for (subject, want) in [
            ("orders.eu", Some("orders.>")),
            ("orders.eu.de", Some("orders.>")),
            ("orders", None),
            ("a.b", Some("a.b")),
            ("a.b.c", Some("a.*.c")),
            ("a.q.c", Some("a.*.c")),
            ("a.q.d", None),
            ("a.x.y.z", Some("*.x.y.z")),
            ("a.x.y", None),
            ("exact", Some("exact")),
            ("exact.not", None),
            ("none", None),
        ] {
            assert_eq!(subjects.find(subject).map(|stream| &*stream.name), want, "{subject}");
        }
    }

    #[test]
    fn a_subject_that_lost_its_stream_is_told_of_once_until_it_has_one_again() {
        let listed =
            || vec![super::ListedConfig { name: "A".into(), subjects: vec!["a".into()], allow_batched: false }];
        let mut ever = super::Ever::default();
        let told = [listed(), vec![], vec![], listed(), vec![]].map(|listed| {
            let before = ever.told.clone();
            ever.remember(listed);
            ever.told.difference(&before).count()
        });
        assert_eq!(told, [0, 1, 0, 0, 1]);
    }

    #[test]
    fn everything_is_taken_by_a_stream_of_everything() {
        let subjects = Subjects::of(&Listing::from([(">".to_owned(), stream("ALL"))]));
        assert!(subjects.find("a").is_some() && subjects.find("a.b.c").is_some());
    }
}
