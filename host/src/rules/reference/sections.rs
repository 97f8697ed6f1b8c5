//! The tables and their keys.

use std::time::Duration;

use super::Fallback::{Required, Said, Value};
use super::Kind::{Boolean, Durations, OneOf, Other, Secret, Size, Table, Template, Text, Texts, Whole};
use super::{Fallback, Key, Kind, Section};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

const fn key(name: &'static str, kind: Kind, default: Fallback, meaning: &'static str) -> Key {
    Key { name, kind, default, meaning }
}

const fn millis(min: u64, max: u64) -> Kind {
    Kind::Duration(Duration::from_millis(min), Duration::from_millis(max))
}

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// `trackside.toml` as a whole.
pub(in crate::rules) static FILE: Section = Section {
    title: "trackside.toml",
    meaning: "The tables of the file.",
    keys: &[
        key("nats", Table("[nats]"), Required, "How to reach the servers."),
        key(
            "sources",
            Table("[sources.NAME]"),
            Said("required without `[sidecar]`"),
            "Where messages come from; at least one.",
        ),
        key("plugins", Table("[plugins.NAME]"), Said("none"), "Plugins of your own, and limits of the standard ones."),
        key("trust", Table("[trust]"), Said("its defaults"), "Whose plugins are loaded."),
        key(
            "registries",
            Table("[registries.HOST]"),
            Said("none"),
            "How to talk to registries that plugins come from.",
        ),
        key("secrets", Table("[secrets]"), Said("none"), "Secrets that plugins may be given by name."),
        key("streams", Table("[streams.NAME]"), Said("none"), "Streams that have to be there."),
        key("admin", Table("[admin]"), Said("no admin API"), "Health, metrics, revisions and more over HTTP."),
        key("sidecar", Table("[sidecar]"), Said("no sidecar"), "HTTP for a service beside Trackside."),
        key("telemetry", Table("[telemetry]"), Said("no traces"), "What is told of messages beside metrics and log."),
        key("runtime", Table("[runtime]"), Said("its defaults"), "Threads, draining, caching and watching."),
        key("json", Table("[json]"), Said("its defaults"), "Bounds of JSON payloads."),
    ],
};

/// `[nats]`
pub(in crate::rules) static NATS: Section = Section {
    title: "[nats]",
    meaning: "How to reach the servers. At most one of `user` with `password`, `token`, `nkey` and `creds` can be \
              given. Secrets are references, `\"env:NAME\"` for an environment variable or `\"file:PATH\"` for a file; \
              a secret that is written out is refused.",
    keys: &[
        key(
            "servers",
            Texts,
            Required,
            "URLs `nats://HOST:PORT` or `tls://HOST:PORT` of one cluster, without credentials in them.",
        ),
        key(
            "name",
            Text,
            Value("\"trackside\""),
            "The connection's name, as `nats server report connections` shows it.",
        ),
        key("user", Text, Said("none"), "The user's name, or a reference to it."),
        key("password", Secret, Said("none"), "The user's password."),
        key("token", Secret, Said("none"), "A token."),
        key("nkey", Secret, Said("none"), "An nkey's seed, which begins with `SU`."),
        key("creds", Text, Said("none"), "The path of a credentials file, or a reference to its text."),
        key(
            "request-timeout",
            millis(10, 300_000),
            Value("\"5s\""),
            "How long a publish waits for its confirmation, and a request for its answer.",
        ),
        key("tls", Table("[nats.tls]"), Said("as the URL says"), "TLS files."),
    ],
};

/// `[nats.tls]`
pub(in crate::rules) static TLS: Section = Section {
    title: "[nats.tls]",
    meaning: "PEM files for TLS. Relative paths begin at the configuration directory.",
    keys: &[
        key("ca", Text, Said("the system's"), "File of the authorities to trust."),
        key("cert", Text, Said("none"), "File of the client's certificate; needs `key`."),
        key("key", Text, Said("none"), "File of the client's key; needs `cert`."),
        key(
            "handshake-first",
            Boolean,
            Value("false"),
            "TLS before the server's greeting, for servers with `handshake_first`.",
        ),
    ],
};

