//! Made-up orders, the same ones for the same seed: sound and broken ones, with secrets in odd places.

use fastrand::Rng;

/// What is odd about an order. `MIX` says how often each comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Ordinary,
    /// Its amount lies between the two thresholds that the demo's rule has before and after the change.
    Middling,
    Large,
    /// An amount of more digits than a double holds.
    Huge,
    Unicode,
    CardInNote,
    /// Cards as a number and as grouped text in an array, under an e-mail address as the key.
    CardElsewhere,
    EscapedKey,
    DuplicateKey,
    CardAsNumber,
    NoCustomer,
    AmountAsText,
    NegativeAmount,
    NotJson,
    Truncated,
    NotUtf8,
    Empty,
}

/// Each kind and how many of every hundred orders are of it.
const MIX: [(Kind, u32); 17] = [
    (Kind::Ordinary, 41),
    (Kind::Middling, 14),
    (Kind::Large, 8),
    (Kind::Huge, 2),
    (Kind::Unicode, 5),
    (Kind::CardInNote, 5),
    (Kind::CardElsewhere, 3),
    (Kind::EscapedKey, 4),
    (Kind::DuplicateKey, 3),
    (Kind::CardAsNumber, 3),
    (Kind::NoCustomer, 3),
    (Kind::AmountAsText, 2),
    (Kind::NegativeAmount, 2),
    (Kind::NotJson, 2),
    (Kind::Truncated, 1),
    (Kind::NotUtf8, 1),
    (Kind::Empty, 1),
];

const REGIONS: [&str; 4] = ["eu", "us", "jp", "br"];
const FIRST: [&str; 8] = ["ada", "grace", "linus", "edsger", "barbara", "ken", "radia", "donald"];
const LAST: [&str; 8] = ["byron", "hopper", "berg", "dijk", "liskov", "thompson", "perlman", "knuth"];
const FOREIGN: [&str; 4] = ["Zoë Brûlée 🚂", "山田 太郎", "Мария Ильина", "مريم الفاسي"];

/// One order as it is published, and what must come of it.
pub(crate) struct Order {
    pub(crate) kind: Kind,
    pub(crate) subject: String,
    pub(crate) payload: Vec<u8>,
    /// What must not be readable in any clean output.
    pub(crate) secrets: Vec<String>,
    pub(crate) expect: Expect,
}

/// Where an order belongs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Expect {
    /// Sound: clean, or for review from the rule's threshold up.
    ByAmount(f64),
    /// Broken: a dead letter.
    Dead,
}

/// What an order is written from.
struct Draft {
    region: &'static str,
    id: String,
    name: String,
    email: String,
    card: String,
    cents: u64,
    sku: u32,
}

impl Order {
    /// The order of this number; the same seed and number make the same order.
    pub(crate) fn new(seed: u64, number: u32) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_add(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let kind = kind(number);
        let draft = Draft::new(kind, number, &mut rng);
        let payload = draft.payload(kind, &mut rng);
        let expect = match kind {
            Kind::Ordinary
            | Kind::Middling
            | Kind::Large
            | Kind::Unicode
            | Kind::CardInNote
            | Kind::CardElsewhere
            | Kind::EscapedKey => Expect::ByAmount(draft.amount()),
            Kind::Huge => Expect::ByAmount(f64::MAX),
            // Among them a key that comes twice: nobody can say which of the two a consumer would have read.
            _ => Expect::Dead,
        };
        let subject = format!("orders.{}.created", draft.region);
        Self { kind, subject, payload, secrets: vec![draft.email, draft.card], expect }
    }
}

impl Draft {
    fn new(kind: Kind, number: u32, rng: &mut Rng) -> Self {
        let (first, last) = (rng.choice(FIRST).unwrap_or("ada"), rng.choice(LAST).unwrap_or("byron"));
        let name = match kind {
            Kind::Unicode => rng.choice(FOREIGN).unwrap_or("Zoë").to_owned(),
            _ => format!("{first} {last}"),
        };
        let cents = match kind {
            Kind::Middling => rng.u64(25_000..100_000),
            Kind::Large => rng.u64(100_000..5_000_000),
            _ => rng.u64(100..25_000),
        };
        let email = match kind {
            Kind::Unicode => format!("zoë.{last}.{number}@exämple.com"),
            _ => format!("{first}.{last}.{number}@example.com"),
        };
        let card = card(rng);
        let region = rng.choice(REGIONS).unwrap_or("eu");
        let id = format!("{}-{number:07}", region.to_uppercase());
        Self { region, id, name, email, card, cents, sku: rng.u32(1..1000) }
    }

    fn amount(&self) -> f64 {
        // Below 2^53, so that nothing is lost.
        #[expect(clippy::cast_precision_loss)]
        let cents = self.cents as f64;
        cents / 100.0
    }

