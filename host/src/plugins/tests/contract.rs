//! What was released of the contract is still there: a component that was built against it finds everything that it
//! imports, and has everything that the host calls. Compared by meaning, so that comments and order do not matter.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use wit_parser::{Function, Handle, Interface, Resolve, Type, TypeDefKind, TypeId, WorldItem, WorldKey};

const NOW: &str = include_str!("../../../../plugin-sdk/wit/plugin.wit");

/// The interfaces of a contract: for each what is in it, name by name.
#[derive(Debug)]
struct Contract {
    imports: BTreeMap<String, BTreeMap<String, String>>,
    exports: BTreeMap<String, BTreeMap<String, String>>,
}

impl Contract {
    fn of(text: &str) -> Self {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("plugin.wit", text).expect("the contract parses");
        let world = resolve.select_world(&[package], Some("plugin")).expect("the world is there");
        let world = &resolve.worlds[world];
        let interfaces = |items: &mut dyn Iterator<Item = (&WorldKey, &WorldItem)>| {
            let interfaces = items.filter_map(|(_, item)| match item {
                WorldItem::Interface { id, .. } => Some(&resolve.interfaces[*id]),
                _ => None,
            });
            interfaces.map(|i| (i.name.clone().expect("it has a name"), contents(&resolve, i))).collect()
        };
        Self { imports: interfaces(&mut world.imports.iter()), exports: interfaces(&mut world.exports.iter()) }
    }

    /// What of `self` a component would miss in `now`.
    fn missing_in(&self, now: &Self) -> Vec<String> {
        let mut missing = Vec::new();
        for (name, items) in &self.imports {
            let Some(there) = now.imports.get(name) else {
                missing.push(format!("interface {name} is gone"));
                continue;
            };
            for (item, was) in items {
                match there.get(item) {
                    Some(is) if is == was => {}
                    Some(is) => missing.push(format!("{name}.{item} was {was} and is {is}")),
                    None => missing.push(format!("{name}.{item} is gone")),
                }
            }
        }
        // What plugins export can neither lose nor gain anything: those that are built do not have it.
        if self.exports != now.exports {
            missing.push(format!("the exports were {:?} and are {:?}", self.exports, now.exports));
        }
        missing
    }
}

fn contents(resolve: &Resolve, interface: &Interface) -> BTreeMap<String, String> {
    let functions = interface.functions.iter().map(|(name, function)| (name.clone(), signature(resolve, function)));
    let types = interface.types.iter().map(|(name, id)| (format!("type {name}"), spelt_out(resolve, *id)));
    functions.chain(types).collect()
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let params: Vec<_> = function.params.iter().map(|p| format!("{}: {}", p.name, ty(resolve, &p.ty))).collect();
    let result = function.result.as_ref().map_or_else(String::new, |result| format!(" -> {}", ty(resolve, result)));
    format!("func({}){result}", params.join(", "))
}

fn ty(resolve: &Resolve, of: &Type) -> String {
    match of {
        Type::Id(id) => spelt_out(resolve, *id),
        plain => format!("{plain:?}").to_lowercase(),
    }
}

/// A type down to what it is made of, names of fields and cases included; a resource is its name.
fn spelt_out(resolve: &Resolve, id: TypeId) -> String {
    let definition = &resolve.types[id];
    let some = |of: &Option<Type>| of.as_ref().map_or_else(|| "_".to_owned(), |of| ty(resolve, of));
    match &definition.kind {
        TypeDefKind::Record(record) => {
            let fields: Vec<_> = record.fields.iter().map(|f| format!("{}: {}", f.name, ty(resolve, &f.ty))).collect();
            format!("record {{ {} }}", fields.join(", "))
        }
        TypeDefKind::Variant(variant) => {
            let cases: Vec<_> = variant.cases.iter().map(|case| format!("{}({})", case.name, some(&case.ty))).collect();
            format!("variant {{ {} }}", cases.join(", "))
        }
        TypeDefKind::Enum(cases) => {
            let cases: Vec<_> = cases.cases.iter().map(|case| case.name.as_str()).collect();
            format!("enum {{ {} }}", cases.join(", "))
        }
        TypeDefKind::Option(of) => format!("option<{}>", ty(resolve, of)),
        TypeDefKind::List(of) => format!("list<{}>", ty(resolve, of)),
        TypeDefKind::Result(result) => format!("result<{}, {}>", some(&result.ok), some(&result.err)),
        TypeDefKind::Handle(Handle::Own(of)) => format!("own {}", spelt_out(resolve, *of)),
        TypeDefKind::Handle(Handle::Borrow(of)) => format!("borrow {}", spelt_out(resolve, *of)),
        TypeDefKind::Resource => format!("resource {}", definition.name.as_deref().unwrap_or("without a name")),
        TypeDefKind::Type(of) => ty(resolve, of),
        other => format!("{other:?}"),
    }
}

#[test]
fn nothing_that_was_released_is_gone_or_changed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let mut compared = 0;
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path().join("plugin.wit");
        let Ok(released) = fs::read_to_string(&path) else { continue };
        let missing = Contract::of(&released).missing_in(&Contract::of(NOW));
        assert!(missing.is_empty(), "{}:\n{}", path.display(), missing.join("\n"));
        compared += 1;
    }
    assert!(compared > 0, "there is a frozen copy of every version");
}

#[test]
fn each_way_to_break_the_contract_is_noticed() {
    let changed = |from: &str, to: &str| {
        let changed = NOW.replacen(from, to, 1);
        assert_ne!(changed, NOW, "{from} is there");
        Contract::of(NOW).missing_in(&Contract::of(&changed))
    };
    for (from, to, want) in [
        ("payload-len: func() -> u32;", "", "message.payload-len is gone"),
        ("timestamp: func() -> u64;", "timestamp: func() -> s64;", "message.timestamp was func() -> u64"),
        ("get-header: func(name: string)", "get-header: func(key: string)", "message.get-header was"),
        ("text(string),", "text(string), binary(list<u8>),", "message.select was"),
        ("enum level { trace,", "enum level { ", "log.log was"),
        ("  import setup;\n", "", "interface setup is gone"),
        ("handle: func() ->", "close: func();\n  handle: func() ->", "the exports were"),
        ("after: option<u32>,", "after: option<u32>,\n    count: u32,", "the exports were"),
    ] {
        let missing = changed(from, to).join("\n");
        assert!(missing.contains(want), "{from} -> {to}: {missing}");
    }
    let added = changed("payload-len: func() -> u32;", "payload-len: func() -> u32;\n  more: func() -> u32;");
    assert_eq!(added, [""; 0], "a function that is added breaks nobody");
}
