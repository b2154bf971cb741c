//! The build's report: flat facts for machines, for `bin/report`.
//!
//! The file is rewritten for each fact, so that it is complete up to the moment at which a build is killed. It
//! contains no secrets, and no values of config vars except `MIX_ENV` and versions. A build never fails because its
//! report can't be written.

use app::Plan;
use app::facts::PROCFILE;
use app::plan::{AssetBuild, StepName};
use exec::cancel::Cancel;
use messages::{Explanation, Fault};
use planning::record::Record;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use store;

/// The maximum length of a value in characters, which the platform's collectors accept.
const MAX_CHARACTERS: usize = 200;
const FILE: &str = "report.json";
const PREVIOUS: &str = "report-previous.json";
/// The last fact of a report. Without it, the build was killed.
const ENDED: &str = "total_duration";

/// The facts of one build: strings, numbers and booleans by name, sorted.
#[derive(Debug)]
pub struct Report {
    folder: PathBuf,
    facts: Mutex<BTreeMap<String, Value>>,
    started: Instant,
    reused: Mutex<BTreeSet<StepName>>,
}

/// Mixpack's directory in the platform's cache directory.
fn folder(cache_dir: &Path) -> PathBuf {
    cache_dir.join("mixpack")
}

impl Report {
    /// Begins the report of a build. Keeps the previous report next to it.
    #[must_use]
    pub fn begin(cache_dir: &Path) -> Self {
        let folder = folder(cache_dir);
        // Don't write to the target of a symbolic link.
        let _ = store::real_folder(&folder);
        let _ = fs::rename(folder.join(FILE), folder.join(PREVIOUS));
        let report = Self {
            folder,
            facts: Mutex::default(),
            started: Instant::now(),
            reused: Mutex::default(),
        };
        report.set("mixpack_version", planning::record::VERSION);
        report.set("build_step", "planning");
        report
    }

    /// Adds a fact, and writes the report.
    pub fn set(&self, name: &str, value: impl Into<Value>) {
        let value = match value.into() {
            Value::String(text) => text.chars().take(MAX_CHARACTERS).collect::<String>().into(),
            value => value,
        };
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        facts.insert(name.to_owned(), value);
        let _ = self.write(&facts);
    }

    /// Adds that a step reused results of the last build.
    pub(crate) fn reused(&self, step: StepName) {
        let mut reused = self.reused.lock().unwrap_or_else(PoisonError::into_inner);
        reused.insert(step);
    }

    /// Adds that a step couldn't reuse results of the last build.
    pub(crate) fn not_reused(&self, step: StepName) {
        let mut reused = self.reused.lock().unwrap_or_else(PoisonError::into_inner);
        reused.remove(&step);
    }

    pub(crate) fn reused_steps(&self) -> BTreeSet<StepName> {
        let reused = self.reused.lock().unwrap_or_else(PoisonError::into_inner);
        reused.clone()
    }

    /// Adds the duration of something, in seconds.
    pub fn took(&self, name: &str, duration: Duration) {
        let seconds = (duration.as_secs_f64() * 1e6).round() / 1e6;
        self.set(&format!("{name}_duration"), seconds);
    }

