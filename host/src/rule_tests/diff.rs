//! Two texts and what differs between them.

use similar::{ChangeTag, TextDiff};

/// Lines that are shown before and after one that differs.
const CONTEXT: usize = 3;

/// The lines of two texts: `- ` before what only the first one has, `+ ` before what only the second one has, and around
/// them some of what they share.
pub(super) fn lines(want: &str, got: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(want, got);
    let mut lines = Vec::new();
    for (group, operations) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if group > 0 {
            lines.push("  …".to_owned());
        }
        for change in operations.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push(format!("{sign} {}", printable(change.value().trim_end_matches('\n'))));
        }
    }
    if lines.is_empty() || only_differs_in_ends(want, got) {
        lines = vec![format!("- {}", want.escape_debug()), format!("+ {}", got.escape_debug())];
    }
    lines
}

/// Whether the lines look the same: the texts differ in a line feed at the end, or in what cannot be seen.
fn only_differs_in_ends(want: &str, got: &str) -> bool {
    want.lines().map(printable).eq(got.lines().map(printable))
}

/// What a payload says must not steer the terminal.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_both_have_are_shown_only_near_a_difference() {
        let text = |change: &str| -> String {
            (0..20).map(|n| if n == 10 { change.to_owned() } else { format!("line {n}\n") }).collect()
        };
        let (want, got) = (text("old\n"), text("new\n"));
        let shown = lines(&want, &got);
        assert_eq!(shown.len(), 8);
        assert_eq!(shown[2..5], ["  line 9", "- old", "+ new"]);
    }

    #[test]
    fn a_difference_that_cannot_be_seen_is_spelt_out() {
        assert_eq!(lines("a\n", "a"), ["- a\\n", "+ a"]);
        assert_eq!(lines("a\u{1b}", "a\u{7}"), ["- a\\u{1b}", "+ a\\u{7}"]);
    }
}
