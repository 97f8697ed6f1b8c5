//! One step of a transformation.

pub(crate) mod cast;
pub(crate) mod timestamp;

use trackside_plugin::{HeaderError, Message};

use self::cast::Type;
use self::timestamp::Reformat;
use crate::document::Node;
use crate::path::Path;
use crate::template::Template;

/// A step.
#[derive(Debug)]
pub(crate) struct Operation {
    /// What it is called where it fails, such as `cast $.amount`.
    pub(crate) name: String,
    pub(crate) step: Step,
    /// Whether it is an error that there is nothing to do it to.
    pub(crate) required: bool,
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Step {
    Rename { path: Path, to: String },
    Move { from: Path, to: Target },
    Copy { from: Path, to: Target },
    Remove(Target),
    Set { to: Target, value: Template, only_missing: bool },
    Edit { path: Path, edit: Edit },
    Join { parts: Parts, with: String, to: Target },
}

/// Where something is put.
#[derive(Debug)]
pub(crate) enum Target {
    Body(Path),
    Header(String),
}

/// What is joined.
#[derive(Debug)]
pub(crate) enum Parts {
    /// Each of these; what is missing or null is left out.
    Listed(Vec<Template>),
    /// The elements of the array there.
    Elements(Path),
}

/// What is done to a value in its place. Null stays null.
#[derive(Debug)]
pub(crate) enum Edit {
    Cast(Type),
    Trim,
    Upper,
    Lower,
    Split(String),
    Timestamp(Reformat),
}

/// Why a step failed. Says nothing of a value but its type.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StepError {
    #[error("nothing is there, and it is required")]
    Missing,
    #[error("a JSON {0} is in the way")]
    InTheWay(&'static str),
    #[error("the value is a JSON {found}, not {expected}")]
    Type { found: &'static str, expected: &'static str },
    #[error("the value {0}")]
    Unreadable(&'static str),
    #[error("{0}")]
    Header(#[from] HeaderError),
}

impl Operation {
    /// Whether it reads or writes the payload.
    pub(crate) fn uses_body(&self) -> bool {
        match &self.step {
            Step::Remove(Target::Header(_)) => false,
            Step::Set { to: Target::Header(_), value, .. } => value.reads_body(),
            Step::Join { parts: Parts::Listed(parts), to: Target::Header(_), .. } => {
                parts.iter().any(Template::reads_body)
            }
            _ => true,
        }
    }

    /// Does it, and says whether the document may have changed.
    pub(crate) fn apply<'j>(&'j self, root: &mut Node<'j>, message: &mut Message) -> Result<bool, StepError> {
        let done = self.step.apply(root, message)?;
        if self.required && done == Done::Nothing {
            return Err(StepError::Missing);
        }
        Ok(done == Done::Body)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// There was nothing to do it to.
    Nothing,
    Headers,
    Body,
}

impl Step {
    fn apply<'j>(&'j self, root: &mut Node<'j>, message: &mut Message) -> Result<Done, StepError> {
        let body = |count: usize| if count == 0 { Done::Nothing } else { Done::Body };
        Ok(match self {
            Self::Rename { path, to } => body(path.rename(root, to)),
            Self::Move { from, to } => match from.get(root).cloned() {
                Some(value) => {
                    from.remove(root);
                    to.put(root, message, &value, false)?;
                    Done::Body
                }
                None => Done::Nothing,
            },
            Self::Copy { from, to } => match from.get(root).cloned() {
                Some(value) => to.put(root, message, &value, false)?,
                None => Done::Nothing,
            },
            Self::Remove(Target::Body(path)) => body(path.remove(root)),
            Self::Remove(Target::Header(name)) => match message.header(name) {
                Some(_) => {
                    message.remove_header(name);
                    Done::Headers
                }
                None => Done::Nothing,
            },
            Self::Set { to, value, only_missing } => match value.fill(root, message) {
                Some(value) => to.put(root, message, &value, *only_missing)?,
                None => Done::Nothing,
            },
            Self::Edit { path, edit } => body(path.change(root, &mut |node| edit.apply(node))?),
            Self::Join { parts, with, to } => match parts.join(root, message, with)? {
                Some(text) => to.put(root, message, &Node::text(&text), false)?,
                None => Done::Nothing,
            },
        })
    }
}

impl Target {
    fn put<'j>(
        &self,
        root: &mut Node<'j>,
        message: &mut Message,
        value: &Node<'j>,
        only_missing: bool,
    ) -> Result<Done, StepError> {
        match self {
            Self::Body(path) => {
                path.put(root, value, only_missing).map_err(StepError::InTheWay)?;
                Ok(Done::Body)
            }
            Self::Header(name) => {
                if !(only_missing && message.header(name).is_some()) {
                    message.set_header(name, &value.spelling())?;
                }
                Ok(Done::Headers)
            }
        }
    }
}

impl Parts {
    fn join<'j>(&'j self, root: &mut Node<'j>, message: &Message, with: &str) -> Result<Option<String>, StepError> {
        let texts: Vec<String> = match self {
            Self::Listed(parts) => {
                let filled = parts.iter().filter_map(|part| part.fill(root, message));
                filled.filter(|node| !node.is_null()).map(|node| node.spelling().into_owned()).collect()
            }
            Self::Elements(path) => match path.get(root).map(Node::open) {
                None | Some(Node::Null) => return Ok(None),
                Some(Node::Array(items)) => items.iter().map(|item| item.spelling().into_owned()).collect(),
                Some(other) => return Err(StepError::Type { found: other.kind(), expected: "an array" }),
            },
        };
        let nothing = texts.is_empty() && matches!(self, Self::Listed(_));
        Ok((!nothing).then(|| texts.join(with)))
    }
}

impl Edit {
    fn apply(&self, node: &mut Node<'_>) -> Result<(), StepError> {
        if node.is_null() {
            return Ok(());
        }
        let changed = match self {
            Self::Cast(to) => to.cast(node)?,
            Self::Timestamp(reformat) => reformat.apply(node)?,
            Self::Trim => Node::text(text(node)?.trim()),
            Self::Upper => Node::text(&text(node)?.to_uppercase()),
            Self::Lower => Node::text(&text(node)?.to_lowercase()),
            Self::Split(by) => match &*text(node)? {
                "" => Node::Array(Vec::new()),
                text => Node::Array(text.split(by.as_str()).map(Node::text).collect()),
            },
        };
        // A text that is the same keeps the spelling it had.
        if !matches!((&*node, &changed), (Node::Text(old), Node::Text(new)) if old.plain() == new.plain()) {
            *node = changed;
        }
        Ok(())
    }
}

fn text<'n>(node: &'n Node<'_>) -> Result<std::borrow::Cow<'n, str>, StepError> {
    match node {
        Node::Text(text) => Ok(text.plain()),
        other => Err(StepError::Type { found: other.kind(), expected: "a string" }),
    }
}
