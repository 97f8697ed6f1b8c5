//! Events as people read them, and as programs do.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::app::Failure;

/// The longest value that is shown to people.
const MAX_VALUE_CHARS: usize = 160;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Outcome {
    at: String,
    source: String,
    subject: String,
    message_id: String,
    r#try: u32,
    rule: Option<String>,
    outcome: String,
    class: Option<String>,
    plugin: Option<String>,
    reason: Option<String>,
    again_after_ms: Option<u64>,
    dead_letter: Option<String>,
    #[serde(default)]
    stages: Vec<Stage>,
    outputs: Vec<Output>,
    dropped: Vec<Dropped>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Output {
    route: String,
    subject: String,
    #[serde(default)]
    part: String,
    diverted_from: Option<String>,
    stages: Vec<Stage>,
    #[serde(default)]
    changed: Vec<Changed>,
    #[serde(default)]
    more_changed: usize,
}

#[derive(Deserialize)]
struct Dropped {
    reason: String,
    stages: Vec<Stage>,
}

#[derive(Deserialize)]
struct Stage {
    plugin: String,
    verdict: String,
    micros: u64,
}

#[derive(Deserialize)]
struct Changed {
    header: Option<String>,
    path: Option<String>,
    change: String,
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Missed {
    count: u64,
}

#[derive(Deserialize)]
struct Revision {
    revision: String,
    rules: usize,
}

/// An event as one line of JSON.
pub(super) fn line(name: &str, data: &str) -> String {
    // Not parsed and written again: numbers stay as they are spelt.
    let members = data.strip_prefix('{').unwrap_or_default();
    format!("{{\"event\":\"{name}\",{members}\n")
}

/// An event for people. One of a kind that is not known here is left out.
///
/// # Errors
/// When it is not what a host sends.
pub(super) fn text(name: &str, data: &str) -> Result<String, Failure> {
    let odd =
        |error: serde_json::Error| Failure::new(format!("the host sent something else than a tap's event: {error}"));
    Ok(match name {
        "outcome" => outcome(&serde_json::from_str(data).map_err(odd)?),
        "dropped" => {
            let Missed { count } = serde_json::from_str(data).map_err(odd)?;
            format!("… {count} more came faster than they could be shown\n")
        }
        "revision" => {
            let Revision { revision, rules } = serde_json::from_str(data).map_err(odd)?;
            format!("revision {}, with {rules} {}\n", visible(&revision), if rules == 1 { "rule" } else { "rules" })
        }
        _ => String::new(),
    })
}

fn outcome(seen: &Outcome) -> String {
    let mut lines = Lines::default();
    let time = seen.at.split_once('T').map_or(&*seen.at, |(_, time)| time);
    let class = seen.class.as_ref().map(|class| format!(" ({class})")).unwrap_or_default();
    let tries = if seen.r#try > 1 { format!("  try {}", seen.r#try) } else { String::new() };
    let rule = seen.rule.as_deref().unwrap_or("no rule");
    lines.add(
        0,
        &format!(
            "{time}  {rule}  {}  {}{class}{tries}  {} of {}",
            seen.subject, seen.outcome, seen.message_id, seen.source
        ),
    );
    if let Some(reason) = &seen.reason {
        let plugin = seen.plugin.as_ref().map(|plugin| format!("{plugin}: ")).unwrap_or_default();
        lines.add(1, &format!("{plugin}{reason}"));
    }
    lines.stages(&seen.stages);
    if let Some(after) = seen.again_after_ms {
        lines.add(1, &format!("again after {:?}", std::time::Duration::from_millis(after)));
    }
    if let Some(letter) = &seen.dead_letter {
        lines.add(1, &format!("→ {letter}  its dead letter"));
    }
    for output in &seen.outputs {
        let part = if output.part.is_empty() { String::new() } else { format!(", part {}", output.part) };
        let from = output.diverted_from.as_ref().map(|from| format!(", in place of {from}")).unwrap_or_default();
        lines.add(1, &format!("→ {}  route {}{from}{part}", output.subject, output.route));
        lines.stages(&output.stages);
        output.changed.iter().for_each(|changed| lines.changed(changed));
        if output.more_changed > 0 {
            lines.add(2, &format!("… {} more changes", output.more_changed));
        }
    }
    for dropped in &seen.dropped {
        lines.add(1, &format!("dropped: {}", dropped.reason));
        lines.stages(&dropped.stages);
    }
    lines.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.0, "{:indent$}{}", "", visible(text), indent = 4 * depth);
    }

    fn stages(&mut self, stages: &[Stage]) {
        if !stages.is_empty() {
            let one = |stage: &Stage| format!("{} {} {} µs", stage.plugin, stage.verdict, stage.micros);
            self.add(2, &stages.iter().map(one).collect::<Vec<_>>().join(", "));
        }
    }

    fn changed(&mut self, changed: &Changed) {
        let what = match (&changed.header, &changed.path) {
            (Some(header), _) => format!("header {header}"),
            (None, Some(path)) => path.clone(),
            (None, None) => "the payload".to_owned(),
        };
        let sign = match changed.change.as_str() {
            "added" => '+',
            "removed" => '-',
            _ => '~',
        };
        let values = match (&changed.before, &changed.after) {
            (Some(before), Some(after)) => format!("  {} → {}", short(before), short(after)),
            (Some(value), None) | (None, Some(value)) => format!("  {}", short(value)),
            (None, None) => String::new(),
        };
        self.add(2, &format!("{sign} {what}{values}"));
    }
}

