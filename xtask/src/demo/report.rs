//! What the demo prints: short, aligned, and live only where there is a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::feed::WINDOW;
use super::ledger::{Ledger, Revision, Sample};
use super::orders::Kind;
use super::watch::Outcome;

/// How often a terminal, or a log, gets a new count.
const TERMINAL_PERIOD: Duration = Duration::from_millis(100);
const LOG_PERIOD: Duration = Duration::from_secs(1);
/// How much of a payload a sample shows, in characters.
const SAMPLE_CHARS: usize = 320;
/// The kinds that are shown before and after.
const SHOWN: [(Kind, &str); 8] = [
    (Kind::Ordinary, "an ordinary order"),
    (Kind::CardInNote, "a card and an e-mail address in the note"),
    (Kind::CardElsewhere, "cards as a number and in an array, an e-mail address as a key"),
    (Kind::EscapedKey, "a key with an escaped letter"),
    (Kind::DuplicateKey, "a key that comes twice"),
    (Kind::Huge, "an amount of forty digits"),
    (Kind::AmountAsText, "an amount that is text"),
    (Kind::NotJson, "no JSON at all"),
];

/// A line that is written over while it changes, or a line now and then where nothing can be written over.
pub(crate) struct Live {
    terminal: bool,
    last: Instant,
    /// Length of what is on the line now.
    shown: usize,
}

impl Live {
    /// A line on standard output.
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stdout().is_terminal(), last: Instant::now(), shown: 0 }
    }

    /// Shows the count if it is time to.
    pub(crate) fn count(&mut self, sent: u32, ledger: &Ledger, since: Instant) {
        let period = if self.terminal { TERMINAL_PERIOD } else { LOG_PERIOD };
        if self.last.elapsed() < period {
            return;
        }
        self.last = Instant::now();
        let line = count_line(sent, ledger, since.elapsed());
        if self.terminal {
            print!("\r{line:<width$}", width = self.shown);
            // A count that cannot be shown must not end the demo.
            let _ = std::io::stdout().flush();
            self.shown = line.chars().count();
        } else {
            println!("{line}");
        }
    }

    /// Shows the last count, and leaves it there.
    pub(crate) fn finish(&mut self, sent: u32, ledger: &Ledger, took: Duration) {
        self.say(&count_line(sent, ledger, took));
    }

    /// Prints a line of its own, above the count.
    pub(crate) fn say(&mut self, text: &str) {
        if self.shown > 0 {
            print!("\r{:width$}\r", "", width = self.shown);
            self.shown = 0;
        }
        println!("{text}");
    }
}

fn count_line(sent: u32, ledger: &Ledger, elapsed: Duration) -> String {
    let [clean, review, dead] = ledger.totals().map(|count| grouped(u64::from(count)));
    let rate = grouped(per_second(ledger.distinct(), elapsed));
    let sent = grouped(u64::from(sent));
    format!("  {sent:>9} sent {clean:>9} clean {review:>9} review {dead:>9} dead {rate:>9}/s")
}

/// Samples before and after, for those kinds that were met.
pub(crate) fn print_samples(ledger: &Ledger) {
    println!("\nBefore and after");
    for (kind, title) in SHOWN {
        if let Some(sample) = ledger.samples().get(&kind) {
            print_sample(title, sample);
        }
    }
}

fn print_sample(title: &str, sample: &Sample) {
    let Sample { order, arrival } = sample;
    println!("  {title}: {} -> {}", order.subject, arrival.subject);
    println!("    - {}", excerpt(&order.payload));
    match arrival.outcome {
        Outcome::Dead => println!("    ! {}", arrival.header("Trackside-Dead-Reason").unwrap_or("no reason given")),
        Outcome::Clean | Outcome::Review => println!("    + {}", excerpt(&arrival.payload)),
    }
}

