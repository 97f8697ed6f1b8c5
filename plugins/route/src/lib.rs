//! The standard plugin `route`: chooses routes by conditions, by a table, or by percentages.
//!
//! # Settings
//!
//! ```toml
//! [rule.stage.with]
//! when = [
//!   { if = "body.amount >= 1000", to = "review" },
//!   { if = "headers.Priority == 'high' && !subject.startsWith('test.')", to = ["fast", "audit"] },
//!   { if = "body.items.exists(item, item.sku == 'X')", to = { drop = "X is sold elsewhere" } },
//! ]
//! table = { by = "$.region", routes = { eu = "eu", us = "us" } }
//! split = { by = "$.customer.id", parts = [{ to = "canary", percent = 5 }, { to = "default", percent = 95 }] }
//! else = "default"
//! ```
//!
//! | key | meaning |
//! | --- | --- |
//! | `when` | conditions, tried in order; the first that is true decides |
//! | `when.if` | a CEL expression, see below |
//! | `table.by` | `header:NAME`, or a JSONPath to a string, number or boolean |
//! | `table.routes` | what each of its values leads to; numbers are compared as they are spelt |
//! | `split.by` | as `table.by` |
//! | `split.parts` | what share of the keys each goes to, in percent with at most three decimals, 100 in all |
//! | `split.salt` | text put before the key, for splits that are not to pick the same keys; default none |
//! | `else` | what becomes of the rest; default: the next stage, and after the last one the route `default` |
//!
//! They are asked in this order; a table without the value, and a table or split whose field is missing or null, pass
//! the question on. Each of `to`, `table.routes` and `else` takes the name of a route, a list of names, or
//! `{ drop = "why" }` or `{ reject = "why" }`. A message that is routed skips the stages that are left.
//!
//! # Conditions
//!
//! [CEL](https://cel.dev) with `&& || !`, comparisons, arithmetic, `? :`, `in`, indices, `size`, `contains`,
//! `startsWith`, `endsWith`, `matches`, conversions, the macros `has`, `all`, `exists`, `exists_one`, `map` and
//! `filter`, optional values (`body.?discount.orValue(0) > 10`), and the standard string extension (`split`,
//! `lowerAscii`, `trim`, `substring` and others). There are no timestamps and durations. The pattern of `matches` is a
//! literal, in the syntax of RE2 without its Unicode classes.
//!
//! * `subject` is the subject, a string.
//! * `headers` maps names to values, the first one where a name repeats. `headers.Region`, `headers["Content-Type"]`,
//!   `has(headers.Region)` and `"Region" in headers` go without regard to case. Where the map is used in another way,
//!   like `headers.exists(name, …)`, its names are in lower case.
//! * `body` is the payload. Only the members that conditions name are read, so large payloads cost little; a condition
//!   that does not name `body` works with payloads that are not JSON. Integers and fractions compare as numbers
//!   (`1500 >= 1000.0` is true), but arithmetic wants one kind: write `double(body.amount) * 1.2`.
//!
//! A condition that reads a header, member or element that is not there is false, whatever it asks; `has(body.a.b)`
//! asks whether one is there, and is false rather than an error if `body.a` is not. As CEL has it, `a || b` is true if
//! either is, even if the other cannot be decided.
//!
//! # Splits
//!
//! The place of a key is the first eight bytes of the SHA-256 of the salt and the key, as a big-endian number, modulo
//! 100,000; the parts take their places in order, a thousand for each percent. It is the same on every machine. A part
//! that grows at the cost of the next one keeps the keys that it has.
//!
//! # Verdicts
//!
//! *route*, *drop* and *reject* as the settings say; *forward* if nothing decides. The payload and the headers are
//! left as they are. Besides, a message is rejected if a condition, table or split needs the payload and
//!
//! * it is not JSON,
//! * the member that is asked for occurs more than once, so that others could read another one of the two,
//! * a table or split finds an object or an array,
//! * a condition cannot be decided: a text compared with a number, a division by zero, an answer that is neither true
//!   nor false. To guess would let a message choose its way by sending `"amount": "5000"`.
//!
//! # Errors
//!
//! `configure` refuses unknown keys, routes that the rule does not declare, percentages that are not 100 in all, and
//! expressions that do not parse or that name unknown variables or functions; the message names the key and the column.

