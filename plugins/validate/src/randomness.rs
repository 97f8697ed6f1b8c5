//! What crate getrandom is answered in a plugin, where nothing is random.
//!
//! The validator's hash tables ask for a seed. They get a constant, so that the same message takes the same path
//! through them on any machine. A payload made to collide costs time, which the stage's deadline bounds.

#![allow(unsafe_code, reason = "getrandom's custom backend is an unmangled function that is given a pointer")]

/// Fills `len` bytes at `dest`; crate getrandom calls it by this name.
///
/// # Safety
///
/// `dest` must be valid for writes of `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(dest: *mut u8, len: usize) -> Result<(), getrandom::Error> {
    // An arbitrary odd byte: a seed of zeros would be the weakest one for a multiplying hash.
    // SAFETY: the caller hands a buffer of `len` bytes.
    unsafe { std::ptr::write_bytes(dest, 0xA7, len) };
    Ok(())
}
