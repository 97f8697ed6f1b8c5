//! The paths of operations: the part of JSONPath (RFC 9535) that says where, without filters and slices.
//!
//! `$.name`, `$['name']`, `$[0]`, `$[-1]`, `$[*]`, `$.*` and, for what is changed in place, `$..name`, `$..*`.

use crate::document::{Node, put};

/// A path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    /// Whether it picks at any depth.
    deep: bool,
    pick: Pick,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pick {
    Name(String),
    /// From the end, if negative.
    Index(i64),
    All,
}

/// Why a path cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    #[error("a path begins with `$`")]
    NoRoot,
    #[error("wrong from `{0}` on: a path is made of .name, ['name'], [0], [*] and ..name; for filters use `jq`")]
    Syntax(String),
    #[error("a path of more than {MAX_SEGMENTS} steps is too long")]
    TooLong,
    #[error("this must be one place: leave out `*` and `..`")]
    Several,
    #[error("`..` does not say where to put something")]
    Nowhere,
    #[error("this must end in a member's name")]
    NoName,
}

/// No payload that the host lets through is deeper.
const MAX_SEGMENTS: usize = 1024;

impl Path {
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        let mut rest = text.strip_prefix('$').ok_or(PathError::NoRoot)?;
        let mut segments = Vec::new();
        while !rest.is_empty() {
            let (segment, after) = segment(rest).ok_or_else(|| PathError::Syntax(rest.to_owned()))?;
            segments.push(segment);
            rest = after;
        }
        if segments.len() > MAX_SEGMENTS {
            return Err(PathError::TooLong);
        }
        Ok(Self { segments })
    }

    /// A path of one place.
    pub(crate) fn one(text: &str) -> Result<Self, PathError> {
        let path = Self::parse(text)?;
        match path.segments.iter().any(|segment| segment.deep || segment.pick == Pick::All) {
            true => Err(PathError::Several),
            false => Ok(path),
        }
    }

    /// A path of where to put something.
    pub(crate) fn target(text: &str) -> Result<Self, PathError> {
        let path = Self::parse(text)?;
        match path.segments.iter().any(|segment| segment.deep) {
            true => Err(PathError::Nowhere),
            false => Ok(path),
        }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.segments.is_empty()
    }

    /// The same path with its last name changed.
    pub(crate) fn sibling(&self, name: &str) -> Result<Self, PathError> {
        let mut path = self.clone();
        match path.segments.last_mut() {
            Some(Segment { pick: Pick::Name(last), .. }) => name.clone_into(last),
            _ => return Err(PathError::NoName),
        }
        Ok(path)
    }

    /// The value at a path of one place.
    pub(crate) fn get<'n, 'j>(&self, root: &'n mut Node<'j>) -> Option<&'n mut Node<'j>> {
        self.segments.iter().try_fold(root, |node, segment| match &segment.pick {
            Pick::Name(name) => node.member(name),
            Pick::Index(index) => match node.open() {
                Node::Array(items) => position(*index, items.len()).and_then(|at| items.get_mut(at)),
                _ => None,
            },
            Pick::All => None,
        })
    }

    /// Changes every value that the path matches, inner before outer, and says how many there were.
    pub(crate) fn change<'j, E>(
        &self,
        root: &mut Node<'j>,
        change: &mut dyn FnMut(&mut Node<'j>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut count = 0;
        visit(root, &self.segments, &mut |node| {
            count += 1;
            change(node)
        })?;
        Ok(count)
    }

    /// Removes every place that the path matches, and says how many there were. Of the root, an empty object is left.
    pub(crate) fn remove(&self, root: &mut Node<'_>) -> usize {
        let Some((last, before)) = self.segments.split_last() else {
            *root = Node::Object(Vec::new());
            return 1;
        };
        let mut count = 0;
        let done: Result<(), std::convert::Infallible> = visit(root, before, &mut |node| {
            count += remove(node, last);
            Ok(())
        });
        let Ok(()) = done;
        count
    }

    /// Gives every member that the path matches another name, in its place, and says how many there were. A member
    /// that had the name before is replaced.
    pub(crate) fn rename(&self, root: &mut Node<'_>, to: &str) -> usize {
        let Some((Segment { deep, pick: Pick::Name(name) }, before)) = self.segments.split_last() else { return 0 };
        let mut count = 0;
        let done: Result<(), std::convert::Infallible> = visit(root, before, &mut |node| {
            count += rename(node, name, to, *deep);
            Ok(())
        });
        let Ok(()) = done;
        count
    }

    /// Puts a value at the path. Objects on the way are made where there are none; elements are not.
    ///
    /// # Errors
    ///
    /// The type of what is in the way.
    pub(crate) fn put<'j>(
        &self,
        root: &mut Node<'j>,
        value: &Node<'j>,
        only_missing: bool,
    ) -> Result<(), &'static str> {
        put_at(root, &self.segments, value, only_missing)
    }
}

