//! Filters: logic, comparisons, and the functions of RFC 9535, section 2.4.

use super::cursor::Wrong;
use super::parser::Reader;
use super::{Comparable, Comparison, Logical, Origin, Pattern, Probe};

/// How deep filters, parentheses and functions may nest in a path.
const MAX_NESTING: u32 = 64;

const OPERATORS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

/// An operand, before it is known whether it is compared or tested.
enum Operand {
    Literal(Comparable),
    Query(Probe),
    Function(Comparable),
    Test(Logical),
}

impl Reader<'_, '_> {
    /// An expression with `||`, which binds least.
    pub(super) fn logical(&mut self) -> Result<Logical, Wrong> {
        self.nest(|reader| {
            let mut any = vec![reader.conjunction()?];
            while reader.cursor.eat_spaced("||") {
                reader.cursor.space();
                any.push(reader.conjunction()?);
            }
            Ok(if any.len() == 1 { any.remove(0) } else { Logical::Or(any) })
        })
    }

    fn nest<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Wrong>) -> Result<T, Wrong> {
        if self.depth == MAX_NESTING {
            return Err(self.cursor.wrong(format!("expected no more than {MAX_NESTING} levels of nesting")));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn conjunction(&mut self) -> Result<Logical, Wrong> {
        let mut all = vec![self.basic()?];
        while self.cursor.eat_spaced("&&") {
            self.cursor.space();
            all.push(self.basic()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Logical::And(all) })
    }

    /// A comparison, a test, or an expression in parentheses.
    fn basic(&mut self) -> Result<Logical, Wrong> {
        let negated = self.cursor.eat("!");
        if negated {
            self.cursor.space();
        }
        if self.cursor.eat("(") {
            self.cursor.space();
            let inner = self.logical()?;
            self.cursor.space();
            self.cursor.expect(")")?;
            return Ok(negate_if(negated, inner));
        }
        let at = self.cursor.at();
        let left = self.operand()?;
        if negated {
            return Ok(negate_if(true, self.test(at, left)?));
        }
        let after = self.cursor.at();
        self.cursor.space();
        let Some(&(token, comparison)) = OPERATORS.iter().find(|(token, _)| self.cursor.rest().starts_with(token))
        else {
            self.cursor.rewind(after);
            return self.test(at, left);
        };
        let left = self.comparable(at, left)?;
        self.cursor.advance(token.len());
        self.cursor.space();
        let at = self.cursor.at();
        let right = self.operand()?;
        let right = self.comparable(at, right)?;
        Ok(Logical::Compare(left, comparison, right))
    }

    fn test(&self, at: usize, operand: Operand) -> Result<Logical, Wrong> {
        match operand {
            Operand::Query(probe) => Ok(Logical::Exists(probe)),
            Operand::Test(test) => Ok(test),
            Operand::Literal(_) => {
                Err(Wrong { at, problem: "expected a literal to be compared with something".into() })
            }
            Operand::Function(_) => {
                Err(Wrong { at, problem: "expected what this function gives to be compared with something".into() })
            }
        }
    }

    fn comparable(&self, at: usize, operand: Operand) -> Result<Comparable, Wrong> {
        match operand {
            Operand::Literal(literal) => Ok(literal),
            Operand::Function(function) => Ok(function),
            Operand::Query(probe) if probe.query.is_singular() => Ok(Comparable::Value(probe)),
            Operand::Query(_) => {
                let problem = "expected a path with names and indices only, for what it finds is one value here";
                Err(Wrong { at, problem: problem.into() })
            }
            Operand::Test(_) => Err(Wrong {
                at,
                problem: "expected a value here, not `match` or `search`, which are true or false".into(),
            }),
        }
    }

    fn operand(&mut self) -> Result<Operand, Wrong> {
        match self.cursor.peek() {
            Some('@' | '$') => self.probe().map(Operand::Query),
            Some('\'' | '"') => Ok(Operand::Literal(Comparable::Text(self.cursor.string()?.into()))),
            Some('-' | '0'..='9') => self.number().map(Operand::Literal),
            Some('a'..='z') => self.word(),
            _ => Err(self.cursor.wrong("expected `@`, `$`, a literal, a function, `!` or `(`")),
        }
    }

    /// A query that starts at the current node or at the root.
    fn probe(&mut self) -> Result<Probe, Wrong> {
        let origin = if self.cursor.eat("@") {
            Origin::Current
        } else {
            if !self.cursor.eat("$") {
                return Err(self.cursor.wrong("expected a path that starts with `@` or `$`"));
            }
            self.parser.roots += 1;
            Origin::Root(self.parser.roots - 1)
        };
        Ok(Probe { origin, query: self.nest(Self::segments)? })
    }

    fn number(&mut self) -> Result<Comparable, Wrong> {
        let start = self.cursor.at();
        let spelling = self.cursor.rest();
        if !self.cursor.eat("-0") {
            // A number is an integer with more behind it, but may be longer than an index.
            self.cursor.eat("-");
            let digits = self.cursor.take_while(|character| character.is_ascii_digit());
            if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
                return Err(Wrong { at: start, problem: "expected a number without leading zeros".into() });
            }
        }
        if self.cursor.eat(".") {
            self.digits()?;
        }
        if self.cursor.eat("e") || self.cursor.eat("E") {
            let _signed = self.cursor.eat("+") || self.cursor.eat("-");
            self.digits()?;
        }
        Ok(Comparable::Number(spelling[..self.cursor.at() - start].into()))
    }

    fn digits(&mut self) -> Result<(), Wrong> {
        match self.cursor.take_while(|character| character.is_ascii_digit()) {
            "" => Err(self.cursor.wrong("expected a digit")),
            _ => Ok(()),
        }
    }

    /// `true`, `false`, `null`, or a function.
    fn word(&mut self) -> Result<Operand, Wrong> {
        let at = self.cursor.at();
        let word = self.cursor.take_while(|character| matches!(character, 'a'..='z' | '0'..='9' | '_'));
        if self.cursor.eat("(") {
            self.cursor.space();
            let function = self.nest(|reader| reader.function(at, word))?;
            self.cursor.space();
            self.cursor.expect(")")?;
            return Ok(function);
        }
        match word {
            "true" => Ok(Operand::Literal(Comparable::Boolean(true))),
            "false" => Ok(Operand::Literal(Comparable::Boolean(false))),
            "null" => Ok(Operand::Literal(Comparable::Null)),
            _ => Err(Wrong {
                at,
                problem: "expected `true`, `false`, `null` or a function with `(` right after it".into(),
            }),
        }
    }

    fn function(&mut self, at: usize, name: &str) -> Result<Operand, Wrong> {
        match name {
            "length" => Ok(Operand::Function(Comparable::Length(Box::new(self.argument()?)))),
            "count" => Ok(Operand::Function(Comparable::Count(self.probe()?))),
            "value" => Ok(Operand::Function(Comparable::Only(self.probe()?))),
            "match" | "search" => {
                let subject = self.argument()?;
                self.cursor.space();
                self.cursor.expect(",")?;
                self.cursor.space();
                let at = self.cursor.at();
                let pattern = self.argument()?;
                let pattern = Pattern::new(pattern, name == "match", self.parser);
                Ok(Operand::Test(Logical::Matches(subject, pattern.map_err(|problem| Wrong { at, problem })?)))
            }
            _ => {
                let problem = "expected one of the functions length, count, match, search and value";
                Err(Wrong { at, problem: problem.into() })
            }
        }
    }

    /// An argument that is one value.
    fn argument(&mut self) -> Result<Comparable, Wrong> {
        let at = self.cursor.at();
        let operand = self.operand()?;
        self.comparable(at, operand)
    }
}

fn negate_if(negated: bool, inner: Logical) -> Logical {
    if negated { Logical::Not(Box::new(inner)) } else { inner }
}
