//! The graph as a picture. A graph of rules has few kinds of nodes, and each has its column: that needs no general
//! layout, and makes pictures of different configurations look alike.

mod layout;

use std::fmt::Write as _;

use super::graph::{Edge, EdgeKind, Graph, Node, NodeKind};
use layout::{LINE, Layout, PADDING, Place};

/// Colours of what flows, of dead letters, of what is read again, and of loops.
const FLOW: &str = "#456";
const DEAD: &str = "#999";
const AGAIN: &str = "#27b";
const LOOP: &str = "#c22";

/// The picture.
#[must_use]
pub fn svg(graph: &Graph) -> String {
    let layout = Layout::of(graph);
    let (width, height) = (layout.width, layout.height);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"monospace\" font-size=\"12\">\n<title>The flow of messages</title>\n<defs>\n"
    );
    // Writing to a `String` cannot fail.
    for colour in [FLOW, DEAD, AGAIN, LOOP] {
        let _ = writeln!(
            text,
            "<marker id=\"to-{}\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
             markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"{colour}\"/></marker>",
            &colour[1..]
        );
    }
    text.push_str("</defs>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
    for (edge, line) in graph.edges.iter().zip(&layout.lines) {
        draw_edge(&mut text, edge, line);
    }
    for (node, place) in graph.nodes.iter().zip(&layout.places) {
        draw_node(&mut text, node, *place);
    }
    text.push_str("</svg>\n");
    text
}

fn draw_edge(text: &mut String, edge: &Edge, line: &layout::Line) {
    let (colour, dashes) = match edge.kind {
        EdgeKind::Flow => (FLOW, ""),
        EdgeKind::Dead => (DEAD, " stroke-dasharray=\"5 3\""),
        EdgeKind::Again => (AGAIN, " stroke-dasharray=\"2 3\""),
    };
    let (colour, width) = if edge.in_loop { (LOOP, 2) } else { (colour, 1) };
    let _ = writeln!(
        text,
        "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes} marker-end=\"url(#to-{})\"/>",
        line.path,
        &colour[1..]
    );
    if let Some(label) = &edge.label {
        let (x, y) = line.label;
        // Drawn twice, the first time with a margin that keeps lines away: not every viewer knows `paint-order`.
        for margin in [" stroke=\"white\" stroke-width=\"4\"", ""] {
            let _ = writeln!(
                text,
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" font-size=\"10\" fill=\"{colour}\"{margin}>{}</text>",
                escaped(label)
            );
        }
    }
}

fn draw_node(text: &mut String, node: &Node, place: Place) {
    let Place { x, y, width, height } = place;
    let (radius, fill) = match node.kind {
        NodeKind::Source => (12, "#e8f0fa"),
        NodeKind::Rule => (2, "#fdf3dc"),
        NodeKind::Subject => (height / 2, "#f4f4f4"),
        NodeKind::Service => (2, "#f3e9f7"),
        NodeKind::Stream => (6, "#e6f4e6"),
    };
    let _ = writeln!(
        text,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\" fill=\"{fill}\" stroke=\"#888\"/>"
    );
    for (position, line) in node.lines.iter().enumerate() {
        let weight = if position == 0 { " font-weight=\"bold\"" } else { "" };
        let baseline = y + PADDING + LINE * i32::try_from(position).unwrap_or(0) + LINE * 3 / 4;
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{baseline}\" text-anchor=\"middle\"{weight}>{}</text>",
            x + width / 2,
            escaped(line)
        );
    }
}

/// A text between tags. Characters that XML cannot carry at all are none of a subject's.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
