//! Subject templates: `clean.orders.created`, `review.orders.{subject.2}`, `{header.Region}`, `{json:$.region}`.
//!
//! A template begins with a literal token, and what is put into it cannot add tokens or wildcards, so a message can
//! choose among the subjects that the rule's author named and no others.

mod parse;
mod url;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use trackside_json::{Limits, Selector, Value};

use crate::message::{Message, Subject, SubjectError, SubjectPattern};

pub(super) use parse::{header_name, is_singular, position, singular};
pub use url::{ServiceAddress, UrlError, UrlTemplate};

/// A subject with placeholders.
#[derive(Clone)]
pub struct Template {
    text: Arc<str>,
    body: Arc<Body>,
}

enum Body {
    /// No placeholder: the subject is the same for every message.
    Literal(Subject),
    /// Tokens, each of one piece or more.
    Tokens { tokens: Vec<Vec<Piece>>, json: Option<Arc<Selector>> },
}

/// A part of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// A token of the message's subject, counted from 1.
    Subject(usize),
    /// The first value of a header.
    Header(String),
    /// What the path with this index in the selector matches; its text, for messages.
    Json(u32, String),
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The subject around the placeholders is not valid.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// The first token has a placeholder.
    #[error("the first token has a placeholder, so a message could choose any subject: begin with a literal token")]
    FirstToken,
    /// The first token belongs to the server.
    #[error("subjects below `{0}` belong to the server: publish to another one")]
    Reserved(String),
    /// A wildcard outside a placeholder.
    #[error(
        "`{0}` is a wildcard, and messages are published to subjects without any: write a placeholder or a literal"
    )]
    Wildcard(char),
    /// `{` without `}`.
    #[error("a `{{` has no `}}`: placeholders are `{{subject.2}}`, `{{header.Region}}` and `{{json:$.region}}`")]
    Unclosed,
    /// `}` without `{`.
    #[error("a `}}` has no `{{` before it; braces cannot be part of a subject here")]
    Unopened,
    /// A placeholder that is none of the three.
    #[error(
        "`{{{0}}}` is not a placeholder: write `{{subject.2}}` for a token, `{{header.Region}}` for a header or \
         `{{json:$.region}}` for a value of the payload"
    )]
    Unknown(String),
    /// `subject.` is not followed by a position.
    #[error("`{{subject.{0}}}` has no position from 1 to {max}; the first token is 1", max = parse::MAX_POSITION)]
    Position(String),
    /// `header.` is not followed by a header's name.
    #[error("`{{header.{0}}}` has no header's name: printable ASCII characters other than `:`")]
    HeaderName(String),
    /// `json:` is not followed by a JSONPath.
    #[error("`{{json:{path}}}`: {problem}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The JSONPath may match more than one value.
    #[error(
        "`{{json:{0}}}` may match more than one value: write a path of names and indices only, such as \
         `$.customer.region` (a singular query of RFC 9535)"
    )]
    NotSingular(String),
}

/// Why a template cannot be filled in for a message. Names the placeholder, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// There is no such token, header or value.
    #[error("`{placeholder}` of the template has nothing to insert: {reason}")]
    Missing {
        /// The placeholder, with its braces.
        placeholder: String,
        /// What is missing.
        reason: &'static str,
    },
    /// The value cannot be part of a token.
    #[error("the value of `{placeholder}` cannot be part of a subject's token: it {reason}")]
    Value {
        /// The placeholder, with its braces.
        placeholder: String,
        /// What is wrong with the value.
        reason: &'static str,
    },
    /// The payload is not JSON, or past a limit.
    #[error("`{placeholder}` of the template needs a JSON payload: {reason}")]
    Payload {
        /// The first placeholder that needs it, with its braces.
        placeholder: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// The value cannot be part of a URL.
    #[error("the value of `{placeholder}` cannot be part of a URL: it {reason}")]
    UrlValue {
        /// The placeholder, with its braces.
        placeholder: String,
        /// What is wrong with the value.
        reason: &'static str,
    },
    /// A part of the path would lead elsewhere.
    #[error("the URL that the template makes has `.` or `..` between slashes, which leads elsewhere")]
    DotSegment,
    /// The URL got too long.
    #[error("the URL that the template makes has {0} bytes after its host, which is more than {max}", max = url::MAX_PATH_BYTES)]
    LongUrl(usize),
    /// The subject got too long.
    #[error("the subject that the template makes has {0} bytes, which is more than {max}", max = crate::message::MAX_SUBJECT_BYTES)]
    Long(usize),
}