/// `[sources.NAME]`
pub(in crate::rules) static SOURCE: Section = Section {
    title: "[sources.NAME]",
    meaning: "Where messages come from: a JetStream stream, read by a durable pull consumer, if it has `stream`; a \
              core NATS subscription if it has `subject`. Core NATS delivers at most once. The names `sidecar` \
              and `sidecar-replies` are those of the sources that `[sidecar]` makes.",
    keys: &[
        key("stream", Text, Said("none"), "The stream to read. Either this or `subject`."),
        key("subject", Text, Said("none"), "The subject to subscribe to, wildcards allowed. Either this or `stream`."),
        key(
            "durable",
            Text,
            Said("required with `stream`"),
            "With `stream`: the consumer's name. It is made if it is not there, and keeps its place across restarts.",
        ),
        key(
            "filter-subjects",
            Texts,
            Said("all of the stream's"),
            "With `stream`: which of its subjects, wildcards allowed. They cannot overlap.",
        ),
        key(
            "deliver",
            Other("`\"all\"`, `\"new\"`, `{ from-sequence = 7 }` or `{ from-time = \"2026-11-22T10:00:00Z\" }`"),
            Value("\"all\""),
            "With `stream`: where a new consumer begins. The time is one of RFC 3339.",
        ),
        key(
            "ack-wait",
            millis(100, DAY),
            Value("\"30s\""),
            "With `stream`: after how long the server redelivers what was not acknowledged. Trackside extends it while \
             it works on a message.",
        ),
        key(
            "queue-group",
            Text,
            Said("none: every instance gets every message"),
            "With `subject`: instances with the same queue group share the messages.",
        ),
        key(
            "max-in-flight-messages",
            Whole(1, 100_000),
            Value("1000"),
            "How many messages may be between intake and acknowledgement.",
        ),
        key(
            "partitions",
            Whole(1, 256),
            Said("none: instances share its messages one by one"),
            "With `stream`, and needed by rules with `order-by`: the stream is read by one instance at a time, in order. \
             With more than one, each filter has `{partition}` as a token, each partition has a consumer of its own \
             (`DURABLE-0` and so on), and instances share the partitions.",
        ),
        key(
            "double-ack",
            Boolean,
            Value("false"),
            "With `stream`: acknowledgements are acknowledged by the server and repeated until they are.",
        ),
        key(
            "priority",
            OneOf(PRIORITIES),
            Value("\"normal\""),
            "How urgent its messages are, unless their rule says otherwise, see `priority` of `[[rule]]`.",
        ),
        key(
            "max-in-flight-bytes",
            Size(64 * KIB, 64 * GIB),
            Value("\"64MiB\""),
            "How many bytes of payloads and headers may be between intake and acknowledgement. Each header counts 96 bytes more, \
             for the memory that it takes.",
        ),
    ],
};

/// `deliver = { … }`
pub(in crate::rules) static DELIVER: Section = Section {
    title: "deliver = { … }",
    meaning: "Where a new consumer begins; one of the two.",
    keys: &[
        key("from-sequence", Whole(1, u64::MAX), Said("none"), "At this sequence of the stream."),
        key("from-time", Text, Said("none"), "At the first message of this time or later."),
    ],
};

