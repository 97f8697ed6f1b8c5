//! What a configuration directory says, after parsing: every name checked, every unit resolved, every template
//! compiled. Knows no Wasm and no NATS client.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::message::SubjectPattern;
use crate::names::{KeyName, PluginName, QueueName, RouteName, RuleName, SecretName, SourceName, TokenName};

use super::error::Location;
use super::grant::Grants;
use super::oci::{OciReference, RegistryHost};
use super::order::OrderBy;
use super::secret::SecretRef;
use super::template::{ServiceAddress, Template, UrlTemplate};
use super::transform::SubjectTransform;
use super::trust::PublicKey;

/// Everything a configuration directory says.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The directory it was read from.
    pub directory: PathBuf,
    /// `trackside.toml`.
    pub config: Config,
    /// The rules of `rules/*.toml`: files in the order of their names, rules in the order of their file.
    pub rules: Vec<Rule>,
    /// SHA-256 over the names and bytes of all the TOML files that were read.
    pub digest: [u8; 32],
}

/// `trackside.toml`.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[nats]`.
    pub nats: NatsSettings,
    /// `[sources.NAME]`.
    pub sources: BTreeMap<SourceName, Source>,
    /// `[plugins.NAME]`; the standard plugins are there only if the file changes their settings.
    pub plugins: BTreeMap<PluginName, PluginSettings>,
    /// `[trust]`.
    pub trust: Trust,
    /// `[registries.HOST]`; a registry without a table has the defaults of [`RegistrySettings::of`].
    pub registries: BTreeMap<RegistryHost, RegistrySettings>,
    /// `[secrets]`: what plugins may be given by name.
    pub secrets: BTreeMap<SecretName, NamedSecret>,
    /// `[streams.NAME]`: streams that outputs need; `run` requires them, `dev` makes them.
    pub streams: BTreeMap<String, Stream>,
    /// `[admin]`, if there is one.
    pub admin: Option<AdminSettings>,
    /// `[sidecar]`, if there is one.
    pub sidecar: Option<SidecarSettings>,
    /// `[telemetry.traces]`, if there is one.
    pub traces: Option<TraceSettings>,
    /// `[runtime]`.
    pub runtime: RuntimeSettings,
}

/// `[nats]`: how to reach the servers. Two equal values mean that a reload need not reconnect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsSettings {
    /// URLs `nats://host:port` or `tls://host:port`, without credentials in them; at least one.
    pub servers: Vec<String>,
    /// The name of the connection, as `nats server report connections` shows it.
    pub name: String,
    /// How to authenticate.
    pub auth: Auth,
    /// TLS files, if `[nats.tls]` is there.
    pub tls: Option<TlsSettings>,
    /// How long a publish may wait for its confirmation and an API call for its answer.
    pub request_timeout: Duration,
}

/// How to authenticate to the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    None,
    /// `user` and `password`.
    UserPassword {
        /// The user's name.
        user: SecretRef,
        /// The password.
        password: SecretRef,
    },
    /// `token`.
    Token(SecretRef),
    /// `nkey`: the seed, beginning with `SU`.
    NKey(SecretRef),
    /// `creds`: the text of a credentials file.
    Credentials(SecretRef),
}

/// `[nats.tls]`; paths are absolute, having been resolved from the configuration directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsSettings {
    /// PEM file of the authorities to trust, in place of the system's.
    pub ca: Option<PathBuf>,
    /// PEM files of the client's certificate and key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// TLS before the server's greeting (`handshake_first` of the server).
    pub handshake_first: bool,
}

/// `[sources.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What kind of source it is.
    pub kind: SourceKind,
    /// How many messages may be between intake and acknowledgement.
    pub max_in_flight_messages: usize,
    /// How many payload and header bytes may be between intake and acknowledgement.
    pub max_in_flight_bytes: usize,
    /// How urgent its messages are, unless their rule says otherwise.
    pub priority: Priority,
    /// Where its table begins.
    pub location: Location,
}

