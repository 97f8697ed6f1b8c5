//! `docs/config.md`, made of the tables and of some prose.

use std::fmt::Write;

use super::sections::ALL;
use super::{Fallback, Section};
use crate::rules::table::describe;

/// The configuration reference in Markdown. A test compares `docs/config.md` with it.
#[must_use]
pub fn document() -> String {
    let mut text = include_str!("intro.md").to_owned();
    for section in ALL {
        match section.title {
            "trackside.toml" => text.push_str("\n## trackside.toml\n"),
            "rules/*.toml" => {
                text.push_str("\n## rules/*.toml\n\n");
                text.push_str(include_str!("rules.md"));
            }
            title => {
                let _ = write!(text, "\n### `{title}`\n");
            }
        }
        section.write(&mut text);
    }
    text.push_str("\n## Subject templates\n\n");
    text.push_str(include_str!("templates.md"));
    text
}

impl Section {
    /// Appends what it is for and its keys, as a table in Markdown.
    pub(in crate::rules) fn write(&self, text: &mut String) {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\n{}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n", self.meaning);
        for key in self.keys {
            let default = match key.default {
                Fallback::Required => "**required**".to_owned(),
                Fallback::Value(toml) => format!("`{toml}`"),
                Fallback::Said(words) => words.to_owned(),
            };
            let cells = [&format!("`{}`", key.name), &describe(key.kind), &default, key.meaning];
            let _ = writeln!(text, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
    }
}
