//! Everything that knows WebAssembly. It knows no rules: `plan` brings the two together.
//!
//! A file becomes a [`Plugin`] by [`Engine::load`], a plugin with the settings of one stage a [`ConfiguredStage`], and
//! each thread calls stages through [`Instances`] of its own:
//!
//! ```text
//! bytes --Engine::load--> Plugin --Plugin::configure--> ConfiguredStage --Instances::call--> Verdict
//! ```
//!
//! # What holds here
//!
//! * A guest cannot make the host wait, grow or fall: time, memory, tables, host calls, bytes in both directions, log
//!   lines, selectors and WASI handles are all bounded, each by the thread that runs the call or by the plugin.
//! * A component cannot make the compiler do so either: it is a process with limits of its own.
//! * A call that ends with an error leaves the message as it was, and after a fault the store is thrown away.
//! * The same message through the same stage gives the same bytes on any machine, as long as the plugin itself carries
//!   nothing from message to message.
//! * No text that comes out of a plugin reaches a log or an error with a secret of its settings, a line break or more
//!   than a few KiB.

mod bindings;
mod cache;
mod compile;
mod engine;
mod error;
mod exports;
mod files;
mod guest;
mod handler;
mod host;
mod inspect;
mod instance;
mod instances;
mod keyvalue;
mod limits;
mod log;
mod offer;
mod plugin;
mod selectors;
mod snapshot;
mod stage;
mod text;
mod ticker;
mod verdict;
mod wasi;

#[cfg(test)]
mod tests;

pub use compile::{COMPILE_COMMAND, CompileIn, compile_component};
pub use engine::{Engine, EngineSettings, MAX_MEMORY_BYTES, MAX_TABLE_ELEMENTS};
pub use error::{EngineError, LoadError};
pub use files::FileSnapshot;
pub use inspect::{CONTRACT_VERSION, Inspection, Interface, Kind, MAX_COMPONENT_BYTES};
pub use instances::Instances;
pub use keyvalue::{Found, Key, KeyValue, MemoryStore, StoreError};
pub use log::{KeptLines, LogLine, keeping_lines};
pub use plugin::{Plugin, PluginSource};
pub use stage::{ConfigureError, ConfiguredStage, StageSecrets};
pub use verdict::{CallError, Checked, Fault, Limit, MAX_PARTS, Part, Publication, Refusal, Verdict, Work};
