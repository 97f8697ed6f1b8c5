//! The graph as a Mermaid flowchart, which GitHub and many editors show in Markdown.

use std::fmt::Write as _;

use super::graph::{EdgeKind, Graph, NodeKind};

/// The flowchart.
#[must_use]
pub fn mermaid(graph: &Graph) -> String {
    let mut text = "flowchart LR\n".to_owned();
    // Writing to a `String` cannot fail.
    for (number, node) in graph.nodes.iter().enumerate() {
        let label = node.lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br/>");
        let (open, close) = match node.kind {
            NodeKind::Source => ("([", "])"),
            NodeKind::Rule => ("[", "]"),
            NodeKind::Subject => ("(", ")"),
            NodeKind::Service => ("[[", "]]"),
            NodeKind::Stream => ("[(", ")]"),
        };
        let _ = writeln!(text, "  n{number}{open}\"{label}\"{close}");
    }
    for edge in &graph.edges {
        let arrow = match edge.kind {
            EdgeKind::Flow => "-->",
            EdgeKind::Dead => "-.->",
            EdgeKind::Again => "==>",
        };
        let label = edge.label.as_ref().map(|label| format!("|\"{}\"|", escaped(label))).unwrap_or_default();
        let _ = writeln!(text, "  n{} {arrow}{label} n{}", edge.from, edge.to);
    }
    let in_loop = graph.edges.iter().enumerate().filter(|(_, edge)| edge.in_loop);
    let in_loop: Vec<String> = in_loop.map(|(number, _)| number.to_string()).collect();
    if !in_loop.is_empty() {
        let _ = writeln!(text, "  linkStyle {} stroke:#c22,stroke-width:3px", in_loop.join(","));
    }
    text
}

/// What has a meaning in a label, as Mermaid's entities.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut text, c| {
        match c {
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' => {
                let _ = write!(text, "#{};", u32::from(c));
            }
            c => text.push(c),
        }
        text
    })
}
