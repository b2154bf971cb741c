//! The end of the log: durations, reused results, sizes and process types.

use crate::boot_check::process_dir;
use crate::changes::{Facts, Growth, Sizes};
use crate::request::Built;
use crate::timeline::Timings;
use app::facts::Procfile;
use app::plan::{Plan, StepName};
use exec::log::{Log, StepLog, seconds};
use exec::progress::megabytes;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use store::tree::Amount;

/// The minimum size of a cache entry with a line of its own, in bytes.
const LARGE: u64 = 1_000_000;
/// The smallest change of a size that is shown, in bytes. A smaller one would round to zero.
const CHANGE: u64 = 50_000;

/// Logs the duration of each step, the reused results, sizes and process types. Compares times and sizes with the
/// last build.
pub(crate) fn summarise(
    log: &Log,
    built: &Built,
    timings: &Timings,
    (app, cache): (&Sizes, &Sizes),
    (now, last): (&Facts, Option<&Facts>),
) {
    let steps = &timings.steps;
    let log = log.step("Built");
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
    let wall = seconds(timings.wall());
    let before = last.and_then(|last| Duration::try_from_secs_f64(last.seconds).ok());
    let before = before.map(|before| format!(" (last build: {})", seconds(before)));
    let before = before.unwrap_or_default();
    log.detail(&format!("{} of work in {wall}{before}", seconds(work)));
    let reused: Vec<&str> = timings
        .reused
        .iter()
        .filter_map(|step| cached_contents(*step))
        .collect();
    if !reused.is_empty() {
        log.detail(&format!("from cache: {}", reused.join(", ")));
    }
    let growth = last.map(|last| now.growth(last));
    let (app_growth, cache_growth) = growth.unwrap_or_default();
    show_sizes(&log, "app size", app, &app_growth, u64::MAX);
    show_sizes(&log, "cache size", cache, &cache_growth, LARGE);
    for (kind, command) in &built.record.processes {
        log.detail(&match built.procfile.0.get(kind) {
            Some(named) => format!("{kind}: {named} (Procfile)"),
            None => format!("{kind}: {command}"),
        });
    }
}

/// Shows the total, and the parts that have at least `large` bytes or have changed.
fn show_sizes(log: &StepLog<'_>, label: &str, sizes: &Sizes, growth: &Growth, large: u64) {
    let mut all = Amount::default();
    for held in sizes.values() {
        all += *held;
    }
    let total = changed(growth.values().sum());
    let total = total.map(|change| format!(" ({change})"));
    log.detail(&format!(
        "{label}: {} in {} files{}",
        megabytes(all.bytes),
        all.files,
        total.unwrap_or_default()
    ));
    let names: BTreeSet<&String> = sizes.keys().chain(growth.keys()).collect();
    let mut lines: Vec<_> = names
        .into_iter()
        .filter_map(|name| {
            let bytes = sizes.get(name).map_or(0, |held| held.bytes);
            let change = growth.get(name).and_then(|bytes| changed(*bytes));
            (bytes >= large || change.is_some()).then_some((Reverse(bytes), name, change))
        })
        .collect();
    lines.sort();
    for (Reverse(bytes), name, change) in lines {
        let change = change.map(|change| format!("  {change:>9}"));
        let change = change.unwrap_or_default();
        log.detail(&format!("  {name:<26} {:>10}{change}", megabytes(bytes)));
    }
}

/// Returns `+1.2 MB`, or `None` for a negligible change.
fn changed(bytes: i64) -> Option<String> {
    let sign = if bytes < 0 { '-' } else { '+' };
    let bytes = bytes.unsigned_abs();
    (bytes >= CHANGE).then(|| format!("{sign}{}", megabytes(bytes)))
}

/// Returns a word for the cached result of a step.
fn cached_contents(step: StepName) -> Option<&'static str> {
    match step {
        StepName::Compile => Some("_build"),
        StepName::Javascript => Some("node_modules"),
        // Digested files are cached with the assets.
        StepName::Digest => None,
        step => Some(step.as_str()),
    }
}

/// Warns if a file that the Procfile starts is missing. It is no error, since a later buildpack may create the file.
pub(crate) fn warn_of_missing_files(plan: &Plan, app: &Path, procfile: &Procfile, log: &Log) {
    let of_release = [Path::new("_build"), Path::new("bin/server")];
    for (kind, file) in procfile.files() {
        let path = file.display();
        let is_executable = |metadata: Metadata| metadata.permissions().mode() & 0o111 != 0;
        let (wrong, action) = match app
            .join(process_dir(plan))
            .join(file)
            .metadata()
            .map(is_executable)
        {
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