/// The source of what services publish and request at the sidecar.
pub const SIDECAR_SOURCE: &str = "sidecar";

/// The source of what is answered to their requests.
pub const REPLIES_SOURCE: &str = "sidecar-replies";

/// What kind of source it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// A durable pull consumer of a JetStream stream.
    JetStream {
        /// The stream's name.
        stream: String,
        /// Which of its subjects; empty means all.
        filter_subjects: Vec<SubjectPattern>,
        /// The durable consumer's name.
        durable: String,
        /// Where a new consumer begins.
        deliver: Deliver,
        /// After how long the server redelivers what was not acknowledged.
        ack_wait: Duration,
        /// Whether an acknowledgement is itself acknowledged by the server before it counts.
        double_ack: bool,
        /// How it is shared by instances that keep order; without it they share it message by message.
        partitions: Option<Partitions>,
    },
    /// A core NATS subscription.
    Core {
        /// What to subscribe to.
        subject: SubjectPattern,
        /// Instances with the same queue group share the messages.
        queue_group: Option<String>,
    },
    /// What services publish and request at the sidecar.
    Sidecar,
    /// What is answered to requests of the sidecar.
    Replies,
}

impl SourceKind {
    /// Whether its messages come by the sidecar and not off NATS.
    #[must_use]
    pub fn is_sidecar(&self) -> bool {
        matches!(self, Self::Sidecar | Self::Replies)
    }
}

/// How a stream is shared by instances that keep order: a durable consumer for each partition, each read by one
/// instance at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitions {
    /// How many there are.
    pub count: u32,
    /// The filters as written: with more than one partition each has `{partition}` as a token, which stands for the
    /// partition's number, counted from 0.
    pub filters: Vec<String>,
}

/// How urgent work is: more urgent work goes first, and less urgent work still gets its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// First.
    High,
    /// As everything that says nothing.
    #[default]
    Normal,
    /// When there is little else to do.
    Low,
}

/// Where a new consumer begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deliver {
    /// At the stream's first message.
    All,
    /// With what comes after the consumer was made.
    New,
    /// At this sequence.
    FromSequence(u64),
    /// At the first message of this time or later, RFC 3339 as written.
    FromTime(String),
}

/// An entry of `[secrets]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSecret {
    /// Where the secret is.
    pub reference: SecretRef,
    /// Where that is written.
    pub location: Location,
}

/// `[plugins.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginSettings {
    /// The component's file, absolute; `None` for a standard plugin and for one from a registry.
    pub path: Option<PathBuf>,
    /// Where in a registry the component is; never together with `path`.
    pub oci: Option<OciReference>,
    /// The SHA-256 that the component must have.
    pub sha256: Option<[u8; 32]>,
    /// The keys that have to have signed the component, all of them. Standard plugins need no signature.
    pub signed_by: Vec<TrustedKey>,
    /// What it is given beyond the message.
    pub grants: Grants,
    /// What one of its instances may use.
    pub limits: PluginLimits,
    /// When a fresh instance is taken.
    pub isolation: Isolation,
    /// When it is left alone for a while, because it fails again and again.
    pub breaker: BreakerSettings,
    /// Folders below the configuration directory that `setup.read-file` may read, each ending in `/`.
    pub files: Vec<String>,
    /// Where its table begins, if the file has one.
    pub location: Option<Location>,
}

impl PluginSettings {
    /// Whether it is one of those that the binary carries.
    #[must_use]
    pub fn is_standard(&self) -> bool {
        self.path.is_none() && self.oci.is_none()
    }
}

/// `[trust]`: what is asked of the components of plugins, beyond what each plugin's table says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// Whether nothing is loaded without a lock file.
    pub require_lock: bool,
}

/// A public key of `[trust.keys]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// What the configuration calls it.
    pub name: KeyName,
    /// The key.
    pub key: PublicKey,
}

