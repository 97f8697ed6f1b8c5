use super::*;

fn message() -> Message {
    let mut message = Message {
        subject: Subject::delivered("orders.eu.created"),
        payload: bytes::Bytes::from_static(
            br#"{"region":"eu","n":7.50,"ok":true,"no":null,"deep":{"a":["x","y"]},"bad":"a.b","}":"brace"}"#,
        ),
        ..Message::default()
    };
    message.headers.push("Region", "north");
    message.headers.push("Region", "south");
    message.headers.push("Bad", "a b");
    message.headers.push("Empty", "");
    message
}

fn render(template: &str) -> Result<String, String> {
    let template = Template::parse(template).map_err(|error| error.to_string())?;
    template.render(&message(), &Limits::default()).map(|s| s.to_string()).map_err(|error| error.to_string())
}

#[test]
fn placeholders_are_filled_in_whole_tokens_and_parts_of_them() {
    for (template, want) in [
        ("clean.orders.created", "clean.orders.created"),
        ("review.orders.{subject.2}", "review.orders.eu"),
        ("a.orders-{header.region}-{subject.3}.z", "a.orders-north-created.z"),
        ("a.{json:$.region}.{json:$.n}", "a.eu.7"),
        ("a.{json:$.ok}", "a.true"),
        ("a.{json:$.deep.a[1]}-{json:$['region']}", "a.y-eu"),
        ("a.{json:$['}']}", "a.brace"),
    ] {
        let got = render(template);
        if template.contains("$.n") {
            assert_eq!(got, Err("the value of `{json:$.n}` cannot be part of a subject's token: it has a dot".into()));
        } else {
            assert_eq!(got.as_deref(), Ok(want), "{template}");
        }
    }
}

#[test]
fn a_value_cannot_add_tokens_or_wildcards_and_is_not_shown() {
    for (template, want) in [
        ("a.{json:$.bad}", "the value of `{json:$.bad}` cannot be part of a subject's token: it has a dot"),
        ("a.{header.Bad}", "the value of `{header.Bad}` cannot be part of a subject's token: it has white space"),
        ("a.x{header.Empty}", "the value of `{header.Empty}` cannot be part of a subject's token: it is empty"),
        ("a.{header.No}", "`{header.No}` of the template has nothing to insert: the message has no such header"),
        ("a.{subject.4}", "`{subject.4}` of the template has nothing to insert: the subject has fewer tokens"),
        ("a.{json:$.none}", "`{json:$.none}` of the template has nothing to insert: the payload has no such value"),
        ("a.{json:$.no}", "`{json:$.no}` of the template has nothing to insert: the value is null"),
        ("a.{json:$.deep}", "`{json:$.deep}` of the template has nothing to insert: the value is an object or array"),
    ] {
        assert_eq!(render(template), Err(want.to_owned()), "{template}");
    }
    for bad in ["a*", "x>", ">", "a\u{7f}b", "a\u{a0}b"] {
        let mut message = message();
        message.headers.insert("Region", bad);
        let template = Template::parse("a.{header.Region}").expect("is a template");
        let error = template.render(&message, &Limits::default()).expect_err(bad);
        assert!(matches!(&error, RenderError::Value { .. }), "{error}");
        assert!(!error.to_string().contains(bad), "{error}");
    }
}

#[test]
fn a_payload_that_is_not_json_or_a_subject_that_gets_too_long_is_an_error() {
    let limits = Limits::default();
    let mut message = Message { payload: bytes::Bytes::from_static(b"{"), ..message() };
    let template = Template::parse("a.{json:$.region}").expect("is a template");
    assert!(matches!(template.render(&message, &limits), Err(RenderError::Payload { .. })));
    message.headers.insert("Region", "x".repeat(2000));
    let template = Template::parse("a.{header.Region}").expect("is a template");
    assert_eq!(template.render(&message, &limits), Err(RenderError::Long(2002)));
}

