//! The messages: orders as shops send them, of a wanted size, and what has to become of each.

use bytes::Bytes;
use fastrand::Rng;
use serde_json::Value;

use super::work::{JQ_SUM, Place, Work};

/// The orders are the same in every run, so that runs can be compared.
const SEED: u64 = 0x6265_6e63;
/// Different orders of one size: as many as fit into this, within bounds.
const POOL_BYTES: usize = 8 << 20;
const POOL_ORDERS: [usize; 2] = [64, 512];
/// Of these many orders one is large, and goes to review where the work has routes.
const ONE_LARGE_OF: usize = 10;
/// The one of the pool whose amount is negative, which the schema does not allow.
const BROKEN: usize = 3;

const FIRST: [&str; 6] = ["ada", "grace", "edsger", "barbara", "radia", "donald"];
const LAST: [&str; 6] = ["byron", "hopper", "dijkstra", "liskov", "perlman", "knuth"];
const GOODS: [&str; 5] =
    ["gear wheel, brass", "coupling rod", "rail spike, 16 mm", "signal lamp, green", "whistle \u{2013} steam"];
const NOTE: &str = "leave it at the door, and ring twice please; ";

/// The schema that [`Work::Check`] and [`Work::Five`] validate by.
pub(crate) const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["id", "amount", "currency", "customer", "payment", "lines"],
  "properties": {
    "id": { "type": "string", "pattern": "^[A-Z]{2}-[0-9]{4,10}$" },
    "amount": { "type": "number", "exclusiveMinimum": 0 },
    "currency": { "enum": ["EUR", "USD", "GBP"] },
    "customer": {
      "type": "object",
      "required": ["name", "email"],
      "properties": {
        "name": { "type": "string", "maxLength": 200 },
        "email": { "type": "string", "pattern": "^[^@\\s]+@[^@\\s]+$" },
        "phone": { "type": "string" }
      }
    },
    "payment": {
      "type": "object",
      "required": ["card"],
      "properties": { "card": { "type": "string", "pattern": "^[0-9]{16}$" } }
    },
    "lines": {
      "type": "array",
      "minItems": 1,
      "items": {
        "type": "object",
        "required": ["sku", "count"],
        "properties": {
          "sku": { "type": "string" },
          "count": { "type": "integer", "minimum": 1 },
          "price": { "type": "number", "minimum": 0 }
        }
      }
    },
    "note": { "type": "string" }
  }
}
"#;

/// One order.
pub(crate) struct Order {
    /// As it is published.
    pub(crate) payload: Bytes,
    masked: Vec<u8>,
    shaped: Vec<u8>,
    computed: Vec<u8>,
    secrets: [String; 3],
    place: Place,
}

/// Orders of one size, used again and again in turn.
pub(crate) struct Orders(Vec<Order>);

impl Orders {
    /// Orders of so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let count = (POOL_BYTES / bytes).clamp(POOL_ORDERS[0], POOL_ORDERS[1]);
        let mut rng = Rng::with_seed(SEED);
        Self((0..count).map(|index| Draft::new(index, &mut rng).order(bytes)).collect())
    }

    /// Bytes of one.
    pub(crate) fn bytes(&self) -> usize {
        self.0[0].payload.len()
    }

    /// The order that the message of this number has.
    pub(crate) fn of(&self, number: usize) -> &Order {
        &self.0[number % self.0.len()]
    }
}

impl Order {
    /// Where it belongs after this work.
    pub(crate) fn place(&self, work: Work) -> Place {
        if work.decides() { self.place } else { Place::Default }
    }

    /// Whether this is what it has to look like after this work: the same bytes, or the same JSON otherwise spelt.
    pub(crate) fn is_right(&self, work: Work, payload: &[u8]) -> bool {
        let want = self.expected(work);
        let parsed = |bytes| serde_json::from_slice::<Value>(bytes).ok();
        want == payload || parsed(want) == parsed(payload)
    }

    /// Whether one of the secrets can be read in it.
    pub(crate) fn is_revealed_by(&self, payload: &[u8]) -> bool {
        let text = String::from_utf8_lossy(payload);
        self.secrets.iter().any(|secret| text.contains(secret))
    }

    fn expected(&self, work: Work) -> &[u8] {
        match work {
            // A dead letter keeps the message as it came.
            _ if self.place(work) == Place::Dead => &self.payload,
            Work::Pass => &self.payload,
            Work::Mask | Work::Check => &self.masked,
            Work::Five => &self.shaped,
            Work::Compute => &self.computed,
        }
    }
}

/// What an order is written from.
struct Draft {
    index: usize,
    name: String,
    secrets: [String; 3],
    place: Place,
    amount: String,
    lines: String,
    note: String,
}

