//! The keys that are at hand for opening letters.

use std::collections::BTreeMap;
use std::path::Path;

use crate::rules::{Rules, SecretRef};
use crate::sealing::{KeyError, LetterKey};

use super::LetterError;

/// The keys that are at hand, by their ids.
#[derive(Debug, Default)]
pub struct Keys {
    keys: BTreeMap<String, LetterKey>,
    /// Why others are not. That matters only to a letter whose key is not there.
    missing: Vec<KeyError>,
}

impl Keys {
    /// The keys that the rules name.
    #[must_use]
    pub fn of(rules: &Rules) -> Self {
        let mut keys = Self::default();
        let letters = rules.rules.iter().filter_map(|rule| rule.on_failure.dead_letter.as_ref());
        for reference in letters.filter_map(|letters| letters.encrypt.as_ref()) {
            if let Err(error) = keys.add(reference, &rules.directory)
                && !keys.missing.contains(&error)
            {
                keys.missing.push(error);
            }
        }
        keys
    }

    /// Adds a key, such as one that was in use before. Relative paths begin at `directory`.
    ///
    /// # Errors
    /// When the secret is missing or no key.
    pub fn add(&mut self, reference: &SecretRef, directory: &Path) -> Result<(), KeyError> {
        let key = LetterKey::resolve(reference, directory)?;
        self.keys.insert(key.id(), key);
        Ok(())
    }

    /// The key with this id.
    pub(super) fn get(&self, id: &str) -> Result<&LetterKey, LetterError> {
        self.keys.get(id).ok_or_else(|| LetterError::NoKey { id: id.to_owned(), instead: self.instead() })
    }

    /// What there is in the place of a key that is not there.
    fn instead(&self) -> String {
        let ids: Vec<&str> = self.keys.keys().map(String::as_str).collect();
        let has = if ids.is_empty() { "there is none".to_owned() } else { format!("there is {}", ids.join(", ")) };
        let missing = self.missing.iter().map(|error| format!("; {error}"));
        std::iter::once(has).chain(missing).collect()
    }
}
