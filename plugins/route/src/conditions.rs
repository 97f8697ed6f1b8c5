//! Conditions in CEL, compiled once and tried in order.

use std::fmt;
use std::sync::Arc;

use cel::common::ast::IdedExpr;
use cel::{Context, Env, ExecutionError, ParseErrors, Program, Value, extensions};
use regex_lite::Regex;
use trackside_plugin::{Failure, Message, Selector, SetupError};

use crate::lift::{self, Lifter, Problem, Slot};
use crate::quick::Quick;
use crate::reading::Reading;
use crate::{Target, When, explain};

/// Bounds the time that parsing takes.
const MAX_EXPRESSION_BYTES: usize = 4096;

pub(crate) struct Conditions {
    env: Arc<Env>,
    conditions: Vec<Condition>,
    slots: Vec<Slot>,
    patterns: Arc<[Regex]>,
    body: BodyPaths,
}

struct Condition {
    expr: IdedExpr,
    /// The same, if it can be answered without the interpreter.
    quick: Option<Quick>,
    /// The slots that it reads.
    slots: Vec<usize>,
    target: Target,
}

/// The paths of all slots that read the payload, in one selector: the host goes over the payload once.
#[derive(Debug, Default)]
pub(crate) struct BodyPaths {
    pub(crate) paths: Vec<String>,
    pub(crate) selector: Option<Selector>,
    /// For each slot the index of its path, if it has one.
    pub(crate) of_slots: Vec<Option<usize>>,
}

/// Crate cel, with what it has been told of a message.
struct Interpreter<'c> {
    context: Context<'c, 'c>,
    /// Of which slots.
    told: Vec<bool>,
}

impl Conditions {
    pub(crate) fn compile(when: Vec<When>) -> Result<Self, SetupError> {
        let mut env = Env::stdlib();
        env.add_extension(extensions::strings).map_err(|error| SetupError::new(error.to_string()))?;
        let env = Arc::new(env);
        let mut lifter = Lifter::new(Arc::clone(&env));
        let mut conditions = Vec::with_capacity(when.len());
        for (index, When { condition, to }) in when.into_iter().enumerate() {
            let (expr, slots) =
                compile(&env, &mut lifter, &condition).map_err(|error| error.at(format!("when[{index}].if")))?;
            conditions.push(Condition { quick: Quick::of(&expr), expr, slots, target: to });
        }
        let Lifter { slots, patterns, .. } = lifter;
        let body = BodyPaths::of(&slots).map_err(|error| error.at("when"))?;
        Ok(Self { env, conditions, slots, patterns: patterns.into(), body })
    }

    /// Where the first condition that is true leads.
    pub(crate) fn first_true(&self, message: &Message) -> Result<Option<&Target>, Failure> {
        if self.conditions.is_empty() {
            return Ok(None);
        }
        let mut reading = Reading::new(message, &self.slots, &self.body);
        let mut interpreter = None;
        for (index, condition) in self.conditions.iter().enumerate() {
            reading.read(&condition.slots)?;
            let answer = match condition.quick.as_ref().and_then(|quick| quick.answer(&reading)) {
                Some(answer) => answer,
                None => {
                    let interpreter = match &mut interpreter {
                        Some(interpreter) => interpreter,
                        none => none.insert(self.interpreter()?),
                    };
                    interpreter.tell(&condition.slots, &reading)?;
                    is_true(&condition.expr, &interpreter.context)
                        .map_err(|why| Failure::reject(format!("when[{index}].if cannot be decided: {why}")))?
                }
            };
            if answer {
                return Ok(Some(&condition.target));
            }
        }
        Ok(None)
    }

    fn interpreter(&self) -> Result<Interpreter<'_>, Failure> {
        Ok(Interpreter { context: self.context()?, told: vec![false; self.slots.len()] })
    }

    fn context(&self) -> Result<Context<'_, '_>, Failure> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        if !self.patterns.is_empty() {
            let patterns = Arc::clone(&self.patterns);
            let matches = move |text: Arc<String>, pattern: i64| -> bool {
                usize::try_from(pattern)
                    .ok()
                    .and_then(|pattern| patterns.get(pattern))
                    .is_some_and(|pattern| pattern.is_match(&text))
            };
            context.add_function(lift::MATCHES, matches).map_err(|error| Failure::Fatal(error.to_string()))?;
        }
        Ok(context)
    }
}

