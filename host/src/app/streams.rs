//! The streams that a configuration needs: those its sources read, those it declares, those its dead letters go to.

use std::collections::{BTreeMap, BTreeSet};

use crate::backbone::{Need, RequiredStream};
use crate::message::SubjectPattern;
use crate::rules::{Rules, SourceKind};

/// The streams that have to be there. Those that the sources read first, then those that are declared, then those for
/// dead letters that no declared stream takes.
pub(super) fn required_streams(rules: &Rules) -> Vec<RequiredStream> {
    let mut required: BTreeMap<String, RequiredStream> = BTreeMap::new();
    for (name, source) in &rules.config.sources {
        if let SourceKind::JetStream { stream, filter_subjects, .. } = &source.kind {
            add(&mut required, stream, filter_subjects, Need::Exists, format!("source `{name}`"));
        }
    }
    for (name, stream) in &rules.config.streams {
        let required = add(&mut required, name, &stream.subjects, Need::Takes, format!("`[streams.{name}]`"));
        required.transform.clone_from(&stream.transform);
        required.allow_batched = stream.allow_batched;
    }
    let letters = rules.rules.iter().filter_map(|rule| Some((rule, rule.on_failure.dead_letter.as_ref()?)));
    // Those that name their stream come first: what it takes needs no other one.
    let (named, unnamed): (Vec<_>, Vec<_>) = letters.partition(|(_, letters)| letters.stream.is_some());
    for (rule, letters) in named.into_iter().chain(unnamed) {
        let pattern = letters.subject.pattern();
        let stream = match required.values_mut().find(|stream| stream.takes(&pattern)) {
            Some(taking) => taking,
            None => {
                let name = letters.stream.clone().unwrap_or_else(|| stream_name(&pattern));
                let why = format!("the dead letters of rule `{}`", rule.name);
                add(&mut required, &name, &[pattern], Need::TakenByAny, why)
            }
        };
        stream.make |= letters.stream.as_ref() == Some(&stream.name);
    }
    required.into_values().collect()
}

/// All subjects that dead letters may go to.
pub(super) fn letter_subjects(rules: &Rules) -> BTreeSet<SubjectPattern> {
    let letters = rules.rules.iter().filter_map(|rule| rule.on_failure.dead_letter.as_ref());
    letters.map(|letters| letters.subject.pattern()).collect()
}

fn add<'r>(
    required: &'r mut BTreeMap<String, RequiredStream>,
    name: &str,
    subjects: &[SubjectPattern],
    need: Need,
    why: String,
) -> &'r mut RequiredStream {
    let known = required.contains_key(name);
    let stream = required.entry(name.to_owned()).or_insert_with(|| RequiredStream {
        name: name.to_owned(),
        subjects: Vec::new(),
        transform: None,
        need,
        allow_batched: false,
        make: false,
        why,
    });
    // Whatever else it is for, it then has to take these subjects itself.
    if known && stream.need != need && need != Need::Exists {
        stream.need = Need::Takes;
    }
    for subject in subjects {
        if !stream.subjects.iter().any(|known| known.covers(subject)) {
            // A stream cannot have subjects that overlap.
            stream.subjects.retain(|known| !subject.covers(known));
            stream.subjects.push(subject.clone());
        }
    }
    stream
}

/// A name for a stream that takes this pattern: `dead.orders` makes `DEAD_ORDERS`.
fn stream_name(pattern: &SubjectPattern) -> String {
    let tokens = pattern.as_str().split('.').filter(|token| !matches!(*token, "*" | ">"));
    let name: Vec<_> = tokens.map(str::to_uppercase).collect();
    name.join("_").chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{FileSet, load_from};

    #[test]
    fn a_stream_that_several_things_need_is_required_once_and_with_subjects_that_do_not_overlap() {
        let pattern = |text| SubjectPattern::new(text).expect("a pattern");
        let mut required = BTreeMap::new();
        add(&mut required, "ORDERS", &[pattern("orders.*.created")], Need::Exists, "one".to_owned());
        add(&mut required, "ORDERS", &[pattern("orders.>"), pattern("orders.eu")], Need::Takes, "two".to_owned());
        assert_eq!(required["ORDERS"].subjects, [pattern("orders.>")]);
        assert_eq!((required["ORDERS"].why.as_str(), required["ORDERS"].need), ("one", Need::Takes));
    }

    #[test]
    fn a_stream_that_dead_letters_name_is_made_once_for_all_of_them_and_takes_what_it_can_for_others() {
        let rule = |name: &str, letters: &str| {
            format!(
                "[[rule]]\nname = \"{name}\"\nsource = \"a\"\nsubject = \"a.b\"\nroutes = {{ default = \"c\" }}\n\
                 on-failure = {{ dead-letter = {letters} }}\n"
            )
        };
        let required = |declared: &str, letters: &[&str]| {
            let config = format!(
                "[nats]\nservers = [\"nats://a:4222\"]\n[sources.a]\nsubject = \"a.>\"\n[streams]\n{declared}\n"
            );
            let text: String = (0..).zip(letters).map(|(n, letters)| rule(&format!("r{n}"), letters)).collect();
            let files = FileSet::new("").with("trackside.toml", config).with("rules/a.toml", text);
            let (rules, _) = load_from(&files).expect("the rules are right");
            let streams = required_streams(&rules).into_iter();
            streams.map(|s| format!("{} {:?} {:?} {}", s.name, s.subjects, s.need, s.make)).collect::<Vec<_>>()
        };
        let (one, two) =
            ("{ subject = \"dead.one\", stream = \"DEAD\" }", "{ subject = \"dead.two\", stream = \"DEAD\" }");
        assert_eq!(
            required("", &["\"dead.one\"", one, two, "\"dead.three\""]),
            ["DEAD [\"dead.one\", \"dead.two\"] TakenByAny true", "DEAD_THREE [\"dead.three\"] TakenByAny false"]
        );
        assert_eq!(required("DEAD = { subjects = [\"dead.>\"] }", &[one]), ["DEAD [\"dead.>\"] Takes true"]);
        assert_eq!(required("ALL = { subjects = [\"dead.>\"] }", &[one]), ["ALL [\"dead.>\"] Takes false"]);
        assert_eq!(
            required("DEAD = { subjects = [\"dead.x\"] }", &[one]),
            ["DEAD [\"dead.x\", \"dead.one\"] Takes true"]
        );
    }

    #[test]
    fn a_stream_for_dead_letters_is_named_after_their_subject() {
        assert_eq!(stream_name(&SubjectPattern::new("dead.orders.*").expect("a pattern")), "DEAD_ORDERS");
    }
}
