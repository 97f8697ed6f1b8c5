//! The W3C Trace Context (Recommendation, version 00), as NATS headers carry it.
//!
//! It is read here and not by OpenTelemetry's own propagator, which takes identifiers that are too short or have a sign.

use std::ops::Range;
use std::str::FromStr as _;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use crate::message::Headers;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// How much of `tracestate` is passed on (section 3.3.1.5 asks for at least that much); members past it stay behind.
const MAX_STATE_BYTES: usize = 512;

/// The span that a message was sent by. `None` if its headers do not say, or not as the standard asks: then whatever was
/// said is to be ignored (section 3.2.3).
pub(super) fn extract(headers: &Headers) -> Option<SpanContext> {
    let mut parents = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(TRACEPARENT));
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    let (trace, span, flags) = parse(parent.value.trim_matches([' ', '\t']))?;
    Some(SpanContext::new(trace, span, flags, true, state(headers)))
}

/// Makes a span the one that a message is sent by.
pub(super) fn inject(context: &SpanContext, headers: &mut Headers) {
    let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags());
    headers.insert(TRACEPARENT, format!("00-{trace}-{span}-{flags:02x}"));
    let state = context.trace_state().header();
    if state.is_empty() {
        headers.remove(TRACESTATE);
    } else {
        headers.insert(TRACESTATE, state);
    }
}

fn parse(text: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let hex = |range: Range<usize>| {
        let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        text.get(range).filter(|field| field.bytes().all(lower))
    };
    let (version, rest) = (hex(0..2)?, text.get(55..)?);
    let dashed = [2, 35, 52].iter().all(|at| text.as_bytes()[*at] == b'-');
    // Versions to come may have more fields, and begin with those of this one.
    let ends = rest.is_empty() || (version != "00" && rest.starts_with('-'));
    if version == "ff" || !dashed || !ends {
        return None;
    }
    let trace = TraceId::from_hex(hex(3..35)?).ok().filter(|trace| *trace != TraceId::INVALID)?;
    let span = SpanId::from_hex(hex(36..52)?).ok().filter(|span| *span != SpanId::INVALID)?;
    let flags = TraceFlags::new(u8::from_str_radix(hex(53..55)?, 16).ok()?);
    Some((trace, span, flags & TraceFlags::SAMPLED))
}

/// What other systems keep beside the context; nothing of it if it is not well formed.
fn state(headers: &Headers) -> TraceState {
    let values = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(TRACESTATE));
    let members = values.flat_map(|header| header.value.split(','));
    let mut kept = String::new();
    for member in members.map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty()) {
        if kept.len() + member.len() + 1 > MAX_STATE_BYTES {
            break;
        }
        if !kept.is_empty() {
            kept.push(',');
        }
        kept.push_str(member);
    }
    TraceState::from_str(&kept).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(list: &[(&'static str, &str)]) -> Headers {
        let mut headers = Headers::default();
        list.iter().for_each(|(name, value)| headers.push(*name, *value));
        headers
    }

    #[test]
    fn a_parent_is_read_and_passed_on_as_it_was() {
        for (parent, sampled) in [
            (PARENT, true),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", true),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes", true),
        ] {
            let mut carried = headers(&[("Traceparent", parent), ("tracestate", "a=1, b=2"), ("tracestate", "c=3")]);
            let context = extract(&carried).unwrap_or_else(|| panic!("{parent} is right"));
            assert!(context.is_valid() && context.is_remote());
            assert_eq!(context.is_sampled(), sampled, "{parent}");
            inject(&context, &mut carried);
            let flags = if sampled { "01" } else { "00" };
            let want = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            assert_eq!(carried.get("traceparent"), Some(want.as_str()));
            assert_eq!(carried.get("tracestate"), Some("a=1,b=2,c=3"));
            assert_eq!(carried.len(), 2);
        }
    }

    #[test]
    fn a_parent_that_is_not_as_the_standard_asks_is_none() {
        for parent in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-001",
            "00-0af7651916cd43dd8448eb211c80319é-b7ad6b7169203331-01",
        ] {
            assert_eq!(extract(&headers(&[("traceparent", parent)])), None, "{parent:?}");
        }
        assert_eq!(extract(&headers(&[("traceparent", PARENT), ("TraceParent", PARENT)])), None, "two of them");
    }

    #[test]
    fn a_state_is_bounded_and_all_or_nothing() {
        let long =
            format!("first=1,{}", (0..40).map(|n| format!("k{n}={}", "v".repeat(20))).collect::<Vec<_>>().join(","));
        for (given, kept) in [("a=1", "a=1"), ("a", ""), ("A=1,b=2", ""), ("", "")] {
            let context = extract(&headers(&[("traceparent", PARENT), ("tracestate", given)])).expect("a parent");
            assert_eq!(context.trace_state().header(), kept, "{given:?}");
        }
        let context = extract(&headers(&[("traceparent", PARENT), ("tracestate", &long)])).expect("a parent");
        let kept = context.trace_state().header();
        assert!(kept.len() <= MAX_STATE_BYTES && kept.len() > MAX_STATE_BYTES - 30, "{}", kept.len());
        assert!(long.starts_with(&kept), "whole members, from the left");
    }
}
