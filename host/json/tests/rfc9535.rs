//! The examples of RFC 9535, table by table. Results are in document order, and each place once.

use trackside_json::{Limits, Selector};

#[track_caller]
fn check(document: &str, path: &str, expected: &[&str]) {
    let selector = Selector::compile(&[path]).unwrap_or_else(|error| panic!("{error}"));
    let matches = selector.select(document.as_bytes(), &Limits::default()).expect("the document is JSON");
    let found: Vec<_> = matches.iter().map(|place| String::from_utf8_lossy(place.raw(document.as_bytes()))).collect();
    assert_eq!(found, expected, "{path} over {document}");
}

const BOOKS: [&str; 4] = [
    r#"{"category":"reference","author":"Nigel Rees","title":"Sayings of the Century","price":8.95}"#,
    r#"{"category":"fiction","author":"Evelyn Waugh","title":"Sword of Honour","price":12.99}"#,
    r#"{"category":"fiction","author":"Herman Melville","title":"Moby Dick","isbn":"0-553-21311-3","price":8.99}"#,
    r#"{"category":"fiction","author":"J. R. R. Tolkien","title":"The Lord of the Rings","isbn":"0-395-19395-8","price":22.99}"#,
];
const BICYCLE: &str = r#"{"color":"red","price":399}"#;