    fn write(&self, facts: &BTreeMap<String, Value>) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let new = self.folder.join(format!("{FILE}.new"));
        fs::write(&new, serde_json::to_vec(facts)?)?;
        fs::rename(new, self.folder.join(FILE))
    }

    pub fn planned(&self, app: &Path, plan: &Plan) {
        self.took("planning", self.started.elapsed());
        self.set("stack", plan.target.stack.as_str());
        self.set("architecture", plan.target.arch.to_string());
        for tool in plan.tools() {
            let name = tool.name;
            self.set(&format!("{name}_version"), tool.version);
            self.set(
                &format!("{name}_version_requested"),
                tool.requested.is_some(),
            );
            self.set(&format!("{name}_version_from"), tool.source.to_string());
        }
        self.set("mix_env", plan.mix_env.value.as_str());
        self.set("phoenix", plan.phoenix);
        self.set("umbrella", plan.umbrella);
        self.set("release", plan.release);
        self.set("clean_build", plan.clean.is_some());
        let has_procfile = plan.app_procfile.is_some() || app.join(PROCFILE).is_file();
        self.set("has_procfile", has_procfile);
        self.set("projects", plan.projects.len());
        self.set("phoenix_apps", plan.assets.len());
        let installs = plan.assets.iter().filter(|assets| assets.install.is_some());
        self.set("javascript_packages", installs.count());
        if let Some(assets) = plan.assets.first() {
            let build = match assets.build {
                AssetBuild::CustomScript { .. } => "custom script",
                AssetBuild::Script { .. } => "package.json script",
                AssetBuild::MixAlias => "mix assets.deploy",
                AssetBuild::Nothing => "nothing",
            };
            self.set("asset_build", build);
        }
    }

    pub fn succeeded(&self, record: &Record) {
        self.set("build_step", "done");
        self.set("phoenix", record.phoenix);
        for tool in ["hex", "rebar3"] {
            if let Some(version) = record.tools.get(tool) {
                self.set(&format!("{tool}_version"), version.as_str());
            }
        }
        self.took("total", self.started.elapsed());
    }

    /// The explanation must contain no secrets.
    pub fn failed(&self, explanation: &Explanation, cancel: &Cancel) {
        let Explanation { code, title, .. } = explanation;
        self.set("failure", *code);
        self.set("failure_detail", format!("{code}: {title}"));
        self.set("failure_classification", class(explanation.fault));
        if let Some(signal) = cancel.signal() {
            self.set("signal", signal);
        }
        self.took("total", self.started.elapsed());
    }

    /// Returns the output of `bin/report`: the report of the last build in this cache directory, or an empty one.
    #[must_use]
    pub fn read(cache_dir: &Path) -> String {
        let text = fs::read(folder(cache_dir).join(FILE)).unwrap_or_default();
        let mut facts: Map<String, Value> = serde_json::from_slice(&text).unwrap_or_default();
        if !facts.is_empty() && !facts.contains_key(ENDED) {
            facts.insert("failure".to_owned(), "killed".into());
            let detail = "killed: the build ended without a word";
            facts.insert("failure_detail".to_owned(), detail.into());
            facts.insert(
                "failure_classification".to_owned(),
                class(Fault::Machine).into(),
            );
        }
        // The order must not depend on the JSON library's map type.
        facts.sort_keys();
        format!("{:#}\n", Value::Object(facts))
    }
}

/// The classes of failures in Heroku's own buildpacks.
fn class(fault: Fault) -> &'static str {
    match fault {
        Fault::User => "user",
        Fault::Upstream => "upstream",
        Fault::Machine => "buildpack",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use messages::Error;
    use messages::explain;

    fn read(cache_dir: &Path) -> Value {
        serde_json::from_str(&Report::read(cache_dir)).unwrap()
    }

    #[test]
    fn killed_build_reports_last_step() {
        let dir = tempfile::tempdir().unwrap();
        let report = Report::begin(dir.path());
        report.set("build_step", "compile");
        drop(report);
        let facts = read(dir.path());
        assert_eq!(facts["build_step"], "compile");
        assert_eq!(facts["failure"], "killed");
        assert_eq!(facts["failure_classification"], "buildpack");
    }

    #[test]
    fn report_has_failure_code_and_class_and_next_build_resets_it() {
        let dir = tempfile::tempdir().unwrap();
        let report = Report::begin(dir.path());
        let error = explain(&Error::Architecture("vax".to_owned()));
        report.failed(&error, &Cancel::default());
        let facts = read(dir.path());
        assert_eq!(facts["failure"], error.code);
        assert!(
            facts["failure_detail"].as_str().unwrap().contains("vax"),
            "{facts}"
        );
        assert!(facts[ENDED].is_f64());
        drop(Report::begin(dir.path()));
        assert_eq!(read(dir.path())["failure"], "killed");
        let previous = fs::read_to_string(folder(dir.path()).join(PREVIOUS)).unwrap();
        assert!(previous.contains(error.code), "{previous}");
    }

    #[test]
    fn report_truncates_values_and_tolerates_unwritable_cache() {
        let dir = tempfile::tempdir().unwrap();
        let report = Report::begin(dir.path());
        report.set("zebra", "\u{e9}".repeat(500));
        report.set("aardvark", true);
        let text = Report::read(dir.path());
        assert_eq!(text.matches('\u{e9}').count(), MAX_CHARACTERS);
        assert!(text.find("aardvark") < text.find("zebra"));
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        Report::begin(&file).set("a", 1);
        assert_eq!(Report::read(&file), "{}\n");
    }
}