/// `[registries.HOST]`: how to talk to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrySettings {
    /// User and password; without them the registry is asked as anybody may.
    pub login: Option<(SecretRef, SecretRef)>,
    /// PEM file of the authorities to trust, in place of the system's.
    pub ca: Option<PathBuf>,
    /// Whether to talk HTTP without TLS.
    pub plain_http: bool,
    /// How long fetching a plugin may take in all.
    pub timeout: Duration,
}

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures one after another that open it.
    pub failures: u32,
    /// Failures among the last 100 results that open it; `None` where only those one after another count.
    pub failures_of_100: Option<u32>,
    /// For how long it stays open the first time; doubled each time that a probe fails.
    pub open_for: Duration,
    /// The longest that it stays open.
    pub open_for_most: Duration,
}

/// When a fresh instance is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// An instance serves many messages, one after another.
    Instance,
    /// Every message gets an instance of its own.
    Message,
}

/// What an instance of a plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginLimits {
    /// Linear memory of an instance, in bytes.
    pub memory_bytes: usize,
    /// Time of one call, host calls included.
    pub deadline: Duration,
    /// Time of `configure`, which may compile schemas and expressions.
    pub configure_deadline: Duration,
    /// Time of compiling the component, where it is not in the cache.
    pub compile_timeout: Duration,
    /// Memory of the process that compiles it, in bytes of address space.
    pub compile_memory_bytes: usize,
    /// Elements of all tables of an instance.
    pub table_elements: usize,
    /// Host calls in one call.
    pub host_calls: u32,
    /// Bytes copied between host and guest by the host calls of one call.
    pub host_bytes: usize,
    /// Log lines a second, over all instances of the plugin.
    pub log_lines_per_second: u32,
    /// Messages after which an instance is replaced.
    pub recycle_after_messages: u64,
    /// Linear memory, in bytes, past which an instance is replaced once its call has ended.
    pub recycle_above_bytes: usize,
}

/// `[streams.NAME]`: a JetStream stream that has to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its subjects, as they are published.
    pub subjects: Vec<SubjectPattern>,
    /// What it stores some of them under.
    pub transform: Option<SubjectTransform>,
    /// Whether it has to allow fast ingest (ADR-50).
    pub allow_batched: bool,
    /// Where its table begins.
    pub location: Location,
}

impl Stream {
    /// The subjects that it stores messages under.
    pub fn stores(&self) -> impl Iterator<Item = &SubjectPattern> {
        self.subjects.iter().chain(self.transform.iter().map(|transform| &transform.stored))
    }
}

/// `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// PEM files of the certificate chain and its key; without them it talks plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Requests a second, all clients together.
    pub requests_per_second: u32,
    /// The file that every change and every reveal is appended to, beside the log.
    pub audit: Option<PathBuf>,
    /// Who may do what; without any token, nothing is changed or revealed but what is open.
    pub tokens: BTreeMap<TokenName, TokenSettings>,
}

impl AdminSettings {
    /// Whether a running process can go from one to the other: tokens are read anew by every load, and nothing else is.
    #[must_use]
    pub fn differs_in_tokens_alone(&self, other: &Self) -> bool {
        let fixed = |settings: &Self| Self { tokens: BTreeMap::new(), ..settings.clone() };
        fixed(self) == fixed(other)
    }
}

/// `[admin.tokens.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// What its bearer may do.
    pub role: Role,
    /// Where the token is.
    pub token: SecretRef,
    /// Where that is written.
    pub location: Location,
}

/// What the bearer of a token may do, from less to more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See what there is, without payloads that rules have not let out.
    Reader,
    /// Change it, and see everything.
    Admin,
}

impl Role {
    /// The role as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Admin => "admin",
        }
    }
}

/// `[telemetry.traces]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// The receiver.
    pub endpoint: ServiceAddress,
    /// What stands between its address and `/v1/traces`; no slash at its end.
    pub path: String,
    /// Headers of the requests to it, with their values.
    pub headers: Vec<(String, SecretRef)>,
    /// What the service is called.
    pub service_name: String,
    /// Which share of the messages is sampled that come without a trace.
    pub sample_ratio: f64,
    /// How long one batch may take.
    pub timeout: Duration,
    /// How many spans may wait to be exported.
    pub max_waiting_spans: usize,
}

