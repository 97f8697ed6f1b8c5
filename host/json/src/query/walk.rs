//! Segments and selectors: from nodelist to nodelist.

use std::borrow::Cow;

use smallvec::smallvec;

use super::tape::{Kind, NodeId};
use super::{Evaluation, Found, Nodes};
use crate::error::Fault;
use crate::path::{Choice, Query};

impl Evaluation<'_, '_> {
    /// What a query finds from a node on.
    pub(super) fn query(&mut self, query: &Query, from: NodeId) -> Result<Nodes, Fault> {
        let mut nodes: Nodes = smallvec![Found { node: from, times: 1 }];
        for segment in &query.segments {
            let mut next = Nodes::new();
            if segment.descendant {
                self.descend(&nodes, &segment.choices, &mut next)?;
            } else {
                for &found in &nodes {
                    self.children(found, &segment.choices, &mut next)?;
                }
            }
            merge(&mut next);
            nodes = next;
        }
        Ok(nodes)
    }

    /// Applies selectors to nodes and all that is inside of them: each value is visited once, however often the
    /// nodes hold it.
    fn descend(&mut self, nodes: &[Found], choices: &[Choice], out: &mut Nodes) -> Result<(), Fault> {
        let mut origins = nodes.iter().copied().peekable();
        // The origins that the value is in or is itself: where each ends, and how often the value is held with it.
        let mut around: Vec<(NodeId, u64)> = Vec::new();
        let mut node = 0;
        loop {
            while around.pop_if(|(end, _)| *end <= node).is_some() {}
            if around.is_empty() {
                let Some(origin) = origins.peek() else { return Ok(()) };
                node = origin.node;
            }
            let mut times = around.last().map_or(0, |&(_, times)| times);
            if let Some(origin) = origins.next_if(|origin| origin.node == node) {
                times = origin.times.saturating_add(times);
                around.push((self.tape.after(node), times));
            }
            self.budget.spend(1)?;
            self.children(Found { node, times }, choices, out)?;
            node += 1;
        }
    }

    /// Applies selectors to one node.
    fn children(&mut self, parent: Found, choices: &[Choice], out: &mut Nodes) -> Result<(), Fault> {
        let kind = self.tape.kind(parent.node);
        for choice in choices {
            match (choice, kind) {
                (Choice::Name(name), Kind::Object) => {
                    self.filter(parent, out, |this, _, child| {
                        let known = this.tape.name(child);
                        // A key that had to be unescaped was gone through from end to end.
                        this.budget.spend(if let Cow::Owned(known) = &known { known.len() as u64 / 16 } else { 0 })?;
                        Ok(known == **name)
                    })?;
                }
                (Choice::Wildcard, Kind::Object | Kind::Array) => self.filter(parent, out, |_, _, _| Ok(true))?,
                (Choice::Filter(logical), Kind::Object | Kind::Array) => {
                    self.filter(parent, out, |this, _, child| this.holds(logical, child))?;
                }
                (Choice::Index(index), Kind::Array) => {
                    let wanted = if *index < 0 { self.length(parent.node)? + index } else { *index };
                    self.filter(parent, out, |_, index, _| Ok(index == wanted))?;
                }
                (&Choice::Slice { start, end, step }, Kind::Array) => {
                    let slice = Slice::new(start, end, step, self.length(parent.node)?);
                    self.filter(parent, out, |_, index, _| Ok(slice.takes(index)))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes the children that are `wanted`, given their index.
    fn filter(
        &mut self,
        parent: Found,
        out: &mut Nodes,
        mut wanted: impl FnMut(&mut Self, i64, NodeId) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let tape = self.tape;
        for (index, child) in (0..).zip(tape.children(parent.node)) {
            self.budget.spend(1)?;
            if wanted(self, index, child)? {
                out.push(Found { node: child, ..parent });
            }
        }
        Ok(())
    }

    /// How many members or elements a node has.
    pub(super) fn length(&mut self, node: NodeId) -> Result<i64, Fault> {
        let mut length = 0;
        for _ in self.tape.children(node) {
            self.budget.spend(1)?;
            length += 1;
        }
        Ok(length)
    }
}

/// Puts a nodelist in document order, each node once.
fn merge(nodes: &mut Nodes) {
    if !nodes.is_sorted_by(|one, other| one.node < other.node) {
        nodes.sort_unstable_by_key(|found| found.node);
        nodes.dedup_by(|later, kept| {
            let same = later.node == kept.node;
            if same {
                kept.times = kept.times.saturating_add(later.times);
            }
            same
        });
    }
}

/// A slice of an array whose length is known: RFC 9535, section 2.3.4.2.2.
struct Slice {
    /// The first index that is taken, if any is, then every `step`th, up to `end`, which is not.
    start: i64,
    end: i64,
    step: i64,
}

impl Slice {
    fn new(start: Option<i64>, end: Option<i64>, step: i64, length: i64) -> Self {
        let from_end = |index: i64| if index < 0 { length + index } else { index };
        let (least, most) = if step < 0 { (-1, length - 1) } else { (0, length) };
        let (first, last) = if step < 0 { (most, least) } else { (least, most) };
        Self {
            start: start.map_or(first, |start| from_end(start).clamp(least, most)),
            end: end.map_or(last, |end| from_end(end).clamp(least, most)),
            step,
        }
    }

    fn takes(&self, index: i64) -> bool {
        let inside = match self.step {
            0 => false,
            1.. => (self.start..self.end).contains(&index),
            _ => self.end < index && index <= self.start,
        };
        inside && (index - self.start) % self.step == 0
    }
}
