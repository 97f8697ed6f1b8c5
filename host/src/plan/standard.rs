//! The standard plugins, carried inside the binary so that one file deploys.

use crate::names::PluginName;

include!(concat!(env!("OUT_DIR"), "/standard.rs"));

/// The component of a standard plugin; `None` where this is not the name of one, or the binary was built without it.
#[must_use]
pub fn standard_plugin(name: &PluginName) -> Option<&'static [u8]> {
    STANDARD_COMPONENTS.iter().find(|(known, _)| *known == name.as_str()).map(|(_, bytes)| *bytes)
}

/// The names of the standard plugins.
pub const STANDARD_PLUGINS: [&str; 4] = ["validate", "transform", "mask", "route"];
