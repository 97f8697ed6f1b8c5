//! Documents and paths out of random bytes. What they are made of comes from small pools, so that they meet.

use arbitrary::{Result, Unstructured};

use super::path::{Expression, Filter, Path, Query, Segment, Selector, Spelling};

const NAMES: [&str; 14] = [
    "a",
    "b",
    "c",
    "card",
    "é",
    "",
    "x y",
    "it's",
    "say \"hi\"",
    "back\\slash",
    "😀",
    "0",
    "tab\t",
    "a_long_name_of_a_key",
];

const TEXTS: [&str; 10] = ["", "a", "b", "ab", "abc", "a\nb", "😀é", "4111 1111", "a.b", "A"];

const NUMBERS: [&str; 14] = [
    "0",
    "1",
    "2",
    "3",
    "-1",
    "10",
    "1.0",
    "1e0",
    "-0",
    "0.5",
    "9007199254740993",
    "9007199254740992",
    "-1.5e3",
    "18446744073709551615",
];

/// I-Regexps, and the same in the syntax of crate `regex`.
pub(crate) const PATTERNS: [(&str, &str); 8] = [
    ("a", "a"),
    ("a.*", r"a[^\r\n]*"),
    ("a.b", r"a[^\r\n]b"),
    ("[a-b]+", "[a-b]+"),
    (r"\p{Lu}|b", r"\p{Lu}|b"),
    ("[0-9]{4} [^a]*", "[0-9]{4} [^a]*"),
    (r"a\.b", r"a\.b"),
    ("(ab?c?)*", "(?:ab?c?)*"),
];

const OPERATORS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

