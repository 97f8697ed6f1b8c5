//! `GET /v1/tap`: what becomes of messages, live, as server-sent events. It may be slow and it may stop reading: it is
//! told how much it has missed, and the messages never wait for it.

mod diff;
mod event;

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use url::form_urlencoded;

use crate::message::SubjectPattern;
use crate::names::{Revision, RuleName};
use crate::pipeline::{Ending, Glance, Tap, TapFilter};
use crate::plan::{Live, Plan};
use crate::rules::Role;

use super::access::{Caller, Details};
use super::line::Line;
use super::{Access, Admin, Problem};

use event::{Reveal, body};

/// How often a tap is sent something, even if nothing happens: so both sides notice when the other one is gone.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The longest that one may stop reading before it loses its place.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one is sent in a second, at most: nobody reads more, and showing costs more than routing does.
const MAX_EVENTS_PER_SECOND: u32 = 1000;
const MAX_BYTES_PER_SECOND: usize = 2 << 20;

/// What one that is refused for now is told to wait, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// Rules that are named to somebody who asks for one that is not there, at most.
const MAX_NAMED_RULES: usize = 20;

/// What was asked for.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    rule: Option<String>,
    ending: Option<Ending>,
    subject: Option<SubjectPattern>,
    reveal: Reveal,
}

pub(super) async fn tap(
    State(admin): State<Admin>,
    Extension(line): Extension<Line>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let asked = asked(query.as_deref().unwrap_or_default())?;
    let told = asked.told();
    if admin.readiness.now().is_draining() {
        let detail = "Trackside is stopping; look at the one that comes after it";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_AFTER_SECONDS));
    }
    let plan = admin.live.current();
    let rule = asked.rule.map(|name| known_rule(&plan, &name)).transpose()?;
    if asked.reveal == Reveal::Before {
        admin.access.reveal(&caller, "tap", &told).await?;
    }
    let filter = TapFilter { rule, ending: asked.ending, subject: asked.subject };
    let tap = admin.taps.open(filter).map_err(|error| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()).retry_after(RETRY_AFTER_SECONDS)
    })?;
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let right = Right { access: admin.access, headers, reveal: asked.reveal, checked: Instant::now() };
    let feed =
        Feed { tap, live: admin.live, right, heartbeat, pace: Pace::new(), line, next: None, shown: None, sent: 0 };
    Ok(Sse::new(feed.events()).into_response())
}

impl Asked {
    /// What it is narrowed to, for the audit log.
    fn told(&self) -> Details {
        let narrowed = [
            ("rule", self.rule.clone()),
            ("outcome", self.ending.map(|ending| ending.as_str().to_owned())),
            ("subject", self.subject.as_ref().map(ToString::to_string)),
        ];
        let given = narrowed.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.fold(Details::default(), |details, (name, value)| details.with(name, value))
    }
}

fn asked(query: &str) -> Result<Asked, Problem> {
    let mut asked = Asked::default();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "rule" => asked.rule = Some(value.into_owned()),
            "outcome" => {
                let words = || Ending::ALL.map(Ending::as_str).join(", ");
                let unknown = || bad(format!("`outcome` is one of {}", words()));
                asked.ending = Some(Ending::named(&value).ok_or_else(unknown)?);
            }
            "subject" => {
                asked.subject = Some(SubjectPattern::new(&value).map_err(|error| bad(format!("`subject`: {error}")))?);
            }
            "reveal" => {
                asked.reveal = match &*value {
                    "true" => Reveal::Before,
                    "false" => Reveal::Nothing,
                    _ => return Err(bad("`reveal` is `true` or `false`".to_owned())),
                }
            }
            _ => {
                let name: String = key.chars().take(64).collect();
                let known = "`rule`, `outcome`, `subject` and `reveal`";
                return Err(bad(format!("there is no parameter `{}` here: there is {known}", name.escape_debug())));
            }
        }
    }
    Ok(asked)
}

