//! From text to tokens of literals and placeholders.

use std::sync::Arc;

use trackside_json::{CompileError, Selector};

use crate::message::{Subject, SubjectPattern};

use super::{Body, Piece, TemplateError};

/// The last token a placeholder may ask for; a subject of 1 KiB has at most 512.
pub(super) const MAX_POSITION: usize = 512;

/// First tokens that are the server's own: its API, events and internal replies.
const RESERVED: [&str; 2] = ["$JS", "$SYS"];

pub(super) fn parse(text: &str) -> Result<Body, TemplateError> {
    let (mut tokens, mut paths) = (vec![Vec::new()], Vec::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let token = tokens.last_mut().expect("there is always a token to add to");
        let end = match c {
            '{' => {
                let end = closing(rest).ok_or(TemplateError::Unclosed)?;
                token.push(placeholder(&rest[1..end], &mut paths)?);
                end + 1
            }
            '.' => {
                tokens.push(Vec::new());
                1
            }
            '}' => return Err(TemplateError::Unopened),
            '*' | '>' => return Err(TemplateError::Wildcard(c)),
            _ => {
                let end = rest.find(['{', '}', '.', '*', '>']).unwrap_or(rest.len());
                token.push(Piece::Literal(rest[..end].to_owned()));
                end
            }
        };
        rest = &rest[end..];
    }
    check_subject(&tokens)?;
    finish(text, tokens, &paths)
}

/// Checks the subject as a pattern, a `*` standing for every placeholder, and its first token.
fn check_subject(tokens: &[Vec<Piece>]) -> Result<(), TemplateError> {
    let shape = tokens.iter().map(|pieces| {
        let piece = |piece: &Piece| if let Piece::Literal(text) = piece { text.clone() } else { "*".to_owned() };
        pieces.iter().map(piece).collect::<String>()
    });
    SubjectPattern::new(&shape.collect::<Vec<_>>().join("."))?;
    match tokens.first().map(Vec::as_slice) {
        Some([Piece::Literal(first)]) if RESERVED.contains(&first.as_str()) => {
            Err(TemplateError::Reserved(first.clone()))
        }
        Some([Piece::Literal(_)]) => Ok(()),
        _ => Err(TemplateError::FirstToken),
    }
}

fn finish(text: &str, tokens: Vec<Vec<Piece>>, paths: &[String]) -> Result<Body, TemplateError> {
    if tokens.iter().flatten().all(|piece| matches!(piece, Piece::Literal(_))) {
        return Ok(Body::Literal(Subject::new(text)?));
    }
    let json = if paths.is_empty() { None } else { Some(Arc::new(compile(paths)?)) };
    Ok(Body::Tokens { tokens, json })
}

/// Where the placeholder at the beginning of the text ends. A JSONPath may have braces inside its quotes.
pub(super) fn closing(text: &str) -> Option<usize> {
    if !text.starts_with("{json:") {
        return text.find('}');
    }
    unquoted(text).find(|(_, c)| *c == '}').map(|(at, _)| at)
}

/// The characters of a JSONPath that are outside of its quotes, with their offsets.
fn unquoted(path: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut quote, mut escaped) = (None, false);
    path.char_indices().filter(move |(_, c)| match quote {
        None => {
            quote = matches!(c, '\'' | '"').then_some(*c);
            quote.is_none()
        }
        Some(_) if escaped => {
            escaped = false;
            false
        }
        Some(open) => {
            escaped = *c == '\\';
            if *c == open {
                quote = None;
            }
            false
        }
    })
}

pub(super) fn placeholder(inside: &str, paths: &mut Vec<String>) -> Result<Piece, TemplateError> {
    if let Some(text) = inside.strip_prefix("subject.") {
        return position(text).map(Piece::Subject);
    }
    if let Some(name) = inside.strip_prefix("header.") {
        return header_name(name).map(Piece::Header);
    }
    let Some(path) = inside.strip_prefix("json:") else {
        return Err(TemplateError::Unknown(inside.to_owned()));
    };
    // The same path twice is one path of the selector.
    let index = paths.iter().position(|known| known == path).unwrap_or_else(|| {
        paths.push(path.to_owned());
        paths.len() - 1
    });
    let index = u32::try_from(index).map_err(|_| TemplateError::NotSingular(path.to_owned()))?;
    Ok(Piece::Json(index, path.to_owned()))
}

/// The position of a token, counted from 1.
pub(in crate::rules) fn position(text: &str) -> Result<usize, TemplateError> {
    match text.parse() {
        Ok(number @ 1..=MAX_POSITION) if !text.starts_with('+') => Ok(number),
        _ => Err(TemplateError::Position(text.to_owned())),
    }
}

/// The name of a header.
pub(in crate::rules) fn header_name(name: &str) -> Result<String, TemplateError> {
    let fits = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') && !name.is_empty();
    if fits { Ok(name.to_owned()) } else { Err(TemplateError::HeaderName(name.to_owned())) }
}

/// A path that can match one value at most.
pub(in crate::rules) fn singular(path: &str) -> Result<Selector, TemplateError> {
    compile(&[path.to_owned()])
}

pub(super) fn compile(paths: &[String]) -> Result<Selector, TemplateError> {
    let selector = Selector::compile(paths).map_err(|error| match error {
        CompileError::Syntax { path, column, problem, .. } => {
            TemplateError::Path { path, problem: format!("column {column}: {problem}") }
        }
        // A placeholder has one path: which of the template's it is, and all of its bytes, would tell nothing.
        CompileError::TooLong { index, bytes } => TemplateError::Path {
            path: paths[index].chars().take(40).chain(['…']).collect(),
            problem: format!("the path has {bytes} bytes: write it in at most {}", Selector::MAX_PATH_BYTES),
        },
        other => TemplateError::Path { path: paths[0].clone(), problem: other.to_string() },
    })?;
    match paths.iter().find(|path| !is_singular(path)) {
        Some(path) => Err(TemplateError::NotSingular(path.clone())),
        None => Ok(selector),
    }
}

/// Whether a path that is known to be valid is a singular query of RFC 9535: names and indices, nothing else. What
/// makes it another (`*`, `..`, `?`, `:`, `,`) can only be meant as such outside of quotes.
pub(in crate::rules) fn is_singular(path: &str) -> bool {
    let mut last = ' ';
    unquoted(path).all(|(_, c)| {
        let plural = matches!(c, '*' | '?' | ':' | ',') || (c == '.' && last == '.');
        last = c;
        !plural
    })
}
