//! Rules that feed each other in a circle.

use crate::rules::{Rules, Template};

use super::{outputs, takes};

/// Which rules take in what each rule publishes, and which of them are on a circle together.
#[derive(Debug)]
pub(super) struct Feeding {
    /// For each rule the rules that it feeds.
    feeds: Vec<Vec<usize>>,
    /// The circle that each rule is on: rules with the same number reach each other.
    circle: Vec<usize>,
}

impl Feeding {
    pub(super) fn of(rules: &Rules) -> Self {
        let fed_by = |rule| {
            let published: Vec<&Template> = outputs(rule).filter_map(|(_, place)| place.into_subject()).collect();
            let takes = |other: &usize| published.iter().any(|template| takes(rules, &rules.rules[*other], template));
            (0..rules.rules.len()).filter(takes).collect()
        };
        let feeds: Vec<Vec<usize>> = rules.rules.iter().map(fed_by).collect();
        Self { circle: circles(&feeds), feeds }
    }

    /// Whether the one rule feeds the other on a way that leads back to it.
    pub(super) fn is_loop(&self, from: usize, to: usize) -> bool {
        self.circle[from] == self.circle[to] && self.feeds[from].contains(&to)
    }

    /// The rules of each circle, those of one in their order.
    pub(super) fn loops(&self) -> Vec<Vec<usize>> {
        let rules = |circle: usize| (0..self.circle.len()).filter(|rule| self.circle[*rule] == circle).collect();
        let circles = (0..self.circle.len()).map(rules);
        circles
            .filter(|rules: &Vec<usize>| rules.iter().any(|rule| self.is_loop(*rule, *rule)) || rules.len() > 1)
            .collect()
    }
}

/// The strongly connected components of a graph, by the algorithm of Kosaraju and Sharir.
fn circles(feeds: &[Vec<usize>]) -> Vec<usize> {
    let mut backwards = vec![Vec::new(); feeds.len()];
    for (from, all) in feeds.iter().enumerate() {
        all.iter().for_each(|&to| backwards[to].push(from));
    }
    let mut order = Vec::with_capacity(feeds.len());
    let mut seen = vec![false; feeds.len()];
    for start in 0..feeds.len() {
        walk(start, feeds, &mut seen, &mut order);
    }
    let mut circle = vec![0; feeds.len()];
    let mut seen = vec![false; feeds.len()];
    for (number, &start) in order.iter().rev().enumerate() {
        let mut members = Vec::new();
        walk(start, &backwards, &mut seen, &mut members);
        members.into_iter().for_each(|member| circle[member] = number);
    }
    circle
}

/// Visits what was not seen yet from a node on, and appends each node when all behind it is done.
fn walk(start: usize, edges: &[Vec<usize>], seen: &mut [bool], done: &mut Vec<usize>) {
    if std::mem::replace(&mut seen[start], true) {
        return;
    }
    let mut path = vec![(start, 0)];
    while let Some((node, next)) = path.last_mut() {
        match edges[*node].get(*next) {
            Some(&to) => {
                *next += 1;
                if !std::mem::replace(&mut seen[to], true) {
                    path.push((to, 0));
                }
            }
            None => done.extend(path.pop().map(|(node, _)| node)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_each_other_is_one_circle_and_what_only_leads_there_is_not() {
        let circle = circles(&[vec![1], vec![2], vec![1, 3], vec![4], vec![]]);
        assert_eq!(circle[1], circle[2]);
        let apart: std::collections::BTreeSet<_> = circle.iter().collect();
        assert_eq!(apart.len(), 4);
    }
}
