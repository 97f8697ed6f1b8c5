use super::key::SecretError;
use super::*;

fn text(text: &str) -> Value {
    Value::text(text)
}

fn masked(mask: TextMask, value: &Value) -> Masked {
    Action::Text(mask).mask(value).unwrap()
}

#[test]
fn redact_hides_every_type_null_included() {
    let all =
        [Value::Null, Value::Boolean(true), Value::Number("1".into()), text("x"), Value::Json("{\"a\":1}".into())];
    for value in &all {
        assert_eq!(masked(TextMask::Redact("***".into()), value), Masked::Value(text("***")));
    }
}

#[test]
fn actions_on_text_take_a_numbers_spelling_and_redact_what_has_none() {
    let keep_last = || TextMask::KeepLast(4);
    assert_eq!(masked(keep_last(), &text("4111111111111111")), Masked::Value(text("************1111")));
    assert_eq!(masked(keep_last(), &Value::Number("4111111111111111".into())), Masked::Value(text("************1111")));
    assert_eq!(masked(keep_last(), &Value::Boolean(false)), Masked::Value(text("***")));
    assert_eq!(masked(keep_last(), &Value::Json("[1]".into())), Masked::Value(text("***")));
    assert_eq!(masked(keep_last(), &Value::Null), Masked::Same);
}

#[test]
fn a_text_with_nothing_to_spare_is_starred_whole() {
    assert_eq!(TextMask::KeepLast(4).text("1234"), "****");
    assert_eq!(TextMask::KeepLast(4).text("12345"), "*2345");
    assert_eq!(TextMask::KeepFirst(4).text("1234"), "****");
    assert_eq!(TextMask::KeepFirst(2).text("12345"), "12***");
    assert_eq!(TextMask::KeepFirst(9).text(""), "");
    assert_eq!(TextMask::KeepLast(0).text("abc"), "***");
    assert_eq!(TextMask::KeepFirst(usize::MAX).text("abc"), "***");
}

#[test]
fn keep_counts_unicode_scalar_values() {
    assert_eq!(TextMask::KeepFirst(2).text("éü漢🙂"), "éü**");
}

/// RFC 4231, test case 2.
#[test]
fn hash_is_plain_hmac_sha_256_and_joins_numbers_with_their_spelling() {
    let hash = Hash::new(b"Jefe", String::new(), 64);
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hash.text("what do ya want for nothing?"), expected);
    let short = Hash::new(b"Jefe", "h_".into(), 8);
    assert_eq!(short.text("what do ya want for nothing?"), "h_5bdcc146");
    let of = |value: &Value| masked(TextMask::Hash(hash.clone()), value);
    assert_eq!(of(&text("42")), of(&Value::Number("42".into())));
    assert_ne!(of(&text("42")), of(&Value::Number("42.0".into())));
}

#[test]
fn a_token_has_the_shape_of_what_it_stands_for_and_is_the_same_each_time() {
    let tokenise = Tokenise::new(b"key", "tok_".into());
    let token = tokenise.text("Ann-Marie Ö. 4111 é漢");
    assert_eq!(token, tokenise.text("Ann-Marie Ö. 4111 é漢"));
    let shape: String = token
        .chars()
        .map(|c| match c {
            '0'..='9' => '9',
            'A'..='Z' => 'A',
            'a'..='z' => 'a',
            other => other,
        })
        .collect();
    assert_eq!(shape, "aaa_Aaa-Aaaaa A. 9999 aa");
    assert_ne!(token, tokenise.text("Ann-Marie Ö. 4112 é漢"));
    assert_ne!(token, Tokenise::new(b"other", "tok_".into()).text("Ann-Marie Ö. 4111 é漢"));
}

#[test]
fn a_token_of_a_long_text_does_not_repeat_its_key_stream() {
    let token = Tokenise::new(b"key", String::new()).text(&"a".repeat(64));
    assert_ne!(token[..16], token[16..32]);
    assert_ne!(token[..32], token[32..]);
}

#[test]
fn a_text_without_letters_and_digits_cannot_be_tokenised_and_is_redacted() {
    assert_eq!(Tokenise::new(b"key", "tok_".into()).text("--- 🙂"), "***");
    assert_eq!(Tokenise::new(b"key", "tok_".into()).text(""), "tok_");
}

const KEY: [u8; 32] = [7; 32];