fn excerpt(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(payload);
    let mut shown = String::new();
    for character in text.chars().take(SAMPLE_CHARS) {
        // A payload must not drive the reader's terminal.
        if character.is_control() { shown.extend(character.escape_debug()) } else { shown.push(character) }
    }
    if text.chars().count() > SAMPLE_CHARS {
        shown.push('…');
    }
    shown
}

/// Counts by outcome and revision, rate and latency; `half` is how long the first half of the orders took.
pub(crate) fn print_numbers(ledger: &Ledger, half: Duration) {
    let of_revision = |(revision, counts): (&Revision, &[u32; 3])| {
        (format!("{} (review from {:.2})", revision.name, revision.threshold), *counts)
    };
    let mut rows: Vec<_> = ledger.by_revision().map(of_revision).collect();
    rows.push(("all".to_owned(), ledger.totals()));
    print!("\nOutcomes\n{}", table("by revision", &rows));

    // The second half has a pause in it, until the change is in force.
    let rate = grouped(per_second(ledger.distinct() / 2, half));
    println!("\nRate     {rate} orders/s through three plugins, in the half before the rule changed");
    println!(
        "Latency  p50 {}, p99 {}, from publishing to arrival, with {WINDOW} orders on their way at a time",
        millis(ledger.percentile(50)),
        millis(ledger.percentile(99)),
    );
}

/// Counts by outcome, a line for each row, under the names of the outcomes.
fn table(title: &str, rows: &[(String, [u32; 3])]) -> String {
    let widest = rows.iter().map(|(name, _)| name.as_str()).chain([title]).map(|name| name.chars().count()).max();
    let width = widest.unwrap_or_default();
    let line = |name: &str, cells: [String; 3]| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>14}")).collect();
        format!("  {name:<width$}{cells}\n")
    };
    let mut text = line(title, Outcome::ALL.map(|outcome| outcome.as_str().to_owned()));
    for (name, counts) in rows {
        text += &line(name, counts.map(|count| grouped(u64::from(count))));
    }
    text
}

/// The verdict: what was checked, or what is wrong.
pub(crate) fn print_checks(ledger: &Ledger) {
    println!("\nChecks");
    let (mistakes, count) = ledger.mistakes();
    if count == 0 {
        println!("  ok  each of {} orders arrived exactly once", grouped(u64::from(ledger.distinct())));
        println!("  ok  each where it belongs, by the one revision that it bears");
        println!("  ok  no planted secret in a clean or review output, nor in what a dead letter says about itself");
        println!("  ok  everything is acknowledged, and the streams hold as many messages as there were orders");
        return;
    }
    for mistake in mistakes {
        println!("  WRONG  {mistake}");
    }
    if count > mistakes.len() {
        println!("  WRONG  and {} more", count - mistakes.len());
    }
}

fn per_second(count: u32, elapsed: Duration) -> u64 {
    let micros = elapsed.as_micros().max(1);
    u64::try_from(u128::from(count) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A duration in milliseconds with one digit of a fraction.
pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, want) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), want);
        }
    }

    #[test]
    fn an_excerpt_is_one_line_whatever_the_payload() {
        assert_eq!(excerpt(b"a\nb\x1b[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(excerpt("x".repeat(500).as_bytes()).chars().count(), SAMPLE_CHARS + 1);
        assert_eq!(excerpt("Zoë \"q\"".as_bytes()), "Zoë \"q\"");
    }

    #[test]
    fn the_columns_of_a_table_line_up_however_long_its_labels_are() {
        let rows = [("aaaaaaaaaaaa (review from 1000.00)".to_owned(), [1, 20, 1000]), ("all".to_owned(), [0; 3])];
        let table = table("by revision", &rows);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()), "{table}");
        assert!(lines[1].ends_with("             1            20         1,000"), "{table}");
    }

    #[test]
    fn rates_and_times_are_written_for_people() {
        assert_eq!(per_second(500, Duration::from_millis(250)), 2000);
        assert_eq!(per_second(0, Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_micros(1250)), "1.2 ms");
    }
}