fn bad(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

fn known_rule(plan: &Plan, name: &str) -> Result<RuleName, Problem> {
    if let Some(rule) = plan.rules.iter().find(|rule| rule.name.as_str() == name) {
        return Ok(rule.name.clone());
    }
    let mut names: Vec<&str> = plan.rules.iter().map(|rule| rule.name.as_str()).take(MAX_NAMED_RULES).collect();
    let more = plan.rules.len() - names.len();
    let more = if more > 0 { format!("{more} more") } else { String::new() };
    names.extend(Some(more.as_str()).filter(|more| !more.is_empty()));
    let name: String = name.chars().take(64).collect();
    let (name, revision, names) = (name.escape_debug(), &plan.revision, names.join(", "));
    let detail = format!("there is no rule `{name}` in the revision in force, {revision}; there is {names}");
    Err(Problem::new(StatusCode::NOT_FOUND, detail))
}

/// Everything that one tap is sent. Dropped with its connection.
struct Feed {
    tap: Tap,
    live: Live,
    right: Right,
    heartbeat: Interval,
    pace: Pace,
    line: Line,
    /// What comes after the revision that it was made by.
    next: Option<Glance>,
    /// The revision that it was told of.
    shown: Option<Revision>,
    /// How many outcomes it was sent.
    sent: u64,
}

impl Feed {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures::stream::unfold(self, async |mut feed| Some((Ok(feed.next().await?), feed)))
    }

    /// The next event; `None` when there is nothing any more that could be shown.
    async fn next(&mut self) -> Option<Event> {
        // Whoever asks for the next event has read those before it.
        self.line.stays_for(PATIENCE);
        self.pace.wait().await;
        if !self.right.holds() {
            return None;
        }
        if self.shown.is_none() {
            return self.revision();
        }
        let glance = match self.next.take() {
            Some(glance) => glance,
            None => {
                let glance = tokio::select! {
                    biased;
                    glance = self.tap.next() => Some(glance?),
                    _ = self.heartbeat.tick() => None,
                };
                if let Some(revision) = self.revision() {
                    self.next = glance;
                    return Some(revision);
                }
                let Some(glance) = glance else { return Some(Event::default().comment("")) };
                glance
            }
        };
        Some(match glance {
            Glance::Seen(seen) => {
                self.sent += 1;
                let body = body(&seen, self.right.reveal);
                self.pace.sent(body.len());
                Event::default().event("outcome").id(self.sent.to_string()).data(body)
            }
            Glance::Missed(count) => event("dropped", &json!({ "count": count })),
        })
    }

    /// The revision in force, if it was not told of it.
    fn revision(&mut self) -> Option<Event> {
        let plan = self.live.current();
        if self.shown.as_ref() == Some(&plan.revision) {
            return None;
        }
        self.shown = Some(plan.revision.clone());
        Some(event("revision", &json!({ "revision": plan.revision.as_str(), "rules": plan.rules.len() })))
    }
}

fn event(name: &str, body: &Value) -> Event {
    Event::default().event(name).data(body.to_string())
}

/// By what it may look on, which may be taken away meanwhile.
struct Right {
    access: Access,
    headers: HeaderMap,
    reveal: Reveal,
    checked: Instant,
}

impl Right {
    fn holds(&mut self) -> bool {
        if self.checked.elapsed() < HEARTBEAT {
            return true;
        }
        self.checked = Instant::now();
        let role = if self.reveal == Reveal::Before { Role::Admin } else { Role::Reader };
        self.access.still_lets(&self.headers, role)
    }
}

/// Holds a tap to what it may be sent in a second.
struct Pace {
    since: Instant,
    events: u32,
    bytes: usize,
}

impl Pace {
    fn new() -> Self {
        Self { since: Instant::now(), events: 0, bytes: 0 }
    }

    async fn wait(&mut self) {
        let next = self.since + Duration::from_secs(1);
        if self.events >= MAX_EVENTS_PER_SECOND || self.bytes >= MAX_BYTES_PER_SECOND {
            sleep_until(next).await;
        }
        if Instant::now() >= next {
            *self = Self::new();
        }
    }

    fn sent(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_or_refused() {
        let all = asked("rule=orders&outcome=dead-lettered&subject=orders.%3E&reveal=true").expect("it is right");
        let subject = SubjectPattern::new("orders.>").expect("a pattern");
        let want = Asked {
            rule: Some("orders".to_owned()),
            ending: Some(Ending::DeadLettered),
            subject: Some(subject),
            reveal: Reveal::Before,
        };
        assert_eq!(all, want);
        assert_eq!(asked("").expect("it is right"), Asked::default());
        for query in ["outcome=lost", "subject=a..b", "reveal=1", "reveal", "rules=a"] {
            assert!(asked(query).is_err(), "{query}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_tap_is_sent_so_much_in_a_second() {
        for (events, bytes) in [(MAX_EVENTS_PER_SECOND, 1), (1, MAX_BYTES_PER_SECOND)] {
            let (begun, mut pace) = (Instant::now(), Pace::new());
            for _ in 0..events {
                pace.wait().await;
                pace.sent(bytes);
            }
            assert_eq!(begun.elapsed(), Duration::ZERO);
            pace.wait().await;
            assert_eq!(begun.elapsed().as_secs(), 1);
            pace.sent(1);
            pace.wait().await;
            assert_eq!(begun.elapsed().as_secs(), 1);
        }
    }
}
