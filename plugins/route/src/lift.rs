//! Takes the parts of the message that a condition reads out of its expression.
//!
//! `body.amount >= 1000 && headers.Region == "eu"` becomes `@0 >= 1000 && @1 == "eu"`, with a list of what the slots
//! stand for. The host then finds just those members in the payload, and looks headers up without regard to case,
//! where an interpreter would have to be given all of both.

use std::sync::Arc;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};
use cel::common::types::CelInt;
use cel::{Context, Env};
use regex_lite::Regex;

/// A part of the message that a condition reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The subject.
    Subject,
    /// The value of a header.
    Header(String),
    /// Whether there is such a header.
    HasHeader(String),
    /// All headers, as a map.
    Headers,
    /// The value at a JSONPath, which is a plain sequence of names and indices.
    Body(String),
    /// Whether there is a value at it.
    HasBody(String),
}

/// What is wrong with a condition, and with which node of it.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) node: u64,
    pub(crate) text: String,
}

/// Lifts the conditions of a stage one by one; equal slots of different conditions are one.
pub(crate) struct Lifter {
    env: Arc<Env>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) patterns: Vec<Regex>,
    /// The variables of the macros that enclose the node at hand.
    scope: Vec<String>,
    /// The slots of the condition at hand.
    used: Vec<usize>,
}

/// The function that stands for `matches` with a compiled pattern.
pub(crate) const MATCHES: &str = "@matches";

/// How deep an expression may be, since it is walked recursively and a plugin's stack is small. The parser bounds
/// parentheses by itself, but not `a + a + a`.
const MAX_NESTING: usize = 100;

/// The variable that stands for a slot.
pub(crate) fn variable(slot: usize) -> String {
    format!("@{slot}")
}

/// The slot that a variable stands for, if it does for one: no name that can be written begins like these.
pub(crate) fn slot_of_variable(name: &str) -> Option<usize> {
    name.strip_prefix('@')?.parse().ok()
}

impl Lifter {
    pub(crate) fn new(env: Arc<Env>) -> Self {
        Self { env, slots: Vec::new(), patterns: Vec::new(), scope: Vec::new(), used: Vec::new() }
    }

    /// Lifts one condition: what is left of it, and its slots in ascending order.
    pub(crate) fn lift(&mut self, expr: &IdedExpr) -> Result<(IdedExpr, Vec<usize>), Problem> {
        if is_deeper(expr, MAX_NESTING) {
            return Err(problem(expr.id, format!("it nests more than {MAX_NESTING} operations; make it simpler")));
        }
        let lifted = self.expr(expr)?;
        let mut used = std::mem::take(&mut self.used);
        used.sort_unstable();
        used.dedup();
        Ok((lifted, used))
    }

