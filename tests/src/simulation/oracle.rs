//! Judges what happened: nothing lost, nothing twice, nothing out of order, nothing invented. It knows the messages,
//! what their verdicts call for, and the server's record, and nothing of the pipeline.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use trackside::backbone::memory::{Event, Happened, Place, Server, Stored};

use super::process::Ending;
use super::ruling::{DURABLE, Ruling, rulings};
use super::scenario::{Produced, Scenario};

/// A promise that was broken, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was counted while judging.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that Trackside was given.
    pub messages: u64,
    /// Deliveries of them, of whatever number.
    pub deliveries: u64,
    /// Outputs that a stream stored.
    pub outputs: u64,
    /// Publishes that a stream recognised as stored already.
    pub duplicates: u64,
    /// Dead letters.
    pub letters: u64,
}

impl Counts {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.deliveries += other.deliveries;
        self.outputs += other.outputs;
        self.duplicates += other.duplicates;
        self.letters += other.letters;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, deliveries, outputs, duplicates, letters } = self;
        write!(
            f,
            "{messages} messages in {deliveries} deliveries, {outputs} outputs and {letters} dead letters stored, "
        )?;
        write!(f, "{duplicates} duplicates refused")
    }
}

/// An output or dead letter, taken apart by its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Made {
    origin: String,
    rule: String,
    /// `None` for a dead letter.
    to: Option<(String, String)>,
}

struct Oracle<'s> {
    /// Whether one instance has all messages of core NATS. Among several nothing keeps them in order.
    alone: bool,
    rulings: Vec<Vec<Ruling>>,
    /// The configurations that were in force so far.
    in_force: BTreeSet<usize>,
    /// By the id of their origin.
    messages: BTreeMap<String, &'s Produced>,
    /// How often each thing was stored, or passed on where no stream takes it.
    made: BTreeMap<Made, usize>,
    /// Rules that had trouble to publish what became of a message, by its origin's id.
    troubled: BTreeSet<(String, String)>,
    /// What is still missing of a batch of which something has been stored.
    together: Together,
    counts: Counts,
}

/// Judges a run that has come to rest.
///
/// # Errors
/// The first promise that was broken.
pub(super) fn judge(
    scenario: &Scenario,
    server: &Server,
    in_force: &[(usize, usize)],
    endings: &BTreeMap<usize, Ending>,
) -> Result<Counts, Violation> {
    let events = server.events();
    let mut oracle = Oracle::new(scenario, server);
    let mut swaps = in_force.iter().peekable();
    let mut answers = Answers::default();
    let mut received: Vec<(String, usize)> = Vec::new();
    for (number, Event { what, .. }) in events.iter().enumerate() {
        while let Some((_, variant)) = swaps.next_if(|(since, _)| *since <= number) {
            oracle.in_force.insert(*variant);
        }
        answers.take(what);
        match what {
            Happened::Crashed(client) => answers.ended(*client, endings[client], scenario.is_unhindered())?,
            Happened::Received { id, client, .. } => {
                oracle.counts.deliveries += 1;
                received.push((id.clone(), *client));
            }
            other => oracle.take(other)?,
        }
    }
    oracle.contents(&server.stored("OUT"), &server.stored("DEAD"))?;
    oracle.order(&server.stored("OUT"))?;
    oracle.at_rest(server)?;
    for (id, client) in received {
        // What a process had in hand when it died is lost: core NATS promises no more.
        if endings[&client] == Ending::Drained {
            oracle.settled(&id, "was received and finished with")?;
        }
    }
    Ok(oracle.counts)
}

/// What a process that leaves in good order owes to the server.
#[derive(Default)]
struct Answers {
    /// Delivered to a client, and not answered by it.
    owed: BTreeSet<(usize, Place)>,
    /// Done with for good.
    done: BTreeSet<Place>,
}

impl Answers {
    fn take(&mut self, what: &Happened) {
        match what {
            Happened::Delivered { client, place, .. } if !self.done.contains(place) => {
                self.owed.insert((*client, place.clone()));
            }
            Happened::Acknowledged(place) | Happened::Terminated(place) => {
                self.owed.retain(|(_, owed)| owed != place);
                self.done.insert(place.clone());
            }
            Happened::HandedBack { client, place, .. } | Happened::AnswerLost { client, place } => {
                self.owed.remove(&(*client, place.clone()));
            }
            _ => {}
        }
    }

