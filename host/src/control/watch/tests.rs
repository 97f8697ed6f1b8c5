use std::fs;
use std::os::unix::fs::symlink;

use notify::event::{CreateKind, DataChange, ModifyKind};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;

use crate::control::{Compiled, Controller, Outcome, Rejection, ReloadRecord, Status, Wanted};
use crate::names::Revision;
use crate::rules::Contents;
use crate::telemetry::{Build, Metrics};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// What a load came to: a plan of one rule, and what is to be watched.
fn compiled<P>(plan: P, revision: Revision, watch: Vec<PathBuf>) -> Compiled<P> {
    Compiled {
        plan,
        revision,
        rules: 1,
        plugins: Vec::new(),
        watch,
        warnings: Vec::new(),
        contents: Contents::default(),
    }
}

/// A directory that is watched by a real watcher and loaded by a real controller, whose revision is the digest of the
/// text of some files.
struct Watched {
    directory: TempDir,
    status: Receiver<Status>,
    _tasks: JoinSet<()>,
}

impl Watched {
    async fn begin(directory: TempDir, read: &Path) -> Self {
        Self::with_further(directory, read, Vec::new()).await
    }

    async fn with_further(directory: TempDir, read: &Path, watch: Vec<PathBuf>) -> Self {
        let read = read.to_owned();
        let compile = move |_: &Wanted| {
            let text = fs::read_to_string(&read).unwrap_or_default();
            if text.contains("broken") {
                return Err(Rejection { report: format!("{text} is broken"), watch: Vec::new() });
            }
            let revision = Revision::from_digest(&Sha256::digest(&text).into());
            Ok(compiled((), revision, watch.clone()))
        };
        let metrics = Metrics::new(Build { version: "0", wasmtime: "0", contract: "0" });
        let watch = FileWatch::begin(directory.path().to_owned()).await;
        let (mut controller, control) = Controller::new(compile, |()| {}, metrics);
        controller.start().await.expect("the first revision");
        let mut tasks = JoinSet::new();
        tasks.spawn(watch.run(control.clone()));
        tasks.spawn(controller.run(std::future::pending()));
        Self { directory, status: control.subscribe(), _tasks: tasks }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Waits until the files' text is in force; the record of the load that put it there.
    async fn until_active(&mut self, text: &str) -> ReloadRecord {
        let wanted = Revision::from_digest(&Sha256::digest(text).into());
        let active = |status: &Status| status.active.as_ref().is_some_and(|active| active.revision == wanted);
        let status = tokio::time::timeout(PATIENCE, self.status.wait_for(active)).await;
        let status = status.unwrap_or_else(|_| panic!("{text:?} was never loaded")).unwrap();
        status.last_reload.clone().expect("a load")
    }
}

fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("rules")).unwrap();
    fs::write(directory.path().join("trackside.toml"), "").unwrap();
    directory
}

/// Begins with `before` in `name`, lets `change` turn it to `after`, and then writes `last` in place. The second
/// change proves that the watch outlives the first.
async fn check(name: &str, change: impl FnOnce(&Path)) {
    let directory = directory();
    let path = directory.path().join(name);
    fs::write(&path, "before").unwrap();
    let mut watched = Watched::begin(directory, &path).await;
    change(&path);
    watched.until_active("after").await;
    fs::write(&path, "last").unwrap();
    let record = watched.until_active("last").await;
    assert_eq!((record.trigger.as_str(), record.outcome), ("file", Outcome::Activated));
    assert!(record.trigger.to_string().contains(name), "{record:?}");
}

#[tokio::test]
async fn a_file_that_is_written_in_place_is_loaded() {
    check("rules/orders.toml", |path| fs::write(path, "after").unwrap()).await;
}

