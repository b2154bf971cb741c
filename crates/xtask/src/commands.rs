//! `tests/commands.toml`: the commands that the pages show, and the tests that run them. That each is
//! there, and that those tests take them out of the pages, is tested in `tests/commands.rs`; here what
//! ran is compared with it.

use whole_builds::pages::{self, TABLE, Table};

use crate::process::Result;
use crate::standing::{Known, Standing};

/// What the table comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    tested: usize,
    by_ci: usize,
    /// Commands that no test can run, with the reason.
    without: Vec<String>,
    /// Commands of which a test could not run on this machine.
    not_run_here: Vec<String>,
    problems: Vec<String>,
}

fn judge(table: &Table, known: &Known<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    for (page, commands) in table {
        for (command, entry) in commands {
            let named = format!("{page}: {command}");
            for test in &entry.tests {
                match known.standing(test) {
                    Standing::Fine => {}
                    Standing::NotHere => verdict.not_run_here.push(named.clone()),
                    Standing::DidNotPass => {
                        let problem = format!("{named}: {test} did not pass");
                        verdict.problems.push(problem);
                    }
                    Standing::Absent => {
                        let problem = format!("{named}: there is no test {test}");
                        verdict.problems.push(problem);
                    }
                }
            }
            verdict.tested += usize::from(!entry.tests.is_empty());
            verdict.by_ci += usize::from(entry.ci.is_some());
            if let Some(why) = &entry.not_run {
                verdict.without.push(format!("{named} ({why})"));
            }
        }
    }
    verdict
}

/// Compares the table with what ran; tells what it comes to.
pub(crate) fn check(known: &Known<'_>) -> Result {
    let verdict = judge(&pages::table(), known);
    println!();
    println!(
        "{TABLE}: {} commands with tests, {} that CI runs, {} that nothing runs",
        verdict.tested,
        verdict.by_ci,
        verdict.without.len()
    );
    for command in &verdict.without {
        println!("nothing runs {command}");
    }
    for command in &verdict.not_run_here {
        println!("not run here: {command}");
    }
    for problem in &verdict.problems {
        println!("{problem}");
    }
    match verdict.problems.len() {
        0 => Ok(()),
        count => Err(format!("{count} commands of {TABLE} are not shown to work").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_binaries::{Outcome, Outcomes, TestId};

    fn id(path: &str) -> TestId {
        TestId {
            label: "whole-builds/local".into(),
            path: path.into(),
        }
    }

    #[test]
    fn a_command_stands_by_a_test_that_passed() {
        let outcomes = Outcomes::from([
            (id("passes"), Outcome::Passed),
            (id("fails"), Outcome::Failed),
        ]);
        let known = Known {
            outcomes: &outcomes,
            not_run: &[id("needs_docker")],
        };
        let table: Table = toml::from_str(
            "[\"README.md\"]\n\
             a = { tests = ['whole-builds/local::passes'] }\n\
             b = { tests = ['whole-builds/local::passes', 'whole-builds/local::fails'] }\n\
             c = { tests = ['whole-builds/local::needs_docker'] }\n\
             d = { tests = ['whole-builds/local::is_gone'] }\n\
             e = { ci = '.ci/run' }\n\
             f = { not_run = 'opens a browser' }\n",
        )
        .unwrap();
        let expected = Verdict {
            tested: 4,
            by_ci: 1,
            without: vec!["README.md: f (opens a browser)".into()],
            not_run_here: vec!["README.md: c".into()],
            problems: vec![
                "README.md: b: whole-builds/local::fails did not pass".into(),
                "README.md: d: there is no test whole-builds/local::is_gone".into(),
            ],
        };
        assert_eq!(judge(&table, &known), expected);
    }
}
