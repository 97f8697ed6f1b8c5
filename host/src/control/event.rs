//! What can ask for a new revision, and the one bounded queue that it asks through.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot, watch};

use crate::names::TokenName;
use crate::rules::RulesFile;

use super::change::{Change, Refused};
use super::status::{ReloadRecord, Status};

/// Events that may wait while a plan is compiled.
const WAITING_EVENTS: usize = 64;
/// Callers of the admin API that one load may answer; more wait in the queue.
const WAITING_CALLERS: usize = 256;
/// Loads and changes that wait for the one under way, one after another; more wait in the queue.
const WAITING_REQUESTS: usize = 16;
/// Changed files that are remembered for the log.
pub(super) const REMEMBERED_PATHS: usize = 16;

/// What asked for a load of the configuration, from the least to the most deliberate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// Further files are watched from now on, and may have changed between being read and being watched.
    Recheck,
    /// Files have changed.
    File {
        /// Some of them, for the log.
        paths: BTreeSet<PathBuf>,
    },
    /// SIGHUP.
    Signal,
    /// The admin API.
    Admin,
    /// A file of rules that was put by the admin API.
    Put {
        /// Which.
        file: RulesFile,
    },
    /// The admin API, which asked for a revision that had been in force.
    Activate,
    /// The start of the process.
    Start,
}

/// The answer to whoever asks for a reload while the process stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("trackside is stopping and takes no new configuration")]
pub struct Stopping;

/// Where everybody asks for a reload and sees what became of it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    events: mpsc::Sender<Event>,
    status: watch::Receiver<Status>,
    watched: watch::Receiver<Vec<PathBuf>>,
}

/// One event, with the one who waits for the outcome, if anybody does.
#[derive(Debug)]
pub(super) struct Event {
    asked: Asked,
    caller: Option<oneshot::Sender<Answer>>,
}

/// What is asked for.
#[derive(Debug)]
pub(super) enum Asked {
    /// A load of the files, by the token's name if it was the admin API.
    Load(Trigger, Option<TokenName>),
    /// Something else.
    Change(Box<Change>),
}

type Answer = Result<ReloadRecord, Refused>;

/// One or more events that a single load answers; a change is answered alone.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) asked: Asked,
    callers: Vec<oneshot::Sender<Answer>>,
}

/// The controller's ends of what [`Control`] holds the other ends of.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) status: watch::Sender<Status>,
    pub(super) watched: watch::Sender<Vec<PathBuf>>,
}

pub(super) fn channel() -> (Control, Ends) {
    let (events_in, events) = mpsc::channel(WAITING_EVENTS);
    let (status, status_out) = watch::channel(Status::default());
    let (watched, watched_out) = watch::channel(Vec::new());
    (Control { events: events_in, status: status_out, watched: watched_out }, Ends { events, status, watched })
}

impl Control {
    /// Asks for a load of the configuration, and does not wait for it.
    pub fn notify(&self, trigger: Trigger) {
        // When the queue is full, what waits in it leads to a load that begins after this call: nothing is missed.
        let _ = self.events.try_send(Event { asked: Asked::Load(trigger, None), caller: None });
    }

    /// Asks for a load of the configuration, and waits for the outcome of one that began after this call.
    ///
    /// # Errors
    /// When the process is stopping.
    pub async fn reload(&self) -> Result<ReloadRecord, Stopping> {
        self.reload_by(None).await
    }

    /// The same by the bearer of a token.
    ///
    /// # Errors
    /// When the process is stopping.
    pub async fn reload_by(&self, who: Option<TokenName>) -> Result<ReloadRecord, Stopping> {
        // A load is refused for no other reason.
        self.ask(Asked::Load(Trigger::Admin, who)).await.map_err(|_| Stopping)
    }

    /// Asks for a change, and waits for what comes of it.
    ///
    /// # Errors
    /// When it is not tried: another revision is in force, it is not there to be activated, or the process is stopping.
    pub async fn change(&self, change: Change) -> Result<ReloadRecord, Refused> {
        self.ask(Asked::Change(Box::new(change))).await
    }

    /// A load for whoever it is that asks.
    pub(super) async fn load(&self, trigger: Trigger) -> Result<ReloadRecord, Stopping> {
        self.ask(Asked::Load(trigger, None)).await.map_err(|_| Stopping)
    }

