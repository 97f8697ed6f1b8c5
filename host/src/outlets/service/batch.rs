//! Batches: what waits for a service under the same head goes in one request.
//!
//! Nobody waits for company. Each message waits for a request of its own; whoever gets one takes along what is waiting then,
//! and the others are told what the service answered. So nothing is kept here that does not belong to a message that is
//! being settled, and one that is dropped meanwhile stays behind.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Post, PostError, Service};
use crate::events;
use crate::message::Headers;
use crate::rules::BatchBounds;

/// What became of a message that was posted.
#[derive(Debug)]
pub struct Posted {
    /// Whether the service has it.
    pub result: Result<(), PostError>,
    /// Whether a failure was told for other messages of the request already: it failed once.
    pub told: bool,
}

/// What waits to go in one request with others.
#[derive(Debug, Default)]
pub(super) struct Together(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// By what has to be the same of a request; never empty.
    by_head: HashMap<Head, VecDeque<Entry>>,
    numbers: u64,
}

/// What all of a request have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Head {
    path: String,
    headers: Vec<(String, String)>,
    timeout: Duration,
    bounds: BatchBounds,
}

/// One message's part.
#[derive(Debug)]
struct Entry {
    number: u64,
    batches: Vec<Bytes>,
    answer: oneshot::Sender<Answer>,
}

/// What a service said to all of a request.
#[derive(Debug)]
struct Answer {
    result: Result<(), PostError>,
    /// Whether there was more than one message.
    company: bool,
    told: bool,
}

impl Service {
    /// Posts batches of one message, in their order and in one request, and waits for the answer. Unless it has to go alone,
    /// other messages' batches that wait for such a request go along.
    ///
    /// A refusal says nothing about one message where there were several, so what is refused in company is posted again,
    /// alone.
    pub async fn post_together(&self, posts: Vec<Post>, alone: bool) -> Posted {
        let Some(first) = posts.first() else { return Posted { result: Ok(()), told: false } };
        let head = Head::of(first);
        let batches: Vec<Bytes> = posts.into_iter().map(|post| post.payload).collect();
        if !alone {
            let Answer { result, company, told } = self.in_company(&head, &batches).await;
            match result {
                Err(error) if company && !error.retryable() => {}
                result => return Posted { result, told },
            }
        }
        let permit = self.permit().await;
        Posted { result: self.post_with(permit, head.post(&batches)).await, told: false }
    }

    async fn in_company(&self, head: &Head, batches: &[Bytes]) -> Answer {
        let (number, mut answer) = self.together.enter(head, batches);
        tokio::select! {
            biased;
            answered = &mut answer => return answered.unwrap_or_else(|_| self.given_up()),
            permit = self.permit() => {
                // What is about to be posted just now gets the chance to come along.
                tokio::task::yield_now().await;
                if let Some(entries) = self.together.take(head, number) {
                    let company = entries.len() > 1;
                    let batches: Vec<Bytes> = entries.iter().flat_map(|entry| entry.batches.iter().cloned()).collect();
                    let result = self.post_with(permit, head.post(&batches)).await;
                    for entry in entries.into_iter().filter(|entry| entry.number != number) {
                        // Who waited for it may be gone.
                        let _ = entry.answer.send(Answer { result: result.clone(), company, told: true });
                    }
                    return Answer { result, company, told: false };
                }
            }
        }
        answer.await.unwrap_or_else(|_| self.given_up())
    }

    /// Whoever had the request is gone, and nobody knows what became of it.
    fn given_up(&self) -> Answer {
        let (address, reason) = (self.address.clone(), "the request was given up".to_owned());
        Answer { result: Err(PostError::Broken { address, reason }), company: true, told: true }
    }
}

impl Together {
    fn enter(&self, head: &Head, batches: &[Bytes]) -> (u64, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let mut waiting = self.waiting();
        waiting.numbers += 1;
        let number = waiting.numbers;
        let entry = Entry { number, batches: batches.to_vec(), answer };
        waiting.by_head.entry(head.clone()).or_default().push_back(entry);
        (number, answered)
    }

