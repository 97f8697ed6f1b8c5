//! A core module, made to import its state.

use wasm_encoder::reencode::{self, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{DataSection, EntityType, GlobalSection, ImportSection, Module, SectionId, ValType};
use wasmparser::{ConstExpr, Data, DataKind, Operator, Parser, Payload, TypeRef};

use super::Refusal;
use super::state::{Global, Layout, STATE, Segment, global_name, memory_name};

/// A module whose memories and mutable globals are imports.
pub(super) struct Detached {
    pub(super) bytes: Vec<u8>,
    /// Whether it has any.
    pub(super) stateful: bool,
}

/// Moves a module's state into the layout.
pub(super) fn detach<'a>(bytes: &'a [u8], layout: &mut Layout<'a>) -> Result<Detached, Refusal> {
    let found = Found::in_module(bytes)?;
    let first_memory = index(layout.memories.len())?;
    let memories = (first_memory..).zip(&found.memories);
    let mut imports: Vec<_> = memories.map(|(at, ty)| (memory_name(at), EntityType::Memory(*ty))).collect();
    let globals = (index(layout.globals.len())?..).zip(&found.moved);
    imports.extend(globals.map(|(at, global)| (global_name(at), EntityType::Global(global.entity()))));
    layout.memories.extend(&found.memories);
    layout.globals.extend(&found.moved);
    for segment in &found.data {
        let memory = first_memory + segment.memory;
        layout.data.push(Segment { memory, ..*segment });
    }
    let stateful = !imports.is_empty();
    let mut detacher = Detacher { imports, globals: found.globals() };
    let mut module = Module::new();
    detacher.parse_core_module(&mut module, Parser::new(0), bytes)?;
    Ok(Detached { bytes: module.finish(), stateful })
}

/// What there is in a module that has to do with state.
#[derive(Default)]
struct Found<'a> {
    memories: Vec<wasm_encoder::MemoryType>,
    moved: Vec<Global>,
    data: Vec<Segment<'a>>,
    imported_memories: u32,
    imported_globals: u32,
    /// Of each global that it defines, whether it can be changed.
    mutable: Vec<bool>,
}

impl<'a> Found<'a> {
    fn in_module(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut found = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import?.ty {
                            TypeRef::Memory(_) => found.imported_memories += 1,
                            TypeRef::Global(_) => found.imported_globals += 1,
                            _ => {}
                        }
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        let memory = RoundtripReencoder
                            .memory_type(memory?)
                            .map_err(|error| Refusal::because(error.to_string()))?;
                        if memory.memory64 || memory.shared || memory.page_size_log2.is_some() {
                            return Err(Refusal::new("one of its memories is of an uncommon kind"));
                        }
                        found.memories.push(memory);
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        let global = global?;
                        found.mutable.push(global.ty.mutable);
                        if global.ty.mutable {
                            let (ty, bits) = constant(&global.init_expr).ok_or_else(|| {
                                Refusal::new("one of its mutable globals begins as something other than a number")
                            })?;
                            found.moved.push(Global { ty, bits });
                        }
                    }
                }
                Payload::DataSection(section) => {
                    for data in section {
                        found.data(&data?)?;
                    }
                }
                // It would run again, over what `configure` has left.
                Payload::StartSection { .. } => return Err(Refusal::new("one of its modules has a start function")),
                _ => {}
            }
        }
        Ok(found)
    }

    fn data(&mut self, data: &Data<'a>) -> Result<(), Refusal> {
        let DataKind::Active { memory_index, offset_expr } = &data.kind else { return Ok(()) };
        let Some((ValType::I32, offset)) = constant(offset_expr) else {
            return Err(Refusal::new("where some of its data goes is computed"));
        };
        let Some(memory) = memory_index.checked_sub(self.imported_memories) else {
            return Err(Refusal::new("one of its modules has data for another's memory"));
        };
        #[allow(clippy::cast_possible_truncation, reason = "it is a 32-bit value")]
        let offset = (offset as u32).cast_signed();
        self.data.push(Segment { memory, offset, bytes: data.data });
        Ok(())
    }

    /// The new index of each global: those that are moved come after the imports that were there, before all others.
    fn globals(&self) -> Vec<u32> {
        let (mut moved, mut kept) = (self.imported_globals, self.imported_globals);
        kept += (0..).zip(&self.moved).map(|(at, _)| at + 1).last().unwrap_or(0);
        let defined = self.mutable.iter().map(|mutable| {
            let next = if *mutable { &mut moved } else { &mut kept };
            *next += 1;
            *next - 1
        });
        (0..self.imported_globals).chain(defined).collect()
    }
}

