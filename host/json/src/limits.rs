//! The bounds of one selection or edit.

use std::time::Instant;

use crate::error::{Fault, PayloadError};

/// How much one selection or edit may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How deep arrays and objects may nest. Values above [`Limits::MAX_DEPTH`] are taken as that.
    pub max_depth: u32,
    /// How many matches one selection may have.
    pub max_matches: u32,
    /// How long a payload may be in bytes, before an edit and after it. At most 2 GiB are ever taken.
    pub max_payload_bytes: usize,
    /// How much work an evaluation may do beyond the one pass that every payload gets: about one step for each value
    /// looked at, and a few for each comparison, depending on its length. Paths that are answered by the pass itself
    /// take no steps.
    pub max_steps: u64,
    /// When to give up. Looked at every few thousand values or steps.
    pub deadline: Option<Instant>,
}

impl Limits {
    /// The deepest nesting that can be allowed: more would let a payload decide how much stack is used.
    pub const MAX_DEPTH: u32 = 1024;

    /// Offsets into a payload are kept in 31 bits.
    const MAX_BYTES: usize = (u32::MAX >> 1) as usize;

    /// Refuses a payload, or the outcome of an edit, that is too long.
    pub(crate) fn check_len(&self, len: usize) -> Result<(), PayloadError> {
        let max = self.max_payload_bytes.min(Self::MAX_BYTES);
        if len > max {
            return Err(PayloadError::Limit(format!("the payload is longer than {max} bytes")));
        }
        Ok(())
    }

    /// Refuses to go on past the deadline.
    pub(crate) fn check_deadline(&self) -> Result<(), Fault> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => {
                Err(Fault::limit("the deadline passed while the payload was read".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl Default for Limits {
    /// 128 levels, 100,000 matches, 8 MiB, 20 million steps (some tenths of a second), no deadline.
    fn default() -> Self {
        Self { max_depth: 128, max_matches: 100_000, max_payload_bytes: 8 << 20, max_steps: 20_000_000, deadline: None }
    }
}

/// The steps that are left to an evaluation.
#[derive(Debug)]
pub(crate) struct Budget<'l> {
    limits: &'l Limits,
    left: u64,
    next_look: u64,
}

impl<'l> Budget<'l> {
    /// Steps between two looks at the clock, which costs some twenty times a step.
    const STEPS_A_LOOK: u64 = 4096;

    pub(crate) fn new(limits: &'l Limits) -> Self {
        Self { limits, left: limits.max_steps, next_look: limits.max_steps }
    }

    /// Takes `steps` from the budget.
    #[inline]
    pub(crate) fn spend(&mut self, steps: u64) -> Result<(), Fault> {
        let Some(left) = self.left.checked_sub(steps) else {
            return Err(Fault::limit(format!("the paths take more than {} steps", self.limits.max_steps)));
        };
        self.left = left;
        if left <= self.next_look {
            self.next_look = left.saturating_sub(Self::STEPS_A_LOOK);
            self.limits.check_deadline()?;
        }
        Ok(())
    }
}
