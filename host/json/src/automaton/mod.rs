//! Paths without filters and without counting from the end, as a deterministic automaton over keys and indices.
//!
//! One state says everything that has to be known of a place: which paths match it, and where to go from it. It is
//! followed while the validating pass goes over the payload, and a container whose state leads nowhere is skipped.

mod build;
mod follow;

pub(crate) use build::build;
pub(crate) use follow::select;

/// Index of a state.
type StateId = u32;

/// The state of a place that no path matches, with nothing to be matched in it.
const NOWHERE: StateId = 0;

/// See the module.
#[derive(Debug)]
pub(crate) struct Automaton {
    states: Vec<State>,
    root: StateId,
}

impl Automaton {
    /// The memory that it takes, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.states.iter().map(State::heap_bytes).sum()
    }
}

/// What there is to know of a place.
#[derive(Debug, Default)]
struct State {
    /// The paths that match the place, in order.
    paths: Box<[u32]>,
    /// Which lengths the names have that lead elsewhere than `member`: one bit each, modulo 64.
    lengths: u64,
    /// The names that lead elsewhere than `member`, by length and then by their bytes.
    names: Box<[(Box<[u8]>, StateId)]>,
    /// Where every other member leads.
    member: StateId,
    /// Where the elements lead: from which index on, where to. The first is from index 0.
    elements: Box<[(u64, StateId)]>,
    /// Whether any member leads somewhere.
    enters_objects: bool,
    /// Whether any element leads somewhere.
    enters_arrays: bool,
}

impl State {
    /// Few names are compared faster one by one than by halving.
    const FEW: usize = 8;

    fn heap_bytes(&self) -> usize {
        let names = self.names.iter().map(|name| size_of_val(name) + name.0.len()).sum::<usize>();
        size_of::<Self>() + size_of_val(&*self.paths) + names + size_of_val(&*self.elements)
    }

    /// Where a member leads whose key is `name`, unescaped.
    #[inline]
    fn member(&self, name: &[u8]) -> StateId {
        if self.lengths >> (name.len() % 64) & 1 == 0 {
            return self.member;
        }
        let found = if self.names.len() <= Self::FEW {
            self.names.iter().find(|(known, _)| **known == *name)
        } else {
            let order = |(known, _): &(Box<[u8]>, _)| known.len().cmp(&name.len()).then_with(|| known[..].cmp(name));
            self.names.binary_search_by(order).ok().map(|index| &self.names[index])
        };
        found.map_or(self.member, |(_, to)| *to)
    }
}
