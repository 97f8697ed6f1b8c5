//! Conditions that most rules are made of, answered without an interpreter.
//!
//! Comparing a part of the message to a literal, and what `&&`, `||` and `!` make of that, takes an interpreter of CEL
//! far longer than the comparison itself: names are looked up, values are boxed, and the error is written that would be
//! if they did not compare. Here such a condition is a small tree, and a message is asked directly.
//!
//! It only says what crate cel says as well. Whatever it is not sure of (a value of another type than the literal, a
//! part that is missing below `!` or `||`, where the crate decides what an error comes to) is left to that crate. A test
//! holds the two against each other.

use std::cmp::Ordering;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use crate::lift;
use crate::reading::{Number, Reading, Scalar};

/// A condition, or a part of one.
#[derive(Debug)]
pub(crate) enum Quick {
    /// A part of the message that has to be true or false by itself.
    Flag(usize),
    Compare {
        slot: usize,
        operator: Operator,
        with: Literal,
    },
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equals,
    Differs,
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Debug)]
pub(crate) enum Literal {
    Boolean(bool),
    Number(Number),
    Text(String),
}

/// What is surely true or false, or surely reads something that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sure {
    Answer(bool),
    Missing,
}

impl Quick {
    /// The same condition, if it is one of these.
    pub(crate) fn of(expr: &IdedExpr) -> Option<Self> {
        match &expr.expr {
            Expr::Ident(_) => slot(expr).map(Self::Flag),
            Expr::Call(call) if call.target.is_none() => Self::of_call(call),
            _ => None,
        }
    }

    fn of_call(call: &CallExpr) -> Option<Self> {
        let boxed = |expr: &IdedExpr| Self::of(expr).map(Box::new);
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_NOT, [operand]) => Some(Self::Not(boxed(operand)?)),
            (operators::LOGICAL_AND, [left, right]) => Some(Self::And(boxed(left)?, boxed(right)?)),
            (operators::LOGICAL_OR, [left, right]) => Some(Self::Or(boxed(left)?, boxed(right)?)),
            (name, [left, right]) => {
                let operator = Operator::named(name)?;
                let (slot, operator, with) = match (slot(left), slot(right)) {
                    (Some(slot), None) => (slot, operator, Literal::of(right)?),
                    (None, Some(slot)) => (slot, operator.turned(), Literal::of(left)?),
                    _ => return None,
                };
                Some(Self::Compare { slot, operator, with })
            }
            _ => None,
        }
    }

    /// What the condition says about a message; `None` if the interpreter has to be asked. All of its slots have been
    /// read.
    pub(crate) fn answer(&self, reading: &Reading<'_>) -> Option<bool> {
        // What reads something that is not there is false.
        self.evaluate(reading).map(|sure| sure == Sure::Answer(true))
    }

    /// As deep as the condition, which is bounded.
    fn evaluate(&self, reading: &Reading<'_>) -> Option<Sure> {
        Some(match self {
            Self::Flag(slot) => match reading.scalar(*slot)? {
                Scalar::Missing => Sure::Missing,
                Scalar::Boolean(value) => Sure::Answer(value),
                _ => return None,
            },
            Self::Compare { slot, operator, with } => {
                let ordering = match (reading.scalar(*slot)?, with) {
                    (Scalar::Missing, _) => return Some(Sure::Missing),
                    (Scalar::Number(value), Literal::Number(with)) => value.compare(*with)?,
                    (Scalar::Text(value), Literal::Text(with)) if operator.is_equality() => value.cmp(with),
                    (Scalar::Boolean(value), Literal::Boolean(with)) if operator.is_equality() => value.cmp(with),
                    _ => return None,
                };
                Sure::Answer(operator.holds(ordering))
            }
            Self::Not(operand) => match operand.evaluate(reading)? {
                Sure::Answer(answer) => Sure::Answer(!answer),
                Sure::Missing => return None,
            },
            Self::And(left, right) => match (left.evaluate(reading)?, right.evaluate(reading)?) {
                (Sure::Answer(left), Sure::Answer(right)) => Sure::Answer(left && right),
                // False or an error, which is not true either way.
                _ => Sure::Missing,
            },
            Self::Or(left, right) => match (left.evaluate(reading)?, right.evaluate(reading)?) {
                (Sure::Answer(left), Sure::Answer(right)) => Sure::Answer(left || right),
                _ => return None,
            },
        })
    }
}

impl Operator {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            operators::EQUALS => Self::Equals,
            operators::NOT_EQUALS => Self::Differs,
            operators::LESS => Self::Less,
            operators::LESS_EQUALS => Self::AtMost,
            operators::GREATER => Self::More,
            operators::GREATER_EQUALS => Self::AtLeast,
            _ => return None,
        })
    }

    /// The one that says the same with the operands exchanged.
    fn turned(self) -> Self {
        match self {
            Self::Less => Self::More,
            Self::AtMost => Self::AtLeast,
            Self::More => Self::Less,
            Self::AtLeast => Self::AtMost,
            same => same,
        }
    }

    fn is_equality(self) -> bool {
        matches!(self, Self::Equals | Self::Differs)
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equals => ordering.is_eq(),
            Self::Differs => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::More => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

impl Literal {
    fn of(expr: &IdedExpr) -> Option<Self> {
        let Expr::Literal(literal) = &expr.expr else { return None };
        Some(match literal {
            LiteralValue::Boolean(value) => Self::Boolean(*value.inner()),
            LiteralValue::Int(value) => Self::Number(Number::Int(*value.inner())),
            LiteralValue::Double(value) => Self::Number(Number::Float(*value.inner())),
            LiteralValue::String(value) => Self::Text(value.inner().to_owned()),
            LiteralValue::UInt(_) | LiteralValue::Bytes(_) | LiteralValue::Null => return None,
        })
    }
}

/// The slot that this stands for.
fn slot(expr: &IdedExpr) -> Option<usize> {
    match &expr.expr {
        Expr::Ident(name) => lift::slot_of_variable(name),
        _ => None,
    }
}
