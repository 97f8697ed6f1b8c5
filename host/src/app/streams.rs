//! The streams that a configuration needs: those its sources read, those it declares, those its dead letters go to.

use std::collections::BTreeMap;

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
        add(&mut required, name, &stream.subjects, Need::Takes, format!("`[streams.{name}]`"));
    }
    for rule in &rules.rules {
        let Some(letters) = &rule.on_failure.dead_letter else { continue };
        let pattern = letters.subject.pattern();
        let taken = required.values().flat_map(|stream| &stream.subjects).any(|subjects| subjects.covers(&pattern));
        if !taken {
            let name = stream_name(&pattern);
            add(
                &mut required,
                &name,
                &[pattern],
                Need::TakenByAny,
                format!("the dead letters of rule `{}`", rule.name),
            );
        }
    }
    required.into_values().collect()
}

fn add(
    required: &mut BTreeMap<String, RequiredStream>,
    name: &str,
    subjects: &[SubjectPattern],
    need: Need,
    why: String,
) {
    let stream = required.entry(name.to_owned()).or_insert_with(|| RequiredStream {
        name: name.to_owned(),
        subjects: Vec::new(),
        need,
        why,
    });
    if need == Need::Takes {
        stream.need = need;
    }
    for subject in subjects {
        if !stream.subjects.iter().any(|known| known.covers(subject)) {
            // A stream cannot have subjects that overlap.
            stream.subjects.retain(|known| !subject.covers(known));
            stream.subjects.push(subject.clone());
        }
    }
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
    fn a_stream_for_dead_letters_is_named_after_their_subject() {
        assert_eq!(stream_name(&SubjectPattern::new("dead.orders.*").expect("a pattern")), "DEAD_ORDERS");
    }
}