    /// Whether a process that has ended has kept its word.
    fn ended(&mut self, client: usize, ending: Ending, unhindered: bool) -> Result<(), Violation> {
        let owed = self.owed.iter().find(|(by, _)| *by == client).map(|(_, place)| place.clone());
        self.owed.retain(|(by, _)| *by != client);
        match (ending, owed) {
            (Ending::Drained, Some(place)) => Err(Violation(format!(
                "{place} was neither acknowledged nor handed back by client {client}, which had drained"
            ))),
            (Ending::HandedBack, _) if unhindered => {
                Err(Violation(format!("client {client} could not drain in time, and nothing was in its way")))
            }
            _ => Ok(()),
        }
    }
}

/// Outputs that are stored one after another, with nothing in between.
#[derive(Default)]
struct Together {
    origin: String,
    rule: String,
    /// Routes and parts.
    missing: BTreeSet<(String, String)>,
}

impl Together {
    /// Takes in what happened next: the rest of a batch, or something else, and then nothing may be missing.
    fn take(&mut self, stored: Option<&Made>) -> Result<(), Violation> {
        if self.missing.is_empty() {
            return Ok(());
        }
        if let Some(Made { origin, rule, to: Some(to) }) = stored
            && *origin == self.origin
            && *rule == self.rule
            && self.missing.remove(to)
        {
            return Ok(());
        }
        let Self { origin, rule, missing } = self;
        Err(Violation(format!("of what {origin} became by rule {rule} a part was stored without {missing:?}")))
    }
}

impl<'s> Oracle<'s> {
    fn new(scenario: &'s Scenario, server: &Server) -> Self {
        let mut messages = BTreeMap::new();
        for stream in ["ORDERED", "FREE"] {
            let produced = scenario.produced().filter(|produced| produced.to == stream);
            for (produced, stored) in produced.zip(server.stored(stream)) {
                messages.insert(origin(stream, &stored), produced);
            }
        }
        messages.extend(scenario.produced().filter(|p| p.to == "live").map(|produced| (produced.core_id(), produced)));
        Self {
            alone: scenario.instances == 1,
            rulings: (0..super::ruling::VARIANTS).map(rulings).collect(),
            in_force: BTreeSet::new(),
            counts: Counts { messages: messages.len() as u64, ..Counts::default() },
            messages,
            made: BTreeMap::new(),
            troubled: BTreeSet::new(),
            together: Together::default(),
        }
    }

