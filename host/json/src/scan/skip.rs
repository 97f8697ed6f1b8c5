//! Finding the end of an array or object without reading it, in a payload that is known to be well-formed.
//!
//! Sixty-four bytes at a time: which of them are quotes, backslashes and brackets is a bit mask each, what is inside of
//! strings follows from the quotes by a carry-less product with ones, and brackets outside of strings are counted. This
//! is the first stage of simdjson (Langdale and Lemire, Parsing Gigabytes of JSON per Second, VLDB Journal 28, 2019)
//! with the brackets counted in place of being listed.

const BLOCK: usize = 64;

/// Which bytes of a block are what, the first one being the lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Masks {
    quotes: u64,
    backslashes: u64,
    /// `{` and `[`.
    opens: u64,
    /// `}` and `]`.
    closes: u64,
}

/// Where the container ends that begins at `start`: one byte after its bracket. `None` if it does not, which is not so
/// in a payload that is well-formed.
pub(super) fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut depth: u32 = 0;
    // All ones while a string goes on from the block before, and whether an escape does.
    let (mut in_string, mut escapes) = (0_u64, false);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let masks = match rest.first_chunk::<BLOCK>() {
            Some(block) => masks(block),
            None => {
                let mut block = [b' '; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                masks(&block)
            }
        };
        let quotes = masks.quotes & !escaped(masks.backslashes, &mut escapes);
        let strings = prefix_xor(quotes) ^ in_string;
        in_string = 0_u64.wrapping_sub(strings >> 63);
        let (opens, mut closes) = (masks.opens & !strings, masks.closes & !strings);
        if depth <= closes.count_ones() {
            // It may end in this block.
            let mut closed = 0;
            while closes != 0 {
                let place = closes.trailing_zeros();
                closed += 1;
                let opened = depth + (opens & ((1 << place) - 1)).count_ones();
                if opened <= closed {
                    return Some(at + place as usize + 1);
                }
                closes &= closes - 1;
            }
            depth = (depth + opens.count_ones()).checked_sub(closed)?;
        } else {
            depth = depth + opens.count_ones() - closes.count_ones();
        }
        at += BLOCK;
    }
    None
}

/// Which bytes are escaped by a backslash before them. `escapes` says whether the last byte of the block before escapes
/// the first of this, and is that for the next one after.
#[inline]
fn escaped(backslashes: u64, escapes: &mut bool) -> u64 {
    let mut escaped = u64::from(std::mem::take(escapes));
    let mut left = backslashes & !escaped;
    while left != 0 {
        let next = left.trailing_zeros() + 1;
        if next == u64::BITS {
            *escapes = true;
            break;
        }
        escaped |= 1 << next;
        // What is escaped does not escape.
        left &= left - 1;
        left &= !(1 << next);
    }
    escaped
}

/// Each bit is whether there is an odd number of ones up to it.
#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// What brackets have in common once the bit is set in which `[` and `{` differ, and so do `]` and `}`.
const SHAPE: u8 = 0x20;

#[cfg(target_arch = "x86_64")]
#[inline]
fn masks(block: &[u8; BLOCK]) -> Masks {
    // SAFETY: SSE2 is part of every x86-64.
    #[allow(unsafe_code, reason = "functions with target features are called in no other way")]
    unsafe {
        by_sse2(block)
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn by_sse2(block: &[u8; BLOCK]) -> Masks {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8};
    let mut masks = Masks { quotes: 0, backslashes: 0, opens: 0, closes: 0 };
    let (chunks, _) = block.as_chunks::<16>();
    for (chunk, number) in chunks.iter().zip(0..) {
        let (low, high) = chunk.split_at(8);
        let word = |half: &[u8]| i64::from_le_bytes(half.try_into().expect("half of sixteen bytes are eight"));
        let bytes = _mm_set_epi64x(word(high), word(low));
        let shapes = _mm_or_si128(bytes, _mm_set1_epi8(SHAPE.cast_signed()));
        let equal = |bytes, byte: u8| {
            let mask = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed())));
            u64::from(mask.cast_unsigned()) << (16 * number)
        };
        masks.quotes |= equal(bytes, b'"');
        masks.backslashes |= equal(bytes, b'\\');
        masks.opens |= equal(shapes, b'{');
        masks.closes |= equal(shapes, b'}');
    }
    masks
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn masks(block: &[u8; BLOCK]) -> Masks {
    portable(block)
}

/// The same with words of eight bytes.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn portable(block: &[u8; BLOCK]) -> Masks {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const LOW: u64 = ONES * 0x7f;
    let mut masks = Masks { quotes: 0, backslashes: 0, opens: 0, closes: 0 };
    let (words, _) = block.as_chunks::<8>();
    for (word, number) in words.iter().zip(0..) {
        let bytes = u64::from_le_bytes(*word);
        let shapes = bytes | (ONES * u64::from(SHAPE));
        let equal = |bytes: u64, byte: u8| {
            let differ = bytes ^ (ONES * u64::from(byte));
            // A byte's top bit is set where it is zero, and nowhere else; the product gathers these bits in the top byte.
            let zeros = !((differ & LOW).wrapping_add(LOW) | differ | LOW);
            ((zeros >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * number)
        };
        masks.quotes |= equal(bytes, b'"');
        masks.backslashes |= equal(bytes, b'\\');
        masks.opens |= equal(shapes, b'{');
        masks.closes |= equal(shapes, b'}');
    }
    masks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_ends_at_the_bracket_that_is_its_own() {
        for (text, end) in [
            ("{}", Some(2)),
            ("[[],{\"]\":\"}\\\"]\"}]x", Some(17)),
            ("[\"\\\\\"]]", Some(6)),
            ("[", None),
            ("[\"]", None),
            ("", None),
        ] {
            assert_eq!(container_end(text.as_bytes(), 0), end, "{text}");
        }
        for spaces in 0..200 {
            let text =
                format!("{}[\"{}\\\\\\\"]\",{}{{}}]]", " ".repeat(spaces), "x".repeat(spaces), " ".repeat(spaces));
            assert_eq!(container_end(text.as_bytes(), spaces), Some(text.len() - 1), "{spaces}");
        }
    }

    proptest! {
        #[test]
        fn all_masks_are_those_of_a_look_at_each_byte(
            block in prop::array::uniform32(prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[]\x02\x1a\x5a\x7c\xfb\xa2".as_slice())]),
        ) {
            let mut twice = [0; BLOCK];
            twice[..32].copy_from_slice(&block);
            twice[32..].copy_from_slice(&block);
            let of = |set: &[u8]| {
                (0..).zip(&twice).map(|(place, byte)| u64::from(set.contains(byte)) << place).fold(0, |all, bit: u64| all | bit)
            };
            let expected = Masks { quotes: of(b"\""), backslashes: of(b"\\"), opens: of(b"[{"), closes: of(b"]}") };
            prop_assert_eq!(masks(&twice), expected);
            prop_assert_eq!(portable(&twice), expected);
        }
    }
}
