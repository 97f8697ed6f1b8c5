//! The selectors that an instance has compiled, and the places that the last one found.

use bytes::Bytes;
use trackside_json::{Limits, Match, PayloadError, Selector};
use wasmtime::component::Resource;

/// Selectors that an instance may have at a time.
const MAX_SELECTORS: usize = 1024;

/// Text of all paths of an instance's selectors.
const MAX_PATH_BYTES: usize = 4 << 20;

/// What a `selector` handle of the contract stands for: a position in [`Selectors`].
#[derive(Debug)]
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct SelectorSlot;

/// An instance's selectors.
#[derive(Debug, Default)]
pub(super) struct Selectors {
    slots: Vec<Option<(Selector, usize)>>,
    free: Vec<u32>,
    path_bytes: usize,
    found: Found,
}

/// What a selection found, so that a `replace` that follows a `select` need not scan again.
#[derive(Debug, Default)]
struct Found {
    /// Which selector, if the matches are those of the payload that is there now.
    selector: Option<u32>,
    matches: Vec<Match>,
}

impl Selectors {
    /// Compiles paths; the error is for the plugin's author.
    pub(super) fn compile(&mut self, paths: &[String]) -> Result<Resource<SelectorSlot>, String> {
        let size = paths.iter().map(String::len).sum::<usize>();
        if self.slots.len() - self.free.len() >= MAX_SELECTORS {
            return Err(format!(
                "an instance has at most {MAX_SELECTORS} selectors at a time: drop some, or compile them once, in `configure`"
            ));
        }
        if self.path_bytes + size > MAX_PATH_BYTES {
            return Err(format!(
                "the paths of an instance's selectors have at most {} KiB together",
                MAX_PATH_BYTES >> 10
            ));
        }
        let selector = Selector::compile(paths).map_err(|error| error.to_string())?;
        self.path_bytes += size;
        let slot = Some((selector, size));
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("there are at most MAX_SELECTORS")
            }
        };
        Ok(Resource::new_own(index))
    }

    /// Takes back a selector that the guest dropped.
    pub(super) fn drop(&mut self, handle: &Resource<SelectorSlot>) {
        let index = handle.rep();
        if let Some((_, size)) = self.slots.get_mut(index as usize).and_then(Option::take) {
            self.path_bytes -= size;
            self.free.push(index);
        }
        if self.found.selector == Some(index) {
            self.found.selector = None;
        }
    }

    /// Forgets what was found, because the payload is another.
    pub(super) fn payload_changed(&mut self) {
        self.found.selector = None;
    }

    /// The places that a selector matches, found now or a moment ago.
    pub(super) fn select(
        &mut self,
        handle: &Resource<SelectorSlot>,
        payload: &Bytes,
        limits: &Limits,
    ) -> Result<&[Match], PayloadError> {
        let index = handle.rep();
        if self.found.selector != Some(index) {
            self.found.selector = None;
            let (selector, _) =
                self.slots[index as usize].as_ref().expect("guests cannot forge or keep dropped handles");
            selector.select_into(payload, limits, &mut self.found.matches)?;
            self.found.selector = Some(index);
        }
        Ok(&self.found.matches)
    }
}
