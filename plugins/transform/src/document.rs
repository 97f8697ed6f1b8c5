//! A JSON document that can be changed in places while everything else keeps its spelling.
//!
//! Numbers and strings keep theirs, members their order and their repeats; white space between tokens is not kept.

use std::borrow::Cow;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Null,
    Boolean(bool),
    /// As it is spelt.
    Number(String),
    Text(Text),
    Array(Vec<Node>),
    Object(Vec<Member>),
}

/// A member of an object. A key may repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: Text,
    pub(crate) value: Node,
}

/// A string, as it is spelt between its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        let quoted = serde_json::Value::from(text).to_string();
        Self(quoted[1..quoted.len() - 1].to_owned())
    }

    pub(crate) fn plain(&self) -> Cow<'_, str> {
        if !self.0.contains('\\') {
            return Cow::Borrowed(&self.0);
        }
        let plain = serde_json::from_str(&format!("\"{}\"", self.0));
        Cow::Owned(plain.expect("it was cut from a well-formed document, or escaped by `new`"))
    }
}

impl Node {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(Text::new(text))
    }

    /// Reads a JSON text. `None` if it is not well-formed, which the host has ruled out for a payload.
    pub(crate) fn parse(json: &str) -> Option<Self> {
        let mut parser = Parser { json, at: 0 };
        let node = parser.value()?;
        parser.white_space();
        (parser.at == json.len()).then_some(node)
    }

    pub(crate) fn print(&self) -> String {
        let mut out = String::new();
        self.print_to(&mut out);
        out
    }

    fn print_to(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(spelling) => out.push_str(spelling),
            Self::Text(text) => quoted(text, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.print_to(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, member) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quoted(&member.key, out);
                    out.push(':');
                    member.value.print_to(out);
                }
                out.push('}');
            }
        }
    }

    /// Its type by the name that JSON Schema gives it, for messages that must not show the value.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// What a text that it is put into shows of it: a string as it is, everything else as JSON.
    pub(crate) fn spelling(&self) -> Cow<'_, str> {
        match self {
            Self::Number(spelling) => Cow::Borrowed(spelling),
            Self::Text(text) => text.plain(),
            other => Cow::Owned(other.print()),
        }
    }

    /// The member of this key; the last one, as most readers of JSON have it, if the key repeats.
    pub(crate) fn member(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().rev().find(|member| member.key.plain() == key).map(|m| &m.value),
            _ => None,
        }
    }
}

/// Puts a member where the last one of its key is, and removes the others, or at the end.
pub(crate) fn put<'m>(members: &'m mut Vec<Member>, key: &str, value: Node) -> &'m mut Node {
    let place = members.iter().rposition(|member| member.key.plain() == key);
    let place = match place {
        Some(last) => {
            members[last].value = value;
            let mut index = 0;
            let mut before = 0;
            members.retain(|member| {
                let keep = index >= last || member.key.plain() != key;
                before += usize::from(keep && index < last);
                index += 1;
                keep
            });
            before
        }
        None => {
            members.push(Member { key: Text::new(key), value });
            members.len() - 1
        }
    };
    &mut members[place].value
}

fn quoted(text: &Text, out: &mut String) {
    out.push('"');
    out.push_str(&text.0);
    out.push('"');
}

/// Reads what the host has found to be well-formed. Its depth is the host's limit for payloads.
struct Parser<'j> {
    json: &'j str,
    at: usize,
}

impl Parser<'_> {
    fn value(&mut self) -> Option<Node> {
        self.white_space();
        Some(match self.peek()? {
            b'{' => self.object()?,
            b'[' => self.array()?,
            b'"' => Node::Text(self.string()?),
            b'n' => self.word("null", Node::Null)?,
            b't' => self.word("true", Node::Boolean(true))?,
            b'f' => self.word("false", Node::Boolean(false))?,
            _ => self.number()?,
        })
    }

    fn object(&mut self) -> Option<Node> {
        let mut members = Vec::new();
        self.at += 1;
        self.white_space();
        while self.peek()? != b'}' {
            if !members.is_empty() {
                self.expect(b',')?;
                self.white_space();
            }
            let key = self.string()?;
            self.white_space();
            self.expect(b':')?;
            members.push(Member { key, value: self.value()? });
            self.white_space();
        }
        self.at += 1;
        Some(Node::Object(members))
    }

    fn array(&mut self) -> Option<Node> {
        let mut items = Vec::new();
        self.at += 1;
        self.white_space();
        while self.peek()? != b']' {
            if !items.is_empty() {
                self.expect(b',')?;
            }
            items.push(self.value()?);
            self.white_space();
        }
        self.at += 1;
        Some(Node::Array(items))
    }

    fn string(&mut self) -> Option<Text> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.peek()? {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        let raw = self.json.get(start..self.at)?;
        self.at += 1;
        Some(Text(raw.to_owned()))
    }

    fn number(&mut self) -> Option<Node> {
        let rest = &self.json.as_bytes()[self.at..];
        let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = rest.iter().take_while(is_part).count();
        let spelling = self.json.get(self.at..self.at + length).filter(|spelling| !spelling.is_empty())?;
        self.at += length;
        Some(Node::Number(spelling.to_owned()))
    }

    fn word(&mut self, word: &str, node: Node) -> Option<Node> {
        self.json[self.at..].starts_with(word).then_some(())?;
        self.at += word.len();
        Some(node)
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then_some(())?;
        self.at += 1;
        Some(())
    }

    fn white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spelling_order_and_repeats_are_kept() {
        let json = r#" { "b" : 1.50E+3 , "a":["\u00e9\/", -0, true,false,null ,{},[]], "b":"x" } "#;
        let node = Node::parse(json).unwrap();
        assert_eq!(node.print(), r#"{"b":1.50E+3,"a":["\u00e9\/",-0,true,false,null,{},[]],"b":"x"}"#);
        assert_eq!(node.member("b"), Some(&Node::text("x")));
        assert_eq!(Node::parse(&node.print()), Some(node));
    }

    #[test]
    fn put_replaces_the_last_member_of_its_key_and_removes_the_others() {
        let Some(Node::Object(mut members)) = Node::parse(r#"{"a":1,"b":2,"\u0061":3,"c":4}"#) else { panic!() };
        *put(&mut members, "a", Node::Null) = Node::Boolean(true);
        put(&mut members, "d\"", Node::Null);
        assert_eq!(Node::Object(members).print(), r#"{"b":2,"\u0061":true,"c":4,"d\"":null}"#);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,40}|\\PC{0,40}") {
            if let Some(node) = Node::parse(&text) {
                node.print();
            }
        }

        #[test]
        fn a_text_comes_back_as_it_was(text in any::<String>()) {
            let spelt = Text::new(&text);
            prop_assert_eq!(spelt.plain(), text.as_str());
        }
    }
}
