//! What a configuration is made of, by digests: enough to tell what another one changes.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::files::FileSet;
use super::model::{Rule, Rules};
use crate::names::RuleName;

/// What the rules of a file begin with, unless they are elements of one list.
const HEADER: &[u8] = b"[[rule]]";

/// SHA-256 of every file, and of the text of every rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// By the file's path from the directory.
    pub files: BTreeMap<String, [u8; 32]>,
    /// Of the text from where a rule begins to where the next one does.
    pub rules: BTreeMap<RuleName, [u8; 32]>,
}

impl Contents {
    /// The contents of these files, which these rules were read from.
    #[must_use]
    pub fn of(files: &FileSet, rules: &Rules) -> Self {
        let mut by_file: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
        for rule in &rules.rules {
            by_file.entry(rule.location.file()).or_default().push(rule);
        }
        let mut contents = Self::default();
        for (path, bytes) in files.iter() {
            contents.files.insert(path.to_owned(), Sha256::digest(bytes).into());
            let rules = by_file.remove(files.shown(path).as_str()).unwrap_or_default();
            let starts: Vec<usize> = rules.iter().map(|rule| beginning(bytes, rule.location.start())).collect();
            let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
            for ((rule, start), end) in rules.iter().zip(&starts).zip(ends) {
                let text = bytes.get(*start..end).unwrap_or_default();
                contents.rules.insert(rule.name.clone(), Sha256::digest(text).into());
            }
        }
        contents
    }
}

/// Where the text of a rule begins that has its name here: at its header, or where it has none at the name.
fn beginning(bytes: &[u8], name: usize) -> usize {
    let before = bytes.get(..name).unwrap_or_default();
    before.windows(HEADER.len()).rposition(|window| window == HEADER).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::load_from;

    const CONFIG: &str = "[nats]\nservers = [\"nats://127.0.0.1\"]\n[sources.s]\nsubject = \">\"\n";

    fn rule(name: &str, to: &str) -> String {
        format!(
            "[[rule]]\nname = \"{name}\"\nsource = \"s\"\nsubject = \"{name}\"\nroutes.default = \"{to}\"\n\
             on-failure.dead-letter = \"d\"\n"
        )
    }

    fn contents(rules: &[String]) -> Contents {
        let files = FileSet::new("c").with("trackside.toml", CONFIG).with("rules/a.toml", rules.concat());
        Contents::of(&files, &load_from(&files).expect("it is right").0)
    }

    #[test]
    fn a_rule_that_changes_changes_no_other() {
        let (old, new) = (contents(&[rule("a", "x"), rule("b", "x")]), contents(&[rule("a", "y"), rule("b", "x")]));
        let at = |name| RuleName::new(name).expect("a name");
        assert_ne!(old.rules[&at("a")], new.rules[&at("a")]);
        assert_eq!(old.rules[&at("b")], new.rules[&at("b")]);
        assert_eq!(old.files["trackside.toml"], new.files["trackside.toml"]);
        assert_ne!(old.files["rules/a.toml"], new.files["rules/a.toml"]);
        assert_eq!(contents(&[rule("b", "x"), rule("a", "x")]).rules, old.rules, "the order is no rule's own");
    }
}
