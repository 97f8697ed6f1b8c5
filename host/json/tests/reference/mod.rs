//! The same selection, plainly: documents are parsed by serde_json, paths are walked over the tree as the RFC tells it,
//! and no thought is given to speed. The property tests and the fuzz target hold the crate against it.

pub(crate) mod check;
pub(crate) mod evaluate;
pub(crate) mod generate;
pub(crate) mod path;
pub(crate) mod tree;
