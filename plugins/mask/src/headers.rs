//! Changes headers in place, so far as the contract allows.

use trackside_plugin::{Failure, Message};

/// Headers that only the host may set.
pub(crate) fn is_reserved(name: &str) -> bool {
    ["Nats-", "Trackside-"]
        .iter()
        .any(|prefix| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
}

/// Puts what `change` makes of each value of a header in its place; `None` removes it. The values keep their order and
/// the spelling of their names.
pub(crate) fn rewrite(
    message: &mut Message,
    name: &str,
    change: &mut dyn FnMut(&str) -> Result<Option<String>, Failure>,
) -> Result<(), Failure> {
    let mut headers = message.headers();
    headers.retain(|header| header.name.eq_ignore_ascii_case(name));
    let mut changed = false;
    let mut values = Vec::with_capacity(headers.len());
    for header in headers {
        let value = change(&header.value)?;
        changed |= value.as_ref() != Some(&header.value);
        values.push((header.name, value));
    }
    if changed {
        message.remove_header(name);
        for (name, value) in values {
            if let Some(value) = value {
                message.append_header(&name, &value)?;
            }
        }
    }
    Ok(())
}