/// Where the sidecar listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// At an address.
    Address(SocketAddr),
    /// At a Unix socket, whose file is made, and replaced if nobody listens there.
    Socket(PathBuf),
}

impl std::fmt::Display for Listen {
    /// As it is written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `[sidecar]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SidecarSettings {
    /// Where to listen.
    pub listen: Listen,
    /// Longest body of a request, in bytes.
    pub max_body_bytes: usize,
    /// Messages of one batch.
    pub max_batch_messages: usize,
    /// How long a call may take that does not say so itself.
    pub timeout: Duration,
    /// The longest that one may ask for.
    pub max_timeout: Duration,
    /// Headers of requests that messages carry, in the spelling in which they carry them.
    pub carry_headers: Vec<String>,
    /// The services that outputs may be posted to.
    pub deliver_to: Vec<ServiceAddress>,
    /// Requests to one service that may be under way.
    pub deliver_concurrency: usize,
}

/// `[runtime]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// Threads that run stages; `None` means one for each core.
    pub lanes: Option<usize>,
    /// How long a drain may take before what is in flight is handed back.
    pub drain_timeout: Duration,
    /// Where compiled components are kept; `None` means the user's cache folder.
    pub cache: Option<PathBuf>,
    /// Whether to watch the configuration directory.
    pub watch: bool,
    /// Nesting of a JSON payload.
    pub json_max_depth: u32,
    /// Matches of one selection.
    pub json_max_matches: u32,
    /// Bytes of a JSON payload.
    pub json_max_bytes: usize,
}

impl RuntimeSettings {
    /// The bounds of JSON selection, without a deadline.
    #[must_use]
    pub fn json_limits(&self) -> trackside_json::Limits {
        trackside_json::Limits {
            max_depth: self.json_max_depth,
            max_matches: self.json_max_matches,
            max_payload_bytes: self.json_max_bytes,
            ..trackside_json::Limits::default()
        }
    }
}

/// One `[[rule]]`.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name.
    pub name: RuleName,
    /// Where its messages come from.
    pub source: SourceName,
    /// Which of them it takes.
    pub subject: SubjectPattern,
    /// What they go through, in order.
    pub stages: Vec<Stage>,
    /// Where they may go. `default` is taken after the last stage.
    pub routes: BTreeMap<RouteName, Route>,
    /// What its messages are kept in order by.
    pub order_by: Option<OrderBy>,
    /// How many of its messages may be under way at once; `None` means as many as its source allows.
    pub concurrency: Option<usize>,
    /// How urgent its messages are.
    pub priority: Priority,
    /// Whether the outputs of one message to one stream are stored together or not at all.
    pub atomic: bool,
    /// When its outputs are left alone for a while.
    pub breaker: OutputBreaker,
    /// What happens to those that fail.
    pub on_failure: OnFailure,
    /// Where the rule begins.
    pub location: Location,
}

/// One `[[rule.stage]]`.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Which plugin.
    pub plugin: PluginName,
    /// Whether a fault of the plugin may skip the stage.
    pub optional: bool,
    /// Its `with` table as JSON, references to secrets still unresolved.
    pub with: serde_json::Value,
    /// Where the plugin's name is.
    pub plugin_location: Location,
    /// Where the values of `with` are.
    pub with_location: super::error::TableLocation,
}

/// A route of a rule.
#[derive(Debug, Clone)]
pub struct Route {
    /// Where it leads.
    pub to: Target,
    /// Where it is.
    pub location: Location,
}

/// How a CloudEvent is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventMode {
    /// Attributes are headers, and the payload is the data as it is.
    Binary,
    /// The payload is JSON that has attributes and data.
    Structured,
    /// The payload is a list of such events.
    Batched,
}

