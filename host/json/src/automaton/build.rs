//! From queries to states, by the subset construction.

use std::collections::{BTreeMap, HashMap};

use super::{Automaton, NOWHERE, State, StateId};
use crate::path::{Choice, Query, Segment};

/// How much is built at most, in positions over all subsets. Sets of paths that need more are answered over the tape:
/// a few descendant segments with wildcards after them would take exponential space.
const MAX_POSITIONS: usize = 1 << 16;

/// How many bytes of names are worth a position, since every state has its own copy of the names that lead on from it.
const NAME_BYTES_A_POSITION: usize = 16;

/// A place in a path: which path, and how many of its segments were taken.
type Position = (u32, u32);

/// Builds the automaton, unless a path needs more than the pass can tell, or all of them more space than is sensible.
pub(crate) fn build(queries: &[Query]) -> Option<Automaton> {
    let choices = queries.iter().flat_map(|query| &query.segments).flat_map(|segment| &segment.choices);
    if !choices.into_iter().all(is_local) {
        return None;
    }
    let mut builder = Builder { queries, ids: HashMap::new(), subsets: Vec::new(), positions: 0 };
    builder.id(Vec::new())?;
    let root = builder.id((0_u32..).take(queries.len()).map(|path| (path, 0)).collect())?;
    let mut states = Vec::new();
    while let Some(subset) = builder.subsets.get(states.len()) {
        let subset = subset.clone();
        states.push(builder.state(&subset)?);
    }
    Some(Automaton { states, root })
}

/// Whether a child's own key or index is enough to tell if it is taken.
fn is_local(choice: &Choice) -> bool {
    match *choice {
        Choice::Name(_) | Choice::Wildcard => true,
        Choice::Index(index) => index >= 0,
        Choice::Slice { start, end, step } => {
            step == 1 && start.is_none_or(|at| at >= 0) && end.is_none_or(|at| at >= 0)
        }
        Choice::Filter(_) => false,
    }
}

struct Builder<'q> {
    queries: &'q [Query],
    ids: HashMap<Vec<Position>, StateId>,
    /// The positions of each state, in the order of their ids.
    subsets: Vec<Vec<Position>>,
    /// How many positions there are in all subsets, and how many were put together for them.
    positions: usize,
}

/// Where the children of a place lead, before it is made into a state.
#[derive(Default)]
struct Moves<'q> {
    /// Every child.
    all: Vec<Position>,
    /// The members of a name.
    names: BTreeMap<(usize, &'q str), Vec<Position>>,
    /// The elements of a range, which ends before its second index.
    ranges: Vec<(u64, u64, Position)>,
}

impl<'q> Builder<'q> {
    /// The state of these positions, which may come in any order and more than once.
    fn id(&mut self, mut subset: Vec<Position>) -> Option<StateId> {
        subset.sort_unstable();
        subset.dedup();
        self.positions += subset.len() + 1;
        if self.positions > MAX_POSITIONS {
            return None;
        }
        if let Some(id) = self.ids.get(&subset) {
            return Some(*id);
        }
        let id = StateId::try_from(self.subsets.len()).ok()?;
        self.ids.insert(subset.clone(), id);
        self.subsets.push(subset);
        Some(id)
    }

    fn state(&mut self, subset: &[Position]) -> Option<State> {
        let queries = self.queries;
        let mut paths = Vec::new();
        let mut moves = Moves::default();
        for &(path, taken) in subset {
            match queries[path as usize].segments.get(taken as usize) {
                Some(segment) => moves.add(segment, (path, taken)),
                None => paths.push(path),
            }
        }
        let member = self.id(moves.all.clone())?;
        let mut names = Vec::with_capacity(moves.names.len());
        let mut lengths = 0;
        for ((_, name), mut positions) in moves.names {
            positions.extend_from_slice(&moves.all);
            self.positions += name.len() / NAME_BYTES_A_POSITION;
            let to = self.id(positions)?;
            if to != member {
                lengths |= 1 << (name.len() % 64);
                names.push((Box::from(name.as_bytes()), to));
            }
        }
        let elements = self.elements(&moves.all, &moves.ranges)?;
        Some(State {
            paths: paths.into(),
            lengths,
            enters_objects: member != NOWHERE || !names.is_empty(),
            enters_arrays: elements.iter().any(|&(_, to)| to != NOWHERE),
            names: names.into(),
            member,
            elements: elements.into(),
        })
    }

    /// Cuts the indices where any range begins or ends.
    fn elements(&mut self, all: &[Position], ranges: &[(u64, u64, Position)]) -> Option<Vec<(u64, StateId)>> {
        let mut cuts: Vec<u64> = ranges.iter().flat_map(|&(from, to, _)| [from, to]).chain([0]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut elements: Vec<(u64, StateId)> = Vec::new();
        for cut in cuts {
            self.positions += ranges.len();
            let mut positions = all.to_vec();
            let covering = ranges.iter().filter(|&&(from, to, _)| (from..to).contains(&cut));
            positions.extend(covering.map(|&(_, _, position)| position));
            let to = self.id(positions)?;
            if elements.last().is_none_or(|&(_, last)| last != to) {
                elements.push((cut, to));
            }
        }
        Some(elements)
    }
}

impl<'q> Moves<'q> {
    fn add(&mut self, segment: &'q Segment, here: Position) {
        if segment.descendant {
            self.all.push(here);
        }
        let next = (here.0, here.1 + 1);
        for choice in &segment.choices {
            match choice {
                Choice::Wildcard => self.all.push(next),
                Choice::Name(name) => self.names.entry((name.len(), name)).or_default().push(next),
                Choice::Index(index) => self.range(Some(*index), index.checked_add(1), next),
                Choice::Slice { start, end, .. } => self.range(*start, *end, next),
                // None of these gets here: see `is_local`.
                Choice::Filter(_) => {}
            }
        }
    }

    fn range(&mut self, start: Option<i64>, end: Option<i64>, next: Position) {
        let start = start.map_or(0, i64::unsigned_abs);
        let end = end.map_or(u64::MAX, i64::unsigned_abs);
        if start < end {
            self.ranges.push((start, end, next));
        }
    }
}
