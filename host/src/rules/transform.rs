//! The subject transform of a stream: what the server calls the messages that it stores (NATS ADR-30).

use crate::message::SubjectPattern;

/// `transform = { from = "…", to = "…" }` of `[streams.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectTransform {
    /// The subjects that it is done to, as they are published.
    pub from: SubjectPattern,
    /// What they are stored under, in the server's language: `orders.{{partition(8,1)}}.{{wildcard(1)}}`.
    pub to: String,
    /// All subjects that can come of it.
    pub stored: SubjectPattern,
    /// How many partitions it tells apart, if it does.
    pub partitions: Option<u32>,
}

/// Functions of the server that make one token each. Others may make several.
const ONE_TOKEN: [&str; 5] = ["wildcard", "partition", "left", "right", "random"];

impl SubjectTransform {
    /// Reads the destination. What the server thinks of its functions is left to the server.
    ///
    /// # Errors
    /// What keeps it from being a subject.
    pub(super) fn new(from: SubjectPattern, to: String) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut partitions = None;
        for token in to.split('.') {
            match Function::of(token) {
                // What the older notation has for a wildcard: `$1`.
                None if token.strip_prefix('$').is_some_and(|rest| rest.parse::<u8>().is_ok()) => tokens.push("*"),
                None if token.contains(['{', '}']) => {
                    return Err(format!("`{token}` is neither text nor one function in double braces"));
                }
                None => tokens.push(token),
                Some(function) => {
                    if function.name == "partition" {
                        partitions = partitions.or(function.first_argument.parse().ok());
                    }
                    if !ONE_TOKEN.contains(&function.name.as_str()) {
                        tokens.push(">");
                        break;
                    }
                    tokens.push("*");
                }
            }
        }
        let stored = SubjectPattern::new(&tokens.join(".")).map_err(|error| error.to_string())?;
        Ok(Self { from, to, stored, partitions })
    }
}

/// A token such as `{{partition(8,1)}}`.
struct Function<'t> {
    name: String,
    first_argument: &'t str,
}

impl<'t> Function<'t> {
    fn of(token: &'t str) -> Option<Self> {
        let (name, arguments) = token.strip_prefix("{{")?.strip_suffix("}}")?.trim().split_once('(')?;
        let arguments = arguments.strip_suffix(')')?;
        let first_argument = arguments.split(',').next().unwrap_or_default().trim();
        Some(Self { name: name.trim().to_ascii_lowercase(), first_argument })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(to: &str) -> Result<(String, Option<u32>), String> {
        let from = SubjectPattern::new("orders.*").expect("a pattern");
        SubjectTransform::new(from, to.to_owned()).map(|read| (read.stored.to_string(), read.partitions))
    }

    #[test]
    fn what_a_transform_stores_and_how_many_partitions_it_makes_is_read_off_its_destination() {
        for (to, stored, partitions) in [
            ("orders.{{partition(8,1)}}.{{wildcard(1)}}", "orders.*.*", Some(8)),
            ("orders.{{ Partition( 16 , 1 , 2 ) }}.>", "orders.*.>", Some(16)),
            ("kept.$1", "kept.*", None),
            ("kept.{{SplitFromLeft(1,3)}}.end", "kept.>", None),
            ("kept", "kept", None),
        ] {
            assert_eq!(read(to), Ok((stored.to_owned(), partitions)), "{to}");
        }
        for to in ["", "orders..a", "orders.{{wildcard(1)", "orders.x{{wildcard(1)}}", "a b", "orders.>.a"] {
            assert!(read(to).is_err(), "{to}");
        }
    }
}
