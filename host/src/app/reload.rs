//! What every load of the configuration does: gather, parse, refuse what needs a restart, compile, and see to it that
//! new dead letters have a stream.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::admin::{Credentials, Fresh};
use crate::backbone::{Connection, RequiredBucket, RequiredStream};
use crate::control::{Compiled, Rejection};
use crate::message::SubjectPattern;
use crate::plan::{Compiler, Plan};
use crate::plugins::Engine;
use crate::rules::{self, Config, Problem, REPLIES_SOURCE, Report, Rules, SIDECAR_SOURCE, SecretRef};
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
    /// Locked while it compiles; loads come one at a time anyway.
    compiler: Mutex<Compiler>,
    /// What the newest load asks of the streams.
    wanted: Mutex<Wanted>,
    /// The servers, once they are reached, and whether to make every stream that is missing.
    servers: OnceLock<(Connection, bool)>,
}

/// What a configuration asks of the streams.
#[derive(Debug, Default)]
struct Wanted {
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
            compiler: Mutex::new(compiler),
            wanted: Mutex::default(),
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
        let wanted = self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        (wanted.streams.clone(), wanted.buckets.clone())
    }

    /// Loads everything anew. Blocks, and may ask the servers.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(super) fn load(&self) -> Result<Compiled<Arc<Plan>>, Rejection> {
        let (rules, warnings) = rules::load(&self.0.directory).map_err(|report| rejection(&report, Vec::new()))?;
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
        self.0.credentials.replace(fresh);
        Ok(Compiled {
            revision: plan.revision.clone(),
            rules: plan.rules.len(),
            plugins: plan.plugins.iter().map(|(name, digest)| (name.clone(), hex::encode(digest))).collect(),
            watch: files,
            warnings: warnings.into_iter().map(|warning| Report(vec![warning]).to_string()).collect(),
            plan,
        })
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
    pub(super) fn activated(&self, plan: &Plan) {
        self.0.following.activated(plan);
        let rules = plan.rules.iter().map(|rule| rule.name.clone()).collect();
        self.0.readiness.keep_dead_letters_of(&rules);
        self.0.metrics.retain(&InUse {
            rules,
            sources: plan.sources.keys().cloned().collect(),
            plugins: plan.plugins.iter().map(|(name, _)| name.clone()).collect(),
        });
    }

    /// Sees to it that dead letters of new subjects have a stream, and that new buckets are there. Those of the load
    /// before have theirs, so that a change of anything else can be taken over while no server can be reached.
    fn place(&self, rules: &Rules) -> Result<(), Box<Problem>> {
        let (streams, letters) = (required_streams(rules), letter_subjects(rules));
        let new = Wanted { streams, letters, buckets: required_buckets(rules) };
        let mut wanted = self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((connection, make_streams)) = self.0.servers.get() {
            let known = |bucket: &RequiredBucket| wanted.buckets.iter().any(|known| known.name == bucket.name);
            let buckets: Vec<_> = new.buckets.iter().filter(|bucket| !known(bucket)).cloned().collect();
            if !buckets.is_empty() {
                let ensured = connection.buckets();
                let ensured = tokio::runtime::Handle::current().block_on(ensured.ensure(&buckets, *make_streams));
                ensured.map_err(|error| {
                    let message = format!("nothing of this change is taken over: {error}");
                    Box::new(Problem::error(message).help("make the bucket, or take the grant out"))
                })?;
            }
            let fresh: Vec<_> = new.letters.difference(&wanted.letters).collect();
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
        *wanted = new;
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

fn rejection(report: &Report, watch: Vec<PathBuf>) -> Rejection {
    Rejection { report: report.to_string(), watch }
}
