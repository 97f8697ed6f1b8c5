//! Where everything is, in pixels.

use crate::flow::graph::{EdgeKind, Graph, NodeKind};

/// Height of a line of text, and space around the text of a node.
pub(super) const LINE: i32 = 16;
pub(super) const PADDING: i32 = 7;

/// Width of a character of 12 pixels in a monospaced font, in tenths of a pixel, with some to spare.
const CHARACTER_TENTHS: i32 = 76;
/// Space around the picture, between nodes of a column, and between columns.
const MARGIN: i32 = 24;
const GAP: i32 = 14;
const COLUMN_GAP: i32 = 110;
/// Space between the ways that lead back.
const BACK_GAP: i32 = 14;

/// The kinds of nodes in each column.
const COLUMNS: [&[NodeKind]; 4] =
    [&[NodeKind::Source], &[NodeKind::Rule], &[NodeKind::Subject, NodeKind::Service], &[NodeKind::Stream]];

/// A node's box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

/// An edge's way, and where its label is.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) path: String,
    pub(super) label: (i32, i32),
}

/// Where everything is.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) places: Vec<Place>,
    pub(super) lines: Vec<Line>,
    pub(super) width: i32,
    pub(super) height: i32,
}

impl Layout {
    pub(super) fn of(graph: &Graph) -> Self {
        let mut places: Vec<Place> = graph.nodes.iter().map(|node| sized(&node.lines)).collect();
        let backs = graph.edges.iter().filter(|edge| edge.kind == EdgeKind::Again).count();
        let mut left = MARGIN + BACK_GAP * number(backs);
        for kinds in COLUMNS {
            let mut column: Vec<usize> =
                (0..places.len()).filter(|node| kinds.contains(&graph.nodes[*node].kind)).collect();
            // What is near to where it comes from crosses little; the nodes of equal places stay in their order.
            column.sort_by_key(|node| wished(graph, &places, *node));
            let width = column.iter().map(|node| places[*node].width).max().unwrap_or(0);
            let mut top = MARGIN;
            for node in column {
                let wish = wished(graph, &places, node).map_or(top, |middle| middle - places[node].height / 2);
                let place = &mut places[node];
                (place.x, place.y, place.width) = (left, wish.max(top), width);
                top = place.y + place.height + GAP;
            }
            if width > 0 {
                left += width + COLUMN_GAP;
            }
        }
        let bottom = places.iter().map(|place| place.y + place.height).max().unwrap_or(0);
        let mut back = 0;
        let lines = graph.edges.iter().map(|edge| {
            let (from, to) = (places[edge.from], places[edge.to]);
            if edge.kind == EdgeKind::Again {
                back += 1;
                return backward(from, to, bottom + GAP + BACK_GAP * back, BACK_GAP * back);
            }
            forward(from, to)
        });
        let lines = lines.collect();
        let width =
            places.iter().map(|place| place.x + place.width).max().unwrap_or(0) + MARGIN + BACK_GAP * number(backs);
        Self { places, lines, width, height: bottom + MARGIN + GAP + BACK_GAP * number(backs) }
    }
}

/// The box of a text, still nowhere.
fn sized(lines: &[String]) -> Place {
    let characters = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let width = number(characters) * CHARACTER_TENTHS / 10 + 2 * PADDING + LINE;
    Place { x: 0, y: 0, width, height: number(lines.len()) * LINE + 2 * PADDING }
}

/// The middle, from top to bottom, of what leads to a node; nothing leads to sources but what is read again.
fn wished(graph: &Graph, places: &[Place], node: usize) -> Option<i32> {
    let feeding = graph.edges.iter().filter(|edge| edge.to == node && edge.kind != EdgeKind::Again);
    let middles: Vec<i32> = feeding.map(|edge| places[edge.from].y + places[edge.from].height / 2).collect();
    (!middles.is_empty()).then(|| middles.iter().sum::<i32>() / number(middles.len()))
}

fn forward(from: Place, to: Place) -> Line {
    let (x1, y1) = (from.x + from.width, from.y + from.height / 2);
    let (x2, y2) = (to.x, to.y + to.height / 2);
    let bend = i32::midpoint(x1, x2);
    // Nearer to the end, where the ways have parted.
    let label = (x1 + (x2 - x1) * 5 / 8, y1 + (y2 - y1) * 3 / 4 - 3);
    Line { path: format!("M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}"), label }
}

/// Around the outside: from the right, below everything, to the left.
fn backward(from: Place, to: Place, below: i32, aside: i32) -> Line {
    let (x1, y1) = (from.x + from.width, from.y + from.height / 2);
    let (x2, y2) = (to.x, to.y + to.height / 2);
    let (right, left) = (x1 + aside, x2 - aside - 8);
    let path = format!("M{x1} {y1}H{right}V{below}H{left}V{y2}H{x2}");
    Line { path, label: (i32::midpoint(left, right), below - 3) }
}

/// Counts of things that fit a picture.
fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX / 64)
}
