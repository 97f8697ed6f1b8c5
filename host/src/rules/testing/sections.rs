//! The tables of a file of tests and their keys.

use crate::rules::reference::Fallback::{Required, Said, Value};
use crate::rules::reference::Kind::{OneOf, Other, Table, Text, Texts};
use crate::rules::reference::{Key, Kind, Section};

use super::model::{CLASSES, Ending};

const fn key(name: &'static str, kind: Kind, default: crate::rules::reference::Fallback, meaning: &'static str) -> Key {
    Key { name, kind, default, meaning }
}

const HEADERS: Kind = Other("table of texts, or of lists of texts");
const PHRASE: Kind = Other("text, or `{ contains = \"…\" }`");

/// A file of tests as a whole.
pub(super) static FILE: Section = Section {
    title: "tests/*.toml",
    meaning: "A file has any number of tests.",
    keys: &[key("test", Table("[[test]]"), Required, "A message, and what has to become of it.")],
};

/// `[[test]]`
pub(super) static TEST: Section = Section {
    title: "[[test]]",
    meaning: "A message, and what has to become of it.",
    keys: &[
        key("name", Text, Required, "What the test shows, in a sentence; each test of a file has its own."),
        key("message", Table("[test.message]"), Required, "What comes in."),
        key(
            "expect",
            Table("[[test.expect]]"),
            Said("none: the test fails, and `--update` writes what happens"),
            "Everything that has to come out.",
        ),
        key(
            "never",
            Texts,
            Said("none"),
            "Texts that must be in nothing that comes out, see [What must never come out](#what-must-never-come-out).",
        ),
    ],
};

/// `[test.message]`
pub(super) static MESSAGE: Section = Section {
    title: "[test.message]",
    meaning: "The message that comes in. At most one of `text`, `json`, `base64` and `file` is given; without any the \
              payload is empty.",
    keys: &[
        key("subject", Text, Required, "The subject that it was published to."),
        key(
            "source",
            Text,
            Said("every source that delivers the subject"),
            "The source that it comes from, as `trackside.toml` names it.",
        ),
        key("headers", HEADERS, Said("none"), "Its headers, in the order of the file."),
        key(
            "timestamp",
            Other("date and time with its offset, or milliseconds since 1970"),
            Value("1970-01-01T00:00:00Z"),
            "The message's own time, which plugins take for the present.",
        ),
        key("text", Text, Said("none"), "The payload as text, byte for byte."),
        key(
            "json",
            Other("any value"),
            Said("none"),
            "The payload as JSON, written in TOML; it is printed without white space.",
        ),
        key("base64", Text, Said("none"), "The payload in Base64."),
        key("file", Text, Said("none"), "A file that has the payload; its path begins at the configuration directory."),
    ],
};

/// `[[test.expect]]`
pub(super) static EXPECT: Section = Section {
    title: "[[test.expect]]",
    meaning: "One thing that comes out. What is not mentioned may be anything, but everything that happens has to be \
              expected by a table of its own: an output too many is a failure. Those of one rule are in the order in which it \
              publishes them, and what it drops comes last.",
    keys: &[
        key("rule", Text, Said("none: with `outcome = \"unmatched\"` only"), "The rule that it comes from."),
        key(
            "outcome",
            OneOf(&Ending::WORDS),
            Value("\"published\""),
            "What happens. `dead-lettered` also stands for a message that a running host would try again first, and for \
             one whose rule keeps no dead letters. `unmatched`: no rule takes the message.",
        ),
        key("route", Text, Said("any"), "The route that is taken."),
        key("subject", Text, Said("any"), "The subject that it is published to."),
        key(
            "headers",
            HEADERS,
            Said("any"),
            "Headers that it has, all values of each name in order; an empty list for one that must not be there. It may \
             have others.",
        ),
        key(
            "fields",
            Other("table"),
            Said("any"),
            "Values of its JSON payload by JSONPath (RFC 9535), in quotes: `\"$.payment.card\" = \"1111\"`. A path with \
             `*`, `..`, a slice or a filter stands for the list of all that it matches. Numbers are compared by value: \
             `1000` is `1000.0`.",
        ),
        key("null", Texts, Said("none"), "JSONPaths of values that are null, which TOML has no word for."),
        key("absent", Texts, Said("none"), "JSONPaths that match nothing."),
        key("text", Text, Said("any"), "Its payload, byte for byte."),
        key(
            "json",
            Other("any value"),
            Said("any"),
            "Its payload as JSON, written in TOML: spelling, white space and the order of members do not count.",
        ),
        key("base64", Text, Said("any"), "Its payload in Base64, byte for byte."),
        key(
            "file",
            Text,
            Said("any"),
            "A file that has its payload, byte for byte; its path begins at the configuration directory.",
        ),
        key("class", OneOf(&CLASSES), Said("any"), "With `dead-lettered`: what kind of failure it is."),
        key("stage", Text, Said("any"), "With `dead-lettered`: the plugin whose stage refused it."),
        key("reason", PHRASE, Said("any"), "With `dead-lettered` and `dropped`: why."),
    ],
};

/// All sections.
pub(super) static ALL: [&Section; 4] = [&FILE, &TEST, &MESSAGE, &EXPECT];
