//! CloudEvents 1.0 that come in: what names them, and the trace that they tell of.

use sha2::{Digest as _, Sha256};

use crate::events::PREFIX;
use crate::message::Headers;

/// What tells an event from all others: the same source never gives an id to two.
pub(super) fn key(headers: &Headers) -> Option<String> {
    let get = |name: &str| headers.get(&format!("{PREFIX}{name}"));
    let (source, id) = (get("source")?, get("id")?);
    let mut hasher = Sha256::new();
    hasher.update((source.len() as u64).to_le_bytes());
    hasher.update(source);
    hasher.update(id);
    Some(format!("ce-{}", hex::encode(&hasher.finalize()[..16])))
}

/// Has the message go on in the trace that its event tells of (the Distributed Tracing extension), if its call is in none.
pub(super) fn traced(headers: &mut Headers) {
    let attribute = |name: &str| headers.get(&format!("{PREFIX}{name}")).map(str::to_owned);
    let (parent, state) = (attribute("traceparent"), attribute("tracestate"));
    let Some(parent) = parent.filter(|_| headers.get("traceparent").is_none()) else { return };
    // Without a parent of its own, it told of nothing.
    headers.retain(|header| !header.name.eq_ignore_ascii_case("tracestate"));
    headers.push("traceparent", parent);
    // One that is percent-encoded is no `tracestate` as it stands, and a parent does without it.
    if let Some(state) = state.filter(|state| !state.contains('%')) {
        headers.push("tracestate", state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_goes_on_in_its_trace_unless_its_call_is_in_one() {
        let of = |told: &[(&'static str, &str)]| {
            let mut headers = Headers::default();
            told.iter().for_each(|(name, value)| headers.push(*name, *value));
            traced(&mut headers);
            [headers.get("traceparent"), headers.get("tracestate")].map(|value| value.map(str::to_owned))
        };
        let some = |text: &str| Some(text.to_owned());
        let event = [("ce-traceparent", "00-a"), ("ce-tracestate", "a=1")];
        assert_eq!(of(&event), [some("00-a"), some("a=1")]);
        assert_eq!(of(&[&event[..], &[("tracestate", "of=nothing")]].concat()), [some("00-a"), some("a=1")]);
        assert_eq!(of(&[&event[..], &[("traceparent", "00-b")]].concat()), [some("00-b"), None]);
        assert_eq!(of(&[event[0], ("ce-tracestate", "a=%22")]), [some("00-a"), None]);
        assert_eq!(of(&event[1..]), [None, None]);
    }

    #[test]
    fn the_key_depends_on_source_and_id_and_where_one_ends() {
        let of = |source: &str, id: &str| {
            let mut headers = Headers::default();
            headers.push("ce-source", source);
            headers.push("ce-id", id);
            key(&headers)
        };
        assert_eq!(of("/a", "1"), of("/a", "1"));
        assert_ne!(of("/a", "1"), of("/a1", ""));
        assert_eq!(key(&Headers::default()), None);
    }
}
