//! Going over a payload with a program.

use super::names::{Key, Seen};
use super::number::Number;
use super::{ArrayRules, Beside, Node, NodeId, ObjectRules, Options, Program, TextRules, Types};

/// Why a value is not known to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It does not match.
    Invalid,
    /// It has to be asked elsewhere, if only because the payload is malformed.
    Unsure,
}

type Checked = Result<(), Stop>;

/// How deep a payload may nest: one level less than the reader of documents takes.
const MAX_DEPTH: u32 = 126;
/// How deep schemas and payload together may nest, so that references in a circle have an end.
const MAX_FRAMES: u32 = 300;
/// How often the payload's bytes are gone over again at most, because several schemas look at them.
const MAX_AGAIN: usize = 16;
/// So many keys are compared with each other; more are sorted.
const FEW_KEYS: usize = 12;

impl Program {
    /// Whether the payload surely matches.
    pub(crate) fn accepts(&self, payload: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(payload) else { return false };
        let mut check = Check {
            nodes: &self.nodes,
            text,
            bytes: payload,
            at: 0,
            depth: 0,
            frames: 0,
            again: 0,
            is_ascii: payload.is_ascii(),
            keys: Vec::new(),
        };
        check.space();
        check.value(self.root).is_ok() && {
            check.space();
            check.at == payload.len()
        }
    }
}

struct Check<'p> {
    nodes: &'p [Node],
    text: &'p str,
    bytes: &'p [u8],
    at: usize,
    depth: u32,
    frames: u32,
    again: usize,
    is_ascii: bool,
    /// The keys so far of the objects that are open, but for those that a schema names.
    keys: Vec<Key<'p>>,
}

/// A string: where its inside is, and whether it has escapes.
#[derive(Clone, Copy)]
struct Quoted {
    start: usize,
    end: usize,
    escaped: bool,
}

impl<'p> Check<'p> {
    fn value(&mut self, id: NodeId) -> Checked {
        let node = &self.nodes[id];
        self.frames += 1;
        if self.frames > MAX_FRAMES {
            return Err(Stop::Unsure);
        }
        let start = self.at;
        if node.is_own {
            self.own(node)?;
        }
        if let Some(beside) = &node.beside {
            self.beside(beside, start)?;
        }
        self.frames -= 1;
        Ok(())
    }

    fn beside(&mut self, beside: &Beside, start: usize) -> Checked {
        for id in &beside.all {
            self.back(start)?;
            self.value(*id)?;
        }
        let (keys, depth, frames) = (self.keys.len(), self.depth, self.frames);
        for id in &beside.any {
            self.back(start)?;
            match self.value(*id) {
                Err(Stop::Invalid) => {
                    self.keys.truncate(keys);
                    (self.depth, self.frames) = (depth, frames);
                }
                done => return done,
            }
        }
        if beside.any.is_empty() { Ok(()) } else { Err(Stop::Invalid) }
    }

    /// Goes back to where a value begins.
    fn back(&mut self, start: usize) -> Checked {
        self.again += self.at - start;
        self.at = start;
        if self.again > MAX_AGAIN * self.bytes.len() { Err(Stop::Unsure) } else { Ok(()) }
    }

    #[inline]
    fn own(&mut self, node: &Node) -> Checked {
        let options = node.options.as_deref();
        match self.peek() {
            b'"' => {
                allow(node.types, Types::TEXT)?;
                let quoted = self.string()?;
                if node.text.is_some() || options.is_some() {
                    self.check_text(quoted, node.text.as_deref(), options)?;
                }
                Ok(())
            }
            b'{' => {
                allow(node.types, Types::OBJECT)?;
                refuse(options)?;
                self.object(node.object.as_deref())
            }
            b'[' => {
                allow(node.types, Types::ARRAY)?;
                refuse(options)?;
                self.array(node.array.as_deref())
            }
            b'n' => self.word(b"null", node.types, Types::NULL, options.is_none_or(|options| options.null)),
            b't' => self.word(b"true", node.types, Types::BOOLEAN, options.is_none_or(|options| options.yes)),
            b'f' => self.word(b"false", node.types, Types::BOOLEAN, options.is_none_or(|options| options.no)),
            _ => {
                let (number, end) = Number::read(self.bytes, self.at)?;
                self.at = end;
                allow(node.types, number.types())?;
                if let Some(limits) = &node.numbers {
                    limits.check(number)?;
                }
                options.map_or(Ok(()), |options| options.check_number(number))
            }
        }
    }

    fn check_text(&self, quoted: Quoted, rules: Option<&TextRules>, options: Option<&Options>) -> Checked {
        let plain: String;
        let text = if quoted.escaped {
            let with_quotes = &self.bytes[quoted.start - 1..=quoted.end];
            plain = serde_json::from_slice(with_quotes).map_err(|_| Stop::Unsure)?;
            &plain
        } else {
            &self.text[quoted.start..quoted.end]
        };
        if options.is_some_and(|options| !options.texts.iter().any(|option| **option == *text)) {
            return Err(Stop::Invalid);
        }
        let Some(rules) = rules else { return Ok(()) };
        if rules.min > 0 || rules.max < usize::MAX {
            let length = if self.is_ascii && !quoted.escaped { text.len() } else { text.chars().count() };
            within(length, rules.min, rules.max)?;
        }
        rules.patterns.iter().try_for_each(|pattern| pattern.check(text))
    }

