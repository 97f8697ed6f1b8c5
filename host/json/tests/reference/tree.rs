//! A document as serde_json reads it, with duplicate keys kept.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Tree {
    Null,
    Boolean(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// The way from the root to a value: the position of each member or element.
pub(crate) type Location = Vec<usize>;

impl Tree {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    pub(crate) fn children(&self) -> Box<dyn Iterator<Item = &Tree> + '_> {
        match self {
            Self::Array(elements) => Box::new(elements.iter()),
            Self::Object(members) => Box::new(members.iter().map(|(_, value)| value)),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// The tree after some of its places were replaced or, with `None`, removed. Nothing is left if the root was.
    pub(crate) fn edited(&self, edits: &BTreeMap<Location, Option<Tree>>) -> Option<Tree> {
        self.edited_at(&mut Vec::new(), edits)
    }

    fn edited_at(&self, here: &mut Location, edits: &BTreeMap<Location, Option<Tree>>) -> Option<Tree> {
        if let Some(edit) = edits.get(here) {
            return edit.clone();
        }
        let mut child = |(index, value): (usize, &Tree)| {
            here.push(index);
            let edited = value.edited_at(here, edits);
            here.pop();
            edited
        };
        Some(match self {
            Self::Array(elements) => Self::Array(elements.iter().enumerate().filter_map(child).collect()),
            Self::Object(members) => {
                let members = members.iter().enumerate();
                Self::Object(
                    members.filter_map(|(index, (key, value))| Some((key.clone(), child((index, value))?))).collect(),
                )
            }
            scalar => scalar.clone(),
        })
    }

    /// Equality as the RFC has it for filters; of duplicate keys, each needs an equal one on the other side.
    pub(crate) fn equals(&self, other: &Tree) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(one), Self::Boolean(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::Array(one), Self::Array(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.equals(two))
            }
            (Self::Object(one), Self::Object(two)) => {
                let within = |one: &[(String, Tree)], two: &[(String, Tree)]| {
                    one.iter().all(|(key, value)| two.iter().any(|(name, other)| key == name && value.equals(other)))
                };
                within(one, two) && within(two, one)
            }
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }

    /// The order of two numbers or two strings.
    pub(crate) fn order(&self, other: &Tree) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(one), Self::Integer(two)) => Some(one.cmp(two)),
            (Self::Text(one), Self::Text(two)) => Some(one.chars().cmp(two.chars())),
            _ => self.double()?.partial_cmp(&other.double()?),
        }
    }

    fn double(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }
}

/// Equality to the letter: order of keys and duplicates count.
impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(one), Self::Boolean(two)) => one == two,
            (Self::Integer(one), Self::Integer(two)) => one == two,
            (Self::Float(one), Self::Float(two)) => one.to_bits() == two.to_bits(),
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::Array(one), Self::Array(two)) => one == two,
            (Self::Object(one), Self::Object(two)) => one == two,
            _ => false,
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Tree, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Tree::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Tree::Object(object))
    }
}