fn id(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn opener(context: &str) -> Opener {
    Opener::new([(id("k1"), KEY)], context)
}

#[test]
fn what_was_encrypted_decrypts_to_the_same_type_and_spelling() {
    let sealer = Sealer::new(&KEY, id("k1"), "$.a");
    for value in [
        Value::Null,
        Value::Boolean(true),
        Value::Boolean(false),
        Value::Number("-1.50E+3".into()),
        text(""),
        text("a \"quoted\" \\ line\n\u{0} 漢🙂"),
        Value::Json("{ \"b\" : [1.0, 2] }".into()),
        Value::Json("[]".into()),
    ] {
        let sealed = sealer.seal(&value).unwrap();
        assert!(sealed.starts_with("enc:v1:k1:"), "{sealed}");
        assert_eq!(opener("$.a").open(&sealed).unwrap(), value);
        assert_eq!(sealer.seal(&value).unwrap(), sealed, "a redelivery gives the same bytes");
    }
}

#[test]
fn what_is_not_ours_was_moved_or_was_changed_does_not_decrypt() {
    let sealed = Sealer::new(&KEY, id("k1"), "$.a").seal(&text("secret")).unwrap();
    assert!(opener("$.b").open(&sealed).is_err(), "moved");
    assert!(Opener::new([(id("k1"), [8; 32])], "$.a").open(&sealed).is_err(), "wrong key");
    assert!(Opener::new([(id("k2"), KEY)], "$.a").open(&sealed).is_err(), "unknown key id");
    let renamed = sealed.replace(":k1:", ":k2:");
    assert!(Opener::new([(id("k2"), KEY)], "$.a").open(&renamed).is_err(), "the id is bound as well");
    for at in "enc:v1:k1:".len()..sealed.len() {
        let mut changed = sealed.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(opener("$.a").open(std::str::from_utf8(&changed).unwrap()).is_err(), "changed at {at}");
    }
    for foreign in
        ["", "secret", "enc:v1:", "enc:v1:k1:", "enc:v1:k1:AAAA", "enc:v1:k1:!", "enc:v2:k1:AAAA", "enc:v1::A"]
    {
        assert!(opener("$.a").open(foreign).is_err(), "{foreign}");
    }
    assert!(Action::Decrypt(opener("$.a")).mask(&Value::Number("1".into())).is_err());
}

#[test]
fn the_same_value_at_another_path_or_of_another_type_encrypts_to_something_else() {
    let sealer = Sealer::new(&KEY, id("k1"), "$.a");
    let sealed = sealer.seal(&text("1")).unwrap();
    assert_ne!(sealed, sealer.seal(&Value::Number("1".into())).unwrap());
    assert_ne!(sealed, Sealer::new(&KEY, id("k1"), "$.b").seal(&text("1")).unwrap());
}

#[test]
fn a_path_binds_by_what_it_names_and_not_by_its_quotes() {
    assert_eq!(context("$['a'][\"b\"].c[0]"), context("$.a.b.c[0]"));
    assert_ne!(context("$.a[0]"), context("$.a['0']"));
    for path in ["$..a", "$.a[*]", "$['a.b']", "$[?@.a]", "$['a", "$."] {
        assert_eq!(context(path), path, "as it is spelt");
    }
}

#[test]
fn an_aes_key_is_32_bytes_in_hexadecimal_or_base64() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    let bytes: [u8; 32] = std::array::from_fn(|at| 255 - u8::try_from(at).unwrap());
    for text in [hex::encode(bytes), STANDARD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes), hex::encode(bytes) + "\n"] {
        assert_eq!(Secret::new(text.clone()).aes256(), Ok(bytes), "{text}");
    }
    for text in ["secret", "00ff", "00000000000000000000000000000000"] {
        assert_eq!(Secret::new(text.into()).aes256(), Err(SecretError::NotAes256));
    }
    assert_eq!(Secret::new(" \n".into()).aes256(), Err(SecretError::Empty));
    assert_eq!(Secret::new(String::new()).bytes(), Err(SecretError::Empty));
}

#[test]
fn nothing_prints_a_key() {
    let secret = Secret::new("hunter2hunter2".into());
    let printed = format!(
        "{secret:?} {:?} {:?} {:?} {:?}",
        Hash::new(b"hunter2", String::new(), 64),
        Tokenise::new(b"hunter2", String::new()),
        Sealer::new(b"hunter2hunter2hunter2hunter2hunt", id("k1"), "$.a"),
        Opener::new([(id("k1"), *b"hunter2hunter2hunter2hunter2hunt")], "$.a"),
    );
    assert!(!printed.contains("hunter2") && !printed.contains("104, 117"), "{printed}");
}

#[test]
fn round_and_truncate_date_refuse_what_they_cannot_read_and_leave_null() {
    let round = Action::Round(Step::decimals(0));
    assert_eq!(round.mask(&Value::Number("1.5".into())), Ok(Masked::Value(Value::Number("2".into()))));
    assert_eq!(round.mask(&text("1.5")), Ok(Masked::Value(text("2"))));
    assert_eq!(round.mask(&Value::Number("2".into())), Ok(Masked::Same));
    assert_eq!(round.mask(&Value::Null), Ok(Masked::Same));
    assert!(round.mask(&text("one")).is_err());
    assert!(round.mask(&Value::Json("[1]".into())).is_err());
    let truncate = Action::TruncateDate(Precision::Year);
    assert_eq!(truncate.mask(&text("1984-06-05")), Ok(Masked::Value(text("1984-01-01"))));
    assert_eq!(truncate.mask(&Value::Null), Ok(Masked::Same));
    assert!(truncate.mask(&Value::Number("1984".into())).is_err());
    let error = truncate.mask(&text("born in 1984")).unwrap_err().to_string();
    assert!(!error.contains("1984"), "{error}");
}