    /// Takes this entry and, as far as they fit, those that have waited longest. `None` if others have taken it.
    fn take(&self, head: &Head, number: u64) -> Option<Vec<Entry>> {
        let mut waiting = self.waiting();
        let entries = waiting.by_head.get_mut(head)?;
        // Whoever waited for them is gone.
        entries.retain(|entry| !entry.answer.is_closed());
        let own = entries.iter().position(|entry| entry.number == number).and_then(|at| entries.remove(at));
        let mut taken: Vec<Entry> = own.into_iter().collect();
        let (mut events, mut bytes) = taken.iter().fold((0, 0), |sum, entry| entry.add_to(sum));
        while let Some(next) = entries.front().filter(|_| !taken.is_empty()) {
            (events, bytes) = next.add_to((events, bytes));
            if events > head.bounds.events || bytes > head.bounds.bytes {
                break;
            }
            taken.extend(entries.pop_front());
        }
        if entries.is_empty() {
            waiting.by_head.remove(head);
        }
        // The one that asks may not be the one that came first.
        taken.sort_by_key(|entry| entry.number);
        Some(taken).filter(|taken| !taken.is_empty())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn add_to(&self, (events, bytes): (usize, usize)) -> (usize, usize) {
        (events + self.batches.len(), bytes + self.batches.iter().map(Bytes::len).sum::<usize>())
    }
}

impl Head {
    fn of(post: &Post) -> Self {
        let headers = post.headers.iter().map(|header| (header.name.to_string(), header.value.clone()));
        let bounds = post.batch.unwrap_or(BatchBounds { events: 1, bytes: 0 });
        Self { path: post.path.clone(), headers: headers.collect(), timeout: post.timeout, bounds }
    }

    fn post(&self, batches: &[Bytes]) -> Post {
        let mut headers = Headers::default();
        self.headers.iter().for_each(|(name, value)| headers.push(name.clone(), value.as_str()));
        Post {
            path: self.path.clone(),
            headers,
            payload: events::joined(batches),
            message_id: None,
            timeout: self.timeout,
            batch: Some(self.bounds),
        }
    }
}

impl Post {
    /// Whether it may go in one request with these, which are not none.
    pub(crate) fn goes_with(&self, others: &[&Self]) -> bool {
        let Some(bounds) = self.batch else { return false };
        let bytes: usize = others.iter().map(|other| other.payload.len()).sum();
        let fits = others.len() < bounds.events && bytes + self.payload.len() <= bounds.bytes;
        fits && others.first().is_some_and(|first| Head::of(first) == Head::of(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(path: &str, payload: &'static str) -> Post {
        Post {
            path: path.to_owned(),
            headers: Headers::default(),
            payload: Bytes::from_static(payload.as_bytes()),
            message_id: None,
            timeout: Duration::from_secs(1),
            batch: Some(BatchBounds { events: 3, bytes: 12 }),
        }
    }

    #[test]
    fn what_has_waited_longest_goes_along_as_far_as_it_fits() {
        let (together, head) = (Together::default(), Head::of(&post("/", "[1]")));
        let mut enter = |payload| together.enter(&head, &[Bytes::from_static(payload)]);
        let entered: Vec<_> = [&b"[1]"[..], b"[2]", b"[3]", b"[4]", b"[\"longer\"]", b"[6]"].map(&mut enter).into();
        let numbers: Vec<u64> = entered.iter().map(|(number, _)| *number).collect();
        let take = |number| {
            together.take(&head, number).map(|taken| taken.iter().map(|entry| entry.number).collect::<Vec<_>>())
        };
        assert_eq!(take(numbers[3]), Some(vec![numbers[0], numbers[1], numbers[3]]));
        assert_eq!(take(numbers[0]), None, "another one took it");
        assert_eq!(take(numbers[4]), Some(vec![numbers[4]]), "with the next one it would be too long");
        assert_eq!(take(numbers[5]), Some(vec![numbers[2], numbers[5]]));
        assert!(together.waiting().by_head.is_empty(), "nothing is left behind");
        let (gone, here) = (enter(b"[1]"), enter(b"[2]"));
        drop(gone.1);
        assert_eq!(take(here.0), Some(vec![here.0]), "nobody waits for the other");
        assert!(together.waiting().by_head.is_empty());
    }

    #[test]
    fn the_batches_of_a_message_go_together_if_their_heads_are_the_same() {
        let first = post("/a", "[1]");
        assert!(post("/a", "[2]").goes_with(&[&first]));
        assert!(!post("/b", "[2]").goes_with(&[&first]));
        assert!(!post("/a", "[2]").goes_with(&[&first, &first, &first]), "too many");
        assert!(!post("/a", "[\"long text\"]").goes_with(&[&first]), "too long");
        let mut headed = post("/a", "[2]");
        headed.headers.push("Trackside-Diverted-From", "other");
        assert!(!headed.goes_with(&[&first]));
        assert!(!Post { batch: None, ..post("/a", "[2]") }.goes_with(&[&first]));
    }
}
