//! Payloads and headers, as messages and expectations write them.

use std::fmt::Display;
use std::io;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use toml::de::DeValue;

use super::model::{Payload, Spelling};
use super::parse::Context;
use crate::rules::files::read_bounded;
use crate::rules::table::Table;
use crate::rules::values::{self, Node, Wrong};

/// The keys that a payload is written under.
const KEYS: [&str; 4] = ["text", "json", "base64", "file"];

/// The payload of a message.
pub(super) fn of_message(table: &Table<'_>, context: Context<'_>) -> Bytes {
    match payload(table, context) {
        Some(Payload::Exact(bytes, _)) => bytes,
        Some(Payload::Json(json)) => json.to_string().into(),
        None => Bytes::new(),
    }
}

/// A payload under any of its keys, if one is there.
pub(super) fn payload(table: &Table<'_>, context: Context<'_>) -> Option<Payload> {
    let mut given = KEYS.into_iter().filter(|key| table.has(key));
    let key = given.next()?;
    if let Some(second) = given.next() {
        table.error(second, format!("`{key}` and `{second}` both give the payload"), "keep one of them");
    }
    match key {
        "text" => table.text(key).map(|text| Payload::Exact(text.into(), Spelling::Text)),
        "json" => table.read(key, value).map(Payload::Json),
        "base64" => table.read(key, base64).map(|bytes| Payload::Exact(bytes, Spelling::Base64)),
        _ => table.read(key, |node| file(node, context)).map(|bytes| Payload::Exact(bytes, Spelling::File)),
    }
}

/// The headers of a table: name, place and values of each, in the order of the file.
pub(super) fn headers(table: &Table<'_>) -> Vec<(String, Range<usize>, Vec<String>)> {
    let Some(node) = table.node("headers") else { return Vec::new() };
    let DeValue::Table(entries) = node.get_ref() else {
        let message = format!("`headers` must be a table, not {}", values::kind(node.get_ref()));
        table.error("headers", message, "write it as headers = { Region = \"eu\" }");
        return Vec::new();
    };
    let mut headers = Vec::with_capacity(entries.len());
    for (name, node) in values::in_order(entries) {
        let read = match node.get_ref() {
            DeValue::Array(_) => values::list(node, values::text),
            _ => values::text(node).map(|value| vec![value]),
        };
        match read {
            Ok(read) => headers.push((name.get_ref().to_string(), node.span(), read)),
            Err(wrong) => {
                let message = format!("the header `{}` {}", name.get_ref(), wrong.message);
                let help = "write a text, or a list of texts where the name repeats";
                table.file.error(wrong.span.unwrap_or_else(|| node.span()), message, help);
            }
        }
    }
    headers
}

/// A TOML value as JSON, its members in the order of the file. As deep as the value, whose depth the parser bounds.
pub(super) fn value(node: &Node<'_>) -> Result<Value, Wrong> {
    let unfit = || Wrong::new("has a number that JSON cannot have", "write one of at most 64 bits, or a text");
    Ok(match node.get_ref() {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Boolean(boolean) => Value::Bool(*boolean),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Integer(integer) => {
            let (digits, radix) = (integer.as_str(), integer.radix());
            let signed = i64::from_str_radix(digits, radix).map(Value::from);
            signed.or_else(|_| u64::from_str_radix(digits, radix).map(Value::from)).map_err(|_| unfit())?
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            Value::Number(number.ok_or_else(unfit)?)
        }
        DeValue::Array(elements) => Value::Array(elements.iter().map(value).collect::<Result<_, _>>()?),
        DeValue::Table(entries) => {
            let member = |(key, node): (&values::KeyNode<'_>, &Node<'_>)| Ok((key.get_ref().to_string(), value(node)?));
            Value::Object(values::in_order(entries).into_iter().map(member).collect::<Result<_, _>>()?)
        }
    })
}

fn base64(node: &Node<'_>) -> Result<Bytes, Wrong> {
    let text: String = values::text(node)?.split_ascii_whitespace().collect();
    STANDARD.decode(text).map(Bytes::from).map_err(|error| Wrong::new("is not Base64", error.to_string()))
}

fn file(node: &Node<'_>, context: Context<'_>) -> Result<Bytes, Wrong> {
    let path = context.files.directory().join(values::text(node)?);
    let wrong = |reason: &dyn Display| {
        let message = format!("names a file that cannot be read: {reason}");
        Wrong::new(message, "write its path from the configuration directory on")
    };
    match read_bounded(&path) {
        Ok(Some(bytes)) => Ok(bytes.into()),
        Ok(None) => Err(wrong(&"it is longer than 4 MiB")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(wrong(&format!("there is no `{}`", path.display())))
        }
        Err(error) => Err(wrong(&error)),
    }
}
