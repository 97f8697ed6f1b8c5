//! Traces by OpenTelemetry: a span for each message that is sampled, with a child for each stage and output. What is
//! not sampled costs the look at a header, and what is switched off nothing.
//!
//! Spans are made here and not by the SDK's tracer, because its batch processor drops without saying how many. What is
//! made is the SDK's, and so is how it is written.

mod context;
mod export;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, ShouldSample, SpanData, SpanEvents, SpanLinks,
};
use tokio::sync::mpsc;

use crate::message::Headers;

use super::TraceMetrics;

pub use export::{Exporter, ExporterError, ExporterSettings};

/// Events that one span keeps; how many there were beyond is told.
const MAX_EVENTS: usize = 64;

/// Makes spans of messages; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tracer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Decides about messages that come without a trace.
    sampler: Sampler,
    ids: RandomIdGenerator,
    scope: InstrumentationScope,
    ended: mpsc::Sender<SpanData>,
    metrics: Arc<TraceMetrics>,
}

/// The span of a message that is sampled, from intake to acknowledgement.
#[derive(Debug)]
pub struct MessageSpan {
    tracer: Tracer,
    context: SpanContext,
    /// The span that it was sent by, or an invalid identifier.
    parent: SpanId,
    /// The same moment by both clocks, so that later ones need only one.
    begun: (Instant, SystemTime),
    noted: Mutex<Noted>,
}

/// What is noted of a message while its span lasts.
#[derive(Debug, Default)]
struct Noted {
    events: SpanEvents,
    failure: Option<String>,
}

/// A part of what was done with a message.
#[derive(Debug)]
pub struct Span {
    tracer: Tracer,
    context: SpanContext,
    parent: SpanId,
    begun: (Instant, SystemTime),
}

/// What is said of a span when it ends.
#[derive(Debug)]
pub struct About {
    /// What it is called; few different ones in all.
    pub name: Cow<'static, str>,
    /// What kind of work it was.
    pub kind: SpanKind,
    /// What there is to know.
    pub attributes: Vec<KeyValue>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

impl Tracer {
    /// Makes spans of this share of the messages that come without a trace, and of those whose trace is sampled. They
    /// come out of what is returned; past so many that wait there, they are dropped and counted.
    #[must_use]
    pub fn new(sample_ratio: f64, max_waiting: usize, metrics: Arc<TraceMetrics>) -> (Self, mpsc::Receiver<SpanData>) {
        let (ended, spans) = mpsc::channel(max_waiting.max(1));
        let scope = InstrumentationScope::builder("trackside").with_version(env!("CARGO_PKG_VERSION")).build();
        let sampler = Sampler::TraceIdRatioBased(sample_ratio);
        (Self(Arc::new(Shared { sampler, ids: RandomIdGenerator::default(), scope, ended, metrics })), spans)
    }

    /// Begins the span of a message with these headers, if it is sampled: as whoever sent it decided, or else by chance.
    #[must_use]
    pub fn begin(&self, headers: &Headers, at: Instant) -> Option<MessageSpan> {
        let shared = &*self.0;
        let (trace, parent, state) = match context::extract(headers) {
            Some(parent) if !parent.is_sampled() => return None,
            Some(parent) => (parent.trace_id(), parent.span_id(), parent.trace_state().clone()),
            None => {
                let trace = shared.ids.new_trace_id();
                let decided = shared.sampler.should_sample(None, trace, "", &SpanKind::Consumer, &[], &[]);
                if decided.decision != SamplingDecision::RecordAndSample {
                    return None;
                }
                (trace, SpanId::INVALID, TraceState::NONE)
            }
        };
        let context = SpanContext::new(trace, shared.ids.new_span_id(), TraceFlags::SAMPLED, false, state);
        let begun = (at, SystemTime::now());
        Some(MessageSpan { tracer: self.clone(), context, parent, begun, noted: Mutex::default() })
    }

    fn end(
        &self,
        context: &SpanContext,
        parent: (SpanId, bool),
        time: (SystemTime, SystemTime),
        about: About,
        events: SpanEvents,
    ) {
        let shared = &*self.0;
        let span = SpanData {
            span_context: context.clone(),
            parent_span_id: parent.0,
            parent_span_is_remote: parent.1,
            span_kind: about.kind,
            name: about.name,
            start_time: time.0,
            end_time: time.1,
            attributes: about.attributes,
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            status: about.failure.map_or(Status::Unset, Status::error),
            instrumentation_scope: shared.scope.clone(),
        };
        // A full queue means that the receiver is slow or gone, which no message is to wait for.
        if shared.ended.try_send(span).is_err() {
            shared.metrics.dropped();
        }
    }
}

impl MessageSpan {
    /// Begins a part of it.
    #[must_use]
    pub fn child(&self, at: Instant) -> Span {
        let id = self.tracer.0.ids.new_span_id();
        let (trace, state) = (self.context.trace_id(), self.context.trace_state().clone());
        let context = SpanContext::new(trace, id, TraceFlags::SAMPLED, false, state);
        let begun = (at, wall(self.begun, at));
        Span { tracer: self.tracer.clone(), context, parent: self.context.span_id(), begun }
    }

