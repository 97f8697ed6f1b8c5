//! Reshapes JSON payloads by a list of operations or a jq program.
//!
//! The settings are one of `operations`, `jq` and `jq-file`. A payload that is not JSON is rejected, unless all
//! operations are on headers alone.
//!
//! # `operations`
//!
//! Tables, done one after another. Each has one key that says what to do, with the place as its value, and the keys
//! that belong to it:
//!
//! ```toml
//! operations = [
//!   { rename = "$.cust", to = "customer" },                # another name in the same place; whoever had it is replaced
//!   { move = "$.a.b", to = "$.c" },                        # `move = "$", to = "$.order"` wraps the payload
//!   { copy = "$.customer.name", to = "$.ship-to.name" },
//!   { remove = "$.internal" },
//!   { set = "$.source", value = "erp-{subject.2}" },       # a template, or any JSON value as it is
//!   { default = "$.currency", value = "EUR" },             # as `set`, where there is nothing or null
//!   { cast = "$.amount", to = "number" },                  # string, number, integer or boolean
//!   { trim = "$.customer.name" },                          # white space at both ends
//!   { upper = "$.items[*].sku" },
//!   { lower = "$..email" },
//!   { join = ["$.first", "$.last"], with = " ", to = "$.name" }, # paths and templates; missing ones are left out
//!   { join = "$.labels", with = ", " },                    # an array's elements, in its place unless `to` is given
//!   { split = "$.tags", by = "," },                        # an array of strings; an empty one of an empty string
//!   { timestamp = "$.created", from = "unix-ms", to = "rfc3339" },
//!   { timestamp = "$.due", from = "%d/%m/%Y", to = "%Y-%m-%d", zone = "Europe/Amsterdam" },
//! ]
//! ```
//!
//! **Nothing there** is fine: the operation is skipped, unless it says `required = true`. A null stays null. A value
//! that an operation cannot be done to (a cast that would lose something, `trim` of a number) rejects the message, and
//! the reason names the operation, `operation 3 (cast $.amount): the value is not a number`, and never the value. A
//! rejected message keeps its payload.
//!
//! **Paths** are the part of JSONPath (RFC 9535) that says where: `$.name`, `$['any name']`, `$[0]`, `$[-1]`, `$[*]`,
//! `$.*`, and `$..name` or `$..*` for any depth where something is changed in its place, renamed or removed. Hyphens
//! may be in `.name`. What is moved or copied is one place. Where something is put, objects on the way are made if
//! missing; elements of arrays are not, and anything else in the way is an error. Of repeated keys all are
//! changed in place, the last one is read, and one is left where something is put.
//!
//! **Headers** are places too, written `header:Name`, for `set`, `default` and `remove` and as the `to` of `move`,
//! `copy` and `join`:
//!
//! ```toml
//! operations = [
//!   { copy = "$.region", to = "header:Region" },
//!   { default = "header:Tenant", value = "{subject.1}" },
//!   { remove = "header:X-Debug" },
//! ]
//! ```
//!
//! **Templates** take `{subject}`, `{subject.2}` (a token of it, counted from 1), `{header.Region}` (its first value),
//! `{json:$.path}`, `{id}` and `{timestamp}` (the message's own time, RFC 3339 in UTC), and `{{` and `}}` for braces. One
//! that is nothing but a `{json:…}` keeps the type of what is there; in longer text a string is put in as it is and
//! anything else as JSON. Where a place has nothing to fill it with, nothing is set.
//!
//! **Times** are written `rfc3339`, `unix-s`, `unix-ms` or as a pattern of `strftime`, `from` and `to` being `rfc3339`
//! unless given. `zone` (`UTC` unless given, an offset such as `+02:00`, or a name of the IANA database, which is part
//! of the component) is that of times read without an offset and of those written. A date has the time 00:00.
//!
//! **Spelling**: numbers, strings and the order of members stay as they are where no operation changes them. White space
//! between tokens is dropped if anything changed, and every byte stays if nothing did.
//!
//! # `jq`
//!
//! A program in the jq language, as the crate jaq has it, with its standard library:
//!
//! ```toml
//! jq = "{ id: .order_id, total: ([.items[].price] | add), region: $headers.Region }"
//! ```
//!
//! ```toml
//! jq-file = "schemas/orders.jq"
//! ```
//!
//! The input is the payload. One output takes its place; none drops the message; several, at most 1,000, split it into
//! a part each, with the message's headers. The variables `$subject`, `$id`, `$timestamp` (milliseconds since the Unix
//! epoch) and `$headers` (an object of their first values by name, spelt as sent) tell of the message. `input`, `now`,
//! `env`, `localtime` and `strflocaltime` are not there: the same message must give the same output on any machine. A program that fails rejects the
//! message, without saying more, because what jq says quotes values; one that runs too long meets the plugin's
//! deadline. Numbers keep their digits unless the program calculates with them; repeated keys become one, and
//! `del` may change the order of members.

mod document;
mod jq;
mod operation;
mod path;
mod settings;
mod template;

use trackside_plugin::{Failure, Message, PayloadError, Selector, Setup, SetupError, Stage, Value, Verdict};

use crate::document::Node;
use crate::operation::Operation;
use crate::settings::Plan;
pub use crate::settings::Settings;

/// The stage.
#[derive(Debug)]
pub struct Transform {
    plan: Plan,
    /// The whole payload: selecting it has the host check that it is JSON.
    root: Selector,
}

impl Stage for Transform {
    type Settings = Settings;

    fn configure(settings: Settings, setup: &Setup) -> Result<Self, SetupError> {
        Ok(Self { plan: settings.plan(setup)?, root: Selector::compile(&["$"])? })
    }

    fn handle(&mut self, message: &mut Message) -> Result<Verdict, Failure> {
        match &self.plan {
            Plan::Operations(operations) => self.operate(operations, message),
            Plan::Jq(program) => program.run(message, &self.root),
        }
    }
}

impl Transform {
    fn operate(&self, operations: &[Operation], message: &mut Message) -> Result<Verdict, Failure> {
        let payload = match operations.iter().any(Operation::uses_body) {
            true => json(message, &self.root)?,
            false => "null".to_owned(),
        };
        let unreadable = || PayloadError::NotJson("nothing of it could be read".to_owned());
        let mut root = Node::parse(&payload).ok_or_else(unreadable)?;
        let mut changed = false;
        for (index, operation) in operations.iter().enumerate() {
            changed |= operation
                .apply(&mut root, message)
                .map_err(|error| Failure::reject(format!("operation {} ({}): {error}", index + 1, operation.name)))?;
        }
        if changed {
            let mut printed = String::with_capacity(payload.len() + ROOM);
            root.print_to(&mut printed);
            message.set_payload(printed);
        }
        Ok(Verdict::Forward)
    }
}

/// How much longer than it came a payload may become before the text that it is printed into grows, in bytes.
const ROOM: usize = 256;

/// The payload, which the host has found to be well-formed.
fn json(message: &Message, root: &Selector) -> Result<String, Failure> {
    let found = message.select(root)?.into_iter().next();
    Ok(match found.map(|found| found.value) {
        Some(Value::Json(json)) => json,
        Some(Value::Text(text)) => Node::text(&text).print(),
        Some(other) => other.spelling().into_owned(),
        None => String::new(),
    })
}

trackside_plugin::export!(Transform);

#[cfg(test)]
mod tests;
