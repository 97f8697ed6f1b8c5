//! What an ordered source has handed over and what has not been resolved yet.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Sequences that are remembered after they were resolved: for as long as a redelivery may be on its way, or come
/// because an acknowledgement was lost.
const MAX_REMEMBERED_MESSAGES: usize = 16_384;

/// The deliveries of one ordered source that somebody holds. At most as many as its consumer lets be unacknowledged.
#[derive(Debug, Default)]
pub(in super::super) struct Working {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Sequences that were handed over and are not resolved.
    unresolved: BTreeSet<u64>,
    /// Sequences that were sent back to come again later, out of order: whoever asked for that does not mind.
    put_off: BTreeSet<u64>,
    /// Sequences that were resolved for good, the latest of them.
    done: BTreeSet<u64>,
    /// Something was given up before it was done, so it comes again and goes before what is newer.
    handed_back: bool,
}

/// One delivery that was handed over. Dropping it means that it was handed back.
#[derive(Debug)]
pub(in super::super) struct Ticket {
    sequence: u64,
    working: Arc<Working>,
    left: Left,
}

#[derive(Debug, Clone, Copy)]
enum Left {
    HandedBack,
    PutOff,
    Done,
}

impl Working {
    /// A delivery is handed over.
    pub(super) fn ticket(self: &Arc<Self>, sequence: u64) -> Ticket {
        self.state().unresolved.insert(sequence);
        Ticket { sequence, working: Arc::clone(self), left: Left::HandedBack }
    }

    /// Whether an earlier delivery of this message is still being worked on. The server takes the acknowledgement of
    /// any delivery of a message for the message.
    pub(super) fn has(&self, sequence: u64) -> bool {
        self.state().unresolved.contains(&sequence)
    }

    /// Whether this message was resolved for good not long ago.
    pub(super) fn was_done(&self, sequence: u64) -> bool {
        self.state().done.contains(&sequence)
    }

    /// A message has come once more.
    pub(super) fn came(&self, sequence: u64) {
        self.state().put_off.remove(&sequence);
    }

    /// How many are not resolved.
    pub(super) fn unresolved(&self) -> usize {
        self.state().unresolved.len()
    }

    /// How many of those that the server waits for are accounted for by this process.
    pub(super) fn accounted(&self) -> usize {
        let state = self.state();
        state.unresolved.len() + state.put_off.len()
    }

    /// Others may have had what was put off.
    pub(super) fn forget_put_off(&self) {
        self.state().put_off.clear();
    }

    /// Whether something was handed back since this was asked last.
    pub(super) fn take_handed_back(&self) -> bool {
        std::mem::take(&mut self.state().handed_back)
    }

    /// Waits for something that may matter to a barrier. For one caller at a time; cancel safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    fn leave(&self, sequence: u64, how: Left) {
        let mut state = self.state();
        state.unresolved.remove(&sequence);
        match how {
            Left::Done => {
                state.done.insert(sequence);
                if state.done.len() > MAX_REMEMBERED_MESSAGES {
                    state.done.pop_first();
                }
            }
            Left::PutOff => {
                state.put_off.insert(sequence);
            }
            Left::HandedBack => state.handed_back = true,
        }
        if state.handed_back || state.unresolved.is_empty() {
            self.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The message is resolved for good.
    pub(in super::super) fn done(mut self) {
        self.left = Left::Done;
    }

    /// The message comes again later, and others need not wait for it.
    pub(in super::super) fn put_off(mut self) {
        self.left = Left::PutOff;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.working.leave(self.sequence, self.left);
    }
}