/// `[plugins.NAME]`
pub(in crate::rules) static PLUGIN: Section = Section {
    title: "[plugins.NAME]",
    meaning: "A plugin of your own, and what one of its instances may use. `validate`, `transform`, `mask` and `route` \
              come with Trackside and need no entry; with one, their limits or even their file can be changed.",
    keys: &[
        key(
            "path",
            Text,
            Said("required, except for the standard plugins"),
            "The component's file. Relative paths begin at the configuration directory.",
        ),
        key(
            "oci",
            Text,
            Said("none"),
            "In place of `path`, where the component is in an OCI registry: `\"registry.example/team/name@sha256:…\"`. A tag \
             in place of the digest needs a lock file, which pins it, see [supply-chain.md](supply-chain.md).",
        ),
        key(
            "sha256",
            Text,
            Said("any component is taken"),
            "The SHA-256 that the component must have, in 64 hexadecimal digits.",
        ),
        key(
            "require-signature",
            Texts,
            Said("as `[trust]` says"),
            "Keys of `[trust.keys]` that have to have signed the component, all of them. Not for a standard plugin, which is \
             inside the binary.",
        ),
        key(
            "grants",
            Texts,
            Value("[]"),
            "What it is given beyond the message: `\"log\"`, `\"clock\"`, `\"random\"`, `\"kv:BUCKET:read\"`, \
             `\"kv:BUCKET:read-write\"`, `\"secret:NAME\"`. See [grants.md](grants.md).",
        ),
        key("memory", Size(MIB, 4 * GIB), Value("\"64MiB\""), "Linear memory of an instance."),
        key("deadline", millis(1, 60_000), Value("\"100ms\""), "Time for one message, calls to the host included."),
        key(
            "configure-deadline",
            millis(1, 300_000),
            Value("\"5s\""),
            "Time to take the settings in, which may compile schemas and expressions.",
        ),
        key(
            "compile-timeout",
            millis(100, HOUR),
            Value("\"1m\""),
            "Time to compile the component, where that is not in the cache. What takes longer is refused. Standard \
             plugins have ten minutes unless their tables say otherwise.",
        ),
        key(
            "compile-memory",
            Size(128 * MIB, 64 * GIB),
            Value("\"2GiB\""),
            "Memory of the process that compiles it, in address space.",
        ),
        key(
            "isolation",
            OneOf(&["instance", "message"]),
            Value("\"instance\""),
            "`instance`: an instance serves many messages, one after another. `message`: every message gets a fresh one, as `configure` left the first.",
        ),
        key("breaker", Table("[plugins.NAME.breaker]"), Said("its defaults"), "When it is left alone for a while."),
        key(
            "files",
            Texts,
            Value("[\"schemas/\"]"),
            "Folders below the configuration directory whose files it may read while it is configured.",
        ),
        key("table-elements", Whole(1, 10_000_000), Value("20000"), "Elements of all tables of an instance."),
        key("host-calls", Whole(1, 100_000_000), Value("100000"), "Calls to the host for one message."),
        key(
            "host-bytes",
            Size(KIB, 4 * GIB),
            Value("\"64MiB\""),
            "Bytes copied between host and plugin for one message.",
        ),
        key(
            "log-lines-per-second",
            Whole(0, 1_000_000),
            Value("100"),
            "Log lines a second, over all instances; what is past that is dropped and counted.",
        ),
        key(
            "recycle-after-messages",
            Whole(1, u64::MAX),
            Value("1000000"),
            "Messages after which an instance is replaced by a fresh one.",
        ),
        key(
            "recycle-above",
            Size(1, 4 * GIB),
            Said("three quarters of `memory`"),
            "An instance whose memory has grown past this is replaced once its message is done. At most `memory`.",
        ),
    ],
};

/// `[trust]`
pub(in crate::rules) static TRUST: Section = Section {
    title: "[trust]",
    meaning: "Whose plugins are loaded, see [supply-chain.md](supply-chain.md). `[trust.keys]` gives names to public keys: \
              `NAME = \"MCowBQYDK2VwAyEA…\"`, the line that `trackside plugin keygen` prints.",
    keys: &[
        key(
            "require-signature",
            Texts,
            Said("none"),
            "Keys that have to have signed the component of every plugin with a `path` or `oci`, all of them, unless the \
             plugin's table names others.",
        ),
        key(
            "require-lock",
            Boolean,
            Value("false"),
            "Whether plugins are loaded only with a lock file `trackside.lock`. One that is there is kept to in any case.",
        ),
        key("keys", Table("[trust.keys]"), Said("none"), "Public keys of Ed25519, by name."),
    ],
};

/// `[registries.HOST]`
pub(in crate::rules) static REGISTRY: Section = Section {
    title: "[registries.HOST]",
    meaning: "How to talk to an OCI registry, by its host as references spell it, in quotes: \
              `[registries.\"registry.example:5000\"]`. One that anybody may read from needs no table.",
    keys: &[
        key("user", Text, Said("none: as anybody may"), "The user's name, or a reference to it; needs `password`."),
        key("password", Secret, Said("none"), "The user's password or token; needs `user`."),
        key("ca", Text, Said("the system's"), "PEM file of the authorities to trust."),
        key(
            "plain-http",
            Boolean,
            Said("`true` for loopback addresses without `ca`, else `false`"),
            "Whether to talk HTTP without TLS, by which everybody on the way can read the password.",
        ),
        key("timeout", millis(100, HOUR), Value("\"60s\""), "How long fetching a plugin may take in all."),
    ],
};

