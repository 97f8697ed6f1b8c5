//! Which rules take a subject, and why each of the others does not.

use std::fmt;

use serde::Serialize;

use crate::message::{Mismatch, Subject, SubjectPattern};
use crate::names::SourceName;
use crate::rules::{Rule, Rules, Template};

use super::{Place, outputs, streams};

/// What becomes of messages with one subject, as far as the rules say.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// The subject.
    pub subject: String,
    /// The source that was asked for.
    pub source: Option<String>,
    /// The rules that take it, in the order of their files.
    pub taken: Vec<Taken>,
    /// The others.
    pub refused: Vec<Refused>,
}

/// A rule that takes the subject.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Taken {
    /// Its name.
    pub rule: String,
    /// Where it is: `file:line:column`.
    pub at: String,
    /// The source that delivers the message.
    pub source: String,
    /// The plugins of its stages, in order.
    pub stages: Vec<String>,
    /// Its routes, in the order of their names.
    pub routes: Vec<Output>,
    /// Where its dead letters go.
    pub dead_letter: Option<Output>,
}

/// Where messages may be published.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Output {
    /// The name of the route; none for dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The subject, the URL of a service, or `sidecar:` and what services subscribe to. Placeholders for what is not in
    /// the message's own subject stay as they are written; those of a URL stay all.
    pub subject: String,
    /// The streams of `trackside.toml` that store it.
    pub streams: Vec<String>,
}

/// A rule that does not take the subject.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Refused {
    /// Its name.
    pub rule: String,
    /// Where it is: `file:line:column`.
    pub at: String,
    /// Its source.
    pub source: String,
    /// The subjects it takes.
    pub subject: String,
    /// Why not, in a sentence.
    pub why: String,
}

/// Why a rule does not take a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It takes messages of this source, and another one was asked for.
    OtherSource(SourceName),
    /// Its source never delivers such a subject: what it does deliver, and why that is another.
    NotDelivered(SourceName, Vec<(SubjectPattern, Mismatch)>),
    /// Its own pattern does not match.
    Subject(SubjectPattern, Mismatch),
}

impl Explanation {
    /// Explains what the rules do with a subject, from a source or from whichever delivers it.
    #[must_use]
    pub fn of(rules: &Rules, subject: &Subject, source: Option<&SourceName>) -> Self {
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        for rule in &rules.rules {
            match refusal(rules, rule, subject.as_str(), source) {
                None => taken.push(Taken::of(rules, rule, subject)),
                Some(refusal) => refused.push(Refused {
                    rule: rule.name.to_string(),
                    at: rule.location.to_string(),
                    source: rule.source.to_string(),
                    subject: rule.subject.to_string(),
                    why: refusal.to_string(),
                }),
            }
        }
        Self { subject: subject.to_string(), source: source.map(ToString::to_string), taken, refused }
    }
}

impl Taken {
    fn of(rules: &Rules, rule: &Rule, subject: &Subject) -> Self {
        let all = outputs(rule).map(|(route, place)| Output::of(rules, route, &place, subject));
        let (dead, routes): (Vec<_>, Vec<_>) = all.partition(|output| output.route.is_none());
        Self {
            rule: rule.name.to_string(),
            at: rule.location.to_string(),
            source: rule.source.to_string(),
            stages: rule.stages.iter().map(|stage| stage.plugin.to_string()).collect(),
            routes,
            dead_letter: dead.into_iter().next(),
        }
    }
}

impl Output {
    fn of(rules: &Rules, route: Option<&str>, place: &Place<'_>, subject: &Subject) -> Self {
        let route = route.map(str::to_owned);
        let Place::Subject(template) = place else {
            return Self { route, subject: place.text(), streams: Vec::new() };
        };
        let filled = template.filled_from(subject);
        // What is filled in narrows down which streams store it.
        let narrowed = Template::parse(&filled);
        let streams = streams(rules, narrowed.as_ref().unwrap_or(template)).into_iter().map(str::to_owned).collect();
        Self { route, subject: filled, streams }
    }
}

/// Why a rule does not take a message with this subject, from a source or from whichever delivers it; `None` if it does.
#[must_use]
pub fn refusal(rules: &Rules, rule: &Rule, subject: &str, source: Option<&SourceName>) -> Option<Refusal> {
    if source.is_some_and(|source| *source != rule.source) {
        return Some(Refusal::OtherSource(rule.source.clone()));
    }
    let reach = rules.reach(&rule.source);
    let mismatches: Option<Vec<_>> =
        reach.iter().map(|pattern| Some((pattern.clone(), pattern.mismatch(subject)?))).collect();
    if let Some(mismatches) = mismatches.filter(|mismatches| !mismatches.is_empty()) {
        return Some(Refusal::NotDelivered(rule.source.clone(), mismatches));
    }
    let mismatch = rule.subject.mismatch(subject)?;
    Some(Refusal::Subject(rule.subject.clone(), mismatch))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherSource(source) => write!(f, "it takes messages of source `{source}`"),
            Self::NotDelivered(source, mismatches) => {
                write!(f, "source `{source}` never delivers it: ")?;
                for (position, (pattern, mismatch)) in mismatches.iter().enumerate() {
                    let before = if position > 0 { "; " } else { "" };
                    write!(f, "{before}`{pattern}`, {mismatch}")?;
                }
                Ok(())
            }
            Self::Subject(pattern, mismatch) => write!(f, "`{pattern}`, {mismatch}"),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.source.as_ref().map(|source| format!(" of source `{source}`")).unwrap_or_default();
        let rules = |count: usize| match count {
            0 => "no rule".to_owned(),
            1 => "1 rule".to_owned(),
            _ => format!("{count} rules"),
        };
        writeln!(f, "`{}`{from} is taken by {}", self.subject, rules(self.taken.len()))?;
        for taken in &self.taken {
            writeln!(f, "\n{}  ({})\n  from source `{}`", taken.rule, taken.at, taken.source)?;
            for (stage, number) in taken.stages.iter().zip(1..) {
                writeln!(f, "  stage {number}: {stage}")?;
            }
            for output in &taken.routes {
                writeln!(f, "  route `{}` -> {output}", output.route.as_deref().unwrap_or_default())?;
            }
            match &taken.dead_letter {
                Some(output) => writeln!(f, "  dead letter -> {output}")?,
                None => writeln!(f, "  no dead letter: what fails is lost")?,
            }
        }
        if !self.refused.is_empty() {
            writeln!(f, "\nand not by {}", rules(self.refused.len()))?;
        }
        for refused in &self.refused {
            writeln!(f, "\n{}  ({})\n  {}", refused.rule, refused.at, refused.why)?;
        }
        Ok(())
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        match self.streams.as_slice() {
            [] => Ok(()),
            streams => write!(f, "  (stream {})", streams.join(", ")),
        }
    }
}
