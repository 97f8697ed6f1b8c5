//! The state machine behind every load of the configuration: idle -> compiling -> activated, unchanged or rejected.
//! The point of no return is [`Controller::activate`]; before it anything may fail and nothing has changed.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::task::{JoinError, JoinHandle};

use crate::names::{PluginName, Revision};
use crate::rules::Contents;
use crate::telemetry::{Metrics, task_panic};

use super::change::{Basis, Overlay, Refused, Wanted, What};
use super::event::{self, Asked, Control, Ends, Request, Trigger};
use super::history::{Changes, Made, Past, REMEMBERED_REVISIONS};
use super::status::{Active, Outcome, ReloadRecord};

/// A plan that was compiled, and what is to be known about it.
#[derive(Debug)]
pub struct Compiled<P> {
    /// The plan.
    pub plan: P,
    /// Its revision: two plans with the same one do the same.
    pub revision: Revision,
    /// How many rules it has.
    pub rules: usize,
    /// The plugins it uses, each with the SHA-256 of its component in hexadecimal.
    pub plugins: Vec<(PluginName, String)>,
    /// Files it was made from, to be watched besides the configuration directory's own; absolute.
    pub watch: Vec<PathBuf>,
    /// What is not wrong but was probably not meant.
    pub warnings: Vec<String>,
    /// The texts it was made from.
    pub contents: Contents,
}

/// Why there is no plan.
#[derive(Debug)]
pub struct Rejection {
    /// Everything that is wrong, ready to be shown.
    pub report: String,
    /// Files that were looked for, there or not, to be watched besides the configuration directory's own; absolute.
    pub watch: Vec<PathBuf>,
}

/// Gathers, parses, checks and compiles: everything that may fail and may take its time.
type Compile<P> = Arc<dyn Fn(&Wanted) -> Result<Compiled<P>, Rejection> + Send + Sync>;

/// Loads the configuration whenever it is asked to, one load at a time.
pub struct Controller<P> {
    compile: Compile<P>,
    activate: Box<dyn FnMut(P) + Send>,
    metrics: Metrics,
    ends: Ends,
    active: Option<Active>,
    /// The revision that the files make by themselves, as far as that is known. What is put or activated stays until
    /// they make another one: a file that the host wrote itself is no change.
    on_disk: Option<Revision>,
    /// What the plan in force was made from.
    active_files: Vec<PathBuf>,
    /// What the revision in force was made of.
    made: Made,
    /// Plans that can be put in force again, the newest last.
    kept: VecDeque<Kept<P>>,
    keep: usize,
    /// The newest first.
    history: VecDeque<Past>,
}

/// A plan that can be put in force again, with what is to be known about it.
struct Kept<P> {
    plan: P,
    revision: Revision,
    rules: usize,
    made: Made,
    files: Vec<PathBuf>,
}

/// A load under way.
struct Loading<P> {
    request: Request,
    /// What the revision in force comes from if this load is right.
    basis: Basis,
    at: SystemTime,
    begun: Instant,
    task: JoinHandle<Attempt<P>>,
}

enum Attempt<P> {
    New(Compiled<P>),
    /// It is in force already.
    Same {
        watch: Vec<PathBuf>,
        warnings: Vec<String>,
    },
    /// The files say what they said before, and something else is in force by now.
    Known,
    Rejected(Rejection),
}