#[test]
fn a_duplicate_key_cannot_choose_between_two_subjects() {
    let payload = bytes::Bytes::from_static(br#"{"region":"eu","r\u0065gion":"us"}"#);
    let message = Message { payload, ..message() };
    let template = Template::parse("a.{json:$.region}").expect("is a template");
    let error = template.render(&message, &Limits::default()).expect_err("is ambiguous");
    assert!(error.to_string().ends_with("a key of that path is in the payload twice"), "{error}");
}

#[test]
fn a_text_that_is_no_template_says_what_to_write() {
    for (text, want) in [
        ("{header.Region}.x", TemplateError::FirstToken),
        ("a{header.Region}.x", TemplateError::FirstToken),
        ("a.{header.Region", TemplateError::Unclosed),
        ("a.b}", TemplateError::Unopened),
        ("a.*", TemplateError::Wildcard('*')),
        ("a.x>", TemplateError::Wildcard('>')),
        ("a.{}", TemplateError::Unknown(String::new())),
        ("a.{region}", TemplateError::Unknown("region".to_owned())),
        ("a.{subject.0}", TemplateError::Position("0".to_owned())),
        ("a.{subject.+1}", TemplateError::Position("+1".to_owned())),
        ("a.{subject.x}", TemplateError::Position("x".to_owned())),
        ("a.{header.}", TemplateError::HeaderName(String::new())),
        ("a.{header.A B}", TemplateError::HeaderName("A B".to_owned())),
        ("a.{json:$..region}", TemplateError::NotSingular("$..region".to_owned())),
        ("a.{json:$.a[*]}", TemplateError::NotSingular("$.a[*]".to_owned())),
        ("a.{json:$[0,1]}", TemplateError::NotSingular("$[0,1]".to_owned())),
        ("a.{json:$[?@.a]}", TemplateError::NotSingular("$[?@.a]".to_owned())),
        ("$JS.API.STREAM.DELETE.{subject.1}", TemplateError::Reserved("$JS".to_owned())),
        ("", TemplateError::Subject(SubjectError::Empty)),
    ] {
        assert_eq!(Template::parse(text), Err(want), "{text}");
    }
    assert!(matches!(Template::parse("a..{subject.1}"), Err(TemplateError::Subject(SubjectError::EmptyToken(_)))));
    assert!(matches!(Template::parse("a.b c"), Err(TemplateError::Subject(SubjectError::Character(..)))));
    for (path, want) in [
        ("region".to_owned(), "`{json:region}`: column 1: expected `$`, the root, at the start"),
        (
            format!("$.{}", "a".repeat(5000)),
            "`{json:$.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…}`: the path has 5002 bytes: write it in at most 4096",
        ),
    ] {
        let error = Template::parse(&format!("a.{{json:{path}}}")).expect_err("has no such path");
        assert_eq!(error.to_string(), want);
    }
}

#[test]
fn a_literal_template_hands_out_one_and_the_same_subject() {
    let template = Template::parse("clean.orders").expect("is a template");
    let first = template.render(&message(), &Limits::default()).expect("renders");
    let second = template.literal().expect("is literal");
    // The same bytes at the same address: nothing was allocated for it.
    assert!(std::ptr::eq(first.as_str(), second.as_str()));
    assert_eq!(Template::parse("a.{subject.1}").expect("is a template").literal(), None);
}

#[test]
fn a_template_knows_which_subjects_it_could_make() {
    let template = Template::parse("orders.new-{header.Region}-x.{subject.3}").expect("is a template");
    assert_eq!(template.pattern().as_str(), "orders.*.*");
    assert_eq!(template.last_position(), 3);
    for (pattern, want) in [
        ("orders.>", true),
        ("orders.new-eu-x.created", true),
        ("orders.new--x.created", false),
        ("orders.old-eu-x.created", false),
        ("orders.*", false),
        ("orders.*.*.*", false),
        ("orders.*.created.>", false),
        ("other.>", false),
    ] {
        let pattern = SubjectPattern::new(pattern).expect("is a pattern");
        assert_eq!(template.may_match(&pattern), want, "{pattern}");
    }
    let literal = Template::parse("orders.eu").expect("is a template");
    assert!(literal.may_match(&SubjectPattern::new("orders.*").expect("is a pattern")));
}
