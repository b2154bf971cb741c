//! The commands in the docs, and `tests/commands.toml`, which lists the test that runs each of them.

use crate::repository;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The path of the table, relative to the repository.
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
    /// The commands of a block `console`: the text after `$ ` or, for root, `# `, without a comment after two blanks
    /// and a `#`. A backslash at the end continues the line.
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

/// The commands of a page, in order.
pub fn commands(page: &str) -> Vec<String> {
    blocks(page).iter().flat_map(Block::commands).collect()
}

/// The entries by page and command.
pub type Table = BTreeMap<String, BTreeMap<String, Entry>>;

/// Where a command is run. Exactly one field is set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Tests that read the command from the page and run it, as in `whole-builds/local::NAME`.
    #[serde(default)]
    pub tests: Vec<String>,
    /// The CI file that runs it.
    pub ci: Option<String>,
    /// Why tests can't run it.
    pub not_run: Option<String>,
}

pub fn table() -> Table {
    toml::from_str(&page(TABLE)).unwrap_or_else(|error| panic!("{TABLE}: {error}"))
}

/// The commands that the table assigns to one test. The test fails if it hasn't run all of them when this is dropped.
pub struct Documented {
    test: &'static str,
    left: BTreeSet<(String, String)>,
}

impl Documented {
    /// The commands of a test, by its name in the table: `whole-builds/local::NAME`.
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

    /// Whether the table assigns this command of a page to this test. Marks it as run.
    fn take(&mut self, page: &str, command: &str) -> bool {
        let table = table();
        let entry = table.get(page).and_then(|entries| entries.get(command));
        let entry = entry.unwrap_or_else(|| panic!("{TABLE} does not have {command:?} of {page}"));
        self.left.remove(&(page.to_owned(), command.to_owned()));
        entry.tests.iter().any(|name| name == self.test)
    }

    /// Returns a command of a page, which the test has to run now.
    #[track_caller]
    pub fn command(&mut self, page: &str, command: &str) -> String {
        let all = commands(&self::page(page));
        let found = all.into_iter().find(|line| line == command);
        let found = found.unwrap_or_else(|| panic!("{page} does not show {command:?}"));
        assert!(self.take(page, &found), "{} has no {command:?}", self.test);
        found
    }

    /// Returns the commands of a block that this test has to run now, in order.
    pub fn of_block(&mut self, page: &str, block: &Block) -> Vec<String> {
        let mut all = block.commands();
        all.retain(|command| self.take(page, command));
        all
    }

    /// Like [`Documented::of_block`], for the block of a page that contains this command.
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

/// Replaces placeholders in a command, which must contain them.
#[track_caller]
pub fn filled(command: &str, places: &[(&str, &str)]) -> String {
    let mut filled = command.to_owned();
    for (place, value) in places {
        assert!(filled.contains(place), "{command} has no {place}");
        filled = filled.replace(place, value);
    }
    filled
}
