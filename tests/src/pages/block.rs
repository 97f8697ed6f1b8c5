//! A page's fenced blocks.

use std::path::Path;

use super::mark::{How, Marks};

/// A page with its blocks.
#[derive(Debug)]
pub struct Page {
    /// Its file, from the folder of the repository.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
}

/// A fenced block.
#[derive(Debug, Clone)]
pub struct Block {
    /// The line of the file at which it begins.
    pub line: usize,
    /// What stands after the fence.
    pub language: String,
    /// What is in it.
    pub text: String,
    /// The title of the section that it is in, of the second level.
    pub section: String,
    pub(super) marks: Marks,
}

impl Page {
    /// Reads a page of the repository.
    ///
    /// # Errors
    /// When it cannot be read, or a mark or a fence is wrong.
    pub fn read(root: &Path, name: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(root.join(name)).map_err(|error| format!("{name}: {error}"))?;
        Self::parse(name, text).map_err(|error| format!("{name}:{error}"))
    }

    fn parse(name: &str, text: String) -> Result<Self, String> {
        let (mut blocks, mut section, mut marks) = (Vec::new(), String::new(), Vec::new());
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            let bare = line.trim_start();
            if let Some(fence) = fence(bare) {
                let indent = line.len() - bare.len();
                let mut content = String::new();
                loop {
                    let (line, _) = lines.next().ok_or_else(|| format!("{number}: the block does not end"))?;
                    if line.trim() == fence {
                        break;
                    }
                    content.push_str(line.get(indent..).unwrap_or_else(|| line.trim_start()));
                    content.push('\n');
                }
                let mut taken = Marks::default();
                for (mark, line) in marks.drain(..) {
                    let mark: String = mark;
                    taken.add(&mark).map_err(|error| format!("{line}: {error}"))?;
                }
                let language = bare[fence.len()..].trim().to_owned();
                blocks.push(Block { line: number, language, text: content, section: section.clone(), marks: taken });
            } else if bare.starts_with("<!--") {
                let mut comment = bare.to_owned();
                while !comment.contains("-->") {
                    let (line, _) = lines.next().ok_or_else(|| format!("{number}: the comment does not end"))?;
                    comment.push('\n');
                    comment.push_str(line);
                }
                let (inside, _) = comment["<!--".len()..].split_once("-->").unwrap_or_default();
                marks.push((inside.trim().to_owned(), number));
            } else if !bare.is_empty() {
                for (mark, line) in marks.drain(..) {
                    if Marks::default().add(&mark).is_ok() {
                        return Err(format!("{line}: no block follows the mark"));
                    }
                }
                if let Some(title) = line.strip_prefix("## ") {
                    title.clone_into(&mut section);
                }
            }
        }
        Ok(Self { name: name.to_owned(), text, blocks })
    }
}

/// The fence that a line begins with.
fn fence(line: &str) -> Option<&str> {
    let length = line.len() - line.trim_start_matches('`').len();
    (length >= 3).then(|| &line[..length])
}

/// A command of a `console` block with what it is shown to print.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) text: String,
    pub(super) shown: String,
}

impl Block {
    /// Whether it is proved as its language is.
    pub(super) fn is_proved_here(&self) -> bool {
        self.marks.how == How::ByLanguage
    }

    /// The commands of a `console` block.
    ///
    /// # Errors
    /// When it begins with something else.
    pub(super) fn commands(&self) -> Result<Vec<Command>, String> {
        let mut commands: Vec<Command> = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if let Some(first) = line.strip_prefix("$ ") {
                let mut text = first.to_owned();
                while text.ends_with('\\') {
                    let next = lines.next().ok_or("the last command is cut off")?;
                    text.push('\n');
                    text.push_str(next);
                }
                let document = first.split_once("<<'").and_then(|(_, rest)| rest.split_once('\''));
                if let Some((end, _)) = document {
                    loop {
                        let next = lines.next().ok_or("the document of the last command does not end")?;
                        text.push('\n');
                        text.push_str(next);
                        if next == end {
                            break;
                        }
                    }
                }
                commands.push(Command { text, shown: String::new() });
            } else {
                let command = commands.last_mut().ok_or("it does not begin with a command, `$ …`")?;
                command.shown.push_str(line);
                command.shown.push('\n');
            }
        }
        Ok(commands)
    }
}

#[cfg(test)]
mod tests {
    use super::super::mark::Stays;
    use super::*;

    fn page(text: &str) -> Result<Vec<Block>, String> {
        Page::parse("page.md", text.to_owned()).map(|page| page.blocks)
    }

    #[test]
    fn a_block_has_its_place_its_section_and_its_marks() {
        let blocks = page(
            "# A\n## B\n<!-- before:\nexport A=1\nexport B=2 -->\n<!-- goes on after: ready -->\n\n```console\n$ a\n```\n\n\
             * item\n  <!-- not run: it\n  costs too much -->\n  ````toml\n  a = 1\n    b = 2\n  ````\n",
        )
        .expect("a page");
        assert_eq!((blocks[0].line, blocks[0].language.as_str(), blocks[0].section.as_str()), (8, "console", "B"));
        assert_eq!(blocks[0].marks.before, ["export A=1\nexport B=2"]);
        assert_eq!(blocks[0].marks.stays, Some(Stays::GoesOn("ready".to_owned())));
        assert_eq!(blocks[1].text, "a = 1\n  b = 2\n");
        assert_eq!(blocks[1].marks.how, How::Not("it costs too much".to_owned()));
    }

    #[test]
    fn a_mark_that_is_none_or_that_no_block_follows_is_an_error() {
        let misspelt = page("<!-- not-run: x -->\n```toml\n```\n").expect_err("misspelt");
        assert!(misspelt.starts_with("1: `<!-- not-run: x -->` is no mark"), "{misspelt}");
        assert_eq!(page("\n<!-- not run: x -->\ntext\n").expect_err("no block"), "2: no block follows the mark");
        assert_eq!(page("<!-- of the author's own -->\ntext\n").expect("no mark").len(), 0);
        assert_eq!(page("```toml\n").expect_err("open"), "1: the block does not end");
    }

    #[test]
    fn commands_may_go_on_in_the_next_line_and_have_documents() {
        let blocks = page("```console\n$ a \\\n  b\nshown\n\n$ cat <<'END'\n$ c\nEND\n```\n").expect("a page");
        let commands = blocks[0].commands().expect("commands");
        let command = |text: &str, shown: &str| Command { text: text.to_owned(), shown: shown.to_owned() };
        assert_eq!(commands, [command("a \\\n  b", "shown\n\n"), command("cat <<'END'\n$ c\nEND", "")]);
        assert!(page("```console\nshown\n```\n").expect("a page")[0].commands().is_err());
    }
}
