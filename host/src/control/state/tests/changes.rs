//! What the admin API changes: files that are put over those of the directory, and revisions that are activated anew.

use std::sync::Mutex;

use bytes::Bytes;

use crate::control::{Basis, Change, Refused, What};
use crate::names::TokenName;
use crate::rules::RulesFile;

use super::*;

/// A controller whose plan is the text of `rules/a.toml`, which stands in a variable for the file.
struct Files {
    control: Control,
    metrics: Metrics,
    text: Arc<Mutex<String>>,
    written: Arc<Mutex<Vec<String>>>,
    plans: mpsc::UnboundedReceiver<String>,
    watched: Arc<Mutex<Vec<PathBuf>>>,
    running: JoinHandle<()>,
}

impl Files {
    async fn start(text: &str) -> Self {
        let text = Arc::new(Mutex::new(text.to_owned()));
        let (file, written, watched) =
            (Arc::clone(&text), Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<Vec<PathBuf>>>::default());
        let (writes, watch) = (Arc::clone(&written), Arc::clone(&watched));
        let compile = move |wanted: &Wanted| {
            let mut file = file.lock().unwrap();
            let texts: Vec<_> = wanted.over.iter().collect();
            let text = match texts.iter().find(|(name, _)| name.as_str() == "a.toml") {
                Some((_, text)) => String::from_utf8(text.to_vec()).unwrap(),
                None => file.clone(),
            };
            let others = texts.iter().filter(|(name, _)| name.as_str() != "a.toml").count();
            let watch = watch.lock().unwrap().clone();
            if text == "broken" {
                return Err(Rejection { report: "rules/a.toml:1: broken".to_owned(), watch });
            }
            if let Some(name) = &wanted.write {
                writes.lock().unwrap().push(name.as_str().to_owned());
                file.clone_from(&text);
            }
            let plan = format!("{text}+{others}");
            let revision = named(&plan);
            let mut contents = Contents::default();
            contents.files.insert("rules/a.toml".to_owned(), [text.as_bytes()[0]; 32]);
            let (rules, plugins, warnings) = (1, Vec::new(), Vec::new());
            Ok(Compiled { plan, revision, rules, plugins, watch, warnings, contents })
        };
        let (activated, plans) = mpsc::unbounded_channel();
        let metrics = Metrics::new(Build { version: "0", wasmtime: "0", contract: "0" });
        let activate = move |plan| activated.send(plan).unwrap();
        let (controller, control) = Controller::new(compile, activate, metrics.clone());
        let mut controller = controller.keeping(3);
        controller.start().await.unwrap();
        let running = tokio::spawn(controller.run(std::future::pending()));
        let mut files = Self { control, metrics, text, written, plans, watched, running };
        files.in_force("first+0").await;
        files
    }

    async fn put(&self, name: &str, text: &str, write: bool) -> Result<ReloadRecord, Refused> {
        self.put_if(None, name, text, write).await
    }

    async fn put_if(
        &self,
        only_if: Option<Revision>,
        name: &str,
        text: &str,
        write: bool,
    ) -> Result<ReloadRecord, Refused> {
        let (file, text) = (RulesFile::new(name).unwrap(), Bytes::copy_from_slice(text.as_bytes()));
        self.change(only_if, What::Put { file, text, write }).await
    }

    async fn change(&self, only_if: Option<Revision>, what: What) -> Result<ReloadRecord, Refused> {
        let change = Change { who: Some(TokenName::new("ops").unwrap()), only_if, what };
        timeout(PATIENCE, self.control.change(change)).await.expect("an answer")
    }

    fn edit(&self, text: &str) {
        text.clone_into(&mut self.text.lock().unwrap());
    }

    async fn in_force(&mut self, plan: &str) {
        let next = timeout(PATIENCE, self.plans.recv()).await.expect("a plan");
        assert_eq!(next.as_deref(), Some(plan));
    }

