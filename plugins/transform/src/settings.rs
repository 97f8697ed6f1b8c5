//! The stage's `with` table: what it may hold, and what becomes of it.

use serde::Deserialize;
use serde_json::Value;
use trackside_plugin::{Setup, SetupError};

use crate::jq::Program;
use crate::operation::cast::Type;
use crate::operation::timestamp::{Format, Reformat, zone};
use crate::operation::{Edit, Operation, Parts, Step, Target};
use crate::path::Path;
use crate::template::Template;

/// The settings, as the crate's documentation describes them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    operations: Option<Vec<RawOperation>>,
    jq: Option<String>,
    jq_file: Option<String>,
}

/// What the settings ask for.
#[derive(Debug)]
pub(crate) enum Plan {
    Operations(Vec<Operation>),
    Jq(Box<Program>),
}

/// An operation as it is written: one of the first group of keys, and the further ones that belong to it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawOperation {
    rename: Option<String>,
    r#move: Option<String>,
    copy: Option<String>,
    remove: Option<String>,
    set: Option<String>,
    default: Option<String>,
    cast: Option<String>,
    trim: Option<String>,
    upper: Option<String>,
    lower: Option<String>,
    join: Option<Value>,
    split: Option<String>,
    timestamp: Option<String>,

    to: Option<String>,
    value: Option<Value>,
    with: Option<String>,
    by: Option<String>,
    from: Option<String>,
    zone: Option<String>,
    required: Option<bool>,
}

impl Settings {
    pub(crate) fn plan(self, setup: &Setup) -> Result<Plan, SetupError> {
        match (self.operations, self.jq, self.jq_file) {
            (Some(operations), None, None) if operations.is_empty() => {
                Err(SetupError::new("give one operation or more").at("operations"))
            }
            (Some(operations), None, None) => {
                let plan = operations.into_iter().enumerate().map(|(index, operation)| {
                    operation.plan().map_err(|error| error.at(format!("operations[{index}]")))
                });
                plan.collect::<Result<_, _>>().map(Plan::Operations)
            }
            (None, Some(code), None) => compile(&code).map_err(|error| error.at("jq")),
            (None, None, Some(file)) => {
                let code = setup
                    .read_file(&file)
                    .and_then(|bytes| String::from_utf8(bytes).map_err(|_| SetupError::new("the file is not UTF-8")));
                code.and_then(|code| compile(&code)).map_err(|error| error.at("jq-file"))
            }
            _ => Err(SetupError::new("give one of `operations`, `jq` and `jq-file`")),
        }
    }
}

fn compile(code: &str) -> Result<Plan, SetupError> {
    Program::compile(code).map(|program| Plan::Jq(Box::new(program)))
}

impl RawOperation {
    fn plan(self) -> Result<Operation, SetupError> {
        let (verb, at) = self.verb()?;
        let step = match verb {
            "rename" => self.takes(&["to"]).and_then(|()| self.rename(at)),
            "move" | "copy" => self.takes(&["to"]).and_then(|()| self.relocate(verb, at)),
            "remove" => self.takes(&[]).and_then(|()| remove(at)),
            "set" | "default" => self.takes(&["value"]).and_then(|()| self.set(verb, at)),
            "join" => self.takes(&["with", "to"]).and_then(|()| self.join()),
            _ => self.edit(verb).and_then(|edit| {
                let path = Path::parse(at).map_err(|error| SetupError::new(error.to_string()).at(verb))?;
                Ok(Step::Edit { path, edit })
            }),
        };
        let name = if at.is_empty() { verb.to_owned() } else { format!("{verb} {at}") };
        Ok(Operation { name, step: step?, required: self.required.unwrap_or(false) })
    }

