//! SIGHUP asks for a reload, as it does of most servers.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::telemetry::supervisor::{self, Progress};

use super::event::{Control, Trigger};

/// Takes SIGHUP over from the system, whose habit is to end the process, and asks for a reload at each one. The
/// future that is returned never ends by itself; dropping it ends the asking.
///
/// # Errors
/// When the system refuses a handler.
pub fn follow_hangups(control: Control) -> io::Result<impl Future<Output = ()> + Send> {
    let hangups = signal(SignalKind::hangup())?;
    Ok(follow(hangups, control))
}

async fn follow(mut hangups: Signal, control: Control) {
    while hangups.recv().await.is_some() {
        supervisor::tell(Progress::Reloading);
        // Hangups that come meanwhile are one more, whose load begins after them. What came of it is logged.
        if control.load(Trigger::Signal).await.is_err() {
            return;
        }
        supervisor::tell(Progress::Running);
    }
}
