//! Marks: comments before a block that say how it is proved, or why it is not.

/// What the comments before a block say.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    /// How it is proved, if not by its language.
    pub how: How,
    /// Programs without which it cannot be run.
    pub needs: Vec<String>,
    /// The code that its last command exits with.
    pub exits: i32,
    /// What its last command does instead of ending.
    pub stays: Option<Stays>,
    /// What is run before it and not shown.
    pub before: Vec<String>,
}

/// How a block is proved.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum How {
    /// By what its language is.
    #[default]
    ByLanguage,
    /// `not run: WHY`: it is not.
    Not(String),
    /// `run by: FILE: TEXT`: by a test in this file, in which this text is.
    Elsewhere(String, String),
    /// `from: FILE`: it is in this file, which a test compiles.
    From(String),
    /// `parsed: WHY`: TOML of a configuration that is right as far as it can be told without its plugins.
    Parsed(String),
    /// `printed`: what goes on has printed it.
    Printed,
}

/// A command that does not end by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stays {
    /// `goes on after: TEXT`: it has printed this and goes on until the end of the page.
    GoesOn(String),
    /// `ends after: TEXT`: once it has printed this it is told to end, and succeeds.
    Ends(String),
}

impl Marks {
    /// Takes a comment in.
    ///
    /// # Errors
    /// When it is no mark.
    pub(super) fn add(&mut self, comment: &str) -> Result<(), String> {
        let wrong = || format!("`<!-- {comment} -->` is no mark; CONTRIBUTING.md tells which there are");
        if comment == "printed" {
            self.how = How::Printed;
            return Ok(());
        }
        let (kind, value) = comment.split_once(':').ok_or_else(wrong)?;
        let value = value.trim();
        if value.is_empty() {
            return Err(wrong());
        }
        match kind {
            "not run" => self.how = How::Not(value.split_whitespace().collect::<Vec<_>>().join(" ")),
            "parsed" => self.how = How::Parsed(value.to_owned()),
            "run by" => {
                let (file, text) = value.split_once(": ").ok_or_else(wrong)?;
                self.how = How::Elsewhere(file.to_owned(), text.trim().to_owned());
            }
            "from" => self.how = How::From(value.to_owned()),
            "needs" => self.needs = value.split(", ").map(str::to_owned).collect(),
            "exits with" => self.exits = value.parse().map_err(|_| wrong())?,
            "goes on after" => self.stays = Some(Stays::GoesOn(value.to_owned())),
            "ends after" => self.stays = Some(Stays::Ends(value.to_owned())),
            "before" => self.before.push(value.to_owned()),
            _ => return Err(wrong()),
        }
        Ok(())
    }
}
