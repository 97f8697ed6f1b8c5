//! What a detached component gets beside: a module that tells the state and puts handles in their place.
//!
//! ```text
//! import trackside-state-memory:   func(index: u32, bytes: list<u8>)
//! import trackside-state-global:   func(index: u32, bits: u64)
//! import trackside-state-selector: func() -> selector            if the plugin knows selectors
//! export trackside-state-save:     func()                        calls the first two for all there is
//! export trackside-state-restore:  func(selectors: u32)          calls the third so many times
//! ```

use wasm_encoder::{
    Alias, BlockType, CanonicalFunctionSection, CanonicalOption, CodeSection, Component, ComponentAliasSection,
    ComponentExportKind, ComponentExportSection, ComponentImportSection, ComponentTypeRef, ComponentTypeSection,
    ComponentValType, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, InstanceSection,
    Module, ModuleArg, ModuleSection, PrimitiveValType, TypeSection, ValType,
};

use super::detach::Counts;
use super::state::{Layout, STATE, global_name, memory_name};

pub(super) const MEMORY: &str = "trackside-state-memory";
pub(super) const GLOBAL: &str = "trackside-state-global";
pub(super) const SELECTOR: &str = "trackside-state-selector";
pub(super) const SAVE: &str = "trackside-state-save";
pub(super) const RESTORE: &str = "trackside-state-restore";

const HOST: &str = "host";

/// A page of memory is so many bytes, as a power of two.
const PAGE_BITS: i32 = 16;

/// Appends it to a component that has what was counted.
pub(super) fn append(component: &mut Component, counts: &Counts, layout: &Layout<'_>) {
    let types = append_types(component, counts);
    let mut imports = ComponentImportSection::new();
    imports.import(MEMORY, ComponentTypeRef::Func(types.memory)).import(GLOBAL, ComponentTypeRef::Func(types.global));
    if let Some(selector) = types.selector {
        imports.import(SELECTOR, ComponentTypeRef::Func(selector));
    }
    component.section(&imports);

    // The host's functions, for core code: those about memories one each, since the bytes are in that memory.
    let mut aliases = ComponentAliasSection::new();
    let (mut lowered, mut host) = (CanonicalFunctionSection::new(), Vec::new());
    for index in 0..memories(layout) {
        let name = memory_name(index);
        aliases.alias(Alias::CoreInstanceExport { instance: 0, kind: ExportKind::Memory, name: &name });
        let memory = CanonicalOption::Memory(counts.core_memories + index);
        host.push((name, ExportKind::Func, counts.core_funcs + lowered.len()));
        lowered.lower(counts.funcs, [memory]);
    }
    host.push((GLOBAL.to_owned(), ExportKind::Func, counts.core_funcs + lowered.len()));
    lowered.lower(counts.funcs + 1, []);
    if types.selector.is_some() {
        host.push((SELECTOR.to_owned(), ExportKind::Func, counts.core_funcs + lowered.len()));
        lowered.lower(counts.funcs + 2, []);
    }
    component.section(&aliases).section(&lowered);

    component.section(&ModuleSection(&module(layout, types.selector.is_some())));
    let mut instances = InstanceSection::new();
    let arguments = [(HOST, ModuleArg::Instance(counts.core_instances)), (STATE, ModuleArg::Instance(0))];
    instances.export_items(host).instantiate(counts.core_modules, arguments);
    component.section(&instances);

    let mut aliases = ComponentAliasSection::new();
    let (mut lifted, mut exports) = (CanonicalFunctionSection::new(), ComponentExportSection::new());
    let (core_funcs, funcs) = (counts.core_funcs + lowered.len(), counts.funcs + imports.len());
    for (name, ty) in [(SAVE, types.save), (RESTORE, types.restore)] {
        aliases.alias(Alias::CoreInstanceExport { instance: counts.core_instances + 1, kind: ExportKind::Func, name });
        exports.export(name, ComponentExportKind::Func, funcs + lifted.len(), None);
        lifted.lift(core_funcs + lifted.len(), ty, []);
    }
    component.section(&aliases).section(&lifted).section(&exports);
}

/// Indices of the types of functions.
struct Types {
    memory: u32,
    global: u32,
    save: u32,
    restore: u32,
    selector: Option<u32>,
}