impl<P: Clone + Send + 'static> Controller<P> {
    /// A controller, and what others ask it through. `compile` runs on a thread where it may block; a panic in it
    /// counts as a rejection. `activate` puts a plan in force and cannot fail.
    pub fn new(
        compile: impl Fn(&Wanted) -> Result<Compiled<P>, Rejection> + Send + Sync + 'static,
        activate: impl FnMut(P) + Send + 'static,
        metrics: Metrics,
    ) -> (Self, Control) {
        let (control, ends) = event::channel();
        let controller = Self {
            compile: Arc::new(compile),
            activate: Box::new(activate),
            metrics,
            ends,
            active: None,
            on_disk: None,
            active_files: Vec::new(),
            made: Made::default(),
            kept: VecDeque::new(),
            keep: 0,
            history: VecDeque::new(),
        };
        (controller, control)
    }

    /// The same, which keeps so many plans, the one in force included, to put them in force again.
    #[must_use]
    pub fn keeping(self, keep: usize) -> Self {
        Self { keep, ..self }
    }

    /// Loads the configuration for the first time.
    ///
    /// # Errors
    /// Everything that is wrong with it, ready to be shown.
    pub async fn start(&mut self) -> Result<Revision, String> {
        let mut loading = self.load(Request::start(), Wanted::default(), Basis::Files);
        let attempt = (&mut loading.task).await;
        let record = self.settle(loading, attempt);
        match (record.revision, record.errors) {
            (Some(revision), None) => Ok(revision),
            (_, errors) => Err(errors.unwrap_or_default()),
        }
    }

    /// Loads the configuration whenever it is asked to, until `shutdown` ends. A load under way is then given up, and
    /// those who wait are told so.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        let mut loading: Option<Loading<P>> = None;
        let mut waiting = VecDeque::new();
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                attempt = finished(&mut loading) => {
                    if let Some(loading) = loading.take() {
                        self.settle(loading, attempt);
                    }
                }
                Some(event) = self.ends.events.recv(), if Request::has_room(&waiting) => {
                    Request::join(&mut waiting, event);
                    while Request::has_room(&waiting) && let Ok(event) = self.ends.events.try_recv() {
                        Request::join(&mut waiting, event);
                    }
                }
            }
            // Loads that were asked for during a load wait here, and all of them are answered by one more.
            while loading.is_none()
                && let Some(request) = waiting.pop_front()
            {
                loading = self.begin(request);
            }
        }
    }

    /// Begins with a request, unless it can be answered at once.
    fn begin(&mut self, request: Request) -> Option<Loading<P>> {
        let basis = self.active.as_ref().map(|active| active.basis.clone()).unwrap_or_default();
        match &request.asked {
            // What was activated anew is in force whatever the files say, until somebody asks for those.
            Asked::Load(Trigger::Recheck, _) if matches!(basis, Basis::Activated) => None,
            Asked::Load(Trigger::Recheck, _) => {
                let wanted = Wanted { over: basis.overlay(), write: None };
                Some(self.load(request, wanted, basis))
            }
            Asked::Load(..) => Some(self.load(request, Wanted::default(), Basis::Files)),
            Asked::Change(change) => {
                let in_force = self.active.as_ref().map(|active| active.revision.clone());
                if change.only_if.is_some() && change.only_if != in_force {
                    request.refuse(Refused::Stale(in_force));
                    return None;
                }
                match change.what.clone() {
                    What::Activate(revision) => {
                        self.activate_again(request, &revision);
                        None
                    }
                    What::Put { file, text, write } => {
                        let before = if write { Overlay::default() } else { basis.overlay() };
                        match before.with(file.clone(), text) {
                            Ok(over) if write => {
                                let wanted = Wanted { over, write: Some(file) };
                                Some(self.load(request, wanted, Basis::Files))
                            }
                            Ok(over) => {
                                let wanted = Wanted { over: over.clone(), write: None };
                                Some(self.load(request, wanted, Basis::Put(over)))
                            }
                            Err(refused) => {
                                request.refuse(refused);
                                None
                            }
                        }
                    }
                }
            }
        }
    }

    fn load(&self, request: Request, wanted: Wanted, basis: Basis) -> Loading<P> {
        let compile = Arc::clone(&self.compile);
        let in_force = self.active.as_ref().map(|active| active.revision.clone());
        // Nobody asked for the files to be loaded: they have changed, or so it seems.
        let seen = matches!(request.asked, Asked::Load(Trigger::File { .. }, _));
        let known = self.on_disk.clone().filter(|_| seen);
        // A plan that is not needed is dropped there as well, since that may take its time too.
        let task = tokio::task::spawn_blocking(move || match compile(&wanted) {
            Ok(compiled) if Some(&compiled.revision) == in_force.as_ref() => {
                Attempt::Same { watch: compiled.watch, warnings: compiled.warnings }
            }
            Ok(compiled) if Some(&compiled.revision) == known.as_ref() => Attempt::Known,
            Ok(compiled) => Attempt::New(compiled),
            Err(rejection) => Attempt::Rejected(rejection),
        });
        Loading { request, basis, at: SystemTime::now(), begun: Instant::now(), task }
    }

    /// Ends a load: counts it, logs it, tells everybody.
    fn settle(&mut self, loading: Loading<P>, attempt: Result<Attempt<P>, JoinError>) -> ReloadRecord {
        let Loading { request, basis, at, begun, .. } = loading;
        let before = self.active.as_ref().map(|active| active.revision.clone());
        let of_files = matches!(basis, Basis::Files);
        // What is refused was not written, so it says nothing about the files.
        let candidate = matches!(request.asked, Asked::Change(_));
        let (outcome, warnings, errors) = match attempt {
            Ok(Attempt::New(compiled)) => {
                let Compiled { plan, revision, rules, plugins, watch: files, warnings, contents } = compiled;
                let made = Made { contents, plugins: plugins.into_iter().collect() };
                if of_files {
                    self.files_made(Some(revision.clone()));
                }
                self.activate(Kept { plan, revision, rules, made, files }, basis, &request);
                (Outcome::Activated, warnings, None)
            }
            Ok(Attempt::Same { watch, warnings }) => {
                self.watch(&watch);
                self.active_files = watch;
                if of_files {
                    self.files_made(before.clone());
                }
                if let Some(active) = &mut self.active {
                    active.basis = basis;
                }
                (Outcome::Unchanged, warnings, None)
            }
            Ok(Attempt::Known) => (Outcome::Unchanged, Vec::new(), None),
            Ok(Attempt::Rejected(rejection)) => {
                // What is in force stays so, and what was looked for may appear.
                let mut files = self.active_files.clone();
                files.extend(rejection.watch);
                self.watch(&files);
                (Outcome::Rejected, Vec::new(), Some(rejection.report))
            }
            Err(error) => (Outcome::Rejected, Vec::new(), Some(panicked(error))),
        };
        if outcome == Outcome::Rejected && of_files && !candidate {
            self.files_made(None);
        }
        self.record(request, (at, begun), outcome, warnings, errors, before.as_ref())
    }

    /// The files were loaded, and make this revision, or none.
    fn files_made(&mut self, revision: Option<Revision>) {
        self.metrics.files_loaded(revision.is_some());
        self.on_disk = revision;
    }

    /// Puts a plan in force that was before, if it is kept.
    fn activate_again(&mut self, request: Request, revision: &Revision) {
        let (at, begun) = (SystemTime::now(), Instant::now());
        let before = self.active.as_ref().map(|active| active.revision.clone());
        let Some(position) = self.kept.iter().position(|kept| kept.revision == *revision) else {
            return request.refuse(Refused::NotKept);
        };
        let outcome = if before.as_ref() == Some(revision) {
            Outcome::Unchanged
        } else {
            if let Some(kept) = self.kept.remove(position) {
                self.activate(kept, Basis::Activated, &request);
            }
            Outcome::Activated
        };
        self.record(request, (at, begun), outcome, Vec::new(), None, before.as_ref());
    }

    fn record(
        &self,
        request: Request,
        (at, begun): (SystemTime, Instant),
        outcome: Outcome,
        warnings: Vec<String>,
        errors: Option<String>,
        before: Option<&Revision>,
    ) -> ReloadRecord {
        let revision = self.active.as_ref().map(|active| active.revision.clone());
        let (trigger, who) = (request.trigger(), request.who().cloned());
        let record = ReloadRecord { at, trigger, who, outcome, revision, took: begun.elapsed(), errors, warnings };
        self.tell(&record, before);
        request.answer(&record);
        record
    }

    /// The point of no return: from here on the new plan is in force, and nothing can fail.
    fn activate(&mut self, new: Kept<P>, basis: Basis, request: &Request) {
        (self.activate)(new.plan.clone());
        self.watch(&new.files);
        self.active_files.clone_from(&new.files);
        let since = SystemTime::now();
        self.metrics.reload_activated(&new.revision, since);
        let revision = new.revision.clone();
        let changes = Changes::between(&self.made, &new.made);
        let (trigger, who) = (request.trigger(), request.who().cloned());
        self.history.push_front(Past { revision: revision.clone(), since, trigger, who, changes, kept: false });
        self.history.truncate(REMEMBERED_REVISIONS);
        let plugins = new.made.plugins.iter().map(|(name, sha256)| (name.clone(), sha256.clone())).collect();
        self.active = Some(Active { revision, since, rules: new.rules, plugins, basis });
        self.made = new.made.clone();
        self.kept.retain(|kept| kept.revision != new.revision);
        self.kept.push_back(new);
        while self.kept.len() > self.keep {
            self.kept.pop_front();
        }
    }

    fn watch(&self, files: &[PathBuf]) {
        let mut files = files.to_vec();
        files.sort();
        files.dedup();
        self.ends.watched.send_if_modified(|watched| {
            let changed = *watched != files;
            *watched = files;
            changed
        });
    }

    fn tell(&self, record: &ReloadRecord, before: Option<&Revision>) {
        // Nobody asked for a second look at what has just been loaded, so it is told only if it found something.
        if record.trigger == Trigger::Recheck && record.outcome == Outcome::Unchanged {
            return;
        }
        match record.outcome {
            Outcome::Activated => {}
            Outcome::Unchanged => self.metrics.reload_unchanged(),
            Outcome::Rejected if matches!(record.trigger, Trigger::Put { .. }) => self.metrics.reload_refused(),
            Outcome::Rejected => self.metrics.reload_rejected(),
        }
        log(record, before);
        let is_kept = |past: &Past| self.kept.iter().any(|kept| kept.revision == past.revision);
        let history = self.history.iter().map(|past| Past { kept: is_kept(past), ..past.clone() }).collect();
        self.ends.status.send_modify(|status| {
            status.active.clone_from(&self.active);
            status.last_reload = Some(record.clone());
            status.history = history;
        });
    }
}