    /// The one key that says what to do, and its value if that is a text.
    fn verb(&self) -> Result<(&'static str, &str), SetupError> {
        let text = Option::as_deref;
        let verbs = [
            ("rename", text(&self.rename)),
            ("move", text(&self.r#move)),
            ("copy", text(&self.copy)),
            ("remove", text(&self.remove)),
            ("set", text(&self.set)),
            ("default", text(&self.default)),
            ("cast", text(&self.cast)),
            ("trim", text(&self.trim)),
            ("upper", text(&self.upper)),
            ("lower", text(&self.lower)),
            ("join", self.join.as_ref().map(|paths| paths.as_str().unwrap_or_default())),
            ("split", text(&self.split)),
            ("timestamp", text(&self.timestamp)),
        ];
        let mut given = verbs.iter().filter_map(|(verb, at)| Some((*verb, (*at)?)));
        match (given.next(), given.next()) {
            (Some(one), None) => Ok(one),
            (Some((one, _)), Some((two, _))) => {
                Err(SetupError::new(format!("`{one}` and `{two}` are two operations: give each its own table")))
            }
            (None, _) => {
                let all = verbs.map(|(verb, _)| verb).join(", ");
                Err(SetupError::new(format!("says not what to do: give one of {all}")))
            }
        }
    }

    /// Refuses the further keys that do not belong to the operation.
    fn takes(&self, keys: &[&str]) -> Result<(), SetupError> {
        let given = [
            ("to", self.to.is_some()),
            ("value", self.value.is_some()),
            ("with", self.with.is_some()),
            ("by", self.by.is_some()),
            ("from", self.from.is_some()),
            ("zone", self.zone.is_some()),
        ];
        match given.iter().find(|(key, given)| *given && !keys.contains(key)) {
            Some((key, _)) => {
                let allowed = keys.iter().chain(&["required"]).map(|key| format!("`{key}`")).collect::<Vec<_>>();
                Err(SetupError::new(format!("does not belong to this operation, which takes {}", allowed.join(", ")))
                    .at(key))
            }
            None => Ok(()),
        }
    }

    fn rename(&self, at: &str) -> Result<Step, SetupError> {
        let to = self.to.clone().ok_or_else(|| missing("to", "the new name"))?;
        let path = Path::parse(at).and_then(|path| path.sibling(&to).map(|_| path));
        let path = path.map_err(|error| SetupError::new(error.to_string()).at("rename"))?;
        if to.starts_with('$') {
            return Err(SetupError::new("is a name, not a path; `move` takes a path").at("to"));
        }
        Ok(Step::Rename { path, to })
    }

    fn relocate(&self, verb: &str, at: &str) -> Result<Step, SetupError> {
        let to = self.to.as_deref().ok_or_else(|| missing("to", "where to, such as \"$.name\" or \"header:Name\""))?;
        let from = Path::one(at).map_err(|error| SetupError::new(error.to_string()).at(verb))?;
        let to = target(to).map_err(|error| error.at("to"))?;
        Ok(if verb == "move" { Step::Move { from, to } } else { Step::Copy { from, to } })
    }

    fn set(&self, verb: &str, at: &str) -> Result<Step, SetupError> {
        let value = self.value.as_ref().ok_or_else(|| missing("value", "what to put there"))?;
        let value = match value {
            Value::String(text) => {
                Template::parse(text).map_err(|error| SetupError::new(error.to_string()).at("value"))?
            }
            other => Template::constant(other),
        };
        let to = target(at).map_err(|error| error.at(verb))?;
        Ok(Step::Set { to, value, only_missing: verb == "default" })
    }

    fn join(&self) -> Result<Step, SetupError> {
        let wrong = || SetupError::new("must be the path of an array, or a list of paths and templates").at("join");
        let parts = match self.join.as_ref() {
            Some(Value::String(path)) => {
                Path::one(path).map(Parts::Elements).map_err(|error| SetupError::new(error.to_string()).at("join"))?
            }
            Some(Value::Array(parts)) if !parts.is_empty() => {
                let part = |(index, part): (usize, &Value)| {
                    let text = part.as_str().ok_or_else(wrong)?;
                    // A path by itself means what is there.
                    let text = if text.starts_with('$') { format!("{{json:{text}}}") } else { text.to_owned() };
                    Template::parse(&text)
                        .map_err(|error| SetupError::new(error.to_string()).at(format!("join[{index}]")))
                };
                Parts::Listed(parts.iter().enumerate().map(part).collect::<Result<_, _>>()?)
            }
            _ => return Err(wrong()),
        };
        let to = match (self.to.as_deref(), self.join.as_ref().and_then(Value::as_str)) {
            (Some(to), _) => target(to).map_err(|error| error.at("to"))?,
            (None, Some(path)) => target(path).map_err(|error| error.at("join"))?,
            (None, None) => return Err(missing("to", "where to put what is joined, such as \"$.name\"")),
        };
        Ok(Step::Join { parts, with: self.with.clone().unwrap_or_default(), to })
    }

    fn edit(&self, verb: &str) -> Result<Edit, SetupError> {
        match verb {
            "cast" => self.takes(&["to"]).and_then(|()| match self.to.as_deref() {
                Some("string") => Ok(Edit::Cast(Type::Text)),
                Some("number") => Ok(Edit::Cast(Type::Number)),
                Some("integer") => Ok(Edit::Cast(Type::Integer)),
                Some("boolean") => Ok(Edit::Cast(Type::Boolean)),
                _ => Err(SetupError::new("must be \"string\", \"number\", \"integer\" or \"boolean\"").at("to")),
            }),
            "split" => self.takes(&["by"]).and_then(|()| match self.by.as_deref() {
                Some(by) if !by.is_empty() => Ok(Edit::Split(by.to_owned())),
                _ => Err(missing("by", "the text to split by, such as \",\"")),
            }),
            "timestamp" => self.takes(&["from", "to", "zone"]).and_then(|()| self.timestamp()),
            "trim" => self.takes(&[]).map(|()| Edit::Trim),
            "upper" => self.takes(&[]).map(|()| Edit::Upper),
            _ => self.takes(&[]).map(|()| Edit::Lower),
        }
    }

    fn timestamp(&self) -> Result<Edit, SetupError> {
        let format = |text: &Option<String>, key: &str| {
            let format = text.as_deref().map_or(Ok(Format::Rfc3339), Format::parse);
            format.map_err(|error| SetupError::new(error).at(key))
        };
        let text = self.zone.as_deref().unwrap_or("UTC");
        let wrong =
            || SetupError::new("must be \"UTC\", an offset such as \"+02:00\", or a name such as \"Europe/Amsterdam\"");
        let zone = zone(text).ok_or_else(|| wrong().at("zone"))?;
        Ok(Edit::Timestamp(Reformat { from: format(&self.from, "from")?, to: format(&self.to, "to")?, zone }))
    }
}

fn remove(at: &str) -> Result<Step, SetupError> {
    // Unlike a place to put something, this may be anywhere.
    let target = match Path::parse(at) {
        Ok(path) if path.is_root() => Err(SetupError::new("the whole payload cannot be removed; `set` replaces it")),
        Ok(path) => Ok(Target::Body(path)),
        Err(_) => target(at),
    };
    target.map(Step::Remove).map_err(|error| error.at("remove"))
}

/// A path of the payload, or a header.
fn target(text: &str) -> Result<Target, SetupError> {
    match text.strip_prefix("header:") {
        Some("") => Err(SetupError::new("after `header:` comes the header's name")),
        Some(name) => Ok(Target::Header(name.to_owned())),
        None => Path::target(text).map(Target::Body).map_err(|error| SetupError::new(error.to_string())),
    }
}

fn missing(key: &str, what: &str) -> SetupError {
    SetupError::new(format!("is missing: {what}")).at(key)
}
