//! The module that a detached component has its state from: memories and mutable globals, and no code.

use wasm_encoder::{
    ConstExpr, DataSection, EntityType, ExportKind, ExportSection, GlobalSection, GlobalType, MemorySection,
    MemoryType, Module, ModuleType, ValType,
};

/// What the component imports the module as, and its modules what they share.
pub(super) const STATE: &str = "trackside-state";

/// What the state is made of, and what it is to begin with.
#[derive(Debug, Default)]
pub(super) struct Layout<'a> {
    pub(super) memories: Vec<MemoryType>,
    pub(super) globals: Vec<Global>,
    pub(super) data: Vec<Segment<'a>>,
}

/// A mutable global.
#[derive(Debug, Clone, Copy)]
pub(super) struct Global {
    pub(super) ty: ValType,
    /// Its value: of 32-bit types, in the lower half.
    pub(super) bits: u64,
}

/// Bytes at a place of a memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) memory: u32,
    pub(super) offset: i32,
    pub(super) bytes: &'a [u8],
}

impl Layout<'_> {
    /// The module.
    pub(super) fn module(&self) -> Vec<u8> {
        let (mut memories, mut globals) = (MemorySection::new(), GlobalSection::new());
        let (mut exports, mut data) = (ExportSection::new(), DataSection::new());
        for (index, memory) in (0..).zip(&self.memories) {
            memories.memory(*memory);
            exports.export(&memory_name(index), ExportKind::Memory, index);
        }
        for (index, global) in (0..).zip(&self.globals) {
            globals.global(global.entity(), &global.value());
            exports.export(&global_name(index), ExportKind::Global, index);
        }
        for segment in &self.data {
            data.active(segment.memory, &ConstExpr::i32_const(segment.offset), segment.bytes.iter().copied());
        }
        let mut module = Module::new();
        module.section(&memories).section(&globals).section(&exports).section(&data);
        module.finish()
    }

    /// Its type.
    pub(super) fn module_type(&self) -> ModuleType {
        let mut ty = ModuleType::new();
        for (index, memory) in (0..).zip(&self.memories) {
            ty.export(&memory_name(index), EntityType::Memory(*memory));
        }
        for (index, global) in (0..).zip(&self.globals) {
            ty.export(&global_name(index), EntityType::Global(global.entity()));
        }
        ty
    }
}

impl Global {
    pub(super) fn entity(self) -> GlobalType {
        GlobalType { val_type: self.ty, mutable: true, shared: false }
    }

    #[allow(clippy::cast_possible_truncation, reason = "32-bit values are in the lower half")]
    fn value(self) -> ConstExpr {
        match self.ty {
            ValType::I64 => ConstExpr::i64_const(self.bits.cast_signed()),
            ValType::F32 => ConstExpr::f32_const(wasm_encoder::Ieee32::new(self.bits as u32)),
            ValType::F64 => ConstExpr::f64_const(wasm_encoder::Ieee64::new(self.bits)),
            _ => ConstExpr::i32_const((self.bits as u32).cast_signed()),
        }
    }
}

pub(super) fn memory_name(index: u32) -> String {
    format!("memory-{index}")
}

pub(super) fn global_name(index: u32) -> String {
    format!("global-{index}")
}