/// `[secrets]`, whose keys are the secrets' names.
pub(in crate::rules) static SECRETS: Section = Section {
    title: "[secrets]",
    meaning: "Secrets by name, for plugins with the grant `secret:NAME`: `NAME = \"env:VARIABLE\"` or \
              `NAME = \"file:PATH\"`. One that no plugin is granted is not looked at.",
    keys: &[key("NAME", Secret, Said("none"), "Where the secret of this name is.")],
};

/// `[streams.NAME]`
pub(in crate::rules) static STREAM: Section = Section {
    title: "[streams.NAME]",
    meaning: "A JetStream stream that has to be there, by its name on the server: for what the routes publish, and for \
              what the sources read. `trackside run` refuses to start without it and says how to make it; \
              `trackside dev` makes it.",
    keys: &[
        key("subjects", Texts, Required, "The subjects it stores, wildcards allowed."),
        key(
            "transform",
            Table("transform = { … }"),
            Said("none: under their own"),
            "What it stores them under, where that is another subject: the server's subject transform, which is how \
             partitions come about, see [delivery.md](delivery.md#order).",
        ),
        key(
            "allow-batched",
            Boolean,
            Value("false"),
            "Whether it has to allow fast ingest (ADR-50, NATS 2.14), by which the server confirms many outputs at once \
             while there are many. Trackside uses that wherever a stream allows it, said here or not; see \
             [delivery.md](delivery.md).",
        ),
    ],
};

/// `transform = { … }`
pub(in crate::rules) static TRANSFORM: Section = Section {
    title: "transform = { … }",
    meaning: "The subject transform of a stream (NATS ADR-30). It is done to messages that are stored from now on.",
    keys: &[
        key("from", Text, Required, "The subjects that it is done to, wildcards allowed."),
        key(
            "to",
            Text,
            Required,
            "What they become, in the server's language: `\"orders.{{partition(8,1)}}.{{wildcard(1)}}\"` puts one of 8 \
             partitions, by the first wildcard of `from`, before what that stands for.",
        ),
    ],
};

/// `[admin]`
pub(in crate::rules) static ADMIN: Section = Section {
    title: "[admin]",
    meaning: "The admin API over HTTP: health, metrics, revisions, rules, plugins, dead letters. Without this table there is \
              none of it. See [admin.md](admin.md).",
    keys: &[
        key(
            "listen",
            Text,
            Value("\"127.0.0.1:9270\""),
            "The IP address and port to listen on; port 0 takes any free one. An address that other machines reach needs \
             `[admin.tls]`, or `allow-remote`.",
        ),
        key(
            "allow-remote",
            Boolean,
            Value("false"),
            "Whether `listen` may be an address that other machines reach without TLS: everybody on the way can read what is \
             asked and answered, tokens included.",
        ),
        key("tls", Table("[admin.tls]"), Said("plain HTTP"), "TLS files."),
        key(
            "tokens",
            Table("[admin.tokens.NAME]"),
            Said("none"),
            "Who may do what. Without any, only `/healthz`, `/readyz`, `/metrics` and the document of the API are open, and to \
             this machine also `/v1/revision` and `/v1/reload`.",
        ),
        key(
            "requests-per-second",
            Whole(1, 1_000_000),
            Value("100"),
            "How many requests are answered a second, twice as many at once; further ones get `429`. Requests without a good \
             token have as many of their own, and `/healthz` and `/readyz` are not counted.",
        ),
        key(
            "audit",
            Text,
            Said("the log alone"),
            "The file that every change, every try of one and every reveal is appended to, as lines of JSON. While it cannot be \
             written, nothing is changed or revealed. Relative paths begin at the configuration directory. It is opened anew \
             for each line, so it can be moved away at any time.",
        ),
    ],
};

/// `[admin.tls]`
pub(in crate::rules) static ADMIN_TLS: Section = Section {
    title: "[admin.tls]",
    meaning: "PEM files for the admin API by HTTPS, read anew whenever they change. Relative paths begin at the configuration \
              directory.",
    keys: &[
        key("cert", Text, Required, "File of the certificate, followed by those that lead to the authority."),
        key("key", Text, Required, "File of the certificate's key."),
    ],
};