    /// Recursion is bounded by [`MAX_NESTING`].
    fn expr(&mut self, expr: &IdedExpr) -> Result<IdedExpr, Problem> {
        if let Some(slot) = self.slot(expr) {
            return Ok(IdedExpr { id: expr.id, expr: Expr::Ident(variable(self.number(slot))) });
        }
        let lifted = match &expr.expr {
            Expr::Ident(name) => {
                self.check_variable(expr.id, name)?;
                Expr::Ident(name.clone())
            }
            Expr::Select(select) => {
                Expr::Select(SelectExpr { operand: Box::new(self.expr(&select.operand)?), ..select.clone() })
            }
            Expr::Call(call) => self.call(expr.id, call)?,
            Expr::List(list) => {
                let mut list = list.clone();
                list.elements.iter_mut().try_for_each(|element| self.in_place(element))?;
                Expr::List(list)
            }
            Expr::Map(map) => {
                let mut map = map.clone();
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.in_place(&mut entry.key)?;
                        self.in_place(&mut entry.value)?;
                    }
                }
                Expr::Map(map)
            }
            Expr::Comprehension(comprehension) => self.comprehension(expr.id, comprehension)?,
            Expr::Struct(_) => return Err(problem(expr.id, "there are no message types here")),
            Expr::Literal(_) | Expr::Unspecified => expr.expr.clone(),
        };
        Ok(IdedExpr { id: expr.id, expr: lifted })
    }

    fn in_place(&mut self, expr: &mut IdedExpr) -> Result<(), Problem> {
        *expr = self.expr(expr)?;
        Ok(())
    }

    fn call(&mut self, node: u64, call: &CallExpr) -> Result<Expr, Problem> {
        let name = call.func_name.as_str();
        let mut lifted = call.clone();
        lifted.args.iter_mut().try_for_each(|arg| self.in_place(arg))?;
        if name == "matches" && call.args.len() + usize::from(call.target.is_some()) == 2 {
            return self.matches(node, lifted);
        }
        if let Some(target) = &call.target {
            // `optional.of(x)` and the like: a name in a namespace, no member of a variable.
            let namespaced = match &target.expr {
                Expr::Ident(namespace) => self.is_declared(&format!("{namespace}.{name}")),
                _ => false,
            };
            if namespaced {
                return Ok(Expr::Call(lifted));
            }
            lifted.target = Some(Box::new(self.expr(target)?));
        }
        let is_operator = !name.starts_with(|char: char| char.is_ascii_alphabetic());
        if !is_operator && !self.is_declared(name) {
            return Err(problem(node, format!("there is no function `{name}`")));
        }
        Ok(Expr::Call(lifted))
    }

    /// `text.matches("pattern")` and `matches(text, "pattern")`: the pattern is compiled here, once.
    fn matches(&mut self, node: u64, mut call: CallExpr) -> Result<Expr, Problem> {
        let Some(IdedExpr { id, expr: Expr::Literal(LiteralValue::String(pattern)) }) = call.args.pop() else {
            return Err(problem(node, "the pattern of `matches` must be a literal string"));
        };
        let text = match call.target {
            Some(target) => self.expr(&target)?,
            None => call.args.remove(0),
        };
        let pattern = Regex::new(pattern.inner())
            .map_err(|error| problem(id, format!("`{}` is not a regular expression: {error}", pattern.inner())))?;
        let number = i64::try_from(self.patterns.len()).expect("no more patterns than memory");
        self.patterns.push(pattern);
        let number = IdedExpr { id, expr: Expr::Literal(LiteralValue::Int(CelInt::from(number))) };
        Ok(Expr::Call(CallExpr { func_name: MATCHES.to_owned(), target: None, args: vec![text, number] }))
    }

    fn comprehension(&mut self, node: u64, comprehension: &ComprehensionExpr) -> Result<Expr, Problem> {
        let mut lifted = comprehension.clone();
        self.in_place(&mut lifted.iter_range)?;
        self.in_place(&mut lifted.accu_init)?;
        let outer = self.scope.len();
        let variables = [Some(&lifted.iter_var), lifted.iter_var2.as_ref(), Some(&lifted.accu_var)];
        for name in variables.into_iter().flatten() {
            if ["subject", "headers", "body"].contains(&name.as_str()) {
                return Err(problem(node, format!("`{name}` is a part of the message; take another name")));
            }
            self.scope.push(name.clone());
        }
        self.in_place(&mut lifted.loop_cond)?;
        self.in_place(&mut lifted.loop_step)?;
        self.in_place(&mut lifted.result)?;
        self.scope.truncate(outer);
        Ok(Expr::Comprehension(Box::new(lifted)))
    }

    /// What part of the message this node stands for, if it does for one.
    fn slot(&self, expr: &IdedExpr) -> Option<Slot> {
        match &expr.expr {
            Expr::Call(call) if call.func_name == operators::IN && call.target.is_none() => {
                let [name, map] = call.args.as_slice() else { return None };
                let is_headers = matches!(&map.expr, Expr::Ident(name) if name == "headers");
                literal(name).filter(|_| is_headers).map(|name| Slot::HasHeader(name.to_owned()))
            }
            Expr::Select(select) if select.test => {
                let (root, mut steps) = chain(&select.operand)?;
                steps.push(Step::Name(&select.field));
                part(root, &steps, true)
            }
            _ => {
                let (root, steps) = chain(expr)?;
                part(root, &steps, false)
            }
        }
    }

    /// The number of a slot, a new one if it is.
    fn number(&mut self, slot: Slot) -> usize {
        let number = self.slots.iter().position(|known| *known == slot).unwrap_or_else(|| {
            self.slots.push(slot);
            self.slots.len() - 1
        });
        self.used.push(number);
        number
    }

    fn check_variable(&self, node: u64, name: &str) -> Result<(), Problem> {
        if self.scope.iter().any(|known| known == name) || self.env.types().find_type(name).is_some() {
            return Ok(());
        }
        Err(problem(node, format!("there is no variable `{name}`; write `subject`, `headers` or `body`")))
    }

    /// Whether the environment has a function of this name. It only tells by refusing another one.
    fn is_declared(&self, name: &str) -> bool {
        Context::with_env(Arc::clone(&self.env)).add_function(name, || false).is_err()
    }
}

