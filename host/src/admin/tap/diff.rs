//! What differs between two JSON texts, by paths. Tokens are compared as they are written: `1.50` is not `1.5`.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Changes that are told one by one; of the others there is a count.
const MAX_CHANGES: usize = 100;

/// What differs.
#[derive(Debug, Default)]
pub(super) struct Changes<'a> {
    pub(super) all: Vec<Change<'a>>,
    /// How many more there are.
    pub(super) more: usize,
}

/// One thing that differs.
#[derive(Debug)]
pub(super) struct Change<'a> {
    /// Where, as JSONPath.
    pub(super) path: Path<'a>,
    pub(super) before: Option<&'a RawValue>,
    pub(super) after: Option<&'a RawValue>,
}

/// A normalised path, with names after a dot where that can be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Path<'a>(Vec<Step<'a>>);

#[derive(Debug, Clone)]
enum Step<'a> {
    Name(Cow<'a, str>),
    Index(usize),
}

/// The members of an object, those of the same name too.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// What differs between two texts that are well-formed and without white space between tokens.
pub(super) fn changes<'a>(before: &'a RawValue, after: &'a RawValue) -> Changes<'a> {
    let mut found = Changes::default();
    compare(&mut Path::default(), before, after, &mut found);
    found
}

/// As deep as payloads may be, which are checked before this.
fn compare<'a>(path: &mut Path<'a>, before: &'a RawValue, after: &'a RawValue, found: &mut Changes<'a>) {
    if before.get() == after.get() {
        return;
    }
    match (before.get().as_bytes().first(), after.get().as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => objects(path, before, after, found),
        (Some(b'['), Some(b'[')) => arrays(path, before, after, found),
        _ => found.add(path, Some(before), Some(after)),
    }
}

fn objects<'a>(path: &mut Path<'a>, before: &'a RawValue, after: &'a RawValue, found: &mut Changes<'a>) {
    let parse = |text: &'a RawValue| serde_json::from_str::<Members<'a>>(text.get());
    let (Ok(Members(before_all)), Ok(Members(after_all))) = (parse(before), parse(after)) else {
        return found.add(path, Some(before), Some(after));
    };
    // Those of one name are taken in their order.
    let mut there: HashMap<&str, VecDeque<&'a RawValue>> = HashMap::new();
    for (name, value) in &before_all {
        there.entry(name).or_default().push_back(value);
    }
    for (name, value) in after_all {
        let known = there.get_mut(&*name).and_then(VecDeque::pop_front);
        path.0.push(Step::Name(name));
        match known {
            Some(known) => compare(path, known, value, found),
            None => found.add(path, None, Some(value)),
        }
        path.0.pop();
    }
    for (name, _) in &before_all {
        if let Some(value) = there.get_mut(&**name).and_then(VecDeque::pop_front) {
            path.0.push(Step::Name(name.clone()));
            found.add(path, Some(value), None);
            path.0.pop();
        }
    }
}

fn arrays<'a>(path: &mut Path<'a>, before: &'a RawValue, after: &'a RawValue, found: &mut Changes<'a>) {
    let parse = |text: &'a RawValue| serde_json::from_str::<Vec<&'a RawValue>>(text.get());
    let (Ok(before_all), Ok(after_all)) = (parse(before), parse(after)) else {
        return found.add(path, Some(before), Some(after));
    };
    for index in 0..before_all.len().max(after_all.len()) {
        path.0.push(Step::Index(index));
        match (before_all.get(index), after_all.get(index)) {
            (Some(before), Some(after)) => compare(path, before, after, found),
            (before, after) => found.add(path, before.copied(), after.copied()),
        }
        path.0.pop();
    }
}

impl<'a> Changes<'a> {
    fn add(&mut self, path: &Path<'a>, before: Option<&'a RawValue>, after: Option<&'a RawValue>) {
        if self.all.len() == MAX_CHANGES {
            self.more += 1;
        } else {
            self.all.push(Change { path: path.clone(), before, after });
        }
    }
}

