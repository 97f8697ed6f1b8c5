use proptest::prelude::*;

use super::*;
use crate::actions::TextMask;
use crate::detect::Finder;

fn entries(with: &str) -> Vec<Rc<Entry>> {
    let entry = |finder| Rc::new(Entry { finder, mask: TextMask::Redact(with.to_owned()) });
    vec![entry(Finder::Card), entry(Finder::Email)]
}

fn mask(json: &str) -> Option<String> {
    mask_json(&entries("#"), Keys::Mask, &Made::new(), json).unwrap()
}

#[track_caller]
fn check(json: &str, expected: &str) {
    assert_eq!(mask(json).as_deref(), Some(expected));
}

#[test]
fn only_the_found_part_of_a_string_changes_and_all_other_bytes_stay() {
    check(
        r#"{ "a" : 1.50e+3,"b":[ "caf\u00e9 a@b.cc \/ x" ,true , null] , "a":"4111 1111 1111 1111!" }"#,
        r##"{ "a" : 1.50e+3,"b":[ "caf\u00e9 # \/ x" ,true , null] , "a":"#!" }"##,
    );
    assert_eq!(mask(r#"{ "a" : "b\u0040", "c": [1, -2.50] }"#), None);
}

#[test]
fn escapes_hide_nothing() {
    check(r#"["\u0034111\u0020111\u0031 1111 \u0031111"]"#, r##"["#"]"##);
    check(r#"["x\ta\u0040b\u002ecc\n"]"#, r##"["x\t#\n"]"##);
    check(r#"["\ud83d\ude00 a@b.cc \ud83d\ude00"]"#, r##"["\ud83d\ude00 # \ud83d\ude00"]"##);
    check(r#"["\ud83d a@b.cc \ude00"]"#, r##"["\ud83d # \ude00"]"##);
    check(r#"["\\a@b.cc\\", "\"a@b.cc\""]"#, r##"["\\#\\", "\"#\""]"##);
}

#[test]
fn numbers_are_masked_as_text() {
    check("[4111111111111111,1, 4.111111111111111e15]", r##"["#",1, "#"]"##);
    check("4111111111111111", r##""#""##);
}

#[test]
fn what_takes_a_finds_place_is_escaped() {
    let masked = mask_json(&entries("\"\\\n"), Keys::Mask, &Made::new(), r#"["a@b.cc"]"#).unwrap();
    assert_eq!(masked.as_deref(), Some(r#"["\"\\\n"]"#));
}

#[test]
fn keys_are_masked_rejected_or_allowed() {
    let json = r#"{"a@b.cc" : {"x\u0040b.cc":"c@d.ee"}}"#;
    check(json, r##"{"#" : {"#":"#"}}"##);
    let with = |keys| mask_json(&entries("#"), keys, &Made::new(), json);
    assert_eq!(with(Keys::Reject), Err(ScanError::KeyFound));
    assert_eq!(with(Keys::Allow), Ok(Some(r##"{"a@b.cc" : {"x\u0040b.cc":"#"}}"##.to_owned())));
}

#[test]
fn two_keys_of_an_object_that_would_become_one_are_refused() {
    let two = |json| mask_json(&entries("#"), Keys::Mask, &Made::new(), json);
    assert_eq!(two(r#"{"a@b.cc":1,"c@d.ee":2}"#), Err(ScanError::KeysCollide));
    assert_eq!(
        two(r#"{"a@b.cc":{"a@b.cc":1},"b":[{"a@b.cc":2},{"a@b.cc":3}]}"#).map(|masked| masked.is_some()),
        Ok(true)
    );
}

#[test]
fn what_this_stage_made_is_left_alone() {
    let made = Made::from(["tok_4111111111111111".to_owned()]);
    let json = r#"["tok_4111111111111111"]"#;
    assert_eq!(mask_json(&entries("#"), Keys::Mask, &made, json), Ok(None));
    assert!(mask(json).is_some());
}

fn luhn_digit(digits: &str) -> u32 {
    let doubled = |(place, c): (usize, char)| match (place % 2, c.to_digit(10).unwrap()) {
        (0, digit) => digit * 2 / 10 + digit * 2 % 10,
        (_, digit) => digit,
    };
    (10 - digits.chars().rev().enumerate().map(doubled).sum::<u32>() % 10) % 10
}

/// A card number as somebody may have written it, in groups or digit by digit.
fn card() -> impl Strategy<Value = String> {
    let separator = prop_oneof![
        Just(""),
        Just(" "),
        Just("-"),
        Just("."),
        Just(" - "),
        Just("\u{a0}"),
        Just("\u{2013}"),
        Just("_"),
        Just("\u{200b}")
    ];
    ("[3-6][0-9]{11,17}|[2-9][0-9]{14}", separator, 0usize..4).prop_map(|(digits, separator, shape)| {
        let digits = format!("{digits}{}", luhn_digit(&digits));
        let width = if separator == "." && shape == 3 { 3 } else { [4, 5, 6, 1][shape] };
        let chars: Vec<char> = digits.chars().collect();
        chars.chunks(width).map(String::from_iter).collect::<Vec<_>>().join(separator)
    })
}

/// The text as a JSON string, with some characters escaped that need not be.
fn spelt(text: &str, escape: &[bool]) -> String {
    let mut spelt = String::from("\"");
    for (c, escape) in text.chars().zip(escape.iter().cycle()) {
        if *escape {
            for unit in c.encode_utf16(&mut [0; 2]) {
                spelt.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            let plain = serde_json::Value::from(c.to_string()).to_string();
            spelt.push_str(&plain[1..plain.len() - 1]);
        }
    }
    spelt + "\""
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_card_survives_whatever_its_separators_escapes_and_surroundings(
        card in card(),
        before in "[a-z ,:]{0,6}",
        after in "([a-z,:;!][a-z 0-9]{0,6})?",
        escape in proptest::collection::vec(any::<bool>(), 1..8),
        key in any::<bool>(),
    ) {
        let text = format!("{before}{card}{after}");
        let string = spelt(&text, &escape);
        let json = if key { format!("{{{string}:1}}") } else { format!("{{\"a\":[{string}]}}") };
        let masked = mask(&json).expect("the card should be found");
        let value: serde_json::Value = serde_json::from_str(&masked).expect("well-formed");
        let left = if key { value.as_object().unwrap().keys().next().unwrap().clone() } else { value["a"][0].as_str().unwrap().to_owned() };
        let kept = format!("{before}#{after}");
        prop_assert!(left == kept || left.len() < kept.len(), "{:?} became {:?}", text, left);
    }

    #[test]
    fn what_is_not_found_keeps_every_byte(strings in proptest::collection::vec(("\\PC{0,12}", any::<bool>()), 0..8)) {
        let strings: Vec<String> = strings.iter().map(|(text, escape)| spelt(&text.replace('@', ""), &[*escape])).collect();
        let json = format!("[ {} ,\t4.0e1]", strings.join(" , "));
        prop_assert_eq!(mask(&json), None);
        // With one find among them, everything around it stays.
        let with = |middle: &str| format!("[{json}, \"x {middle} y\" ,{json}]");
        prop_assert_eq!(mask(&with("a@b.cc")), Some(with("#")));
    }
}