fn is_deeper(expr: &IdedExpr, levels: usize) -> bool {
    let Some(levels) = levels.checked_sub(1) else {
        return true;
    };
    let deeper = |expr: &IdedExpr| is_deeper(expr, levels);
    match &expr.expr {
        Expr::Call(call) => call.target.as_deref().is_some_and(deeper) || call.args.iter().any(deeper),
        Expr::Comprehension(parts) => {
            [&parts.iter_range, &parts.accu_init, &parts.loop_cond, &parts.loop_step, &parts.result]
                .into_iter()
                .any(deeper)
        }
        Expr::List(list) => list.elements.iter().any(deeper),
        Expr::Select(select) => deeper(&select.operand),
        Expr::Map(map) => map.entries.iter().any(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => deeper(&entry.key) || deeper(&entry.value),
            EntryExpr::StructField(field) => deeper(&field.value),
        }),
        Expr::Struct(parts) => parts.entries.iter().any(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => deeper(&entry.key) || deeper(&entry.value),
            EntryExpr::StructField(field) => deeper(&field.value),
        }),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => false,
    }
}

fn problem(node: u64, text: impl Into<String>) -> Problem {
    Problem { node, text: text.into() }
}

#[derive(Debug)]
enum Step<'e> {
    Name(&'e str),
    Index(i64),
}

/// `root.a["b"][0]`: the root and the steps from it.
fn chain(mut expr: &IdedExpr) -> Option<(&str, Vec<Step<'_>>)> {
    let mut steps = Vec::new();
    loop {
        expr = match &expr.expr {
            Expr::Ident(root) => {
                steps.reverse();
                return Some((root, steps));
            }
            Expr::Select(select) if !select.test => {
                steps.push(Step::Name(&select.field));
                &select.operand
            }
            Expr::Call(call) if call.func_name == operators::INDEX && call.target.is_none() => {
                let [operand, index] = call.args.as_slice() else { return None };
                steps.push(match &index.expr {
                    Expr::Literal(LiteralValue::Int(index)) if *index.inner() >= 0 => Step::Index(*index.inner()),
                    _ => Step::Name(literal(index)?),
                });
                operand
            }
            _ => return None,
        }
    }
}

fn literal(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn part(root: &str, steps: &[Step<'_>], test: bool) -> Option<Slot> {
    match (root, steps) {
        ("subject", []) => Some(Slot::Subject),
        ("headers", []) => Some(Slot::Headers),
        ("headers", [Step::Name(name)]) if test => Some(Slot::HasHeader((*name).to_owned())),
        ("headers", [Step::Name(name)]) => Some(Slot::Header((*name).to_owned())),
        ("body", steps) if test => Some(Slot::HasBody(json_path(steps))),
        ("body", steps) => Some(Slot::Body(json_path(steps))),
        _ => None,
    }
}

/// The normalized path (RFC 9535, section 2.7) of these steps.
fn json_path(steps: &[Step<'_>]) -> String {
    let mut path = "$".to_owned();
    for step in steps {
        match step {
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            // A JSON string is a string literal of JSONPath too, escapes included.
            Step::Name(name) => path.push_str(&format!("[{}]", serde_json::Value::from(*name))),
        }
    }
    path
}
