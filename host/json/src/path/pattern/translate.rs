//! From an I-Regexp to the syntax of crate `regex`, which has more, and gives some characters another meaning.
//!
//! `^` and `$` outside of brackets are anchors, as RFC 9485's own mapping to ECMAScript has them.

use std::iter::Peekable;
use std::str::Chars;

/// The general categories that `\p` may name: a letter, and the letters that may follow it.
const CATEGORIES: [(char, &str); 7] =
    [('L', "lmotu"), ('M', "cen"), ('N', "dlo"), ('P', "cdefios"), ('Z', "lps"), ('S', "ckmo"), ('C', "cfno")];

/// Translates a pattern. The error says what is wrong with it, in a sentence.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut translator = Translator { rest: pattern.chars().peekable(), out: String::with_capacity(2 * pattern.len()) };
    translator.expression()?;
    Ok(translator.out)
}

struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Translator<'_> {
    fn expression(&mut self) -> Result<(), String> {
        let mut groups = 0_u32;
        // Whether there is something here that a quantifier can repeat.
        let mut atom = false;
        while let Some(character) = self.rest.next() {
            let repeats = matches!(character, '*' | '+' | '?' | '{');
            if repeats && !atom {
                return Err(format!("`{character}` repeats nothing here"));
            }
            match character {
                '*' | '+' | '?' => self.out.push(character),
                '{' => self.repetition()?,
                '(' => {
                    groups += 1;
                    self.out.push_str("(?:");
                }
                ')' if groups == 0 => return Err("a `)` closes nothing".to_owned()),
                ')' => {
                    groups -= 1;
                    self.out.push(')');
                }
                '|' => self.out.push('|'),
                '.' => self.out.push_str(r"[^\n\r]"),
                '^' => self.out.push_str("(?:^)"),
                '$' => self.out.push_str("(?:$)"),
                '[' => self.class()?,
                '\\' => self.escape()?,
                ']' | '}' => return Err(format!("write `\\{character}` for the character itself")),
                plain => self.plain(plain),
            }
            atom = !repeats && !matches!(character, '(' | '|');
        }
        if groups > 0 { Err("a `(` is not closed".to_owned()) } else { Ok(()) }
    }

    /// A character that stands for itself.
    fn plain(&mut self, character: char) {
        self.out.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
    }

    /// `{n}`, `{n,}` or `{n,m}`, after its first brace.
    fn repetition(&mut self) -> Result<(), String> {
        let mut inside = String::new();
        loop {
            match self.rest.next() {
                Some('}') => break,
                Some(character @ ('0'..='9' | ',')) => inside.push(character),
                _ => return Err("write a repetition as `{2}`, `{2,}` or `{2,3}`".to_owned()),
            }
        }
        let (least, most) = inside.split_once(',').unwrap_or((&inside, ""));
        if least.is_empty() || most.contains(',') {
            return Err("write a repetition as `{2}`, `{2,}` or `{2,3}`".to_owned());
        }
        self.out.push_str(&format!("{{{inside}}}"));
        Ok(())
    }

    /// An escape, after its backslash.
    fn escape(&mut self) -> Result<(), String> {
        match self.rest.peek() {
            Some(&category @ ('p' | 'P')) => {
                self.rest.next();
                self.category(category)
            }
            _ => {
                let character = self.single()?;
                self.plain(character);
                Ok(())
            }
        }
    }

    /// The character that an escape stands for.
    fn single(&mut self) -> Result<char, String> {
        match self.rest.next() {
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some(plain @ ('('..='+' | '-' | '.' | '?' | '['..='^' | '{'..='}')) => Ok(plain),
            Some('d') => Err("`\\d` is not part of it: write `[0-9]`".to_owned()),
            Some('w') => Err("`\\w` is not part of it: write `[A-Za-z0-9_]`".to_owned()),
            Some('s') => Err("`\\s` is not part of it: write `[ \\t\\n\\r]`".to_owned()),
            Some('$') => Err("`\\$` is not part of it: write `[$]`".to_owned()),
            Some(other) => Err(format!("the escape `\\{other}` is not part of it")),
            None => Err("it ends in a backslash".to_owned()),
        }
    }

    /// `{Lu}` and the like, after `\p` or `\P`.
    fn category(&mut self, sign: char) -> Result<(), String> {
        let mut name = String::new();
        let braced = self.rest.next() == Some('{');
        while let Some(character) = self.rest.next_if(char::is_ascii_alphabetic) {
            name.push(character);
        }
        let closed = self.rest.next() == Some('}');
        let mut letters = name.chars();
        let minors = letters.next().and_then(|major| CATEGORIES.iter().find(|(letter, _)| *letter == major));
        let known = minors.is_some_and(|(_, minors)| match (letters.next(), letters.next()) {
            (None, _) => true,
            (Some(minor), None) => minors.contains(minor),
            _ => false,
        });
        if !braced || !closed || !known {
            return Err(format!("write a general category of Unicode after `\\{sign}`, as in `\\{sign}{{Lu}}`"));
        }
        self.out.push_str(&format!("\\{sign}{{{name}}}"));
        Ok(())
    }

    /// A class, after its first bracket.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            match self.rest.next() {
                Some(']') if !first => break,
                Some('-') if first || self.rest.peek() == Some(&']') => self.out.push_str("\\-"),
                Some('\\') if matches!(self.rest.peek(), Some('p' | 'P')) => self.escape()?,
                Some('[' | ']' | '-') => return Err("write `[`, `]` and `-` in brackets with a backslash".to_owned()),
                Some(character) => self.range(character)?,
                None => return Err("a `[` is not closed".to_owned()),
            }
            first = false;
        }
        self.out.push(']');
        Ok(())
    }

    /// One character of a class, or a range that starts with it.
    fn range(&mut self, from: char) -> Result<(), String> {
        let from = if from == '\\' { self.single()? } else { from };
        self.class_character(from);
        let mut ahead = self.rest.clone();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|next| next != ']') {
            self.rest.next();
            let to = match self.rest.next() {
                Some('\\') => self.single()?,
                Some(character) if !matches!(character, '[' | '-') => character,
                _ => return Err("write `[`, `]` and `-` in brackets with a backslash".to_owned()),
            };
            self.out.push('-');
            self.class_character(to);
        }
        Ok(())
    }

    /// A character that stands for itself in a class, where more of them are special.
    fn class_character(&mut self, character: char) {
        self.out.push_str(&format!("\\x{{{:X}}}", u32::from(character)));
    }
}