    /// Adds something that happened now.
    pub fn event(&self, name: &'static str, attributes: Vec<KeyValue>) {
        let event = Event::new(name, wall(self.begun, Instant::now()), attributes, 0);
        add(&mut self.noted().events, event);
    }

    /// Marks it as failed, whatever else becomes of it.
    pub fn failed(&self, why: String) {
        self.noted().failure.get_or_insert(why);
    }

    /// It is over.
    pub fn end(&self, mut about: About) {
        let Noted { events, failure } = std::mem::take(&mut *self.noted());
        about.failure = failure.or(about.failure);
        let remote = self.parent != SpanId::INVALID;
        let time = (self.begun.1, wall(self.begun, Instant::now()));
        self.tracer.end(&self.context, (self.parent, remote), time, about, events);
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Span {
    /// Makes it the span that a message with these headers is sent by.
    pub fn inject(&self, headers: &mut Headers) {
        context::inject(&self.context, headers);
    }

    /// It took this long.
    pub fn end_after(self, took: Duration, about: About, events: SpanEvents) {
        self.tracer.end(&self.context, (self.parent, false), (self.begun.1, self.begun.1 + took), about, events);
    }

    /// It is over now.
    pub fn end(self, about: About) {
        let took = self.begun.0.elapsed();
        self.end_after(took, about, SpanEvents::default());
    }
}

/// What the clock on the wall said at a moment.
fn wall(begun: (Instant, SystemTime), at: Instant) -> SystemTime {
    match at.checked_duration_since(begun.0) {
        Some(after) => begun.1 + after,
        None => begun.1 - begun.0.duration_since(at),
    }
}

/// Events of a span, bounded.
pub fn add(events: &mut SpanEvents, event: Event) {
    if events.events.len() < MAX_EVENTS {
        events.events.push(event);
    } else {
        events.dropped_count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    fn carrying(parent: &str) -> Headers {
        let mut headers = Headers::default();
        headers.push("traceparent", parent);
        headers
    }

    fn about(name: &'static str) -> About {
        About { name: name.into(), kind: SpanKind::Consumer, attributes: Vec::new(), failure: None }
    }

    #[test]
    fn a_message_follows_the_decision_of_who_sent_it_and_only_without_one_the_ratio() {
        for (ratio, headers, sampled) in [
            (0.0, carrying(SAMPLED), true),
            (1.0, carrying(UNSAMPLED), false),
            (0.0, Headers::default(), false),
            (1.0, Headers::default(), true),
            (1.0, carrying("nonsense"), true),
        ] {
            let (tracer, _spans) = Tracer::new(ratio, 1, Arc::default());
            assert_eq!(tracer.begin(&headers, Instant::now()).is_some(), sampled, "{ratio} {headers:?}");
        }
    }

    #[test]
    fn the_ratio_is_that_of_the_traces() {
        let (tracer, _spans) = Tracer::new(0.1, 1, Arc::default());
        let sampled = (0..20_000).filter(|_| tracer.begin(&Headers::default(), Instant::now()).is_some()).count();
        assert!((1_700..2_300).contains(&sampled), "{sampled} of 20000");
    }

    #[test]
    fn what_is_sent_on_is_a_child_of_the_message_in_the_trace_of_its_sender() {
        let (tracer, mut spans) = Tracer::new(0.0, 8, Arc::default());
        let span = tracer.begin(&carrying(SAMPLED), Instant::now()).expect("sampled");
        let child = span.child(Instant::now());
        let mut headers = carrying(SAMPLED);
        child.inject(&mut headers);
        child.end(about("send"));
        span.end(about("process"));
        let (child, span) = (spans.try_recv().expect("a span"), spans.try_recv().expect("another"));
        let trace = span.span_context.trace_id();
        assert_eq!(trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((span.parent_span_id.to_string().as_str(), span.parent_span_is_remote), ("b7ad6b7169203331", true));
        assert_eq!((child.parent_span_id, child.parent_span_is_remote), (span.span_context.span_id(), false));
        let id = child.span_context.span_id();
        assert_eq!(headers.get("traceparent"), Some(format!("00-{trace}-{id}-01").as_str()));
        assert!(child.start_time >= span.start_time && child.end_time <= span.end_time, "{child:?} in {span:?}");
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_events_are_bounded() {
        let metrics: Arc<TraceMetrics> = Arc::default();
        let (tracer, mut spans) = Tracer::new(1.0, 2, Arc::clone(&metrics));
        for _ in 0..5 {
            let span = tracer.begin(&Headers::default(), Instant::now()).expect("sampled");
            (0..MAX_EVENTS + 3).for_each(|_| span.event("tried", Vec::new()));
            span.end(about("process"));
        }
        assert_eq!(metrics.dropped.get(), 3);
        let events = spans.try_recv().expect("a span").events;
        assert_eq!((events.events.len(), events.dropped_count), (MAX_EVENTS, 3));
    }
}