    async fn ask(&self, asked: Asked) -> Answer {
        let (caller, outcome) = oneshot::channel();
        self.events.send(Event { asked, caller: Some(caller) }).await.map_err(|_| Stopping)?;
        outcome.await.map_err(|_| Stopping)?
    }

    /// The status as it is now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The status as it is and will be.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// The files to watch besides the configuration directory's own.
    pub(super) fn watched(&self) -> watch::Receiver<Vec<PathBuf>> {
        self.watched.clone()
    }
}

impl Request {
    pub(super) fn start() -> Self {
        Self { asked: Asked::Load(Trigger::Start, None), callers: Vec::new() }
    }

    /// Joins an event to those that wait. Loads that follow one another are one; a change keeps its place among them.
    pub(super) fn join(waiting: &mut VecDeque<Self>, event: Event) {
        let Event { asked, caller } = event;
        if let (Some(Self { asked: Asked::Load(trigger, who), callers }), Asked::Load(further, by)) =
            (waiting.back_mut(), &asked)
        {
            trigger.join(further.clone());
            if by.is_some() {
                who.clone_from(by);
            }
            // Those who gave up waiting must not use up the room of those who still wait.
            callers.retain(|caller| !caller.is_closed());
            callers.extend(caller);
            return;
        }
        waiting.push_back(Self { asked, callers: caller.into_iter().collect() });
    }

    pub(super) fn has_room(waiting: &VecDeque<Self>) -> bool {
        let callers = waiting.back().map_or(0, |request| request.callers.len());
        waiting.len() < WAITING_REQUESTS && callers < WAITING_CALLERS
    }

    pub(super) fn trigger(&self) -> Trigger {
        match &self.asked {
            Asked::Load(trigger, _) => trigger.clone(),
            Asked::Change(change) => change.trigger(),
        }
    }

    pub(super) fn who(&self) -> Option<&TokenName> {
        match &self.asked {
            Asked::Load(_, who) => who.as_ref(),
            Asked::Change(change) => change.who.as_ref(),
        }
    }

    pub(super) fn answer(self, record: &ReloadRecord) {
        self.tell(&Ok(record.clone()));
    }

    pub(super) fn refuse(self, refused: Refused) {
        self.tell(&Err(refused));
    }

    fn tell(self, answer: &Answer) {
        for caller in self.callers {
            // A caller that no longer waits has no use for the outcome.
            let _ = caller.send(answer.clone());
        }
    }
}

impl Trigger {
    /// The trigger in one word, as the admin API spells it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Recheck => "recheck",
            Self::File { .. } => "file",
            Self::Signal => "signal",
            Self::Admin => "admin",
            Self::Put { .. } => "put",
            Self::Activate => "activate",
            Self::Start => "start",
        }
    }

    fn join(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::File { paths }, Self::File { paths: further }) => {
                paths.extend(further);
                while paths.len() > REMEMBERED_PATHS {
                    paths.pop_last();
                }
            }
            (known, other) if other > *known => *known = other,
            _ => {}
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::File { paths } => {
                for path in paths {
                    write!(f, " {}", path.display())?;
                }
            }
            Self::Put { file } => write!(f, " {}", file.as_str())?,
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Trigger {
        Trigger::File { paths: BTreeSet::from([PathBuf::from(path)]) }
    }

    #[test]
    fn of_several_triggers_the_most_deliberate_one_is_told_and_files_add_up() {
        let mut trigger = Trigger::Recheck;
        trigger.join(file("rules/b.toml"));
        trigger.join(file("rules/a.toml"));
        trigger.join(Trigger::Recheck);
        assert_eq!(trigger.to_string(), "file rules/a.toml rules/b.toml");
        trigger.join(Trigger::Admin);
        trigger.join(Trigger::Signal);
        assert_eq!(trigger, Trigger::Admin);
    }

    #[test]
    fn the_files_remembered_for_the_log_are_bounded() {
        let mut trigger = Trigger::Recheck;
        for number in 0..100 {
            trigger.join(file(&format!("rules/{number:03}.toml")));
        }
        assert!(matches!(trigger, Trigger::File { paths } if paths.len() == REMEMBERED_PATHS));
    }
}
