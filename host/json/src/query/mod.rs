//! Paths of every kind, answered over a tape that the validating pass wrote.

mod compare;
mod filter;
mod number;
mod tape;
mod walk;

use smallvec::SmallVec;

use crate::error::PayloadError;
use crate::limits::{Budget, Limits};
use crate::matches::Match;
use crate::path::Query;
use crate::scan;
use filter::Given;
use tape::{NodeId, ROOT, Tape};

/// Every match, in document order.
pub(crate) fn select(
    queries: &[Query],
    roots: usize,
    payload: &[u8],
    limits: &Limits,
    out: &mut Vec<Match>,
) -> Result<(), PayloadError> {
    let mut writer = tape::Writer::new(payload.len());
    let text = scan::read(payload, limits, scan::Known::Nothing, &mut writer)?;
    let tape = writer.finish(text);
    let mut evaluation = Evaluation { tape: &tape, budget: Budget::new(limits), roots: vec![None; roots], given: None };
    let mut found: Vec<(NodeId, u32)> = Vec::new();
    for (path, query) in (0_u32..).zip(queries) {
        let nodes = evaluation.query(query, ROOT)?;
        found.extend(nodes.iter().map(|found| (found.node, path)));
        if found.len() > limits.max_matches as usize {
            return Err(PayloadError::Limit(format!("the paths match more than {} places", limits.max_matches)));
        }
    }
    found.sort_unstable();
    out.extend(found.into_iter().map(|(node, path)| tape.place(node, path)));
    Ok(())
}

/// A node, and how often a nodelist holds it: `count` and `value` want to know, and counting is cheaper than listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    node: NodeId,
    times: u64,
}

/// A nodelist, in document order, each node once.
type Nodes = SmallVec<[Found; 4]>;

/// The paths of one selector over one payload.
struct Evaluation<'p, 'l> {
    tape: &'p Tape<'p>,
    budget: Budget<'l>,
    /// What the queries in filters that start at the root have found: it is the same for every node.
    roots: Vec<Option<Nodes>>,
    /// The last regular expression that was found in the payload, and what came of it.
    given: Option<Given>,
}
