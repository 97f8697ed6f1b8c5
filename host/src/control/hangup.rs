//! SIGHUP asks for a reload, as it does of most servers.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

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
        control.notify(Trigger::Signal);
    }
}
