//! The map of crates in `docs/contributing.md` against the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// By name, the crates of the workspace that the code of each depends on.
type Map = BTreeMap<String, BTreeSet<String>>;

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of the table whose heading begins so.
fn shown(page: &str) -> Map {
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| crate |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let names = |cell: &str| -> BTreeSet<String> {
        let parts = cell.split('`').skip(1).step_by(2);
        parts.map(str::to_owned).collect()
    };
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        let name = names(cells[1]).pop_first().expect("a crate");
        (name, names(cells[3]))
    })
    .collect()
}

/// What the manifests say.
fn real(root: &Path) -> Map {
    let crates = fs::read_dir(root.join("crates")).expect("crates/");
    let folders = crates.map(|entry| entry.expect("a crate").path());
    let manifests: Vec<toml::Table> = folders
        .chain([root.join("tests")])
        .map(|folder| text(&folder.join("Cargo.toml")).parse().expect("TOML"))
        .collect();
    let name = |manifest: &toml::Table| {
        let name = manifest["package"]["name"].as_str();
        name.expect("a name").to_owned()
    };
    let all: BTreeSet<String> = manifests.iter().map(name).collect();
    let uses = |manifest: &toml::Table| -> BTreeSet<String> {
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        let names = dependencies.into_iter().flat_map(toml::Table::keys);
        names.filter(|name| all.contains(*name)).cloned().collect()
    };
    manifests
        .iter()
        .map(|manifest| (name(manifest), uses(manifest)))
        .collect()
}

#[test]
fn the_map_of_crates_is_that_of_the_workspace() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = text(&root.join("docs/contributing.md"));
    assert_eq!(shown(&page), real(&root));
    for (name, uses) in shown(&page) {
        let front_end = ["heroku", "cnb", "mixpack"].contains(&name.as_str());
        for platform in ["heroku", "cnb"] {
            assert!(
                front_end || !uses.contains(platform),
                "{name} uses {platform}"
            );
        }
    }
}
