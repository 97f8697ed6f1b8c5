//! A JSONPath of RFC 9535 as a tree, checked for well-formedness and validity.

mod cursor;
mod filter;
mod parser;
mod pattern;

pub(crate) use parser::{Parser, parse};
pub(crate) use pattern::{Pattern, Regexp, RegexpError};

/// What comes after `$` or `@`.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) segments: Vec<Segment>,
}

/// One step away from a node.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Whether the selectors apply to the node and all its descendants, or to the node alone.
    pub(crate) descendant: bool,
    pub(crate) choices: Vec<Choice>,
}

/// Which children of a node are taken: a selector, in the words of the RFC.
#[derive(Debug)]
pub(crate) enum Choice {
    Name(Box<str>),
    Wildcard,
    /// Counted from the end if negative.
    Index(i64),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
    Filter(Logical),
}

/// An expression that holds or does not.
#[derive(Debug)]
pub(crate) enum Logical {
    Or(Vec<Logical>),
    And(Vec<Logical>),
    Not(Box<Logical>),
    /// Whether a query finds anything.
    Exists(Probe),
    Compare(Comparable, Comparison, Comparable),
    /// `match` and `search`.
    Matches(Comparable, Pattern),
}

/// A query inside of a filter.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) origin: Origin,
    pub(crate) query: Query,
}

/// Where a query inside of a filter starts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin {
    /// `@`, the node that is being filtered.
    Current,
    /// `$`, with a number of its own, by which its outcome is kept: it is the same for every node.
    Root(usize),
}

/// An expression with a value, or with none: `Nothing`, in the words of the RFC.
#[derive(Debug)]
pub(crate) enum Comparable {
    Null,
    Boolean(bool),
    /// In its spelling.
    Number(Box<str>),
    Text(Box<str>),
    /// A singular query.
    Value(Probe),
    Length(Box<Comparable>),
    Count(Probe),
    /// The function `value`.
    Only(Probe),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Query {
    /// Whether it finds one node at most in a payload without duplicate keys.
    fn is_singular(&self) -> bool {
        self.segments.iter().all(|segment| {
            !segment.descendant && matches!(segment.choices.as_slice(), [Choice::Name(_) | Choice::Index(_)])
        })
    }
}
