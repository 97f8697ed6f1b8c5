//! What a component exports that the host calls: the stage of the contract, or a handler of messages as others have it.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentNamedList, InstancePre, Lift, Lower, Resource};
use wasmtime::error::Context as _;
use wasmtime::{Engine, Store};

use super::bindings::exports::trackside::plugin::stage::{Failure, Verdict};
use super::bindings::offered::wasi::messaging::types::Error;
use super::bindings::offered::wasmcloud::messaging::types::BrokerMessage;
use super::bindings::{self, PluginPre, wasi, wasmcloud};
use super::guest::Guest;
use super::host::messaging::Draft;
use super::inspect::{self, Interface, Kind};

/// A component that is ready to be instantiated.
pub(super) enum Code {
    Stage(PluginPre<Guest>),
    Wasmcloud(wasmcloud::WasmcloudHandlerPre<Guest>),
    Wasi(wasi::WasiHandlerPre<Guest>),
}

/// What an instance of it can be called for.
pub(super) enum Exports {
    Stage(bindings::Plugin),
    Wasmcloud(wasmcloud::WasmcloudHandler),
    Wasi(wasi::WasiHandler),
}

impl Code {
    /// Finds the exports that make a component of this kind.
    pub(super) fn new(kind: &Kind, component: InstancePre<Guest>) -> wasmtime::Result<Self> {
        Ok(match kind {
            Kind::Handler(Interface::Wasmcloud) => Self::Wasmcloud(wasmcloud::WasmcloudHandlerPre::new(component)?),
            Kind::Handler(Interface::Wasi) => Self::Wasi(wasi::WasiHandlerPre::new(component)?),
            Kind::Plugin { .. } | Kind::ForeignComponent | Kind::CoreModule => Self::Stage(PluginPre::new(component)?),
        })
    }

    pub(super) fn engine(&self) -> &Engine {
        match self {
            Self::Stage(code) => code.engine(),
            Self::Wasmcloud(code) => code.engine(),
            Self::Wasi(code) => code.engine(),
        }
    }

    pub(super) fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Exports> {
        Ok(match self {
            Self::Stage(code) => Exports::Stage(code.instantiate(store)?),
            Self::Wasmcloud(code) => Exports::Wasmcloud(code.instantiate(store)?),
            Self::Wasi(code) => Exports::Wasi(code.instantiate(store)?),
        })
    }
}

/// Checks that the functions which the host calls have the types they should have, which is otherwise left to the first
/// instance.
pub(super) fn check_types(component: &Component, kind: &Kind, exports: &[String]) -> wasmtime::Result<()> {
    match kind {
        Kind::Handler(interface @ Interface::Wasmcloud) => {
            let handler = Exported::find(component, interface.export())?;
            handler.check::<(&BrokerMessage,), (Result<(), String>,)>("handle-message")
        }
        Kind::Handler(interface @ Interface::Wasi) => {
            let handler = Exported::find(component, interface.export())?;
            handler.check::<(Resource<Draft>,), (Result<(), Error>,)>("handle")
        }
        Kind::Plugin { .. } | Kind::ForeignComponent | Kind::CoreModule => {
            let name = exports.iter().find(|name| inspect::is_stage(name)).map_or("stage", String::as_str);
            let stage = Exported::find(component, name)?;
            stage.check::<(&str,), (Result<(), String>,)>("configure")?;
            stage.check::<(), (Result<Verdict, Failure>,)>("handle")
        }
    }
}

/// An interface that a component exports.
struct Exported<'c> {
    component: &'c Component,
    name: &'c str,
    interface: wasmtime::component::types::ComponentInstance,
}

impl<'c> Exported<'c> {
    fn find(component: &'c Component, name: &'c str) -> wasmtime::Result<Self> {
        match component.component_type().get_export(component.engine(), name).map(|export| export.ty) {
            Some(ComponentItem::ComponentInstance(interface)) => Ok(Self { component, name, interface }),
            _ => wasmtime::bail!("its export `{name}` is not an interface"),
        }
    }

    fn check<P, R>(&self, function: &str) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let Self { component, name, interface } = self;
        let found = interface.get_export(component.engine(), function).map(|export| export.ty);
        let Some(ComponentItem::ComponentFunc(found)) = found else {
            wasmtime::bail!("its `{name}` has no function `{function}`");
        };
        let wrong = || format!("the function `{function}` of its `{name}` has another type");
        found.typecheck::<P, R>(&component.component_type().instance_type()).with_context(wrong)
    }
}