impl Template {
    /// Reads a template and compiles its JSONPaths.
    ///
    /// # Errors
    /// When it does not begin with a literal token, has a placeholder that is none, or is not a subject otherwise.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        parse::parse(text).map(|body| Self { text: Arc::from(text), body: Arc::new(body) })
    }

    /// The subject for a message. Allocates nothing if the template has no placeholder.
    ///
    /// # Errors
    /// When a placeholder has no value in this message, or one that could not stay within its token.
    pub fn render(&self, message: &Message, limits: &Limits) -> Result<Subject, RenderError> {
        match &*self.body {
            Body::Literal(subject) => Ok(subject.clone()),
            Body::Tokens { tokens, json } => {
                let found = Found::new(json.as_deref(), tokens.iter().flatten(), message, limits)?;
                let mut subject = String::with_capacity(self.text.len() + 32);
                for (index, token) in tokens.iter().enumerate() {
                    if index > 0 {
                        subject.push('.');
                    }
                    for piece in token {
                        found.append(piece, message, &mut subject)?;
                    }
                }
                // Nothing but its length can be wrong now: literals and values were checked one by one.
                Subject::new(&subject).map_err(|_| RenderError::Long(subject.len()))
            }
        }
    }

    /// The subject, if the template has no placeholder.
    #[must_use]
    pub fn literal(&self) -> Option<&Subject> {
        match &*self.body {
            Body::Literal(subject) => Some(subject),
            Body::Tokens { .. } => None,
        }
    }

    /// The template with what it takes of a message's subject filled in. Its other placeholders stay, and so do those
    /// for tokens that the subject does not have.
    #[must_use]
    pub fn filled_from(&self, subject: &Subject) -> String {
        let token = |pieces: &[Piece]| {
            let piece = |piece: &Piece| piece.known(subject).map_or_else(|| piece.to_string(), str::to_owned);
            pieces.iter().map(piece).collect()
        };
        self.tokens(token)
    }

    /// The same as a pattern: `*` for each token of which a message's subject does not say all.
    pub(super) fn pattern_from(&self, subject: &Subject) -> String {
        let token = |pieces: &[Piece]| {
            let known: Option<String> = pieces.iter().map(|piece| piece.known(subject)).collect();
            known.unwrap_or_else(|| "*".to_owned())
        };
        self.tokens(token)
    }

    /// Its tokens, each as `token` writes it.
    fn tokens(&self, token: impl Fn(&[Piece]) -> String) -> String {
        match &*self.body {
            Body::Literal(subject) => subject.as_str().to_owned(),
            Body::Tokens { tokens, .. } => tokens.iter().map(|pieces| token(pieces)).collect::<Vec<_>>().join("."),
        }
    }

    /// All subjects that the template can make, and perhaps some more: `*` for each token with a placeholder.
    #[must_use]
    pub fn pattern(&self) -> SubjectPattern {
        let text = self.tokens(|pieces| match pieces {
            [Piece::Literal(text)] => text.clone(),
            _ => "*".to_owned(),
        });
        SubjectPattern::new(&text).expect("literal tokens were checked, and `*` is a token of patterns")
    }

    /// Whether some message could make it a subject that the pattern matches. More exact than [`Template::pattern`]:
    /// `orders.new-{header.Region}` can never be `orders.old`.
    #[must_use]
    pub fn may_match(&self, pattern: &SubjectPattern) -> bool {
        let Body::Tokens { tokens, .. } = &*self.body else {
            return self.pattern().overlaps(pattern);
        };
        let mut wanted = pattern.as_str().split('.');
        for token in tokens {
            match wanted.next() {
                Some(">") => return true,
                Some("*") => {}
                Some(want) if could_be(token, want) => {}
                _ => return false,
            }
        }
        wanted.next().is_none()
    }

    /// The highest position that `{subject.N}` asks for; 0 if none does.
    #[must_use]
    pub fn last_position(&self) -> usize {
        let Body::Tokens { tokens, .. } = &*self.body else { return 0 };
        let position = |piece: &Piece| if let Piece::Subject(position) = piece { *position } else { 0 };
        tokens.iter().flatten().map(position).max().unwrap_or(0)
    }
}

