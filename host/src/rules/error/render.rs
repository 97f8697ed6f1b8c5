//! Problems as text: the message, `file:line:column`, the line, the caret, the help.

use std::fmt;
use std::io::IsTerminal;
use std::ops::Range;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents,
};

use super::{Location, Problem, Report, Severity, SourceText};

/// Problems that are printed in full; what is past them is counted.
const MAX_SHOWN_PROBLEMS: usize = 500;

/// Bytes that are shown of a line, and how many of them are before the caret if the line is longer.
const MAX_SHOWN_LINE: usize = 200;
const SHOWN_BEFORE: usize = 60;

/// What a report is printed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A file or pipe: ASCII.
    Plain,
    /// A terminal without colours: box-drawing characters.
    Boxes,
    /// A terminal with colours.
    Colours,
}

impl Look {
    /// What standard error is; `NO_COLOR` is heeded when it is set to anything but nothing (no-color.org).
    #[must_use]
    pub fn of_stderr() -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match (std::io::stderr().is_terminal(), no_colour) {
            (false, _) => Self::Plain,
            (true, true) => Self::Boxes,
            (true, false) => Self::Colours,
        }
    }
}

/// Prints the problems one after another, and how many there are.
pub(super) fn render(problems: &[Problem], look: Look) -> String {
    let handler = handler(look);
    let mut text = String::new();
    for problem in problems.iter().take(MAX_SHOWN_PROBLEMS) {
        for shown in Shown::of(problem) {
            // Writing to a `String` cannot fail, and every span was made to fit its text.
            let _ = handler.render_report(&mut text, &shown);
        }
        text.push('\n');
    }
    if let Some(more @ 1..) = problems.len().checked_sub(MAX_SHOWN_PROBLEMS) {
        text.push_str(&format!("  and {more} more\n\n"));
    }
    text.push_str(&Report(problems.to_vec()).summary());
    text.push('\n');
    text
}

fn handler(look: Look) -> GraphicalReportHandler {
    let mut theme = match look {
        Look::Plain => GraphicalTheme::none(),
        Look::Boxes => GraphicalTheme::unicode_nocolor(),
        Look::Colours => GraphicalTheme::unicode(),
    };
    theme.characters.error = "error:".to_owned();
    theme.characters.warning = "warning:".to_owned();
    theme.characters.advice = "note:".to_owned();
    GraphicalReportHandler::new_themed(theme).with_wrap_lines(false).with_context_lines(0).with_links(false)
}

/// A problem, or one of its other places, as miette takes it.
#[derive(Debug)]
struct Shown<'p> {
    severity: miette::Severity,
    message: String,
    help: Option<String>,
    places: Vec<(&'p Location, Option<String>)>,
}

impl<'p> Shown<'p> {
    /// Places in the file of the problem are shown with it; those in other files follow as notes, and so do those in
    /// long lines, of which one cut could not show both.
    fn of(problem: &'p Problem) -> Vec<Self> {
        let severity = match problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        };
        let mut places: Vec<_> =
            problem.location.iter().map(|location| (location, problem.label.as_deref().map(printable))).collect();
        let mut notes = Vec::new();
        for (location, label) in &problem.also {
            let together = |first: &Location| first.file() == location.file() && is_short(first) && is_short(location);
            if places.first().is_some_and(|(first, _)| together(first)) {
                places.push((location, Some(printable(label))));
            } else {
                notes.push(Self {
                    severity: miette::Severity::Advice,
                    message: printable(label),
                    help: None,
                    places: vec![(location, None)],
                });
            }
        }
        let help = problem.help.as_deref().map(printable);
        let main = Self { severity, message: printable(&problem.message), help, places };
        std::iter::once(main).chain(notes).collect()
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.places.first().map(|(location, _)| &**location.source() as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(
            self.places.iter().map(|(location, label)| LabeledSpan::new_with_span(label.clone(), first_line(location))),
        ))
    }
}

/// A text with its control characters escaped: names from a file could otherwise steer the terminal.
fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut text, c| {
        if c.is_control() && c != '\n' {
            text.extend(c.escape_unicode());
        } else {
            text.push(c);
        }
        text
    })
}

/// Whether the line of a place is shown as a whole.
fn is_short(location: &Location) -> bool {
    location.source().line(location.source().line_of(location.span().start)).len() <= MAX_SHOWN_LINE
}

/// A span of several lines is shown by its first: a caret, not a bracket down the margin. In a long line it ends where
/// the cut does.
fn first_line(location: &Location) -> SourceSpan {
    let (source, span) = (location.source(), location.span());
    let line = source.line(source.line_of(span.start));
    let cut = cut(source.shown(), line, span.start);
    let end = source.shown()[cut.clone()].trim_end().len() + cut.start;
    (span.start, span.end.min(end).saturating_sub(span.start)).into()
}

/// The part of a line around a byte of it that is shown.
fn cut(text: &str, line: Range<usize>, at: usize) -> Range<usize> {
    if line.len() <= MAX_SHOWN_LINE {
        return line;
    }
    let start = text.floor_char_boundary(at.saturating_sub(SHOWN_BEFORE).max(line.start));
    start..text.floor_char_boundary((start + MAX_SHOWN_LINE).min(line.end))
}

impl SourceCode for SourceText {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (first, last) = (self.line_of(span.offset()), self.line_of(span.offset() + span.len()));
        let (from, to) = (first.saturating_sub(lines_before), last + lines_after);
        let bytes = match from == to {
            true => cut(self.shown(), self.line(from), span.offset()),
            false => self.line(from).start..self.line(to).end,
        };
        let before = self.shown().get(self.line(first).start..span.offset()).ok_or(MietteError::OutOfBounds)?;
        let column = if lines_before == 0 { before.chars().count() } else { 0 };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name().to_owned(),
            &self.shown().as_bytes()[bytes.clone()],
            (bytes.start, bytes.len()).into(),
            from,
            column,
            to - from + 1,
        )))
    }
}
