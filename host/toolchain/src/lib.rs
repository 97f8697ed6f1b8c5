//! How plugins are compiled: which compilers a machine has, and how a component is made of what they give. Installs
//! nothing, and runs nothing but the question what is there.
//!
//! A crate of its own because two programs need it: `trackside plugin build`, and `cargo xtask`, which makes the plugins
//! that the first one carries.

pub mod component;
pub mod environment;
pub mod guest;
pub mod rust;
mod size;
mod version;

pub use size::human_size;
pub use version::Version;

/// The contract between host and plugins, as WIT.
pub const CONTRACT: &str = include_str!("../../../plugin-sdk/wit/plugin.wit");
