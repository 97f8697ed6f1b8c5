//! The state machine behind every load of the configuration: idle -> compiling -> activated, unchanged or rejected.
//! The point of no return is [`Controller::activate`]; before it anything may fail and nothing has changed.

use std::mem;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::task::{JoinError, JoinHandle};

use crate::names::{PluginName, Revision};
use crate::telemetry::Metrics;

use super::event::{self, Control, Ends, Request, Trigger};
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
type Compile<P> = Arc<dyn Fn() -> Result<Compiled<P>, Rejection> + Send + Sync>;

/// Loads the configuration whenever it is asked to, one load at a time.
pub struct Controller<P> {
    compile: Compile<P>,
    activate: Box<dyn FnMut(P) + Send>,
    metrics: Metrics,
    ends: Ends,
    active: Option<Active>,
    /// What the plan in force was made from.
    active_files: Vec<PathBuf>,
}

/// A load under way.
struct Loading<P> {
    request: Request,
    at: SystemTime,
    begun: Instant,
    task: JoinHandle<Attempt<P>>,
}

enum Attempt<P> {
    New(Compiled<P>),
    Same { watch: Vec<PathBuf>, warnings: Vec<String> },
    Rejected(Rejection),
}

impl<P: Send + 'static> Controller<P> {
    /// A controller, and what others ask it through. `compile` runs on a thread where it may block; a panic in it
    /// counts as a rejection. `activate` puts a plan in force and cannot fail.
    pub fn new(
        compile: impl Fn() -> Result<Compiled<P>, Rejection> + Send + Sync + 'static,
        activate: impl FnMut(P) + Send + 'static,
        metrics: Metrics,
    ) -> (Self, Control) {
        let (control, ends) = event::channel();
        let (compile, activate) = (Arc::new(compile), Box::new(activate));
        (Self { compile, activate, metrics, ends, active: None, active_files: Vec::new() }, control)
    }

    /// Loads the configuration for the first time.
    ///
    /// # Errors
    /// Everything that is wrong with it, ready to be shown.
    pub async fn start(&mut self) -> Result<Revision, String> {
        let mut loading = self.begin(Request::start());
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
        let mut next: Option<Request> = None;
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                attempt = finished(&mut loading) => {
                    if let Some(loading) = loading.take() {
                        self.settle(loading, attempt);
                    }
                }
                Some(event) = self.ends.events.recv(), if Request::has_room(next.as_ref()) => {
                    Request::join(&mut next, event);
                    while Request::has_room(next.as_ref()) && let Ok(event) = self.ends.events.try_recv() {
                        Request::join(&mut next, event);
                    }
                }
            }
            // What arrived during a load waits here, and all of it is answered by one more.
            if loading.is_none() {
                loading = next.take().map(|request| self.begin(request));
            }
        }
    }

    fn begin(&self, request: Request) -> Loading<P> {
        let compile = Arc::clone(&self.compile);
        let in_force = self.active.as_ref().map(|active| active.revision.clone());
        // A plan that is not needed is dropped there as well, since that may take its time too.
        let task = tokio::task::spawn_blocking(move || match compile() {
            Ok(compiled) if Some(&compiled.revision) == in_force.as_ref() => {
                Attempt::Same { watch: compiled.watch, warnings: compiled.warnings }
            }
            Ok(compiled) => Attempt::New(compiled),
            Err(rejection) => Attempt::Rejected(rejection),
        });
        Loading { request, at: SystemTime::now(), begun: Instant::now(), task }
    }

    /// Ends a load: counts it, logs it, tells everybody.
    fn settle(&mut self, loading: Loading<P>, attempt: Result<Attempt<P>, JoinError>) -> ReloadRecord {
        let Loading { request, at, begun, .. } = loading;
        let before = self.active.as_ref().map(|active| active.revision.clone());
        let (outcome, warnings, errors) = match attempt {
            Ok(Attempt::New(mut compiled)) => {
                let warnings = mem::take(&mut compiled.warnings);
                self.activate(compiled);
                (Outcome::Activated, warnings, None)
            }
            Ok(Attempt::Same { watch, warnings }) => {
                self.watch(&watch);
                self.active_files = watch;
                (Outcome::Unchanged, warnings, None)
            }
            Ok(Attempt::Rejected(rejection)) => {
                // What is in force stays so, and what was looked for may appear.
                let mut files = self.active_files.clone();
                files.extend(rejection.watch);
                self.watch(&files);
                (Outcome::Rejected, Vec::new(), Some(rejection.report))
            }
            Err(error) => (Outcome::Rejected, Vec::new(), Some(panicked(error))),
        };
        let revision = self.active.as_ref().map(|active| active.revision.clone());
        let trigger = request.trigger.clone();
        let record = ReloadRecord { at, trigger, outcome, revision, took: begun.elapsed(), errors, warnings };
        self.tell(&record, before.as_ref());
        request.answer(&record);
        record
    }

    /// The point of no return: from here on the new plan is in force, and nothing can fail.
    fn activate(&mut self, compiled: Compiled<P>) {
        let Compiled { plan, revision, rules, plugins, watch, .. } = compiled;
        (self.activate)(plan);
        self.watch(&watch);
        self.active_files = watch;
        let since = SystemTime::now();
        self.metrics.reload_activated(&revision, since);
        self.active = Some(Active { revision, since, rules, plugins });
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
            Outcome::Rejected => self.metrics.reload_rejected(),
        }
        log(record, before);
        self.ends.status.send_modify(|status| {
            status.active.clone_from(&self.active);
            status.last_reload = Some(record.clone());
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
    let said = match error.try_into_panic() {
        Ok(panic) => match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (None, Some(text)) => text.clone(),
            (None, None) => "it left no message".to_owned(),
        },
        Err(error) => error.to_string(),
    };
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
