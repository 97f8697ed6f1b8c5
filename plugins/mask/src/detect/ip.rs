//! IP addresses.
//!
//! IPv4: four numbers of 0 to 255 of at most three digits each, no other number touching them by a full stop: five
//! are a version or an OID. Letters may touch them. IPv6: any text form of RFC 4291 with at least one digit in it, so that `a::b` of a program is not
//! one, and no other letter or digit touching it. A port, a prefix length or a zone is left standing.

use std::net::Ipv6Addr;
use std::ops::Range;

/// The longest text form of an address, `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`.
const MAX_LEN: usize = 45;

pub(super) fn find(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|byte| matches!(byte, b'.' | b':')) {
        return;
    }
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_part(**byte)).count();
        let run = at..at + length;
        if length > 0 {
            search_run(text, run, found);
        }
        at += length.max(1);
    }
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':')
}

/// Whether a letter or digit goes on where the run begins or ends with one.
fn touched(text: &str, run: &Range<usize>) -> bool {
    let alphanumeric = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let bytes = text.as_bytes();
    (alphanumeric(text[..run.start].chars().next_back()) && bytes[run.start].is_ascii_hexdigit())
        || (alphanumeric(text[run.end..].chars().next()) && bytes[run.end - 1].is_ascii_hexdigit())
}

fn search_run(text: &str, run: Range<usize>, found: &mut dyn FnMut(Range<usize>)) {
    if let Some(address) = v6(&text[run.clone()]).filter(|_| !touched(text, &run)) {
        found(run.start + address.start..run.start + address.end);
        return;
    }
    // IPv4 addresses, perhaps with ports (`10.0.0.1:8080`) or as a range (`10.0.0.1..10.0.0.9`).
    let base = text.as_ptr() as usize;
    let not_part = |c: char| !(c.is_ascii_digit() || c == '.');
    for part in text[run].split(not_part).flat_map(|part| part.split("..")) {
        let address = part.trim_matches('.');
        if is_v4(address) {
            let start = address.as_ptr() as usize - base;
            found(start..start + address.len());
        }
    }
}

/// Leading zeros are allowed: logs have them, whether they mean octal or not.
fn is_v4(text: &str) -> bool {
    let mut numbers = text.split('.');
    let four = numbers.by_ref().take(4).filter(|number| number.len() <= 3 && number.parse::<u8>().is_ok()).count() == 4;
    four && numbers.next().is_none()
}

/// Where in the run an IPv6 address is: all of it but the full stops and the single colon that introduce it or that
/// end its clause.
fn v6(run: &str) -> Option<Range<usize>> {
    let end = run.trim_end_matches('.').len();
    let start = end - run[..end].trim_start_matches('.').len();
    let part = &run[start..end];
    // Two colons are part of an address; of one or three, one is not.
    let front = (part.len() - part.trim_start_matches(':').len()) % 2;
    let back = (part.len() - part.trim_end_matches(':').len()) % 2;
    let address = start + front..end.checked_sub(back)?;
    (address.len() <= MAX_LEN && is_v6(run.get(address.clone())?)).then_some(address)
}

fn is_v6(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.contains(':') && text.parse::<Ipv6Addr>().is_ok()
}
