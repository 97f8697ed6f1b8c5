//! What is done to a value that must not be seen.

mod date;
mod key;
mod keyed;
mod round;
mod seal;

use trackside_plugin::Value;

pub(crate) use self::date::Precision;
pub(crate) use self::key::Secret;
pub(crate) use self::keyed::{Hash, Tokenise};
pub(crate) use self::round::Step;
pub(crate) use self::seal::{KeyId, Opener, Sealer, context};

/// What stands in for a value that an action on text cannot spell.
pub(crate) const REDACTED: &str = "***";

/// What is done to a value, whatever its type.
#[derive(Debug)]
pub(crate) enum Action {
    Null,
    Remove,
    Text(TextMask),
    Encrypt(Box<Sealer>),
    Decrypt(Opener),
    Round(Step),
    TruncateDate(Precision),
}

/// What an action made of a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Masked {
    Same,
    Removed,
    Value(Value),
}

/// Why an action could not read a value. Says nothing of the value but its type.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(pub(crate) String);

impl Action {
    /// Whether what it puts in a value's place tells nothing without a key.
    pub(crate) fn is_keyed(&self) -> bool {
        matches!(self, Self::Encrypt(_) | Self::Text(TextMask::Hash(_) | TextMask::Tokenise(_)))
    }

    /// # Errors
    ///
    /// A value that `round`, `truncate-date` or `decrypt` cannot read: the message must not go on with it.
    pub(crate) fn mask(&self, value: &Value) -> Result<Masked, Unreadable> {
        Ok(match (self, value) {
            (Self::Null, Value::Null) => Masked::Same,
            (Self::Null, _) => Masked::Value(Value::Null),
            (Self::Remove, _) => Masked::Removed,
            (Self::Text(mask), value) => mask.value(value),
            (Self::Encrypt(sealer), value) => Masked::Value(Value::Text(sealer.seal(value)?)),
            (Self::Decrypt(opener), Value::Text(text)) => Masked::Value(opener.open(text)?),
            (Self::Decrypt(_), other) => {
                return Err(Unreadable(format!("is a JSON {}, not an encrypted string", other.kind())));
            }
            (Self::Round(_) | Self::TruncateDate(_), Value::Null) => Masked::Same,
            (Self::Round(step), Value::Number(spelling)) => rounded(step, spelling, Value::Number)?,
            (Self::Round(step), Value::Text(text)) => rounded(step, text, Value::Text)?,
            (Self::Round(_), other) => return Err(Unreadable(format!("is a JSON {}, not a number", other.kind()))),
            (Self::TruncateDate(precision), Value::Text(text)) => match precision.truncate(text)? {
                truncated if truncated == *text => Masked::Same,
                truncated => Masked::Value(Value::Text(truncated)),
            },
            (Self::TruncateDate(_), other) => {
                return Err(Unreadable(format!("is a JSON {}, not a date in a string", other.kind())));
            }
        })
    }
}

fn rounded(step: &Step, spelling: &str, wrap: fn(String) -> Value) -> Result<Masked, Unreadable> {
    let rounded = step.round(spelling)?;
    Ok(if rounded == spelling { Masked::Same } else { Masked::Value(wrap(rounded)) })
}

/// What is done to a text, or to a part of one that was detected.
#[derive(Debug)]
pub(crate) enum TextMask {
    Redact(String),
    KeepFirst(usize),
    KeepLast(usize),
    Hash(Hash),
    Tokenise(Tokenise),
}

impl TextMask {
    pub(crate) fn text(&self, text: &str) -> String {
        match self {
            Self::Redact(with) => with.clone(),
            Self::KeepFirst(count) => keep(text, *count, |length| 0..length.min(*count)),
            Self::KeepLast(count) => keep(text, *count, |length| length.saturating_sub(*count)..length),
            Self::Hash(hash) => hash.text(text),
            Self::Tokenise(tokenise) => tokenise.text(text),
        }
    }

    /// Whether characters of the original are left standing.
    pub(crate) fn reveals(&self) -> bool {
        matches!(self, Self::KeepFirst(_) | Self::KeepLast(_))
    }

    /// A text, or a number by its spelling; what has no spelling is redacted whole.
    fn value(&self, value: &Value) -> Masked {
        let masked = match (self, value) {
            // Redacting needs no spelling, so that a null is hidden as well: that there is none tells something too.
            (Self::Redact(with), _) => with.clone(),
            (_, Value::Null) => return Masked::Same,
            (_, Value::Text(text) | Value::Number(text)) => self.text(text),
            (_, Value::Boolean(_) | Value::Json(_)) => REDACTED.to_owned(),
        };
        match value {
            Value::Text(text) if *text == masked => Masked::Same,
            _ => Masked::Value(Value::Text(masked)),
        }
    }
}

/// Stars every character outside the range; all of them when the text has nothing to spare.
fn keep(text: &str, count: usize, range: impl Fn(usize) -> std::ops::Range<usize>) -> String {
    let length = text.chars().count();
    let kept = if length <= count { 0..0 } else { range(length) };
    text.chars().enumerate().map(|(at, c)| if kept.contains(&at) { c } else { '*' }).collect()
}

#[cfg(test)]
mod tests;
