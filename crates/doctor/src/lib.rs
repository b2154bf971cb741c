//! Predicts problems of an app after its deploy: findings about its configuration, its code, and its plan.
//!
//! Only reads files, and runs no code. If a value is computed, the rules about it are silent.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod annotations;
mod catalogue;
mod config;
mod context;
mod elixir;
mod finding;
mod git;
mod mix_exs;
mod output;
mod paths;
mod rules;
mod sources;

pub use annotations::annotations;
pub use catalogue::{Rule, rules};
pub use context::Input;
pub use finding::{Finding, Place, Severity};
pub use output::{count, json, sarif, text};

/// Runs all rules. Errors come first, and findings in a file are sorted by line.
#[must_use]
pub fn check(input: Input<'_>) -> Vec<Finding> {
    let mut findings = finding::Findings::default();
    rules::run(&context::Context::new(input), &mut findings);
    sort(&mut findings.0);
    findings.0
}

/// The default stack to plan for: that of `app.json`, or else Heroku's default.
#[must_use]
pub fn stack(top: &std::path::Path) -> String {
    let text = app::text_file::read(&top.join("app.json")).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let named = json["stack"].as_str().unwrap_or_default();
    let alive = ["heroku-22", "heroku-24", "heroku-26"];
    let stack = alive.into_iter().find(|stack| *stack == named);
    stack.unwrap_or("heroku-24").to_owned()
}

/// The first place in a file of the repository that a text mentions, as `mix.exs:3`.
#[must_use]
pub fn place_in(top: &std::path::Path, text: &str) -> Option<Place> {
    text.split([' ', '(', ')', ',', ';', '\n'])
        .find_map(|word| {
            let word = word.trim_end_matches(['.', ':']);
            let (file, line) = word.split_once(':')?;
            let line = line.parse().ok()?;
            let is_file = !file.starts_with('/') && top.join(file).is_file();
            is_file.then(|| Place::new(file, line))
        })
}

/// Sorts findings, and removes those that two rules share.
pub fn sort(findings: &mut Vec<Finding>) {
    findings.sort_unstable_by(|a, b| {
        let key = |of: &Finding| (of.severity, of.place.line, of.code);
        let files = a
            .severity
            .cmp(&b.severity)
            .then_with(|| a.place.file.cmp(&b.place.file));
        let rest = || key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message));
        files.then_with(rest)
    });
    findings.dedup();
}
