//! The arrival check: every message once, where it belongs, as it has to look, and in order where that is promised.

use std::collections::BTreeMap;
use std::fmt;

use super::orders::Orders;
use super::work::Work;

/// Everything that is wrong about what arrived, by kind: how often, and the number of the first.
#[derive(Debug, Default, Clone)]
pub(crate) struct Mistakes(BTreeMap<Kind, (usize, usize)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Missing,
    Repeated,
    Disordered,
    Unmasked,
    Altered,
    Misrouted,
    Unknown,
}

impl Kind {
    /// What messages do that are of this kind.
    fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "never arrived",
            Self::Repeated => "arrived again",
            Self::Disordered => "came after a later one of their key",
            Self::Unmasked => "show a secret",
            Self::Altered => "are not what they have to be",
            Self::Misrouted => "went where they do not belong",
            Self::Unknown => "bear no number of the load",
        }
    }
}

/// What has arrived so far.
pub(crate) struct Books<'a> {
    orders: &'a Orders,
    work: Work,
    /// How often the message of each number has arrived.
    arrived: Vec<u8>,
    /// The next number that may come, by key; empty where no order is promised.
    next: Vec<usize>,
    mistakes: Mistakes,
}

impl<'a> Books<'a> {
    /// Books for so many messages. Where order is promised, it is within each of so many keys.
    pub(crate) fn new(orders: &'a Orders, work: Work, count: usize, ordered_keys: Option<usize>) -> Self {
        let next = vec![0; ordered_keys.unwrap_or_default()];
        Self { orders, work, arrived: vec![0; count], next, mistakes: Mistakes::default() }
    }

    /// Books an arrival.
    pub(crate) fn arrive(&mut self, subject: &str, number: Option<usize>, payload: &[u8]) {
        let Some((number, times)) = number.and_then(|number| Some((number, self.arrived.get_mut(number)?))) else {
            return self.mistakes.add(Kind::Unknown, 0);
        };
        *times = times.saturating_add(1);
        if *times > 1 {
            return self.mistakes.add(Kind::Repeated, number);
        }
        if let Some(keys) = std::num::NonZero::new(self.next.len()) {
            let next = &mut self.next[number % keys];
            if number < *next {
                self.mistakes.add(Kind::Disordered, number);
            }
            *next = (*next).max(number + 1);
        }
        let order = self.orders.of(number);
        let place = order.place(self.work);
        if subject.rsplit('.').next() != Some(place.token()) {
            self.mistakes.add(Kind::Misrouted, number);
        } else if !order.is_right(self.work, payload) {
            let unmasked = self.work.masks() && order.is_revealed_by(payload);
            self.mistakes.add(if unmasked { Kind::Unmasked } else { Kind::Altered }, number);
        }
    }

    /// Closes the books.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn close(mut self) -> Result<(), Mistakes> {
        for (number, times) in self.arrived.iter().enumerate() {
            if *times == 0 {
                self.mistakes.add(Kind::Missing, number);
            }
        }
        if self.mistakes.0.is_empty() { Ok(()) } else { Err(self.mistakes) }
    }
}

impl Mistakes {
    fn add(&mut self, kind: Kind, number: usize) {
        let (count, _) = self.0.entry(kind).or_insert((0, number));
        *count += 1;
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (kind, (count, first)) in &self.0 {
            write!(f, "{between}{count} {} (first: {first})", kind.as_str())?;
            between = ", ";
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::work::Place;

    fn close(arrivals: &[(usize, Place, bool)], keys: Option<usize>) -> String {
        let orders = Orders::new(1_000);
        let mut books = Books::new(&orders, Work::Mask, 4, keys);
        for (number, place, masked) in arrivals {
            let order = orders.of(*number);
            let payload = String::from_utf8(order.payload.to_vec()).expect("text");
            let mut json: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
            if *masked {
                let hide = |value: &serde_json::Value, count| {
                    crate::bench::orders::keep_last(value.as_str().expect("text"), count)
                };
                json["customer"]["email"] = "***".into();
                json["customer"]["phone"] = hide(&json["customer"]["phone"], 2).into();
                json["payment"]["card"] = hide(&json["payment"]["card"], 4).into();
            }
            books.arrive(&format!("out.{}", place.token()), Some(*number), json.to_string().as_bytes());
        }
        books.close().err().map(|mistakes| mistakes.to_string()).unwrap_or_default()
    }

    const GOOD: [(usize, Place, bool); 4] =
        [(0, Place::Default, true), (1, Place::Default, true), (2, Place::Default, true), (3, Place::Default, true)];

    #[test]
    fn what_is_right_has_no_mistakes_and_each_mistake_is_named() {
        assert_eq!(close(&GOOD, Some(1)), "");
        assert_eq!(close(&GOOD[..3], Some(1)), "1 never arrived (first: 3)");
        assert_eq!(close(&[&GOOD[..], &GOOD[2..3]].concat(), Some(1)), "1 arrived again (first: 2)");
        let mut changed = GOOD;
        changed[1].2 = false;
        assert_eq!(close(&changed, Some(1)), "1 show a secret (first: 1)");
        changed = GOOD;
        changed[2].1 = Place::Review;
        assert_eq!(close(&changed, Some(1)), "1 went where they do not belong (first: 2)");
        changed = GOOD;
        changed.swap(1, 3);
        assert_eq!(close(&changed, Some(1)), "2 came after a later one of their key (first: 2)");
    }

    #[test]
    fn order_is_looked_at_within_a_key_and_only_where_it_is_promised() {
        let mut changed = GOOD;
        changed.swap(1, 2);
        assert_eq!(close(&changed, None), "");
        assert_eq!(close(&changed, Some(2)), "", "1 and 2 are of different keys");
        changed = GOOD;
        changed.swap(0, 2);
        assert_ne!(close(&changed, Some(2)), "");
    }

    #[test]
    fn a_message_without_a_number_is_a_mistake() {
        let orders = Orders::new(1_000);
        let mut books = Books::new(&orders, Work::Pass, 0, None);
        books.arrive("out.default", None, b"{}");
        books.arrive("out.default", Some(7), b"{}");
        let mistakes = books.close().expect_err("two of them").to_string();
        assert_eq!(mistakes, "2 bear no number of the load (first: 0)");
    }
}
