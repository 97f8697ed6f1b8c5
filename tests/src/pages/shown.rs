//! What a page shows, compared with what was printed.

use std::collections::BTreeMap;

use regex::Regex;

/// What is left out on a page: `…`, and the word with a digit that it ends. Such a word is known from where it was first
/// compared on, so that `4be1…` of an answer can be shown again in a file.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<String, String>);

impl Known {
    /// A text with what is known of its words that are left out.
    pub(super) fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (short, long)| text.replace(short, long))
    }

    /// Whether what is shown is all that was printed. Left out can be parts of a line by `…`, and lines by a line `…`.
    /// Times, sizes and dates stand for others of their kind, and any number of spaces for any other.
    pub(super) fn compare(&mut self, shown: &str, printed: &str) -> bool {
        let (pattern, words) = pattern(&self.fill(shown));
        let pattern = Regex::new(&format!("(?s)^{pattern}\n*$")).expect("everything in it is escaped");
        let Some(found) = pattern.captures(&tidy(printed)).map(|found| {
            let text = |group| found.get(group).map_or(String::new(), |found| found.as_str().to_owned());
            (1..found.len()).map(text).collect::<Vec<_>>()
        }) else {
            return false;
        };
        self.0.extend(words.into_iter().zip(found).filter(|(word, _)| word.chars().count() > 4));
        true
    }

    /// Whether what is shown is somewhere among what was printed, in lines one after another.
    pub(super) fn contains(&self, shown: &str, printed: &str) -> bool {
        let (pattern, _) = pattern(&self.fill(shown));
        Regex::new(&format!("(?m)^{pattern}$")).expect("everything in it is escaped").is_match(&tidy(printed))
    }
}

fn tidy(printed: &str) -> String {
    printed.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The pattern of what is shown, and the words in it that are left out, one for each group.
fn pattern(shown: &str) -> (String, Vec<String>) {
    let kinds = Regex::new(
        "(?P<lines>\n…(?:\n|$))|(?P<word>(?:[0-9A-Za-z+/=_-]*[0-9][0-9A-Za-z+/=_-]*)?…)|(?P<space> +)\
         |(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z)|\\b(?P<amount>[0-9]+(?:\\.[0-9]+)? ?(?P<unit>[µmn]?s|[kM]i?B|B))\\b",
    )
    .expect("a pattern");
    let shown = format!("\n{}", tidy(shown).trim_end());
    let (mut made, mut words, mut at) = (String::new(), Vec::new(), 0);
    for found in kinds.captures_iter(&shown) {
        let whole = found.get(0).expect("there is the whole");
        made.push_str(&regex::escape(&shown[at..whole.start()]));
        at = whole.end();
        if found.name("lines").is_some() {
            made.push_str("\n(?:[^\n]*\n)*?");
        } else if let Some(word) = found.name("word") {
            made.push_str("([^\n]*?)");
            words.push(word.as_str().to_owned());
        } else if found.name("space").is_some() {
            made.push_str(" +");
        } else if found.name("date").is_some() {
            made.push_str("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z");
        } else if let Some(unit) = found.name("unit") {
            let kind = if unit.as_str().ends_with('s') { "[µmn]?s" } else { "[kM]?i?B" };
            made.push_str(&format!("[0-9]+(?:\\.[0-9]+)? ?{kind}"));
        }
    }
    made.push_str(&regex::escape(&shown[at..]));
    (made.strip_prefix('\n').unwrap_or(&made).to_owned(), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(shown: &str, printed: &str) -> bool {
        Known::default().compare(shown, printed)
    }

    #[test]
    fn what_is_shown_is_all_that_is_printed_but_for_what_is_left_out() {
        assert!(same("a b\nc\n", "a b \nc\n\n"));
        assert!(!same("a b\n", "a b\nc\n"));
        assert!(!same("a\n", "b\n"));
        assert!(!same("", "a\n"));
        assert!(same("a\n…\nd\n", "a\nb\nc\nd\n"));
        assert!(same("a\n…\nd\n", "a\nd\n"));
        assert!(!same("a\n…\nd\n", "a\nb\n"));
        assert!(same("…\nd\n", "a\nd\n"));
        assert!(same("a\n…\n", "a\nb\nc\n"));
        assert!(same(r#"{"id":"…","n":1}"#, r#"{"id":"7f","n":1}"#));
        assert!(!same(r#"{"id":"…","n":1}"#, r#"{"id":"7f","n":2}"#));
    }

    #[test]
    fn times_sizes_and_spaces_may_differ_and_nothing_else() {
        assert!(same(
            "ok  9.8 µs  1.1 MiB  all at 2026-11-25T10:00:00Z",
            "ok 12 ms   64 MiB all at 2027-01-01T00:00:00.123Z"
        ));
        assert!(!same("9.8 µs", "9.8 MiB"));
        assert!(!same("2 of 3", "1 of 3"));
    }

    #[test]
    fn a_word_that_was_left_out_is_known_afterwards() {
        let mut known = Known::default();
        assert!(known.compare("vip@sha256:4be1…\n", "vip@sha256:0123456789\n"));
        assert_eq!(known.fill("oci = \"4be1…\""), "oci = \"0123456789\"");
        assert!(known.compare("4be1…", "0123456789") && !known.compare("4be1…", "987"));
    }

    #[test]
    fn lines_are_found_among_others() {
        let known = Known::default();
        assert!(known.contains("b\nc …\n", "a\nb\nc 1\nd\n"));
        assert!(!known.contains("b\nd\n", "a\nb\nc\nd\n") && !known.contains("b", "ab\n"));
    }
}
