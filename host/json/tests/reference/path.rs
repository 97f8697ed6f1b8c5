//! A path as a tree, and how it is written.

use std::fmt::{self, Display, Formatter, Write};

/// What follows `$` or `@`.
#[derive(Debug, Clone)]
pub(crate) struct Path(pub(crate) Vec<Segment>);

#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) descendant: bool,
    pub(crate) selectors: Vec<Selector>,
    /// Whether blanks are put where they may be.
    pub(crate) spaced: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Selector {
    Name(String, Spelling),
    Wildcard,
    Index(i64),
    Slice(Option<i64>, Option<i64>, Option<i64>),
    Filter(Filter),
}

/// How a name is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spelling {
    /// After a dot, if it can be.
    Dotted,
    Single,
    Double,
    /// With every character as `\uXXXX`.
    Escaped,
}

#[derive(Debug, Clone)]
pub(crate) enum Filter {
    Or(Box<Filter>, Box<Filter>),
    And(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Exists(Query),
    Compare(Expression, &'static str, Expression),
    /// `match` if it is of the whole text, else `search`.
    Matches(bool, Expression, Expression),
}

/// A path inside of a filter, from `$` or `@`.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) absolute: bool,
    pub(crate) path: Path,
}

#[derive(Debug, Clone)]
pub(crate) enum Expression {
    /// JSON text of a scalar.
    Literal(String),
    Singular(Query),
    Length(Box<Expression>),
    Count(Query),
    Value(Query),
}

impl Display for Path {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| segment.fmt(out))
    }
}

impl Display for Segment {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let blank = if self.spaced { " " } else { "" };
        out.write_str(blank)?;
        if self.descendant {
            out.write_str("..")?;
        }
        let dot = if self.descendant { "" } else { "." };
        match self.selectors.as_slice() {
            [Selector::Wildcard] if !self.spaced => return write!(out, "{dot}*"),
            [Selector::Name(name, Spelling::Dotted)] if is_shorthand(name) => return write!(out, "{dot}{name}"),
            _ => {}
        }
        for (index, selector) in self.selectors.iter().enumerate() {
            write!(out, "{}{blank}{selector}{blank}", if index == 0 { "[" } else { "," })?;
        }
        out.write_char(']')
    }
}

fn is_shorthand(name: &str) -> bool {
    let first = |character: char| character.is_ascii_alphabetic() || character == '_' || !character.is_ascii();
    name.starts_with(first) && name.chars().all(|character| first(character) || character.is_ascii_digit())
}

impl Display for Selector {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let part = |part: &Option<i64>| part.map(|part| part.to_string()).unwrap_or_default();
        match self {
            Self::Name(name, spelling) => write_name(name, *spelling, out),
            Self::Wildcard => out.write_char('*'),
            Self::Index(index) => index.fmt(out),
            Self::Slice(start, end, None) => write!(out, "{}:{}", part(start), part(end)),
            Self::Slice(start, end, step) => write!(out, "{}:{} : {}", part(start), part(end), part(step)),
            Self::Filter(filter) => write!(out, "?{filter}"),
        }
    }
}

fn write_name(name: &str, spelling: Spelling, out: &mut Formatter<'_>) -> fmt::Result {
    let quote = if let Spelling::Double = spelling { '"' } else { '\'' };
    out.write_char(quote)?;
    for character in name.chars() {
        if let Spelling::Escaped = spelling {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04X}")?;
            }
        } else if character == quote || character == '\\' {
            write!(out, "\\{character}")?;
        } else if character < ' ' {
            write!(out, "\\u{:04x}", u32::from(character))?;
        } else {
            out.write_char(character)?;
        }
    }
    out.write_char(quote)
}

impl Display for Filter {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(left, right) => write!(out, "{left} || {right}"),
            Self::And(left, right) => {
                write_operand(left, matches!(**left, Self::Or(..)), out)?;
                out.write_str("&&")?;
                write_operand(right, matches!(**right, Self::Or(..)), out)
            }
            Self::Not(inner) => {
                out.write_char('!')?;
                write_operand(inner, !matches!(**inner, Self::Exists(_) | Self::Matches(..)), out)
            }
            Self::Exists(query) => query.fmt(out),
            Self::Compare(left, operator, right) => write!(out, "{left} {operator} {right}"),
            Self::Matches(whole, subject, pattern) => {
                write!(out, "{}({subject}, {pattern})", if *whole { "match" } else { "search" })
            }
        }
    }
}

fn write_operand(filter: &Filter, parentheses: bool, out: &mut Formatter<'_>) -> fmt::Result {
    if parentheses { write!(out, "( {filter} )") } else { filter.fmt(out) }
}

impl Display for Query {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", if self.absolute { '$' } else { '@' }, self.path)
    }
}

impl Display for Expression {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(json) => out.write_str(json),
            Self::Singular(query) => query.fmt(out),
            Self::Length(inner) => write!(out, "length({inner})"),
            Self::Count(query) => write!(out, "count( {query} )"),
            Self::Value(query) => write!(out, "value({query})"),
        }
    }
}
