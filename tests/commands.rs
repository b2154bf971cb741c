//! Every command in the docs is run by a test or by CI, or has a reason for not being run. A test that runs commands
//! fails if the table assigns it a command that it doesn't run (`pages::Documented`).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use whole_builds::pages::{self, Block, TABLE};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn documented_commands_match_table_entries() {
    let shown: BTreeSet<(String, String)> = pages::all()
        .into_iter()
        .flat_map(|path| {
            let commands = pages::commands(&pages::page(&path));
            commands.into_iter().map(move |line| (path.clone(), line))
        })
        .collect();
    let known: BTreeSet<(String, String)> = pages::table()
        .into_iter()
        .flat_map(|(page, commands)| {
            let lines = commands.into_keys();
            lines.map(move |line| (page.clone(), line))
        })
        .collect();
    let new: Vec<_> = shown.difference(&known).collect();
    assert!(new.is_empty(), "{TABLE} does not have {new:#?}");
    let stale: Vec<_> = known.difference(&shown).collect();
    assert!(stale.is_empty(), "no page shows {stale:#?}");
}

#[test]
fn every_entry_names_tests_or_ci_file_or_reason() {
    for (page, commands) in pages::table() {
        for (command, entry) in commands {
            let ways = usize::from(!entry.tests.is_empty())
                + usize::from(entry.ci.is_some())
                + usize::from(entry.not_run.is_some());
            assert_eq!(ways, 1, "{page}: {command}");
            if let Some(file) = &entry.ci {
                let text = fs::read_to_string(root().join(file)).unwrap();
                // CI may start the executable that `cargo xtask` would build.
                let text = text.replace("\"$xtask\" ", "cargo xtask ");
                let runs = text.lines().any(|line| {
                    let line = line.trim().trim_start_matches("run: ");
                    let line = line.trim_start_matches(".github/in-debian ");
                    let rest = line.strip_prefix(&command);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                });
                assert!(runs, "{file} does not run {command}");
            }
        }
    }
}

#[test]
fn troubleshooting_page_shows_the_error_of_a_build() {
    let snapshot = include_str!("snapshots/errors__compile_undefined.snap");
    let (_, error) = snapshot.rsplit_once("---\n").unwrap();
    let page = pages::page("docs/troubleshooting.md");
    assert!(page.contains(error.trim_end()), "{error}");
}

#[test]
fn commands_include_continuation_lines_and_omit_comments() {
    let block = Block {
        mark: None,
        language: "console".into(),
        text: "$ one 'a # b' DIR    # a remark\n# two \\\n    --more\nwhat it prints\n".into(),
    };
    assert_eq!(block.commands(), ["one 'a # b' DIR", "two --more"]);
    let text = "```text\n$ log\n```\n\n<!-- mark -->\n```console\n$ three\n```\n";
    assert_eq!(pages::commands(text), ["three"]);
    assert_eq!(pages::blocks(text)[1].mark.as_deref(), Some("mark"));
}