mod conditions;
mod explain;
mod lift;
mod quick;
mod reading;
mod split;
mod target;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Deserialize;
use trackside_plugin::{Failure, Field, Message, Setup, SetupError, Stage, Verdict};

use crate::conditions::Conditions;
use crate::split::Split;
pub use crate::split::{Part, SplitSettings};
pub use crate::target::Target;

/// The stage's settings; the crate's page describes the keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "described in the table above")]
pub struct Settings {
    #[serde(default)]
    pub when: Vec<When>,
    pub table: Option<Table>,
    pub split: Option<SplitSettings>,
    #[serde(rename = "else")]
    pub otherwise: Option<Target>,
}

/// A condition, and where it leads.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "described in the table above")]
pub struct When {
    #[serde(rename = "if")]
    pub condition: String,
    pub to: Target,
}

/// A lookup table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "described in the table above")]
pub struct Table {
    pub by: String,
    pub routes: BTreeMap<String, Target>,
}

/// The stage.
#[derive(Debug)]
pub struct Route {
    conditions: Conditions,
    table: Option<(Field, BTreeMap<String, Target>)>,
    split: Option<Split>,
    otherwise: Option<Target>,
}

impl Stage for Route {
    type Settings = Settings;

    fn configure(settings: Settings, setup: &Setup) -> Result<Self, SetupError> {
        check_targets(&settings, setup)?;
        let table = settings.table.map(|Table { by, routes }| {
            let by = Field::compile(&by).map_err(|error| error.at("table.by"))?;
            Ok::<_, SetupError>((by, routes))
        });
        let split = settings.split.map(|split| Split::compile(split).map_err(|error| error.at("split")));
        Ok(Self {
            conditions: Conditions::compile(settings.when)?,
            table: table.transpose()?,
            split: split.transpose()?,
            otherwise: settings.otherwise,
        })
    }

    fn handle(&mut self, message: &mut Message) -> Result<Verdict, Failure> {
        Ok(self.choose(message)?.map_or(Verdict::Forward, Target::verdict))
    }
}

impl Route {
    fn choose(&self, message: &Message) -> Result<Option<&Target>, Failure> {
        if let Some(target) = self.conditions.first_true(message)? {
            return Ok(Some(target));
        }
        if let Some((by, routes)) = &self.table
            && let Some(target) = by.read(message)?.and_then(|value| routes.get(&value))
        {
            return Ok(Some(target));
        }
        if let Some(split) = &self.split
            && let Some(target) = split.choose(message)?
        {
            return Ok(Some(target));
        }
        Ok(self.otherwise.as_ref())
    }
}

fn check_targets(settings: &Settings, setup: &Setup) -> Result<(), SetupError> {
    let Settings { when, table, split, otherwise } = settings;
    if when.is_empty() && table.is_none() && split.is_none() && otherwise.is_none() {
        return Err("nothing is set; write `when`, `table`, `split` or `else`".into());
    }
    for (index, when) in when.iter().enumerate() {
        when.to.check(setup).map_err(|error| error.at(format!("when[{index}].to")))?;
    }
    for (value, target) in table.iter().flat_map(|table| &table.routes) {
        target.check(setup).map_err(|error| error.at(format!("table.routes.{value}")))?;
    }
    for (index, part) in split.iter().flat_map(|split| &split.parts).enumerate() {
        part.to.check(setup).map_err(|error| error.at(format!("split.parts[{index}].to")))?;
    }
    otherwise.as_ref().map_or(Ok(()), |target| target.check(setup).map_err(|error| error.at("else")))
}

trackside_plugin::export!(Route);
