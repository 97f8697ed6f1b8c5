//! A component, made to import its state.

use wasm_encoder::reencode::{Reencode, ReencodeComponent};
use wasm_encoder::{
    Component, ComponentAliasSection, ComponentImportSection, ComponentSectionId, ComponentTypeRef, CoreTypeSection,
    InstanceSection, ModuleArg, RawSection,
};
use wasmparser::{
    CanonicalFunction, Chunk, ComponentAlias, ComponentExternalKind, ComponentType, Encoding, ExternalKind, Instance,
    InstanceTypeDeclaration, Parser, Payload,
};

use super::super::inspect::PACKAGE;
use super::state::{Layout, STATE};
use super::{Detached, Refusal, accessor, module};

/// Bytes of type sections that are read. Types can nest, and reading them takes stack for each level.
const MAX_TYPE_BYTES: usize = 64 << 10;

/// How many of each kind of thing a component has: the next one's index. Those of core modules and of core instances are
/// the new ones: what the state is imported as comes before all others.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) types: u32,
    pub(super) instances: u32,
    pub(super) funcs: u32,
    pub(super) core_modules: u32,
    pub(super) core_instances: u32,
    pub(super) core_funcs: u32,
    pub(super) core_memories: u32,
    /// Which instance has the contract's `selector`.
    pub(super) selector: Option<u32>,
}

/// Rewrites a component so that it imports its state, and exports functions that tell it and put handles in their place.
pub(super) fn detach(bytes: &[u8]) -> Result<Detached, Refusal> {
    let sections = sections(bytes)?;
    let (mut layout, mut modules) = (Layout::default(), Vec::new());
    for section in &sections {
        if let Section::Module(bytes) = section {
            modules.push(module::detach(bytes, &mut layout)?);
        }
    }
    let mut component = Component::new();
    import_state(&mut component, &layout);
    let mut detacher = Detacher {
        counts: Counts {
            types: 0,
            instances: 0,
            funcs: 0,
            core_modules: 1,
            core_instances: 1,
            core_funcs: 0,
            core_memories: 0,
            selector: None,
        },
        has_selector: Vec::new(),
        messages: 0,
        instantiated: vec![false; modules.len()],
    };
    for section in sections {
        match section {
            Section::Module(_) => {
                let index = detacher.counts.core_modules as usize - 1;
                detacher.counts.core_modules += 1;
                raw(&mut component, ComponentSectionId::CoreModule as u8, &modules[index].bytes);
            }
            Section::Other(payload) => detacher.section(&mut component, bytes, payload, &modules)?,
        }
    }
    if detacher.messages > 1 {
        return Err(Refusal::new("it imports more than one version of the contract"));
    }
    accessor::append(&mut component, &detacher.counts, &layout);
    let state = layout.module();
    Ok(Detached { component: component.finish(), state, memories: layout.memories, globals: layout.globals })
}

/// A section of a component.
enum Section<'a> {
    Module(&'a [u8]),
    Other(Payload<'a>),
}

/// The sections at the top of a component.
fn sections(bytes: &[u8]) -> Result<Vec<Section<'_>>, Refusal> {
    let mut parser = Parser::new(0);
    let (mut rest, mut types, mut sections) = (bytes, 0, Vec::new());
    while !rest.is_empty() {
        let Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
            return Err(Refusal::new("it ends early"));
        };
        rest = &rest[consumed..];
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => return Err(Refusal::new("it is not a component")),
            Payload::ModuleSection { unchecked_range, .. } => {
                rest = rest.get(unchecked_range.len()..).ok_or_else(|| Refusal::new("it ends early"))?;
                sections.push(Section::Module(&bytes[unchecked_range]));
            }
            Payload::ComponentSection { ref unchecked_range, .. } => {
                rest = rest.get(unchecked_range.len()..).ok_or_else(|| Refusal::new("it ends early"))?;
                refuse_inner_state(&bytes[unchecked_range.clone()])?;
                sections.push(Section::Other(payload));
            }
            Payload::Version { .. } | Payload::End(_) => {}
            payload => {
                if let Payload::ComponentTypeSection(section) = &payload {
                    types += section.range().len();
                }
                sections.push(Section::Other(payload));
            }
        }
    }
    if types > MAX_TYPE_BYTES {
        return Err(Refusal::new("it has uncommonly many types"));
    }
    Ok(sections)
}

/// Components inside may rename and bundle, as those do that tools make for exported interfaces.
fn refuse_inner_state(bytes: &[u8]) -> Result<(), Refusal> {
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::ModuleSection { .. }
        | Payload::InstanceSection(_)
        | Payload::ComponentCanonicalSection(_)
        | Payload::ComponentStartSection { .. } = payload?
        {
            return Err(Refusal::new("it is composed of several components"));
        }
    }
    Ok(())
}

fn import_state(component: &mut Component, layout: &Layout<'_>) {
    let mut types = CoreTypeSection::new();
    types.ty().module(&layout.module_type());
    let mut imports = ComponentImportSection::new();
    imports.import(STATE, ComponentTypeRef::Module(0));
    let mut instances = InstanceSection::new();
    instances.instantiate::<_, &str>(0, []);
    component.section(&types).section(&imports).section(&instances);
}

struct Detacher {
    counts: Counts,
    /// Of each type, whether it is an instance's with a `selector`.
    has_selector: Vec<bool>,
    /// Imports of the contract's `message`.
    messages: u32,
    /// Of each module, whether there is an instance of it.
    instantiated: Vec<bool>,
}