/// `[admin.tokens.NAME]`
pub(in crate::rules) static ADMIN_TOKEN: Section = Section {
    title: "[admin.tokens.NAME]",
    meaning: "A bearer token of the admin API, by the name that the audit log gives whoever sends it. Tokens are read by every \
              load of the configuration, and a change of their files is one.",
    keys: &[
        key(
            "role",
            OneOf(&["reader", "admin"]),
            Required,
            "`reader` sees what there is, without the payloads that rules have not let out. `admin` changes it, and sees \
             everything.",
        ),
        key(
            "token",
            Secret,
            Required,
            "Where the token is: 32 to 512 printable characters without white space, such as `openssl rand -hex 32` makes.",
        ),
    ],
};

/// `[sidecar]`
pub(in crate::rules) static SIDECAR: Section = Section {
    title: "[sidecar]",
    meaning: "HTTP for a service beside Trackside, which needs no NATS client then. With this table there are the sources \
              `sidecar`, of what the service publishes and requests, and `sidecar-replies`, of what its requests are answered; \
              without it no rule can post to services or hand anything to subscribers. See [sidecar.md](sidecar.md).",
    keys: &[
        key(
            "listen",
            Text,
            Value("\"127.0.0.1:9280\""),
            "The IP address and port to listen on, where port 0 takes any free one; or `\"unix:PATH\"`, a Unix socket that the \
             user of this process and its group can use. Relative paths begin at the configuration directory.",
        ),
        key(
            "allow-remote",
            Boolean,
            Value("false"),
            "Whether `listen` may be an address that other machines reach. There is no authentication, so whoever reaches it \
             can publish by the rules.",
        ),
        key(
            "deliver-to",
            Texts,
            Said("nowhere"),
            "The services that rules may post to: `http://HOST[:PORT]` or `https://HOST[:PORT]`, nothing else.",
        ),
        key(
            "deliver-concurrency",
            Whole(1, 1024),
            Value("16"),
            "How many requests to one of these services may be under way at once, from all rules together.",
        ),
        key("max-body", Size(KIB, 64 * MIB), Value("\"1MiB\""), "The longest body of a request, a batch included."),
        key("max-batch-messages", Whole(1, 100_000), Value("1000"), "How many messages one batch may have."),
        key("timeout", millis(1, HOUR), Value("\"5s\""), "How long a call may take that does not say so itself."),
        key("max-timeout", millis(1, HOUR), Value("\"60s\""), "The longest that a call may ask for."),
        key(
            "carry-headers",
            Texts,
            Value("[]"),
            "Headers of requests that messages carry, in the spelling in which they carry them, beside those that every message \
             carries. What is not named here stays behind.",
        ),
        key(
            "max-in-flight-messages",
            Whole(1, 100_000),
            Value("1000"),
            "How many messages of services may be under way at once, and how many replies; further ones are answered `429`.",
        ),
        key(
            "max-in-flight-bytes",
            Size(64 * KIB, 64 * GIB),
            Value("\"64MiB\""),
            "How many bytes of them, bodies that are still arriving included.",
        ),
        key(
            "priority",
            OneOf(PRIORITIES),
            Value("\"normal\""),
            "How urgent these messages are, unless their rule says otherwise.",
        ),
    ],
};

/// `[telemetry]`
pub(in crate::rules) static TELEMETRY: Section = Section {
    title: "[telemetry]",
    meaning: "What is told of messages beside metrics and log, see [observability.md](observability.md).",
    keys: &[key("traces", Table("[telemetry.traces]"), Said("no traces"), "Traces by OpenTelemetry.")],
};

/// `[telemetry.traces]`
pub(in crate::rules) static TRACES: Section = Section {
    title: "[telemetry.traces]",
    meaning: "With this table, messages are traced: spans go to a receiver of OTLP, over HTTP with protobuf, and outputs \
              carry the trace on in `traceparent` and `tracestate`. No span has anything of a payload. Spans that the receiver \
              does not take in time are dropped and counted; no message waits for one. `[telemetry.traces.secret-headers]` \
              gives names of headers for the requests and references to their values, for example \
              `Authorization = \"env:OTLP_AUTHORIZATION\"`.",
    keys: &[
        key(
            "endpoint",
            Text,
            Value("\"http://127.0.0.1:4318\""),
            "The receiver, `http://HOST[:PORT][/PATH]` or `https://…`; spans are posted to `/v1/traces` below it.",
        ),
        key("secret-headers", Table("[telemetry.traces.secret-headers]"), Said("none"), "Headers of the requests."),
        key("service-name", Text, Value("\"trackside\""), "What the spans name as their service."),
        key(
            "sample-ratio",
            Other("number, 0 to 1"),
            Value("1"),
            "Which share of the messages is traced that come without a `traceparent`. One that comes with it is traced if \
             its sender's span was.",
        ),
        key(
            "timeout",
            millis(10, 300_000),
            Value("\"10s\""),
            "How long exporting a batch may take, further tries included, before it is lost.",
        ),
        key(
            "max-waiting-spans",
            Whole(1, 1_000_000),
            Value("4096"),
            "How many spans may wait to be exported; further ones are dropped.",
        ),
    ],
};