impl Draft {
    fn new(index: usize, rng: &mut Rng) -> Self {
        let (first, last) = (rng.choice(FIRST).unwrap_or("ada"), rng.choice(LAST).unwrap_or("byron"));
        let mut digits = |count: usize| (0..count).map(|_| rng.digit(10)).collect::<String>();
        let email = format!("{first}.{last}.{}@example.com", digits(4));
        let (phone, card) = (format!("+44{}", digits(9)), format!("4{}", digits(15)));
        let place = match index {
            BROKEN => Place::Dead,
            index if index.is_multiple_of(ONE_LARGE_OF) => Place::Review,
            _ => Place::Default,
        };
        let cents = rng.u32(10..100);
        let amount = match place {
            Place::Dead => format!("-{}.{cents}", rng.u32(1..900)),
            Place::Review => format!("{}.{cents}", rng.u32(1100..90_000)),
            Place::Default => format!("{}.{cents}", rng.u32(1..900)),
        };
        let name = format!("{first} {last}");
        // The smallest orders have room for no more.
        let lines = format!("{{\"sku\":\"T-{}\",\"count\":1}}", rng.u32(1000..9999));
        Self { index, name, secrets: [email, phone, card], place, amount, lines, note: String::new() }
    }

    /// Fills the order up to so many bytes, with lines first and then with a note.
    fn order(mut self, bytes: usize) -> Order {
        let mut rng = Rng::with_seed(SEED + self.index as u64);
        let mut room = bytes.saturating_sub(self.json(&self.secrets, true, "").len());
        loop {
            let line = line(&mut rng);
            let Some(left) = room.checked_sub(line.len() + 1) else { break };
            room = left;
            self.lines.push(',');
            self.lines.push_str(&line);
        }
        self.note = NOTE.chars().cycle().take(room).collect();
        let [_, phone, card] = &self.secrets;
        let hidden = ["***".to_owned(), keep_last(phone, 2), keep_last(card, 4)];
        let payload = self.json(&self.secrets, true, "");
        Order {
            masked: self.json(&hidden, true, "").into_bytes(),
            shaped: self.json(&hidden, false, ",\"source\":\"bench\"").into_bytes(),
            computed: self.json(&self.secrets, true, &format!(",\"sum\":{JQ_SUM}")).into_bytes(),
            payload: payload.into(),
            secrets: self.secrets,
            place: self.place,
        }
    }

    fn json(&self, [email, phone, card]: &[String; 3], internal: bool, end: &str) -> String {
        let Self { index, name, amount, lines, note, .. } = self;
        let internal = if internal { "\"internal\":\"w7\"," } else { "" };
        format!(
            "{{\"id\":\"EU-{:07}\",\"amount\":{amount},\"currency\":\"EUR\",{internal}\"customer\":{{\"name\":\"{name}\",\
             \"email\":\"{email}\",\"phone\":\"{phone}\"}},\"payment\":{{\"card\":\"{card}\"}},\"lines\":[{lines}],\
             \"note\":\"{note}\"{end}}}",
            1_000_000 + index
        )
    }
}

fn line(rng: &mut Rng) -> String {
    let (sku, count, whole, cents) = (rng.u32(1000..9999), rng.u32(1..9), rng.u32(1..99), rng.u32(10..99));
    let title = rng.choice(GOODS).unwrap_or("rail");
    format!("{{\"sku\":\"T-{sku}\",\"count\":{count},\"price\":{whole}.{cents},\"title\":\"{title}\"}}")
}

/// As the plugin `mask` does by its action of that name.
pub(crate) fn keep_last(text: &str, count: usize) -> String {
    let (hidden, kept) = text.split_at(text.len() - count);
    "*".repeat(hidden.len()) + kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [usize; 4] = [300, 1_000, 4_000, 64_000];

    #[test]
    fn orders_have_the_size_that_was_asked_for_and_are_json() {
        for size in SIZES {
            let orders = Orders::new(size);
            for number in 0..orders.0.len() {
                let order = orders.of(number);
                assert_eq!(order.payload.len(), size);
                for work in Work::ALL {
                    assert!(serde_json::from_slice::<Value>(order.expected(work)).is_ok(), "{work} {number}");
                }
            }
        }
    }

    #[test]
    fn what_is_masked_shows_no_secret_and_another_spelling_of_it_is_right() {
        let orders = Orders::new(1_000);
        let order = orders.of(1);
        assert!(order.is_revealed_by(&order.payload));
        for work in [Work::Mask, Work::Check, Work::Five] {
            assert!(!order.is_revealed_by(order.expected(work)), "{work}");
            assert!(!order.is_right(work, &order.payload), "{work}");
        }
        let value: Value = serde_json::from_slice(&order.masked).expect("JSON");
        let spelt = serde_json::to_vec_pretty(&value).expect("JSON");
        assert!(order.is_right(Work::Mask, &spelt));
    }

    #[test]
    fn every_pool_has_orders_for_every_place() {
        for size in SIZES {
            let orders = Orders::new(size);
            for place in [Place::Default, Place::Review, Place::Dead] {
                assert!(orders.0.iter().any(|order| order.place(Work::Check) == place), "{place:?} of {size}");
                assert!(orders.0.iter().all(|order| order.place(Work::Mask) == Place::Default));
            }
        }
    }
}
