//! Findings of whole apps: each rule with an app that has the fault, and a twin that doesn't.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod faults;
mod reading;
mod shop;
mod stock;

use app::facts::{self, app_dir};
use app::plan::{self, LastBuild, Lists};
use app::{Origin, Setting, Settings};
use doctor::{Finding, Input, Severity};
use std::fs;
use std::path::Path;
use versions::elixir::ElixirListing;
use versions::lifecycle::Date;
use versions::node::NodeIndex;
use versions::otp::OtpListing;
use versions::target::{Arch, OsRelease, Target};

const SHA: &str = "9a1bfc1edd5c687a7d4620ed9bf377074e94c697";

fn lists() -> Lists {
    let line = |name: &str| format!("{name} {SHA} 2025-06-16T09:42:07Z\n");
    let otp = ["OTP-25.3.2.21", "OTP-27.3.4", "OTP-28.0", "OTP-29.0"]
        .map(line)
        .concat();
    let elixir = ["v1.14.5-otp-25", "v1.18.4-otp-27", "v1.19.0-otp-28"]
        .map(line)
        .concat();
    let node =
        r#"[{"version": "v24.4.0", "npm": "11.4.2", "lts": "Krypton", "files": ["linux-x64"]}]"#;
    Lists {
        otp: OtpListing::parse(&otp),
        elixir: ElixirListing::parse(&elixir),
        node: NodeIndex::parse(node).ok(),
    }
}

/// An app in a directory of its own.
pub(crate) struct Repository {
    dir: tempfile::TempDir,
    config_vars: Option<Vec<(String, String)>>,
}

impl Repository {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let repository = Self {
            dir: tempfile::tempdir().unwrap(),
            config_vars: None,
        };
        repository.files(files)
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn files(self, files: &[(&str, &str)]) -> Self {
        for (path, text) in files {
            let path = self.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        self
    }

    /// Replaces a text of a file, which must contain it.
    #[track_caller]
    pub(crate) fn edit(self, path: &str, from: &str, to: &str) -> Self {
        let file = self.path().join(path);
        let text = fs::read_to_string(&file).unwrap_or_else(|_| panic!("no {path} to edit"));
        assert!(text.contains(from), "{path} has no {from:?}");
        fs::write(file, text.replacen(from, to, 1)).unwrap();
        self
    }

    pub(crate) fn remove(self, path: &str) -> Self {
        fs::remove_file(self.path().join(path)).unwrap();
        self
    }

    pub(crate) fn config_vars(mut self, vars: &[(&str, &str)]) -> Self {
        let vars = vars
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.config_vars = Some(vars.collect());
        self
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        let dir = self.path();
        let at_top = facts::config_file(dir, facts::ELIXIR_CONFIG).unwrap();
        let app_dir = app_dir::resolve(dir, app_dir::requested(&at_top, None)).unwrap();
        let mut facts = facts::read(dir, app_dir, None).unwrap();
        let settings = Settings::merge(&facts, &|_| None);
        facts::add_configured(&mut facts, dir, &settings.compile_script, None).unwrap();
        let target =
            Target::resolve(Some("heroku-24"), &OsRelease::parse(""), Arch::Amd64).unwrap();
        let mix_env = Setting::new("prod".to_owned(), Origin::Default("production".to_owned()));
        let plan = plan::plan(
            &facts,
            &settings,
            target,
            mix_env,
            &lists(),
            &LastBuild::default(),
        );
        let plan = plan.map(|mut plan| {
            let today = Date::of_unix_time(1_790_000_000);
            plan.warnings
                .extend(plan::lifecycle::warnings(&plan, &lists(), today));
            plan
        });
        doctor::check(Input {
            top: dir,
            facts: &facts,
            plan: plan.as_ref().ok(),
            mix_env: "prod",
            config_vars: self.config_vars.as_deref(),
        })
    }

    /// `error code file:line` of each finding.
    pub(crate) fn codes(&self) -> Vec<String> {
        let line = |finding: Finding| {
            let (place, severity) = (finding.place, finding.severity.as_str());
            format!("{severity} {} {}:{}", finding.code, place.file, place.line)
        };
        self.findings().into_iter().map(line).collect()
    }

    /// The number of the line with that text.
    #[track_caller]
    pub(crate) fn line_of(&self, file: &str, text: &str) -> usize {
        let content = fs::read_to_string(self.path().join(file));
        let content = content.unwrap_or_else(|_| panic!("no {file} with {text:?}"));
        let line = content.lines().position(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("{file} has no {text:?}")) + 1
    }
}

/// Asserts that there are only notes.
#[track_caller]
pub(crate) fn assert_only_notes(repository: &Repository) {
    let findings = repository.findings();
    let bad: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity != Severity::Note)
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}
