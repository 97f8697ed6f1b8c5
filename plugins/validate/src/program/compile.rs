//! From a schema to a program.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::names::Names;
use super::number::{Limits, Number};
use super::pattern::Pattern;
use super::{ANYTHING, ArrayRules, Beside, Node, NodeId, ObjectRules, Options, Program, TextRules, Types};

/// How deep schemas may nest, references included.
const MAX_DEPTH: u32 = 64;

/// The drafts that are known here. In others some keywords mean something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Draft {
    Seven,
    Twenty,
}

impl Program {
    /// Compiles a schema that is valid by its draft, unless something in it cannot be told from the bytes alone.
    pub(crate) fn compile(schema: &Value, checks_formats: Option<bool>) -> Option<Self> {
        let draft = match schema.get("$schema").map(|uri| uri.as_str().map(|uri| uri.trim_end_matches('#'))) {
            None | Some(Some("https://json-schema.org/draft/2020-12/schema")) => Draft::Twenty,
            Some(Some("http://json-schema.org/draft-07/schema")) => Draft::Seven,
            Some(_) => return None,
        };
        let checks_formats = checks_formats.unwrap_or(draft == Draft::Seven);
        let nodes = vec![Node::of(Types::ALL), Node::of(Types::NONE)];
        let mut compiler = Compiler { root: schema, draft, checks_formats, nodes, known: HashMap::new(), depth: 0 };
        let root = compiler.schema(schema)?;
        Some(Self { nodes: compiler.nodes, root })
    }
}

struct Compiler<'s> {
    root: &'s Value,
    draft: Draft,
    checks_formats: bool,
    nodes: Vec<Node>,
    /// Schemas that have a node, by their address.
    known: HashMap<*const Value, NodeId>,
    depth: u32,
}