/// Waits for a load; for ever if there is none.
async fn finished<P>(loading: &mut Option<Loading<P>>) -> Result<Attempt<P>, JoinError> {
    match loading {
        Some(loading) => (&mut loading.task).await,
        None => std::future::pending().await,
    }
}

fn panicked(error: JoinError) -> String {
    let said = task_panic(error);
    format!("loading the configuration failed by a fault of trackside itself, please report it: {said}")
}

fn log(record: &ReloadRecord, before: Option<&Revision>) {
    let ReloadRecord { trigger, took, .. } = record;
    let name = |revision: Option<&Revision>| revision.map_or("none".to_owned(), ToString::to_string);
    let (old, new) = (name(before), name(record.revision.as_ref()));
    match record.outcome {
        Outcome::Activated => tracing::info!(%old, %new, %trigger, ?took, "a revision was activated"),
        Outcome::Unchanged => tracing::info!(revision = %new, %trigger, ?took, "nothing new in the configuration"),
        // The start fails with the report, and whoever started it prints that.
        Outcome::Rejected if *trigger == Trigger::Start => {}
        Outcome::Rejected => {
            let report = record.errors.as_deref().unwrap_or_default();
            tracing::error!(revision = %new, %trigger, ?took,
                "the configuration was rejected, and the revision in force stays:\n{report}");
        }
    }
    for warning in &record.warnings {
        tracing::warn!("{warning}");
    }
}

#[cfg(test)]
mod tests;
