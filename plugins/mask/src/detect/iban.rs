//! International bank account numbers.
//!
//! A country of the IBAN registry (or of those that use the form without being in it), two check digits and letters
//! or digits up to the country's length, of which the remainder modulo 97 is 1 (ISO 13616, ISO 7064). In either
//! case, in groups or not, with one space or hyphen between two. Letters and digits may touch it: its length is known.
//! UUIDs and digests are left alone.

use std::ops::Range;

use super::digits::is_separator;
use super::opaque;

/// Country codes and the length of their IBANs.
const COUNTRIES: &str = "AD24AE23AL28AO25AT20AZ28BA20BE16BF28BG22BH22BI27BJ28BR29BY28CF27CG27CH21CI28CM27CR22CV25CY28\
    CZ24DE22DJ27DK18DO28DZ26EE20EG29ES24FI18FK18FO18FR27GA27GB22GE22GI23GL18GQ27GR27GT28GW25HN28HR21HU28IE22IL23IQ23\
    IR26IS26IT27JO30KM27KW30KZ20LB28LC32LI21LT20LU20LV21LY25MA28MC27MD24ME22MG27MK19ML28MN20MR27MT31MU30MZ25NE28NI28\
    NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SN28SO23ST25SV28TD27TG28TL23TN24TR26UA29\
    VA22VG24XK20YE30";

pub(super) fn find(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    let mut opaque = opaque::spans(text).into_iter().peekable();
    let mut before = None;
    for (at, c) in text.char_indices() {
        while opaque.next_if(|span| span.end <= at).is_some() {}
        let hidden = opaque.peek().is_some_and(|span| span.contains(&at));
        // Two letters that end a word are a country only if the check digits follow at once.
        let word = before.replace(c).is_none_or(|before| !before.is_alphanumeric());
        let begins = c.is_ascii_alphabetic() && (word || text.as_bytes().get(at + 2).is_some_and(u8::is_ascii_digit));
        if let Some(range) = (begins && !hidden).then(|| iban_at(text, at)).flatten() {
            found(range);
        }
    }
}

fn iban_at(text: &str, start: usize) -> Option<Range<usize>> {
    let rest = &text[start..];
    let expected = length_of(rest.get(..2)?)?;
    let mut number = Vec::with_capacity(expected);
    let mut separated = true;
    for (at, c) in rest.char_indices() {
        if c.is_ascii_alphanumeric() {
            number.push(c.to_ascii_uppercase());
            separated = false;
            if number.len() == expected {
                return checks(&number).then_some(start..start + at + 1);
            }
        } else if separated || !is_separator(c) {
            return None;
        } else {
            separated = true;
        }
    }
    None
}

fn length_of(country: &str) -> Option<usize> {
    let entry =
        COUNTRIES.as_bytes().chunks_exact(4).find(|entry| entry[..2].eq_ignore_ascii_case(country.as_bytes()))?;
    Some(usize::from(entry[2] - b'0') * 10 + usize::from(entry[3] - b'0'))
}

/// The first four characters go last, letters count as 10 to 35, and the whole is 1 modulo 97.
fn checks(number: &[char]) -> bool {
    if !number[2..4].iter().all(char::is_ascii_digit) {
        return false;
    }
    let moved = number[4..].iter().chain(&number[..4]);
    let remainder = moved.fold(0, |remainder, c| match c.to_digit(36) {
        Some(value @ 0..=9) => (remainder * 10 + value) % 97,
        Some(value) => (remainder * 100 + value) % 97,
        None => remainder,
    });
    remainder == 1
}