/// `[runtime]`
pub(in crate::rules) static RUNTIME: Section = Section {
    title: "[runtime]",
    meaning: "Threads, draining, caching and watching.",
    keys: &[
        key(
            "lanes",
            Whole(1, 1024),
            Said("one for each core"),
            "Threads that run stages. There is one more, which takes only work of rules that are quick.",
        ),
        key(
            "drain-timeout",
            millis(0, HOUR),
            Value("\"10s\""),
            "How long stopping may take before what is in flight is handed back to its source.",
        ),
        key(
            "cache",
            Text,
            Said("the user's cache folder"),
            "Folder for compiled plugins. Relative paths begin at the configuration directory.",
        ),
        key(
            "watch",
            Boolean,
            Value("true"),
            "Whether changes of the configuration directory take effect by themselves. Otherwise only SIGHUP and the \
             admin HTTP reload it.",
        ),
    ],
};

/// `[json]`
pub(in crate::rules) static JSON: Section = Section {
    title: "[json]",
    meaning: "Bounds of JSON payloads. A payload past them is treated as one that is not JSON.",
    keys: &[
        key("max-depth", Whole(1, 1024), Value("128"), "How deep arrays and objects may nest."),
        key("max-matches", Whole(1, 10_000_000), Value("100000"), "Matches of one selection."),
        key("max-bytes", Size(KIB, GIB), Value("\"8MiB\""), "Length of a payload."),
    ],
};

/// A file of `rules/`.
pub(in crate::rules) static RULES_FILE: Section = Section {
    title: "rules/*.toml",
    meaning: "The tables of a rules file.",
    keys: &[key("rule", Table("[[rule]]"), Required, "The rules; at least one.")],
};

/// `[[rule]]`
pub(in crate::rules) static RULE: Section = Section {
    title: "[[rule]]",
    meaning: "Which messages of which source, and what happens to them.",
    keys: &[
        key("name", Text, Required, "Its name, unique in all files: letters, digits, `-` and `_`, at most 64."),
        key("source", Text, Required, "The name of the source whose messages it takes."),
        key("subject", Text, Required, "Which of them: a subject, with `*` for one token and `>` for the rest."),
        key("stage", Table("[[rule.stage]]"), Said("none: messages pass unchanged"), "What they go through, in order."),
        key("routes", Table("[rule.routes]"), Required, "Where they may go; at least one."),
        key(
            "order-by",
            Text,
            Said("none: messages run in parallel"),
            "What its messages are kept in order by: `\"subject.2\"`, `\"header:Key\"` or `\"$.customer.id\"`. Messages \
             of one key are handled strictly one after another, tries included; messages without a key are one key \
             together. A source with `stream` needs `partitions` for it.",
        ),
        key(
            "concurrency",
            Whole(1, 100_000),
            Said("as many as the source allows"),
            "How many of its messages may be under way at once.",
        ),
        key(
            "priority",
            OneOf(PRIORITIES),
            Said("its source's"),
            "Who goes first when there is more to do than the lanes can: of 21 messages 16 are `high`, 4 `normal` and 1 \
             `low` as long as there are such, so nothing waits for ever.",
        ),
        key(
            "atomic",
            Boolean,
            Value("false"),
            "Whether the outputs of one message to one stream are stored together or not at all. Needs NATS 2.12 and \
             `allow_atomic` on the stream.",
        ),
        key("breaker", Table("[rule.breaker]"), Said("its defaults"), "When its outputs are left alone for a while."),
        key("on-failure", Table("[rule.on-failure]"), Said("its defaults"), "What happens to those that fail."),
    ],
};

