//! What every load of the configuration does: gather, parse, refuse what needs a restart, compile, and see to it that
//! new dead letters have a stream.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::admin::{Credentials, Fresh};
use crate::backbone::{Connection, RequiredBucket, RequiredStream};
use crate::control::{Compiled, Rejection, Wanted};
use crate::message::SubjectPattern;
use crate::plan::{Compiler, Loaded, Plan, RulePlan, View};
use crate::plugins::Engine;
use crate::rules::{
    self, Config, Contents, FileSet, Problem, REPLIES_SOURCE, Report, Rules, SIDECAR_SOURCE, SecretRef,
};
use crate::supply;
use crate::telemetry::{InUse, Metrics, Readiness};

use super::buckets::required_buckets;
use super::outlets::Following;
use super::streams::{letter_subjects, required_streams};

/// Loads the configuration; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Loader(Arc<State>);

#[derive(Debug)]
struct State {
    directory: PathBuf,
    /// What the process was started with, for what cannot change without a restart.
    config: Config,
    metrics: Metrics,
    readiness: Readiness,
    following: Following,
    /// The tokens of the admin API, which are no part of a revision.
    credentials: Credentials,
    view: View,
    /// Locked while it compiles; loads come one at a time anyway.
    compiler: Mutex<Compiler>,
    /// What the newest load asks of the streams.
    needs: Mutex<Needs>,
    /// The servers, once they are reached, and whether to make every stream that is missing.
    servers: OnceLock<(Connection, bool)>,
}

/// What a configuration asks of the streams.
#[derive(Debug, Default)]
struct Needs {
    streams: Vec<RequiredStream>,
    /// The subjects of dead letters; those of a load that was accepted have their streams.
    letters: BTreeSet<SubjectPattern>,
    /// The buckets that plugins are granted; those of a load that was accepted are there.
    buckets: Vec<RequiredBucket>,
}

impl Loader {
    pub(super) fn new(
        directory: &Path,
        config: &Config,
        engine: &Engine,
        metrics: &Metrics,
        readiness: &Readiness,
    ) -> Self {
        let compiler = Compiler::new(engine.clone(), metrics.clone());
        Self(Arc::new(State {
            directory: directory.to_owned(),
            config: config.clone(),
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            following: Following::new(compiler.outlets(), readiness.clone()),
            credentials: Credentials::default(),
            view: View::default(),
            compiler: Mutex::new(compiler),
            needs: Mutex::default(),
            servers: OnceLock::new(),
        }))
    }

    /// Tells it that the servers are reached. Loads from now on look after the streams of new dead letters
    /// and new buckets themselves; the streams and buckets that the newest load before needs are returned, to be looked
    /// after by the caller.
    pub(super) fn connected(
        &self,
        connection: Connection,
        make_streams: bool,
    ) -> (Vec<RequiredStream>, Vec<RequiredBucket>) {
        self.0.servers.get_or_init(|| (connection, make_streams));
        let needs = self.0.needs.lock().unwrap_or_else(PoisonError::into_inner);
        (needs.streams.clone(), needs.buckets.clone())
    }

