use std::time::{Duration, Instant};

use crate::{Limits, PayloadError, validate};

#[track_caller]
fn refused(payload: impl AsRef<[u8]>, expected: &str) {
    let error = validate(payload.as_ref(), &Limits::default()).expect_err("the payload is not JSON");
    assert_eq!(error, PayloadError::NotJson(expected.to_owned()));
}

#[track_caller]
fn taken(payload: &str) {
    assert_eq!(validate(payload.as_bytes(), &Limits::default()), Ok(()), "{payload}");
}

#[test]
fn every_kind_of_value_is_taken_with_white_space_around_it() {
    for value in ["null", "true", "false", "0", "-0", "-1.5e-3", "10E+2", r#""""#, "{}", "[]", "[[], {}, [1, 2]]"] {
        taken(value);
        taken(&format!(" \n\r\t{value}                    "));
        taken(&format!(r#"{{ "key" : {value} , "k":[{value},{value}]}}"#));
    }
    taken(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\uDE00 é 😀""#);
}

#[test]
fn what_breaks_the_grammar_is_refused_with_the_byte_where_it_does() {
    refused("", "at byte 0: expected a value, but the payload ends");
    refused("  ", "at byte 2: expected a value, but the payload ends");
    refused("{\"a\" 1}", "at byte 5: expected `:`");
    refused("{\"a\":1,}", "at byte 7: expected a key in quotes");
    refused("{\"a\":1 \"b\":2}", "at byte 7: expected `,` or `}`");
    refused("{\"a\":1]", "at byte 6: expected `,` or `}`");
    refused("[1,]", "at byte 3: expected a value");
    refused("[1}", "at byte 2: expected `,` or `]`");
    refused("[[1]", "at byte 4: expected `,` or `]`, but the payload ends");
    refused("1 2", "at byte 2: expected nothing more after the value");
    refused("{}}", "at byte 2: expected nothing more after the value");
    refused("nul", "at byte 0: expected a value");
    refused("'a'", "at byte 0: expected a value");
    refused("NaN", "at byte 0: expected a value");
    refused("01", "at byte 1: expected nothing more after the value");
    refused("-", "at byte 1: expected a digit, but the payload ends");
    refused("+1", "at byte 0: expected a value");
    refused("1.", "at byte 2: expected a digit, but the payload ends");
    refused("[1.e2]", "at byte 3: expected a digit");
    refused("1e+", "at byte 3: expected a digit, but the payload ends");
    refused("[1]\u{b}", "at byte 3: expected nothing more after the value");
    refused(b"[1,\0]", "at byte 3: expected a value");
}

#[test]
fn what_is_wrong_in_a_string_is_refused_wherever_it_stands() {
    // Strings are read in steps of eight bytes.
    for before in 0..20 {
        let filler = "x".repeat(before);
        let at = before + 1;
        refused(format!("\"{filler}"), &format!("at byte {at}: expected the end of a string, but the payload ends"));
        for control in ['\0', '\n', '\u{1f}'] {
            let problem = format!("at byte {at}: expected no control character in a string: escape it");
            refused(format!("\"{filler}{control}, and so on\""), &problem);
        }
        for escape in [r"\x", r"\", r"\U0041"] {
            let problem = format!("at byte {at}: expected an escape of JSON after `\\`");
            refused(format!("\"{filler}{escape}"), &problem);
        }
        for escape in [r"\u12", r"\u12g4", r"\u+123", r"\u"] {
            let problem = format!("at byte {at}: expected `\\u` and four hexadecimal digits");
            refused(format!("\"{filler}{escape}\""), &problem);
        }
        for escape in [r"\ud83d", r"\udc00", r"\ud83dx", r"\ud83d\n", r"\ud83d\ud83d", r"\udc00\ud83d", r"\ud83d\u"] {
            let problem = format!("at byte {at}: lone surrogate escape");
            refused(format!("\"{filler}{escape}\""), &problem);
            refused(format!("{{\"{filler}{escape}\":1}}"), &format!("at byte {}: lone surrogate escape", at + 1));
        }
    }
}

#[test]
fn what_is_not_utf_8_is_refused() {
    refused(b"[\"ab\xff\"]", "at byte 4: the text is not UTF-8");
    refused(b"[\"\xed\xa0\x80\"]", "at byte 2: the text is not UTF-8");
    refused(b"\"\xc3", "at byte 1: the text is not UTF-8");
    refused("\u{feff}{}", "at byte 0: a byte order mark is not JSON: leave it out");
}

#[test]
fn errors_never_quote_the_payload() {
    let error = validate(br#"{"password":"hunter2"hunter2}"#, &Limits::default()).expect_err("not JSON");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn nesting_is_bounded_and_the_bound_can_be_set() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let with = |max_depth| Limits { max_depth, ..Limits::default() };
    assert_eq!(validate(nested(128).as_bytes(), &Limits::default()), Ok(()));
    let error = validate(nested(129).as_bytes(), &Limits::default()).expect_err("too deep");
    assert_eq!(error, PayloadError::Limit("the payload nests deeper than 128 levels".to_owned()));
    assert_eq!(validate(b"1", &with(0)), Ok(()));
    assert!(validate(b"{}", &with(0)).is_err());
    assert_eq!(validate(nested(1024).as_bytes(), &with(u32::MAX)), Ok(()));
    assert!(validate(nested(1025).as_bytes(), &with(u32::MAX)).is_err());
    assert!(validate("[".repeat(1 << 20).as_bytes(), &with(u32::MAX)).is_err());
}

#[test]
fn objects_and_arrays_are_told_apart_at_every_depth() {
    let mixed = |depth: usize| {
        let open: String = (0..depth).map(|level| if level % 3 == 0 { r#"{"k":"# } else { "[" }).collect();
        let close: String = (0..depth).rev().map(|level| if level % 3 == 0 { '}' } else { ']' }).collect();
        (open, close)
    };
    for depth in [1, 2, 63, 64, 65, 127, 128] {
        let (open, close) = mixed(depth);
        taken(&format!("{open}1{close}"));
        let swapped: String = close.chars().map(|bracket| if bracket == '}' { ']' } else { '}' }).collect();
        assert!(validate(format!("{open}1{swapped}").as_bytes(), &Limits::default()).is_err());
    }
}

#[test]
fn length_and_time_are_bounded() {
    let limits = Limits { max_payload_bytes: 4, ..Limits::default() };
    assert_eq!(validate(b"[12]", &limits), Ok(()));
    let error = validate(b"[123]", &limits).expect_err("too long");
    assert_eq!(error, PayloadError::Limit("the payload is longer than 4 bytes".to_owned()));

    let past = Instant::now() - Duration::from_millis(1);
    let limits = Limits { deadline: Some(past), ..Limits::default() };
    let long = format!("[{}1]", "1,".repeat(5000));
    assert!(matches!(validate(long.as_bytes(), &limits), Err(PayloadError::Limit(_))));
}
