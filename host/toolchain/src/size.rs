//! Sizes for people.

/// A size as `812 kB` or `38.2 MB`.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_for_people() {
        assert_eq!(human_size(51_300), "52 kB");
        assert_eq!(human_size(38_249_999), "38.2 MB");
    }
}
