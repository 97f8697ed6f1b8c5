//! A curve as a picture: SVG, with axes that can be read.

use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// Points over time, and what happened when.
#[derive(Debug)]
pub struct Graph<'a> {
    /// What it shows.
    pub title: &'a str,
    /// The name of the upright axis, with its unit.
    pub unit: &'a str,
    /// Seconds and values.
    pub points: &'a [(f64, f64)],
    /// Seconds, and what happened then.
    pub marks: &'a [(f64, String)],
}

impl Graph<'_> {
    /// The picture.
    #[must_use]
    pub fn svg(&self) -> String {
        let last = self.points.last().map_or(1.0, |point| point.0).max(1.0);
        let most = self.points.iter().map(|point| point.1).fold(1.0, f64::max);
        let top = nice(most * 1.2);
        let x = |seconds: f64| LEFT + seconds / last * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"16\">{}</text>\n",
            self.title
        );
        for step in 0..=4 {
            let (value, seconds) = (top * f64::from(step) / 4.0, last * f64::from(step) / 4.0);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{:.1}\" y2=\"{1:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>\
                 <text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{seconds:.0} s</text>",
                WIDTH - RIGHT,
                y(value),
                LEFT - 8.0,
                y(value) + 4.0,
                x(seconds),
                HEIGHT - BOTTOM + 20.0,
            );
        }
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.0}\">{}</text>", HEIGHT - 10.0, self.unit);
        for (seconds, what) in self.marks {
            let _ = writeln!(
                svg,
                "<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{TOP}\" y2=\"{1:.0}\" stroke=\"#c33\" stroke-dasharray=\"4\"/>\
                 <text x=\"{2:.1}\" y=\"{3:.0}\" fill=\"#c33\">{what}</text>",
                x(*seconds),
                HEIGHT - BOTTOM,
                x(*seconds) + 6.0,
                TOP + 12.0,
            );
        }
        let line: Vec<String> = self.points.iter().map(|(s, v)| format!("{:.1},{:.1}", x(*s), y(*v))).collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"#247\" stroke-width=\"2\" points=\"{}\"/>\n</svg>",
            line.join(" ")
        );
        svg
    }
}

/// The next number of one digit and zeros.
fn nice(value: f64) -> f64 {
    let unit = 10_f64.powf(value.log10().floor());
    (value / unit).ceil() * unit
}
