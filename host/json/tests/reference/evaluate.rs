//! What a path finds, as the RFC tells it: nodelists with their duplicates, one selector after another.

use super::path::{Expression, Filter, Path, Query, Segment, Selector};
use super::tree::{Location, Tree};

/// A node: where it is, and what.
type Node<'t> = (Location, &'t Tree);

/// Evaluates over one document. Gives up, with `None`, on what takes too long: nodelists can grow exponentially.
pub(crate) struct Evaluator<'t> {
    root: &'t Tree,
    /// The regular expressions that may occur, in the syntax of I-Regexp and in that of crate `regex`.
    patterns: &'t [(&'t str, &'t str)],
    steps: usize,
}

impl<'t> Evaluator<'t> {
    pub(crate) fn new(root: &'t Tree, patterns: &'t [(&'t str, &'t str)]) -> Self {
        Self { root, patterns, steps: 100_000 }
    }

    /// The places that a path matches, each once, in document order.
    pub(crate) fn places(&mut self, path: &Path) -> Option<Vec<Location>> {
        let mut places: Vec<Location> =
            self.path(path, (Vec::new(), self.root))?.into_iter().map(|node| node.0).collect();
        places.sort();
        places.dedup();
        Some(places)
    }

    fn path(&mut self, path: &Path, from: Node<'t>) -> Option<Vec<Node<'t>>> {
        let mut nodes = vec![from];
        for segment in &path.0 {
            let mut next = Vec::new();
            for node in nodes {
                self.segment(segment, &node, &mut next)?;
            }
            nodes = next;
        }
        Some(nodes)
    }

    fn segment(&mut self, segment: &Segment, node: &Node<'t>, out: &mut Vec<Node<'t>>) -> Option<()> {
        for selector in &segment.selectors {
            self.select(selector, node, out)?;
        }
        if segment.descendant {
            for (index, child) in node.1.children().enumerate() {
                self.segment(segment, &(extended(&node.0, index), child), out)?;
            }
        }
        Some(())
    }

    fn select(&mut self, selector: &Selector, (location, tree): &Node<'t>, out: &mut Vec<Node<'t>>) -> Option<()> {
        let elements = if let Tree::Array(elements) = tree { elements.len() as i64 } else { 0 };
        for (index, child) in tree.children().enumerate() {
            self.steps = self.steps.checked_sub(1)?;
            let child: Node<'t> = (extended(location, index), child);
            let taken = match selector {
                Selector::Name(name, _) => matches!(tree, Tree::Object(members) if members[index].0 == *name),
                Selector::Wildcard => true,
                Selector::Index(wanted) => {
                    let wanted = if *wanted < 0 { elements + wanted } else { *wanted };
                    matches!(tree, Tree::Array(_)) && index as i64 == wanted
                }
                Selector::Slice(start, end, step) => {
                    matches!(tree, Tree::Array(_)) && sliced(*start, *end, *step, elements).contains(&(index as i64))
                }
                Selector::Filter(filter) => self.holds(filter, &child)?,
            };
            if taken {
                out.push(child);
            }
        }
        Some(())
    }

    fn holds(&mut self, filter: &Filter, node: &Node<'t>) -> Option<bool> {
        Some(match filter {
            Filter::Or(left, right) => self.holds(left, node)? || self.holds(right, node)?,
            Filter::And(left, right) => self.holds(left, node)? && self.holds(right, node)?,
            Filter::Not(inner) => !self.holds(inner, node)?,
            Filter::Exists(query) => !self.query(query, node)?.is_empty(),
            Filter::Compare(left, operator, right) => {
                let (left, right) = (self.values(left, node)?, self.values(right, node)?);
                left.iter().any(|left| right.iter().any(|right| compared(left.as_ref(), operator, right.as_ref())))
            }
            Filter::Matches(whole, subject, pattern) => {
                let (subjects, patterns) = (self.values(subject, node)?, self.values(pattern, node)?);
                subjects.iter().any(|subject| patterns.iter().any(|pattern| self.matches(*whole, subject, pattern)))
            }
        })
    }

    fn query(&mut self, query: &Query, node: &Node<'t>) -> Option<Vec<Node<'t>>> {
        let from = if query.absolute { (Vec::new(), self.root) } else { node.clone() };
        self.path(&query.path, from)
    }

    /// The values of an expression: one or none, written as `None`, or several if keys are duplicates.
    fn values(&mut self, expression: &Expression, node: &Node<'t>) -> Option<Vec<Option<Tree>>> {
        Some(match expression {
            Expression::Literal(json) => vec![Some(Tree::parse(json.as_bytes()).expect("literals are JSON"))],
            Expression::Singular(query) => {
                let found = self.query(query, node)?;
                let values: Vec<_> = found.into_iter().map(|(_, tree)| Some(tree.clone())).collect();
                if values.is_empty() { vec![None] } else { values }
            }
            Expression::Length(inner) => self.values(inner, node)?.iter().map(|value| length(value.as_ref())).collect(),
            Expression::Count(query) => vec![Some(Tree::Integer(self.query(query, node)?.len() as i128))],
            Expression::Value(query) => match self.query(query, node)?.as_slice() {
                [(_, tree)] => vec![Some((*tree).clone())],
                _ => vec![None],
            },
        })
    }

    fn matches(&self, whole: bool, subject: &Option<Tree>, pattern: &Option<Tree>) -> bool {
        let (Some(Tree::Text(subject)), Some(Tree::Text(pattern))) = (subject, pattern) else { return false };
        let Some((_, pattern)) = self.patterns.iter().find(|(known, _)| known == pattern) else { return false };
        let pattern = if whole { format!("^(?:{pattern})$") } else { (*pattern).to_owned() };
        regex::Regex::new(&pattern).expect("the patterns are right").is_match(subject)
    }
}

fn extended(location: &Location, index: usize) -> Location {
    location.iter().copied().chain([index]).collect()
}

/// The indices of a slice, by the algorithm of RFC 9535, section 2.3.4.2.2.
fn sliced(start: Option<i64>, end: Option<i64>, step: Option<i64>, length: i64) -> Vec<i64> {
    let step = step.unwrap_or(1);
    let normalize = |index: i64| if index >= 0 { index } else { length + index };
    let start = normalize(start.unwrap_or(if step >= 0 { 0 } else { length - 1 }));
    let end = if let Some(end) = end {
        normalize(end)
    } else if step >= 0 {
        length
    } else {
        -1
    };
    let mut indices = Vec::new();
    if step > 0 {
        let (mut index, upper) = (start.max(0).min(length), end.max(0).min(length));
        while index < upper {
            indices.push(index);
            index += step;
        }
    } else if step < 0 {
        let (mut index, lower) = (start.max(-1).min(length - 1), end.max(-1).min(length - 1));
        while lower < index {
            indices.push(index);
            index += step;
        }
    }
    indices
}

fn compared(left: Option<&Tree>, operator: &str, right: Option<&Tree>) -> bool {
    let equal = match (left, right) {
        (None, None) => true,
        (Some(left), Some(right)) => left.equals(right),
        _ => false,
    };
    let order = left.zip(right).and_then(|(left, right)| left.order(right));
    match operator {
        "==" => equal,
        "!=" => !equal,
        "<" => order.is_some_and(std::cmp::Ordering::is_lt),
        ">" => order.is_some_and(std::cmp::Ordering::is_gt),
        "<=" => equal || order.is_some_and(std::cmp::Ordering::is_lt),
        ">=" => equal || order.is_some_and(std::cmp::Ordering::is_gt),
        _ => panic!("no operator: {operator}"),
    }
}

fn length(value: Option<&Tree>) -> Option<Tree> {
    let length = match value? {
        Tree::Text(text) => text.chars().count(),
        Tree::Array(elements) => elements.len(),
        Tree::Object(members) => members.len(),
        _ => return None,
    };
    Some(Tree::Integer(length as i128))
}
