//! Texts that come from a plugin, made fit for logs and errors: no secrets, no control characters, no great length.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Shorter secrets are not looked for: they would turn up everywhere by chance.
const MIN_SECRET_BYTES: usize = 4;

/// Words of one secret that are looked for; a private key in PEM has some dozens.
const MAX_WORDS: usize = 256;

/// What is put in a secret's place.
const HIDDEN: &str = "***";

/// Values that no text may show.
#[derive(Default)]
pub(super) struct Secrets(Box<[String]>);

impl Secrets {
    /// Takes the values. Each is also looked for as JSON spells it, which is how it reached the plugin, and its words
    /// are, since an error about a secret may quote a part of it.
    pub(super) fn new(values: Vec<String>) -> Self {
        let mut all: Vec<String> = Vec::with_capacity(values.len());
        for value in values.into_iter().filter(|value| value.len() >= MIN_SECRET_BYTES) {
            let quoted = serde_json::Value::from(value.as_str()).to_string();
            let spelt = &quoted[1..quoted.len() - 1];
            if spelt != value {
                all.push(spelt.to_owned());
            }
            let words = value.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() >= MIN_SECRET_BYTES);
            all.extend(words.take(MAX_WORDS).map(str::to_owned));
            all.push(value);
        }
        // Longest first: of a secret within a secret, the outer one has to go as a whole.
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        Self(all.into_boxed_slice())
    }

    /// The text without them.
    fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), HIDDEN));
            }
        }
        text
    }

    /// The text on one line of at most `max_bytes` and an ellipsis, without secrets.
    pub(super) fn clean(&self, text: &str, max_bytes: usize) -> String {
        // A text may have as many bytes as a plugin has memory, so it is cut before anything is looked for in it: far
        // enough behind what is shown that a secret which is cut in two by that is left out with the rest.
        let longest = self.0.first().map_or(0, String::len);
        let end = text.floor_char_boundary(max_bytes.saturating_add(1).saturating_add(longest));
        if end == text.len() {
            return line(&self.hide(text), max_bytes);
        }
        let hidden = self.hide(&text[..end]);
        let whole = hidden.floor_char_boundary(hidden.len().saturating_sub(longest));
        let mut line = line(&hidden[..whole], max_bytes);
        if !line.ends_with('…') {
            line.push('…');
        }
        line
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// The text on one line of at most `max_bytes` and an ellipsis.
pub(super) fn line(text: &str, max_bytes: usize) -> String {
    let mut line = String::with_capacity(text.len().min(max_bytes) + 4);
    for c in text.chars() {
        let before = line.len();
        if breaks_a_line(c) {
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
        if line.len() > max_bytes {
            line.truncate(before);
            line.push('…');
            break;
        }
    }
    line
}

/// A size as the configuration would spell it.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        0 => "0B".to_owned(),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{}KiB", bytes >> 10),
        _ => format!("{bytes}B"),
    }
}

/// Whether a terminal or a log reader could take the character for something else than text: control characters,
/// Unicode's line ends, and its overrides of the writing direction.
fn breaks_a_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_however_it_is_spelt() {
        let secrets = Secrets::new(vec!["hunter22".into(), "a\"b\nc".into(), "xyz".into(), "hunter2".into()]);
        assert_eq!(secrets.clean("key hunter22, hunter2", 100), "key ***, ***");
        assert_eq!(secrets.clean("a\"b\nc and a\\\"b\\nc", 100), "*** and ***");
        assert_eq!(secrets.clean("xyz", 100), "xyz", "three bytes would be found by chance");
        let condition = Secrets::new(vec!["body.hunter2 && sword(fish".into()]);
        assert_eq!(
            condition.clean("there is no variable `hunter2`, nor `sword`", 100),
            "there is no variable `***`, nor `***`"
        );
    }

    #[test]
    fn a_secret_at_the_end_of_what_is_looked_at_is_not_shown_in_part() {
        let secrets = Secrets::new(vec!["swordfish".into()]);
        // Hiding makes the text shorter, so that what was far behind comes into what is shown.
        for before in 0..80 {
            let text = format!("{}{}swordfish and more", "swordfish".repeat(4), "x".repeat(before));
            let shown = secrets.clean(&text, 60);
            assert!(!shown.contains("sw") && shown.len() < 64, "{shown}");
        }
        assert_eq!(Secrets::default().clean(&"x".repeat(100), 4), "xxxx…");
    }

    #[test]
    fn a_text_cannot_forge_a_line_or_grow_past_its_bound() {
        assert_eq!(line("a\r\nERROR b\u{1b}[31m\u{2028}\u{202e}", 100), "a\\r\\nERROR b\\u{1b}[31m\\u{2028}\\u{202e}");
        assert_eq!(line("äöü", 4), "äö…");
        assert_eq!(line("äöü", 6), "äöü");
        assert_eq!(line("ab\n", 3), "ab…", "an escape is not cut in two");
    }
}
