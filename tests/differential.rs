//! An incremental build equals a clean one, whatever preceded it.
//!
//! `cargo xtask differential` runs random sequences. The nightly workflow runs a few new ones.

use whole_builds::differential::{Api, replay};

/// For each check that lets a build skip work, a step here has a wrong slug without that check, as deliberate bugs in
/// each of them have shown.
const STEPS: [&str; 11] = [
    // The digest of the app's files, of which the assets are made.
    r#"[{"Write": {"slot": 14, "variant": 1}}, {"Setting": "PruneAll"}]"#,
    // Variables in the key of assets; dependencies that read a variable, and the path that they are
    // compiled at. The cache has none of the stripped modules of the build before.
    r#"[{"Setting": "PruneAll"}, {"Variable": {"variable": "ApiUrl", "value": 1}},
        {"Variable": {"variable": "KnobsRegion", "value": 1}}]"#,
    // Executables that packages fetch, and leave in `_build`.
    r#"[{"Write": {"slot": 0, "variant": 1}}, {"Write": {"slot": 12, "variant": 0}},
        {"Dependency": {"dependency": "Esbuild", "second": true}}]"#,
    // Times of source files of the same size.
    r#"[{"Write": {"slot": 0, "variant": 2}}]"#,
    // Files that are not digested; the lockfile in the key of node_modules.
    r#"[{"Remove": {"slot": 12}}, {"Setting": "OldEsbuild"}]"#,
    // Switches of the compiler in the key of `_build`.
    r#"[{"Variable": {"variable": "CompilerOptions", "value": 1}}]"#,
    // Whether `mix deps.get` has to run; a cache that was moved.
    r#"[{"Dependency": {"dependency": "Knobs", "second": true}}, {"MoveCache": {"times": false}}]"#,
    // Files that compiling creates; a build that fails after compiling.
    r#"[{"Generator": {"generator": "Native", "variant": 0}}, {"Fail": "Assets"},
        {"Dependency": {"dependency": "Esbuild", "second": null}}]"#,
    // A release, another patch of OTP, a build that is killed.
    r#"[{"Setting": "Release"}, {"Setting": "OtpPatch"}, {"Fail": {"Killed": {"after_ms": 1500}}}]"#,
    // OTP in the key of `deps`, where a dependency leaves a NIF; what Elixir before 1.15 writes.
    r#"[{"Setting": "OldElixir"}]"#,
    "[]",
];

#[test]
fn every_skipped_step_yields_same_slug_as_clean_build() {
    let steps = format!("[{}]", STEPS.join(","));
    replay(Api::Classic, &steps, None).unwrap_or_else(|found| panic!("{found}"));
}