/// `[[rule.stage]]`
pub(in crate::rules) static STAGE: Section = Section {
    title: "[[rule.stage]]",
    meaning: "One plugin with its settings.",
    keys: &[
        key("plugin", Text, Required, "The name of a standard plugin or of a `[plugins.NAME]` table."),
        key(
            "optional",
            Boolean,
            Value("false"),
            "Whether a fault of the plugin may leave the stage out, where `on-failure` says `skip`. Not for `validate` and \
             `mask`.",
        ),
        key(
            "with",
            Other("table"),
            Value("{}"),
            "Its settings, as the plugin documents them. A text anywhere in them that begins with `env:` or `file:` is \
             replaced by the secret that it refers to.",
        ),
    ],
};

/// `[rule.routes]`, whose keys are the routes' names.
pub(in crate::rules) static ROUTE: Section = Section {
    title: "[rule.routes]",
    meaning: "Names for where messages may go. `NAME = \"subject\"`, `NAME = \"http://HOST:PORT/PATH\"`, \
              `NAME = \"sidecar:SUBSCRIPTION\"`, or `NAME = { … }` with the keys below: exactly one of `subject`, `url` and \
              `subscribers`. After the last stage a message takes the route `default`; a plugin can choose others by name.",
    keys: &[
        key(
            "subject",
            Template,
            Said("the route leads elsewhere"),
            "The subject to publish to, see [Subject templates](#subject-templates).",
        ),
        key(
            "confirm",
            OneOf(&["auto", "stream", "flush"]),
            Value("\"auto\""),
            "With `subject`: how an output counts as safe. `stream`: by the acknowledgement of the stream that stores it. \
             `flush`: by the server having read it. `auto`: by the stream's acknowledgement where a stream takes the \
             subject, and as `flush` where none does.",
        ),
        key(
            "url",
            Text,
            Said("the route leads elsewhere"),
            "The URL of a service that each output is posted to. `[sidecar] deliver-to` has to allow its host. Path and \
             query may have the placeholders of subject templates; what they stand for is percent-encoded.",
        ),
        key(
            "timeout",
            millis(1, HOUR),
            Value("\"10s\""),
            "With `url`: how long the service may take to answer, connecting included.",
        ),
        key(
            "events",
            OneOf(&["as-they-are", "binary", "structured", "batched"]),
            Value("\"as-they-are\""),
            "How outputs are written as CloudEvents 1.0. `binary`: attributes are headers `ce-…`, the payload is the data. \
             `structured`: the payload is `application/cloudevents+json`. `batched`, with `url` alone: what waits for the \
             service goes in one request, as `application/cloudevents-batch+json`. What is an event in another mode is converted, and \
             what is none becomes one; see [sidecar-out.md](sidecar-out.md#cloudevents). `as-they-are` changes nothing.",
        ),
        key(
            "batch-events",
            Whole(1, 10_000),
            Value("100"),
            "With `events = \"batched\"`: how many outputs one request may have. One that is a batch already counts as one.",
        ),
        key(
            "batch-bytes",
            Size(KIB, 64 * MIB),
            Value("\"1MiB\""),
            "With `events = \"batched\"`: how long the body of a request may be. An output that is longer goes alone.",
        ),
        key(
            "subscribers",
            Text,
            Said("the route leads elsewhere"),
            "The name under which services subscribe to the outputs at the sidecar: `GET /v1/subscribe/NAME`. Routes may \
             share one. Letters, digits, `-` and `_`, at most 64.",
        ),
        key(
            "ack-wait",
            millis(10, DAY),
            Value("\"30s\""),
            "With `subscribers`: how long a subscriber may take to acknowledge an output that it was sent.",
        ),
    ],
};

