//! Sends a letter's original message through the rules as they are now.
//!
//! What holds whatever dies in between: a letter is deleted only when all that its message became is safe. What is
//! published has the ids that it would have had the first time, so that a second replay of the same letter stores
//! nothing twice within the duplicate window of the streams.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use crate::backbone::{Outgoing, PublishError, Publisher};
use crate::message::{Message, Origin};
use crate::pipeline::{
    Observation, Outcome, Runner, Stamped, Tries, Underway, Way, dead_letter, header, observations, stamped,
    without_payload,
};
use crate::plan::Plan;

use super::{Keys, Letter, Store};

/// Sends letters through the rules again, one after another.
#[derive(Debug)]
pub struct Replayer<'a> {
    plan: &'a Plan,
    runner: Runner,
    store: &'a Store,
    keys: &'a Keys,
}

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is gone, and its message is out.
    Sent {
        /// How many outputs were published.
        published: usize,
        /// How many times a plugin dropped the message or a part of it.
        dropped: usize,
    },
    /// Its message failed again and is a new letter; the old one is gone.
    FailedAgain {
        /// Why.
        reason: String,
    },
    /// It stays where it is.
    Stays {
        /// Why.
        reason: String,
    },
}

/// A message that has been through its rules again, and of which nothing is published yet.
struct Tried {
    message: Message,
    origin: Arc<Origin>,
    /// By the positions of the rules.
    outcomes: Vec<(usize, Outcome)>,
}

impl<'a> Replayer<'a> {
    /// Sends letters of this store through the rules of this plan.
    #[must_use]
    pub fn new(plan: &'a Plan, runner: Runner, store: &'a Store, keys: &'a Keys) -> Self {
        Self { plan, runner, store, keys }
    }

    /// Sends a letter through the rules, publishes what it becomes, and deletes it.
    pub async fn replay(&mut self, letter: &Letter) -> Fate {
        let sent = match self.run(letter).await {
            Ok(tried) => send_all(self.plan, self.store, letter, tried).await,
            Err(reason) => Err(reason),
        };
        match sent {
            Ok(fate) => match self.store.delete(letter).await {
                Ok(_) => fate,
                Err(error) => Fate::Stays {
                    reason: format!(
                        "its message is out, but the letter could not be deleted ({error}): replay it again or discard it"
                    ),
                },
            },
            Err(reason) => Fate::Stays { reason },
        }
    }

    /// What a replay would do, as `trackside try` tells it. Nothing is published and nothing is deleted.
    ///
    /// # Errors
    /// Why there would be no replay.
    pub async fn preview(&mut self, letter: &Letter) -> Result<Vec<Observation>, String> {
        let Tried { message, origin, outcomes } = self.run(letter).await?;
        let mut observed =
            observations(self.plan, &letter.source, &message, &origin, &outcomes, Some(letter.tries.first));
        for observation in &mut observed {
            observation.message = Some(letter.sequence);
            if let Some(Value::Object(headers)) = &mut observation.headers {
                headers.insert(header::REPLAYED.to_owned(), letter.sequence.to_string().into());
            }
        }
        Ok(observed)
    }

    /// Runs the original through its rules.
    async fn run(&mut self, letter: &Letter) -> Result<Tried, String> {
        let rules = rules_for(self.plan, letter)?;
        let (message, origin) = (original(self.store, self.keys, letter).await?, Arc::new(letter.origin()));
        let (plan, runner) = (self.plan, &mut self.runner);
        // A guest's virtual WASI may block on the runtime, which has to know that this thread does.
        let outcomes = tokio::task::block_in_place(|| {
            let run = |rule: usize| (rule, runner.run(plan, &plan.rules[rule], &message, &origin, &[]));
            rules.into_iter().map(run).collect()
        });
        Ok(Tried { message, origin, outcomes })
    }
}

/// The original: out of the letter or, where that has no payload, out of the stream that it came from.
async fn original(store: &Store, keys: &Keys, letter: &Letter) -> Result<Message, String> {
    let content = letter.original(keys).map_err(|error| error.to_string())?;
    if let Some(payload) = content.payload {
        return Ok(Message { subject: letter.subject.clone(), headers: content.headers, payload });
    }
    let omitted = "its payload was too large to be kept in the letter";
    let Some((stream, sequence)) = letter.position() else {
        return Err(format!("{omitted}, and it did not come from a stream that could still hold it"));
    };
    let held = store.connection().held(stream, sequence).await;
    let held = held.map_err(|error| format!("{omitted}, and stream `{stream}` cannot be asked for it: {error}"))?;
    // The same sequence of a stream that was made anew is another message: its time tells.
    let same = held.filter(|held| {
        let stored = held.stored.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        *letter.origin().id == format!("{stream}:{sequence}:{}", stored.as_nanos())
    });
    same.map(|held| held.message)
        .ok_or_else(|| format!("{omitted}, and stream `{stream}` no longer holds message {sequence}"))
}