    fn object(&mut self, rules: Option<&ObjectRules>) -> Checked {
        self.enter()?;
        let mark = self.keys.len();
        let mut seen = Seen::default();
        let mut count = 0;
        self.at += 1;
        self.space();
        if self.peek() == b'}' {
            self.at += 1;
        } else {
            loop {
                if self.peek() != b'"' {
                    return Err(Stop::Unsure);
                }
                let quoted = self.string()?;
                if quoted.escaped {
                    return Err(Stop::Unsure);
                }
                let bytes: &'p [u8] = self.bytes;
                let key = Key::new(&bytes[quoted.start..quoted.end]);
                let node = match rules.map(|rules| (rules, rules.names.find(key))) {
                    Some((_, Some((place, name)))) => {
                        if !seen.add(place) {
                            return Err(Stop::Unsure);
                        }
                        name.node
                    }
                    Some((rules, None)) => {
                        self.keys.push(key);
                        rules.others
                    }
                    None => {
                        self.keys.push(key);
                        super::ANYTHING
                    }
                };
                self.space();
                self.expect(b':')?;
                self.space();
                self.value(node)?;
                count += 1;
                if !self.goes_on(b'}')? {
                    break;
                }
            }
        }
        self.check_distinct(mark)?;
        self.keys.truncate(mark);
        self.depth -= 1;
        let Some(rules) = rules else { return Ok(()) };
        within(count, rules.min, rules.max)?;
        if rules.names.are_complete(&seen) { Ok(()) } else { Err(Stop::Invalid) }
    }

    /// Whether no key of the innermost object repeats. Those that a schema names were looked at before.
    fn check_distinct(&mut self, mark: usize) -> Checked {
        let keys = &mut self.keys[mark..];
        let repeats = if keys.len() <= FEW_KEYS {
            keys.iter().enumerate().any(|(index, key)| keys[..index].contains(key))
        } else {
            keys.sort_unstable();
            keys.windows(2).any(|pair| pair[0] == pair[1])
        };
        if repeats { Err(Stop::Unsure) } else { Ok(()) }
    }

    fn array(&mut self, rules: Option<&ArrayRules>) -> Checked {
        self.enter()?;
        let mut count = 0;
        self.at += 1;
        self.space();
        if self.peek() == b']' {
            self.at += 1;
        } else {
            loop {
                let node = rules.map_or(super::ANYTHING, |rules| *rules.first.get(count).unwrap_or(&rules.rest));
                self.value(node)?;
                count += 1;
                if !self.goes_on(b']')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        rules.map_or(Ok(()), |rules| within(count, rules.min, rules.max))
    }

    fn enter(&mut self) -> Checked {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Stop::Unsure) } else { Ok(()) }
    }

    /// Whether there is another member or element; past the end if not.
    #[inline]
    fn goes_on(&mut self, end: u8) -> Result<bool, Stop> {
        self.space();
        let byte = self.peek();
        self.at += 1;
        match byte {
            b',' => {
                self.space();
                Ok(true)
            }
            byte if byte == end => Ok(false),
            _ => Err(Stop::Unsure),
        }
    }

    /// Reads the string that begins here.
    #[inline]
    fn string(&mut self) -> Result<Quoted, Stop> {
        let start = self.at + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            at = plain_end(self.bytes, at);
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at = escape_end(self.bytes, at)?;
                }
                _ => return Err(Stop::Unsure),
            }
        }
        self.at = at + 1;
        Ok(Quoted { start, end: at, escaped })
    }

    fn word(&mut self, word: &[u8], types: Types, kind: Types, is_option: bool) -> Checked {
        allow(types, kind)?;
        if !self.bytes[self.at..].starts_with(word) {
            return Err(Stop::Unsure);
        }
        self.at += word.len();
        if is_option { Ok(()) } else { Err(Stop::Invalid) }
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Checked {
        if self.peek() != byte {
            return Err(Stop::Unsure);
        }
        self.at += 1;
        Ok(())
    }

    /// The byte that is next; zero, which is nothing in JSON, at the end.
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }
}

impl Options {
    fn check_number(&self, number: Number) -> Checked {
        for option in &self.numbers {
            if number.compare(*option)?.is_eq() {
                return Ok(());
            }
        }
        Err(Stop::Invalid)
    }
}

fn allow(types: Types, kind: Types) -> Checked {
    if types.has(kind) { Ok(()) } else { Err(Stop::Invalid) }
}

/// No array or object is among options, which are scalars.
fn refuse(options: Option<&Options>) -> Checked {
    if options.is_none() { Ok(()) } else { Err(Stop::Invalid) }
}

fn within(count: usize, min: usize, max: usize) -> Checked {
    if (min..=max).contains(&count) { Ok(()) } else { Err(Stop::Invalid) }
}

/// Where a run of characters that stand for themselves in a string ends.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*word);
        // A byte's top bit is set where the byte is zero; perhaps in bytes after that one as well.
        let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let ends = (zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c)) | controls) & TOPS;
        if ends != 0 {
            return at + ends.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        at += 1;
    }
    at
}

/// The end of the escape that begins at `at`.
fn escape_end(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    let unit = |at: usize| {
        let hex = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        hex.iter().try_fold(0, |unit, byte| Some(unit << 4 | char::from(*byte).to_digit(16)?))
    };
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match (unit(at), unit(at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => Ok(at + 12),
            (Some(0..=0xD7FF | 0xE000..), _) => Ok(at + 6),
            _ => Err(Stop::Unsure),
        },
        _ => Err(Stop::Unsure),
    }
}