    fn basis(&self) -> &'static str {
        self.control.status().active.unwrap().basis.as_str()
    }

    /// A second look, as after further files came to be watched.
    async fn recheck(&self) {
        self.notify(Trigger::Recheck).await;
    }

    /// The file watch has seen a change, or what looks like one.
    async fn seen(&self) {
        self.notify(Trigger::File { paths: BTreeSet::from(["rules/a.toml".into()]) }).await;
    }

    /// Asks for a load, and waits until it is over.
    async fn notify(&self, trigger: Trigger) {
        self.control.notify(trigger);
        // Refused, and so changes nothing; it is answered after what was asked before.
        let stale = self.change(Some(named("nothing")), What::Activate(named("nothing"))).await;
        assert!(matches!(stale, Err(Refused::Stale(_))), "{stale:?}");
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn named(plan: &str) -> Revision {
    let mut digest = [0; 32];
    for (place, byte) in digest.iter_mut().zip(plan.bytes().rev()) {
        *place = byte;
    }
    Revision::from_digest(&digest)
}

#[tokio::test]
async fn what_is_put_is_in_force_until_the_files_are_loaded_again() {
    let mut files = Files::start("first").await;
    let record = files.put("a.toml", "second", false).await.unwrap();
    assert_eq!((record.outcome, record.who.unwrap().as_str()), (Outcome::Activated, "ops"));
    files.in_force("second+0").await;
    files.put("b.toml", "more", false).await.unwrap();
    files.in_force("second+1").await;
    assert_eq!(files.basis(), "put");
    files.recheck().await;
    assert_eq!((files.basis(), files.plans.try_recv().is_err()), ("put", true), "a second look undid it");
    files.control.reload().await.unwrap();
    files.in_force("first+0").await;
    assert_eq!(files.basis(), "files");
    assert!(files.written.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_written_is_put_over_the_files_alone() {
    let mut files = Files::start("first").await;
    files.put("b.toml", "more", false).await.unwrap();
    files.in_force("first+1").await;
    files.put("a.toml", "second", true).await.unwrap();
    files.in_force("second+0").await;
    assert_eq!((files.basis(), files.written.lock().unwrap().as_slice()), ("files", &["a.toml".to_owned()][..]));
    // The file watch sees the change, and there is nothing new in it.
    assert_eq!(files.control.reload().await.unwrap().outcome, Outcome::Unchanged);
}

#[tokio::test]
async fn a_file_that_was_written_here_undoes_nothing_that_came_after_it() {
    let mut files = Files::start("first").await;
    files.put("a.toml", "second", true).await.unwrap();
    files.in_force("second+0").await;
    files.change(None, What::Activate(named("first+0"))).await.unwrap();
    files.in_force("first+0").await;
    files.seen().await;
    assert_eq!((files.basis(), files.plans.try_recv().is_err()), ("activated", true), "it was taken for an edit");
    files.put("a.toml", "third", false).await.unwrap();
    files.in_force("third+0").await;
    files.seen().await;
    assert_eq!((files.basis(), files.plans.try_recv().is_err()), ("put", true), "it was taken for an edit");
    let last = files.control.status().last_reload.unwrap();
    assert_eq!((last.trigger.as_str(), last.outcome), ("file", Outcome::Unchanged));
    // An edit is one, whatever was written before it.
    files.edit("fourth");
    files.seen().await;
    files.in_force("fourth+0").await;
    assert_eq!(files.basis(), "files");
}

#[tokio::test]
async fn files_that_were_broken_are_loaded_once_they_are_as_they_were() {
    let mut files = Files::start("first").await;
    files.edit("broken");
    files.seen().await;
    files.put("a.toml", "second", false).await.unwrap();
    files.in_force("second+0").await;
    files.edit("first");
    files.seen().await;
    files.in_force("first+0").await;
    assert_eq!(files.basis(), "files");
}

#[tokio::test]
async fn a_candidate_that_is_refused_says_nothing_about_the_files() {
    let mut files = Files::start("first").await;
    let has = |files: &Files, line: &str| {
        let text = files.metrics.encode();
        assert!(text.lines().any(|is| is == line), "{line} in {text}");
    };
    files.put("a.toml", "broken", false).await.unwrap();
    files.put("a.toml", "broken", true).await.unwrap();
    has(&files, "trackside_reloads_total{outcome=\"refused\"} 2");
    has(&files, "trackside_reloads_total{outcome=\"rejected\"} 0");
    has(&files, "trackside_last_reload_successful 1");
    files.edit("broken");
    files.control.reload().await.unwrap();
    has(&files, "trackside_reloads_total{outcome=\"rejected\"} 1");
    has(&files, "trackside_last_reload_successful 0");
    files.put("a.toml", "second", false).await.unwrap();
    files.in_force("second+0").await;
    has(&files, "trackside_last_reload_successful 0");
    files.put("a.toml", "second", true).await.unwrap();
    has(&files, "trackside_last_reload_successful 1");
}

#[tokio::test]
async fn what_is_wrong_or_made_to_another_revision_changes_nothing() {
    let mut files = Files::start("first").await;
    for write in [false, true] {
        let rejected = files.put("a.toml", "broken", write).await.unwrap();
        assert_eq!((rejected.outcome, rejected.revision), (Outcome::Rejected, Some(named("first+0"))));
        let stale = files.put_if(Some(named("older")), "a.toml", "second", write).await.unwrap_err();
        assert_eq!(stale, Refused::Stale(Some(named("first+0"))));
    }
    assert_eq!((files.basis(), files.written.lock().unwrap().len()), ("files", 0));
    assert!(files.plans.try_recv().is_err());
    files.put_if(Some(named("first+0")), "a.toml", "second", false).await.unwrap();
    files.in_force("second+0").await;
    // What is put next is put over what is in force, and if it is wrong, that stays too.
    files.put("a.toml", "broken", false).await.unwrap();
    files.recheck().await;
    assert_eq!((files.basis(), files.plans.try_recv().is_err()), ("put", true));
}

#[tokio::test]
async fn of_two_who_change_the_same_revision_one_is_refused() {
    let files = Files::start("first").await;
    let (one, other) = tokio::join!(
        files.put_if(Some(named("first+0")), "a.toml", "one", false),
        files.put_if(Some(named("first+0")), "a.toml", "two", false)
    );
    assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|ok| **ok).count(), 1, "{one:?} {other:?}");
}

#[tokio::test]
async fn a_revision_that_is_kept_is_activated_anew_whatever_the_files_say() {
    let mut files = Files::start("first").await;
    for text in ["second", "third"] {
        files.edit(text);
        files.control.reload().await.unwrap();
        files.in_force(&format!("{text}+0")).await;
    }
    let record = files.change(None, What::Activate(named("first+0"))).await.unwrap();
    assert_eq!((record.outcome, record.trigger), (Outcome::Activated, Trigger::Activate));
    files.in_force("first+0").await;
    assert_eq!(files.basis(), "activated");
    files.recheck().await;
    assert!(files.plans.try_recv().is_err(), "a second look undid it");
    let again = files.change(None, What::Activate(named("first+0"))).await.unwrap();
    assert_eq!(again.outcome, Outcome::Unchanged);
    files.control.notify(Trigger::Signal);
    files.in_force("third+0").await;
    assert_eq!(files.basis(), "files");
}

#[tokio::test]
async fn so_many_plans_are_kept_and_so_many_revisions_remembered() {
    let mut files = Files::start("first").await;
    for number in 0..25 {
        files.put("a.toml", &format!("{number:02}"), false).await.unwrap();
        files.in_force(&format!("{number:02}+0")).await;
    }
    let history = files.control.status().history;
    assert_eq!(history.len(), 20);
    let kept: Vec<_> = history.iter().map(|past| past.kept).collect();
    assert_eq!((&kept[..3], kept[3..].contains(&true)), (&[true; 3][..], false));
    let newest = &history[0];
    assert_eq!((newest.revision.clone(), newest.who.as_ref().unwrap().as_str()), (named("24+0"), "ops"));
    assert_eq!(newest.trigger, Trigger::Put { file: RulesFile::new("a.toml").unwrap() });
    let not_kept = files.change(None, What::Activate(history[3].revision.clone())).await.unwrap_err();
    assert_eq!(not_kept, Refused::NotKept);
}

#[tokio::test]
async fn a_change_tells_what_it_changes() {
    let mut files = Files::start("first").await;
    files.put("a.toml", "second", false).await.unwrap();
    files.in_force("second+0").await;
    let history = files.control.status().history;
    assert_eq!(history[0].changes.files.changed, ["rules/a.toml"]);
    assert_eq!(history[1].changes.files.added, ["rules/a.toml"]);
}

#[tokio::test]
async fn what_is_put_without_being_written_is_bounded() {
    let files = Files::start("first").await;
    let large = "x".repeat(15 << 20);
    files.put("b.toml", &large, false).await.unwrap();
    assert_eq!(files.put("c.toml", &large, false).await.unwrap_err(), Refused::TooMuch);
    assert!(matches!(files.control.status().active.unwrap().basis, Basis::Put(over) if over.iter().count() == 1));
}

#[tokio::test]
async fn further_files_to_watch_lead_to_a_second_look_that_keeps_what_was_put() {
    let mut files = Files::start("first").await;
    files.watched.lock().unwrap().push("/schemas/a.json".into());
    files.put("a.toml", "second", false).await.unwrap();
    files.in_force("second+0").await;
    assert_eq!(*files.control.watched().borrow(), [PathBuf::from("/schemas/a.json")]);
}
