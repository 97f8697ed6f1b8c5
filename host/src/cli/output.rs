//! Standard output of the commands. A reader that has seen enough, as `head` has, is no failure.

use std::io::{ErrorKind, Write};

use crate::app::Failure;

/// Writes a text; whether anybody still reads.
pub(super) fn write(out: &mut impl Write, text: &str) -> Result<bool, Failure> {
    still_read(out.write_all(text.as_bytes()))
}

/// Hands on what was written so far; whether anybody still reads.
pub(super) fn flush(out: &mut impl Write) -> Result<bool, Failure> {
    still_read(out.flush())
}

/// Writes a text at once, for commands that have no more to say.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    if write(&mut out, text)? {
        flush(&mut out)?;
    }
    Ok(())
}

fn still_read(written: std::io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(format!("cannot write to standard output: {error}"))),
    }
}
