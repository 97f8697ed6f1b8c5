//! Ports for servers that are not there yet.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what kernels give to clients (Linux: from 32768 on), since between the choice and the server's own `bind`,
/// and while a test restarts a server, any connection of any process could be given a port from up there.
const FIRST: u16 = 20_000;
/// How many processes have ports of their own.
const PROCESSES: u16 = 50;
/// How many ports a process has before it begins again.
const PER_PROCESS: u16 = 200;

static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens at, and that this process has not given out lately.
///
/// # Panics
/// When all ports of the process are taken.
#[must_use]
pub fn free_port() -> u16 {
    let slot =
        u16::try_from(std::process::id() % u32::from(PROCESSES)).expect("a remainder of a small number is small");
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = (0..PER_PROCESS).map(|_| {
        let next = GIVEN.fetch_add(1, Ordering::Relaxed) % PER_PROCESS;
        FIRST + slot * PER_PROCESS + next
    });
    ports.find(free).unwrap_or_else(|| panic!("no port is free from {} on", FIRST + slot * PER_PROCESS))
}
