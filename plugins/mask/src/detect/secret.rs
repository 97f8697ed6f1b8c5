//! Tokens and keys: whoever has one may do what it allows.
//!
//! * `jwt`: a JSON Web Token, signed or not (RFC 7519; JWS and JWE compact form): base64url that begins as a JSON object
//!   does, and two to four more parts. Letters may touch it in front.
//! * `bearer`: what follows the word `Bearer` (RFC 6750) and white space, `:`, `=` or `%20`: [`MIN_BEARER`] characters or
//!   more, or any number of them where the text is nothing but the word and the token.
//! * `secret`: both of these; what follows `Basic` (RFC 7617); private keys in PEM (RFC 7468), up to their end or the
//!   end of the text; and the tokens of well-known services, which begin with a mark of their own ([`MARKS`]).

use std::ops::Range;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// What a service's tokens begin with, how many more characters they have at least, and which beside letters and digits.
#[rustfmt::skip]
const MARKS: &[(&str, usize, &str)] = &[
    ("AKIA", 16, ""), ("ASIA", 16, ""),                                             // AWS access key ids
    ("ghp_", 36, ""), ("gho_", 36, ""), ("ghu_", 36, ""), ("ghs_", 36, ""), ("ghr_", 36, ""),
    ("github_pat_", 22, "_"),
    ("glpat-", 20, "_-"),                                                           // GitLab
    ("sk_live_", 16, ""), ("sk_test_", 16, ""), ("rk_live_", 16, ""), ("rk_test_", 16, ""), ("whsec_", 16, "+/="), // Stripe
    ("sk-", 20, "_-"),                                                              // OpenAI, Anthropic
    ("xoxa-", 10, "-"), ("xoxb-", 10, "-"), ("xoxe-", 10, "-"), ("xoxp-", 10, "-"), ("xoxr-", 10, "-"), ("xoxs-", 10, "-"),
    ("xapp-", 10, "-"),                                                             // Slack
    ("AIza", 35, "_-"), ("ya29.", 20, "_-."),                                       // Google
    ("SG.", 40, "_-."),                                                             // SendGrid
    ("npm_", 36, ""), ("pypi-", 40, "_-"), ("hf_", 30, ""), ("dop_v1_", 64, ""), ("shpat_", 32, ""),
    ("hvs.", 20, "_-"),                                                             // Vault
];

const BEARER: &str = "bearer";
/// Fewer are more often a word of a sentence (`bearer of bad news`).
const MIN_BEARER: usize = 6;

const PEM_BEGIN: &str = "-----BEGIN ";
const PEM_END: &str = "-----END ";
const PEM_KEY: &str = "PRIVATE KEY-----";
const MAX_PEM_KIND: usize = 32;

pub(super) fn any(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    jwt(text, found);
    bearer(text, found);
    scheme(text, "basic", &is_basic, found);
    marked(text, found);
    pem(text, found);
}

pub(super) fn jwt(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    for run in runs(text, |byte| part(byte) || byte == b'.') {
        let mut start = run.start;
        let parts: Vec<&str> = text[run].split('.').collect();
        let mut index = 0;
        while index < parts.len() {
            // `{"`, `{ ` and `{` with a line feed, in base64url.
            let begins = ["eyJ", "eyA", "ewo", "ew0"].iter().any(|begin| parts[index].starts_with(begin));
            // Only the usual one is looked for after other letters, where chance might spell it.
            let glued = if begins { Some(0) } else { parts[index].find("eyJ") };
            let header = glued.filter(|glued| parts[index].len() - glued >= 8);
            let count = (parts.len() - index).min(5);
            let taken = if header.is_some() && count >= 3 { count } else { 1 };
            let length = parts[index..index + taken].iter().map(|part| part.len() + 1).sum::<usize>();
            if let Some(glued) = header.filter(|_| taken > 1) {
                found(start + glued..start + length - 1);
            }
            start += length;
            index += taken;
        }
    }
}

pub(super) fn bearer(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+/=%:|!$*@".contains(c);
    let text = text.trim_end();
    let begin = text.len() - text.trim_start().len();
    let mut from = 0;
    let is_name = |word: &[u8]| word.eq_ignore_ascii_case(BEARER.as_bytes());
    while let Some(name) = text.as_bytes()[from..].windows(BEARER.len()).position(is_name).map(|at| from + at) {
        let after = name + BEARER.len();
        let start = after + gap(&text[after..]);
        from = start;
        if start == after || is_glued(&text[..name]) {
            continue;
        }
        let rest = &text[start..];
        if name == begin && !rest.contains(char::is_whitespace) {
            let token = rest.trim_end_matches(['"', '\'', '>', ']', '\\']);
            if !token.is_empty() {
                found(start..start + token.len());
            }
            return;
        }
        let token = rest.split(|c| !allowed(c)).next().unwrap_or_default().trim_end_matches(['.', ':']);
        if token.len() >= MIN_BEARER && !token.eq_ignore_ascii_case(BEARER) {
            from = start + token.len();
            found(start..from);
        }
    }
}

