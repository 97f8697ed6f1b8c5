//! A relay that does something wrong now and then, to see that the arrival check finds it.

use std::collections::HashMap;

use async_nats::Subject;

use super::{Passing, hand};

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fault {
    /// Acknowledges a message and publishes nothing
    Drop,
    /// Publishes a message twice, by different ids
    Duplicate,
    /// Publishes a message after the next one of its key
    Reorder,
    /// Leaves a card number as it came
    Unmask,
    /// Sends a message where it does not belong
    Misroute,
    /// Changes a byte that no stage is to touch
    Alter,
}

/// One message of so many is spoilt: a prime number, so that all keys have their turn.
const ONE_OF: u64 = 97;

/// Spoils messages.
pub(super) struct Saboteur {
    fault: Option<Fault>,
    seen: u64,
    /// Held back until the next message of the key has gone.
    held: HashMap<String, Passing>,
}

impl Saboteur {
    pub(super) fn new(fault: Option<Fault>) -> Self {
        Self { fault, seen: 0, held: HashMap::new() }
    }

    /// What to publish when this message has come.
    pub(super) fn spoil(&mut self, passing: Passing) -> Vec<Passing> {
        let Some(fault) = self.fault else { return vec![passing] };
        self.seen += 1;
        // After the next one of its key, whichever that is.
        let late = self.held.remove(passing.from.as_str());
        let mut out = match fault {
            _ if !self.seen.is_multiple_of(ONE_OF) => vec![passing],
            Fault::Drop => Vec::new(),
            Fault::Duplicate => vec![Passing { id: format!("{}-again", passing.id), ..passing.clone() }, passing],
            Fault::Reorder => {
                self.held.insert(passing.from.to_string(), passing);
                Vec::new()
            }
            Fault::Unmask => vec![Passing { payload: hand::reveal(&passing.payload, &passing.original), ..passing }],
            Fault::Misroute => vec![Passing { to: elsewhere(&passing.to), ..passing }],
            Fault::Alter => vec![Passing { payload: hand::alter(&passing.payload), ..passing }],
        };
        out.extend(late);
        out
    }
}

/// Another of the places.
fn elsewhere(to: &Subject) -> Subject {
    match to.rsplit_once('.') {
        Some((prefix, "default")) => format!("{prefix}.review").into(),
        Some((prefix, _)) => format!("{prefix}.default").into(),
        None => to.clone(),
    }
}
