//! What the plugin is told to do with a message, and what has to come of it.

use fastrand::Rng;

/// What the simulated plugin does with a message: the header `Do`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Hands it on: it takes the route `default`.
    Forward,
    /// Chooses the route `a`.
    RouteA,
    /// Chooses the routes `a` and `b`.
    RouteBoth,
    /// Changes the payload and hands it on.
    Change,
    /// Splits it into a part with the route `a`, and one that takes the route `default`.
    Split,
    /// Drops it.
    Drop,
    /// Splits it into nothing.
    SplitNone,
    /// Rejects it.
    Reject,
    /// Chooses a route that the rule does not have.
    RouteUnknown,
    /// Asks for another try, always.
    Retry,
    /// Asks for another try, two of three times.
    RetryOften,
    /// Asks for another try until the third delivery.
    RetryDelivery,
    /// Traps, always.
    Trap,
    /// Traps every second time.
    TrapOften,
    /// Gives its instance up, always.
    Fatal,
}

use Verdict::{
    Change, Drop, Fatal, Forward, Reject, Retry, RetryDelivery, RetryOften, RouteA, RouteBoth, RouteUnknown, Split,
    SplitNone, Trap, TrapOften,
};

/// Every verdict; those that make outputs are there more often.
const ALL: [Verdict; 23] = [
    Forward,
    Forward,
    Forward,
    Forward,
    Forward,
    RouteA,
    RouteA,
    RouteBoth,
    RouteBoth,
    Change,
    Change,
    Split,
    Split,
    RetryOften,
    RetryOften,
    RetryDelivery,
    Drop,
    SplitNone,
    Reject,
    RouteUnknown,
    Trap,
    TrapOften,
    Fatal,
];

impl Verdict {
    /// Any verdict, or only one that succeeds some time if `patient` rules take the message.
    pub(super) fn any(rng: &mut Rng, patient: bool) -> Self {
        loop {
            let verdict = if rng.u32(..30) == 0 { Retry } else { ALL[rng.usize(..ALL.len())] };
            if !patient || !matches!(verdict, Retry | RetryDelivery) {
                return verdict;
            }
        }
    }

    /// As it stands in the header.
    pub(super) fn letter(self) -> &'static str {
        match self {
            Forward => "f",
            RouteA => "a",
            RouteBoth => "b",
            Change => "c",
            Split => "s",
            Drop => "d",
            SplitNone => "e",
            Reject => "x",
            RouteUnknown => "o",
            Retry => "y",
            RetryOften => "m",
            RetryDelivery => "n",
            Trap => "t",
            TrapOften => "u",
            Fatal => "g",
        }
    }

    /// The outputs that it makes when it succeeds, by route and part; `None` if it never does. With `skips`, a stage
    /// that breaks is left out.
    pub(super) fn outputs(self, skips: bool) -> Option<&'static [(&'static str, &'static str)]> {
        Some(match self {
            Forward | Change | RetryOften | RetryDelivery | TrapOften => &[("default", "0")],
            Trap | Fatal if skips => &[("default", "0")],
            RouteA => &[("a", "0")],
            RouteBoth => &[("a", "0"), ("b", "0")],
            Split => &[("a", "0"), ("default", "1")],
            Drop | SplitNone => &[],
            Reject | RouteUnknown | Retry | Trap | Fatal => return None,
        })
    }

    /// Whether it may fail for good by itself, with no help of a fault.
    pub(super) fn may_fail(self) -> bool {
        matches!(self, Reject | RouteUnknown | Retry | RetryOften | RetryDelivery | Trap | TrapOften | Fatal)
    }

    /// The payload of its outputs.
    pub(super) fn payload(self, payload: &[u8]) -> Vec<u8> {
        let mut payload = payload.to_vec();
        if let (Change, Some(first)) = (self, payload.first_mut()) {
            *first = b'!';
        }
        payload
    }
}
