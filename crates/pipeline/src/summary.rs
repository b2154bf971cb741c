//! The end of the log: how long each step took, what was kept, what ships, and what starts.

use crate::request::Built;
use crate::timeline::Timings;
use app::facts::Procfile;
use app::plan::{Plan, StepName};
use exec::log::{Log, seconds};
use exec::progress::megabytes;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use store::tree::Amount;

/// Bytes of an entry of the cache that has a line of its own.
const LARGE: u64 = 1_000_000;

/// The last block: which step took how long, what was kept, what came out, and what starts.
pub(crate) fn summarise(
    log: &Log,
    built: &Built,
    timings: &Timings,
    (app, cache): (Amount, &BTreeMap<String, Amount>),
) {
    let steps = &timings.steps;
    let log = log.step("Built");
    let end = steps.iter().map(|t| t.started + t.took).max();
    let wall = end.unwrap_or_default();
    let work: Duration = steps.iter().map(|t| t.took).sum();
    let mut by_start = steps.clone();
    by_start.sort_by_key(|timing| timing.started);
    for timing in by_start {
        log.detail(&format!(
            "{:<28} {:>10}",
            timing.name.as_str(),
            seconds(timing.took)
        ));
    }
    log.detail(&format!("{} of work in {}", seconds(work), seconds(wall)));
    let reused: Vec<&str> = timings
        .reused
        .iter()
        .filter_map(|step| cached_contents(*step))
        .collect();
    if !reused.is_empty() {
        log.detail(&format!("from cache: {}", reused.join(", ")));
    }
    let size = |held: Amount| format!("{} in {} files", megabytes(held.bytes), held.files);
    log.detail(&format!("app size: {}", size(app)));
    let mut all = Amount::default();
    for held in cache.values() {
        all += *held;
    }
    log.detail(&format!("cache size: {}", size(all)));
    let mut large: Vec<_> = cache
        .iter()
        .filter(|(_, held)| held.bytes >= LARGE)
        .collect();
    large.sort_by_key(|(_, held)| Reverse(held.bytes));
    for (name, held) in large {
        log.detail(&format!("  {name:<26} {:>10}", megabytes(held.bytes)));
    }
    for (kind, command) in &built.record.processes {
        log.detail(&match built.procfile.0.get(kind) {
            Some(named) => format!("{kind}: {named} (Procfile)"),
            None => format!("{kind}: {command}"),
        });
    }
}

/// Returns a word for the cached result of a step.
fn cached_contents(step: StepName) -> Option<&'static str> {
    match step {
        StepName::Compile => Some("_build"),
        StepName::Javascript => Some("node_modules"),
        // It comes with the assets.
        StepName::Digest => None,
        step => Some(step.as_str()),
    }
}

/// Of what the Procfile starts. A later buildpack may still make it.
pub(crate) fn warn_of_missing_files(plan: &Plan, app: &Path, procfile: &Procfile, log: &Log) {
    let of_release = [Path::new("_build"), Path::new("bin/server")];
    for (kind, file) in procfile.files() {
        let path = file.display();
        let is_executable = |metadata: Metadata| metadata.permissions().mode() & 0o111 != 0;
        let (wrong, action) = match app.join(file).metadata().map(is_executable) {
            Ok(true) => continue,
            Ok(false) => (
                "which is not executable",
                format!("Run `git update-index --chmod=+x {path}`, and commit."),
            ),
            Err(_) if !plan.release && of_release.iter().any(|dir| file.starts_with(dir)) => (
                "which does not exist",
                "To build a release, set release=true in elixir_buildpack.config.".to_owned(),
            ),
            Err(_) => (
                "which does not exist",
                "Commit it, or correct the Procfile.".to_owned(),
            ),
        };
        let cause = format!("The Procfile's {kind} starts {path}, {wrong}.");
        log.warning(&[cause, action]);
    }
}
