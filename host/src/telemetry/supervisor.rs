//! The service manager that started Trackside is told how far it is, by the protocol of sd_notify(3): what systemd
//! expects of a unit with `Type=notify`. Where nobody wants to know, which is where `NOTIFY_SOCKET` is not set, nothing
//! is done.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::Readiness;

const SOCKET: &str = "NOTIFY_SOCKET";
/// How long a service manager that does not read may hold up whoever tells it.
const SEND_LIMIT: Duration = Duration::from_secs(1);
/// What a line of `systemctl status` has room for.
const STATUS_CHARS: usize = 200;

/// How far Trackside is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It works, after its start or after a reload, whatever came of that.
    Running,
    /// It was asked to load its configuration anew.
    Reloading,
    /// It finishes what is in flight.
    Stopping,
}

/// Tells the service manager, if there is one.
pub fn tell(progress: Progress) {
    match progress {
        Progress::Running => send("READY=1"),
        // From systemd 253 on the time tells which reload is meant.
        Progress::Reloading => send(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_microseconds())),
        Progress::Stopping => send("STOPPING=1"),
    }
}

/// Keeps the status line true to the readiness, for as long as it is polled.
pub async fn follow(readiness: Readiness) {
    let mut conditions = readiness.subscribe();
    loop {
        let reasons = conditions.borrow_and_update().reasons();
        send(&format!("STATUS={}", status(&reasons)));
        if conditions.changed().await.is_err() {
            return;
        }
    }
}

fn status(reasons: &[String]) -> String {
    if reasons.is_empty() {
        return "ready".to_owned();
    }
    // A line break would begin another assignment.
    let line = format!("not ready: {}", reasons.join("; ")).replace(char::is_control, " ");
    line.chars().take(STATUS_CHARS).collect()
}

fn send(assignments: &str) {
    let Some(name) = std::env::var_os(SOCKET) else { return };
    let sent = connect(name.as_encoded_bytes()).and_then(|socket| socket.send(assignments.as_bytes()));
    if let Err(error) = sent {
        tracing::warn!(%error, "the service manager at {SOCKET} cannot be told `{}`", assignments.replace('\n', " "));
    }
}

fn connect(name: &[u8]) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(SEND_LIMIT))?;
    match name {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)?;
        }
        path => {
            use std::os::unix::ffi::OsStrExt;
            socket.connect(std::ffi::OsStr::from_bytes(path))?;
        }
    }
    Ok(socket)
}

fn monotonic_microseconds() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_that_fits() {
        assert_eq!(status(&[]), "ready");
        let reasons = ["source a: gone\nREADY=1".to_owned(), "source b: not open yet".to_owned()];
        assert_eq!(status(&reasons), "not ready: source a: gone READY=1; source b: not open yet");
        assert_eq!(status(&["é".repeat(500)]).chars().count(), STATUS_CHARS);
    }
}
