//! Why a condition could not be decided, without a value of the message: it may be a secret.

use cel::{ExecutionError, Value};

pub(crate) fn error(error: &ExecutionError) -> String {
    use ExecutionError as E;
    match error {
        E::NoSuchOverload(overload) => {
            format!("`{}` does not take ({})", overload.function(), overload.argument_types().join(", "))
        }
        E::ValuesNotComparable(left, right) => format!("{} cannot be compared with {}", kind(left), kind(right)),
        E::UnsupportedBinaryOperator(operator, left, right) => {
            format!("`{operator}` does not take {} and {}; convert one of them", kind(left), kind(right))
        }
        E::UnsupportedIndex(index, value) => format!("{} cannot be an index of {}", kind(index), kind(value)),
        // Not what was found: that text has the value at times.
        E::UnexpectedType { .. } => "a function is given a value of another type than it takes".to_owned(),
        E::DivisionByZero(_) | E::RemainderByZero(_) => "it divides by zero".to_owned(),
        E::Overflow(operator, ..) => format!("`{operator}` overflows"),
        E::FunctionError { function, .. } => format!("`{function}` failed"),
        E::InvalidArgumentCount { expected, actual } => {
            format!("a function takes {expected} arguments and is given {actual}")
        }
        _ => "its evaluation failed".to_owned(),
    }
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Int(_) | Value::UInt(_) => "an integer",
        Value::Float(_) => "a fraction",
        Value::String(_) => "a string",
        Value::Bytes(_) => "bytes",
        Value::Bool(_) => "a boolean",
        Value::Null => "null",
        _ => "an object",
    }
}
