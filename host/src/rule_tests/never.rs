//! Values that must not come out, looked for in everything that comes out: subjects, headers, payloads and reasons, as
//! they are and as JSON may spell them.

use std::borrow::Cow;
use std::fmt;

use super::happened::Happened;
use crate::events::decoded;
use crate::pipeline::header;

/// How often JSON that is text inside of JSON is unescaped.
const MAX_ROUNDS: usize = 8;

/// Bytes that are shown around what was found.
const SHOWN_AROUND: usize = 24;

/// Headers that the host makes of the configuration and the clock alone. A digest has any digits in it by chance.
const OURS: [&str; 5] = [header::REVISION, header::PLUGIN_DIGEST, header::TIME, header::FIRST_TIME, header::LAST_TIME];

/// A value that came out and must not.
#[derive(Debug, PartialEq, Eq)]
pub struct Leak {
    /// The value.
    pub text: String,
    /// What it came out with, by its position.
    pub happened: usize,
    /// Where it is.
    pub place: Place,
    /// What is around it.
    pub excerpt: String,
}

/// Where a value can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the subject.
    Subject,
    /// In the name or a value of this header.
    Header(String),
    /// In the payload.
    Payload,
    /// In the reason, which is logged.
    Reason,
}

/// Looks for each of the texts in everything that happened; each place is told once.
pub(super) fn leaks(never: &[String], happened: &[Happened]) -> Vec<Leak> {
    let mut leaks = Vec::new();
    for (position, happened) in happened.iter().enumerate() {
        let readings: Vec<_> = places(happened).into_iter().map(|(place, bytes)| (place, readings(bytes))).collect();
        for text in never {
            for (place, readings) in &readings {
                if let Some(excerpt) = readings.iter().find_map(|reading| excerpt(reading, text.as_bytes())) {
                    leaks.push(Leak { text: text.clone(), happened: position, place: place.clone(), excerpt });
                }
            }
        }
    }
    leaks
}

fn places(happened: &Happened) -> Vec<(Place, Cow<'_, [u8]>)> {
    let mut places = vec![(Place::Payload, Cow::Borrowed(&happened.payload[..]))];
    places.extend(happened.subject.iter().map(|subject| (Place::Subject, Cow::Borrowed(subject.as_bytes()))));
    // A value in a URL is percent-encoded.
    let urls = happened.subject.iter().filter(|subject| subject.contains('%'));
    places.extend(urls.map(|url| (Place::Subject, Cow::Owned(decoded(url).into_bytes()))));
    for header in happened.headers.iter().filter(|header| !OURS.contains(&header.name.as_ref())) {
        let line = format!("{}: {}", header.name, header.value);
        places.push((Place::Header(header.name.to_string()), Cow::Owned(line.into_bytes())));
    }
    // A dead letter has its reason in a header.
    if happened.headers.is_empty() {
        places.extend(happened.reason.iter().map(|reason| (Place::Reason, Cow::Borrowed(reason.as_bytes()))));
    }
    places
}

/// A text as it is, and as it reads once its JSON escapes are undone, as often as there are any.
fn readings(bytes: Cow<'_, [u8]>) -> Vec<Cow<'_, [u8]>> {
    let mut readings = vec![bytes];
    while let Some(next) = readings.last().and_then(|last| unescaped(last))
        && readings.len() <= MAX_ROUNDS
    {
        readings.push(Cow::Owned(next));
    }
    readings
}

/// The bytes with their JSON escapes undone, wherever they are: what is not well-formed JSON can be read by somebody all
/// the same. `None` if there are none.
fn unescaped(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut rest, mut found) = (Vec::with_capacity(bytes.len()), bytes, false);
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        match escape(rest) {
            Some((c, length)) => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[length..];
                found = true;
            }
            None => {
                out.push(b'\\');
                rest = &rest[1..];
            }
        }
    }
    out.extend_from_slice(rest);
    found.then_some(out)
}