/// One of a few names mostly, so that paths and documents meet.
fn a_name(bytes: &mut Unstructured<'_>) -> Result<&'static str> {
    let names = if bytes.ratio(1, 4)? { &NAMES[..] } else { &NAMES[..3] };
    Ok(bytes.choose(names)?)
}

/// A document as text, with keys that repeat and keys and strings that hold escapes.
pub(crate) fn document(bytes: &mut Unstructured<'_>) -> Result<String> {
    let mut text = String::new();
    space(bytes, &mut text)?;
    value(bytes, 0, &mut text)?;
    space(bytes, &mut text)?;
    Ok(text)
}

fn space(bytes: &mut Unstructured<'_>, out: &mut String) -> Result<()> {
    if bytes.ratio(1, 8)? {
        out.push_str(bytes.choose(&[" ", "\n", "\t", "\r\n", "          "])?);
    }
    Ok(())
}

fn value(bytes: &mut Unstructured<'_>, depth: u32, out: &mut String) -> Result<()> {
    let kinds = match depth {
        0 => 4..=9,
        1..5 => 0..=9,
        _ => 0..=4,
    };
    match bytes.int_in_range(kinds)? {
        0 => out.push_str("null"),
        1 => out.push_str(bytes.choose(&["true", "false"])?),
        2 => out.push_str(bytes.choose(&NUMBERS)?),
        3 => {
            let text = bytes.choose(&TEXTS)?;
            string(bytes, text, out)?;
        }
        4 => {
            let (pattern, _) = bytes.choose(&PATTERNS)?;
            string(bytes, pattern, out)?;
        }
        5..=6 => container(bytes, depth, ['[', ']'], out)?,
        _ => container(bytes, depth, ['{', '}'], out)?,
    }
    Ok(())
}

fn container(bytes: &mut Unstructured<'_>, depth: u32, brackets: [char; 2], out: &mut String) -> Result<()> {
    out.push(brackets[0]);
    space(bytes, out)?;
    for index in 0..bytes.int_in_range(u32::from(depth == 0)..=6)? {
        if index > 0 {
            out.push(',');
            space(bytes, out)?;
        }
        if brackets[0] == '{' {
            let name = a_name(bytes)?;
            string(bytes, name, out)?;
            space(bytes, out)?;
            out.push(':');
            space(bytes, out)?;
        }
        value(bytes, depth + 1, out)?;
        space(bytes, out)?;
    }
    out.push(brackets[1]);
    Ok(())
}

/// A string with every escape that has to be, and some that have not.
fn string(bytes: &mut Unstructured<'_>, text: &str, out: &mut String) -> Result<()> {
    let escapes = bytes.ratio(1, 4)?;
    out.push('"');
    for character in text.chars() {
        if escapes && bytes.ratio(1, 2)? {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else if character < ' ' {
            out.push_str(&format!("\\u{:04X}", u32::from(character)));
        } else {
            out.extend(matches!(character, '"' | '\\').then_some('\\'));
            out.push(character);
        }
    }
    out.push('"');
    Ok(())
}

/// A set of paths.
pub(crate) fn paths(bytes: &mut Unstructured<'_>) -> Result<Vec<Path>> {
    // Half of the sets can be answered by the pass alone.
    let filters = if bytes.ratio(1, 2)? { 2 } else { 0 };
    (0..bytes.int_in_range(1..=4)?).map(|_| path(bytes, filters)).collect()
}

/// A path whose filters nest up to `filters` levels; with 0 of them it has nothing either that counts from the end.
fn path(bytes: &mut Unstructured<'_>, filters: u32) -> Result<Path> {
    let segments = if bytes.ratio(1, 20)? { 0 } else { bytes.int_in_range(1..=3)? };
    (0..segments).map(|_| segment(bytes, filters)).collect::<Result<_>>().map(Path)
}

fn segment(bytes: &mut Unstructured<'_>, filters: u32) -> Result<Segment> {
    let selectors = if bytes.ratio(1, 4)? { bytes.int_in_range(1..=3)? } else { 1 };
    Ok(Segment {
        descendant: bytes.ratio(1, 3)?,
        selectors: (0..selectors).map(|_| selector(bytes, filters)).collect::<Result<_>>()?,
        spaced: bytes.ratio(1, 8)?,
    })
}

fn selector(bytes: &mut Unstructured<'_>, filters: u32) -> Result<Selector> {
    let local = filters == 0;
    Ok(match bytes.int_in_range(0..=if local { 7 } else { 10 })? {
        0..=3 => name(bytes)?,
        4..=5 => Selector::Wildcard,
        6 => Selector::Index(bytes.int_in_range(if local { 0 } else { -4 }..=4)?),
        7 if local => Selector::Slice(Some(bytes.int_in_range(0..=3)?), Some(bytes.int_in_range(0..=6)?), None),
        7 => {
            let mut part = || Ok(if bytes.ratio(1, 3)? { None } else { Some(bytes.int_in_range(-6..=6)?) });
            Selector::Slice(part()?, part()?, part()?)
        }
        _ => Selector::Filter(filter(bytes, 0, filters - 1)?),
    })
}

fn name(bytes: &mut Unstructured<'_>) -> Result<Selector> {
    let spellings = [Spelling::Dotted, Spelling::Single, Spelling::Double, Spelling::Escaped];
    Ok(Selector::Name(a_name(bytes)?.to_owned(), *bytes.choose(&spellings)?))
}

fn filter(bytes: &mut Unstructured<'_>, depth: u32, filters: u32) -> Result<Filter> {
    let inner = |bytes: &mut _| filter(bytes, depth + 1, filters).map(Box::new);
    Ok(match bytes.int_in_range(0..=if depth < 3 { 8 } else { 4 })? {
        0 => Filter::Exists(query(bytes, filters)?),
        1..=3 => Filter::Compare(expression(bytes, filters)?, bytes.choose(&OPERATORS)?, expression(bytes, filters)?),
        4 => Filter::Matches(bytes.arbitrary()?, expression(bytes, filters)?, pattern(bytes)?),
        5 => Filter::Or(inner(bytes)?, inner(bytes)?),
        6 => Filter::And(inner(bytes)?, inner(bytes)?),
        _ => Filter::Not(inner(bytes)?),
    })
}

fn query(bytes: &mut Unstructured<'_>, filters: u32) -> Result<Query> {
    Ok(Query { absolute: bytes.ratio(1, 5)?, path: path(bytes, filters)? })
}

fn singular(bytes: &mut Unstructured<'_>) -> Result<Query> {
    let mut segments = Vec::new();
    for spaced in [false, true].iter().take(bytes.int_in_range(0..=2)?) {
        let selector = if bytes.ratio(1, 3)? { Selector::Index(bytes.int_in_range(-3..=3)?) } else { name(bytes)? };
        segments.push(Segment { descendant: false, selectors: vec![selector], spaced: *spaced });
    }
    Ok(Query { absolute: bytes.ratio(1, 6)?, path: Path(segments) })
}

fn expression(bytes: &mut Unstructured<'_>, filters: u32) -> Result<Expression> {
    Ok(match bytes.int_in_range(0..=7)? {
        0..=1 => literal(bytes)?,
        2..=4 => Expression::Singular(singular(bytes)?),
        5 => Expression::Length(Box::new(Expression::Singular(singular(bytes)?))),
        6 => Expression::Count(query(bytes, filters)?),
        _ => Expression::Value(query(bytes, filters)?),
    })
}

fn literal(bytes: &mut Unstructured<'_>) -> Result<Expression> {
    Ok(Expression::Literal(match bytes.int_in_range(0..=3)? {
        0 => (*bytes.choose(&["null", "true", "false"])?).to_owned(),
        1 => quoted(bytes.choose(&TEXTS)?),
        _ => (*bytes.choose(&NUMBERS)?).to_owned(),
    }))
}

/// Literals only: of texts of a payload, the reference does not know what they mean as patterns.
fn pattern(bytes: &mut Unstructured<'_>) -> Result<Expression> {
    Ok(Expression::Literal(quoted(bytes.choose(&PATTERNS)?.0)))
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text is JSON")
}
