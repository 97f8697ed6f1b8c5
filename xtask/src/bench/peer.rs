//! A peer from the command line: another program that is to do the same.

use std::str::FromStr;

use anyhow::{Result, bail};

use super::contestant::{Contestant, Kind};
use super::work::Work;

/// `NAME=COMMAND`.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    name: String,
    command: String,
}

impl Peer {
    /// It, doing this.
    pub(crate) fn contestant(&self, work: Work, ordered: bool) -> Contestant {
        let label = format!("{} {work}", self.name);
        Contestant { label, kind: Kind::Peer(self.command.clone()), work, ordered }
    }
}

impl FromStr for Peer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((name, command)) if !name.is_empty() && !command.trim().is_empty() => {
                Ok(Self { name: name.to_owned(), command: command.to_owned() })
            }
            _ => bail!("a peer is given as NAME=COMMAND, for example `--peer mine='./mine --fast'`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_a_name_and_a_command_line() {
        let peer: Peer = "mine=./mine --a=b".parse().expect("a peer");
        let contestant = peer.contestant(Work::Mask, true);
        assert_eq!(contestant.label, "mine mask");
        assert!(matches!(contestant.kind, Kind::Peer(line) if line == "./mine --a=b"));
        assert!("mine".parse::<Peer>().is_err() && "=x".parse::<Peer>().is_err() && "x= ".parse::<Peer>().is_err());
    }
}
