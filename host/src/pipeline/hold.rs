//! What a task holds while it is in a lane or being settled: its key, and its place in its rule. It gives them back when
//! it leaves. Should host code panic, the task is gone with what was under way, and is tried again from a copy: nobody
//! knows how far it got, as with a publish that is not confirmed.

use super::job::Task;
use super::schedule::Scheduler;

/// A task's hold. Dropping it means that the task is gone.
#[derive(Debug)]
pub(super) struct Hold {
    scheduler: Scheduler,
    /// `None` once the hold is given back.
    copy: Option<Box<Task>>,
}

impl Hold {
    /// For a task that goes to a lane.
    pub(super) fn of(task: &Task, scheduler: &Scheduler) -> Self {
        Self { scheduler: scheduler.clone(), copy: Some(Box::new(task.copy())) }
    }

    /// The task leaves in good order.
    pub(super) fn give_back(mut self) {
        self.copy = None;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(copy) = self.copy.take() {
            self.scheduler.broke_off(*copy);
        }
    }
}
