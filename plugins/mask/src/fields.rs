//! Masks by path, and headers by name.

use trackside_plugin::{Failure, Message, Selector, SetupError};

use crate::actions::{Action, Masked, Unreadable};
use crate::headers;
use crate::scan::Made;

/// The most paths that one selector takes.
const MAX_PATHS: usize = 256;

/// A place in the payload, and what is done to it.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its index in the settings.
    pub(crate) index: usize,
    pub(crate) path: String,
    pub(crate) action: Action,
    pub(crate) required: bool,
}

/// Fields that one look at the payload finds, and one change of it masks.
#[derive(Debug)]
pub(crate) struct Pass {
    selector: Selector,
    fields: Vec<Field>,
    any_required: bool,
}

/// Fields in as few passes as do. What comes after a `decrypt` may be inside of what it brings to light, and is looked
/// for in a pass of its own.
pub(crate) fn passes(fields: Vec<Field>) -> Result<Vec<Pass>, SetupError> {
    let mut groups: Vec<Vec<Field>> = Vec::new();
    let decrypts = |field: &Field| matches!(field.action, Action::Decrypt(_));
    for field in fields {
        match groups.last_mut() {
            Some(group) if group.len() < MAX_PATHS && (decrypts(&field) || !group.iter().any(decrypts)) => {
                group.push(field);
            }
            _ => groups.push(vec![field]),
        }
    }
    groups.into_iter().map(Pass::new).collect()
}

impl Pass {
    fn new(fields: Vec<Field>) -> Result<Self, SetupError> {
        let paths: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
        let selector = Selector::compile(&paths).map_err(|error| {
            // The host says which of the list is wrong; the rule's author wants to know the key.
            let wrong = fields.iter().find_map(|field| {
                let error = Selector::compile(&[&field.path]).err()?;
                Some(SetupError::new(error.reason()).at("path").at(format!("fields[{}]", field.index)))
            });
            wrong.unwrap_or_else(|| error.at("fields"))
        })?;
        let any_required = fields.iter().any(|field| field.required);
        Ok(Self { selector, fields, any_required })
    }

    /// One look at the payload, and one change of it if there is anything to change.
    pub(crate) fn apply(&self, message: &mut Message, made: Option<&mut Made>) -> Result<(), Failure> {
        let matches = message.select(&self.selector)?;
        if self.any_required {
            let missing =
                |(path, field): &(usize, &Field)| field.required && !matches.iter().any(|found| found.path == *path);
            if let Some((_, field)) = self.fields.iter().enumerate().find(missing) {
                return Err(Failure::reject(format!("{}: nothing is there, and it is required", field.name())));
            }
        }
        let mut made = made;
        let mut changed = false;
        let mut values = Vec::with_capacity(matches.len());
        for found in matches {
            let field = &self.fields[found.path];
            let masked = field.action.mask(&found.value).map_err(|error| field.refuse(&error))?;
            changed |= masked != Masked::Same;
            values.push(match masked {
                Masked::Same => Some(found.value),
                Masked::Removed => None,
                Masked::Value(value) => {
                    if let (Some(made), Some(text)) = (made.as_deref_mut(), value.as_text()) {
                        note(made, &field.action, text);
                    }
                    Some(value)
                }
            });
        }
        if changed {
            message.replace(&self.selector, values)?;
        }
        Ok(())
    }
}

impl Field {
    fn name(&self) -> String {
        format!("fields[{}] ({})", self.index, self.path)
    }

    fn refuse(&self, error: &Unreadable) -> Failure {
        Failure::reject(format!("{}: the value {error}", self.name()))
    }
}

/// A header, and what is done to its values.
#[derive(Debug)]
pub(crate) struct HeaderField {
    /// Its index in the settings.
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) action: Action,
    pub(crate) required: bool,
}

impl HeaderField {
    pub(crate) fn apply(&self, message: &mut Message, mut made: Option<&mut Made>) -> Result<(), Failure> {
        let name = || format!("fields[{}] (header {})", self.index, self.name);
        // Most messages have no such header, and one call tells.
        if message.header(&self.name).is_none() {
            return match self.required {
                true => Err(Failure::reject(format!("{}: there is none, and it is required", name()))),
                false => Ok(()),
            };
        }
        headers::rewrite(message, &self.name, &mut |value| {
            let value = trackside_plugin::Value::text(value);
            let masked = self.action.mask(&value);
            let masked = masked.map_err(|error| Failure::reject(format!("{}: the value {error}", name())))?;
            Ok(match masked {
                Masked::Same => Some(value.spelling().into_owned()),
                Masked::Removed => None,
                Masked::Value(value) => {
                    let text = value.spelling().into_owned();
                    if let Some(made) = made.as_deref_mut() {
                        note(made, &self.action, &text);
                    }
                    Some(text)
                }
            })
        })
    }
}

/// Only what a key made is taken out of detection: it tells nothing, whatever it looks like.
fn note(made: &mut Made, action: &Action, text: &str) {
    if action.is_keyed() {
        made.insert(text.to_owned());
    }
}
