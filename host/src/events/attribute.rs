//! The attributes of an event: their names, and their values as headers have them (HTTP binding, 3.1.3; the NATS binding has
//! the same).

use super::EventError;

/// What headers of attributes begin with, in the bindings of HTTP and of NATS alike.
pub(crate) const PREFIX: &str = "ce-";

/// The attribute that a header is: its name has lower-case letters and digits only. What frames the data is not one.
pub(super) fn of_header(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix(PREFIX)?;
    let framing = matches!(name, "data" | "datacontenttype");
    (is_name(name) && !framing).then(|| name.to_owned())
}

/// Whether an attribute can have this name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// The value of an attribute, if it can be one: texts of events have no control characters.
pub(super) fn checked(name: &str, value: String) -> Result<String, EventError> {
    if value.chars().any(char::is_control) {
        return Err(EventError::Value(short(name)));
    }
    Ok(value)
}

/// A value as a header has it.
pub(super) fn encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// A value as a header has it, read: out of its quotes, if it is in quotes, then without its percent-encoding.
pub(super) fn read(header: &str) -> String {
    match header.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        None => decoded(header),
        Some(quoted) => {
            let (mut text, mut chars) = (String::with_capacity(quoted.len()), quoted.chars());
            while let Some(c) = chars.next() {
                text.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
            }
            decoded(&text)
        }
    }
}

/// A text without its percent-encoding. What is not such an encoding stays.
pub(crate) fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

/// A name of somebody else, in an error.
pub(super) fn short(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_reads_as_it_was_written() {
        for value in ["", "plain", "a b", "100%", "%41", "\"quoted\"", "back\\slash", "é 😀", "a,b;c=d"] {
            let header = encoded(value);
            assert!(header.bytes().all(|byte| byte.is_ascii_graphic()), "{header}");
            assert_eq!(read(&header), value);
        }
    }

    #[test]
    fn values_of_others_are_read_as_the_binding_says() {
        for (header, want) in [
            ("a%20b", "a b"),
            ("\"a b\"", "a b"),
            (r#""say \"a%20b\"""#, "say \"a b\""),
            ("\"", "\""),
            ("100%", "100%"),
            ("%zz", "%zz"),
            ("é", "é"),
            ("%ff", "%ff"),
        ] {
            assert_eq!(read(header), want, "{header}");
        }
    }
}
