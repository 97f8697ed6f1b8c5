//! What a file says about itself, without compiling it: a glance at the sections of a component.

use sha2::{Digest, Sha256};
use wasmparser::{Encoding, Parser, Payload};

use crate::rules::Grants;

use super::error::LoadError;
use super::{offer, text};

/// Largest component that is looked at.
pub const MAX_COMPONENT_BYTES: usize = 64 << 20;

/// What this host implements of the contract; any 0.1 is accepted.
pub const CONTRACT_VERSION: &str = "0.1.0";

/// Most imports, and exports, that a component may have at its top. Python's has some thirty imports.
const MAX_NAMES: usize = 1000;

/// Longest name that is kept whole.
const MAX_NAME_BYTES: usize = 256;

/// Nesting of components and modules that is followed.
const MAX_NESTING: usize = 64;

pub(super) const PACKAGE: &str = "trackside:plugin/";
const STAGE: &str = "trackside:plugin/stage";

/// What a WebAssembly file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// What kind of file it is.
    pub kind: Kind,
    /// Names of what it imports, in order.
    pub imports: Vec<String>,
    /// Names of what it exports, in order.
    pub exports: Vec<String>,
    /// Its size in bytes.
    pub bytes: usize,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// The kinds of WebAssembly files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A component that exports the stage of this version of the contract.
    Plugin {
        /// The version, such as `0.1.0`.
        contract: String,
    },
    /// A component that handles messages by an interface of others.
    Handler(Interface),
    /// A component of another world.
    ForeignComponent,
    /// A core module.
    CoreModule,
}

/// Interfaces of others by which a component can be a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// wasmCloud's.
    Wasmcloud,
    /// The one of the WASI proposal.
    Wasi,
}

impl Interface {
    const ALL: [Self; 2] = [Self::Wasmcloud, Self::Wasi];

    /// What a component exports that has it.
    #[must_use]
    pub fn export(self) -> &'static str {
        match self {
            Self::Wasmcloud => "wasmcloud:messaging/handler@0.2.0",
            Self::Wasi => "wasi:messaging/incoming-handler@0.2.0-draft",
        }
    }
}

impl Inspection {
    /// Looks at a file.
    ///
    /// # Errors
    /// When it is not WebAssembly in binary form, is damaged, or larger than 64 MiB.
    pub fn of(bytes: &[u8]) -> Result<Self, LoadError> {
        if bytes.len() > MAX_COMPONENT_BYTES {
            return Err(LoadError::Large { bytes: bytes.len(), max_bytes: MAX_COMPONENT_BYTES });
        }
        refuse_what_is_not_binary(bytes)?;
        let mut found = Names::default();
        let component =
            found.read(bytes).map_err(|error| LoadError::Damaged { reason: text::line(&error.to_string(), 512) })?;
        if component && found.more {
            return Err(LoadError::Names { max: MAX_NAMES });
        }
        let contract = found.exports.iter().find_map(|name| stage_version(name));
        let handler = Interface::ALL.into_iter().find(|handler| found.exports.iter().any(|e| e == handler.export()));
        let kind = match (component, contract, handler) {
            (false, _, _) => Kind::CoreModule,
            (true, Some(version), _) => Kind::Plugin { contract: version.to_owned() },
            (true, None, Some(interface)) => Kind::Handler(interface),
            (true, None, None) => Kind::ForeignComponent,
        };
        Ok(Self {
            kind,
            imports: found.imports,
            exports: found.exports,
            bytes: bytes.len(),
            sha256: Sha256::digest(bytes).into(),
        })
    }

    /// The contract's version, or the interface of others, if this is something that the host can run as far as names
    /// tell.
    ///
    /// # Errors
    /// When it is none: why, and what to do.
    pub fn contract(&self) -> Result<&str, LoadError> {
        let contract = match &self.kind {
            Kind::Plugin { contract } if is_accepted(contract) => contract.as_str(),
            Kind::Plugin { contract } => return Err(LoadError::Contract { found: contract.clone() }),
            Kind::Handler(interface) => interface.export(),
            Kind::CoreModule => {
                let wasi_preview1 = self.imports.iter().any(|name| name.starts_with("wasi_snapshot_preview1 "));
                return Err(LoadError::CoreModule { exports: list(&self.exports), wasi_preview1 });
            }
            Kind::ForeignComponent => return Err(LoadError::ForeignComponent { exports: list(&self.exports) }),
        };
        let unknown = offer::unknown(&self.imports, &self.kind);
        if !unknown.is_empty() {
            return Err(LoadError::Import { names: list(&unknown) });
        }
        Ok(contract)
    }

