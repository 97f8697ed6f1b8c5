//! Components that attack those who compile them. They are made here because they are large.

use std::fmt::Write as _;

use wasm_encoder::{
    BlockType, CodeSection, Component, ComponentExportKind, ComponentExportSection, ComponentInstanceSection, Function,
    FunctionSection, Instruction, Module, ModuleSection, TypeSection, ValType,
};

const STAGE: &str = "trackside:plugin/stage@0.1.0";

/// Bytes that a function may have, about; the compiler's own bound is 7.6 MB.
const LARGEST_FUNCTION: u32 = 7_000_000;

/// A component that goes by the name of a stage, with this module in it.
fn component(module: &Module) -> Vec<u8> {
    let (mut component, mut instances) = (Component::new(), ComponentInstanceSection::new());
    component.section(&ModuleSection(module));
    instances.export_items([] as [(&str, ComponentExportKind, u32); 0]);
    component.section(&instances);
    let mut exports = ComponentExportSection::new();
    exports.export(STAGE, ComponentExportKind::Instance, 0, None);
    component.section(&exports);
    component.finish()
}

/// A module of functions that take and return a number.
fn module(functions: impl Iterator<Item = Function>) -> Module {
    let (mut types, mut declared, mut code) = (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([ValType::I32], [ValType::I32]);
    for function in functions {
        declared.function(0);
        code.function(&function);
    }
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&code);
    module
}

/// Half a million functions.
pub(super) fn many_functions() -> Vec<u8> {
    let function = || {
        let mut function = Function::new([(4, ValType::I32)]);
        let mut write = function.instructions();
        write.local_get(0).i32_const(7).i32_div_s().local_tee(1).local_get(1).i32_mul().end();
        function
    };
    component(&module((0..500_000).map(|_| function())))
}

/// One function of seven megabytes.
pub(super) fn huge_function() -> Vec<u8> {
    let mut function = Function::new([(8, ValType::I32)]);
    let mut write = function.instructions();
    // Known values would be folded away, and the function compiled in no time.
    for local in 1..9 {
        write.local_get(0).i32_const(local).i32_mul().local_set(local.unsigned_abs());
    }
    for round in 0..LARGEST_FUNCTION / 10 {
        write
            .local_get(round % 9)
            .local_get((round + 3) % 9)
            .i32_mul()
            .local_get(1)
            .i32_add()
            .local_set((round + 5) % 9);
    }
    write.local_get(0).end();
    component(&module(std::iter::once(function)))
}

/// A function of a hundred thousand blocks within each other.
pub(super) fn deep_blocks() -> Vec<u8> {
    let mut function = Function::new([]);
    let mut write = function.instructions();
    for depth in 0..100_000 {
        write.block(BlockType::Empty).local_get(0).br_if(depth);
    }
    for _ in 0..100_000 {
        write.end();
    }
    write.local_get(0).end();
    component(&module(std::iter::once(function)))
}

/// Functions full of tables of sixty thousand branches.
pub(super) fn giant_tables() -> Vec<u8> {
    let function = || {
        let mut function = Function::new([]);
        let mut write = function.instructions();
        for _ in 0..100 {
            write.block(BlockType::Empty).block(BlockType::Empty).block(BlockType::Empty);
            let targets: Vec<u32> = (0..60_000).map(|target| target % 3).collect();
            write.local_get(0).br_table(targets, 0);
            write.end().end().end();
        }
        write.local_get(0).end();
        function
    };
    component(&module((0..8).map(|_| function())))
}

/// Functions whose fifty thousand variables live through thousands of branches.
pub(super) fn many_locals() -> Vec<u8> {
    const LOCALS: u32 = 40_000;
    let function = || {
        let mut function = Function::new([(LOCALS, ValType::I32)]);
        let mut write = function.instructions();
        for round in 0..20_000_u32 {
            write.loop_(BlockType::Empty);
            let local = |factor: u32| round.wrapping_mul(factor) % LOCALS;
            write.local_get(local(7919)).local_get(local(104_729)).i32_add().local_set(local(1_299_709));
            write.local_get(local(15_485_863)).br_if(0);
        }
        for _ in 0..20_000 {
            write.end();
        }
        for local in 0..LOCALS {
            write.local_get(local).local_get(0).i32_add().local_set(0);
        }
        write.local_get(0).end();
        function
    };
    component(&module((0..8).map(|_| function())))
}

/// More types than a module may have.
pub(super) fn many_types() -> Vec<u8> {
    let mut types = TypeSection::new();
    for _ in 0..1_100_000 {
        types.ty().function([], []);
    }
    let mut module = Module::new();
    module.section(&types);
    component(&module)
}

/// Component types each of which is twice the one before.
pub(super) fn exponential_types() -> Vec<u8> {
    let mut text = String::from("(component (type $t0 (tuple u8 u8))");
    for level in 1..64 {
        let below = level - 1;
        write!(text, "(type $t{level} (tuple $t{below} $t{below}))").expect("a string takes all");
    }
    text += "(instance $i) (export \"trackside:plugin/stage@0.1.0\" (instance $i)))";
    wat::parse_str(text).expect("it parses")
}

/// Components within each other, five hundred deep.
pub(super) fn nested_components() -> Vec<u8> {
    let mut component = Component::new();
    for _ in 0..500 {
        let mut outer = Component::new();
        outer.section(&wasm_encoder::NestedComponentSection(&component));
        component = outer;
    }
    let mut instances = ComponentInstanceSection::new();
    instances.export_items([] as [(&str, ComponentExportKind, u32); 0]);
    component.section(&instances);
    let mut exports = ComponentExportSection::new();
    exports.export(STAGE, ComponentExportKind::Instance, 0, None);
    component.section(&exports);
    component.finish()
}

/// A component with ten thousand exports.
pub(super) fn many_exports() -> Vec<u8> {
    let mut component = Component::new();
    let mut instances = ComponentInstanceSection::new();
    instances.export_items([] as [(&str, ComponentExportKind, u32); 0]);
    component.section(&instances);
    let mut exports = ComponentExportSection::new();
    exports.export(STAGE, ComponentExportKind::Instance, 0, None);
    for number in 0..10_000 {
        exports.export(format!("e{number}").as_str(), ComponentExportKind::Instance, 0, None);
    }
    component.section(&exports);
    component.finish()
}

/// A file past the bound.
pub(super) fn huge_file() -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    bytes.resize((64 << 20) + 1, 0);
    bytes
}

/// The beginning of a component, and then noise.
pub(super) fn noise() -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    let mut state = 1_u32;
    bytes.extend((0..100_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    }));
    bytes
}

/// A component whose code does not validate.
pub(super) fn invalid_code() -> Vec<u8> {
    let mut function = Function::new([]);
    function.instruction(&Instruction::F64Const(1.0.into())).instruction(&Instruction::End);
    component(&module(std::iter::once(function)))
}
