#![doc = include_str!("../README.md")]

mod error;
mod field;
mod message;
mod setup;
mod stage;
mod value;

pub mod json;
pub mod log;

#[cfg(target_family = "wasm")]
#[path = "guest.rs"]
mod backend;

#[cfg(not(target_family = "wasm"))]
#[path = "native.rs"]
mod backend;

#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use crate::error::{HeaderError, PayloadError, SetupError};
pub use crate::field::Field;
pub use crate::message::{Message, Selector};
pub use crate::setup::Setup;
pub use crate::stage::{Failure, Part, Stage, Verdict};
pub use crate::value::{Header, Match, Origin, Value};

/// What [`export!`] expands to needs these; nothing else should use them.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod __guest {
    pub use crate::backend::{Slot, bindings};
}

/// Makes a type that implements [`Stage`] the plugin that this crate is. Once per crate, at its root, with a type
/// that has no parameters: `trackside_plugin::export!(Shout);`
///
/// It exports the component's functions when the crate is built for WebAssembly and only checks the type otherwise,
/// so that the same code runs in native tests.
#[macro_export]
macro_rules! export {
    ($stage:ty) => {
        const _: fn() = || {
            fn exported_type_is_a_stage<S: $crate::Stage>() {}
            exported_type_is_a_stage::<$stage>();
        };

        #[cfg(target_family = "wasm")]
        #[doc(hidden)]
        #[allow(missing_docs, unreachable_pub, unsafe_code, reason = "generated glue of the component ABI")]
        mod __trackside_component {
            use $crate::__guest::{Slot, bindings};

            use super::*;

            std::thread_local! {
                static SLOT: Slot<$stage> = const { Slot::empty() };
            }

            pub struct Component;

            impl bindings::exports::trackside::plugin::stage::Guest for Component {
                fn configure(config: String) -> Result<(), String> {
                    SLOT.with(|slot| slot.configure(&config))
                }

                fn handle() -> Result<
                    bindings::exports::trackside::plugin::stage::Verdict,
                    bindings::exports::trackside::plugin::stage::Failure,
                > {
                    SLOT.with(|slot| slot.handle())
                }
            }

            bindings::export_component!(Component with_types_in bindings);
        }
    };
}

/// The plugin of the project's README, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ProjectReadme;