fn append_types(component: &mut Component, counts: &Counts) -> Types {
    let mut next = counts.types;
    let mut index = || {
        next += 1;
        next - 1
    };
    let resource = counts.selector.map(|instance| {
        let mut aliases = ComponentAliasSection::new();
        aliases.alias(Alias::InstanceExport { instance, kind: ComponentExportKind::Type, name: "selector" });
        component.section(&aliases);
        index()
    });
    let (u32_, u64_, u8_) = (PrimitiveValType::U32, PrimitiveValType::U64, PrimitiveValType::U8);
    let none: [(&str, ComponentValType); 0] = [];
    let mut types = ComponentTypeSection::new();
    let bytes = index();
    types.defined_type().list(u8_);
    let memory = index();
    let bytes = ComponentValType::Type(bytes);
    types.function().params([("index", ComponentValType::Primitive(u32_)), ("bytes", bytes)]).result(None);
    let global = index();
    types.function().params([("index", u32_), ("bits", u64_)]).result(None);
    let save = index();
    types.function().params(none).result(None);
    let restore = index();
    types.function().params([("selectors", u32_)]).result(None);
    let selector = resource.map(|resource| {
        let owned = index();
        types.defined_type().own(resource);
        types.function().params(none).result(Some(ComponentValType::Type(owned)));
        index()
    });
    component.section(&types);
    Types { memory, global, save, restore, selector }
}

fn memories(layout: &Layout<'_>) -> u32 {
    u32::try_from(layout.memories.len()).expect("they were counted with 32 bits")
}

/// The module.
fn module(layout: &Layout<'_>, selectors: bool) -> Module {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; 3], []);
    types.ty().function([ValType::I32, ValType::I64], []);
    types.ty().function([], [ValType::I32]);
    types.ty().function([], []);
    types.ty().function([ValType::I32], []);

    let mut imports = ImportSection::new();
    for index in 0..memories(layout) {
        imports.import(HOST, &memory_name(index), EntityType::Function(0));
    }
    imports.import(HOST, GLOBAL, EntityType::Function(1));
    if selectors {
        imports.import(HOST, SELECTOR, EntityType::Function(2));
    }
    let functions = imports.len();
    for (index, memory) in (0..).zip(&layout.memories) {
        imports.import(STATE, &memory_name(index), EntityType::Memory(*memory));
    }
    for (index, global) in (0..).zip(&layout.globals) {
        imports.import(STATE, &global_name(index), EntityType::Global(global.entity()));
    }

    let mut declared = FunctionSection::new();
    declared.function(3).function(4);
    let mut exports = ExportSection::new();
    exports.export(SAVE, ExportKind::Func, functions).export(RESTORE, ExportKind::Func, functions + 1);
    let mut code = CodeSection::new();
    code.function(&save(layout)).function(&restore(selectors.then(|| functions - 1)));

    let mut module = Module::new();
    module.section(&types).section(&imports).section(&declared).section(&exports).section(&code);
    module
}

/// Tells the host of every memory and global.
fn save(layout: &Layout<'_>) -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    for index in 0..memories(layout) {
        code.i32_const(index.cast_signed()).i32_const(0);
        code.memory_size(index).i32_const(PAGE_BITS).i32_shl().call(index);
    }
    for (index, global) in (0_u32..).zip(&layout.globals) {
        code.i32_const(index.cast_signed()).global_get(index);
        match global.ty {
            ValType::I64 => &mut code,
            ValType::F32 => code.i32_reinterpret_f32().i64_extend_i32_u(),
            ValType::F64 => code.i64_reinterpret_f64(),
            _ => code.i64_extend_i32_u(),
        };
        code.call(memories(layout));
    }
    code.end();
    function
}

/// Has the host hand over so many selectors. In an empty table of handles they get the indices that they had.
fn restore(selector: Option<u32>) -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    if let Some(selector) = selector {
        code.block(BlockType::Empty).loop_(BlockType::Empty);
        code.local_get(0).i32_eqz().br_if(1);
        code.call(selector).drop();
        code.local_get(0).i32_const(1).i32_sub().local_set(0).br(0);
        code.end().end();
    }
    code.end();
    function
}