impl<'s> Compiler<'s> {
    fn schema(&mut self, schema: &'s Value) -> Option<NodeId> {
        let members = match schema {
            Value::Bool(true) => return Some(ANYTHING),
            Value::Bool(false) => return Some(super::NOTHING),
            other => other.as_object()?,
        };
        if let Some(id) = self.known.get(&std::ptr::from_ref(schema)) {
            return Some(*id);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let id = self.nodes.len();
        self.nodes.push(Node::of(Types::ALL));
        self.known.insert(schema, id);
        let is_root = std::ptr::eq(schema, self.root);
        self.nodes[id] = self.node(members, is_root)?;
        self.depth -= 1;
        Some(id)
    }

    fn node(&mut self, members: &'s Map<String, Value>, is_root: bool) -> Option<Node> {
        let mut node = Node::of(Types::ALL);
        let mut beside = Beside::default();
        let mut limits = Limits::default();
        let mut text = TextRules { min: 0, max: usize::MAX, patterns: Vec::new() };
        // Draft 7 has a reference stand alone.
        if let (Draft::Seven, Some(reference)) = (self.draft, members.get("$ref")) {
            beside.all.push(self.target(reference)?);
            return Some(Node { beside: Some(Box::new(beside)), is_own: false, ..node });
        }
        for (keyword, value) in members {
            match keyword.as_str() {
                "type" => node.types = types(value)?,
                "enum" => node.options = Some(Box::new(options(value.as_array()?)?)),
                "const" if !members.contains_key("enum") => {
                    node.options = Some(Box::new(options(std::slice::from_ref(value))?));
                }
                "minimum" => limits.add(number(value)?, Ordering::Greater, true),
                "maximum" => limits.add(number(value)?, Ordering::Less, true),
                "exclusiveMinimum" => limits.add(number(value)?, Ordering::Greater, false),
                "exclusiveMaximum" => limits.add(number(value)?, Ordering::Less, false),
                "minLength" => text.min = size(value)?,
                "maxLength" => text.max = size(value)?,
                "pattern" => text.patterns.push(Pattern::new(value.as_str()?)?),
                "format" if !self.checks_formats => {}
                "allOf" => {
                    for schema in value.as_array()? {
                        beside.all.push(self.schema(schema)?);
                    }
                }
                "anyOf" => {
                    for schema in value.as_array()? {
                        beside.any.push(self.schema(schema)?);
                    }
                }
                "$ref" => beside.all.push(self.target(value)?),
                "uniqueItems" if *value == Value::Bool(false) => {}
                // What `array` and `object` look for.
                "items"
                | "minItems"
                | "maxItems"
                | "properties"
                | "required"
                | "additionalProperties"
                | "minProperties"
                | "maxProperties" => {}
                "prefixItems" if self.draft == Draft::Twenty => {}
                "additionalItems" if self.draft == Draft::Seven => {}
                // What says nothing about a value. An identifier further in would change where references lead.
                "title" | "description" | "default" | "examples" | "$comment" | "deprecated" | "readOnly"
                | "writeOnly" | "$defs" | "definitions" => {}
                "$schema" | "$id" if is_root => {}
                _ => return None,
            }
        }
        let is_bare = members.keys().all(|keyword| matches!(keyword.as_str(), "$ref" | "allOf" | "anyOf"));
        node.is_own = !is_bare || members.is_empty();
        node.array = self.array(members)?.map(Box::new);
        node.object = self.object(members)?.map(Box::new);
        node.numbers = (!limits.is_empty()).then(|| Box::new(limits));
        let has_text = text.min > 0 || text.max < usize::MAX || !text.patterns.is_empty();
        node.text = has_text.then(|| Box::new(text));
        node.beside = (!(beside.all.is_empty() && beside.any.is_empty())).then(|| Box::new(beside));
        Some(node)
    }

    #[allow(clippy::option_option, reason = "nothing to ask, and nothing known")]
    fn array(&mut self, members: &'s Map<String, Value>) -> Option<Option<ArrayRules>> {
        let (first, rest) = match (self.draft, members.get("items")) {
            (Draft::Twenty, rest) => (members.get("prefixItems"), rest),
            (Draft::Seven, first @ Some(Value::Array(_))) => (first, members.get("additionalItems")),
            (Draft::Seven, rest) => (None, rest),
        };
        let [min, max] = [members.get("minItems"), members.get("maxItems")];
        if first.is_none() && rest.is_none() && min.is_none() && max.is_none() {
            return Some(None);
        }
        let mut rules = ArrayRules { min: 0, max: usize::MAX, first: Vec::new(), rest: ANYTHING };
        for schema in first.map_or(Some([].as_slice()), |first| first.as_array().map(Vec::as_slice))? {
            rules.first.push(self.schema(schema)?);
        }
        if let Some(rest) = rest {
            rules.rest = self.schema(rest)?;
        }
        rules.min = min.map_or(Some(0), size)?;
        rules.max = max.map_or(Some(usize::MAX), size)?;
        Some(Some(rules))
    }

    #[allow(clippy::option_option, reason = "nothing to ask, and nothing known")]
    fn object(&mut self, members: &'s Map<String, Value>) -> Option<Option<ObjectRules>> {
        let keywords = ["properties", "required", "additionalProperties", "minProperties", "maxProperties"];
        if !keywords.iter().any(|keyword| members.contains_key(*keyword)) {
            return Some(None);
        }
        let others = members.get("additionalProperties").map_or(Some(ANYTHING), |schema| self.schema(schema))?;
        let mut names = BTreeMap::new();
        if let Some(properties) = members.get("properties") {
            for (name, schema) in properties.as_object()? {
                names.insert(name.clone(), (self.schema(schema)?, false));
            }
        }
        if let Some(required) = members.get("required") {
            for name in required.as_array()? {
                names.entry(name.as_str()?.to_owned()).or_insert((others, false)).1 = true;
            }
        }
        let names = names.into_iter().map(|(name, (node, required))| (name, node, required)).collect();
        Some(Some(ObjectRules {
            names: Names::new(names)?,
            others,
            min: members.get("minProperties").map_or(Some(0), size)?,
            max: members.get("maxProperties").map_or(Some(usize::MAX), size)?,
        }))
    }

    /// What a reference within this document leads to.
    fn target(&mut self, reference: &Value) -> Option<NodeId> {
        let pointer = reference.as_str()?.strip_prefix('#')?;
        if pointer.contains('%') || !(pointer.is_empty() || pointer.starts_with('/')) {
            return None;
        }
        let root = self.root;
        // An identifier on the way, or anywhere, may make the document more than one.
        if has_inner_ids(root, true) {
            return None;
        }
        self.schema(root.pointer(pointer)?)
    }
}

fn has_inner_ids(schema: &Value, is_root: bool) -> bool {
    match schema {
        Value::Array(elements) => elements.iter().any(|element| has_inner_ids(element, false)),
        Value::Object(members) => members
            .iter()
            .any(|(key, value)| (!is_root && matches!(key.as_str(), "$id" | "$schema")) || has_inner_ids(value, false)),
        _ => false,
    }
}

fn types(value: &Value) -> Option<Types> {
    let one = |name: &Value| {
        Some(match name.as_str()? {
            "null" => Types::NULL,
            "boolean" => Types::BOOLEAN,
            "integer" => Types::INTEGER,
            "number" => Types::NUMBER,
            "string" => Types::TEXT,
            "array" => Types::ARRAY,
            "object" => Types::OBJECT,
            _ => return None,
        })
    };
    match value {
        Value::Array(names) => names.iter().try_fold(Types::NONE, |types, name| Some(types.with(one(name)?))),
        name => one(name),
    }
}

fn options(values: &[Value]) -> Option<Options> {
    let mut options = Options::default();
    for value in values {
        match value {
            Value::Null => options.null = true,
            Value::Bool(true) => options.yes = true,
            Value::Bool(false) => options.no = true,
            Value::Number(number) => options.numbers.push(Number::of(number)?),
            Value::String(text) => options.texts.push(text.as_str().into()),
            Value::Array(_) | Value::Object(_) => return None,
        }
    }
    Some(options)
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Number::of(number),
        _ => None,
    }
}

fn size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| usize::try_from(size).ok())
}
