//! What a condition, a table or a split leads to.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use trackside_plugin::{Setup, SetupError, Verdict};

/// A decision: routes by name, or an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Publish to these routes.
    Routes(Vec<String>),
    /// Acknowledge and forget: why.
    Drop(String),
    /// Dead-letter: why.
    Reject(String),
}

impl Target {
    pub(crate) fn check(&self, setup: &Setup) -> Result<(), SetupError> {
        let Self::Routes(names) = self else { return Ok(()) };
        if names.is_empty() {
            return Err(SetupError::new("the list is empty; name a route, or write { drop = \"why\" }"));
        }
        names.iter().try_for_each(|name| setup.check_route(name))
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Routes(names) => Verdict::Route(names.clone()),
            Self::Drop(reason) => Verdict::Drop(reason.clone()),
            Self::Reject(reason) => Verdict::Reject(reason.clone()),
        }
    }
}

/// By hand, since an untagged enum cannot say which key is wrong.
impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

struct TargetVisitor;

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum End {
    Drop(String),
    Reject(String),
}

impl<'de> Visitor<'de> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a route, a list of names, { drop = \"why\" } or { reject = \"why\" }")
    }

    fn visit_str<E>(self, name: &str) -> Result<Target, E> {
        Ok(Target::Routes(vec![name.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<Target, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(names)).map(Target::Routes)
    }

    fn visit_map<A: MapAccess<'de>>(self, end: A) -> Result<Target, A::Error> {
        Ok(match End::deserialize(MapAccessDeserializer::new(end))? {
            End::Drop(reason) => Target::Drop(reason),
            End::Reject(reason) => Target::Reject(reason),
        })
    }
}