/// The length of what stands between the word and its token, quotation marks included; 0 if nothing sets them apart.
fn gap(text: &str) -> usize {
    let mut rest = text;
    let mut apart = false;
    loop {
        let next =
            rest.strip_prefix("%20").or_else(|| rest.strip_prefix(|c: char| c.is_whitespace() || ":=".contains(c)));
        apart |= next.is_some();
        match next.or_else(|| rest.strip_prefix(['"', '\'', '<', '[', '\\'])) {
            Some(next) => rest = next,
            None => return if apart { text.len() - rest.len() } else { 0 },
        }
    }
}

/// Whether the text ends with a letter or digit that is not a percent escape's.
fn is_glued(text: &str) -> bool {
    let escape = text
        .len()
        .checked_sub(3)
        .and_then(|start| text.get(start..))
        .is_some_and(|end| end.starts_with('%') && end.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit()));
    text.ends_with(char::is_alphanumeric) && !escape
}

/// The credentials (`token68` of RFC 9110) after the name of an authentication scheme.
fn scheme(text: &str, name: &str, accept: &dyn Fn(&str) -> bool, found: &mut dyn FnMut(Range<usize>)) {
    let mut words = runs(text, |byte| !byte.is_ascii_whitespace()).peekable();
    while let Some(word) = words.next() {
        let (before, last) = text[..word.end].split_at(ends_with_name(&text[..word.end], name).unwrap_or(word.end));
        let named = !last.is_empty() && !before.ends_with(char::is_alphanumeric);
        if let Some(next) = words.peek().filter(|_| named) {
            let start = next.end - text[next.clone()].trim_start_matches(['"', '\'', '<', '[']).len();
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
            let token = text[start..next.end].split(|c| !allowed(c)).next().unwrap_or_default().trim_end_matches('.');
            if accept(token) {
                found(start..start + token.len());
            }
        }
    }
}

/// Where the name begins, in any case, that the text ends with.
fn ends_with_name(text: &str, name: &str) -> Option<usize> {
    let start = text.len().checked_sub(name.len())?;
    text.get(start..).filter(|end| end.eq_ignore_ascii_case(name)).map(|_| start)
}

/// Base64 of `user:password`.
fn is_basic(token: &str) -> bool {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    engine.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()).is_some_and(|text| text.contains(':'))
}

fn marked(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    let mut end = 0;
    for run in runs(text, |byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        if run.start < end {
            continue;
        }
        let rest = &text[run.start..];
        for (mark, min, beside) in MARKS {
            let Some(after) = rest.strip_prefix(mark) else { continue };
            let length =
                after.bytes().take_while(|b| b.is_ascii_alphanumeric() || beside.as_bytes().contains(b)).count();
            if length >= *min {
                end = run.start + mark.len() + length;
                found(run.start..end);
                break;
            }
        }
    }
}

fn pem(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    let mut from = 0;
    while let Some(start) = text[from..].find(PEM_BEGIN).map(|at| from + at) {
        from = start + PEM_BEGIN.len();
        // The label of a key is `PRIVATE KEY`, perhaps with a kind of at most this many bytes before it.
        let kind =
            text[from..].bytes().take(MAX_PEM_KIND).take_while(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b' '));
        let label = from + kind.count();
        let key = (from..=label).rev().find(|at| text[*at..].starts_with(PEM_KEY));
        if let Some(key) = key {
            let close = |from: usize| text[from..].find(PEM_KEY).map_or(text.len(), |at| from + at + PEM_KEY.len());
            from = text[key..].find(PEM_END).map_or(text.len(), |at| close(key + at));
            found(start..from);
        }
    }
}

/// The longest runs of bytes that are all taken. All bytes of a character outside ASCII must be treated alike.
fn runs(text: &str, take: impl Fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text.as_bytes()[at..].iter().position(|byte| take(*byte))?;
        at = start + text.as_bytes()[start..].iter().take_while(|byte| take(**byte)).count();
        Some(start..at)
    })
}
