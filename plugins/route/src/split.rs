//! Percentages, by a stable hash of a key.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use trackside_plugin::{Failure, Field, Message, SetupError};

use crate::Target;

/// A percent has this many places, so that three decimals of it are whole numbers.
const PLACES_A_PERCENT: u32 = 1000;
const PLACES: u32 = 100 * PLACES_A_PERCENT;

/// The settings of a split; the crate's page describes the keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "described on the crate's page")]
pub struct SplitSettings {
    pub by: String,
    #[serde(default)]
    pub salt: String,
    pub parts: Vec<Part>,
}

/// One part of a split.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "described on the crate's page")]
pub struct Part {
    pub to: Target,
    pub percent: f64,
}

#[derive(Debug)]
pub(crate) struct Split {
    by: Field,
    salt: String,
    /// Where each part ends, and where it leads.
    parts: Vec<(u32, Target)>,
}

impl Split {
    pub(crate) fn compile(settings: SplitSettings) -> Result<Self, SetupError> {
        let by = Field::compile(&settings.by).map_err(|error| error.at("by"))?;
        let mut end = 0;
        let mut parts = Vec::with_capacity(settings.parts.len());
        for (index, part) in settings.parts.into_iter().enumerate() {
            let places = places(part.percent).map_err(|error| error.at(format!("parts[{index}].percent")))?;
            // No overflow: each has 100,000 places at most, and the settings fit in memory.
            end += u64::from(places);
            parts.push((u32::try_from(end).unwrap_or(u32::MAX), part.to));
        }
        if end != u64::from(PLACES) {
            #[allow(clippy::cast_precision_loss, reason = "only for the message")]
            let sum = end as f64 / f64::from(PLACES_A_PERCENT);
            return Err(SetupError::new(format!("the parts are {sum} percent in all, and must be 100")).at("parts"));
        }
        Ok(Self { by, salt: settings.salt, parts })
    }

    /// The part for this message; `None` if it has no key.
    pub(crate) fn choose(&self, message: &Message) -> Result<Option<&Target>, Failure> {
        let Some(key) = self.by.read(message)? else {
            return Ok(None);
        };
        let place = place(&self.salt, &key);
        Ok(self.parts.iter().find(|(end, _)| place < *end).map(|(_, target)| target))
    }
}

fn places(percent: f64) -> Result<u32, SetupError> {
    let places = percent * f64::from(PLACES_A_PERCENT);
    let whole = places.round();
    if !(0.0..=f64::from(PLACES)).contains(&whole) {
        return Err("write a number from 0 to 100".into());
    }
    // Decimals like 0.1 are no exact floats; a thousandth of a place is far from any that has three decimals.
    if (places - whole).abs() > 0.001 {
        return Err("write at most three decimals".into());
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in 0..=100,000")]
    Ok(whole as u32)
}

/// Where a key lies among the places.
fn place(salt: &str, key: &str) -> u32 {
    let digest = Sha256::new().chain_update(salt).chain_update(key).finalize();
    let start = digest.first_chunk().expect("a SHA-256 has 32 bytes");
    u32::try_from(u64::from_be_bytes(*start) % u64::from(PLACES)).expect("the modulus is a u32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_same_place_on_every_machine() {
        // printf c1 | sha256sum | cut -c1-16, as a number, modulo 100,000.
        assert_eq!(place("", "c1"), 21_755);
        assert_eq!(place("c", "1"), place("", "c1"));
        assert_ne!(place("other", "c1"), place("", "c1"));
    }

    #[test]
    fn keys_in_sequence_spread_over_the_places() {
        let below = (0..10_000).filter(|key| place("", &key.to_string()) < 5 * PLACES_A_PERCENT).count();
        assert!((400..600).contains(&below), "{below} of 10,000 keys are in the first 5 percent");
    }
}
