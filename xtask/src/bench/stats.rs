//! Medians with their spread, of a handful of runs.

use std::fmt;

/// The middle of several values, and how far they are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of these values; none if there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { median, least, most })
    }
}

/// `median (least–most)`, with as many decimals as the precision says; of one value, that value.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().unwrap_or(0);
        let [median, least, most] = [self.median, self.least, self.most].map(|value| grouped(value, decimals));
        if self.least.to_bits() == self.most.to_bits() {
            return f.write_str(&median);
        }
        write!(f, "{median} ({least}\u{2013}{most})")
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped =
        if value < 0.0 && text.contains(|digit: char| ('1'..='9').contains(&digit)) { "-" } else { "" }.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

/// A count with its thousands apart.
pub(crate) fn grouped_count(count: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "nothing is counted that far")]
    let count = count as f64;
    grouped(count, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_and_the_spread_around_it() {
        let spread = Spread::of([3.0, 1.0, 2.0]).expect("values");
        assert_eq!(spread, Spread { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(Spread::of([1.0, 2.0]).expect("values").median.to_bits(), 1.5_f64.to_bits());
        assert_eq!(format!("{:.1}", Spread::of([2.0]).expect("a value")), "2.0");
        assert_eq!(Spread::of([]), None);
        assert_eq!(format!("{spread:.1}"), "2.0 (1.0\u{2013}3.0)");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (value, decimals, want) in [
            (0.0, 0, "0"),
            (999.0, 0, "999"),
            (1_234_567.0, 0, "1,234,567"),
            (-1_234.56, 1, "-1,234.6"),
            (-0.01, 1, "0.0"),
        ] {
            assert_eq!(grouped(value, decimals), want);
        }
    }
}
