//! What bounds the rows of the table of goals that are not met, as the flame graphs show it.

use super::goals::{Goal, Met};

/// Rows, by how they begin, and what bounds them.
const BOUNDS: [(&str, &str); 9] = [
    ("JetStream to JetStream, 1 kB, validate+mask+route", include_str!("bounds/jetstream.md")),
    ("the same: CPU a message", "see the row above."),
    ("the same, output stream with `allow_batched`", include_str!("bounds/ingest.md")),
    ("core to core, 1 kB, validate+mask+route", include_str!("bounds/core.md")),
    ("core to core, 1 kB, mask of three fields", include_str!("bounds/mask.md")),
    ("`isolation = \"message\"`", include_str!("bounds/isolation.md")),
    ("two lanes against one, CPU-bound pipeline", include_str!("bounds/lanes.md")),
    ("memory under any load above", include_str!("bounds/memory.md")),
    ("p99 added by Trackside at half load", include_str!("bounds/latency.md")),
];

/// A paragraph for each row that is not met, if there is any.
pub(crate) fn text(goals: &[Goal]) -> String {
    let unmet: Vec<_> = goals.iter().filter(|goal| goal.met == Met::No).map(paragraph).collect();
    if unmet.is_empty() {
        return String::new();
    }
    format!("### What bounds the rows that are not met\n\n{}", unmet.join("\n"))
}

fn paragraph(goal: &Goal) -> String {
    let found = BOUNDS.iter().find(|(row, _)| goal.scenario.starts_with(row));
    let why = found
        .map_or("nothing that a profile shows: it is met where the machine has no other work.", |(_, why)| {
            why.trim_end()
        });
    format!("* **{}**: {why}\n", goal.scenario)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_met_need_no_reason_and_those_that_are_not_have_one() {
        let goal = |scenario, met| Goal { scenario, goal: "", measured: String::new(), met };
        let slow = "`isolation = \"message\"`, validate+mask+route, above the same without it";
        assert_eq!(text(&[goal(slow, Met::Yes), goal("start to ready, warm cache", Met::NotMeasured)]), "");
        let text = text(&[goal(slow, Met::No)]);
        assert!(text.contains("* **`isolation") && text.contains("start from a snapshot"), "{text}");
    }

    #[test]
    fn the_profiles_that_the_texts_link_to_are_there() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let links = BOUNDS.iter().flat_map(|(_, text)| text.split("](").skip(1));
        let links: Vec<_> = links.filter_map(|rest| rest.split(')').next()).collect();
        assert!(links.len() > 5, "{links:?}");
        for link in links {
            assert!(docs.join(link).is_file(), "{link}");
        }
    }
}