    /// Loads everything anew. Blocks, and may ask the servers.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(super) fn load(&self, wanted: &Wanted) -> Result<Compiled<Loaded>, Rejection> {
        let early = |report: Report| rejection(&report, Vec::new());
        let mut texts = FileSet::read(&self.0.directory).map_err(early)?;
        for (file, text) in wanted.over.iter() {
            texts = texts.with(file.path(), text.to_vec());
        }
        let (rules, warnings) = rules::load_from(&texts).map_err(early)?;
        let files: Vec<PathBuf> = supply::files(&rules).chain(references(&rules)).collect();
        let problems = self.fixed(&rules.config);
        if !problems.is_empty() {
            return Err(rejection(&Report(problems), files));
        }
        let fresh = rules.config.admin.as_ref().map(|admin| Fresh::read(admin, &rules.directory)).transpose();
        let fresh = fresh.map_err(|report| rejection(&report, files.clone()))?.unwrap_or_default();
        let mut compiler = self.0.compiler.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = compiler.compile(&rules).map_err(|report| rejection(&report, files.clone()))?;
        // Last, since it may make streams: nothing else can refuse this load any more.
        self.place(&rules).map_err(|problem| rejection(&Report(vec![*problem]), files.clone()))?;
        if let Some(file) = &wanted.write {
            let text = wanted.over.get(file).map(|text| &text[..]).unwrap_or_default();
            write_back(&self.0.directory.join(file.path()), text).map_err(|error| {
                let message = format!("`{}` cannot be written, and nothing has changed: {error}", file.path());
                let help = "let the user that Trackside runs as write to `rules/`, or put it without `write=true`";
                rejection(&Report(vec![Problem::error(message).help(help)]), files.clone())
            })?;
        }
        self.0.credentials.replace(fresh);
        Ok(Compiled {
            revision: plan.revision.clone(),
            rules: plan.rules.len(),
            plugins: plan.plugins.iter().map(|(name, digest)| (name.clone(), hex::encode(digest))).collect(),
            watch: files,
            warnings: warnings.into_iter().map(|warning| Report(vec![warning]).to_string()).collect(),
            contents: Contents::of(&texts, &rules),
            plan: Loaded { plan, files: Arc::new(self.kept(texts)) },
        })
    }

    /// The texts as they are kept, which is only done where the admin API may ask for them.
    fn kept(&self, texts: FileSet) -> FileSet {
        match self.0.view.current() {
            _ if self.0.config.admin.is_none() => FileSet::new(&self.0.directory),
            Some(loaded) => texts.sharing(&loaded.files),
            None => texts,
        }
    }

    /// What is in force, for those who look at it.
    pub(super) fn view(&self) -> &View {
        &self.0.view
    }

    /// What opens the admin API.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    /// What looks after services and subscriptions.
    pub(super) fn following(&self) -> &Following {
        &self.0.following
    }

    /// Looks after the services and subscriptions of the plan in force, and forgets the counters of what it no longer has.
    pub(super) fn activated(&self, loaded: Loaded) {
        let plan = &loaded.plan;
        self.0.following.activated(plan);
        let rules = plan.rules.iter().map(|rule| rule.name.clone()).collect();
        self.0.readiness.keep_dead_letters_of(&rules);
        let stages = plan.rules.iter().flat_map(|rule| &rule.stages);
        self.0.metrics.show(
            plan.rules.iter().map(|rule| (&rule.name, &rule.metrics)),
            stages.map(|stage| (&stage.plugin, &stage.metrics)),
        );
        for rule in &plan.rules {
            self.0.metrics.show_parts(
                &rule.name,
                rule.routes.iter().map(|route| (&route.name, &route.metrics)),
                rule.stages.iter().map(|stage| (&stage.plugin, &stage.seconds)),
            );
        }
        fn each<T: Ord>(plan: &Plan, of: impl Fn(&RulePlan) -> Vec<T>) -> BTreeSet<T> {
            plan.rules.iter().flat_map(of).collect()
        }
        self.0.metrics.retain(&InUse {
            rules,
            sources: plan.sources.keys().cloned().collect(),
            plugins: plan.plugins.iter().map(|(name, _)| name.clone()).collect(),
            routes: each(plan, |rule| {
                rule.routes.iter().map(|route| (rule.name.clone(), route.name.clone())).collect()
            }),
            stages: each(plan, |rule| {
                let numbered = rule.stages.iter().zip(1..);
                numbered.map(|(stage, number)| (rule.name.clone(), number, stage.plugin.clone())).collect()
            }),
        });
        self.0.view.replace(loaded);
    }

    /// Sees to it that dead letters of new subjects have a stream, and that new buckets are there. Those of the load
    /// before have theirs, so that a change of anything else can be taken over while no server can be reached.
    fn place(&self, rules: &Rules) -> Result<(), Box<Problem>> {
        let (streams, letters) = (required_streams(rules), letter_subjects(rules));
        let new = Needs { streams, letters, buckets: required_buckets(rules) };
        let mut needs = self.0.needs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((connection, make_streams)) = self.0.servers.get() {
            let known = |bucket: &RequiredBucket| needs.buckets.iter().any(|known| known.name == bucket.name);
            let buckets: Vec<_> = new.buckets.iter().filter(|bucket| !known(bucket)).cloned().collect();
            if !buckets.is_empty() {
                let ensured = connection.buckets();
                let ensured = tokio::runtime::Handle::current().block_on(ensured.ensure(&buckets, *make_streams));
                ensured.map_err(|error| {
                    let message = format!("nothing of this change is taken over: {error}");
                    Box::new(Problem::error(message).help("make the bucket, or take the grant out"))
                })?;
            }
            let fresh: Vec<_> = new.letters.difference(&needs.letters).collect();
            let takes_fresh = |stream: &&RequiredStream| fresh.iter().any(|pattern| stream.takes(pattern));
            let streams: Vec<_> = new.streams.iter().filter(takes_fresh).cloned().collect();
            if !streams.is_empty() {
                let ensured = connection.ensure_streams(&streams, *make_streams);
                tokio::runtime::Handle::current().block_on(ensured).map_err(|error| {
                    let message =
                        format!("new dead letters have no place, and nothing of this change is taken over: {error}");
                    let help = "make the stream, or name it: `dead-letter = { subject = \"…\", stream = \"…\" }`";
                    Box::new(Problem::error(message).help(help))
                })?;
            }
        }
        *needs = new;
        Ok(())
    }

    /// What has changed and cannot change in a running process.
    fn fixed(&self, new: &Config) -> Vec<Problem> {
        let old = &self.0.config;
        let mut changed = Vec::new();
        let mut compare = |same: bool, what: String| {
            if !same {
                let message =
                    format!("{what} cannot change while trackside runs, and nothing else of this change is taken over");
                changed.push(Problem::error(message).help("restart trackside, or undo this part of the change"));
            }
        };
        compare(old.nats == new.nats, "`[nats]`".to_owned());
        let admin = match (&old.admin, &new.admin) {
            (Some(old), Some(new)) => old.differs_in_tokens_alone(new),
            (old, new) => old.is_none() && new.is_none(),
        };
        compare(admin, "`[admin]`".to_owned());
        let made = |config: &Config| {
            let made = config.sources.iter().filter(|(_, source)| source.kind.is_sidecar());
            made.map(|(name, source)| (name.clone(), source.clone())).collect::<Vec<_>>()
        };
        compare(old.sidecar == new.sidecar && made(old) == made(new), "`[sidecar]`".to_owned());
        compare(old.traces == new.traces, "`[telemetry]`".to_owned());
        compare(old.runtime == new.runtime, "`[runtime]` or `[json]`".to_owned());
        let names = old.sources.keys().chain(new.sources.keys().filter(|name| !old.sources.contains_key(*name)));
        for name in names.filter(|name| !matches!(name.as_str(), SIDECAR_SOURCE | REPLIES_SOURCE)) {
            compare(old.sources.get(name) == new.sources.get(name), format!("`[sources.{name}]`"));
        }
        changed
    }
}

