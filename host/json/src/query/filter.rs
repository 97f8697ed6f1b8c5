//! Filters: whether an expression holds for a node, and what its operands are.

use std::borrow::Cow;

use smallvec::{SmallVec, smallvec};

use super::tape::{Kind, NodeId};
use super::{Evaluation, Found};
use crate::error::Fault;
use crate::path::{Comparable, Logical, Origin, Pattern, Probe, Regexp, RegexpError};

/// What a comparison or function is about.
#[derive(Debug, Clone)]
pub(super) enum Operand<'q> {
    /// No value, which is one of its own: it equals itself.
    Nothing,
    Null,
    Boolean(bool),
    Number(Cow<'q, str>),
    Text(&'q str),
    /// A value of the payload.
    Node(NodeId),
}

/// Several operands are those of duplicate keys: an expression holds if it holds for any of them.
type Operands<'q> = SmallVec<[Operand<'q>; 1]>;

/// A regular expression that was found in the payload.
#[derive(Debug)]
pub(super) struct Given {
    pattern: String,
    whole: bool,
    /// None if it is none.
    regexp: Option<Regexp>,
}

impl Evaluation<'_, '_> {
    /// What compiling a regular expression is worth in steps, which is most of a millisecond at worst.
    const COMPILE_STEPS: u64 = 20_000;
    /// How long a regular expression in the payload may be.
    const MAX_PATTERN_BYTES: usize = 4096;

    pub(super) fn holds(&mut self, logical: &Logical, node: NodeId) -> Result<bool, Fault> {
        self.budget.spend(1)?;
        match logical {
            Logical::Or(any) => {
                for one in any {
                    if self.holds(one, node)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Logical::And(all) => {
                for one in all {
                    if !self.holds(one, node)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Logical::Not(inner) => Ok(!self.holds(inner, node)?),
            Logical::Exists(probe) => self.probe(probe, node, |found| !found.is_empty()),
            Logical::Compare(left, comparison, right) => {
                let (left, right) = (self.operands(left, node)?, self.operands(right, node)?);
                for left in &left {
                    for right in &right {
                        if self.compare(left, *comparison, right)? {
                            return Ok(true);
                        }
                    }
                }
                Ok(false)
            }
            Logical::Matches(subject, pattern) => {
                let subjects = self.operands(subject, node)?;
                self.matches(&subjects, pattern, node)
            }
        }
    }

    /// What a query inside of a filter finds, shown to `look`.
    fn probe<T>(&mut self, probe: &Probe, node: NodeId, look: impl FnOnce(&[Found]) -> T) -> Result<T, Fault> {
        let Origin::Root(id) = probe.origin else {
            return Ok(look(&self.query(&probe.query, node)?));
        };
        if self.roots[id].is_none() {
            self.roots[id] = Some(self.query(&probe.query, super::ROOT)?);
        }
        Ok(look(self.roots[id].as_deref().unwrap_or_default()))
    }

    fn operands<'q>(&mut self, comparable: &'q Comparable, node: NodeId) -> Result<Operands<'q>, Fault> {
        Ok(match comparable {
            Comparable::Null => smallvec![Operand::Null],
            Comparable::Boolean(value) => smallvec![Operand::Boolean(*value)],
            Comparable::Number(spelling) => smallvec![Operand::Number(Cow::Borrowed(spelling))],
            Comparable::Text(text) => smallvec![Operand::Text(text)],
            Comparable::Value(probe) => self.probe(probe, node, |found| match found {
                [] => smallvec![Operand::Nothing],
                _ => found.iter().map(|found| Operand::Node(found.node)).collect(),
            })?,
            Comparable::Length(inner) => {
                let mut lengths = self.operands(inner, node)?;
                for operand in &mut lengths {
                    *operand = self.length_of(operand)?;
                }
                lengths
            }
            Comparable::Count(probe) => {
                let count = self.probe(probe, node, |found| {
                    found.iter().fold(0_u64, |count, found| count.saturating_add(found.times))
                })?;
                smallvec![Operand::Number(Cow::Owned(count.to_string()))]
            }
            Comparable::Only(probe) => smallvec![self.probe(probe, node, |found| match found {
                [Found { node, times: 1 }] => Operand::Node(*node),
                _ => Operand::Nothing,
            })?],
        })
    }

    /// The function `length`.
    fn length_of(&mut self, operand: &Operand<'_>) -> Result<Operand<'static>, Fault> {
        let length = match self.text(operand)? {
            Some(text) => text.chars().count().to_string(),
            None => match operand {
                Operand::Node(node) if matches!(self.tape.kind(*node), Kind::Array | Kind::Object) => {
                    self.length(*node)?.to_string()
                }
                _ => return Ok(Operand::Nothing),
            },
        };
        Ok(Operand::Number(Cow::Owned(length)))
    }

    /// What an operand says, if it is a string.
    pub(super) fn text<'a>(&mut self, operand: &Operand<'a>) -> Result<Option<Cow<'a, str>>, Fault>
    where
        Self: 'a,
    {
        Ok(match operand {
            Operand::Text(text) => Some(Cow::Borrowed(*text)),
            Operand::Node(node) if self.tape.kind(*node) == Kind::Text => {
                self.budget.spend(self.tape.raw(*node).len() as u64 / 16)?;
                Some(self.tape.string(*node))
            }
            _ => None,
        })
    }

    /// The functions `match` and `search`.
    fn matches(&mut self, subjects: &[Operand<'_>], pattern: &Pattern, node: NodeId) -> Result<bool, Fault> {
        for subject in subjects {
            let Some(subject) = self.text(subject)? else { continue };
            let matches = match pattern {
                Pattern::Fixed(regexp) => {
                    self.budget.spend(regexp.steps(&subject))?;
                    regexp.is_match(&subject)
                }
                Pattern::Given { source, whole } => {
                    let patterns = self.operands(source, node)?;
                    self.matches_any(&subject, &patterns, *whole)?
                }
            };
            if matches {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn matches_any(&mut self, subject: &str, patterns: &[Operand<'_>], whole: bool) -> Result<bool, Fault> {
        for pattern in patterns {
            let Some(pattern) = self.text(pattern)? else { continue };
            self.give(&pattern, whole)?;
            let Some(regexp) = self.given.as_ref().and_then(|given| given.regexp.as_ref()) else { continue };
            self.budget.spend(regexp.steps(subject))?;
            if regexp.is_match(subject) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Compiles a regular expression of the payload, unless it was the last one as well.
    fn give(&mut self, pattern: &str, whole: bool) -> Result<(), Fault> {
        if self.given.as_ref().is_some_and(|given| given.whole == whole && given.pattern == pattern) {
            return Ok(());
        }
        let too_large = || Fault::limit("a regular expression in the payload is too large".to_owned());
        if pattern.len() > Self::MAX_PATTERN_BYTES {
            return Err(too_large());
        }
        self.budget.spend(Self::COMPILE_STEPS)?;
        let regexp = match Regexp::given(pattern, whole) {
            Ok(regexp) => Some(regexp),
            Err(RegexpError::Malformed(_)) => None,
            Err(RegexpError::TooLarge) => return Err(too_large()),
        };
        self.given = Some(Given { pattern: pattern.to_owned(), whole, regexp });
        Ok(())
    }
}
