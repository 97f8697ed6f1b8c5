//! The stage's `with` table: what it may hold, and what becomes of it.

mod action;
mod table;

use std::rc::Rc;

use serde::{Deserialize, Deserializer};
use trackside_plugin::SetupError;

use self::table::Table;
use crate::actions::{Action, TextMask};
use crate::detect::{Entry, Finder, Pattern};
use crate::detection::Place;
use crate::fields::{Field, HeaderField};
use crate::headers;

/// The settings, as the crate's documentation describes them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default)]
    fields: Vec<Table>,
    #[serde(default)]
    detect: Vec<Table>,
    #[serde(default)]
    keys: Keys,
}

/// What is done about an object's key that holds what is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keys {
    /// It is masked as any other text.
    #[default]
    Mask,
    /// The message is rejected.
    Reject,
    /// Keys are not looked at.
    Allow,
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not derived, because that would quote what it found: `decrypt` has secrets under this name.
        match serde_json::Value::deserialize(deserializer)?.as_str() {
            Some("mask") => Ok(Self::Mask),
            Some("reject") => Ok(Self::Reject),
            Some("allow") => Ok(Self::Allow),
            _ => Err(serde::de::Error::custom("must be \"mask\", \"reject\" or \"allow\"")),
        }
    }
}

/// The settings, understood.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) fields: Vec<Field>,
    pub(crate) headers: Vec<HeaderField>,
    pub(crate) places: Vec<Place>,
    pub(crate) in_headers: Vec<Rc<Entry>>,
}

impl Settings {
    pub(crate) fn plan(self) -> Result<Plan, SetupError> {
        if self.fields.is_empty() && self.detect.is_empty() {
            return Err(SetupError::new("there is nothing to mask: say what in `fields` or `detect`"));
        }
        let mut plan = Plan::default();
        for (index, mut table) in self.fields.into_iter().enumerate() {
            let built = field(&mut table, index, &mut plan);
            table.settle(built).map_err(|error| error.at(format!("fields[{index}]")))?;
        }
        for (index, mut table) in self.detect.into_iter().enumerate() {
            let built = detect(&mut table, self.keys, &mut plan);
            table.settle(built).map_err(|error| error.at(format!("detect[{index}]")))?;
        }
        Ok(plan)
    }
}

fn field(table: &mut Table, index: usize, plan: &mut Plan) -> Result<(), SetupError> {
    let (path, header, required) = (table.text("path"), table.text("header"), table.flag("required"));
    let place = match (&path, &header) {
        (None, Some(name)) => format!("header:{}", name.to_ascii_lowercase()),
        _ => path.clone().unwrap_or_default(),
    };
    let action = action::read(table, &place);
    match (path, header) {
        (Some(path), None) => {
            let action = action?;
            if path.trim() == "$" && matches!(action, Action::Remove) {
                return Err(
                    SetupError::new("the whole payload cannot be removed; drop the message instead").at("action")
                );
            }
            plan.fields.push(Field { index, path, action, required });
        }
        (None, Some(name)) => {
            let action = action?;
            if headers::is_reserved(&name) {
                let reason = "headers that begin with `Nats-` or `Trackside-` cannot be changed by a stage";
                return Err(SetupError::new(reason).at("header"));
            }
            if matches!(action, Action::Null) {
                return Err(SetupError::new("a header cannot be null: use `redact` or `remove`").at("action"));
            }
            plan.headers.push(HeaderField { index, name, action, required });
        }
        (Some(_), Some(_)) => return Err(SetupError::new("give either `path` or `header`, not both")),
        (None, None) => return Err(SetupError::new("give a `path` (JSONPath) or a `header` (its name)")),
    }
    Ok(())
}

/// Where an entry of `detect` looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Message,
    Body,
    Headers,
}

fn detect(table: &mut Table, keys: Keys, plan: &mut Plan) -> Result<(), SetupError> {
    let kind = table.text("kind");
    let regex = table.text("regex");
    let below = table.text("below");
    let place = table.text("in");
    let mask = action::read(table, "").and_then(part_mask);
    let place = match (place.as_deref(), &below) {
        (None, None) | (Some("message"), None) => Where::Message,
        (None, Some(_)) | (Some("body"), _) => Where::Body,
        (Some("headers"), None) => Where::Headers,
        (Some("message" | "headers"), Some(_)) => {
            return Err(SetupError::new("headers are not below a path; leave out `in` or `below`").at("in"));
        }
        (Some(_), _) => return Err(SetupError::new("must be \"message\", \"body\" or \"headers\"").at("in")),
    };
    let entry = Rc::new(Entry { finder: finder(kind.as_deref(), regex.as_deref())?, mask: mask? });
    if place != Where::Headers {
        let path = below.unwrap_or_else(|| "$".to_owned());
        let known = plan.places.iter().position(|place| place.is(&path));
        let known = match known {
            Some(known) => known,
            None => {
                plan.places.push(Place::new(path, keys).map_err(|error| error.at("below"))?);
                plan.places.len() - 1
            }
        };
        plan.places[known].add(Rc::clone(&entry));
    }
    if place != Where::Body {
        plan.in_headers.push(entry);
    }
    Ok(())
}

fn finder(kind: Option<&str>, regex: Option<&str>) -> Result<Finder, SetupError> {
    match (kind, regex) {
        (Some(_), Some(_)) => Err(SetupError::new("give either `kind` or `regex`, not both")),
        (None, None) => Err(SetupError::new("say what to look for: a `kind` or a `regex`")),
        (None, Some(regex)) => match Pattern::new(regex) {
            Ok(pattern) => Ok(Finder::Pattern(Box::new(pattern))),
            Err(error) => Err(SetupError::new(error.to_string()).at("regex")),
        },
        (Some(kind), None) => Ok(match kind {
            "email" => Finder::Email,
            "card" => Finder::Card,
            "iban" => Finder::Iban,
            "phone" => Finder::Phone,
            "ip" => Finder::Ip,
            "jwt" => Finder::Jwt,
            "bearer" => Finder::Bearer,
            "secret" => Finder::Secret,
            _ => {
                let reason =
                    "must be \"email\", \"card\", \"iban\", \"phone\", \"ip\", \"jwt\", \"bearer\" or \"secret\"";
                return Err(SetupError::new(reason).at("kind"));
            }
        }),
    }
}

/// What an action does to a part of a text.
fn part_mask(action: Action) -> Result<TextMask, SetupError> {
    match action {
        Action::Text(mask) => Ok(mask),
        Action::Remove => Ok(TextMask::Redact(String::new())),
        Action::Null | Action::Encrypt(_) | Action::Decrypt(_) | Action::Round(_) | Action::TruncateDate(_) => {
            let reason = "cannot be done to a part of a text; use redact, remove, keep-first, keep-last, hash or tokenise, \
                          or name the place in `fields`";
            Err(SetupError::new(reason).at("action"))
        }
    }
}

#[cfg(test)]
mod tests;
