//! Texts with places that the message fills: `erp-{subject.2}`.

use jiff::Timestamp;
use trackside_plugin::Message;

use crate::document::Node;
use crate::path::{Path, PathError};

/// A value to put somewhere.
#[derive(Clone, Debug)]
pub(crate) enum Template {
    /// The same for every message, as JSON.
    Constant(String),
    /// One place and nothing else: it keeps the type of what fills it.
    Single(Part),
    /// Text and places.
    Text(Vec<Part>),
}

#[derive(Clone, Debug)]
pub(crate) enum Part {
    Literal(String),
    Subject,
    /// Counted from 1.
    Token(usize),
    Header(String),
    Json(Path),
    Id,
    Timestamp,
}

/// Why a template cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("a `{{` has no `}}`; write `{{{{` and `}}}}` for the braces themselves")]
    Open,
    #[error("a `}}` has no `{{`; write `{{{{` and `}}}}` for the braces themselves")]
    Close,
    #[error(
        "there is no `{{{0}}}`; there are {{subject}}, {{subject.1}}, {{header.Name}}, {{json:$.path}}, {{id}} and {{timestamp}}"
    )]
    Unknown(String),
    #[error("`{{json:{0}}}`: {1}")]
    Path(String, PathError),
}

impl Template {
    pub(crate) fn constant(value: &serde_json::Value) -> Self {
        Self::Constant(value.to_string())
    }

    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..at + 1];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err(TemplateError::Close);
            }
            let (place, after) = rest.split_once('}').ok_or(TemplateError::Open)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::parse(place)?);
            rest = after;
        }
        literal.push_str(rest);
        if parts.is_empty() {
            return Ok(Self::constant(&literal.into()));
        }
        if literal.is_empty() && parts.len() == 1 {
            return Ok(Self::Single(parts.remove(0)));
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self::Text(parts))
    }

    /// Whether it looks into the payload.
    pub(crate) fn reads_body(&self) -> bool {
        let reads = |part: &Part| matches!(part, Part::Json(_));
        match self {
            Self::Constant(_) => false,
            Self::Single(part) => reads(part),
            Self::Text(parts) => parts.iter().any(reads),
        }
    }

    /// The value for this message; none if a place of it has nothing to fill it with.
    pub(crate) fn fill<'j>(&'j self, root: &mut Node<'j>, message: &Message) -> Option<Node<'j>> {
        match self {
            Self::Constant(json) => Some(Node::parse(json).expect("a JSON value prints as JSON")),
            Self::Single(part) => part.fill(root, message),
            Self::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    text.push_str(&part.fill(root, message)?.spelling());
                }
                Some(Node::text(&text))
            }
        }
    }
}

impl Part {
    fn parse(place: &str) -> Result<Self, TemplateError> {
        if let Some(path) = place.strip_prefix("json:") {
            return Path::one(path).map(Self::Json).map_err(|error| TemplateError::Path(path.to_owned(), error));
        }
        let unknown = || TemplateError::Unknown(place.to_owned());
        match (place, place.split_once('.')) {
            ("subject", _) => Ok(Self::Subject),
            ("id", _) => Ok(Self::Id),
            ("timestamp", _) => Ok(Self::Timestamp),
            (_, Some(("subject", token))) => {
                token.parse().ok().filter(|token| *token > 0).map(Self::Token).ok_or_else(unknown)
            }
            (_, Some(("header", name))) if !name.is_empty() => Ok(Self::Header(name.to_owned())),
            _ => Err(unknown()),
        }
    }

    fn fill<'j>(&self, root: &mut Node<'j>, message: &Message) -> Option<Node<'j>> {
        Some(match self {
            Self::Literal(text) => Node::text(text),
            Self::Subject => Node::text(&message.subject()),
            Self::Token(token) => Node::text(message.subject().split('.').nth(token - 1)?),
            Self::Header(name) => Node::text(&message.header(name)?),
            Self::Json(path) => path.get(root)?.clone(),
            Self::Id => Node::text(&message.id()),
            Self::Timestamp => {
                let milliseconds = i64::try_from(message.timestamp()).ok()?;
                Node::text(&Timestamp::from_millisecond(milliseconds).ok()?.to_string())
            }
        })
    }
}
