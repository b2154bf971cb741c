//! `tests/requirements.toml`: the requirements of a drop-in replacement, each with its proof: tests, or a phrase of
//! `docs/migrating.md` that states the difference.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::process::Result;
use crate::test_binaries::{self, TestId};
use crate::toolchains::Places;

const TABLE: &str = "tests/requirements.toml";
const MIGRATING: &str = "docs/migrating.md";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
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
    /// The future work that will prove it.
    later: Option<String>,
}

impl Table {
    /// Returns the problems, one per line.
    fn problems(&self, tests: &[TestId], migrating: &str) -> Vec<String> {
        let migrating = words(migrating);
        let mut problems = Vec::new();
        let mut ids = BTreeSet::new();
        for row in &self.row {
            let mut problem = |text: String| problems.push(format!("{}: {text}", row.id));
            if !ids.insert(&row.id) {
                problem("duplicate id".into());
            }
            if row.what.trim().is_empty() {
                problem("no requirement".into());
            }
            if row.tests.is_empty() && row.migrating.is_none() && row.later.is_none() {
                problem("no test, no phrase, and no later work".into());
            }
            for name in &row.tests {
                if !tests.iter().any(|id| is(id, name)) {
                    problem(format!("no test {name}"));
                }
            }
            if let Some(phrase) = &row.migrating
                && !migrating.contains(&words(phrase))
            {
                problem(format!("{MIGRATING} lacks {phrase:?}"));
            }
        }
        problems
    }
}

/// Joins the words of a text, which line breaks and table cells separate.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether `name`, as in `app::a_test`, is this test in any module of `app`.
fn is(id: &TestId, name: &str) -> bool {
    name.strip_prefix(&id.label)
        .and_then(|rest| rest.strip_prefix("::"))
        .is_some_and(|name| {
            id.path
                .strip_suffix(name)
                .is_some_and(|modules| modules.is_empty() || modules.ends_with("::"))
        })
}

/// Checks the table against all tests of the workspace.
pub(crate) fn check(root: &Path, tests: &[TestId]) -> Result {
    let table: Table = toml::from_str(&fs::read_to_string(root.join(TABLE))?)
        .map_err(|error| format!("{TABLE}: {error}"))?;
    let problems = table.problems(tests, &fs::read_to_string(root.join(MIGRATING))?);
    if problems.is_empty() {
        println!("{TABLE}: {} requirements", table.row.len());
        return Ok(());
    }
    Err(format!("{TABLE}:\n{}", problems.join("\n")).into())
}

/// `cargo xtask requirements`: checks the table without running the tests.
pub(crate) fn requirements() -> Result {
    let root = Places::of_this_workspace()?.root().to_owned();
    let mut tests = Vec::new();
    for binary in test_binaries::build(&root)? {
        tests.extend(binary.names()?);
    }
    check(&root, &tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_name_their_row() {
        let id = |label: &str, path: &str| TestId {
            label: label.into(),
            path: path.into(),
        };
        let tests = [id("app", "facts::tests::one"), id("app/plan", "two")];
        let table: Table = toml::from_str(
            "[[row]]\nid = 'a'\nwhat = 'x'\ntests = ['app::one', 'app::facts::tests::one']\n\
             [[row]]\nid = 'b'\nwhat = 'x'\nmigrating = 'this is different'\n\
             [[row]]\nid = 'c'\nwhat = 'x'\ntests = ['app/plan::two']\nlater = 'issue 4'\n\
             [[row]]\nid = 'd'\nwhat = 'x'\ntests = ['app::ne', 'app::two', 'plan::two']\n\
             [[row]]\nid = 'd'\nwhat = ' '\nmigrating = 'this is the same'\n\
             [[row]]\nid = 'e'\nwhat = 'x'\n",
        )
        .unwrap();
        assert_eq!(
            table.problems(&tests, "| key | this is\n  different |"),
            [
                "d: no test app::ne",
                "d: no test app::two",
                "d: no test plan::two",
                "d: duplicate id",
                "d: no requirement",
                "d: docs/migrating.md lacks \"this is the same\"",
                "e: no test, no phrase, and no later work",
            ]
        );
    }

    #[test]
    fn unknown_field_is_an_error() {
        let text = "[[row]]\nid = 'a'\nwhat = 'x'\ntest = ['app::passes']\n";
        assert!(toml::from_str::<Table>(text).is_err());
    }
}
