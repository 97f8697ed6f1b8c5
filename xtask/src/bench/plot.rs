//! Results as pictures: SVG, without fonts of the system.

use std::fmt::Write as _;

use super::latency::Latency;
use super::results::Table;
use super::stats::{Spread, grouped};
use super::throughput::Measured;

const WIDTH: f64 = 960.0;
const LABELS: f64 = 290.0;
const NUMBERS: f64 = 90.0;
const BAR: f64 = 16.0;
const STEP: f64 = 22.0;
const HEAD: f64 = 30.0;
const COLOURS: [&str; 6] = ["#777", "#247", "#49c", "#c63", "#395", "#939"];

/// Which number of a run is drawn.
pub(crate) type Value = fn(&Measured) -> f64;

/// A bar for each contestant of each scenario, as long as the median, with a line from the least to the most.
pub(crate) fn bars(title: &str, decimals: usize, tables: &[Table<Measured>], value: Value) -> String {
    let mut body = String::new();
    let mut y = HEAD + 10.0;
    for table in tables {
        let spreads = table.rows.iter().map(|row| (row.label.as_str(), row.spread(value)));
        let spreads: Vec<(&str, Spread)> = spreads.filter_map(|(label, spread)| Some((label, spread?))).collect();
        let most = spreads.iter().map(|(_, spread)| spread.most).fold(f64::MIN_POSITIVE, f64::max);
        let x = |value: f64| LABELS + value.max(0.0) / most * (WIDTH - LABELS - NUMBERS);
        y += STEP;
        let _ = writeln!(body, "<text x=\"10\" y=\"{y:.0}\" font-weight=\"bold\">{}</text>", table.name);
        for (index, (label, spread)) in spreads.into_iter().enumerate() {
            let (top, middle) = (y + 6.0, y + 6.0 + BAR / 2.0);
            let colour = COLOURS[usize::from(index > 0)];
            let _ = writeln!(
                body,
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{label}</text>\
                 <rect x=\"{LABELS}\" y=\"{top:.0}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
                 <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.0}\" y2=\"{middle:.0}\" stroke=\"black\"/>\
                 <text x=\"{:.1}\" y=\"{1:.0}\">{}</text>",
                LABELS - 8.0,
                middle + 4.0,
                x(spread.median) - LABELS,
                x(spread.least),
                x(spread.most),
                x(spread.most) + 6.0,
                grouped(spread.median, decimals),
            );
            y += STEP;
        }
        y += 8.0;
    }
    picture(title, y + 10.0, &body)
}

/// Latency by percentile, both on scales of powers of ten: how much worse it gets for how few.
pub(crate) fn percentiles(title: &str, table: &Table<Latency>) -> String {
    const HEIGHT: f64 = 420.0;
    const LEFT: f64 = 80.0;
    const BOTTOM: f64 = 50.0;
    // One of ten, of a hundred, of a thousand, of ten thousand; and from 10 µs to 1 s.
    let x = |rare: f64| LEFT + rare / 4.0 * (WIDTH - LEFT - 30.0);
    let y = |nanos: f64| HEIGHT - BOTTOM - (nanos.max(1e4).log10() - 4.0) / 5.0 * (HEIGHT - BOTTOM - HEAD - 20.0);
    let mut body = String::new();
    for (rare, name) in [(0.0, "0 %"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %")] {
        let _ = writeln!(
            body,
            "<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{HEAD}\" y2=\"{1:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{0:.1}\" y=\"{2:.1}\" text-anchor=\"middle\">{name}</text>",
            x(rare),
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 18.0
        );
    }
    for (nanos, name) in
        [(1e4, "10 \u{b5}s"), (1e5, "100 \u{b5}s"), (1e6, "1 ms"), (1e7, "10 ms"), (1e8, "100 ms"), (1e9, "1 s")]
    {
        let _ = writeln!(
            body,
            "<line x1=\"{LEFT}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"end\">{name}</text>",
            WIDTH - 30.0,
            y(nanos),
            LEFT - 8.0,
            y(nanos) + 4.0
        );
    }
    for (index, row) in table.rows.iter().enumerate() {
        let Some(mut all) = row.runs.first().map(|run| run.histogram.clone()) else { continue };
        for run in &row.runs[1..] {
            // It cannot fail: both tell the same values apart.
            let _ = all.add(&run.histogram);
        }
        #[expect(clippy::cast_precision_loss, reason = "no latency is that long")]
        let point = |step: i32| {
            let rare = f64::from(step) / 20.0;
            format!("{:.1},{:.1}", x(rare), y(all.value_at_quantile(1.0 - 10_f64.powf(-rare)) as f64))
        };
        let points: Vec<String> = (0..=80).map(point).collect();
        let colour = COLOURS[index % COLOURS.len()];
        let _ = writeln!(
            body,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\" fill=\"{colour}\">{}</text>",
            points.join(" "),
            LEFT + 12.0,
            HEAD + 20.0 + STEP * f64::from(u32::try_from(index).unwrap_or_default()),
            row.label
        );
    }
    picture(title, HEIGHT, &body)
}

fn picture(title: &str, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"16\">{title}</text>\n{body}</svg>\n"
    )
}