#[test]
fn table_2_the_book_store() {
    let books = format!("[{}]", BOOKS.join(","));
    let document = format!(r#"{{"store":{{"book":{books},"bicycle":{BICYCLE}}}}}"#);
    let authors = [r#""Nigel Rees""#, r#""Evelyn Waugh""#, r#""Herman Melville""#, r#""J. R. R. Tolkien""#];
    check(&document, "$.store.book[*].author", &authors);
    check(&document, "$..author", &authors);
    check(&document, "$.store.*", &[&books, BICYCLE]);
    check(&document, "$.store..price", &["8.95", "12.99", "8.99", "22.99", "399"]);
    check(&document, "$..book[2]", &[BOOKS[2]]);
    check(&document, "$..book[2].author", &[r#""Herman Melville""#]);
    check(&document, "$..book[2].publisher", &[]);
    check(&document, "$..book[-1]", &[BOOKS[3]]);
    check(&document, "$..book[0,1]", &BOOKS[..2]);
    check(&document, "$..book[:2]", &BOOKS[..2]);
    check(&document, "$..book[?@.isbn]", &BOOKS[2..]);
    check(&document, "$..book[?@.price<10]", &[BOOKS[0], BOOKS[2]]);
    let all = Selector::compile(&["$..*"]).expect("the path is right");
    assert_eq!(all.select(document.as_bytes(), &Limits::default()).expect("the document is JSON").len(), 27);
}

#[test]
fn root_identifier_and_name_selectors() {
    check(r#"{"k":"v"}"#, "$", &[r#"{"k":"v"}"#]);
    let document = r#"{"o":{"j j":{"k.k":3}},"'":{"@":2}}"#;
    check(document, "$.o['j j']", &[r#"{"k.k":3}"#]);
    check(document, "$.o['j j']['k.k']", &["3"]);
    check(document, r#"$.o["j j"]["k.k"]"#, &["3"]);
    check(document, r#"$["'"]["@"]"#, &["2"]);
}

#[test]
fn wildcard_selectors() {
    let document = r#"{"o":{"j":1,"k":2},"a":[5,3]}"#;
    check(document, "$[*]", &[r#"{"j":1,"k":2}"#, "[5,3]"]);
    check(document, "$.o[*]", &["1", "2"]);
    check(document, "$.o[*, *]", &["1", "2"]);
    check(document, "$.a[*]", &["5", "3"]);
}

#[test]
fn index_and_array_slice_selectors() {
    let document = r#"["a","b","c","d","e","f","g"]"#;
    check(r#"["a","b"]"#, "$[1]", &[r#""b""#]);
    check(r#"["a","b"]"#, "$[-2]", &[r#""a""#]);
    check(document, "$[1:3]", &[r#""b""#, r#""c""#]);
    check(document, "$[5:]", &[r#""f""#, r#""g""#]);
    check(document, "$[1:5:2]", &[r#""b""#, r#""d""#]);
    check(document, "$[5:1:-2]", &[r#""d""#, r#""f""#]);
    check(document, "$[::-1]", &[r#""a""#, r#""b""#, r#""c""#, r#""d""#, r#""e""#, r#""f""#, r#""g""#]);
    check(document, "$[::0]", &[]);
}

#[test]
fn table_11_comparisons() {
    let document = r#"{"obj":{"x":"y"},"arr":[2,3]}"#;
    let comparisons = [
        ("$.absent1 == $.absent2", true),
        ("$.absent1 <= $.absent2", true),
        ("$.absent == 'g'", false),
        ("$.absent1 != $.absent2", false),
        ("$.absent != 'g'", true),
        ("1 <= 2", true),
        ("1 > 2", false),
        ("13 == '13'", false),
        ("'a' <= 'b'", true),
        ("'a' > 'b'", false),
        ("$.obj == $.arr", false),
        ("$.obj != $.arr", true),
        ("$.obj == $.obj", true),
        ("$.obj != $.obj", false),
        ("$.arr == $.arr", true),
        ("$.arr != $.arr", false),
        ("$.obj == 17", false),
        ("$.obj != 17", true),
        ("$.obj <= $.arr", false),
        ("$.obj < $.arr", false),
        ("$.obj <= $.obj", true),
        ("$.arr <= $.arr", true),
        ("1 <= $.arr", false),
        ("1 >= $.arr", false),
        ("1 > $.arr", false),
        ("1 < $.arr", false),
        ("true <= true", true),
        ("true > true", false),
    ];
    for (comparison, holds) in comparisons {
        let expected: &[&str] = if holds { &[r#"{"x":"y"}"#, "[2,3]"] } else { &[] };
        check(document, &format!("$[?{comparison}]"), expected);
    }
}

#[test]
fn table_12_filter_selectors() {
    let document = r#"{"a":[3,5,1,2,4,6,{"b":"j"},{"b":"k"},{"b":{}},{"b":"kilo"}],"o":{"p":1,"q":2,"r":3,"s":5,"t":{"u":6}},"e":"f"}"#;
    let a = r#"[3,5,1,2,4,6,{"b":"j"},{"b":"k"},{"b":{}},{"b":"kilo"}]"#;
    let o = r#"{"p":1,"q":2,"r":3,"s":5,"t":{"u":6}}"#;
    let (j, k, empty, kilo) = (r#"{"b":"j"}"#, r#"{"b":"k"}"#, r#"{"b":{}}"#, r#"{"b":"kilo"}"#);
    check(document, "$.a[?@.b == 'kilo']", &[kilo]);
    check(document, "$.a[?(@.b == 'kilo')]", &[kilo]);
    check(document, "$.a[?@>3.5]", &["5", "4", "6"]);
    check(document, "$.a[?@.b]", &[j, k, empty, kilo]);
    check(document, "$[?@.*]", &[a, o]);
    check(document, "$[?@[?@.b]]", &[a]);
    check(document, "$.o[?@<3, ?@<3]", &["1", "2"]);
    check(document, r#"$.a[?@<2 || @.b == "k"]"#, &["1", k]);
    check(document, r#"$.a[?match(@.b, "[jk]")]"#, &[j, k]);
    check(document, r#"$.a[?search(@.b, "[jk]")]"#, &[j, k, kilo]);
    check(document, "$.o[?@>1 && @<4]", &["2", "3"]);
    check(document, "$.o[?@.u || @.x]", &[r#"{"u":6}"#]);
    check(document, "$.a[?@.b == $.x]", &["3", "5", "1", "2", "4", "6"]);
    check(document, "$.a[?@ == @]", &["3", "5", "1", "2", "4", "6", j, k, empty, kilo]);
}

#[test]
fn functions_count_what_the_standard_says() {
    let document = r#"[["a","b"],"😀é",{"x":1},7,[]]"#;
    check(document, "$[?length(@) == 2]", &[r#"["a","b"]"#, r#""😀é""#]);
    check(document, "$[?length(@) < 2]", &[r#"{"x":1}"#, "[]"]);
    check(document, "$[?length(@.nothing) == length(@.none)]", &[r#"["a","b"]"#, r#""😀é""#, r#"{"x":1}"#, "7", "[]"]);
    check(document, "$[?count(@.*) == 2]", &[r#"["a","b"]"#]);
    check(document, "$[?count(@['x','x']) == 2]", &[r#"{"x":1}"#]);
    check(document, "$[?value(@..x) == 1]", &[r#"{"x":1}"#]);
    check(document, "$[?value(@['x','x']) == 1]", &[]);
    // The 1 is found below the array as a whole and below its element.
    check("[[[[1]]]]", "$[?count(@..*..*) == 3]", &["[[[1]]]"]);
    check("[[[[1]]]]", "$[?count(@..*..*..*) == 1]", &["[[[1]]]"]);
}

#[test]
fn child_and_descendant_segments() {
    let document = r#"{"o":{"j":1,"k":2},"a":[5,3,[{"j":4},{"k":6}]]}"#;
    check(document, "$..j", &["1", "4"]);
    check(document, "$..[0]", &["5", r#"{"j":4}"#]);
    check(document, "$..o", &[r#"{"j":1,"k":2}"#]);
    check(document, "$.o..[*, *]", &["1", "2"]);
    check(document, "$.a..[0, 1]", &["5", "3", r#"{"j":4}"#, r#"{"k":6}"#]);
    check(r#"["a","b","c","d","e","f","g"]"#, "$[0:2, 5]", &[r#""a""#, r#""b""#, r#""f""#]);
    check(r#"["a","b"]"#, "$[0, 0]", &[r#""a""#]);
}

#[test]
fn null_is_a_value_like_others() {
    let document = r#"{"a":null,"b":[null],"c":[{}],"null":1}"#;
    check(document, "$.a", &["null"]);
    check(document, "$.a[0]", &[]);
    check(document, "$.a.d", &[]);
    check(document, "$.b[0]", &["null"]);
    check(document, "$.b[?@]", &["null"]);
    check(document, "$.b[?@==null]", &["null"]);
    check(document, "$.c[?@.d==null]", &[]);
    check(document, "$.null", &["1"]);
}
