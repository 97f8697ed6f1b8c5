//! "Did you mean …?"

/// Names that are looked at for one suggestion; a configuration may have thousands.
const MAX_CANDIDATES: usize = 2000;

/// The candidate that is nearest to `name`, if it is near enough to be a slip of the pen.
pub(super) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let slips = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .map(|candidate| (strsim::osa_distance(&name.to_lowercase(), candidate), candidate))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean `x`?`, or else what there is to choose from.
pub(super) fn help<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str> + Clone, what: &str) -> String {
    if let Some(near) = nearest(name, candidates.clone()) {
        return format!("did you mean `{near}`?");
    }
    let mut names: Vec<String> = candidates.into_iter().take(13).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => format!("there are no {what}"),
        1..=12 => format!("the {what} are {}", names.join(", ")),
        _ => {
            names.truncate(12);
            format!("some of the {what} are {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_anything_else_is_not() {
        let keys = ["servers", "token", "user"];
        assert_eq!(nearest("server", keys), Some("servers"));
        assert_eq!(nearest("tokne", keys), Some("token"));
        assert_eq!(nearest("Servers", keys), Some("servers"));
        assert_eq!(nearest("password", keys), None);
        assert_eq!(help("zzz", keys, "keys"), "the keys are `servers`, `token`, `user`");
        assert_eq!(help("zzz", [], "sources"), "there are no sources");
    }
}