fn short(value: &RawValue) -> String {
    let text = value.get();
    match text.char_indices().nth(MAX_VALUE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text that does nothing to a terminal: what comes from messages may be meant to.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_shown_with_its_way_and_its_changes() {
        let data = r#"{"at":"2026-11-25T10:00:00.123Z","revision":"1a","source":"orders","subject":"orders.eu",
            "message-id":"ORDERS:7:1","try":2,"rule":"clean","outcome":"published","outputs":[{"route":"default",
            "subject":"clean.eu","message-id":"x","stages":[{"plugin":"mask","verdict":"forward","micros":12}],
            "headers":{},"payload":{},"changed":[{"path":"$.card","change":"replaced","before":"4111","after":"*"},
            {"path":"$.n","change":"added","after":1.50},{"header":"Region","change":"removed"}],"more-changed":3}],
            "dropped":[]}"#;
        let want = "10:00:00.123Z  clean  orders.eu  published  try 2  ORDERS:7:1 of orders\n    \
                    → clean.eu  route default\n        mask forward 12 µs\n        ~ $.card  \"4111\" → \"*\"\n        \
                    + $.n  1.50\n        - header Region\n        … 3 more changes\n";
        assert_eq!(text("outcome", data).map_err(|failure| failure.to_string()), Ok(want.to_owned()));
    }

    #[test]
    fn what_went_wrong_is_shown_with_who_says_so() {
        let data = r#"{"at":"2026-11-25T10:00:00.123Z","source":"orders","subject":"orders.eu","message-id":"O:7:1",
            "try":1,"rule":"clean","outcome":"dead-lettered","class":"rejected","plugin":"validate","reason":"no id",
            "dead-letter":"dead.orders","stages":[{"plugin":"validate","verdict":"reject","micros":3}],"outputs":[],
            "dropped":[]}"#;
        let want = "10:00:00.123Z  clean  orders.eu  dead-lettered (rejected)  O:7:1 of orders\n    validate: no id\n        \
                    validate reject 3 µs\n    → dead.orders  its dead letter\n";
        assert_eq!(text("outcome", data).map_err(|failure| failure.to_string()), Ok(want.to_owned()));
    }

    #[test]
    fn a_message_cannot_reach_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\u{9b}\u{202e}é→"), "a\\u{1b}[2Jb\\u{9b}\\u{202e}é→");
    }

    #[test]
    fn a_line_of_json_keeps_every_token() {
        assert_eq!(line("dropped", "{\"count\":1.50}"), "{\"event\":\"dropped\",\"count\":1.50}\n");
    }
}
