//! The WASI that language runtimes find: the same for the same message, on any machine, any number of times.
//!
//! The clocks read the message's own timestamp, random bytes come from the message's id and the stage, what is
//! written to standard output and error goes to the log, and there is nothing else: no arguments, environment, files
//! or network. Waiting takes no time: a timer is ready when it is made, and moves the clock.

mod output;

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tracing::Level;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p2::bindings::{cli, filesystem, sockets, sync};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::message::Origin;

use super::guest::Guest;
use super::stage::Settings;
use output::LogOutput;

/// Streams, pollables and such that a guest may hold at a time.
const MAX_RESOURCES: usize = 1024;

/// Random bytes that a guest gets at a time.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// What the clocks read before the first message, in milliseconds since the Unix epoch: no message has told the time.
const BEFORE_ANY_MESSAGE_MS: u64 = 1_000_000_000_000;

/// How far each look at the monotonic clock moves it.
const NANOS_A_LOOK: u64 = 1_000;

const NANOS_A_MILLI: u64 = 1_000_000;

/// The WASI state of one instance.
pub(super) struct VirtualWasi {
    ctx: WasiCtx,
    table: ResourceTable,
    wall_ms: u64,
    monotonic_ns: u64,
    stage_seed: [u8; 32],
    random: Random,
}

/// An endless stream of bytes: SHA-256 over seed and counter.
struct Random {
    seed: [u8; 32],
    block: [u8; 32],
    used: usize,
    counter: u64,
}

impl VirtualWasi {
    pub(super) fn new(settings: &Arc<Settings>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let ctx = WasiCtxBuilder::new()
            .stdout(LogOutput::new(Arc::clone(settings), Level::INFO))
            .stderr(LogOutput::new(Arc::clone(settings), Level::WARN))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        let stage_seed = settings.seed;
        let random = Random::new(stage_seed);
        let (wall_ms, monotonic_ns) = clocks_at(BEFORE_ANY_MESSAGE_MS);
        Self { ctx, table, wall_ms, monotonic_ns, stage_seed, random }
    }

    /// Sets the clocks and the random numbers for a message.
    pub(super) fn begin_message(&mut self, origin: &Origin) {
        (self.wall_ms, self.monotonic_ns) = clocks_at(origin.timestamp_ms);
        let seed = Sha256::new().chain_update(self.stage_seed).chain_update(origin.id.as_bytes()).finalize();
        self.random = Random::new(seed.into());
    }

    pub(super) fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }

    fn timer(&mut self, until_ns: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.monotonic_ns = self.monotonic_ns.max(until_ns);
        self.wall_ms = self.wall_ms.max(self.monotonic_ns / NANOS_A_MILLI);
        let timer = self.table.push(Ready)?;
        subscribe(&mut self.table, timer)
    }
}

/// The wall clock's milliseconds and the monotonic clock's nanoseconds; the latter is never 0, which Go aborts on.
fn clocks_at(timestamp_ms: u64) -> (u64, u64) {
    (timestamp_ms, timestamp_ms.saturating_mul(NANOS_A_MILLI).max(1))
}

impl Random {
    fn new(seed: [u8; 32]) -> Self {
        Self { seed, block: [0; 32], used: 32, counter: 0 }
    }

    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == self.block.len() {
                let block = Sha256::new().chain_update(self.seed).chain_update(self.counter.to_le_bytes()).finalize();
                self.block = block.into();
                self.counter += 1;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }

    fn bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > MAX_RANDOM_BYTES {
            wasmtime::bail!("it asked for {len} random bytes; at most {MAX_RANDOM_BYTES} are given at a time");
        }
        let mut bytes = vec![0; usize::try_from(len)?];
        self.fill(&mut bytes);
        Ok(bytes)
    }

    fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// A timer whose time has come.
struct Ready;

#[wasmtime_wasi::async_trait]
impl Pollable for Ready {
    async fn ready(&mut self) {}
}

impl wall_clock::Host for VirtualWasi {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let nanoseconds = u32::try_from(self.wall_ms % 1000 * NANOS_A_MILLI).expect("less than a second");
        Ok(wall_clock::Datetime { seconds: self.wall_ms / 1000, nanoseconds })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1_000_000 })
    }
}

impl monotonic_clock::Host for VirtualWasi {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.monotonic_ns = self.monotonic_ns.saturating_add(NANOS_A_LOOK);
        Ok(self.monotonic_ns)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(NANOS_A_LOOK)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.timer(when)
    }

    fn subscribe_duration(&mut self, nanos: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.timer(self.monotonic_ns.saturating_add(nanos))
    }
}

impl random::Host for VirtualWasi {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random.bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.random.number())
    }
}

impl insecure::Host for VirtualWasi {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random.bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.random.number())
    }
}

impl insecure_seed::Host for VirtualWasi {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.random.number(), self.random.number()))
    }
}

/// Where the clocks and random numbers are in a store.
struct HasVirtual;

impl HasData for HasVirtual {
    type Data<'a> = &'a mut VirtualWasi;
}

/// Where the handles are in a store.
struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

/// Links what runtimes import: our own clocks and random numbers, and wasmtime-wasi's streams, standard output, and
/// its files and sockets, of which there are none. `wasi:http` is not there.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let l = linker;
    wall_clock::add_to_linker::<_, HasVirtual>(l, Guest::virtual_wasi)?;
    monotonic_clock::add_to_linker::<_, HasVirtual>(l, Guest::virtual_wasi)?;
    random::add_to_linker::<_, HasVirtual>(l, Guest::virtual_wasi)?;
    insecure::add_to_linker::<_, HasVirtual>(l, Guest::virtual_wasi)?;
    insecure_seed::add_to_linker::<_, HasVirtual>(l, Guest::virtual_wasi)?;
    sync::io::error::add_to_linker::<_, HasTable>(l, |g| g.ctx().table)?;
    sync::io::poll::add_to_linker::<_, HasTable>(l, |g| g.ctx().table)?;
    sync::io::streams::add_to_linker::<_, HasTable>(l, |g| g.ctx().table)?;
    cli::exit::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::environment::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, Guest::cli)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, Guest::filesystem)?;
    sync::filesystem::types::add_to_linker::<_, WasiFilesystem>(l, Guest::filesystem)?;
    let network = sockets::network::LinkOptions::default();
    sockets::network::add_to_linker::<_, WasiSockets>(l, &network, Guest::sockets)?;
    sockets::instance_network::add_to_linker::<_, WasiSockets>(l, Guest::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<_, WasiSockets>(l, Guest::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<_, WasiSockets>(l, Guest::sockets)?;
    sync::sockets::tcp::add_to_linker::<_, WasiSockets>(l, Guest::sockets)?;
    sync::sockets::udp_create_socket::add_to_linker::<_, WasiSockets>(l, Guest::sockets)?;
    sync::sockets::udp::add_to_linker::<_, WasiSockets>(l, Guest::sockets)
}
