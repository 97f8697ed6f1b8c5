//! What the stages do, done by hand to the orders of the harness, whose spelling is known: no plugin could be so simple.
//! It is there to be spoilt, and to see that what is not spoilt passes the check.

use bytes::Bytes;

use crate::bench::orders::keep_last;
use crate::bench::work::{Place, Work};

/// Where an order belongs, and what becomes of it.
pub(super) fn handle(work: Work, payload: Bytes) -> (Place, Bytes) {
    let Ok(text) = std::str::from_utf8(&payload) else { return (Place::Dead, payload) };
    let amount = between(text, "\"amount\":", ",").and_then(|amount| amount.parse::<f64>().ok());
    let place = match amount {
        _ if !work.decides() => Place::Default,
        Some(amount) if amount >= 1000.0 => Place::Review,
        Some(amount) if amount > 0.0 => Place::Default,
        _ => return (Place::Dead, payload),
    };
    if !work.masks() {
        return (place, payload);
    }
    let mut masked = text.to_owned();
    for (key, kept) in [("email", None), ("phone", Some(2)), ("card", Some(4))] {
        let start = format!("\"{key}\":\"");
        if let Some(value) = between(text, &start, "\"") {
            let hidden = kept.map_or_else(|| "***".to_owned(), |count| keep_last(value, count));
            masked = masked.replacen(&format!("{start}{value}"), &format!("{start}{hidden}"), 1);
        }
    }
    (place, masked.into())
}

/// A masked order with its card number as it came.
pub(super) fn reveal(masked: &Bytes, original: &Bytes) -> Bytes {
    let card = |payload| between(std::str::from_utf8(payload).ok()?, "\"card\":\"", "\"");
    match (std::str::from_utf8(masked), card(masked), card(original)) {
        (Ok(text), Some(hidden), Some(shown)) => text.replacen(hidden, shown, 1).into(),
        _ => masked.clone(),
    }
}

/// An order with another currency.
pub(super) fn alter(payload: &Bytes) -> Bytes {
    String::from_utf8_lossy(payload).replacen("\"currency\":\"EUR\"", "\"currency\":\"USD\"", 1).into()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(start)?.1.split_once(end)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::orders::Orders;

    #[test]
    fn what_is_done_by_hand_passes_the_check() {
        let orders = Orders::new(1_000);
        for work in [Work::Pass, Work::Mask, Work::Check] {
            for number in 0..64 {
                let order = orders.of(number);
                let (place, payload) = handle(work, order.payload.clone());
                assert_eq!(place, order.place(work), "{work} {number}");
                assert!(order.is_right(work, &payload), "{work} {number}");
            }
        }
    }
}
