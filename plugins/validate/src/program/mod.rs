//! A schema as a program that checks a payload's bytes in one pass, without building a document first.
//!
//! It answers one question: does the payload *surely* match? Then it does by crate jsonschema as well, which is several
//! times as much work, most of it for the document. Everything else is left to that crate: what does not match, with
//! the report about it; what is malformed, ambiguous or extreme; and schemas with keywords that cannot be told from the
//! bytes alone. So the program may give up at any time, and decides nothing that jsonschema would decide otherwise. The
//! property tests hold the two against each other. `compile` says which keywords it knows.

mod check;
mod compile;
mod names;
mod number;
mod pattern;
#[cfg(test)]
mod tests;

use self::names::Names;
use self::number::Limits;
use self::pattern::Pattern;

/// Where a node is among [`Program::nodes`].
type NodeId = usize;

/// The schema `true`, and what everything that no keyword speaks of has to match.
const ANYTHING: NodeId = 0;
/// The schema `false`.
const NOTHING: NodeId = 1;

/// See the module.
#[derive(Debug)]
pub(crate) struct Program {
    nodes: Vec<Node>,
    root: NodeId,
}

/// What a schema asks of one value.
#[derive(Debug)]
struct Node {
    types: Types,
    text: Option<Box<TextRules>>,
    numbers: Option<Box<Limits>>,
    array: Option<Box<ArrayRules>>,
    object: Option<Box<ObjectRules>>,
    /// `enum` or `const`: the only values that are fine.
    options: Option<Box<Options>>,
    /// What goes over the value once more.
    beside: Option<Box<Beside>>,
    /// Whether there is anything but `beside` to go over the value for.
    is_own: bool,
}

/// A set of the types that a value may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Types(u8);

impl Types {
    const NONE: Self = Self(0);
    const NULL: Self = Self(1);
    const BOOLEAN: Self = Self(1 << 1);
    const INTEGER: Self = Self(1 << 2);
    /// A number that is none.
    const FRACTION: Self = Self(1 << 3);
    const NUMBER: Self = Self(Self::INTEGER.0 | Self::FRACTION.0);
    const TEXT: Self = Self(1 << 4);
    const ARRAY: Self = Self(1 << 5);
    const OBJECT: Self = Self(1 << 6);
    const ALL: Self = Self((1 << 7) - 1);

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

#[derive(Debug)]
struct TextRules {
    /// In characters.
    min: usize,
    max: usize,
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct ArrayRules {
    min: usize,
    max: usize,
    /// For the first elements, one each.
    first: Vec<NodeId>,
    /// For those after them.
    rest: NodeId,
}

#[derive(Debug)]
struct ObjectRules {
    names: Names,
    /// For members of other names.
    others: NodeId,
    min: usize,
    max: usize,
}

/// Scalars.
#[derive(Debug, Default)]
struct Options {
    null: bool,
    texts: Vec<Box<str>>,
    numbers: Vec<number::Number>,
    yes: bool,
    no: bool,
}

/// Each of these looks at the whole value.
#[derive(Debug, Default)]
struct Beside {
    all: Vec<NodeId>,
    any: Vec<NodeId>,
}

impl Node {
    /// One that takes these types and asks nothing else.
    fn of(types: Types) -> Self {
        Self { types, text: None, numbers: None, array: None, object: None, options: None, beside: None, is_own: true }
    }
}