impl Interpreter<'_> {
    /// Tells it of slots that it has not been told of.
    fn tell(&mut self, slots: &[usize], reading: &Reading<'_>) -> Result<(), Failure> {
        for &slot in slots {
            if !std::mem::replace(&mut self.told[slot], true)
                && let Some(value) = reading.value(slot)?
            {
                self.context.add_variable_from_value(lift::variable(slot), value);
            }
        }
        Ok(())
    }
}

impl BodyPaths {
    fn of(slots: &[Slot]) -> Result<Self, SetupError> {
        let mut paths: Vec<String> = Vec::new();
        let mut of_slots = Vec::with_capacity(slots.len());
        for slot in slots {
            of_slots.push(match slot {
                Slot::Body(path) | Slot::HasBody(path) => {
                    Some(paths.iter().position(|known| known == path).unwrap_or_else(|| {
                        paths.push(path.clone());
                        paths.len() - 1
                    }))
                }
                _ => None,
            });
        }
        let selector = if paths.is_empty() { None } else { Some(Selector::compile(&paths)?) };
        Ok(Self { paths, selector, of_slots })
    }
}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conditions").field("count", &self.conditions.len()).field("slots", &self.slots).finish()
    }
}

fn compile(env: &Env, lifter: &mut Lifter, source: &str) -> Result<(IdedExpr, Vec<usize>), SetupError> {
    if source.len() > MAX_EXPRESSION_BYTES {
        return Err(SetupError::new(format!("it is longer than {MAX_EXPRESSION_BYTES} bytes")));
    }
    let program = env.compile(source).map_err(|errors| SetupError::new(syntax(&errors)))?;
    lifter.lift(program.expression()).map_err(|problem| SetupError::new(located(&program, &problem)))
}

/// The first error of the parser; the ones after it are mostly its echo.
fn syntax(errors: &ParseErrors) -> String {
    let Some(error) = errors.errors.first() else {
        return "it is not a CEL expression".to_owned();
    };
    let text = match error.msg.as_str() {
        text if text.contains("ecursion limit") => "it nests too deep; make it simpler".to_owned(),
        // What it expects is a list of every token of the language.
        text => text.split(" expecting ").next().unwrap_or(text).replace("'<EOF>'", "the end"),
    };
    let text = text.strip_prefix("Syntax error: ").unwrap_or(&text);
    format!("column {}: {text}", error.pos.1.max(1))
}

fn located(program: &Program, problem: &Problem) -> String {
    match program.source_info().offset_for(problem.node) {
        Some((offset, _)) => format!("column {}: {}", offset + 1, problem.text),
        None => problem.text.clone(),
    }
}

/// What reads something that is not there is false.
fn is_true(expr: &IdedExpr, context: &Context<'_, '_>) -> Result<bool, String> {
    match Value::resolve(expr, context) {
        Ok(Value::Bool(answer)) => Ok(answer),
        Ok(other) => Err(format!("its answer is {}, and neither true nor false", explain::kind(&other))),
        Err(
            ExecutionError::UndeclaredReference(_) | ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_),
        ) => Ok(false),
        Err(error) => Err(explain::error(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of the conditions need no interpreter.
    fn quick(conditions: &[&str]) -> usize {
        let to = || serde_json::from_value::<Target>("review".into()).unwrap();
        let when = conditions.iter().map(|condition| When { condition: (*condition).to_owned(), to: to() }).collect();
        let compiled = Conditions::compile(when).unwrap();
        compiled.conditions.iter().filter(|condition| condition.quick.is_some()).count()
    }

    #[test]
    fn comparisons_with_literals_and_what_is_made_of_them_need_no_interpreter() {
        let simple =
            ["body.a >= 1000.0", "'eu' == headers.Region", "body.b && !(subject == 'a' || has(body.c))", "-1 < body.a"];
        assert_eq!(quick(&simple), simple.len());
        assert_eq!(quick(&["body.a == body.b", "size(body.a) == 1", "body.a in [1]", "body.a + 1 == 2", "1 == 1"]), 0);
    }
}
