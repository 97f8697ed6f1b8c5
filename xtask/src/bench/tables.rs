//! Results as tables, for the terminal and for the page alike.

use std::time::Duration;

use super::goals::Goal;
use super::latency::Latency;
use super::results::{Reload, Results, Row, Start, Table};
use super::sidecar::Calls;
use super::stats::{Spread, grouped};
use super::throughput::Measured;

/// A table in Markdown, its columns aligned: those of numbers to the right.
pub(crate) fn markdown<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let cells: Vec<String> =
            cells.iter().enumerate().map(|(column, cell)| pad(cell, widths[column], column)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rules: Vec<String> = (0..N).map(|column| rule(widths[column], column)).collect();
    let rows: String = rows.iter().map(|row| line(row.each_ref().map(String::as_str))).collect();
    format!("{}| {} |\n{rows}", line(head), rules.join(" | "))
}

fn pad(cell: &str, width: usize, column: usize) -> String {
    let blank = " ".repeat(width.saturating_sub(cell.chars().count()));
    if column == 0 { format!("{cell}{blank}") } else { format!("{blank}{cell}") }
}

fn rule(width: usize, column: usize) -> String {
    let dashes = "-".repeat(width.saturating_sub(usize::from(column > 0)));
    if column == 0 { dashes } else { format!("{dashes}:") }
}

/// Messages a second, and what each costs.
pub(crate) fn throughput(table: &Table<Measured>) -> String {
    let first = &table.rows[0];
    let rows: Vec<_> = table.rows.iter().filter_map(|row| throughput_row(row, first)).collect();
    let ratio = format!("\u{d7} {}", first.label);
    markdown(["", "messages/s", &ratio, "CPU \u{b5}s", "user + system", "above it", "peak MiB"], &rows)
}

fn throughput_row(row: &Row<Measured>, first: &Row<Measured>) -> Option<[String; 7]> {
    let micros = row.spread(|run| run.micros.total())?;
    let [user, system] = [row.spread(|run| run.micros.user)?, row.spread(|run| run.micros.system)?];
    let is_first = row.label == first.label;
    let above = row.against(first, |one, first| one.micros.total() - first.micros.total());
    let ratio = row.against(first, |one, first| one.rate / first.rate);
    let compared = |spread: Option<Spread>, decimals: usize| match spread {
        Some(spread) if !is_first => format!("{spread:.decimals$}"),
        _ => String::new(),
    };
    Some([
        row.label.clone(),
        format!("{:.0}", row.spread(|run| run.rate)?),
        compared(ratio, 2),
        format!("{micros:.1}"),
        format!("{:.1} + {:.1}", user.median, system.median),
        compared(above, 1),
        mebibytes(row.runs.iter().map(|run| run.peak).max().unwrap_or_default()),
    ])
}

/// Percentiles of latency.
pub(crate) fn latency(table: &Table<Latency>) -> String {
    let row = |row: &Row<Latency>| {
        let at = |quantile: f64| row.spread(|run| run.quantile(quantile).as_secs_f64() * 1e3);
        let [p50, p99, p999, most] = [at(0.5)?, at(0.99)?, at(0.999)?, at(1.0)?].map(|spread| format!("{spread:.2}"));
        Some([row.label.clone(), grouped(row.runs.first()?.rate, 0), p50, p99, p999, most])
    };
    let rows: Vec<_> = table.rows.iter().filter_map(row).collect();
    markdown(["", "messages/s", "p50 ms", "p99 ms", "p99.9 ms", "most ms"], &rows)
}

/// Calls that wait until their message is stored.
pub(crate) fn calls(table: &Table<Calls>) -> String {
    let row = |row: &Row<Calls>| {
        let at = |quantile: f64| {
            row.spread(|run| Duration::from_nanos(run.histogram.value_at_quantile(quantile)).as_secs_f64() * 1e3)
        };
        let [p50, p99, p999] = [at(0.5)?, at(0.99)?, at(0.999)?].map(|spread| format!("{spread:.2}"));
        let micros = Spread::of(row.runs.iter().filter_map(|run| run.micros)).map(|spread| format!("{spread:.1}"));
        let rate = format!("{:.0}", row.spread(|run| run.rate)?);
        Some([row.label.clone(), rate, p50, p99, p999, micros.unwrap_or_default()])
    };
    let rows: Vec<_> = table.rows.iter().filter_map(row).collect();
    markdown(["", "calls/s", "p50 ms", "p99 ms", "p99.9 ms", "CPU \u{b5}s in Trackside"], &rows)
}

/// What is not about messages a second.
pub(crate) fn life(results: &Results) -> String {
    let mut rows = Vec::new();
    if let Some(Start { cold, warm }) = &results.start {
        for (label, times) in [("start to ready, nothing compiled yet", cold), ("start to ready, warm cache", warm)] {
            rows.extend(millis(times.iter().copied()).map(|spread| [label.to_owned(), format!("{spread:.0} ms")]));
        }
    }
    let reloads = |value: fn(&Reload) -> Duration| millis(results.reloads.iter().map(value));
    for (label, spread) in [
        ("reload of 1,000 rules under load", reloads(|reload| reload.took)),
        ("longest time of a message meanwhile", reloads(|reload| reload.worst_during)),
        ("longest time of a message otherwise", reloads(|reload| reload.worst_otherwise)),
    ] {
        rows.extend(spread.map(|spread| [label.to_owned(), format!("{spread:.1} ms")]));
    }
    if let Some(idle) = results.idle.iter().max() {
        rows.push(["memory with nothing to do, four standard plugins".to_owned(), mebibytes(*idle) + " MiB"]);
    }
    if rows.is_empty() { String::new() } else { markdown(["", "median (least\u{2013}most)"], &rows) }
}

/// What is aimed at; nothing if there are none.
pub(crate) fn goals(goals: impl Iterator<Item = Goal>) -> Option<String> {
    let row =
        |goal: Goal| [goal.scenario.to_owned(), goal.goal.to_owned(), goal.measured, goal.met.as_str().to_owned()];
    let rows: Vec<_> = goals.map(row).collect();
    (!rows.is_empty()).then(|| markdown(["scenario", "goal", "measured", ""], &rows))
}

/// Durations in milliseconds.
pub(crate) fn millis(times: impl Iterator<Item = Duration>) -> Option<Spread> {
    Spread::of(times.map(|time| time.as_secs_f64() * 1e3))
}

/// Bytes in mebibytes.
pub(crate) fn mebibytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "no memory is that large")]
    let bytes = bytes as f64;
    grouped(bytes / f64::from(1 << 20), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_a_table_line_up() {
        let table =
            markdown(["", "\u{b5}s"], &[["relay".to_owned(), "5".to_owned()], ["x".to_owned(), "1,000".to_owned()]]);
        assert_eq!(table, "|       |    \u{b5}s |\n| ----- | ----: |\n| relay |     5 |\n| x     | 1,000 |\n");
    }
}
