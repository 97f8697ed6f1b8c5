//! Why a file cannot be loaded as a plugin, and why there can be no engine.

use std::time::Duration;

use super::inspect::{CONTRACT_VERSION, Interface};
use super::text::size;

/// Why a file cannot be loaded as a plugin. The texts speak of the plugin as "it" where they name nothing else: the
/// caller says which plugin it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Not WebAssembly at all.
    #[error("this is not a WebAssembly file: a plugin is a component, which begins with the bytes `\\0asm`")]
    NotWasm,
    /// WebAssembly in text form.
    #[error("this is WebAssembly in text form: `wasm-tools parse FILE.wat -o FILE.wasm` makes a binary of it")]
    Text,
    /// Machine code that wasmtime compiled earlier.
    #[error("this was compiled by wasmtime already, which cannot be checked: give the component it was made from")]
    Precompiled,
    /// A core module.
    #[error(
        "this is a core module, not a component: it exports {exports}, and a plugin is a component that exports \
         `trackside:plugin/stage@{CONTRACT_VERSION}`. `wasm-tools component new MODULE.wasm{} -o PLUGIN.wasm` makes one of a \
         module that was built against the contract{}",
        if *.wasi_preview1 { " --adapt wasi_snapshot_preview1=ADAPTER.wasm" } else { "" },
        if *.wasi_preview1 {
            "; the adapter answers what it asks of WASI's first version: `trackside plugin build` has one inside, and \
             wasmtime's releases have `wasi_snapshot_preview1.reactor.wasm`"
        } else {
            ""
        }
    )]
    CoreModule {
        /// What it exports.
        exports: String,
        /// Whether it imports the first version of WASI, which is one of modules.
        wasi_preview1: bool,
    },
    /// A component that is not a plugin.
    #[error(
        "this component is not a plugin: it exports {exports}, and a plugin exports \
         `trackside:plugin/stage@{CONTRACT_VERSION}`, or else `{}` or `{}`",
        Interface::Wasmcloud.export(),
        Interface::Wasi.export()
    )]
    ForeignComponent {
        /// What it exports.
        exports: String,
    },
    /// Another version of the contract.
    #[error(
        "it was built against version {found} of the contract, and this host takes 0.1: rebuild it with the SDK of \
         version {CONTRACT_VERSION}"
    )]
    Contract {
        /// Which version.
        found: String,
    },
    /// It imports what the host does not have.
    #[error(
        "it imports {names}, which plugins are not given: a plugin may import `message`, `setup` and `log` of \
         `trackside:plugin@{CONTRACT_VERSION}`; of WASI 0.2 `cli`, `clocks`, `filesystem`, `io`, `random` and \
         `sockets`; and with a grant `wasi:keyvalue`, `wasi:config` and `wasi:logging` of the versions that \
         docs/grants.md tells"
    )]
    Import {
        /// What it imports.
        names: String,
    },
    /// It imports what it was not granted.
    #[error(
        "it imports {imports}: if it is to have that, add `grants = [{grants}]` to its [plugins.NAME] table, or for \
         `trackside plugin test` to the `limits` of its cases"
    )]
    Ungranted {
        /// Each import, with the grant that it takes.
        imports: String,
        /// The grants as they would be written.
        grants: String,
    },
    /// The pin does not fit.
    #[error(
        "its SHA-256 is {found}, but `sha256` says {pinned}: either the file was replaced or the pin is out of date"
    )]
    Pin {
        /// The pin, in hexadecimal.
        pinned: String,
        /// What the file has, in hexadecimal.
        found: String,
    },
    /// Too large a file.
    #[error("it has {} MiB; at most {} are taken", .bytes.div_ceil(1 << 20), size(*.max_bytes))]
    Large {
        /// Its size.
        bytes: usize,
        /// The bound.
        max_bytes: usize,
    },
    /// Too many imports or exports.
    #[error("it has more than {max} imports or exports, which no plugin has")]
    Names {
        /// The bound.
        max: usize,
    },
    /// A setting asks for more than the host has set aside for any instance.
    #[error("`{setting}` asks for {asked}, but an instance can have at most {max}")]
    Setting {
        /// Its key in the plugin's table.
        setting: &'static str,
        /// What it says.
        asked: String,
        /// What is possible.
        max: String,
    },
    /// A damaged file.
    #[error("it is damaged: {reason}")]
    Damaged {
        /// What is wrong, and at which byte.
        reason: String,
    },
    /// WebAssembly that is not valid, or uses what is not enabled.
    #[error("it does not compile: {reason}")]
    Compile {
        /// The compiler's words.
        reason: String,
    },
    /// It takes the compiler too long.
    #[error(
        "it is not compiled after {limit:?}, its `compile-timeout`: try again if the machine was busy; otherwise raise that \
         if the component is to be trusted, or give a smaller one"
    )]
    CompileTime {
        /// How long it was given.
        limit: Duration,
    },
    /// It takes the compiler too much memory.
    #[error(
        "it cannot be compiled in {}, its `compile-memory`: raise that if the component is to be trusted, or give a smaller \
         one",
        size(*.limit_bytes)
    )]
    CompileMemory {
        /// How much there was.
        limit_bytes: usize,
    },
    /// What became of it is too large.
    #[error("its compiled form has more than {}", size(*.max_bytes))]
    CompiledLarge {
        /// The bound.
        max_bytes: usize,
    },
    /// The compiler's process broke off.
    #[error("the compiler broke off over it ({status}): {complaint}")]
    CompilerBroke {
        /// How it ended.
        status: String,
        /// The last it said.
        complaint: String,
    },
    /// The compiler's process cannot be run.
    #[error("the compiler, which is a process of its own, cannot be run: {reason}")]
    Compiler {
        /// Why.
        reason: String,
    },
    /// Its imports or exports have other types than the contract says.
    #[error("it does not fit version {CONTRACT_VERSION} of the contract: {reason}")]
    Link {
        /// What does not fit.
        reason: String,
    },
}

/// Why there can be no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// wasmtime refused its settings; on a machine that limits address space it may say so.
    #[error("the WebAssembly engine cannot start: {0}")]
    Wasmtime(String),
    /// There is no thread for deadlines.
    #[error("the thread that ends calls at their deadline cannot start: {0}")]
    Ticker(#[source] std::io::Error),
}
