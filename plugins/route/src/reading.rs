//! Reads the parts of a message that conditions ask for, each when it is first needed.

use std::collections::HashMap;

use cel::Value;
use cel::objects::Map;
use trackside_plugin::{Failure, Message, json};

use crate::conditions::BodyPaths;
use crate::lift::Slot;

pub(crate) struct Reading<'m> {
    message: &'m Message,
    body: &'m BodyPaths,
    /// What is at each path of `body`; empty until one is asked for.
    found: Vec<Found>,
}

#[derive(Clone)]
enum Found {
    Nothing,
    One(trackside_plugin::Value),
    Several,
}

impl<'m> Reading<'m> {
    pub(crate) fn new(message: &'m Message, body: &'m BodyPaths) -> Self {
        Self { message, body, found: Vec::new() }
    }

    /// The value of a slot; `None` if there is none.
    pub(crate) fn value(&mut self, slot: &Slot) -> Result<Option<Value>, Failure> {
        Ok(match slot {
            Slot::Subject => Some(Value::from(self.message.subject())),
            Slot::Header(name) => self.message.header(name).map(Value::from),
            Slot::HasHeader(name) => Some(Value::Bool(self.message.header(name).is_some())),
            Slot::Headers => Some(headers(self.message)),
            Slot::Body(path) => self.at(path)?.map(value).transpose()?,
            Slot::HasBody(path) => Some(Value::Bool(self.at(path)?.is_some())),
        })
    }

    fn at(&mut self, path: &str) -> Result<Option<&trackside_plugin::Value>, Failure> {
        if self.found.is_empty() {
            self.found = self.select()?;
        }
        let place = self.body.paths.iter().position(|known| known == path);
        match place.and_then(|place| self.found.get(place)) {
            None | Some(Found::Nothing) => Ok(None),
            Some(Found::One(value)) => Ok(Some(value)),
            Some(Found::Several) => Err(Failure::reject(format!("`{path}` occurs more than once"))),
        }
    }

    fn select(&self) -> Result<Vec<Found>, Failure> {
        let mut found = vec![Found::Nothing; self.body.paths.len()];
        if let Some(selector) = &self.body.selector {
            for place in self.message.select(selector)? {
                if let Some(found) = found.get_mut(place.path) {
                    *found = match found {
                        Found::Nothing => Found::One(place.value),
                        _ => Found::Several,
                    };
                }
            }
        }
        Ok(found)
    }
}

/// All headers by their names in lower case; the first value of each.
fn headers(message: &Message) -> Value {
    let mut map = HashMap::new();
    for header in message.headers() {
        map.entry(header.name.to_ascii_lowercase()).or_insert(header.value);
    }
    Value::Map(Map::from(map))
}

fn value(value: &trackside_plugin::Value) -> Result<Value, Failure> {
    use trackside_plugin::Value as Json;
    Ok(match value {
        Json::Null => Value::Null,
        Json::Boolean(value) => Value::Bool(*value),
        Json::Number(text) => number(text),
        Json::Text(text) => Value::from(text.as_str()),
        Json::Json(text) => convert(json::parse(text.as_bytes())?),
    })
}

/// Integers as such where 64 bits hold them; everything else as the nearest float, which may be infinite.
fn number(text: &str) -> Value {
    if let Ok(int) = text.parse() {
        return Value::Int(int);
    }
    if let Ok(uint) = text.parse() {
        return Value::UInt(uint);
    }
    Value::Float(text.parse().unwrap_or(f64::NAN))
}

/// Recursion is bounded by the depth that [`json::parse`] takes.
fn convert(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(value) => number(&value.to_string()),
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(elements) => Value::from(elements.into_iter().map(convert).collect::<Vec<_>>()),
        serde_json::Value::Object(members) => {
            let members: HashMap<String, Value> =
                members.into_iter().map(|(key, value)| (key, convert(value))).collect();
            Value::Map(Map::from(members))
        }
    }
}
