//! From TOML values to typed ones. Every error says what to write instead and shows no value that could be a secret.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::units;

/// A value with its place in the file.
pub(super) type Node<'i> = Spanned<DeValue<'i>>;

/// A key with its place in the file.
pub(super) type KeyNode<'i> = Spanned<DeString<'i>>;

/// What is wrong with a value.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Where, if not all of it.
    pub(super) span: Option<Range<usize>>,
    /// What is wrong, to follow the key: "must be …".
    pub(super) message: String,
    /// What to write instead.
    pub(super) help: String,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), help: help.into() }
    }
}

/// What a value is, for "must be X, not Y".
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

pub(super) fn text(node: &Node<'_>) -> Result<String, Wrong> {
    match node.get_ref() {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        other => Err(Wrong::new(format!("must be text, not {}", kind(other)), "write it in quotes")),
    }
}

pub(super) fn boolean(node: &Node<'_>) -> Result<bool, Wrong> {
    match node.get_ref() {
        DeValue::Boolean(value) => Ok(*value),
        other => {
            Err(Wrong::new(format!("must be true or false, not {}", kind(other)), "write `true` or `false`, unquoted"))
        }
    }
}

pub(super) fn whole(node: &Node<'_>, range: RangeInclusive<u64>) -> Result<u64, Wrong> {
    let help = if *range.end() == u64::MAX {
        format!("write a whole number of at least {}", range.start())
    } else {
        format!("write a whole number from {} to {}", range.start(), range.end())
    };
    let DeValue::Integer(integer) = node.get_ref() else {
        return Err(Wrong::new(format!("must be a whole number, not {}", kind(node.get_ref())), help));
    };
    match u64::from_str_radix(integer.as_str(), integer.radix()) {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(Wrong::new("is out of range", help)),
    }
}

pub(super) fn duration(node: &Node<'_>, range: RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    let DeValue::String(text) = node.get_ref() else {
        let message = format!("must be a duration, not {}", kind(node.get_ref()));
        return Err(Wrong::new(message, "write it in quotes with its unit (us, ms, s, m, h, d), for example \"10ms\""));
    };
    let duration = units::duration(text).map_err(|error| Wrong::new("must be a duration", error.to_string()))?;
    if range.contains(&duration) {
        return Ok(duration);
    }
    let (min, max) = (units::show_duration(*range.start()), units::show_duration(*range.end()));
    Err(Wrong::new("is out of range", format!("write a duration from \"{min}\" to \"{max}\"")))
}

pub(super) fn size(node: &Node<'_>, range: RangeInclusive<usize>) -> Result<usize, Wrong> {
    let DeValue::String(text) = node.get_ref() else {
        let message = format!("must be a number of bytes with its unit, not {}", kind(node.get_ref()));
        return Err(Wrong::new(
            message,
            "write it in quotes with its unit (B, kB, KiB, MB, MiB, GB, GiB), for example \"16MiB\"",
        ));
    };
    let bytes = units::bytes(text).map_err(|error| Wrong::new("must be a number of bytes", error.to_string()))?;
    if range.contains(&bytes) {
        return Ok(bytes);
    }
    let (min, max) = (units::show_bytes(*range.start()), units::show_bytes(*range.end()));
    Err(Wrong::new("is out of range", format!("write a size from \"{min}\" to \"{max}\"")))
}

pub(super) fn one_of(node: &Node<'_>, words: &'static [&'static str]) -> Result<&'static str, Wrong> {
    let choice = choice(words);
    let DeValue::String(text) = node.get_ref() else {
        return Err(Wrong::new(format!("must be {choice}, not {}", kind(node.get_ref())), format!("write {choice}")));
    };
    words.iter().find(|word| **word == text.as_ref()).copied().ok_or_else(|| {
        let help = super::suggest::nearest(text, words.iter().copied());
        let help = help.map_or_else(|| format!("write {choice}"), |near| format!("did you mean \"{near}\"?"));
        Wrong::new(format!("must be {choice}"), help)
    })
}

/// `"a", "b" or "c"`
fn choice(words: &[&str]) -> String {
    either(&words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>())
}

/// `a, b or c`
pub(super) fn either(words: &[String]) -> String {
    match words.split_last() {
        Some((last, first @ [_, ..])) => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}

/// The elements of a list.
pub(super) fn elements<'n, 'i>(node: &'n Node<'i>) -> Result<&'n [Node<'i>], Wrong> {
    match node.get_ref() {
        DeValue::Array(elements) => Ok(elements),
        other => Err(Wrong::new(format!("must be a list, not {}", kind(other)), "write it in brackets: [ … ]")),
    }
}

/// A list, each of its elements read by `read`; the first wrong one is what is wrong.
pub(super) fn list<T>(node: &Node<'_>, read: impl Fn(&Node<'_>) -> Result<T, Wrong>) -> Result<Vec<T>, Wrong> {
    let read = |element: &Node<'_>| {
        read(element).map_err(|wrong| Wrong {
            span: wrong.span.or_else(|| Some(element.span())),
            message: format!("has an element that {}", wrong.message),
            help: wrong.help,
        })
    };
    elements(node)?.iter().map(read).collect()
}

/// The entries of a table in the order of the file; the parser keeps them in the order of their names.
pub(super) fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t KeyNode<'i>, &'t Node<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
