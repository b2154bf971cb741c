//! `tests/requirements.toml`: what a drop-in has to do, row by row, and the tests that show it.
//!
//! A row stands by what it names: tests that ran and passed, or a phrase of `docs/migrating.md`
//! that says what is different. What has neither yet says which work it waits for, and is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::commands;
use crate::process::Result;
use crate::standing::{Known, Standing};
use crate::test_binaries::{self, Outcome, Outcomes};
use crate::toolchains::Places;

const TABLE: &str = "tests/requirements.toml";
const MIGRATING: &str = "docs/migrating.md";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    row: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    what: String,
    #[serde(default)]
    tests: Vec<String>,
    migrating: Option<String>,
    later: Option<String>,
}

/// What the table comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    tested: usize,
    migrating: usize,
    /// Rows of which a test could not run on this machine.
    not_run_here: Vec<String>,
    /// Rows by the work that they wait for.
    later: BTreeMap<String, Vec<String>>,
    problems: Vec<String>,
}

impl Table {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(root.join(TABLE))?;
        toml::from_str(&text).map_err(|error| format!("{TABLE}: {error}").into())
    }

    fn judge(&self, known: &Known<'_>, migrating: &str) -> Verdict {
        let migrating = words(migrating);
        let mut verdict = Verdict::default();
        let mut ids = BTreeSet::new();
        for row in &self.row {
            let mut problem = |text: String| verdict.problems.push(format!("{}: {text}", row.id));
            if !ids.insert(&row.id) {
                problem("is there twice".into());
            }
            if row.what.trim().is_empty() {
                problem("says nothing".into());
            }
            if row.tests.is_empty() && row.migrating.is_none() && row.later.is_none() {
                problem("names no test, no phrase, and nothing to wait for".into());
            }
            let mut not_here = false;
            for name in &row.tests {
                match known.standing(name) {
                    Standing::Fine => {}
                    Standing::NotHere => not_here = true,
                    Standing::DidNotPass => problem(format!("{name} did not pass")),
                    Standing::Absent => problem(format!("there is no test {name}")),
                }
            }
            if let Some(phrase) = &row.migrating
                && !migrating.contains(&words(phrase))
            {
                problem(format!("{MIGRATING} does not say {phrase:?}"));
            }
            verdict.tested += usize::from(!row.tests.is_empty());
            verdict.migrating += usize::from(row.migrating.is_some());
            if not_here {
                verdict.not_run_here.push(row.id.clone());
            }
            if let Some(later) = &row.later {
                verdict
                    .later
                    .entry(later.clone())
                    .or_default()
                    .push(row.id.clone());
            }
        }
        verdict
    }
}

/// A text without what line breaks and the cells of a table do to it.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Compares the table with what ran; tells what it comes to.
pub(crate) fn check(root: &Path, known: &Known<'_>) -> Result {
    let migrating = std::fs::read_to_string(root.join(MIGRATING))?;
    let table = Table::read(root)?;
    let verdict = table.judge(known, &migrating);
    println!();
    println!(
        "{TABLE}: {} rows, {} with tests, {} with a line in {MIGRATING}",
        table.row.len(),
        verdict.tested,
        verdict.migrating
    );
    if !verdict.not_run_here.is_empty() {
        println!("not run here: {}", verdict.not_run_here.join(", "));
    }
    for (what, rows) in &verdict.later {
        println!("later, {what}: {}", rows.join(", "));
    }
    for problem in &verdict.problems {
        println!("{problem}");
    }
    match verdict.problems.len() {
        0 => Ok(()),
        count => Err(format!("{count} rows of {TABLE} do not hold").into()),
    }
}

/// `cargo xtask requirements`: whether all that this table and `tests/commands.toml` name exists,
/// without running it.
pub(crate) fn requirements() -> Result {
    let root = Places::of_this_workspace()?.root().to_owned();
    let mut outcomes = Outcomes::new();
    for binary in test_binaries::build(&root)? {
        outcomes.extend(binary.names()?.into_iter().map(|id| (id, Outcome::Passed)));
    }
    let known = Known {
        outcomes: &outcomes,
        not_run: &[],
    };
    let rows = check(&root, &known);
    commands::check(&known)?;
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_binaries::TestId;

    fn id(label: &str, path: &str) -> TestId {
        TestId {
            label: label.into(),
            path: path.into(),
        }
    }

    fn verdict(rows: &str) -> Verdict {
        let outcomes = Outcomes::from([
            (id("app", "facts::tests::passes"), Outcome::Passed),
            (id("app/plan", "fails"), Outcome::Failed),
            (id("app/plan", "is_ignored"), Outcome::Ignored),
        ]);
        let known = Known {
            outcomes: &outcomes,
            not_run: &[id("whole-builds/upstream", "needs_the_network")],
        };
        let table: Table = toml::from_str(rows).unwrap();
        table.judge(&known, "| key | this is\n  different |")
    }

    #[test]
    fn a_row_stands_by_tests_that_passed_and_phrases_that_are_there() {
        let verdict = verdict(
            "[[row]]\nid = 'a'\nwhat = 'x'\ntests = ['app::passes', 'app::facts::tests::passes']\n\
             [[row]]\nid = 'b'\nwhat = 'x'\nmigrating = 'this is different'\n\
             [[row]]\nid = 'c'\nwhat = 'x'\ntests = ['whole-builds/upstream::needs_the_network']\n\
             [[row]]\nid = 'd'\nwhat = 'x'\ntests = ['app::passes']\nlater = 'issue 4'\n",
        );
        let expected = Verdict {
            tested: 3,
            migrating: 1,
            not_run_here: vec!["c".into()],
            later: [("issue 4".to_owned(), vec!["d".to_owned()])].into(),
            problems: Vec::new(),
        };
        assert_eq!(verdict, expected);
    }

    #[test]
    fn what_does_not_hold_is_told_with_its_row() {
        let verdict = verdict(
            "[[row]]\nid = 'a'\nwhat = 'x'\ntests = ['app/plan::fails', 'app/plan::is_ignored']\n\
             [[row]]\nid = 'a'\nwhat = ' '\nmigrating = 'this is the same'\n\
             [[row]]\nid = 'b'\nwhat = 'x'\n\
             [[row]]\nid = 'c'\nwhat = 'x'\ntests = ['app::asses', 'app::fails', 'plan::fails']\n",
        );
        assert_eq!(
            verdict.problems,
            [
                "a: app/plan::fails did not pass",
                "a: app/plan::is_ignored did not pass",
                "a: is there twice",
                "a: says nothing",
                "a: docs/migrating.md does not say \"this is the same\"",
                "b: names no test, no phrase, and nothing to wait for",
                "c: there is no test app::asses",
                "c: there is no test app::fails",
                "c: there is no test plan::fails",
            ]
        );
    }

    #[test]
    fn a_field_with_another_name_is_no_row() {
        let text = "[[row]]\nid = 'a'\nwhat = 'x'\ntest = ['app::passes']\n";
        assert!(toml::from_str::<Table>(text).is_err());
    }

    /// The numbered lists that the table goes through have no gaps.
    #[test]
    fn the_table_goes_through_its_lists_from_one_end_to_the_other() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let table = Table::read(&root).unwrap();
        for (list, numbers) in [
            ("users-", 1..=35),
            ("asked-", 1..=16),
            ("elixir-order.", 0..=27),
            ("static-order.", 1..=14),
        ] {
            for number in numbers {
                let id = format!("{list}{number}");
                assert!(table.row.iter().any(|row| row.id == id), "no row {id}");
            }
        }
    }
}
