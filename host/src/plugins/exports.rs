//! What a component exports that the host calls: the stage of the contract, or a handler of messages as others have it.

use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};
use wasmtime::component::{Component, ComponentNamedList, Instance, InstancePre, Lift, Lower};
use wasmtime::error::Context as _;
use wasmtime::{Engine, Store};

use super::bindings::exports::trackside::plugin::stage::{Failure, Verdict};
use super::bindings::offered::wasmcloud::messaging::types::BrokerMessage;
use super::bindings::{self, PluginPre, wasi, wasmcloud};
use super::guest::Guest;
use super::inspect::{self, Interface, Kind};
use super::snapshot::Stateless;

/// A component that is ready to be instantiated.
pub(super) enum Code {
    Stage(PluginPre<Guest>),
    /// A stage of whose instances there can be snapshots.
    Stateless(Box<Stateless>),
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
            Self::Stateless(code) => code.engine(),
            Self::Wasmcloud(code) => code.engine(),
            Self::Wasi(code) => code.engine(),
        }
    }

    /// An instance, and what a snapshot would be taken of.
    pub(super) fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<(Exports, Option<Instance>)> {
        Ok(match self {
            Self::Stage(code) => (Exports::Stage(code.instantiate(store)?), None),
            Self::Stateless(code) => {
                let (stage, instance) = code.instantiate(store)?;
                (Exports::Stage(stage), Some(instance))
            }
            Self::Wasmcloud(code) => (Exports::Wasmcloud(code.instantiate(store)?), None),
            Self::Wasi(code) => (Exports::Wasi(code.instantiate(store)?), None),
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
            // It takes a resource, which has no type before there is an instance.
            Exported::find(component, interface.export())?.function("handle").map(drop)
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
    interface: ComponentInstance,
}

impl<'c> Exported<'c> {
    fn find(component: &'c Component, name: &'c str) -> wasmtime::Result<Self> {
        match component.component_type().get_export(component.engine(), name).map(|export| export.ty) {
            Some(ComponentItem::ComponentInstance(interface)) => Ok(Self { component, name, interface }),
            _ => wasmtime::bail!("its export `{name}` is not an interface"),
        }
    }

    fn function(&self, name: &str) -> wasmtime::Result<ComponentFunc> {
        match self.interface.get_export(self.component.engine(), name).map(|export| export.ty) {
            Some(ComponentItem::ComponentFunc(function)) => Ok(function),
            _ => wasmtime::bail!("its `{}` has no function `{name}`", self.name),
        }
    }

    fn check<P, R>(&self, function: &str) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let wrong = || format!("the function `{function}` of its `{}` has another type", self.name);
        let component = self.component.component_type();
        self.function(function)?.typecheck::<P, R>(&component.instance_type()).with_context(wrong)
    }
}