    /// The grants that it takes: each import that needs one, and which.
    pub fn grants(&self) -> impl Iterator<Item = (&str, &'static str)> {
        offer::taken(&self.imports, &self.kind)
    }

    /// Checks that it was granted what it imports.
    ///
    /// # Errors
    /// Names each import that was not, and the grant that it takes.
    pub fn check_grants(&self, grants: &Grants) -> Result<(), LoadError> {
        offer::check(&self.imports, &self.kind, grants)
    }

    /// Whether it imports WASI.
    #[must_use]
    pub fn imports_wasi(&self) -> bool {
        self.imports.iter().any(|name| name.starts_with("wasi:"))
    }

    /// Whether it imports nothing but the contract.
    pub(super) fn imports_the_contract_alone(&self) -> bool {
        self.imports.iter().all(|name| name.starts_with(PACKAGE))
    }

    /// Whether it has a way to learn its stage's settings.
    pub(super) fn takes_settings(&self) -> bool {
        match self.kind {
            Kind::Handler(_) => self.imports.iter().any(|name| name == "wasi:config/store@0.2.0-draft"),
            _ => true,
        }
    }
}

/// The names at the top of a file.
#[derive(Default)]
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
    /// Whether there are more than are kept.
    more: bool,
}

impl Names {
    /// Reads them, and says whether the file is a component.
    fn read(&mut self, bytes: &[u8]) -> wasmparser::Result<bool> {
        let mut component = false;
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version { encoding, .. } if depth == 0 => component = encoding == Encoding::Component,
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                    depth += 1;
                    if depth > MAX_NESTING {
                        break;
                    }
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        keep(&mut self.imports, &mut self.more, import?.name.name);
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        keep(&mut self.exports, &mut self.more, export?.name.name);
                    }
                }
                Payload::ImportSection(section) if depth == 0 => {
                    for import in section.into_imports() {
                        let import = import?;
                        keep(&mut self.imports, &mut self.more, &format!("{} {}", import.module, import.name));
                    }
                }
                Payload::ExportSection(section) if depth == 0 => {
                    for export in section {
                        keep(&mut self.exports, &mut self.more, export?.name);
                    }
                }
                _ => {}
            }
        }
        Ok(component)
    }
}

/// A name that has to be changed to be shown is none that the contract or WASI has.
fn keep(names: &mut Vec<String>, more: &mut bool, name: &str) {
    if names.len() < MAX_NAMES { names.push(text::line(name, MAX_NAME_BYTES)) } else { *more = true }
}

fn refuse_what_is_not_binary(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.starts_with(b"\0asm") {
        return Ok(());
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(LoadError::Precompiled);
    }
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"(component") || text.starts_with(b"(module") || text.starts_with(b";;") {
        return Err(LoadError::Text);
    }
    Err(LoadError::NotWasm)
}

/// Whether an export is the stage of some version of the contract.
pub(super) fn is_stage(export: &str) -> bool {
    stage_version(export).is_some()
}

fn stage_version(export: &str) -> Option<&str> {
    export.strip_prefix(STAGE)?.strip_prefix('@')
}

pub(super) fn is_accepted(version: &str) -> bool {
    version.strip_prefix("0.1.").is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let quoted = |name: &String| format!("`{}`", text::line(name, 120));
    let mut list = names.iter().take(SHOWN).map(quoted).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        list += &format!(" and {} more", names.len() - SHOWN);
    }
    if list.is_empty() { "nothing".to_owned() } else { list }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_patch_of_the_contract_is_accepted_and_nothing_else() {
        for (version, want) in
            [("0.1.0", true), ("0.1.17", true), ("0.2.0", false), ("0.1.0-rc.1", false), ("0.1.", false)]
        {
            assert_eq!(is_accepted(version), want, "{version}");
        }
    }
}
