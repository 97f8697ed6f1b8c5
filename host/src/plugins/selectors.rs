//! The selectors that an instance has compiled, and the places that the last one found.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use trackside_json::{Limits, Match, PayloadError, Selector};
use wasmtime::component::Resource;

use super::verdict::Checked;

/// Selectors that an instance may have at a time.
const MAX_SELECTORS: usize = 1024;

/// Memory that all of an instance's selectors may take in the host.
const MAX_SELECTOR_BYTES: usize = 64 << 20;

/// What a `selector` handle of the contract stands for: a position in [`Selectors`].
#[derive(Debug)]
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct SelectorSlot;

/// An instance's selectors. A clone has the same ones compiled.
#[derive(Debug, Default, Clone)]
pub(super) struct Selectors {
    slots: Vec<Option<Arc<Selector>>>,
    free: Vec<u32>,
    heap_bytes: usize,
    found: Found,
    /// How many have been put into the guest's hands again, of those that it is to have from the start.
    handed: u32,
    /// Whether the guest has dropped one.
    dropped: bool,
}

/// What a selection found, so that a `replace` that follows a `select` need not scan again.
#[derive(Debug, Default, Clone)]
struct Found {
    /// Which selector, if the matches are those of the payload that is there now.
    selector: Option<u32>,
    matches: Vec<Match>,
}

impl Selectors {
    /// Compiles paths; the error is for the plugin's author.
    pub(super) fn compile(&mut self, paths: &[String], until: Instant) -> Result<Resource<SelectorSlot>, String> {
        if self.slots.len() - self.free.len() >= MAX_SELECTORS {
            return Err(format!(
                "an instance has at most {MAX_SELECTORS} selectors at a time: drop some, or compile them once, in `configure`"
            ));
        }
        let selector = Selector::compile_until(paths, until).map_err(|error| error.to_string())?;
        if self.heap_bytes + selector.heap_bytes() > MAX_SELECTOR_BYTES {
            return Err(format!(
                "an instance's selectors have at most {} MiB together: drop some, compile them once, in `configure`, or \
                 write smaller regular expressions",
                MAX_SELECTOR_BYTES >> 20
            ));
        }
        self.heap_bytes += selector.heap_bytes();
        let slot = Some(Arc::new(selector));
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
        self.dropped = true;
        if let Some(selector) = self.slots.get_mut(index as usize).and_then(Option::take) {
            self.heap_bytes -= selector.heap_bytes();
            self.free.push(index);
        }
        if self.found.selector == Some(index) {
            self.found.selector = None;
        }
    }

    /// What another instance needs to have the same ones behind the same handles; nothing if handles were dropped, since
    /// then their order does not tell the guest's numbers for them.
    pub(super) fn snapshot(&self) -> Option<Self> {
        (!self.dropped).then(|| Self { found: Found::default(), ..self.clone() })
    }

    /// How many there are, if any.
    pub(super) fn count(&self) -> Option<u32> {
        u32::try_from(self.slots.len()).ok().filter(|count| *count > 0)
    }

    /// The next one of a snapshot, for the guest.
    pub(super) fn hand_over(&mut self) -> wasmtime::Result<Resource<SelectorSlot>> {
        if self.count().is_none_or(|count| self.handed >= count) {
            wasmtime::bail!("there are no more selectors to hand over");
        }
        self.handed += 1;
        Ok(Resource::new_own(self.handed - 1))
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
        checked: &mut Checked,
    ) -> Result<&[Match], PayloadError> {
        let index = handle.rep();
        if self.found.selector != Some(index) {
            self.found.selector = None;
            let selector = self.slots[index as usize].as_ref().expect("guests cannot forge or keep dropped handles");
            if checked.covers(payload, limits) {
                selector.select_again_into(payload, limits, &mut self.found.matches)?;
            } else {
                selector.select_into(payload, limits, &mut self.found.matches)?;
                checked.note(payload, limits);
            }
            self.found.selector = Some(index);
        }
        Ok(&self.found.matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(selectors: &mut Selectors, payload: &Bytes, limits: &Limits, checked: &mut Checked) -> Option<usize> {
        selectors.payload_changed();
        selectors.select(&Resource::new_own(0), payload, limits, checked).ok().map(<[Match]>::len)
    }

    #[test]
    fn a_payload_is_read_whole_once_and_again_when_it_is_another_or_the_limits_are_stricter() {
        let mut selectors = Selectors::default();
        let until = Instant::now() + std::time::Duration::from_secs(60);
        selectors.compile(&["$.b".to_owned()], until).unwrap();
        let (limits, mut checked) = (Limits::default(), Checked::default());
        let good = Bytes::from_static(br#"{"a":[[1]],"b":1}"#);
        let broken = Bytes::from_static(br#"{"a":[[1,],"b":1}"#);
        let passed_over = Bytes::from_static(br#"{"a":[[,]],"b":1}"#);
        assert_eq!(count(&mut selectors, &broken, &limits, &mut checked), None);
        assert_eq!(count(&mut selectors, &good, &limits, &mut checked), Some(1));
        assert!(checked.covers(&good, &limits) && checked.covers(&good.clone(), &limits));
        assert_eq!(count(&mut selectors, &good, &limits, &mut checked), Some(1));
        // Another one, though it is as long, has other bytes or lies elsewhere.
        for other in [&broken, &passed_over, &Bytes::copy_from_slice(&good), &good.slice(..good.len() - 1)] {
            assert!(!checked.covers(other, &limits));
        }
        assert_eq!(count(&mut selectors, &passed_over, &limits, &mut checked), None);
        assert_eq!(count(&mut selectors, &good, &Limits { max_depth: 2, ..limits.clone() }, &mut checked), None);
        // That it has been read is taken for granted.
        checked.note(&passed_over, &limits);
        assert_eq!(count(&mut selectors, &passed_over, &limits, &mut checked), Some(1));
    }
}
