use proptest::prelude::*;

use super::*;

#[test]
fn spelling_order_and_repeats_are_kept() {
    let json = r#" { "b" : 1.50E+3 , "a":["\u00e9\/", -0, true,false,null ,{},[ ] , "x \" y"], "b":"x" } "#;
    let compact = r#"{"b":1.50E+3,"a":["\u00e9\/",-0,true,false,null,{},[],"x \" y"],"b":"x"}"#;
    let mut node = Node::parse(json).unwrap();
    assert_eq!(node.print(), compact, "as a whole");
    assert_eq!(node.member("b").unwrap().print(), r#""x""#);
    assert_eq!(node.print(), compact, "with its members apart");
    assert_eq!(node.member("a").unwrap().open().kind(), "array");
    assert_eq!(node.print(), compact, "with its elements apart");
}

#[test]
fn put_replaces_the_last_member_of_its_key_and_removes_the_others() {
    let mut node = Node::parse(r#"{"a":1,"b":2,"\u0061":3,"c":4}"#).unwrap();
    let Node::Object(members) = node.open() else { panic!() };
    *put(members, "a", Node::Null) = Node::Boolean(true);
    put(members, "d\"", Node::Null);
    assert_eq!(node.print(), r#"{"b":2,"\u0061":true,"c":4,"d\"":null}"#);
}

/// Takes all of it apart.
fn open_all(node: &mut Node<'_>) {
    match node.open() {
        Node::Array(items) => items.iter_mut().for_each(open_all),
        Node::Object(members) => members.iter_mut().for_each(|member| open_all(&mut member.value)),
        _ => {}
    }
}

fn has_closed(node: &Node<'_>) -> bool {
    match node {
        Node::Closed(_) => true,
        Node::Array(items) => items.iter().any(has_closed),
        Node::Object(members) => members.iter().any(|member| has_closed(&member.value)),
        _ => false,
    }
}

/// JSON texts, of which the white space, the escapes and the lengths of strings are anything.
fn json() -> impl Strategy<Value = String> {
    let string = r#""([a-z0-9 \[\]{}:,é]|\\["\\/n]|\\u00e9){0,20}""#;
    let space = "[ \n\t\r]{0,2}";
    let scalar = prop_oneof![
        string.prop_map(String::from),
        Just("-1.50E+3".to_owned()),
        Just("0".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("null".to_owned()),
    ];
    let inner = scalar.prop_recursive(5, 60, 6, move |inner| {
        let element = (space, inner.clone(), space).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        let member =
            (space, string, space, element.clone()).prop_map(|(a, key, b, value)| format!("{a}{key}{b}:{value}"));
        prop_oneof![
            prop::collection::vec(element, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
            space.prop_map(|space| format!("[{space}]")),
            space.prop_map(|space| format!("{{{space}}}")),
        ]
    });
    (space, inner, space).prop_map(|(a, value, b)| format!("{a}{value}{b}"))
}

/// The text without the white space between its tokens, found byte by byte.
fn compact(json: &str) -> String {
    let (mut within, mut escape) = (false, false);
    let keep = |c: &char| {
        let is_space = !within && c.is_ascii_whitespace();
        if *c == '"' && !escape {
            within = !within;
        }
        escape = *c == '\\' && !escape;
        !is_space
    };
    json.chars().filter(keep).collect()
}

proptest! {
    #[test]
    fn whatever_is_taken_apart_prints_the_same(json in json()) {
        let mut node = Node::parse(&json).unwrap();
        prop_assert_eq!(node.print(), compact(&json));
        node.open();
        prop_assert_eq!(node.print(), compact(&json));
        open_all(&mut node);
        prop_assert_eq!(node.print(), compact(&json));
        let mut deep = Node::parse(&json).unwrap();
        deep.open_deep();
        prop_assert_eq!(deep.print(), compact(&json));
        prop_assert!(!has_closed(&deep));
    }

    #[test]
    fn no_text_makes_reading_panic(text in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,40}|\\PC{0,40}") {
        if let Some(node) = Node::parse(&text) {
            node.print();
        }
    }

    #[test]
    fn a_text_comes_back_as_it_was(text in any::<String>()) {
        let spelt = Text::new(&text);
        prop_assert_eq!(spelt.plain(), text.as_str());
        prop_assert!(spelt.is(&text));
    }
}
