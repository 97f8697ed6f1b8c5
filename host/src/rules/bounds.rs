//! What a TOML file may ask of the parser, whose time and memory grow faster than the text where brackets are nested or
//! keys have very many parts. Checked on tokens, so that it holds for files that are not well-formed as well.

use std::sync::Arc;

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use super::error::{Location, Problem, SourceText};

/// Longest line, in bytes.
const MAX_LINE_BYTES: usize = 256 << 10;

/// Deepest nesting of `[` and `{`.
const MAX_DEPTH: usize = 64;

/// Most parts of a dotted key.
const MAX_KEY_PARTS: usize = 64;

/// Checks a text before it is parsed.
///
/// # Errors
/// The first line that is too long, bracket that is too deep or key that has too many parts.
pub(super) fn check(source: &Arc<SourceText>) -> Result<(), Box<Problem>> {
    if let Some((index, line)) = source.text().lines().enumerate().find(|(_, line)| line.len() > MAX_LINE_BYTES) {
        let (name, number, bytes) = (source.name(), index + 1, line.len());
        let message = format!("line {number} of `{name}` has {bytes} bytes, more than {} KiB", MAX_LINE_BYTES >> 10);
        let help = "spread it over several lines, or put long lists into a plugin's files";
        return Err(Box::new(Problem::error(message).help(help)));
    }
    let (mut depth, mut parts) = (0_usize, 1_usize);
    for token in Source::new(source.text()).lex() {
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => depth += 1,
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
        match token.kind() {
            TokenKind::Dot => parts += 1,
            TokenKind::Atom | TokenKind::BasicString | TokenKind::LiteralString | TokenKind::Whitespace => {}
            _ => parts = 1,
        }
        let (message, help) = if depth > MAX_DEPTH {
            let message = format!("brackets are nested more than {MAX_DEPTH} deep");
            (message, "close the brackets that are open here, or write flatter tables")
        } else if parts > MAX_KEY_PARTS {
            (format!("a key has more than {MAX_KEY_PARTS} parts"), "write fewer names with dots between them")
        } else {
            continue;
        };
        let place = Location::new(source, token.span().start()..token.span().end());
        return Err(Box::new(Problem::error(message).at(place).help(help)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{FileSet, load_from};

    fn report(text: &str) -> String {
        let set = FileSet::new("").with("trackside.toml", text);
        load_from(&set).expect_err("has errors").to_string()
    }

    #[test]
    fn what_is_within_the_bounds_is_left_to_the_parser() {
        let line = format!("a = \"{}\"", "x".repeat(MAX_LINE_BYTES - 6));
        let nested = format!("a = {}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        let dotted = format!("[{}]", vec!["a"; MAX_KEY_PARTS].join("."));
        let quoted = format!("a = \"{}\" # {}", "[".repeat(100), "{".repeat(100));
        for text in [line, nested, dotted, quoted, "[[rule]]\n".repeat(100), "a = 1.5\n".repeat(100)] {
            assert!(check(&SourceText::new("a.toml", text.as_str())).is_ok(), "{}", &text[..20]);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_named_and_not_printed() {
        let report = report(&format!("[nats]\nservers = \"{}\"", "x".repeat(MAX_LINE_BYTES)));
        assert!(report.contains("line 2 of `trackside.toml` has 262156 bytes, more than 256 KiB"), "{report}");
        assert!(!report.contains("xxx"), "{report}");
    }

    #[test]
    fn nesting_and_keys_past_the_bounds_are_pointed_at_in_a_line_cut_to_size() {
        let nested = report(&format!("a = {}", "[".repeat(60_000)));
        assert!(nested.contains("brackets are nested more than 64 deep\n   ,-[trackside.toml:1:69]"), "{nested}");
        let tables = report(&"{a=".repeat(20_000));
        assert!(tables.contains("brackets are nested more than 64 deep\n   ,-[trackside.toml:1:193]"), "{tables}");
        let dotted = report(&format!("[{}]", vec!["a"; 30_000].join(".")));
        assert!(dotted.contains("a key has more than 64 parts\n   ,-[trackside.toml:1:129]"), "{dotted}");
        for report in [nested, tables, dotted] {
            assert!(report.lines().all(|line| line.len() < 250), "{report}");
        }
    }

    #[test]
    fn hostile_files_end_in_a_short_report() {
        let long = 256 << 10;
        let fill = |unit: &str| unit.repeat(long / unit.len());
        let dots = format!("{}\n", vec!["a"; 30_000].join("."));
        for text in [
            fill("["),
            fill("[\n"),
            fill("{a="),
            fill("{a=\n"),
            fill("]\n"),
            fill("a.a."),
            fill(&dots),
            fill("password = [\n"),
            fill("keys = { a.\n"),
            fill("token \r"),
            fill("\n"),
            format!("{}{}", "= ]\n".repeat(long / 8), "\n".repeat(long / 2)),
        ] {
            assert!(report(&text).len() < 20_000);
        }
    }
}
