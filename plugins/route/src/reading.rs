//! Reads the parts of a message that conditions ask for, each when it is first needed.

use std::cmp::Ordering;
use std::collections::HashMap;

use cel::Value;
use cel::objects::Map;
use trackside_plugin::{Failure, Message, json};

use crate::conditions::BodyPaths;
use crate::lift::Slot;

pub(crate) struct Reading<'m> {
    message: &'m Message,
    slots: &'m [Slot],
    body: &'m BodyPaths,
    /// What each slot has; `None` until it is read.
    parts: Vec<Option<Part>>,
    /// What is at each path of `body`; empty until one is asked for.
    found: Vec<Found>,
}

/// What a slot has.
#[derive(Clone)]
enum Part {
    Nothing,
    Text(String),
    Flag(bool),
    /// All headers.
    Headers,
    /// What is at this path of the body, where there is one value.
    Body(usize),
}

#[derive(Clone)]
enum Found {
    Nothing,
    One(trackside_plugin::Value),
    Several,
}

/// A slot's value, if it is none that holds others.
#[derive(Debug)]
pub(crate) enum Scalar<'r> {
    Missing,
    Null,
    Boolean(bool),
    Number(Number),
    Text(&'r str),
}

/// An integer where 64 bits hold it; everything else as the nearest float, which may be infinite.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Int(i64),
    UInt(u64),
    Float(f64),
}

impl<'m> Reading<'m> {
    pub(crate) fn new(message: &'m Message, slots: &'m [Slot], body: &'m BodyPaths) -> Self {
        Self { message, slots, body, parts: vec![None; slots.len()], found: Vec::new() }
    }

    /// Reads these slots.
    pub(crate) fn read(&mut self, slots: &[usize]) -> Result<(), Failure> {
        for &slot in slots {
            if self.parts[slot].is_none() {
                self.parts[slot] = Some(self.part(slot)?);
            }
        }
        Ok(())
    }

    fn part(&mut self, slot: usize) -> Result<Part, Failure> {
        let text = |text: Option<String>| text.map_or(Part::Nothing, Part::Text);
        Ok(match &self.slots[slot] {
            Slot::Subject => Part::Text(self.message.subject()),
            Slot::Header(name) => text(self.message.header(name)),
            Slot::HasHeader(name) => Part::Flag(self.message.header(name).is_some()),
            Slot::Headers => Part::Headers,
            Slot::Body(path) => self.at(slot, path)?.map_or(Part::Nothing, Part::Body),
            Slot::HasBody(path) => Part::Flag(self.at(slot, path)?.is_some()),
        })
    }

    /// The path of a slot, if there is a value.
    fn at(&mut self, slot: usize, path: &str) -> Result<Option<usize>, Failure> {
        if self.found.is_empty() {
            self.found = self.select()?;
        }
        let place = self.body.of_slots[slot];
        match place.and_then(|place| self.found.get(place)) {
            None | Some(Found::Nothing) => Ok(None),
            Some(Found::One(_)) => Ok(place),
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

    /// What a slot that has been read has, if it is a scalar.
    pub(crate) fn scalar(&self, slot: usize) -> Option<Scalar<'_>> {
        use trackside_plugin::Value as Json;
        Some(match self.parts[slot].as_ref()? {
            Part::Nothing => Scalar::Missing,
            Part::Text(text) => Scalar::Text(text),
            Part::Flag(flag) => Scalar::Boolean(*flag),
            Part::Headers => return None,
            Part::Body(path) => match self.body_value(*path)? {
                Json::Null => Scalar::Null,
                Json::Boolean(value) => Scalar::Boolean(*value),
                Json::Number(spelling) => Scalar::Number(Number::read(spelling)),
                Json::Text(text) => Scalar::Text(text),
                Json::Json(_) => return None,
            },
        })
    }

    /// What a slot that has been read has, for the interpreter; `None` if there is nothing.
    pub(crate) fn value(&self, slot: usize) -> Result<Option<Value>, Failure> {
        Ok(match &self.parts[slot] {
            None | Some(Part::Nothing) => None,
            Some(Part::Text(text)) => Some(Value::from(text.as_str())),
            Some(Part::Flag(flag)) => Some(Value::Bool(*flag)),
            Some(Part::Headers) => Some(headers(self.message)),
            Some(Part::Body(path)) => self.body_value(*path).map(value).transpose()?,
        })
    }

    fn body_value(&self, path: usize) -> Option<&trackside_plugin::Value> {
        match self.found.get(path) {
            Some(Found::One(value)) => Some(value),
            _ => None,
        }
    }
}

impl Number {
    pub(crate) fn read(spelling: &str) -> Self {
        if let Ok(int) = spelling.parse() {
            return Self::Int(int);
        }
        if let Ok(uint) = spelling.parse() {
            return Self::UInt(uint);
        }
        Self::Float(spelling.parse().unwrap_or(f64::NAN))
    }

    /// As crate cel compares them: exactly, or as floats if one is. `None` if it is left to it.
    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        #[allow(clippy::cast_precision_loss, reason = "as CEL has it")]
        let float = |int: i64| int as f64;
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(&right)),
            (Self::Int(left), Self::Float(right)) => float(left).partial_cmp(&right),
            (Self::Float(left), Self::Int(right)) => left.partial_cmp(&float(right)),
            (Self::Float(left), Self::Float(right)) => left.partial_cmp(&right),
            (Self::UInt(_), _) | (_, Self::UInt(_)) => None,
        }
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

fn number(spelling: &str) -> Value {
    match Number::read(spelling) {
        Number::Int(int) => Value::Int(int),
        Number::UInt(uint) => Value::UInt(uint),
        Number::Float(float) => Value::Float(float),
    }
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
