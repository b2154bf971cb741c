//! The commands that the pages for people show, and `tests/commands.toml`: which test runs each.

use crate::repository;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Relative to the repository.
pub const TABLE: &str = "tests/commands.toml";

/// A fenced block of a page, and the comment before it: `<!-- log: first deploy -->`.
pub struct Block {
    pub mark: Option<String>,
    pub language: String,
    pub text: String,
}

/// The text of a page by its path in the repository.
pub fn page(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `README.md` and all of `docs/`.
pub fn all() -> Vec<String> {
    let docs = fs::read_dir(repository().join("docs")).expect("docs/");
    let names = docs.map(|entry| entry.expect("a file of docs/").file_name());
    let mut pages: Vec<String> = names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| {
            std::path::Path::new(name)
                .extension()
                .is_some_and(|e| e == "md")
        })
        .map(|name| format!("docs/{name}"))
        .chain(["README.md".to_owned()])
        .collect();
    pages.sort();
    pages
}

pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut mark = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block {
                mark: mark.take(),
                language: language.to_owned(),
                text: text.join("\n") + "\n",
            });
        } else if let Some(comment) = line.strip_prefix("<!-- ") {
            mark = comment.strip_suffix(" -->").map(str::to_owned);
        }
    }
    blocks
}

impl Block {
    /// The commands of a block `console`: what stands behind `$ ` or, for root, `# `, without the
    /// remark behind two blanks and a `#`. A backslash at the end takes the next line in.
    pub fn commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        if self.language != "console" {
            return commands;
        }
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let command = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# "));
            let Some(mut command) = command.map(str::to_owned) else {
                continue;
            };
            while let Some(begun) = command.strip_suffix('\\') {
                let rest = lines.next().unwrap_or_default().trim_start();
                command = format!("{} {rest}", begun.trim_end());
            }
            let said = command.split("  # ").next().unwrap_or_default();
            commands.push(said.trim_end().to_owned());
        }
        commands
    }
}

/// The commands of a page, in its order.
pub fn commands(page: &str) -> Vec<String> {
    blocks(page).iter().flat_map(Block::commands).collect()
}

/// By page and command, what is known of it.
pub type Table = BTreeMap<String, BTreeMap<String, Entry>>;

/// Where a command is run: one of the three.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Tests that take it out of the page and run it, as in `whole-builds/local::NAME`.
    #[serde(default)]
    pub tests: Vec<String>,
    /// The file by which CI itself runs it.
    pub ci: Option<String>,
    /// Why it cannot be run where the tests are.
    pub not_run: Option<String>,
}

pub fn table() -> Table {
    toml::from_str(&page(TABLE)).unwrap_or_else(|error| panic!("{TABLE}: {error}"))
}

/// The commands that the table gives to one test. It has to take them all: what is left when this
/// goes fails it.
pub struct Documented {
    test: &'static str,
    left: BTreeSet<(String, String)>,
}

impl Documented {
    /// Those of a test, by the name that the table has: `whole-builds/local::NAME`.
    #[track_caller]
    pub fn of(test: &'static str) -> Self {
        let mut left = BTreeSet::new();
        for (page, commands) in table() {
            for (command, entry) in commands {
                if entry.tests.iter().any(|name| name == test) {
                    left.insert((page.clone(), command));
                }
            }
        }
        assert!(!left.is_empty(), "{TABLE} gives no command to {test}");
        Self { test, left }
    }

    /// Whether the table gives this command of a page to this test, which now has it.
    fn take(&mut self, page: &str, command: &str) -> bool {
        let table = table();
        let entry = table.get(page).and_then(|entries| entries.get(command));
        let entry = entry.unwrap_or_else(|| panic!("{TABLE} does not have {command:?} of {page}"));
        self.left.remove(&(page.to_owned(), command.to_owned()));
        entry.tests.iter().any(|name| name == self.test)
    }

    /// A command as it stands in a page, to be run now.
    #[track_caller]
    pub fn command(&mut self, page: &str, command: &str) -> String {
        let all = commands(&self::page(page));
        let found = all.into_iter().find(|line| line == command);
        let found = found.unwrap_or_else(|| panic!("{page} does not show {command:?}"));
        assert!(self.take(page, &found), "{} has no {command:?}", self.test);
        found
    }

    /// Those of a block that this test runs, in its order, to be run now.
    pub fn of_block(&mut self, page: &str, block: &Block) -> Vec<String> {
        let mut all = block.commands();
        all.retain(|command| self.take(page, command));
        all
    }

    /// The block of a page that shows this command, as [`Documented::of_block`].
    #[track_caller]
    pub fn beside(&mut self, page: &str, command: &str) -> Vec<String> {
        let blocks = blocks(&self::page(page));
        let block = blocks
            .iter()
            .find(|block| block.commands().iter().any(|line| line == command));
        let block = block.unwrap_or_else(|| panic!("{page} does not show {command:?}"));
        self.of_block(page, block)
    }
}

impl Drop for Documented {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.left.is_empty(), "not run: {:?}", self.left);
        }
    }
}

/// Puts what a reader would put there in the place of words of a command; they must be in it.
#[track_caller]
pub fn filled(command: &str, places: &[(&str, &str)]) -> String {
    let mut filled = command.to_owned();
    for (place, value) in places {
        assert!(filled.contains(place), "{command} has no {place}");
        filled = filled.replace(place, value);
    }
    filled
}
