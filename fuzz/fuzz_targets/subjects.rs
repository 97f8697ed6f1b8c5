//! Subjects, their patterns, and the templates that make subjects of messages. An input is lines: two patterns, a
//! subject, a template, the value of a header, and a payload that may have more lines.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use trackside_fuzz::message::{Headers, MAX_SUBJECT_BYTES, Message, Subject, SubjectPattern};
use trackside_fuzz::rules::{OrderBy, Template};
use trackside_json::Limits;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(6, |byte| *byte == b'\n');
    let mut line = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (left, right, subject, template, header) = (line(), line(), line(), line(), line());
    let payload = parts.next().unwrap_or_default();

    let patterns = [SubjectPattern::new(&left), SubjectPattern::new(&right)];
    if let [Ok(left), Ok(right)] = &patterns {
        related(left, right, &subject);
    }
    // What a server delivers was checked by it, not by us.
    let mut message = Message {
        subject: Subject::delivered(&subject),
        headers: Headers::default(),
        payload: Bytes::copy_from_slice(payload),
    };
    message.headers.push("Region", header);
    if let Ok(template) = Template::parse(&template) {
        rendered(&template, &message, patterns.iter().flatten());
    }
    if let Ok(order_by) = OrderBy::parse(&template) {
        assert_eq!(order_by.key(&message, &Limits::default()), order_by.key(&message.clone(), &Limits::default()));
    }
});

/// What two patterns and a subject have to do with each other.
fn related(left: &SubjectPattern, right: &SubjectPattern, subject: &str) {
    let (by_left, by_right) = (left.matches(subject), right.matches(subject));
    assert_eq!(by_left, plainly_matches(left.as_str(), subject), "{left} {subject}");
    assert!(left.covers(left) && left.overlaps(left) && SubjectPattern::everything().covers(left));
    assert_eq!(left.overlaps(right), right.overlaps(left), "{left} {right}");
    if by_left && by_right {
        assert!(left.overlaps(right), "{left} and {right} both match {subject}");
    }
    if left.covers(right) {
        assert!(left.overlaps(right), "{left} covers {right}");
        assert!(by_left || !by_right, "{left} covers {right}, which matches {subject}");
    }
}

/// The rule of the protocol, in other words than the code under test.
fn plainly_matches(pattern: &str, subject: &str) -> bool {
    let (pattern, subject): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), subject.split('.').collect());
    let tail = pattern.last() == Some(&">");
    let fixed = pattern.len() - usize::from(tail);
    let long_enough = if tail { subject.len() > fixed } else { subject.len() == fixed };
    long_enough && pattern.iter().zip(&subject).take(fixed).all(|(want, got)| *want == "*" || want == got)
}

/// A message chooses among the subjects that the template's author named and no others.
fn rendered<'p>(template: &Template, message: &Message, patterns: impl Iterator<Item = &'p SubjectPattern>) {
    let Ok(subject) = template.render(message, &Limits::default()) else { return };
    let made = subject.as_str();
    let again = Subject::new(made).expect("what a template makes can be published to");
    assert_eq!(again, subject);
    assert!(made.len() <= MAX_SUBJECT_BYTES);
    let pattern = template.pattern();
    assert!(pattern.matches(made), "{pattern} stands for {made}");
    let (first, tokens) = (pattern.as_str().split('.').next(), |text: &str| text.split('.').count());
    assert_eq!(made.split('.').next(), first, "the first token is the author's");
    assert!(!matches!(first, Some("$JS" | "$SYS")), "{made} belongs to the server");
    assert_eq!(tokens(made), tokens(pattern.as_str()), "no token was added");
    for pattern in patterns {
        assert!(template.may_match(pattern) || !pattern.matches(made), "{pattern} matches {made}");
    }
    if let Some(literal) = template.literal() {
        assert_eq!(literal, &subject);
    }
}
