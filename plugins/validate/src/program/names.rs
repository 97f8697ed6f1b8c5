//! The members of an object that a schema speaks of, found by their keys.

use super::NodeId;

/// A key, ready to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'k> {
    len: usize,
    /// The first eight bytes, zeros after the end. Most keys are told apart by this alone.
    head: u64,
    bytes: &'k [u8],
}

impl<'k> Key<'k> {
    /// The bytes between the quotes of a key without escapes.
    #[inline]
    pub(super) fn new(bytes: &'k [u8]) -> Self {
        Self { len: bytes.len(), head: head(bytes), bytes }
    }

    #[inline]
    fn is(&self, name: &Name) -> bool {
        self.head == name.head && self.len == name.bytes.len() && (self.len <= 8 || *self.bytes == *name.bytes)
    }
}

/// The first eight bytes as a number.
#[inline]
fn head(bytes: &[u8]) -> u64 {
    if let Some(whole) = bytes.first_chunk::<8>() {
        return u64::from_le_bytes(*whole);
    }
    // Two loads that overlap, rather than up to seven.
    let (len, word) = (bytes.len(), |part: &[u8; 4]| u64::from(u32::from_le_bytes(*part)));
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => word(first) | word(last) << (8 * (len - 4)),
        _ => bytes.iter().rev().fold(0, |head, byte| head << 8 | u64::from(*byte)),
    }
}

/// A name, and what its value has to match.
#[derive(Debug)]
pub(super) struct Name {
    head: u64,
    bytes: Box<[u8]>,
    pub(super) node: NodeId,
}

/// At most [`Names::MAX`] names.
#[derive(Debug)]
pub(super) struct Names {
    /// By length, then by their bytes.
    names: Box<[Name]>,
    /// The lengths there are: one bit each, modulo 64.
    lengths: u64,
    /// Those that have to be there.
    required: Seen,
}

/// A set of names, by their places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen([u64; Names::MAX / 64]);

impl Seen {
    /// Adds a name; false if it was there.
    #[inline]
    pub(super) fn add(&mut self, name: usize) -> bool {
        let (word, bit) = (&mut self.0[name / 64 % (Names::MAX / 64)], 1 << (name % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn has_all(&self, others: &Self) -> bool {
        self.0.iter().zip(&others.0).all(|(seen, other)| seen & other == *other)
    }
}

impl Names {
    /// How many names a schema may speak of.
    pub(super) const MAX: usize = 256;
    /// Few names are compared faster one by one than by halving.
    const FEW: usize = 16;

    /// Nothing if there are too many.
    pub(super) fn new(mut names: Vec<(String, NodeId, bool)>) -> Option<Self> {
        if names.len() > Self::MAX {
            return None;
        }
        names.sort_by(|(left, ..), (right, ..)| left.len().cmp(&right.len()).then_with(|| left.cmp(right)));
        let (mut lengths, mut required) = (0, Seen::default());
        for (place, (name, _, is_required)) in names.iter().enumerate() {
            lengths |= 1 << (name.len() % 64);
            if *is_required {
                required.add(place);
            }
        }
        let name = |(name, node, _): (String, NodeId, bool)| Name {
            head: head(name.as_bytes()),
            bytes: name.into_bytes().into(),
            node,
        };
        Some(Self { names: names.into_iter().map(name).collect(), lengths, required })
    }

    /// The name that a key is, and its place.
    #[inline]
    pub(super) fn find(&self, key: Key<'_>) -> Option<(usize, &Name)> {
        if self.lengths >> (key.len % 64) & 1 == 0 {
            return None;
        }
        if self.names.len() <= Self::FEW {
            return self.names.iter().enumerate().find(|(_, name)| key.is(name));
        }
        let order = |name: &Name| name.bytes.len().cmp(&key.len).then_with(|| name.bytes[..].cmp(key.bytes));
        self.names.binary_search_by(order).ok().map(|place| (place, &self.names[place]))
    }

    /// Whether every name that has to be there was seen.
    #[inline]
    pub(super) fn are_complete(&self, seen: &Seen) -> bool {
        seen.has_all(&self.required)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_all_of_their_bytes() {
        let texts: Vec<String> =
            (0..40).map(|n| "abcdefghijklmnopqrstuvwxyz".chars().cycle().skip(n % 3).take(n / 2).collect()).collect();
        let mut distinct = texts.clone();
        distinct.sort();
        distinct.dedup();
        for few in [true, false] {
            let known = if few { &distinct[..Names::FEW] } else { &distinct[..] };
            let names = Names::new(known.iter().map(|name| (name.clone(), 7, false)).collect()).expect("few");
            for text in &texts {
                let found = names.find(Key::new(text.as_bytes()));
                assert_eq!(found.map(|(_, name)| &*name.bytes), known.contains(text).then_some(text.as_bytes()));
            }
        }
    }

    #[test]
    fn a_head_is_the_first_eight_bytes_however_few_there_are() {
        for len in 0..12 {
            let text = &b"\x81\x02\xf3\x04\x05\x96\x07\x08\x09\x0a\x0b\x0c"[..len];
            let mut padded = [0; 8];
            padded[..len.min(8)].copy_from_slice(&text[..len.min(8)]);
            assert_eq!(head(text), u64::from_le_bytes(padded), "{len}");
        }
    }

    #[test]
    fn too_many_names_are_refused() {
        let names = |count: usize| (0..count).map(|n| (n.to_string(), 0, false)).collect();
        assert!(Names::new(names(Names::MAX)).is_some());
        assert!(Names::new(names(Names::MAX + 1)).is_none());
    }
}
