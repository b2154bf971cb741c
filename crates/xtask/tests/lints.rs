//! The workspace's lints apply only to crates that opt in.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn every_crate_forbids_unsafe_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manifest = |path: &Path| -> toml::Table {
        let text = fs::read_to_string(path).expect("a Cargo.toml");
        text.parse().expect("TOML")
    };
    let workspace = manifest(&root.join("Cargo.toml"));
    let unsafe_code = &workspace["workspace"]["lints"]["rust"]["unsafe_code"];
    assert_eq!(unsafe_code.as_str(), Some("forbid"));

    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(&root)
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).expect("metadata");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 9, "{} packages", packages.len());
    for package in packages {
        let path = package["manifest_path"].as_str().expect("a path");
        let lints = manifest(Path::new(path)).remove("lints");
        let asks = lints.and_then(|lints| lints.get("workspace").and_then(toml::Value::as_bool));
        assert_eq!(asks, Some(true), "{path} has no `[lints] workspace = true`");
    }
}