#[tokio::test]
async fn a_file_that_an_editor_renames_into_place_is_loaded() {
    for name in ["rules/orders.toml", "trackside.toml"] {
        check(name, |path| {
            let scratch = path.with_extension("toml~");
            fs::write(&scratch, "after").unwrap();
            fs::rename(&scratch, path).unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn a_file_that_is_deleted_and_created_is_loaded() {
    check("rules/orders.toml", |path| {
        fs::remove_file(path).unwrap();
        fs::write(path, "after").unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_directory_that_is_replaced_is_loaded_and_watched_on() {
    check("rules/orders.toml", |path| {
        let rules = path.parent().unwrap();
        let new = rules.with_file_name("new");
        fs::create_dir(&new).unwrap();
        fs::write(new.join("orders.toml"), "after").unwrap();
        fs::rename(rules, rules.with_file_name("old")).unwrap();
        fs::rename(&new, rules).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_folder_that_is_made_later_is_watched() {
    let directory = directory();
    let path = directory.path().join("schemas/deep/order.json");
    let mut watched = Watched::begin(directory, &path).await;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "after").unwrap();
    watched.until_active("after").await;
    fs::write(&path, "last").unwrap();
    watched.until_active("last").await;
}

/// The layout of a Kubernetes ConfigMap: `rules` and `trackside.toml` are links into `..data`, which is a link itself.
#[tokio::test]
async fn a_kubernetes_config_map_that_is_swapped_is_loaded_every_time() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    let fill = |root: &Path, version: &str, text: &str| {
        fs::create_dir_all(root.join(version).join("rules")).unwrap();
        fs::write(root.join(version).join("rules/orders.toml"), text).unwrap();
        symlink(version, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    fill(root, "..2026_01", "before");
    symlink("..data/rules", root.join("rules")).unwrap();
    let read = root.join("rules/orders.toml");
    let mut watched = Watched::begin(directory, &read).await;
    for (version, text) in [("..2026_02", "after"), ("..2026_03", "last")] {
        fill(watched.directory.path(), version, text);
        watched.until_active(text).await;
    }
}

#[tokio::test]
async fn a_file_outside_of_the_directory_is_watched_through_its_links() {
    let outside = TempDir::new().unwrap();
    for (release, text) in [("1", "before"), ("2", "second"), ("3", "third")] {
        fs::create_dir(outside.path().join(release)).unwrap();
        fs::write(outside.path().join(release).join("geo.wasm"), text).unwrap();
    }
    let release = |release: &str| {
        symlink(release, outside.path().join("next")).unwrap();
        fs::rename(outside.path().join("next"), outside.path().join("current")).unwrap();
    };
    release("1");
    let file = outside.path().join("current/geo.wasm");
    let mut watched = Watched::with_further(directory(), &file, vec![file.clone()]).await;
    release("2");
    watched.until_active("second").await;
    fs::write(outside.path().join("2/geo.wasm"), "mended").unwrap();
    watched.until_active("mended").await;
    release("3");
    watched.until_active("third").await;
}

#[tokio::test]
async fn what_changes_while_it_is_not_yet_watched_is_found_by_looking_again() {
    let outside = TempDir::new().unwrap();
    let file = outside.path().join("geo.wasm");
    fs::write(&file, "before").unwrap();
    let (read, changed) = (file.clone(), file.clone());
    let compile = move |_: &Wanted| {
        let text = fs::read_to_string(&read).unwrap();
        // As if somebody wrote the file right after it was read, and long before it is watched.
        fs::write(&changed, "after").unwrap();
        let revision = Revision::from_digest(&Sha256::digest(&text).into());
        Ok(compiled(text, revision, vec![read.clone()]))
    };
    let metrics = Metrics::new(Build { version: "0", wasmtime: "0", contract: "0" });
    let directory = directory();
    let watch = FileWatch::begin(directory.path().to_owned()).await;
    let (plans, mut active) = tokio::sync::mpsc::unbounded_channel();
    let (mut controller, control) = Controller::new(compile, move |plan| plans.send(plan).unwrap(), metrics);
    controller.start().await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(watch.run(control.clone()));
    tasks.spawn(controller.run(std::future::pending()));
    assert_eq!(active.recv().await.as_deref(), Some("before"));
    let second = tokio::time::timeout(PATIENCE, active.recv()).await.expect("a second look");
    assert_eq!(second.as_deref(), Some("after"));
}

#[tokio::test]
async fn what_is_no_part_of_the_configuration_is_not_told() {
    let directory = directory();
    let path = directory.path().join("rules/orders.toml");
    fs::create_dir(directory.path().join("tests")).expect("a folder");
    let mut watched = Watched::begin(directory, &path).await;
    // The tests of rules are none of a running host's business.
    for name in ["trackside.log", "tests/orders.toml", "rules/.orders.toml.swp", "rules/orders.toml~"] {
        fs::write(watched.path(name), "noise").unwrap();
    }
    fs::write(&path, "after").unwrap();
    assert_eq!(watched.until_active("after").await.trigger.to_string(), "file rules/orders.toml");
}

#[tokio::test]
async fn a_broken_file_is_rejected_and_mending_it_is_seen() {
    let directory = directory();
    let path = directory.path().join("rules/orders.toml");
    let mut watched = Watched::begin(directory, &path).await;
    fs::write(&path, "broken").unwrap();
    let rejected = |status: &Status| status.last_reload.as_ref().is_some_and(|last| last.outcome == Outcome::Rejected);
    let status = tokio::time::timeout(PATIENCE, watched.status.wait_for(rejected)).await.unwrap().unwrap().clone();
    assert_eq!(status.last_reload.unwrap().errors.as_deref(), Some("broken is broken"));
    fs::write(&path, "mended").unwrap();
    watched.until_active("mended").await;
}

#[test]
fn reading_is_no_change() {
    assert!(!is_change(EventKind::Access(AccessKind::Open(AccessMode::Any))));
    assert!(!is_change(EventKind::Access(AccessKind::Close(AccessMode::Read))));
    assert!(is_change(EventKind::Access(AccessKind::Close(AccessMode::Write))));
    assert!(is_change(EventKind::Modify(ModifyKind::Data(DataChange::Any))));
    assert!(is_change(EventKind::Create(CreateKind::File)));
}

#[test]
fn a_link_that_leads_to_itself_ends_the_search() {
    let directory = TempDir::new().unwrap();
    let link = directory.path().join("trackside.toml");
    symlink(&link, &link).unwrap();
    let real = fs::canonicalize(directory.path()).unwrap();
    assert!(Targets::new(directory.path(), &[]).concern(&real.join("trackside.toml")));
}

#[test]
fn the_advice_names_the_sysctl_and_the_other_ways_to_reload() {
    let watches = advice(&notify::Error::new(ErrorKind::MaxFilesWatch));
    let instances = advice(&notify::Error::io(std::io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES)));
    assert!(watches.contains("fs.inotify.max_user_watches") && watches.contains("SIGHUP"), "{watches}");
    assert!(instances.contains("fs.inotify.max_user_instances") && instances.contains("/v1/reload"), "{instances}");
}
