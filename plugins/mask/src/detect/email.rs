//! E-mail addresses.
//!
//! A dot-atom (RFC 5322, with letters and digits of any script as RFC 6531 allows, less the signs that surround an
//! address more often than they are part of it), `@` or `%40`, and a domain of two labels or more, of which the last
//! is two letters or more, or begins with `xn--`. Quoted local parts and addresses in brackets (`a@[10.0.0.1]`) are not found.

use std::ops::Range;

pub(super) fn find(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    let mut from = 0;
    for (at, sign) in signs(text) {
        // A sign inside the find before it was its domain's end, or nothing.
        if at < from {
            continue;
        }
        let local = local_start(&text[from..at]);
        let domain = domain_len(&text[at + sign..]);
        if let (Some(local), Some(domain)) = (local, domain) {
            let end = at + sign + domain;
            found(from + local..end);
            from = end;
        } else {
            from = at + sign;
        }
    }
}

fn signs(text: &str) -> impl Iterator<Item = (usize, usize)> {
    text.bytes().enumerate().filter_map(move |(at, byte)| match byte {
        b'@' => Some((at, 1)),
        b'%' if text[at..].starts_with("%40") => Some((at, 3)),
        _ => None,
    })
}

/// Where the local part that ends the text begins.
fn local_start(text: &str) -> Option<usize> {
    let allowed = |c: char| c.is_alphanumeric() || "._%+-'~!#$^*".contains(c);
    let local = text.trim_end_matches(allowed);
    // What may be in a local part is as often a quote, a list's mark or the end of a sentence before it.
    let local = &text[local.len()..];
    let trimmed = local.trim_start_matches(['\'', '*', '.', '-', '!', '#', '^', '~']);
    (!trimmed.is_empty()).then(|| text.len() - trimmed.len())
}

/// The length of the longest domain that the text begins with.
fn domain_len(text: &str) -> Option<usize> {
    let mut end = 0;
    let mut labels = 0;
    let mut longest = None;
    loop {
        let rest = &text[end..];
        let label = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '-');
        let label = &rest[..rest.len() - label.len()];
        let trimmed = label.trim_end_matches('-');
        if trimmed.is_empty() || label.starts_with('-') {
            return longest;
        }
        labels += 1;
        let top_level = trimmed.chars().nth(1).is_some() && trimmed.chars().all(char::is_alphabetic);
        if labels > 1 && (top_level || trimmed.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"))) {
            longest = Some(end + trimmed.len());
        }
        end += label.len();
        if trimmed.len() < label.len() || !text[end..].starts_with('.') {
            return longest;
        }
        end += 1;
    }
}
