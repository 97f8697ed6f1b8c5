//! The graph in the language of Graphviz.

use std::fmt::Write as _;

use super::graph::{EdgeKind, Graph, NodeKind};

/// The graph.
#[must_use]
pub fn dot(graph: &Graph) -> String {
    let mut text = "digraph trackside {\n  rankdir=LR;\n  node [fontname=\"monospace\", fontsize=11];\n  \
                    edge [fontname=\"monospace\", fontsize=9];\n"
        .to_owned();
    // Writing to a `String` cannot fail.
    for (number, node) in graph.nodes.iter().enumerate() {
        let label = node.lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("\\n");
        let shape = match node.kind {
            NodeKind::Source => "shape=box, style=rounded",
            NodeKind::Rule => "shape=box",
            NodeKind::Subject => "shape=plaintext",
            NodeKind::Service => "shape=component",
            NodeKind::Stream => "shape=cylinder",
        };
        let _ = writeln!(text, "  n{number} [{shape}, label=\"{label}\"];");
    }
    for edge in &graph.edges {
        let mut attributes = Vec::new();
        if let Some(label) = &edge.label {
            attributes.push(format!("label=\"{}\"", escaped(label)));
        }
        match edge.kind {
            EdgeKind::Flow => {}
            EdgeKind::Dead => attributes.push("style=dashed".to_owned()),
            EdgeKind::Again => attributes.push("style=dotted, constraint=false".to_owned()),
        }
        if edge.in_loop {
            attributes.push("color=\"#cc2222\", penwidth=2".to_owned());
        }
        let _ = writeln!(text, "  n{} -> n{} [{}];", edge.from, edge.to, attributes.join(", "));
    }
    text.push_str("}\n");
    text
}

/// A text inside of quotes. A backslash begins an escape of Graphviz's own, such as `\l`, and so is doubled.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
