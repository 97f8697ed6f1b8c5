//! Random numbers: derived from the stage and the message's id, or real ones for a plugin that was granted them.

use sha2::{Digest, Sha256};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::message::Origin;

use super::VirtualWasi;

/// Random bytes that a guest gets at a time.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// Where an instance's random numbers come from.
pub(super) enum Random {
    /// From the stage, and during a message from that too.
    Derived { stage_seed: [u8; 32], stream: Stream },
    /// From the operating system.
    Real,
}

/// An endless stream of bytes: SHA-256 over seed and counter.
pub(super) struct Stream {
    seed: [u8; 32],
    block: [u8; 32],
    used: usize,
    counter: u64,
}

impl Random {
    /// Those of a stage.
    pub(super) fn derived(stage_seed: [u8; 32]) -> Self {
        Self::Derived { stage_seed, stream: Stream::new(stage_seed) }
    }

    pub(super) fn begin_message(&mut self, origin: &Origin) {
        if let Self::Derived { stage_seed, stream } = self {
            let seed = Sha256::new().chain_update(*stage_seed).chain_update(origin.id.as_bytes()).finalize();
            *stream = Stream::new(seed.into());
        }
    }

    fn fill(&mut self, out: &mut [u8]) -> wasmtime::Result<()> {
        match self {
            Self::Derived { stream, .. } => stream.fill(out),
            Self::Real => getrandom::fill(out)?,
        }
        Ok(())
    }

    fn bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > MAX_RANDOM_BYTES {
            wasmtime::bail!("it asked for {len} random bytes; at most {MAX_RANDOM_BYTES} are given at a time");
        }
        let mut bytes = vec![0; usize::try_from(len)?];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

impl Stream {
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
}

impl random::Host for VirtualWasi {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random.bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random.number()
    }
}

impl insecure::Host for VirtualWasi {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random.bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random.number()
    }
}

impl insecure_seed::Host for VirtualWasi {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.random.number()?, self.random.number()?))
    }
}
