//! `action.yml` and the workflow that docs/pull-requests.md shows for it: their form.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use whole_builds::action::Action;
use whole_builds::pages::{blocks, page};
use whole_builds::repository;

/// The names behind a prefix in a text, such as those of inputs.
fn names<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let parts = text.split(prefix).skip(1);
    parts
        .map(|part| {
            part.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
                .next()
                .unwrap()
        })
        .collect()
}

#[test]
fn scripts_exist_and_inputs_are_declared_and_used() {
    let action = Action::read();
    assert_eq!(action.runs.using, "composite");
    let [step] = &action.runs.steps[..] else {
        panic!("one step");
    };
    assert_eq!(step.shell, "bash");
    // Values only come as variables: in the text of a script they would be code.
    assert!(!step.run.contains("${{"), "{}", step.run);
    let path = step.run.strip_prefix("\"$GITHUB_ACTION_PATH/").unwrap();
    let script = repository().join(path.strip_suffix('"').unwrap());
    let mode = fs::metadata(&script).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "{} is executable", script.display());
    let script = fs::read_to_string(script).unwrap();

    let expressions: Vec<&str> = step.env.values().map(String::as_str).collect();
    let mut used = names(&expressions.join("\n"), "inputs.")
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    used.sort_unstable();
    let declared: Vec<&String> = action.inputs.keys().collect();
    assert_eq!(used.iter().collect::<Vec<_>>(), declared);
    for variable in step.env.keys() {
        assert!(
            script.contains(&format!("${variable}")),
            "{variable} is used"
        );
    }
    let mut read = names(&script, "$INPUT_");
    read.sort_unstable();
    read.dedup();
    let set: Vec<&str> = step
        .env
        .keys()
        .filter_map(|name| name.strip_prefix("INPUT_"))
        .collect();
    assert_eq!(read, set);
    for (name, output) in &action.outputs {
        assert_eq!(
            output.value,
            format!("${{{{ steps.{}.outputs.{name} }}}}", step.id)
        );
    }
}

#[test]
fn documented_workflow_only_reads_contents_on_pull_requests() {
    let action = Action::read();
    let page = page("docs/pull-requests.md");
    let workflows: Vec<Value> = blocks(&page)
        .iter()
        .filter(|block| block.language == "yaml")
        .map(|block| serde_norway::from_str(&block.text).unwrap())
        .collect();
    let workflow = &workflows[0];
    assert_eq!(workflow["on"], "pull_request");
    assert_eq!(workflow["permissions"], json!({ "contents": "read" }));
    let steps = workflow["jobs"]["mixpack"]["steps"].as_array().unwrap();
    let [checkout, mixpack] = &steps[..] else {
        panic!("two steps: {steps:?}");
    };
    assert!(
        checkout["uses"]
            .as_str()
            .unwrap()
            .starts_with("actions/checkout@")
    );
    assert_eq!(
        checkout["with"],
        json!({ "fetch-depth": 2, "persist-credentials": false })
    );
    let version = format!("<owner>/mixpack@v{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(mixpack["uses"], version);
    // Every input has a row in the page.
    for input in action.inputs.keys() {
        assert!(page.contains(&format!("| `{input}` |")), "{input}");
    }
}
