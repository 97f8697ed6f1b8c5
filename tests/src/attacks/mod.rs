//! The attacks that Trackside has to withstand, each with what has to become of it. The tests, `cargo xtask hostile` and
//! docs/security.md are made from this one list.

mod bombs;
mod list;
pub mod measure;

use std::fmt::Write as _;

use crate::{Setup, hostile};

pub use list::ATTACKS;

/// A component that means harm, how it is run, and what has to become of it.
#[derive(Debug)]
pub struct Attack {
    /// Its name, and that of its file in `tests/hostile`, if it has one.
    pub name: &'static str,
    /// What kind of attack it is: a heading of the table.
    pub group: &'static str,
    /// Where it comes from.
    pub made: Made,
    /// Further lines of its `[plugins.NAME]` table.
    pub settings: &'static str,
    /// The subject template of the route `default`.
    pub route: &'static str,
    /// What has to become of it.
    pub outcome: Outcome,
}

/// Where a component comes from.
#[derive(Debug)]
pub enum Made {
    /// A file in `tests/hostile`.
    File,
    /// A function, for what is too large for a file, and what it makes.
    By(fn() -> Vec<u8>, &'static str),
}

/// What has to become of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The configuration is refused, with this in the sentence that says why.
    Refused(&'static str),
    /// The message is dead-lettered: its class, and the beginning of the reason.
    Dead(&'static str, &'static str),
    /// It is published with this payload, where that tells something, and nothing was gained.
    InVain(Option<&'static str>),
}

/// The payload of messages for attacks.
pub const PAYLOAD: &str = r#"{"order":1}"#;

impl Attack {
    /// The component.
    #[must_use]
    pub fn component(&self) -> Vec<u8> {
        match self.made {
            Made::File => hostile::component(self.name),
            Made::By(make, _) => make(),
        }
    }

    /// What it attacks, in a sentence.
    ///
    /// # Panics
    /// When its file does not begin with one.
    #[must_use]
    pub fn says(&self) -> String {
        if let Made::By(_, says) = self.made {
            return says.to_owned();
        }
        let text = hostile::text(self.name);
        let line = text.lines().next().and_then(|line| line.strip_prefix(";; Attacks "));
        line.unwrap_or_else(|| panic!("{}.wat does not begin with what it attacks", self.name)).to_owned()
    }

    /// Whether it gets as far as messages.
    #[must_use]
    pub fn runs(&self) -> bool {
        !matches!(self.outcome, Outcome::Refused(_))
    }

    /// Its `[plugins.NAME]` table: limits that are met soon, a deadline that a busy machine does not miss unless the attack
    /// is on that, and a breaker that never opens, so that it never lets up.
    #[must_use]
    pub fn plugin(&self) -> String {
        let name = self.name;
        let mut table = format!("[plugins.{name}]\npath = \"plugins/{name}.wasm\"\n");
        for default in [
            "memory = \"16MiB\"",
            "deadline = \"30s\"",
            "configure-deadline = \"30s\"",
            "compile-timeout = \"5m\"",
            "host-calls = 10000",
            "host-bytes = \"8MiB\"",
            "log-lines-per-second = 10",
            // Their log is attacked as well.
            "grants = [\"log\"]",
            "breaker = { failures = 1000000 }",
        ] {
            let key = default.split_once(' ').map_or(default, |(key, _)| key);
            if !self.settings.lines().any(|line| line.split_once(' ').is_some_and(|(known, _)| known == key)) {
                table.push_str(default);
                table.push('\n');
            }
        }
        table + self.settings + "\n"
    }

    /// A rule with it as the only stage, for the subject `attack.NAME`.
    #[must_use]
    pub fn rule(&self, source: &str) -> String {
        let (name, route) = (self.name, self.route);
        format!(
            "[[rule]]\nname = \"{name}\"\nsource = \"{source}\"\nsubject = \"attack.{name}\"\n[[rule.stage]]\n\
             plugin = \"{name}\"\n[rule.routes]\ndefault = {{ subject = \"{route}\", confirm = \"flush\" }}\n[rule.on-failure]\n\
             dead-letter = \"dead.{name}\"\ntrap = \"dead-letter\"\ndeadline = \"dead-letter\"\nlimit = \"dead-letter\"\n"
        )
    }

    /// How the table of docs/security.md puts the outcome.
    #[must_use]
    pub fn becomes(&self) -> String {
        match self.outcome {
            Outcome::Refused(sentence) => format!("refused at load: “{sentence}”"),
            Outcome::Dead(class, reason) => format!("dead letter, class `{class}`: “{}”", reason.trim()),
            Outcome::InVain(_) => "nothing: the message goes on".to_owned(),
        }
    }
}

/// A configuration in which each of these attacks has a rule of its own for messages of this source.
#[must_use]
pub fn setup<'a>(server: &str, rest: &str, source: &str, attacks: impl Iterator<Item = &'a Attack>) -> Setup {
    let (mut config, mut rules, mut files) = (rest.to_owned(), String::new(), Vec::new());
    for attack in attacks {
        config.push_str(&attack.plugin());
        rules.push_str(&attack.rule(source));
        files.push((format!("plugins/{}.wasm", attack.name), attack.component()));
    }
    let setup = Setup::new(server, &config);
    for (path, bytes) in files {
        setup.write(&path, bytes);
    }
    setup.write("rules/attacks.toml", rules);
    setup
}

/// The table of docs/security.md.
///
/// # Panics
/// Never: a string takes all.
#[must_use]
pub fn table() -> String {
    let mut table = String::new();
    let mut group = "";
    for attack in ATTACKS {
        if attack.group != group {
            group = attack.group;
            write!(table, "\n**{group}**\n\n| | attacks | what becomes of it |\n| --- | --- | --- |\n")
                .expect("a string");
        }
        let cell = |text: &str| text.replace('|', "\\|");
        let (says, becomes) = (cell(&attack.says()), cell(&attack.becomes()));
        writeln!(table, "| `{}` | {says} | {becomes} |", attack.name).expect("a string");
    }
    table
}
