//! What a process under test has to do with each message.

use std::fmt;
use std::str::FromStr;

/// A pipeline, by the stages it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// Pass everything on as it is.
    Pass,
    /// Mask three fields.
    Mask,
    /// Refuse what does not match a schema, mask three fields, choose one of two routes.
    Check,
    /// The same, with two further stages that change the payload.
    Five,
    /// A jq program that computes for about as long as everything else takes a hundred times.
    Compute,
}

/// Where a message belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Default,
    Review,
    Dead,
}

impl Place {
    /// The last token of the subject.
    pub(crate) fn token(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Review => "review",
            Self::Dead => "dead",
        }
    }
}

/// What [`Work::Compute`] adds up, and what comes of it: the squares below 3,000, minus their count.
pub(crate) const JQ: &str = ".sum = ([range(3000)] | map(. * . - 1) | add)";
pub(crate) const JQ_SUM: u64 = 8_995_500_500 - 3_000;

impl Work {
    pub(crate) const ALL: [Work; 5] = [Self::Pass, Self::Mask, Self::Check, Self::Five, Self::Compute];

    /// The stages as a peer is told them.
    pub(crate) fn stages(self) -> &'static str {
        match self {
            Self::Pass => "none",
            Self::Mask => "mask",
            Self::Check => "validate+mask+route",
            Self::Five => "validate+transform+mask+transform+route",
            Self::Compute => "jq",
        }
    }

    /// For people.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Pass => "no stage",
            Self::Five => "five stages",
            Self::Compute => "heavy jq",
            other => other.stages(),
        }
    }

    /// Whether secrets are to be hidden.
    pub(crate) fn masks(self) -> bool {
        matches!(self, Self::Mask | Self::Check | Self::Five)
    }

    /// Whether broken orders become dead letters, and large ones go to review.
    pub(crate) fn decides(self) -> bool {
        matches!(self, Self::Check | Self::Five)
    }

    /// The stages as a rule of Trackside has them.
    pub(crate) fn toml(self) -> String {
        let stage = |plugin: &str, with: &str| format!("[[rule.stage]]\nplugin = \"{plugin}\"\nwith = {{ {with} }}\n");
        let validate = stage("validate", "schema = \"schemas/order.json\"");
        let mask = stage(
            "mask",
            "fields = [\n  { path = \"$.customer.email\" },\n  { path = \"$.customer.phone\", action = \"keep-last\", \
             count = 2 },\n  { path = \"$.payment.card\", action = \"keep-last\", count = 4 },\n]",
        );
        let route = stage("route", "when = [{ if = \"body.amount >= 1000.0\", to = \"review\" }], else = \"default\"");
        let add = stage("transform", "operations = [{ set = \"$.source\", value = \"bench\" }]");
        let remove = stage("transform", "operations = [{ remove = \"$.internal\" }]");
        match self {
            Self::Pass => String::new(),
            Self::Mask => mask,
            Self::Check => validate + &mask + &route,
            Self::Five => validate + &add + &mask + &remove + &route,
            Self::Compute => stage("transform", &format!("jq = \"{JQ}\"")),
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl FromStr for Work {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|work| work.stages() == text);
        found.ok_or_else(|| anyhow::anyhow!("{text:?} is none of the pipelines that the harness asks for"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_reads_back_the_pipeline_that_it_is_told() {
        for work in Work::ALL {
            assert_eq!(work.stages().parse::<Work>().expect("a pipeline"), work);
        }
        assert!("masks".parse::<Work>().is_err());
    }

    #[test]
    fn the_sum_is_what_the_program_says() {
        assert_eq!((0..3000_u64).map(|n| (n * n).cast_signed() - 1).sum::<i64>(), JQ_SUM.cast_signed());
    }
}