/// The character that an escape stands for, and its length.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| match bytes.get(at..at + 6)? {
        [b'\\', b'u', digits @ ..] => u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok(),
        _ => None,
    };
    match bytes.get(1)? {
        b'u' => match (unit(0)?, unit(6)) {
            (high @ 0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                Some((char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))?, 12))
            }
            (unit, _) => Some((char::from_u32(unit)?, 6)),
        },
        b'n' => Some(('\n', 2)),
        b'r' => Some(('\r', 2)),
        b't' => Some(('\t', 2)),
        b'b' => Some(('\u{8}', 2)),
        b'f' => Some(('\u{c}', 2)),
        &same @ (b'"' | b'\\' | b'/') => Some((char::from(same), 2)),
        _ => None,
    }
}

/// What is around a text, if it is there.
fn excerpt(bytes: &[u8], text: &[u8]) -> Option<String> {
    let at = bytes.windows(text.len()).position(|window| window == text)?;
    let (from, to) = (at.saturating_sub(SHOWN_AROUND), (at + text.len() + SHOWN_AROUND).min(bytes.len()));
    let shown: String =
        String::from_utf8_lossy(&bytes[from..to]).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let ends = [from > 0, to < bytes.len()].map(|cut| if cut { "…" } else { "" });
    Some(format!("{}{shown}{}", ends[0], ends[1]))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject => f.write_str("the subject"),
            Self::Header(name) => write!(f, "the header `{name}`"),
            Self::Payload => f.write_str("the payload"),
            Self::Reason => f.write_str("the reason"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Headers;

    fn found(payload: &[u8], never: &str) -> bool {
        let happened = Happened { payload: payload.to_vec().into(), ..Happened::unmatched() };
        !leaks(&[never.to_owned()], &[happened]).is_empty()
    }

    #[test]
    fn a_value_is_found_in_every_spelling_that_json_has_for_it() {
        for payload in [
            r#"{"card":"4111111111111111"}"#,
            r#"{"card":4111111111111111}"#,
            r#"{"4111111111111111":1}"#,
            r#"{"card":"\u0034111111111111111"}"#,
            r#"{"card":"4111\u00311111111111\u0031"}"#,
            r#"{"inner":"{\"card\":\"\\u0034111111111111111\"}"}"#,
            r#"{"inner":"{\"deep\":\"{\\\"card\\\":\\\"\\\\u0034111111111111111\\\"}\"}"}"#,
            r#"not JSON \u0034111111111111111"#,
        ] {
            assert!(found(payload.as_bytes(), "4111111111111111"), "{payload}");
        }
        assert!(found(br#""\ud83d\ude00 caf\u00e9""#, "😀 café"));
        assert!(found(br#"{"path":"a\/b","quote":"say \"x\""}"#, "a/b"));
        assert!(found(br#"{"quote":"say \"x\""}"#, "say \"x\""));
        assert!(found(b"\xff\x00secret\xff", "secret"));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for payload in [r#"{"card":"************1111"}"#, r#""\u003""#, r#""\ud83d""#, "\\", "", "4111"] {
            assert!(!found(payload.as_bytes(), "4111111111111111"), "{payload}");
        }
    }

    #[test]
    fn subjects_headers_and_reasons_are_looked_at_and_what_the_host_alone_says_is_not() {
        let mut headers = Headers::default();
        headers.push("X-Secret", "a\\u0062c");
        headers.push(header::REVISION, "abcabc");
        let subject = Some("clean.abc".to_owned());
        let all = [
            Happened { subject, headers, ..Happened::unmatched() },
            Happened { reason: Some("has abc".to_owned()), ..Happened::unmatched() },
            Happened { subject: Some("http://app/a%62c".to_owned()), ..Happened::unmatched() },
        ];
        let places: Vec<_> =
            leaks(&["abc".to_owned()], &all).into_iter().map(|leak| (leak.happened, leak.place)).collect();
        assert_eq!(
            places,
            [(0, Place::Subject), (0, Place::Header("X-Secret".to_owned())), (1, Place::Reason), (2, Place::Subject)]
        );
    }

    #[test]
    fn backslashes_without_end_take_no_time_without_end() {
        assert!(!found("\\".repeat(100_000).as_bytes(), "x"));
    }
}