/// Where a route leads.
#[derive(Debug, Clone)]
pub enum Target {
    /// To a subject of NATS.
    Subject {
        /// What is published to.
        template: Template,
        /// How an output counts as safe.
        confirm: Confirm,
        /// How outputs are written as CloudEvents; `None` leaves them as they are.
        events: Option<EventMode>,
    },
    /// To a service that is posted to.
    Service {
        /// Where each output is posted to.
        url: UrlTemplate,
        /// How long an answer may take, connecting included.
        timeout: Duration,
        /// How outputs are written as CloudEvents; `None` leaves them as they are.
        events: Option<EventMode>,
        /// How much of them goes in one request, if they go in batches.
        batch: BatchBounds,
    },
    /// To services that subscribe.
    Subscribers {
        /// What they subscribe to.
        queue: QueueName,
        /// How long an acknowledgement may take from when an output was handed out.
        ack_wait: Duration,
        /// How outputs are written as CloudEvents; `None` leaves them as they are.
        events: Option<EventMode>,
    },
    /// Back to the service that made the request; of rules that take replies.
    Caller,
}

/// How much goes in one batch of CloudEvents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchBounds {
    /// How many events.
    pub events: usize,
    /// How many bytes the body may have. One event that is longer goes alone.
    pub bytes: usize,
}

impl Target {
    /// The subject template, where it leads to NATS.
    #[must_use]
    pub fn subject(&self) -> Option<&Template> {
        match self {
            Self::Subject { template, .. } => Some(template),
            Self::Service { .. } | Self::Subscribers { .. } | Self::Caller => None,
        }
    }
}

impl std::fmt::Display for Target {
    /// As it is written in a rule.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Subject { template, .. } => template.fmt(f),
            Self::Service { url, .. } => url.fmt(f),
            Self::Subscribers { queue, .. } => write!(f, "{SUBSCRIBERS_PREFIX}{queue}"),
            Self::Caller => f.write_str(CALLER),
        }
    }
}

/// What the name of a route's queue follows.
pub(crate) const SUBSCRIBERS_PREFIX: &str = "sidecar:";

/// The route that leads back to who made a request.
pub(crate) const CALLER: &str = "caller:";

/// When the outputs of a rule are left alone for a while, and what becomes of its messages then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputBreaker {
    /// When it opens: one for each route.
    pub settings: BreakerSettings,
    /// The route that outputs take while theirs is closed off; without one the rule waits.
    pub divert: Option<RouteName>,
}

/// How an output counts as safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// By a stream's acknowledgement where a stream takes the subject, otherwise by a flush.
    Auto,
    /// By a stream's acknowledgement, whether the stream can be seen from here or not.
    Stream,
    /// By a flush, even if a stream takes the subject.
    Flush,
}

/// `[rule.on-failure]`.
#[derive(Debug, Clone)]
pub struct OnFailure {
    /// Where dead letters go; without one, what is rejected is terminated and counted.
    pub dead_letter: Option<DeadLetter>,
    /// How often a message is tried before it is given up.
    pub tries: u32,
    /// What giving up means.
    pub give_up: GiveUp,
    /// Waits between tries; the last one repeats.
    pub backoff: Vec<Duration>,
    /// What a trap of the plugin leads to.
    pub on_trap: FaultAction,
    /// What a missed deadline leads to.
    pub on_deadline: FaultAction,
    /// What running out of memory, or of another limit, leads to.
    pub on_limit: FaultAction,
}

/// Where dead letters go.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The template of their subject.
    pub subject: Template,
    /// The key that they are encrypted with.
    pub encrypt: Option<SecretRef>,
    /// The stream that is made for them if none takes their subject.
    pub stream: Option<String>,
    /// Where it is.
    pub location: Location,
}

/// What becomes of a message whose tries are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// It becomes a dead letter.
    DeadLetter,
    /// Its source pauses, and it is tried on at the last wait of the list until it succeeds.
    Pause,
}

/// What a plugin's fault leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultAction {
    /// Leave the stage out, if the rule marks it as optional; dead-letter the message if it does not.
    Skip,
    /// Try again, as `tries` and `backoff` say.
    Retry,
    /// Dead-letter the message at once.
    DeadLetter,
}
