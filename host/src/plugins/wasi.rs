//! The WASI that language runtimes find: the same for the same message, on any machine, any number of times.
//!
//! The clocks read the message's own timestamp, random bytes come from the message's id and the stage, and there is
//! nothing else: no arguments, environment, files or network. What is written to standard output and error goes to the
//! log, if that was granted, and otherwise nowhere. The real clocks and real random numbers are there for plugins that
//! were granted them.

mod clock;
mod entropy;
mod output;

use std::sync::Arc;

use tracing::Level;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p2::bindings::{cli, filesystem, sockets, sync};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::message::Origin;

use super::guest::Guest;
use super::limits::Deadline;
use super::stage::Settings;
use clock::Clock;
use entropy::Random;
use output::LogOutput;

/// Streams, pollables and such that a guest may hold at a time.
const MAX_RESOURCES: usize = 1024;

/// What the clocks read before the first message, in milliseconds since the Unix epoch: no message has told the time.
const BEFORE_ANY_MESSAGE_MS: u64 = 1_000_000_000_000;

/// The WASI state of one instance.
pub(super) struct VirtualWasi {
    ctx: WasiCtx,
    table: ResourceTable,
    clock: Clock,
    random: Random,
}

impl VirtualWasi {
    /// For an instance that is to be configured by `deadline`.
    pub(super) fn new(settings: &Arc<Settings>, deadline: Deadline) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let ctx = WasiCtxBuilder::new()
            .stdout(LogOutput::new(Arc::clone(settings), Level::INFO))
            .stderr(LogOutput::new(Arc::clone(settings), Level::WARN))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        let grants = &settings.plugin.settings().grants;
        let clock = if grants.clock { Clock::real(deadline) } else { Clock::virtual_at(BEFORE_ANY_MESSAGE_MS) };
        let random = if grants.random { Random::Real } else { Random::derived(settings.seed) };
        Self { ctx, table, clock, random }
    }

    /// Sets the clocks and the random numbers for a message.
    pub(super) fn begin_message(&mut self, origin: &Origin, deadline: Deadline) {
        self.clock.begin_message(origin, deadline);
        self.random.begin_message(origin);
    }

    pub(super) fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
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