impl Detacher {
    /// Writes a section, and counts what it brings.
    fn section(
        &mut self,
        component: &mut Component,
        whole: &[u8],
        payload: Payload<'_>,
        modules: &[module::Detached],
    ) -> Result<(), Refusal> {
        match payload {
            // Names are by indices of the component as it was.
            Payload::CustomSection(_) => return Ok(()),
            Payload::CoreTypeSection(_) => return Err(Refusal::new("it has core types")),
            Payload::ComponentStartSection { .. } => return Err(Refusal::new("it has a start function")),
            Payload::InstanceSection(section) => {
                let mut instances = InstanceSection::new();
                for instance in section {
                    self.core_instance(&mut instances, instance?, modules)?;
                }
                component.section(&instances);
                return Ok(());
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.count_alias(&alias?)?;
                }
                let mut aliases = ComponentAliasSection::new();
                self.parse_component_alias_section(&mut aliases, section)?;
                component.section(&aliases);
                return Ok(());
            }
            Payload::ComponentTypeSection(ref section) => {
                for ty in section.clone() {
                    let has_selector = matches!(ty?, ComponentType::Instance(declared) if declares_selector(&declared));
                    self.add_type(has_selector);
                }
            }
            Payload::ComponentImportSection(ref section) => {
                for import in section.clone() {
                    let import = import?;
                    if let wasmparser::ComponentTypeRef::Instance(ty) = import.ty
                        && import.name.name.strip_prefix(PACKAGE).is_some_and(|name| name.starts_with("message@"))
                    {
                        self.messages += 1;
                        if self.has_selector.get(ty as usize) == Some(&true) {
                            self.counts.selector = Some(self.counts.instances);
                        }
                    }
                    self.count(import.ty.kind())?;
                }
            }
            Payload::ComponentExportSection(ref section) => {
                for export in section.clone() {
                    self.count(export?.kind)?;
                }
            }
            Payload::ComponentInstanceSection(ref section) => self.counts.instances += section.count(),
            Payload::ComponentCanonicalSection(ref section) => {
                for function in section.clone() {
                    match function? {
                        CanonicalFunction::Lift { .. } => self.counts.funcs += 1,
                        CanonicalFunction::Lower { .. } | CanonicalFunction::ResourceDrop { .. } => {
                            self.counts.core_funcs += 1;
                        }
                        // Handles that it makes itself are in tables that cannot be told from outside.
                        _ => return Err(Refusal::new("it has handles of its own")),
                    }
                }
            }
            Payload::ComponentSection { ref unchecked_range, .. } => {
                raw(component, ComponentSectionId::Component as u8, &whole[unchecked_range.clone()]);
                return Ok(());
            }
            _ => {}
        }
        let (id, range) = payload.as_section().ok_or_else(|| Refusal::new("it has parts that are not known"))?;
        raw(component, id, &whole[range]);
        Ok(())
    }

    fn core_instance(
        &mut self,
        instances: &mut InstanceSection,
        instance: Instance<'_>,
        modules: &[module::Detached],
    ) -> Result<(), Refusal> {
        self.counts.core_instances += 1;
        let Instance::Instantiate { module_index, args } = instance else {
            return Ok(self.parse_instance(instances, instance)?);
        };
        let at = module_index as usize;
        let Some((module, instantiated)) = modules.get(at).zip(self.instantiated.get_mut(at)) else {
            return Err(Refusal::new("it uses a module that is not there"));
        };
        if std::mem::replace(instantiated, true) && module.stateful {
            return Err(Refusal::new("one of its modules has several instances"));
        }
        let mut given: Vec<_> =
            args.iter().map(|arg| (arg.name, ModuleArg::Instance(self.instance_index(arg.index)))).collect();
        if module.stateful {
            given.push((STATE, ModuleArg::Instance(0)));
        }
        instances.instantiate(self.module_index(module_index), given);
        Ok(())
    }

    fn count_alias(&mut self, alias: &ComponentAlias<'_>) -> Result<(), Refusal> {
        match alias {
            ComponentAlias::InstanceExport { kind, .. } => self.count(*kind)?,
            ComponentAlias::CoreInstanceExport { kind: ExternalKind::Func, .. } => self.counts.core_funcs += 1,
            ComponentAlias::CoreInstanceExport { kind: ExternalKind::Memory, .. } => self.counts.core_memories += 1,
            ComponentAlias::CoreInstanceExport { .. } => {}
            ComponentAlias::Outer { .. } => return Err(Refusal::new("it is part of another component")),
        }
        Ok(())
    }

    fn count(&mut self, kind: ComponentExternalKind) -> Result<(), Refusal> {
        match kind {
            ComponentExternalKind::Func => self.counts.funcs += 1,
            ComponentExternalKind::Type => self.add_type(false),
            ComponentExternalKind::Instance => self.counts.instances += 1,
            ComponentExternalKind::Component => {}
            ComponentExternalKind::Module | ComponentExternalKind::Value => {
                return Err(Refusal::new("it passes modules or values on"));
            }
        }
        Ok(())
    }

    fn add_type(&mut self, has_selector: bool) {
        self.counts.types += 1;
        self.has_selector.push(has_selector);
    }
}

impl Reencode for Detacher {
    type Error = Refusal;
}

/// The state is module 0, and its instance is instance 0.
impl ReencodeComponent for Detacher {
    fn module_index(&mut self, index: u32) -> u32 {
        index.saturating_add(1)
    }

    fn instance_index(&mut self, index: u32) -> u32 {
        index.saturating_add(1)
    }
}

fn declares_selector(declared: &[InstanceTypeDeclaration<'_>]) -> bool {
    let selector = |declaration: &InstanceTypeDeclaration<'_>| match declaration {
        InstanceTypeDeclaration::Export { name, .. } => name.name == "selector",
        _ => false,
    };
    declared.iter().any(selector)
}

fn raw(component: &mut Component, id: u8, data: &[u8]) {
    component.section(&RawSection { id, data });
}