/// Files that secrets are read from.
fn references(rules: &Rules) -> Vec<PathBuf> {
    let named = rules.config.secrets.values().map(|secret| &secret.reference);
    let stages = rules.rules.iter().flat_map(|rule| &rule.stages);
    let stages = stages.flat_map(|stage| rules::secret_files(&stage.with, &rules.directory));
    let letters = rules.rules.iter().filter_map(|rule| rule.on_failure.dead_letter.as_ref()?.encrypt.as_ref());
    let admin = rules.config.admin.as_ref();
    let tokens = admin.into_iter().flat_map(|admin| admin.tokens.values()).map(|token| &token.token);
    let tls = admin.and_then(|admin| admin.tls.clone()).into_iter().flat_map(|(cert, key)| [cert, key]);
    let single = letters.chain(named).chain(tokens).filter_map(|reference| match reference {
        SecretRef::File(path) => Some(rules.directory.join(path)),
        SecretRef::Env(_) | SecretRef::Plain(_) => None,
    });
    stages.chain(single).chain(tls).collect()
}

/// Writes a file the way editors do: to another name first, so that nobody ever reads half of it.
fn write_back(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().ok_or_else(|| std::io::Error::other("it has no folder"))?;
    // A link stays one, and what it leads to is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut draft = tempfile::Builder::new().prefix(".trackside-").tempfile_in(path.parent().unwrap_or(folder))?;
    draft.write_all(text)?;
    let mode = std::fs::metadata(&path).map_or(0o644, |metadata| metadata.permissions().mode());
    draft.as_file().set_permissions(Permissions::from_mode(mode))?;
    draft.as_file().sync_all()?;
    draft.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

fn rejection(report: &Report, watch: Vec<PathBuf>) -> Rejection {
    Rejection { report: report.to_string(), watch }
}