/// Publishes what the message became and waits until all of it is safe.
async fn send_all(plan: &Plan, store: &Store, letter: &Letter, tried: Tried) -> Result<Fate, String> {
    let Tried { message, origin, outcomes } = tried;
    let tries = Tries { count: origin.delivery, first: letter.tries.first, last: SystemTime::now() };
    let (mut outputs, mut letters, mut reasons, mut dropped) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (position, outcome) in outcomes {
        let rule = &plan.rules[position];
        dropped += outcome.dropped.len();
        for output in outcome.outputs {
            let mut sent = stamped(rule, &plan.revision, &origin, output);
            sent.headers.push(header::REPLAYED, letter.sequence.to_string());
            outputs.push(sent);
        }
        let Some(failure) = outcome.failure else { continue };
        let reason = format!("rule `{}`, {}: {}", rule.name, failure.class.as_str(), failure.reason);
        if failure.retry.is_some() {
            return Err(format!("{reason}; that may pass, so replay it again later"));
        }
        let again = dead_letter(plan, rule, &letter.source, &message, &origin, &failure, &tries);
        let mut again = again.ok_or_else(|| format!("{reason}; the rule keeps no dead letters any more"))?;
        // Otherwise its stream would take it for the one that is there already.
        again.message_id += &format!(":replay-{}", letter.sequence);
        letters.push(replayed(again, letter));
        reasons.push(reason);
    }
    let publisher = store.connection().publisher();
    let failed = |error| format!("not all of its outputs are safe: {error}");
    let published = send(&publisher, outputs).await.map_err(failed)?;
    for again in letters {
        keep(&publisher, again).await.map_err(|error| format!("a new letter could not be stored: {error}"))?;
    }
    Ok(match reasons.is_empty() {
        true => Fate::Sent { published, dropped },
        false => Fate::FailedAgain { reason: reasons.join("; ") },
    })
}

/// The rule that gave the message up; if there is none of that name any more, all rules that would take the message.
fn rules_for(plan: &Plan, letter: &Letter) -> Result<Vec<usize>, String> {
    let Letter { rule: name, source, subject, .. } = letter;
    if let Some(position) = plan.rules.iter().position(|rule| rule.name == *name) {
        let rule = &plan.rules[position];
        if rule.source != *source {
            return Err(format!("it came from source `{source}`, and rule `{name}` belongs to `{}` now", rule.source));
        }
        if !rule.subject.matches(subject.as_str()) {
            return Err(format!("its subject is `{subject}`, and rule `{name}` takes `{}` now", rule.subject));
        }
        return Ok(vec![position]);
    }
    let mut found = Vec::new();
    if let Some(source) = plan.sources.get(source) {
        source.index.find(subject.as_str(), &mut found);
    }
    if found.is_empty() {
        return Err(format!("there is no rule `{name}` any more, and none of source `{source}` takes `{subject}`"));
    }
    Ok(found.into_iter().map(|rule| rule as usize).collect())
}

/// Marks what a replay made.
fn replayed(mut message: Outgoing, letter: &Letter) -> Outgoing {
    message.headers.push(header::REPLAYED, letter.sequence.to_string());
    message
}

/// Sends outputs in order and waits for all; how many there were. What goes to NATS goes first: it is known best what
/// becomes of that, and nothing is posted if it fails.
async fn send(publisher: &Publisher, outputs: Vec<Stamped>) -> Result<usize, String> {
    let (count, mut messages, mut elsewhere) = (outputs.len(), Vec::with_capacity(outputs.len()), Vec::new());
    for output in outputs {
        match output.on_its_way() {
            Way::Nats(message) => messages.push(message),
            Way::Elsewhere(Underway::Offering(queue, ..)) => {
                return Err(format!(
                    "subscribers of `{}` are served by the running host alone: publish the message to its source again",
                    queue.name()
                ));
            }
            Way::Elsewhere(underway) => elsewhere.push(underway),
        }
    }
    let mut pending = Vec::with_capacity(messages.len());
    for message in messages {
        pending.push(publisher.publish(message).await.map_err(|error| error.to_string())?);
    }
    for pending in pending {
        pending.confirmed().await.map_err(|error| error.to_string())?;
    }
    for underway in elsewhere {
        underway.safe(true).await.map_err(|error| error.to_string())?;
    }
    Ok(count)
}

/// Stores a new letter, without its payload if it is too large with it.
async fn keep(publisher: &Publisher, letter: Outgoing) -> Result<(), PublishError> {
    let pending = match publisher.publish(letter.clone()).await {
        Err(PublishError::TooLarge { .. }) => publisher.publish(without_payload(letter)).await?,
        sent => sent?,
    };
    pending.confirmed().await.map(|_| ())
}