    /// Takes in what happened next.
    fn take(&mut self, what: &Happened) -> Result<(), Violation> {
        let stored = match what {
            Happened::Stored { stream, id, .. } if **stream == *"OUT" => Some(Made::of(id)?),
            _ => None,
        };
        self.together.take(stored.as_ref())?;
        match what {
            Happened::Stored { stream, id, .. } if ["OUT", "DEAD"].contains(&stream.as_ref()) => {
                let made = self.expected(id)?;
                self.begins_batch(&made);
                if made.to.is_some() {
                    self.counts.outputs += 1;
                } else {
                    self.counts.letters += 1;
                }
                let times = self.made.entry(made).or_default();
                *times += 1;
                if *times > 1 {
                    return Err(Violation(format!("`{id}` was stored twice within the duplicate window")));
                }
            }
            Happened::Passed { subject, id, .. } if subject.starts_with("core.") => {
                let made = self.expected(id)?;
                *self.made.entry(made).or_default() += 1;
            }
            Happened::Failed { id, .. } | Happened::Unconfirmed { id } | Happened::Panicked { id } => {
                let Made { origin, rule, .. } = Made::of(id)?;
                self.troubled.insert((origin, rule));
            }
            Happened::Duplicate { .. } => self.counts.duplicates += 1,
            Happened::Delivered { .. } => self.counts.deliveries += 1,
            Happened::Acknowledged(place) | Happened::Terminated(place) => {
                let prefix = format!("{}:{}:", place.stream, place.sequence);
                let origin = self.messages.range(prefix.clone()..).next().map(|(origin, _)| origin.clone());
                let origin = origin.filter(|origin| origin.starts_with(&prefix));
                let origin =
                    origin.ok_or_else(|| Violation(format!("{prefix} was acknowledged and never produced")))?;
                self.settled(&origin, "was acknowledged")?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Notices the first output of a message and a rule whose outputs are stored together.
    fn begins_batch(&mut self, made: &Made) {
        let Some(to) = &made.to else { return };
        let message = self.messages[&made.origin];
        let Some(rule) = self.rules(message).find(|rule| rule.name == made.rule && rule.atomic) else { return };
        let outputs = message.verdict.outputs(rule.trap == "skip").unwrap_or_default();
        let all: BTreeSet<_> = outputs.iter().map(|(route, part)| ((*route).to_owned(), (*part).to_owned())).collect();
        let of = |to: &(String, String)| Made { to: Some(to.clone()), ..made.clone() };
        if all.iter().any(|to| self.made.contains_key(&of(to))) {
            return;
        }
        let missing = all.into_iter().filter(|other| other != to).collect();
        self.together = Together { origin: made.origin.clone(), rule: made.rule.clone(), missing };
    }

    /// Whether a message called for this output or dead letter.
    fn expected(&self, id: &str) -> Result<Made, Violation> {
        let made = Made::of(id)?;
        let invented = |why: &str| Err(Violation(format!("`{id}` was invented: {why}")));
        let Some(message) = self.messages.get(&made.origin) else { return invented("there is no such message") };
        let mut rules = self.rules(message).filter(|rule| rule.name == made.rule).peekable();
        if rules.peek().is_none() {
            return invented("no rule in force takes the message");
        }
        let called_for = match &made.to {
            None => message.verdict.may_fail() || self.troubled.contains(&(made.origin.clone(), made.rule.clone())),
            Some((route, part)) => rules.any(|rule| {
                let outputs = message.verdict.outputs(rule.trap == "skip").unwrap_or_default();
                outputs.iter().any(|(r, p)| p == part && (r == route || (rule.diverts && *route == diverted(r))))
            }),
        };
        if !called_for {
            return invented(&format!("the verdict was {:?}", message.verdict));
        }
        Ok(made)
    }

    /// The rules that take a message in any configuration that was in force.
    fn rules(&self, message: &Produced) -> impl Iterator<Item = &Ruling> {
        self.in_force.iter().flat_map(|variant| self.taking(*variant, message))
    }

    fn taking(&self, variant: usize, message: &Produced) -> impl Iterator<Item = &Ruling> {
        self.rulings[variant].iter().filter(|rule| rule.subject.matches(&message.subject))
    }

    /// Whether everything that the message became is safe, by all rules of one configuration.
    fn settled(&self, origin: &str, what: &str) -> Result<(), Violation> {
        let message = self.messages[origin];
        let missing = |variant: &usize| {
            self.taking(*variant, message).find(|rule| !self.safe(origin, message, rule)).map(|rule| rule.name)
        };
        let missing: Vec<_> = self.in_force.iter().map(missing).collect();
        if missing.contains(&None) {
            return Ok(());
        }
        let (number, verdict) = (message.number, message.verdict);
        let rules: BTreeSet<_> = missing.into_iter().flatten().collect();
        Err(Violation(format!(
            "message {number} ({origin}, {verdict:?}) {what}, and what it became by rule {} is neither stored nor a dead letter",
            rules.into_iter().collect::<Vec<_>>().join(" or ")
        )))
    }

    fn safe(&self, origin: &str, message: &Produced, rule: &Ruling) -> bool {
        let made = |to: Option<(&str, &str)>| {
            let to = to.map(|(route, part)| (route.to_owned(), part.to_owned()));
            self.made.contains_key(&Made { origin: origin.to_owned(), rule: rule.name.to_owned(), to })
        };
        if made(None) {
            return true;
        }
        let troubled = || self.troubled.contains(&(origin.to_owned(), rule.name.to_owned()));
        if !rule.letters && (message.verdict.may_fail() || troubled()) {
            return true;
        }
        message.verdict.outputs(rule.trap == "skip").is_some_and(|outputs| {
            outputs.iter().all(|(route, part)| {
                // Nobody waits for a flush on behalf of a source that delivers at most once.
                let unasked = rule.source == "live" && rule.subject_of(route).starts_with("core.");
                unasked || made(Some((route, part))) || (rule.diverts && made(Some((&diverted(route), part))))
            })
        })
    }

    /// Whether every output and dead letter has the subject and payload that its verdict calls for.
    fn contents(&self, outputs: &[Stored], letters: &[Stored]) -> Result<(), Violation> {
        for stored in outputs.iter().chain(letters) {
            let id = stored.headers.get("Nats-Msg-Id").unwrap_or_default();
            let made = Made::of(id)?;
            let message = self.messages[&made.origin];
            let rules = self.rules(message).filter(|rule| rule.name == made.rule);
            let subjects: BTreeSet<_> = match &made.to {
                // The last one of a diverted output's two routes is the one that it took.
                Some((route, _)) => {
                    let taken = route.rsplit('>').next().unwrap_or(route);
                    rules.map(|rule| rule.subject_of(taken)).collect()
                }
                None => rules.map(Ruling::letters_to).collect(),
            };
            if !subjects.contains(stored.subject.as_str()) {
                return Err(Violation(format!("`{id}` was published to {}, not to {subjects:?}", stored.subject)));
            }
            let original = message.payload();
            let payload = if made.to.is_some() { message.verdict.payload(&original) } else { original.to_vec() };
            if stored.payload != payload {
                return Err(Violation(format!("`{id}` has another payload than its message called for")));
            }
        }
        Ok(())
    }

    /// Whether the outputs of each key came in the order of their messages, for each route of the rules that keep it.
    /// What became a dead letter was given up, and is out of the order.
    fn order(&self, outputs: &[Stored]) -> Result<(), Violation> {
        let mut newest: BTreeMap<(String, String, &str), u32> = BTreeMap::new();
        for stored in outputs {
            let made = Made::of(stored.headers.get("Nats-Msg-Id").unwrap_or_default())?;
            let message = self.messages[&made.origin];
            let letter = Made { to: None, ..made.clone() };
            let keeps = |rule: &Ruling| rule.ordered && (self.alone || rule.source != "live");
            // A rule that a reload brings may take a message late, which comes again because its answer was lost.
            let always = |variant: &usize| self.taking(*variant, message).any(|r| r.name == made.rule && keeps(r));
            let ordered = self.in_force.iter().all(always);
            let Some((route, _)) = made.to.filter(|_| ordered && !self.made.contains_key(&letter)) else { continue };
            let newest = newest.entry((made.rule.clone(), route.clone(), message.key)).or_default();
            if message.number < *newest {
                return Err(Violation(format!(
                    "rule {} published message {} to route {route} after message {newest}, and both have the key {}",
                    made.rule, message.number, message.key
                )));
            }
            *newest = message.number;
        }
        Ok(())
    }

    /// Whether nothing is left to do, long after the last fault.
    fn at_rest(&self, server: &Server) -> Result<(), Violation> {
        for stream in ["ORDERED", "FREE"] {
            let backlog = server.backlog(stream, DURABLE).ok_or_else(|| Violation("a consumer is gone".to_owned()))?;
            if backlog.undelivered > 0 || !backlog.pending.is_empty() {
                return Err(Violation(format!(
                    "long after the last fault, {} messages of {stream} are undelivered, and {:?} unacknowledged",
                    backlog.undelivered, backlog.pending
                )));
            }
        }
        Ok(())
    }
}

impl Made {
    /// Reads `ORIGIN:RULE:ROUTE:PART` or `ORIGIN:RULE:dead`.
    fn of(id: &str) -> Result<Self, Violation> {
        let read = || {
            let (rest, last) = id.rsplit_once(':')?;
            let (rest, before) = rest.rsplit_once(':')?;
            if last == "dead" {
                return Some(Self { origin: rest.to_owned(), rule: before.to_owned(), to: None });
            }
            let (origin, rule) = rest.rsplit_once(':')?;
            Some(Self {
                origin: origin.to_owned(),
                rule: rule.to_owned(),
                to: Some((before.to_owned(), last.to_owned())),
            })
        };
        read().ok_or_else(|| Violation(format!("`{id}` is no id of an output")))
    }
}

/// What stands for the route in the id of an output that was diverted from it.
fn diverted(from: &str) -> String {
    format!("{from}>overflow")
}

fn origin(stream: &str, stored: &Stored) -> String {
    format!("{stream}:{}:{}", stored.sequence, stored.nanos)
}
