//! The tables of a cases file and their keys.

use crate::rules::reference::Fallback::{Required, Said, Value};
use crate::rules::reference::Kind::{OneOf, Other, Size, Table, Text, Texts, Whole};
use crate::rules::reference::{Fallback, Key, Kind, Section};

const fn key(name: &'static str, kind: Kind, default: Fallback, meaning: &'static str) -> Key {
    Key { name, kind, default, meaning }
}

/// Largest payload that a case can have made.
const MAX_PAYLOAD_BYTES: usize = 64 << 20;

const PHRASE: Kind = Other("text, or `{ contains = \"…\" }`");

const HEADERS: Kind = Other("table of texts, or of lists of texts");

/// The file as a whole.
pub(super) static FILE: Section = Section {
    title: "cases.toml",
    meaning: "The tables of the file.",
    keys: &[
        key("defaults", Table("[defaults]"), Said("none"), "What holds for every case that does not say otherwise."),
        key("case", Table("[[case]]"), Required, "What is tried, one after another, each with a stage of its own."),
    ],
};

/// `[defaults]`
pub(super) static DEFAULTS: Section = Section {
    title: "[defaults]",
    meaning: "What holds for every case that does not say otherwise. `with` and `routes` of a case take the place of \
              those here as a whole, `limits` key by key.",
    keys: &[WITH, ROUTES, LIMITS],
};

const WITH: Key = key("with", Other("table"), Said("an empty one"), "The settings, as a stage of a rule gives them.");

const ROUTES: Key = key("routes", Texts, Value("[\"default\"]"), "The routes that the rule declares.");

const LIMITS: Key = key(
    "limits",
    Other("table"),
    Said("those of a plugin without any"),
    "What the plugin may use: the keys of `[plugins.NAME]` but for `path` and `sha256`, see \
     [config.md](config.md#pluginsname).",
);

/// `[[case]]`
pub(super) static CASE: Section = Section {
    title: "[[case]]",
    meaning: "One case: the plugin is configured, handed the message, and what becomes of it is compared. Files that \
              the plugin reads while it is configured are looked for from the folder of the cases file, and references \
              to secrets are not resolved.",
    keys: &[
        key("name", Text, Required, "What it proves, in a sentence."),
        WITH,
        ROUTES,
        LIMITS,
        key("message", Table("[case.message]"), Said("an empty one"), "The message that is handed to the plugin."),
        key("expect", Table("[case.expect]"), Said("that it is forwarded"), "What has to become of it."),
        key("then", Table("[[case.then]]"), Said("none"), "Further messages for the same stage, one after another."),
    ],
};

/// `[[case.then]]`
pub(super) static THEN: Section = Section {
    title: "[[case.then]]",
    meaning: "A further message for the same stage, and so for the same instance unless it broke or `limits` say \
              `isolation = \"message\"`.",
    keys: &[
        key("message", Table("[case.message]"), Said("an empty one"), "The message."),
        key("expect", Table("[case.expect]"), Said("that it is forwarded"), "What has to become of it."),
    ],
};

const TEXT: Key = key("text", Text, Said("none"), "The payload as text.");

const JSON: Key = key(
    "json",
    Other("any value"),
    Said("none"),
    "The payload as JSON, written in TOML: for a message it is printed without white space, and what is expected is \
     compared by value. Use `text` where spelling, order or null matter.",
);

const BASE64: Key = key("base64", Text, Said("none"), "The payload in Base64.");

const PAYLOAD_FILE: Key =
    key("file", Text, Said("none"), "The payload is the content of a file beside the cases file.");

const SIZE: Key = key(
    "size",
    Size(0, MAX_PAYLOAD_BYTES),
    Said("none"),
    "So many bytes: `x` repeated for a message, any bytes where they are expected.",
);

/// `[case.message]`
pub(super) static MESSAGE: Section = Section {
    title: "[case.message]",
    meaning: "The message, with at most one of `text`, `json`, `base64`, `file` and `size` for its payload, which is \
              empty otherwise.",
    keys: &[
        key("subject", Text, Value("\"test\""), "What it was published to."),
        key("headers", HEADERS, Said("none"), "Its headers, in the order of the file."),
        TEXT,
        JSON,
        BASE64,
        PAYLOAD_FILE,
        SIZE,
        key("id", Text, Value("\"case\""), "Its identity."),
        key(
            "origin",
            OneOf(&["jetstream", "core", "sidecar", "trial"]),
            Value("\"trial\""),
            "Which kind of source it came from.",
        ),
        key("timestamp", Whole(0, i64::MAX as u64), Value("0"), "Its own time, in milliseconds since the Unix epoch."),
        key("delivery", Whole(1, u32::MAX as u64), Value("1"), "How often it was delivered, this time included."),
    ],
};

/// `[case.expect]`
pub(super) static EXPECT: Section = Section {
    title: "[case.expect]",
    meaning: "What has to become of the message, with at most one of `verdict`, `failure` and `configure`; with none of \
              them it has to be forwarded. What is not mentioned is not compared.",
    keys: &[
        key(
            "verdict",
            OneOf(&["forward", "route", "split", "publish", "drop", "reject"]),
            Said("`\"forward\"`"),
            "What the plugin decides; `publish` for a component of wasmcloud:messaging or wasi:messaging that publishes.",
        ),
        key(
            "failure",
            OneOf(&["retry", "fatal", "trap", "deadline", "memory", "limit", "verdict"]),
            Said("none"),
            "Why it does not: it asks to `retry`, gives up (`fatal`), traps, meets its `deadline`, runs out of \
             `memory` or of another `limit`, or gives a `verdict` that cannot be carried out.",
        ),
        key("configure", PHRASE, Said("that it takes the settings"), "The error by which it refuses the settings."),
        key("reason", PHRASE, Said("any"), "The reason that goes with the verdict or failure."),
        key("after", Other("duration, or `\"unset\"`"), Said("any"), "With `retry`: how long it asks to wait."),
        key("to", Texts, Said("any"), "With `route`: the routes; with `publish`: the subjects; in order."),
        key("parts", Table("[[case.expect.parts]]"), Said("any"), "With `split`: the parts, all of them in order."),
        TEXT,
        JSON,
        BASE64,
        PAYLOAD_FILE,
        SIZE,
        key(
            "headers",
            HEADERS,
            Said("any"),
            "Headers afterwards, all values of each name in order; an empty list for one that must not be there.",
        ),
        key("log", Table("[[case.expect.log]]"), Said("any lines"), "The lines it logs, all of them in order."),
    ],
};

/// `[[case.expect.parts]]`
pub(super) static PART: Section = Section {
    title: "[[case.expect.parts]]",
    meaning: "A part of a message that was split.",
    keys: &[
        TEXT,
        JSON,
        BASE64,
        PAYLOAD_FILE,
        SIZE,
        key("headers", HEADERS, Said("any"), "Its headers, as of the message."),
        key("to", Text, Said("the next stage"), "The route it takes."),
    ],
};

/// `[[case.expect.log]]`
pub(super) static LINE: Section = Section {
    title: "[[case.expect.log]]",
    meaning: "A line of the plugin's log.",
    keys: &[
        key("level", OneOf(&["trace", "debug", "info", "warn", "error"]), Said("any"), "How severe it is."),
        key("text", PHRASE, Required, "What it says."),
    ],
};

/// All of them, in the order of the document.
pub(super) static ALL: [&Section; 8] = [&FILE, &DEFAULTS, &CASE, &THEN, &MESSAGE, &EXPECT, &PART, &LINE];
