//! The payload's values in the order in which they begin: twenty bytes each, and no text of their own.

use std::borrow::Cow;

use crate::error::Fault;
use crate::matches::{Match, inside};
use crate::scan::Visitor;
use crate::text;

/// Index of a value. Those inside of a value follow it.
pub(super) type NodeId = u32;

/// The root's.
pub(super) const ROOT: NodeId = 0;

/// The bit of `Node::key_end` that says that the key holds escapes. Offsets are shorter: see `Limits::check_len`.
const ESCAPED: u32 = 1 << 31;

#[derive(Debug, Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    /// Where the key begins, or the value if it has none.
    outer_start: u32,
    /// Where the key ends, or 0 if there is none.
    key_end: u32,
    /// The first value after this one that is not inside of it.
    after: NodeId,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tape<'p> {
    text: &'p str,
    nodes: Vec<Node>,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

impl<'p> Tape<'p> {
    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    pub(super) fn kind(&self, id: NodeId) -> Kind {
        match self.text.as_bytes()[self.node(id).start as usize] {
            b'n' => Kind::Null,
            b't' | b'f' => Kind::Boolean,
            b'"' => Kind::Text,
            b'[' => Kind::Array,
            b'{' => Kind::Object,
            _ => Kind::Number,
        }
    }

    /// The value as it is spelt.
    pub(super) fn raw(&self, id: NodeId) -> &'p str {
        let node = self.node(id);
        &self.text[node.start as usize..node.end as usize]
    }

    /// What a string says.
    pub(super) fn string(&self, id: NodeId) -> Cow<'p, str> {
        text::unescape(inside(self.raw(id)))
    }

    /// The name of a member; empty for an element.
    pub(super) fn name(&self, id: NodeId) -> Cow<'p, str> {
        let node = self.node(id);
        let end = node.key_end & !ESCAPED;
        let Some(key) = self.text.get(node.outer_start as usize..end as usize) else { return Cow::Borrowed("") };
        if node.key_end == end { Cow::Borrowed(inside(key)) } else { text::unescape(inside(key)) }
    }

    pub(super) fn after(&self, id: NodeId) -> NodeId {
        self.node(id).after
    }

    /// The members or elements, in order.
    pub(super) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + use<'_, 'p> {
        let end = self.after(id);
        let inside = move |child: NodeId| (child < end).then_some(child);
        std::iter::successors(inside(id + 1), move |&child| inside(self.after(child)))
    }

    pub(super) fn place(&self, id: NodeId, path: u32) -> Match {
        let node = self.node(id);
        Match { path, span: node.start as usize..node.end as usize, outer_start: node.outer_start }
    }
}

/// Writes a tape while the payload is read.
pub(super) struct Writer {
    nodes: Vec<Node>,
    /// The containers that are open.
    open: Vec<NodeId>,
    /// Where the key of the value that comes next begins and ends.
    key: Option<(u32, u32)>,
}

impl Writer {
    pub(super) fn new(payload_bytes: usize) -> Self {
        // A value takes some ten bytes in payloads as they are.
        Self { nodes: Vec::with_capacity(payload_bytes / 10 + 1), open: Vec::with_capacity(8), key: None }
    }

    pub(super) fn finish(self, text: &str) -> Tape<'_> {
        Tape { text, nodes: self.nodes }
    }

    fn push(&mut self, start: usize, end: usize) -> NodeId {
        let id = offset(self.nodes.len());
        let (start, end) = (offset(start), offset(end));
        let (outer_start, key_end) = self.key.take().unwrap_or((start, 0));
        self.nodes.push(Node { start, end, outer_start, key_end, after: id + 1 });
        id
    }
}

/// A position in a payload, or a count of its values. `Limits::check_len` saw to it that it fits.
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

impl Visitor for Writer {
    fn key(&mut self, _: &str, start: usize, end: usize, escaped: bool) {
        self.key = Some((offset(start), offset(end) | if escaped { ESCAPED } else { 0 }));
    }

    fn element(&mut self, _: usize) {}

    fn enters(&mut self, _: bool) -> bool {
        true
    }

    fn open(&mut self, start: usize, _: bool) -> Result<(), Fault> {
        let id = self.push(start, start);
        self.open.push(id);
        Ok(())
    }

    fn close(&mut self, end: usize) {
        let after = offset(self.nodes.len());
        if let Some(id) = self.open.pop() {
            let node = &mut self.nodes[id as usize];
            node.end = offset(end);
            node.after = after;
        }
    }

    fn leaf(&mut self, start: usize, end: usize) -> Result<(), Fault> {
        self.push(start, end);
        Ok(())
    }
}
