//! The rules of the simulation: what Trackside is told, and what the oracle knows of them, from one table.

use std::fmt::Write as _;

use trackside::message::SubjectPattern;

/// The streams, with what they take.
pub(super) const STREAMS: [(&str, &str); 4] =
    [("ORDERED", "ordered.>"), ("FREE", "free.>"), ("OUT", "out.>"), ("DEAD", "dead.>")];

/// The durable consumer of both streams that are read.
pub(super) const DURABLE: &str = "reader";

/// How many configurations there are to reload.
pub(super) const VARIANTS: usize = 3;

/// One rule.
#[derive(Debug, Clone)]
pub(super) struct Ruling {
    /// Its name.
    pub(super) name: &'static str,
    /// Its source.
    pub(super) source: &'static str,
    /// Which messages it takes.
    pub(super) subject: SubjectPattern,
    /// Whether it keeps the messages of a key in order.
    pub(super) ordered: bool,
    /// Whether the outputs of one message to one stream are stored together or not at all.
    pub(super) atomic: bool,
    /// Whether it pauses its source when tries are used up.
    pub(super) pauses: bool,
    /// Whether it keeps dead letters.
    pub(super) letters: bool,
    /// Whether outputs take another route while theirs is left alone.
    pub(super) diverts: bool,
    /// What a trap leads to: `retry`, `dead-letter` or `skip`.
    pub(super) trap: &'static str,
    /// What the first part of its outputs' subjects is, for streams to take them.
    pub(super) prefix: &'static str,
    /// Further lines of its table.
    pub(super) further: &'static str,
}

/// The rules of one configuration.
pub(super) fn rulings(variant: usize) -> Vec<Ruling> {
    let pattern = |text| SubjectPattern::new(text).expect("a pattern");
    let base = Ruling {
        name: "keyed",
        source: "ordered",
        subject: pattern("ordered.>"),
        ordered: true,
        atomic: true,
        pauses: false,
        letters: true,
        diverts: false,
        trap: "retry",
        prefix: "out",
        further: "",
    };
    let held =
        Ruling { name: "held", subject: pattern("ordered.held.>"), pauses: true, trap: "dead-letter", ..base.clone() };
    let mut free = Ruling {
        name: "free",
        source: "free",
        subject: pattern("free.>"),
        ordered: false,
        atomic: false,
        trap: "dead-letter",
        ..base.clone()
    };
    let bare = Ruling { name: "bare", subject: pattern("free.bare.>"), letters: false, ..free.clone() };
    let copy = Ruling { name: "copy", subject: pattern("free.copy.>"), diverts: true, trap: "skip", ..free.clone() };
    let live = Ruling { name: "live", source: "live", subject: pattern("live.>"), atomic: false, ..base.clone() };
    match variant {
        0 => vec![base, held, free, bare, copy, live],
        1 => {
            free.prefix = "out.other";
            free.further = "concurrency = 1\npriority = \"low\"\n";
            vec![Ruling { further: "concurrency = 2\n", ..base }, held, free, bare, copy, live]
        }
        _ => {
            let extra = Ruling { name: "extra", ..free.clone() };
            // Without `held`, which may be what a message waits for.
            vec![base, free, bare, extra, Ruling { further: "priority = \"high\"\n", ..live }]
        }
    }
}

/// `trackside.toml`.
pub(super) fn config_toml(plugin: &str) -> String {
    let mut text = format!(
        r#"
[nats]
servers = ["nats://memory:4222"]
[sources.ordered]
stream = "ORDERED"
durable = "{DURABLE}"
partitions = 1
ack-wait = "10s"
max-in-flight-messages = 12
[sources.free]
stream = "FREE"
durable = "{DURABLE}"
ack-wait = "10s"
max-in-flight-messages = 6
[sources.live]
subject = "live.>"
queue-group = "share"
max-in-flight-messages = 8
[plugins.simulated]
path = {plugin:?}
# In real time, which the simulation has none of.
deadline = "1m"
[plugins.simulated.breaker]
failures = 4
open-for = "200ms"
open-for-most = "2s"
"#
    );
    for (name, subject) in STREAMS {
        let _ = write!(text, "[streams.{name}]\nsubjects = [\"{subject}\"]\n");
    }
    text
}

/// The file of rules of one configuration.
pub(super) fn rules_toml(variant: usize) -> String {
    rulings(variant).iter().map(Ruling::toml).collect()
}

impl Ruling {
    /// What a route publishes to.
    pub(super) fn subject_of(&self, route: &str) -> String {
        match (route, self.source) {
            // No stream takes it.
            ("b", "free" | "live") => format!("core.{}.b", self.name),
            _ => format!("{}.{}.{route}", self.prefix, self.name),
        }
    }

    /// What its dead letters are published to.
    pub(super) fn letters_to(&self) -> String {
        format!("dead.{}", self.name)
    }

    fn toml(&self) -> String {
        let Self { name, source, subject, ordered, atomic, pauses, letters, diverts, trap, further, .. } = self;
        let line = |when: &bool, line: String| if *when { line } else { String::new() };
        let subject = subject.as_str();
        let mut text =
            format!("[[rule]]\nname = \"{name}\"\nsource = \"{source}\"\nsubject = \"{subject}\"\n{further}");
        text += &line(ordered, "order-by = \"header:Lane\"\n".to_owned());
        text += &line(atomic, "atomic = true\n".to_owned());
        text += &format!("[[rule.stage]]\nplugin = \"simulated\"\noptional = {}\n", *trap == "skip");
        text += "[rule.routes]\n";
        for route in ["default", "a", "b", "overflow"] {
            text += &format!("{route} = \"{}\"\n", self.subject_of(route));
        }
        text += "[rule.breaker]\nfailures = 2\nopen-for = \"500ms\"\nopen-for-most = \"4s\"\n";
        text += &line(diverts, "divert-to = \"overflow\"\n".to_owned());
        text += &format!("[rule.on-failure]\ntries = 4\nbackoff = [\"100ms\", \"1s\"]\ntrap = \"{trap}\"\n");
        text += &line(letters, format!("dead-letter = \"{}\"\n", self.letters_to()));
        text += &line(pauses, "give-up = \"pause\"\n".to_owned());
        text
    }
}