fn segment(rest: &str) -> Option<(Segment, &str)> {
    let deep = rest.starts_with("..");
    let after = rest.trim_start_matches('.');
    let (pick, after) = match (rest.len() - after.len(), after.strip_prefix('[')) {
        (0 | 2, Some(inner)) => bracketed(inner)?,
        (1 | 2, None) => named(after)?,
        _ => return None,
    };
    Some((Segment { deep, pick }, after))
}

/// `name` or `*`.
fn named(rest: &str) -> Option<(Pick, &str)> {
    if let Some(after) = rest.strip_prefix('*') {
        return Some((Pick::All, after));
    }
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii());
    // RFC 9535 has no hyphen here, but most people do, and it means nothing else.
    let all = chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || !c.is_ascii());
    (first && all).then(|| (Pick::Name(name.to_owned()), after))
}

/// `'name']`, `"name"]`, `0]` or `*]`.
fn bracketed(rest: &str) -> Option<(Pick, &str)> {
    if let Some(after) = rest.strip_prefix("*]") {
        return Some((Pick::All, after));
    }
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let Some(quote) = quote else {
        let (index, after) = rest.split_once(']')?;
        return Some((Pick::Index(index.parse().ok()?), after));
    };
    let mut name = String::new();
    let mut chars = rest[1..].char_indices();
    loop {
        let (at, c) = chars.next()?;
        match c {
            '\\' => name.push(chars.next().map(|(_, c)| c).filter(|c| matches!(c, '\'' | '"' | '\\'))?),
            c if c == quote => return Some((Pick::Name(name), rest[1 + at + 1..].strip_prefix(']')?)),
            c => name.push(c),
        }
    }
}

fn position(index: i64, length: usize) -> Option<usize> {
    let from_start = usize::try_from(index).ok();
    let from_end = || length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?);
    from_start.or_else(from_end).filter(|index| *index < length)
}

/// The node, taken apart as far as a segment looks into it.
fn opened<'n, 'j>(node: &'n mut Node<'j>, deep: bool) -> &'n mut Node<'j> {
    if deep { node.open_deep() } else { node.open() }
}