impl Piece {
    /// Its text, as far as a message's subject is enough to know it.
    fn known<'p>(&'p self, subject: &'p Subject) -> Option<&'p str> {
        match self {
            Self::Literal(text) => Some(text),
            Self::Subject(position) => subject.token(*position),
            Self::Header(_) | Self::Json(..) => None,
        }
    }
}

/// Whether a token could be this text: its literal ends are, and there is something left for each placeholder.
fn could_be(token: &[Piece], want: &str) -> bool {
    let start = if let Some(Piece::Literal(text)) = token.first() { text.as_str() } else { "" };
    let end = match token.last() {
        Some(Piece::Literal(text)) if token.len() > 1 => text.as_str(),
        _ => "",
    };
    match (token, want.strip_prefix(start).and_then(|rest| rest.strip_suffix(end))) {
        ([Piece::Literal(_)], Some(rest)) => rest.is_empty(),
        (_, Some(rest)) => !rest.is_empty(),
        (_, None) => false,
    }
}

/// What the JSON placeholders of a template match in a message.
struct Found(Vec<trackside_json::Match>);

impl Found {
    fn new<'p>(
        json: Option<&Selector>,
        pieces: impl IntoIterator<Item = &'p Piece>,
        message: &Message,
        limits: &Limits,
    ) -> Result<Self, RenderError> {
        let Some(selector) = json else { return Ok(Self(Vec::new())) };
        let matches = selector.select(&message.payload, limits).map_err(|error| {
            let first = pieces.into_iter().find(|piece| matches!(piece, Piece::Json(..)));
            let placeholder = first.map(ToString::to_string).unwrap_or_default();
            RenderError::Payload { placeholder, reason: error.to_string() }
        })?;
        Ok(Self(matches))
    }

    /// Appends what a piece stands for in this message, if it can stay within its token.
    fn append(&self, piece: &Piece, message: &Message, subject: &mut String) -> Result<(), RenderError> {
        match piece {
            Piece::Literal(text) => {
                subject.push_str(text);
                Ok(())
            }
            piece => append_checked(piece, &self.value(piece, message)?, subject),
        }
    }

    /// What a placeholder stands for in this message.
    fn value<'m>(&self, piece: &'m Piece, message: &'m Message) -> Result<Cow<'m, str>, RenderError> {
        let missing = |reason| RenderError::Missing { placeholder: piece.to_string(), reason };
        match piece {
            Piece::Literal(text) => Ok(Cow::Borrowed(text)),
            Piece::Subject(position) => {
                let token = message.subject.token(*position);
                token.map(Cow::Borrowed).ok_or_else(|| missing("the subject has fewer tokens"))
            }
            Piece::Header(name) => {
                let value = message.headers.get(name);
                value.map(Cow::Borrowed).ok_or_else(|| missing("the message has no such header"))
            }
            Piece::Json(path, _) => {
                let mut matches = self.0.iter().filter(|found| found.path == *path);
                let found = matches.next().ok_or_else(|| missing("the payload has no such value"))?;
                if matches.next().is_some() {
                    return Err(missing("a key of that path is in the payload twice"));
                }
                match found.value(&message.payload) {
                    Value::Text(text) => Ok(text),
                    Value::Number(number) => Ok(Cow::Borrowed(number)),
                    Value::Boolean(boolean) => Ok(Cow::Borrowed(if boolean { "true" } else { "false" })),
                    Value::Null => Err(missing("the value is null")),
                    Value::Json(_) => Err(missing("the value is an object or array")),
                }
            }
        }
    }
}

fn append_checked(piece: &Piece, value: &str, subject: &mut String) -> Result<(), RenderError> {
    let wrong = |reason| Err(RenderError::Value { placeholder: piece.to_string(), reason });
    if value.is_empty() {
        return wrong("is empty");
    }
    for c in value.chars() {
        match c {
            '.' => return wrong("has a dot"),
            '*' | '>' => return wrong("has a wildcard"),
            c if c.is_whitespace() => return wrong("has white space"),
            c if c.is_control() => return wrong("has a control character"),
            _ => {}
        }
    }
    subject.push_str(value);
    Ok(())
}

impl fmt::Display for Piece {
    /// As it is written in a template.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::Subject(position) => write!(f, "{{subject.{position}}}"),
            Self::Header(name) => write!(f, "{{header.{name}}}"),
            Self::Json(_, path) => write!(f, "{{json:{path}}}"),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Template {}

#[cfg(test)]
mod tests;
