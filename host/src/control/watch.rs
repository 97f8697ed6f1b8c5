//! Watches the configuration directory and the files that plans are made from outside of it. It only says that
//! something has changed; whether that makes a new revision is decided by reading everything again.

mod targets;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::event::{Control, REMEMBERED_PATHS, Trigger};
use targets::Targets;

/// A change is told once nothing else has changed for this long, so that a save of several steps is one change ...
const QUIET: Duration = Duration::from_millis(200);
/// ... but no later than this, so that a file that is written all the time cannot hold everything up.
const AT_MOST: Duration = Duration::from_secs(2);
/// Changes that may wait to be told; more would tell nothing new.
const WAITING_CHANGES: usize = 256;
/// Attempts to watch directories that come and go.
const TRIES: u32 = 3;
/// EMFILE, which std has no stable name for.
const TOO_MANY_OPEN_FILES: i32 = 24;

/// Watches a configuration directory.
#[derive(Debug)]
pub struct FileWatch {
    directory: PathBuf,
    further: Vec<PathBuf>,
    sender: mpsc::Sender<PathBuf>,
    changes: mpsc::Receiver<PathBuf>,
    watcher: Option<RecommendedWatcher>,
}

impl FileWatch {
    /// Begins to watch a configuration directory. Done before the first load, nothing that changes after it is
    /// missed. If the system refuses, a warning says what to do, and everything else goes on.
    pub async fn begin(directory: PathBuf) -> Self {
        let (sender, changes) = mpsc::channel(WAITING_CHANGES);
        let mut watch = Self { directory, further: Vec::new(), sender, changes, watcher: None };
        watch.renew().await;
        watch
    }

    /// Asks for a reload at every change. Ends when the controller is gone; may be dropped at any time.
    pub async fn run(mut self, control: Control) {
        let mut watched = control.watched();
        loop {
            tokio::select! {
                Some(path) = self.changes.recv() => {
                    let mut paths = BTreeSet::from([path]);
                    self.gather(&mut paths).await;
                    self.renew().await;
                    self.forget();
                    let paths = paths.iter().map(|path| targets::shortened(&self.directory, path)).collect();
                    control.notify(Trigger::File { paths });
                }
                changed = watched.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let further = watched.borrow_and_update().clone();
                    let more = further.iter().any(|path| !self.further.contains(path));
                    self.further = further;
                    self.renew().await;
                    if more {
                        control.notify(Trigger::Recheck);
                    }
                }
            }
        }
    }

    /// Waits until it is quiet.
    async fn gather(&mut self, paths: &mut BTreeSet<PathBuf>) {
        let latest = Instant::now() + AT_MOST;
        loop {
            let now = Instant::now();
            if now >= latest {
                return;
            }
            let Ok(Some(path)) = timeout_at(latest.min(now + QUIET), self.changes.recv()).await else {
                return;
            };
            if paths.len() < REMEMBERED_PATHS {
                paths.insert(path);
            }
        }
    }

    /// Watches everything anew. A change may have put other directories in the place of those that were watched, and
    /// a watch follows the directory and not its name.
    async fn renew(&mut self) {
        let (directory, further, sender) = (self.directory.clone(), self.further.clone(), self.sender.clone());
        let renewed = tokio::task::spawn_blocking(move || watch(&directory, &further, &sender)).await;
        match renewed {
            Ok(Ok(watcher)) => self.watcher = Some(watcher),
            Ok(Err(error)) => tracing::warn!("{}", advice(&error)),
            Err(error) => tracing::warn!(%error, "the configuration is not watched: the watcher failed"),
        }
    }

    /// Forgets what waits to be told: it happened before whatever is read next.
    fn forget(&mut self) {
        for _ in 0..WAITING_CHANGES {
            if self.changes.try_recv().is_err() {
                return;
            }
        }
    }
}

/// Watches everything there is now. Tried again when a directory goes away meanwhile.
fn watch(
    directory: &Path,
    further: &[PathBuf],
    sender: &mpsc::Sender<PathBuf>,
) -> Result<RecommendedWatcher, notify::Error> {
    let mut tries = 1..=TRIES;
    loop {
        let watcher = watch_targets(Targets::new(directory, further), sender.clone());
        match watcher {
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) && tries.next().is_some() => {}
            done => return done,
        }
    }
}

fn watch_targets(targets: Targets, sender: mpsc::Sender<PathBuf>) -> Result<RecommendedWatcher, notify::Error> {
    let (directories, trees) = (targets.directories(), targets.trees().clone());
    let handler = move |event: Result<Event, notify::Error>| match event {
        Ok(event) => {
            // A full queue will be told anyway, so what does not fit is not missed.
            if event.need_rescan() {
                let _ = sender.try_send(PathBuf::from("(too many changes to tell)"));
            }
            for path in event.paths.into_iter().filter(|path| is_change(event.kind) && targets.concern(path)) {
                let _ = sender.try_send(path);
            }
        }
        Err(error) => tracing::warn!("{}", advice(&error)),
    };
    // Links are not followed into trees that may be anything; a file that was read through one is watched as itself.
    let mut watcher = RecommendedWatcher::new(handler, Config::default().with_follow_symlinks(false))?;
    for directory in directories {
        watcher.watch(&directory, RecursiveMode::NonRecursive)?;
    }
    for tree in trees {
        watcher.watch(&tree, RecursiveMode::Recursive)?;
    }
    Ok(watcher)
}

/// Whether a file may have changed. Reading makes events as well, which must not lead to reading again.
fn is_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

/// What to do when the system refuses to watch.
fn advice(error: &notify::Error) -> String {
    const INSTEAD: &str = "changes of files may go unseen; SIGHUP and `POST /v1/reload` still reload";
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            format!("the system watches no more files: raise the sysctl fs.inotify.max_user_watches; {INSTEAD}")
        }
        ErrorKind::Io(io) if io.raw_os_error() == Some(TOO_MANY_OPEN_FILES) => format!(
            "the system has no further file watcher: raise the sysctl fs.inotify.max_user_instances, or the limit of \
             open files; {INSTEAD}"
        ),
        _ => format!("the configuration cannot be watched: {error}; {INSTEAD}"),
    }
}

#[cfg(test)]
mod tests;
