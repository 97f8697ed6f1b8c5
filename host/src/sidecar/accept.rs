//! What a caller accepts as an answer (RFC 9110, 12.5.1), among the modes of CloudEvents.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::events::{self, BATCHED, STRUCTURED};
use crate::rules::EventMode;

/// Media ranges, each with how much it is wanted, in thousandths.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accept(Vec<(String, u16)>);

impl Accept {
    /// What the head of a call accepts: everything, if it says nothing.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<_> = values.flat_map(|value| value.split(',')).filter_map(range).collect();
        Self(if ranges.is_empty() { vec![("*/*".to_owned(), 1000)] } else { ranges })
    }

    /// Whether no answer could do: all that it accepts is events in formats that are not spoken here.
    pub(super) fn is_hopeless(&self) -> bool {
        let hopeless = |kind: &str| events::is_event(kind) && kind != STRUCTURED && kind != BATCHED;
        self.0.iter().filter(|(_, quality)| *quality > 0).all(|(kind, _)| hopeless(kind))
    }

    /// The mode that is wanted most, of an answer that has this media type in binary mode. What is named counts for more
    /// than what falls under a range, and otherwise the answer stays as it is. With `broken` it can only be given as it came,
    /// which is not what somebody asks for who names a mode.
    pub(super) fn choose(&self, kind: &str, broken: bool) -> Option<EventMode> {
        let own = self.wants(kind).map(|(quality, exactness)| (quality, if broken { 0 } else { exactness }));
        let candidates = [
            (EventMode::Binary, own),
            (EventMode::Structured, self.wants(STRUCTURED)),
            (EventMode::Batched, self.wants(BATCHED)),
        ];
        let wanted = candidates.into_iter().filter_map(|(mode, wanted)| Some((mode, wanted?)));
        // Of those that are wanted as much the first one.
        wanted.rev().max_by_key(|(_, wanted)| *wanted).map(|(mode, _)| mode)
    }

    /// How much a media type is wanted, and how exactly that is said. The most exact range decides.
    fn wants(&self, kind: &str) -> Option<(u16, u8)> {
        let exactness = |range: &str| match range.split_once('/') {
            _ if range == kind => Some(2),
            Some(("*", "*")) => Some(0),
            Some((own, "*")) if kind.split('/').next() == Some(own) => Some(1),
            _ => None,
        };
        let matching = self.0.iter().filter_map(|(range, quality)| Some((exactness(range)?, *quality)));
        let (exactness, quality) = matching.max()?;
        (quality > 0).then_some((quality, exactness))
    }
}

/// A media range. Parameters other than `q` do not matter, and what is none is not there.
fn range(text: &str) -> Option<(String, u16)> {
    let mut parameters = text.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let quality = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("q")).map(|(_, value)| value.trim());
    let quality = match quality {
        None => 1000,
        Some(text) => {
            let quality: f32 = text.parse().ok().filter(|quality| (0.0..=1.0).contains(quality))?;
            // In thousandths, as many digits as it may have.
            (0..=1000).find(|thousandths| f32::from(*thousandths) >= quality * 1000.0 - 0.5)?
        }
    };
    let kind = events::media_type(text);
    // As some clients abbreviate it.
    let kind = if kind == "*" { "*/*".to_owned() } else { kind };
    kind.contains('/').then_some((kind, quality))
}

#[cfg(test)]
mod tests {
    use EventMode::{Batched, Binary, Structured};

    use super::*;

    fn accept(values: &[&str]) -> Accept {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, value.parse().expect("a value"));
        }
        Accept::of(&headers)
    }

    #[test]
    fn what_is_named_is_given_and_otherwise_the_answer_stays_as_it_is() {
        for (values, want) in [
            (&[][..], Some(Binary)),
            (&["*/*"], Some(Binary)),
            (&["*; q=.2"], Some(Binary)),
            (&["nonsense, ;;"], Some(Binary)),
            (&["application/json"], Some(Binary)),
            (&["application/*"], Some(Binary)),
            (&["application/cloudevents+json"], Some(Structured)),
            (&["Application/CloudEvents+JSON; charset=utf-8"], Some(Structured)),
            (&["application/cloudevents+json, */*"], Some(Structured)),
            (&["*/*", "application/cloudevents+json"], Some(Structured)),
            (&["application/cloudevents+json;q=0.5, */*"], Some(Binary)),
            (&["application/cloudevents+json, application/json"], Some(Binary)),
            (&["application/cloudevents+json, application/json;q=0.9"], Some(Structured)),
            (&["application/cloudevents-batch+json"], Some(Batched)),
            (&["application/cloudevents-batch+json, application/cloudevents+json"], Some(Structured)),
            (&["application/json;q=0, application/*"], Some(Structured)),
            (&["text/html"], None),
            (&["application/json;q=0"], None),
        ] {
            assert_eq!(accept(values).choose("application/json", false), want, "{values:?}");
        }
        assert_eq!(accept(&["application/*"]).choose("text/plain", false), Some(Structured));
        assert_eq!(accept(&["*/*"]).choose(STRUCTURED, true), Some(Binary));
        assert_eq!(accept(&[STRUCTURED]).choose(STRUCTURED, true), Some(Structured));
    }

    #[test]
    fn what_no_answer_could_be_is_known_before_anything_is_asked() {
        assert!(accept(&["application/cloudevents+avro"]).is_hopeless());
        assert!(accept(&["application/cloudevents+xml, */*;q=0"]).is_hopeless());
        for value in ["application/cloudevents+avro, */*;q=0.1", "text/html", STRUCTURED, BATCHED] {
            assert!(!accept(&[value]).is_hopeless(), "{value}");
        }
    }
}
