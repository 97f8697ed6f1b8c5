//! Reads an entry's action and the keys that belong to it.

use trackside_plugin::SetupError;

use super::table::Table;
use crate::actions::{
    Action, Hash, KeyId, Opener, Precision, REDACTED, Sealer, Secret, Step, TextMask, Tokenise, context,
};

const DEFAULT_KEY_ID: &str = "k1";
const DEFAULT_TOKEN_PREFIX: &str = "tok_";
/// Below this, hashes of different values would be the same before long.
const MIN_HASH_LENGTH: usize = 8;
/// SHA-256 in hexadecimal.
const MAX_HASH_LENGTH: usize = 64;
const MAX_DECIMALS: usize = 100;

/// Reads the action of the entry about this place. Every key is asked for before any is judged, so that what is
/// left over is known to be misspelt.
pub(super) fn read(table: &mut Table, place: &str) -> Result<Action, SetupError> {
    let name = table.text("action");
    match name.as_deref().unwrap_or("redact") {
        "redact" => {
            let text = table.text("text").unwrap_or_else(|| REDACTED.to_owned());
            Ok(Action::Text(TextMask::Redact(text)))
        }
        "null" => Ok(Action::Null),
        "remove" => Ok(Action::Remove),
        "keep-first" => Ok(Action::Text(TextMask::KeepFirst(count(table)?))),
        "keep-last" => Ok(Action::Text(TextMask::KeepLast(count(table)?))),
        "hash" => hash(table),
        "tokenise" | "tokenize" => tokenise(table),
        "encrypt" => encrypt(table, place),
        "decrypt" => decrypt(table, place),
        "round" => round(table),
        "truncate-date" => truncate_date(table),
        _ => {
            let reason = "must be one of redact, null, remove, keep-first, keep-last, hash, tokenise, encrypt, decrypt, \
                          round, truncate-date";
            Err(SetupError::new(reason).at("action"))
        }
    }
}

fn count(table: &mut Table) -> Result<usize, SetupError> {
    table.count("count").ok_or_else(|| missing("count", "how many characters to keep, such as 4"))
}

fn hash(table: &mut Table) -> Result<Action, SetupError> {
    let (key, prefix, length) = (table.secret("key"), table.text("prefix"), table.count("length"));
    let key = required_key(key)?;
    let length = length.unwrap_or(MAX_HASH_LENGTH);
    if !(MIN_HASH_LENGTH..=MAX_HASH_LENGTH).contains(&length) {
        let reason = format!("must be {MIN_HASH_LENGTH} to {MAX_HASH_LENGTH} hexadecimal digits");
        return Err(SetupError::new(reason).at("length"));
    }
    let hash = Hash::new(mac_key(&key)?, prefix.unwrap_or_default(), length);
    Ok(Action::Text(TextMask::Hash(hash)))
}

fn tokenise(table: &mut Table) -> Result<Action, SetupError> {
    let (key, prefix) = (table.secret("key"), table.text("prefix"));
    let key = required_key(key)?;
    let prefix = prefix.unwrap_or_else(|| DEFAULT_TOKEN_PREFIX.to_owned());
    Ok(Action::Text(TextMask::Tokenise(Tokenise::new(mac_key(&key)?, prefix))))
}

fn encrypt(table: &mut Table, place: &str) -> Result<Action, SetupError> {
    let (key, id) = (table.secret("key"), table.text("key-id"));
    let key = aes_key(&required_key(key)?, "key")?;
    let id = id.unwrap_or_else(|| DEFAULT_KEY_ID.to_owned());
    Ok(Action::Encrypt(Box::new(Sealer::new(&key, key_id(&id, "key-id")?, &context(place)))))
}

fn decrypt(table: &mut Table, place: &str) -> Result<Action, SetupError> {
    let (key, id, keys) = (table.secret("key"), table.text("key-id"), table.secrets("keys"));
    let mut opening = Vec::new();
    match (key, id, keys) {
        (Some(key), id, None) => {
            let id = key_id(id.as_deref().unwrap_or(DEFAULT_KEY_ID), "key-id")?;
            opening.push((id, aes_key(&key, "key")?));
        }
        (None, None, Some(keys)) if !keys.is_empty() => {
            for (id, key) in keys {
                let at = format!("keys.{id}");
                opening.push((key_id(&id, &at)?, aes_key(&key, &at)?));
            }
        }
        _ => return Err(missing("keys", "the keys by their ids, as in { k1 = \"env:MASK_KEY\" }, or one `key`")),
    }
    Ok(Action::Decrypt(Opener::new(opening, &context(place))))
}

fn round(table: &mut Table) -> Result<Action, SetupError> {
    let (to, digits) = (table.number("to"), table.count("digits"));
    let step = match (to, digits) {
        (Some(to), None) => {
            Step::multiple_of(&to.to_string()).map_err(|error| SetupError::new(error.to_string()).at("to"))?
        }
        (None, Some(digits)) => match u8::try_from(digits).ok().filter(|digits| usize::from(*digits) <= MAX_DECIMALS) {
            Some(digits) => Step::decimals(digits),
            None => return Err(SetupError::new(format!("must be at most {MAX_DECIMALS}")).at("digits")),
        },
        _ => return Err(SetupError::new("give either `to`, such as 100, or `digits` after the point, such as 2")),
    };
    Ok(Action::Round(step))
}

fn truncate_date(table: &mut Table) -> Result<Action, SetupError> {
    let precision = match table.text("to").as_deref() {
        Some("year") => Precision::Year,
        Some("month") => Precision::Month,
        Some("day") => Precision::Day,
        Some("hour") => Precision::Hour,
        _ => return Err(SetupError::new("must be \"year\", \"month\", \"day\" or \"hour\"").at("to")),
    };
    Ok(Action::TruncateDate(precision))
}

fn missing(key: &str, what: &str) -> SetupError {
    SetupError::new(format!("is missing: {what}")).at(key)
}

fn required_key(key: Option<Secret>) -> Result<Secret, SetupError> {
    key.ok_or_else(|| missing("key", "a secret, such as \"env:MASK_KEY\""))
}

fn mac_key(key: &Secret) -> Result<&[u8], SetupError> {
    key.bytes().map_err(|error| SetupError::new(error.to_string()).at("key"))
}

fn aes_key(key: &Secret, at: &str) -> Result<[u8; 32], SetupError> {
    key.aes256().map_err(|error| SetupError::new(error.to_string()).at(at))
}

fn key_id(text: &str, at: &str) -> Result<KeyId, SetupError> {
    let reason = || format!("a key id is 1 to {} letters, digits, `.`, `_` or `-`", KeyId::MAX_LEN);
    KeyId::parse(text).ok_or_else(|| SetupError::new(reason()).at(at))
}