/// Calls `change` on every value that the segments match below the node. As deep as the payload is.
fn visit<'j, E>(
    node: &mut Node<'j>,
    segments: &[Segment],
    change: &mut dyn FnMut(&mut Node<'j>) -> Result<(), E>,
) -> Result<(), E> {
    let Some((segment, rest)) = segments.split_first() else { return change(node) };
    match opened(node, segment.deep) {
        Node::Object(members) => {
            for member in members {
                if segment.deep {
                    visit(&mut member.value, segments, change)?;
                }
                let picked = match &segment.pick {
                    Pick::Name(name) => member.key.is(name),
                    Pick::All => true,
                    Pick::Index(_) => false,
                };
                if picked {
                    visit(&mut member.value, rest, change)?;
                }
            }
        }
        Node::Array(items) => {
            let length = items.len();
            for (at, item) in items.iter_mut().enumerate() {
                if segment.deep {
                    visit(item, segments, change)?;
                }
                let picked = match segment.pick {
                    Pick::Index(index) => position(index, length) == Some(at),
                    Pick::All => true,
                    Pick::Name(_) => false,
                };
                if picked {
                    visit(item, rest, change)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn remove(node: &mut Node<'_>, segment: &Segment) -> usize {
    let mut count = 0;
    match opened(node, segment.deep) {
        Node::Object(members) => {
            members.retain_mut(|member| {
                let picked = match &segment.pick {
                    Pick::Name(name) => member.key.is(name),
                    Pick::All => true,
                    Pick::Index(_) => false,
                };
                count += usize::from(picked);
                if !picked && segment.deep {
                    count += remove(&mut member.value, segment);
                }
                !picked
            });
        }
        Node::Array(items) => {
            let length = items.len();
            let mut at = 0;
            items.retain_mut(|item| {
                let picked = match segment.pick {
                    Pick::Index(index) => position(index, length) == Some(at),
                    Pick::All => true,
                    Pick::Name(_) => false,
                };
                at += 1;
                count += usize::from(picked);
                if !picked && segment.deep {
                    count += remove(item, segment);
                }
                !picked
            });
        }
        _ => {}
    }
    count
}

fn rename(node: &mut Node<'_>, name: &str, to: &str, deep: bool) -> usize {
    let mut count = 0;
    match opened(node, deep) {
        Node::Object(members) => {
            if name != to && members.iter().any(|member| member.key.is(name)) {
                members.retain(|member| !member.key.is(to));
            }
            for member in members {
                if deep {
                    count += rename(&mut member.value, name, to, deep);
                }
                if member.key.is(name) {
                    member.key = crate::document::Text::new(to);
                    count += 1;
                }
            }
        }
        Node::Array(items) if deep => count += items.iter_mut().map(|item| rename(item, name, to, deep)).sum::<usize>(),
        _ => {}
    }
    count
}

fn put_at<'j>(
    node: &mut Node<'j>,
    segments: &[Segment],
    value: &Node<'j>,
    only_missing: bool,
) -> Result<(), &'static str> {
    let Some((segment, rest)) = segments.split_first() else {
        if !only_missing || node.is_null() {
            *node = value.clone();
        }
        return Ok(());
    };
    match (&segment.pick, node.open()) {
        (Pick::Name(name), Node::Object(members)) => {
            let there = members.iter().rposition(|member| member.key.is(name));
            let place = match there {
                Some(index) => &mut members[index].value,
                None if rest.is_empty() => put(members, name, Node::Null),
                None => put(members, name, Node::Object(Vec::new())),
            };
            put_at(place, rest, value, only_missing)?;
            // One member of the name is left, so that nobody reads another value than was put there.
            if let Some(last) = members.iter().rposition(|member| member.key.is(name)) {
                let mut at = 0;
                members.retain(|member| {
                    at += 1;
                    at > last || !member.key.is(name)
                });
            }
            Ok(())
        }
        (Pick::Name(_), other) => Err(other.kind()),
        (Pick::Index(index), Node::Array(items)) => {
            let place = position(*index, items.len()).and_then(|at| items.get_mut(at));
            place.map_or(Ok(()), |item| put_at(item, rest, value, only_missing))
        }
        (Pick::All, Node::Array(items)) => {
            items.iter_mut().try_for_each(|item| put_at(item, rest, value, only_missing))
        }
        (Pick::All, Node::Object(members)) => {
            members.iter_mut().try_for_each(|member| put_at(&mut member.value, rest, value, only_missing))
        }
        (Pick::Index(_) | Pick::All, other) => Err(other.kind()),
    }
}

#[cfg(test)]
mod tests;
