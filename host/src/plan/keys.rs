//! The keys that dead letters are encrypted with.

use std::sync::Arc;

use crate::rules::{Problem, Rules};
use crate::sealing::LetterKey;

/// The key of each rule that has one, in the order of the rules; those that cannot be had become problems.
pub(super) fn letter_keys(rules: &Rules, problems: &mut Vec<Problem>) -> Vec<Option<Arc<LetterKey>>> {
    let mut keys = Vec::with_capacity(rules.rules.len());
    for rule in &rules.rules {
        let key = rule.on_failure.dead_letter.as_ref().and_then(|letters| {
            match LetterKey::resolve(letters.encrypt.as_ref()?, &rules.directory) {
                Ok(key) => Some(Arc::new(key)),
                Err(error) => {
                    let message = format!("rule `{}`: dead letters cannot be encrypted: {error}", rule.name);
                    problems.push(Problem::error(message).at(letters.location.clone()));
                    None
                }
            }
        });
        keys.push(key);
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{FileSet, Report, load_from};

    #[test]
    fn a_key_that_is_none_is_told_with_its_place_and_not_shown() {
        let directory = tempfile::tempdir().expect("a folder");
        std::fs::write(directory.path().join("short"), "hunter2").expect("is written");
        std::fs::write(directory.path().join("good"), "11".repeat(32)).expect("is written");
        let rule = |name: &str, key: &str| {
            format!(
                "[[rule]]\nname = \"{name}\"\nsource = \"a\"\nsubject = \"a.b\"\nroutes = {{ default = \"c\" }}\n\
                 on-failure = {{ dead-letter = {{ subject = \"dead\", encrypt = \"file:{key}\" }} }}\n"
            )
        };
        let files = FileSet::new(directory.path())
            .with("trackside.toml", "[nats]\nservers = [\"nats://a:4222\"]\n[sources.a]\nsubject = \"a.>\"\n")
            .with("rules/a.toml", [rule("one", "good"), rule("two", "short"), rule("three", "gone")].concat());
        let (rules, _) = load_from(&files).expect("the rules are right");
        let mut problems = Vec::new();
        let keys = letter_keys(&rules, &mut problems);
        assert_eq!(keys.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false]);
        let report = Report(problems).to_string();
        for want in [
            "rule `two`: dead letters cannot be encrypted: `file:short` is not a key of 32 bytes",
            "rules/a.toml:12:30]",
            "rule `three`: dead letters cannot be encrypted: the secret file",
            "rules/a.toml:18:30]",
        ] {
            assert!(report.contains(want), "{want}\n{report}");
        }
        assert!(!report.contains("hunter2"), "{report}");
    }
}
