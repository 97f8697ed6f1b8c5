//! Comparisons: RFC 9535, section 2.3.5.2.2.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::Evaluation;
use super::filter::Operand;
use super::number;
use super::tape::{Kind, NodeId};
use crate::error::Fault;
use crate::path::Comparison;

/// An operand with what is needed to compare it at hand.
enum View<'a> {
    Nothing,
    Null,
    Boolean(bool),
    Number(Cow<'a, str>),
    Text(Cow<'a, str>),
    Container(NodeId),
}

impl<'p> Evaluation<'p, '_> {
    pub(super) fn compare(
        &mut self,
        left: &Operand<'_>,
        comparison: Comparison,
        right: &Operand<'_>,
    ) -> Result<bool, Fault> {
        let (left, right) = (self.view(left)?, self.view(right)?);
        let ordering = match (&left, &right) {
            (View::Number(left), View::Number(right)) => Some(number::compare(left, right)),
            // By Unicode scalar values, which is the order of their UTF-8.
            (View::Text(left), View::Text(right)) => Some(left.cmp(right)),
            _ => self.equal(&left, &right)?.then_some(Ordering::Equal),
        };
        Ok(match comparison {
            Comparison::Equal => ordering == Some(Ordering::Equal),
            Comparison::NotEqual => ordering != Some(Ordering::Equal),
            Comparison::Less => ordering == Some(Ordering::Less),
            Comparison::Greater => ordering == Some(Ordering::Greater),
            Comparison::LessOrEqual => ordering.is_some_and(Ordering::is_le),
            Comparison::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
        })
    }

    fn view<'a>(&mut self, operand: &'a Operand<'_>) -> Result<View<'a>, Fault>
    where
        'p: 'a,
    {
        self.budget.spend(1)?;
        Ok(match operand {
            Operand::Nothing => View::Nothing,
            Operand::Null => View::Null,
            Operand::Boolean(value) => View::Boolean(*value),
            Operand::Number(spelling) => View::Number(Cow::Borrowed(spelling)),
            Operand::Text(text) => View::Text(Cow::Borrowed(text)),
            Operand::Node(node) => self.view_node(*node)?,
        })
    }

    fn view_node(&mut self, node: NodeId) -> Result<View<'p>, Fault> {
        let raw = self.tape.raw(node);
        Ok(match self.tape.kind(node) {
            Kind::Null => View::Null,
            Kind::Boolean => View::Boolean(raw == "true"),
            Kind::Number => {
                self.budget.spend(raw.len() as u64 / 16)?;
                View::Number(Cow::Borrowed(raw))
            }
            Kind::Text => {
                self.budget.spend(raw.len() as u64 / 16)?;
                View::Text(self.tape.string(node))
            }
            Kind::Array | Kind::Object => View::Container(node),
        })
    }

    fn equal(&mut self, left: &View<'_>, right: &View<'_>) -> Result<bool, Fault> {
        Ok(match (left, right) {
            (View::Nothing, View::Nothing) | (View::Null, View::Null) => true,
            (View::Boolean(left), View::Boolean(right)) => left == right,
            (View::Number(left), View::Number(right)) => number::compare(left, right).is_eq(),
            (View::Text(left), View::Text(right)) => left == right,
            (View::Container(left), View::Container(right)) => match (self.tape.kind(*left), self.tape.kind(*right)) {
                (Kind::Array, Kind::Array) => self.arrays_equal(*left, *right)?,
                (Kind::Object, Kind::Object) => self.objects_equal(*left, *right)?,
                _ => false,
            },
            _ => false,
        })
    }

    /// Whether two values of the payload are equal. It calls itself as deep as they nest, which the limits bound.
    fn nodes_equal(&mut self, left: NodeId, right: NodeId) -> Result<bool, Fault> {
        self.budget.spend(1)?;
        let (left, right) = (self.view_node(left)?, self.view_node(right)?);
        self.equal(&left, &right)
    }

    fn arrays_equal(&mut self, left: NodeId, right: NodeId) -> Result<bool, Fault> {
        let tape = self.tape;
        let (mut left, mut right) = (tape.children(left), tape.children(right));
        loop {
            match (left.next(), right.next()) {
                (Some(left), Some(right)) if self.nodes_equal(left, right)? => {}
                (None, None) => return Ok(true),
                _ => return Ok(false),
            }
        }
    }

    /// Objects are equal if each member of one has an equal one in the other: order does not count, and of duplicate
    /// keys neither does the number.
    fn objects_equal(&mut self, left: NodeId, right: NodeId) -> Result<bool, Fault> {
        let left: Vec<NodeId> = self.tape.children(left).collect();
        let right: Vec<NodeId> = self.tape.children(right).collect();
        self.budget.spend((left.len() + right.len()) as u64)?;
        let mut met = vec![false; right.len()];
        for (index, member) in left.iter().enumerate() {
            match self.find(*member, &right, index)? {
                Some(found) => met[found] = true,
                None => return Ok(false),
            }
        }
        for (index, _) in met.iter().enumerate().filter(|(_, met)| !**met) {
            if self.find(right[index], &left, index)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The index of a member that equals `member`, in name and value. It is looked for from `from` on first, where it
    /// is if both objects have one order.
    fn find(&mut self, member: NodeId, others: &[NodeId], from: usize) -> Result<Option<usize>, Fault> {
        let name = self.tape.name(member);
        let from = from.min(others.len());
        for index in (from..others.len()).chain(0..from) {
            let other = self.tape.name(others[index]);
            self.budget.spend(1 + other.len() as u64 / 16)?;
            if name == other && self.nodes_equal(member, others[index])? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }
}