    fn payload(&self, kind: Kind, rng: &mut Rng) -> Vec<u8> {
        let Self { id, email, card, .. } = self;
        let payment = match kind {
            Kind::EscapedKey => format!(r#"{{"c\u0061rd":"{card}"}}"#),
            Kind::DuplicateKey => format!(r#"{{"card":"{card}","c\u0061rd":"{card}"}}"#),
            Kind::CardAsNumber => format!(r#"{{"card":{card}}}"#),
            _ => format!(r#"{{"card":"{card}"}}"#),
        };
        let amount = match kind {
            Kind::Huge => "123456789012345678901234567890.0123456789".to_owned(),
            Kind::AmountAsText => format!("\"{}\"", self.spelt_amount()),
            Kind::NegativeAmount => format!("-{}", self.spelt_amount()),
            _ => self.spelt_amount(),
        };
        let json = self.json(&payment, &amount, &self.note(kind));
        match kind {
            Kind::NoCustomer => format!(r#"{{"id":"{id}","amount":{amount},"payment":{payment},"contact":"{email}"}}"#),
            Kind::NotJson => format!("ORDER {id} FROM {email} CARD {card}"),
            Kind::Empty => String::new(),
            Kind::Truncated => return json.as_bytes()[..rng.usize(1..json.len())].to_vec(),
            Kind::NotUtf8 => return [b"{\"id\":\"\xff\xfe\",".as_slice(), json.as_bytes()].concat(),
            _ => json,
        }
        .into_bytes()
    }

    fn json(&self, payment: &str, amount: &str, note: &str) -> String {
        let Self { id, name, email, sku, .. } = self;
        let customer = format!(r#"{{"name":"{name}","email":"{email}"}}"#);
        let lines = format!(r#"[{{"sku":"T-{sku}","count":1}}]"#);
        format!(
            r#"{{"id":"{id}","customer":{customer},"amount":{amount},"currency":"EUR","payment":{payment},"note":{note},"lines":{lines}}}"#
        )
    }

    /// What the schema says nothing about.
    fn note(&self, kind: Kind) -> String {
        let Self { email, card, .. } = self;
        let (a, b, c, d) = (&card[..4], &card[4..8], &card[8..12], &card[12..]);
        match kind {
            Kind::CardInNote => format!(r#""charge {a} {b} {c} {d} and write to {email}""#),
            Kind::CardElsewhere => format!(r#"{{"old":{{"{email}":[{card},"{a}-{b}-{c}-{d}"]}}}}"#),
            _ => r#""leave it at the door""#.to_owned(),
        }
    }

    fn spelt_amount(&self) -> String {
        format!("{}.{:02}", self.cents / 100, self.cents % 100)
    }
}

/// Spreads the kinds evenly, so that any hundred orders in a row have every kind.
fn kind(number: u32) -> Kind {
    // 61 has no factor in common with 100: every place of the hundred is met once.
    let mut place = number.wrapping_mul(61) % 100;
    for (kind, share) in MIX {
        if place < share {
            return kind;
        }
        place -= share;
    }
    Kind::Ordinary
}

/// A payment card number that passes the Luhn check (ISO/IEC 7812-1), as a detector of cards expects.
fn card(rng: &mut Rng) -> String {
    let mut digits: Vec<u32> = std::iter::once(4).chain((0..14).map(|_| rng.u32(0..10))).collect();
    digits.push((10 - luhn(&digits) % 10) % 10);
    digits.iter().filter_map(|digit| char::from_digit(*digit, 10)).collect()
}

/// The Luhn sum of the digits before the check digit.
fn luhn(digits: &[u32]) -> u32 {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let weigh = |(place, digit): (usize, &u32)| if place % 2 == 0 { doubled(*digit) } else { *digit };
    digits.iter().rev().enumerate().map(weigh).sum()
}

#[cfg(test)]
mod tests {
    use super::super::leak;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_same_seed_makes_the_same_orders_and_another_seed_others() {
        let payloads = |seed| (0..200).map(|number| Order::new(seed, number).payload).collect::<Vec<_>>();
        assert_eq!(payloads(7), payloads(7));
        assert_ne!(payloads(7), payloads(8));
    }

    #[test]
    fn any_hundred_orders_have_every_kind_in_the_promised_share() {
        assert_eq!(MIX.iter().map(|(_, share)| share).sum::<u32>(), 100);
        for (wanted, share) in MIX {
            let met = (300..400).filter(|number| kind(*number) == wanted).count();
            assert_eq!(met, share as usize, "{wanted:?}");
        }
    }

    #[test]
    fn sound_orders_are_json_and_carry_the_secrets_they_declare() {
        for number in 0..200 {
            let order = Order::new(1, number);
            if let Expect::ByAmount(amount) = order.expect {
                let json: serde_json::Value = serde_json::from_slice(&order.payload).expect("JSON");
                assert!(amount > 0.0 && json["amount"].as_f64().is_some(), "{json}");
                assert!(order.secrets.iter().all(|secret| leak::shows(&order.payload, secret)), "{json}");
            }
        }
    }

    #[test]
    fn what_is_meant_to_be_no_json_is_none() {
        for number in 0..200 {
            let order = Order::new(1, number);
            let broken = matches!(order.kind, Kind::NotJson | Kind::Truncated | Kind::NotUtf8 | Kind::Empty);
            let parsed = serde_json::from_slice::<serde_json::Value>(&order.payload);
            assert_eq!(parsed.is_err(), broken, "{:?}", order.kind);
        }
    }

    #[test]
    fn middling_amounts_lie_between_the_thresholds() {
        let middling = (0..100).map(|number| Order::new(3, number)).filter(|order| order.kind == Kind::Middling);
        let amounts: Vec<_> = middling.map(|order| order.expect).collect();
        assert!(!amounts.is_empty());
        for amount in amounts {
            assert!(matches!(amount, Expect::ByAmount(amount) if (250.0..1000.0).contains(&amount)), "{amount:?}");
        }
    }

    #[test]
    fn cards_pass_the_luhn_check_and_differ() {
        let mut rng = Rng::with_seed(5);
        let cards: BTreeSet<String> = (0..100).map(|_| card(&mut rng)).collect();
        assert!(cards.len() > 95);
        for card in &cards {
            let digits: Vec<u32> = card.chars().filter_map(|c| c.to_digit(10)).collect();
            assert_eq!(digits.len(), 16);
            assert_eq!((luhn(&digits[..15]) + digits[15]) % 10, 0, "{card}");
        }
        // The example that ISO/IEC 7812-1's check digit is usually explained by.
        assert_eq!(luhn(&[7, 9, 9, 2, 7, 3, 9, 8, 7, 1]), 67);
    }
}