/// `[rule.on-failure]`
pub(in crate::rules) static ON_FAILURE: Section = Section {
    title: "[rule.on-failure]",
    meaning: "What happens to messages that fail. A rejection is dead-lettered at once; what may get better is tried \
              again.",
    keys: &[
        key(
            "dead-letter",
            Template,
            Said("none: such messages are terminated and counted"),
            "The subject for messages that cannot succeed. `{ subject = \"…\" }` is the same.",
        ),
        key("tries", Whole(1, 100), Value("5"), "How often a message is tried before it is given up."),
        key(
            "give-up",
            OneOf(&["dead-letter", "pause"]),
            Value("\"dead-letter\""),
            "What giving up means: a dead letter; or the source pauses, and the message is tried on until it succeeds.",
        ),
        key(
            "backoff",
            Durations(Duration::from_millis(1), Duration::from_millis(DAY)),
            Value("[\"1s\", \"5s\", \"30s\"]"),
            "Waits between the tries; the last one repeats. At most 32.",
        ),
        key("trap", OneOf(FAULTS), Value("\"dead-letter\""), "What a crash of a plugin leads to."),
        key("deadline", OneOf(FAULTS), Value("\"retry\""), "What a plugin's missed deadline leads to."),
        key(
            "limit",
            OneOf(FAULTS),
            Value("\"dead-letter\""),
            "What running out of memory, or of another limit, leads to.",
        ),
    ],
};

const FAULTS: &[&str] = &["retry", "dead-letter", "skip"];

/// `dead-letter = { … }`
pub(in crate::rules) static DEAD_LETTER: Section = Section {
    title: "dead-letter = { … }",
    meaning: "Where dead letters go. [dead-letters.md](dead-letters.md) tells what can be done with them.",
    keys: &[
        key("subject", Template, Required, "The subject to publish to."),
        key(
            "encrypt",
            Secret,
            Said("none: letters are stored as the messages came"),
            "The key that payloads and headers are encrypted with (AES-256-GCM-SIV): 32 bytes in Base64 or hexadecimal.",
        ),
        key("stream", Text, Said("none"), "The stream that is made for the letters, if none takes their subject."),
    ],
};

const PRIORITIES: &[&str] = &["high", "normal", "low"];

/// `[plugins.NAME.breaker]`
pub(in crate::rules) static PLUGIN_BREAKER: Section = Section {
    title: "[plugins.NAME.breaker]",
    meaning: "When a plugin that fails again and again is left alone for a while: traps, missed deadlines and met limits \
              count, rejections do not. While it is open the rules that use the plugin wait; then one message is let \
              through, and its result decides.",
    keys: &[
        key("failures", Whole(1, 1_000_000), Value("20"), "Failures one after another that open it."),
        key("failure-rate", Whole(1, 100), Said("not looked at"), "Failures among the last 100 calls that open it."),
        key(
            "open-for",
            millis(1, HOUR),
            Value("\"1s\""),
            "How long it stays open; doubled each time that the one message fails.",
        ),
        key("open-for-most", millis(1, DAY), Value("\"30s\""), "The longest that it stays open."),
    ],
};

/// `[rule.breaker]`
pub(in crate::rules) static RULE_BREAKER: Section = Section {
    title: "[rule.breaker]",
    meaning: "When an output that fails again and again is left alone for a while. Each route has a breaker of its own. \
              While it is open the rule waits, and with it, once its window is full, the source; or outputs are diverted. \
              Then one message is let through, and its result decides.",
    keys: &[
        key("failures", Whole(1, 1_000_000), Value("5"), "Failed publishes one after another that open it."),
        key(
            "failure-rate",
            Whole(1, 100),
            Said("not looked at"),
            "Failures among the last 100 publishes that open it.",
        ),
        key(
            "open-for",
            millis(1, HOUR),
            Value("\"1s\""),
            "How long it stays open; doubled each time that the one message fails.",
        ),
        key("open-for-most", millis(1, DAY), Value("\"30s\""), "The longest that it stays open."),
        key(
            "divert-to",
            Text,
            Said("nowhere: the rule waits"),
            "The route of this rule that outputs take while theirs is open.",
        ),
    ],
};

/// All sections.
pub(in crate::rules) static ALL: [&Section; 27] = [
    &FILE,
    &NATS,
    &TLS,
    &SOURCE,
    &DELIVER,
    &PLUGIN,
    &PLUGIN_BREAKER,
    &TRUST,
    &REGISTRY,
    &SECRETS,
    &STREAM,
    &TRANSFORM,
    &ADMIN,
    &ADMIN_TLS,
    &ADMIN_TOKEN,
    &SIDECAR,
    &TELEMETRY,
    &TRACES,
    &RUNTIME,
    &JSON,
    &RULES_FILE,
    &RULE,
    &STAGE,
    &ROUTE,
    &RULE_BREAKER,
    &ON_FAILURE,
    &DEAD_LETTER,
];
