//! Which patterns match a subject, and so which rules take it: a trie over the tokens of the patterns, so that thousands of
//! rules cost a walk along the subject's tokens and not a scan.

use std::collections::HashMap;

use super::SubjectPattern;

/// An index from subject patterns to what they stand for, by position in the caller's list.
#[derive(Debug, Default)]
pub struct SubjectIndex {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literal: HashMap<Box<str>, usize>,
    any: Option<usize>,
    /// Patterns that end at this node.
    here: Vec<u32>,
    /// Patterns that end with `>` below this node.
    tail: Vec<u32>,
}

impl SubjectIndex {
    /// Builds the index.
    pub fn new<'a>(patterns: impl IntoIterator<Item = (&'a SubjectPattern, u32)>) -> Self {
        let mut index = Self { nodes: vec![Node::default()] };
        for (pattern, value) in patterns {
            index.insert(pattern, value);
        }
        index
    }

    /// Puts the values of all patterns that match the subject into `found`, in ascending order, in place of what
    /// was there.
    pub fn find(&self, subject: &str, found: &mut Vec<u32>) {
        found.clear();
        if !self.nodes.is_empty() {
            self.walk(0, Some(subject), found);
            found.sort_unstable();
        }
    }

    /// The depth is bounded by the longest pattern: a walk ends where no pattern goes on.
    fn walk(&self, node: usize, rest: Option<&str>, found: &mut Vec<u32>) {
        let node = &self.nodes[node];
        let Some(rest) = rest else {
            found.extend_from_slice(&node.here);
            return;
        };
        found.extend_from_slice(&node.tail);
        let (token, rest) = match rest.split_once('.') {
            Some((token, rest)) => (token, Some(rest)),
            None => (rest, None),
        };
        if let Some(&next) = node.literal.get(token) {
            self.walk(next, rest, found);
        }
        if let Some(next) = node.any {
            self.walk(next, rest, found);
        }
    }

    fn insert(&mut self, pattern: &SubjectPattern, value: u32) {
        let mut at = 0;
        for token in pattern.as_str().split('.') {
            if token == ">" {
                self.nodes[at].tail.push(value);
                return;
            }
            let existing = if token == "*" { self.nodes[at].any } else { self.nodes[at].literal.get(token).copied() };
            at = existing.unwrap_or_else(|| {
                let next = self.nodes.len();
                self.nodes.push(Node::default());
                if token == "*" {
                    self.nodes[at].any = Some(next);
                } else {
                    self.nodes[at].literal.insert(token.into(), next);
                }
                next
            });
        }
        self.nodes[at].here.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token() -> impl Strategy<Value = &'static str> {
        prop_oneof![Just("a"), Just("b"), Just("*"), Just("c")]
    }

    fn pattern() -> impl Strategy<Value = SubjectPattern> {
        (prop::collection::vec(token(), 1..5), any::<bool>()).prop_map(|(tokens, tail)| {
            let text = tokens.join(".") + if tail { ".>" } else { "" };
            SubjectPattern::new(&text).expect("made of good tokens")
        })
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_scan_of_the_patterns_finds(
            patterns in prop::collection::vec(pattern(), 0..20),
            subject in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")], 1..6),
        ) {
            let subject = subject.join(".");
            let index = SubjectIndex::new(patterns.iter().zip(0u32..));
            let mut found = Vec::new();
            index.find(&subject, &mut found);
            let scanned: Vec<u32> =
                patterns.iter().zip(0u32..).filter(|(p, _)| p.matches(&subject)).map(|(_, i)| i).collect();
            prop_assert_eq!(found, scanned);
        }
    }
}