impl Path<'_> {
    /// The path of something that is gone, for somebody who may not see what it was: a name that is no plain word may be
    /// what was to be hidden, as where numbers of cards are names.
    pub(super) fn guarded(&self) -> String {
        match self.0.split_last() {
            Some((Step::Name(name), above)) if !is_plain(name) => format!("{}['?']", Path(above.to_vec())),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('$')?;
        for step in &self.0 {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) if is_plain(name) => write!(f, ".{name}")?,
                Step::Name(name) => {
                    f.write_str("['")?;
                    for c in name.chars() {
                        match c {
                            '\'' | '\\' => write!(f, "\\{c}")?,
                            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                            c => f.write_char(c)?,
                        }
                    }
                    f.write_str("']")?;
                }
            }
        }
        Ok(())
    }
}

/// Whether a name can stand after a dot.
fn is_plain(name: &str) -> bool {
    const MAX_BYTES: usize = 64;
    name.len() <= MAX_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some((Name(name), value)) = members.next_entry::<Name<'de>, &'de RawValue>()? {
                    all.push((name, value));
                }
                Ok(all)
            }
        }
        input.deserialize_map(Each).map(Members)
    }
}

/// A name as it is in the text, unless it is escaped there.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        input.deserialize_str(Text).map(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> Vec<String> {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        let (before, after) = (raw(before), raw(after));
        let changes = changes(&before, &after);
        let text = |value: Option<&RawValue>| value.map_or("-", RawValue::get).to_owned();
        let one = |change: &Change<'_>| format!("{} {} {}", change.path, text(change.before), text(change.after));
        changes.all.iter().map(one).collect()
    }

    #[test]
    fn changes_are_told_where_they_are_and_nowhere_else() {
        for (before, after, want) in [
            (r#"{"a":1,"b":{"c":[1,2]}}"#, r#"{"a":1,"b":{"c":[1,2]}}"#, &[][..]),
            (r#"{"card":"4111","n":1.50}"#, r#"{"card":"*","n":1.50}"#, &[r#"$.card "4111" "*""#]),
            (r#"{"n":1.50}"#, r#"{"n":1.5}"#, &["$.n 1.50 1.5"]),
            (r#"{"a":{"b":1},"z":0}"#, r#"{"x":[2],"z":0}"#, &["$.x - [2]", r#"$.a {"b":1} -"#]),
            (r#"[1,{"a":2},3]"#, r#"[1,{"a":4}]"#, &["$[1].a 2 4", "$[2] 3 -"]),
            (r#"{"a":1}"#, "[1]", &[r#"$ {"a":1} [1]"#]),
            (r#"{"a b":1,"it's":1}"#, r#"{"a b":2,"it's":2}"#, &["$['a b'] 1 2", r"$['it\'s'] 1 2"]),
            (r#"{"c\u0061rd":1}"#, r#"{"card":1}"#, &[]),
        ] {
            assert_eq!(told(before, after), want, "{before} {after}");
        }
    }

    #[test]
    fn members_of_one_name_are_compared_in_their_order() {
        assert_eq!(told(r#"{"a":1,"a":2}"#, r#"{"a":1,"a":3}"#), ["$.a 2 3"]);
        assert_eq!(told(r#"{"a":1,"a":2}"#, r#"{"a":1}"#), ["$.a 2 -"]);
    }

    #[test]
    fn there_are_only_so_many_changes_and_a_count_of_the_rest() {
        let list = |value: usize| RawValue::from_string(format!("{:?}", vec![value; MAX_CHANGES + 7])).expect("JSON");
        let (before, after) = (list(1), list(2));
        let changes = changes(&before, &after);
        assert_eq!((changes.all.len(), changes.more), (MAX_CHANGES, 7));
    }

    #[test]
    fn a_name_that_is_gone_is_shown_if_it_is_a_plain_word() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        let (before, after) = (raw(r#"{"cards":{"4111111111111111":1,"main":2}}"#), raw(r#"{"cards":{}}"#));
        let changes = changes(&before, &after);
        let paths: Vec<String> = changes.all.iter().map(|change| change.path.guarded()).collect();
        assert_eq!(paths, ["$.cards['?']", "$.cards.main"]);
    }
}
