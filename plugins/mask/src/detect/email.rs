//! E-mail addresses.
//!
//! A dot-atom (RFC 5322, with letters and digits of any script as RFC 6531 allows, less the signs that surround an
//! address more often than they are part of it), or a quoted string of at most 64 bytes; `@`, also full-width, or
//! `%40`, also escaped once more; and a domain of two labels or more, of which the last begins with two letters. Labels
//! may have underscores, and the full stops of IDNA (RFC 3490) between them. Addresses in brackets (`a@[10.0.0.1]`) are
//! not found.

use std::ops::Range;

const SIGNS: [&str; 5] = ["@", "＠", "﹫", "%40", "%2540"];
const FULL_STOPS: [char; 4] = ['.', '。', '．', '｡'];
/// RFC 5321, section 4.5.3.1.1.
const MAX_QUOTED: usize = 64;

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
    text.char_indices().filter(|(_, c)| matches!(c, '@' | '＠' | '﹫' | '%')).filter_map(move |(at, _)| {
        let sign = SIGNS.iter().find(|sign| text[at..].starts_with(**sign))?;
        Some((at, sign.len()))
    })
}

/// Where the local part that ends the text begins.
fn local_start(text: &str) -> Option<usize> {
    if let Some(quoted) = text.strip_suffix('"') {
        return quote_start(quoted);
    }
    let allowed = |c: char| c.is_alphanumeric() || "._%+-'~!#$^*".contains(c);
    let local = text.trim_end_matches(allowed);
    // What may be in a local part is as often a quote, a list's mark or the end of a sentence before it.
    let local = &text[local.len()..];
    let trimmed = local.trim_start_matches(['\'', '*', '.', '-', '!', '#', '^', '~']);
    (!trimmed.is_empty()).then(|| text.len() - trimmed.len())
}

/// Where the quotation mark is that opens what the text ends with.
fn quote_start(text: &str) -> Option<usize> {
    let near = text.floor_char_boundary(text.len().saturating_sub(MAX_QUOTED));
    let mut marks = text[near..].rmatch_indices('"').map(|(at, _)| near + at).filter(|at| at + 1 < text.len());
    let nearest = marks.clone().next()?;
    Some(marks.find(|at| !text[..*at].ends_with('\\')).unwrap_or(nearest))
}

/// The length of the longest domain that the text begins with.
fn domain_len(text: &str) -> Option<usize> {
    let mut end = 0;
    let mut labels = 0;
    let mut longest = None;
    loop {
        let rest = &text[end..];
        let label = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '-' || c == '_');
        let label = &rest[..rest.len() - label.len()];
        let trimmed = label.trim_end_matches(['-', '_']);
        if trimmed.is_empty() || label.starts_with('-') {
            return longest;
        }
        labels += 1;
        // What is glued to the top-level domain is masked along with it, or a part of what follows would be left over.
        let top_level = trimmed.chars().take_while(|c| c.is_alphabetic()).nth(1).is_some();
        if labels > 1 && top_level {
            longest = Some(end + trimmed.len());
        }
        end += label.len();
        match text[end..].chars().next().filter(|c| FULL_STOPS.contains(c) && trimmed.len() == label.len()) {
            Some(full_stop) => end += full_stop.len_utf8(),
            None => return longest,
        }
    }
}