/// The number that an expression is, if it is nothing else.
fn constant(expression: &ConstExpr<'_>) -> Option<(ValType, u64)> {
    let mut operators = expression.get_operators_reader();
    let value = match operators.read().ok()? {
        Operator::I32Const { value } => (ValType::I32, value.cast_unsigned().into()),
        Operator::I64Const { value } => (ValType::I64, value.cast_unsigned()),
        Operator::F32Const { value } => (ValType::F32, value.bits().into()),
        Operator::F64Const { value } => (ValType::F64, value.bits()),
        _ => return None,
    };
    (matches!(operators.read(), Ok(Operator::End)) && operators.eof()).then_some(value)
}

fn index(length: usize) -> Result<u32, Refusal> {
    u32::try_from(length).map_err(|_| Refusal::new("it has too much of something"))
}

struct Detacher {
    /// What is still to be added to the imports.
    imports: Vec<(String, EntityType)>,
    globals: Vec<u32>,
}

type Reencoded<T = ()> = Result<T, reencode::Error<Refusal>>;

impl Reencode for Detacher {
    type Error = Refusal;

    fn global_index(&mut self, global: u32) -> Reencoded<u32> {
        let index = usize::try_from(global).ok().and_then(|at| self.globals.get(at));
        index.copied().ok_or_else(|| reencode::Error::UserError(Refusal::new("it uses a global that is not there")))
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Reencoded {
        utils::parse_import_section(self, imports, section)?;
        self.add_imports(imports);
        Ok(())
    }

    /// Adds the imports where their section would be, if there is none.
    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        _after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Reencoded {
        if !self.imports.is_empty() && !matches!(before, Some(SectionId::Type | SectionId::Import)) {
            let mut imports = ImportSection::new();
            self.add_imports(&mut imports);
            module.section(&imports);
        }
        Ok(())
    }

    fn parse_memory_section(
        &mut self,
        _memories: &mut wasm_encoder::MemorySection,
        _section: wasmparser::MemorySectionReader<'_>,
    ) -> Reencoded {
        Ok(())
    }

    fn parse_global(&mut self, globals: &mut GlobalSection, global: wasmparser::Global<'_>) -> Reencoded {
        if global.ty.mutable { Ok(()) } else { utils::parse_global(self, globals, global) }
    }

    /// Data that was put into a memory is gone once it has been, which is what an empty passive segment is.
    fn parse_data(&mut self, data: &mut DataSection, datum: Data<'_>) -> Reencoded {
        match datum.kind {
            DataKind::Active { .. } => {
                data.passive([]);
                Ok(())
            }
            DataKind::Passive => utils::parse_data(self, data, datum),
        }
    }

    /// What changes tables, or which segments there still are, is state that cannot be told from outside.
    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Reencoded<wasm_encoder::Instruction<'a>> {
        match operator {
            Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. }
            | Operator::DataDrop { .. } => {
                let reason = "its code can change tables, or drop segments, which cannot be told from outside";
                Err(reencode::Error::UserError(Refusal::new(reason)))
            }
            operator => utils::instruction(self, operator),
        }
    }
}

impl Detacher {
    fn add_imports(&mut self, imports: &mut ImportSection) {
        for (name, ty) in self.imports.drain(..) {
            imports.import(STATE, &name, ty);
        }
    }
}
