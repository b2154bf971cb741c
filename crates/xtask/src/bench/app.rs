//! The app to deploy: a fixture with a series of commits.

use std::fs;
use std::path::{Path, PathBuf};

use mirror::hex_package::HexPackage;

use super::big;
use crate::fixtures;
use crate::process::Result;

/// The fixtures that are measured, smallest first; `big` is generated.
pub(crate) const FIXTURES: [&str; 3] = ["plain-otp", "phoenix-npm", BIG];
const BIG: &str = "big";

/// The change of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// The first deploy: no cache.
    Cold,
    Unchanged,
    OneFile,
    OneDep,
    NewOtp,
}

impl Change {
    /// All changes, in the order of their deploys.
    pub(crate) const ALL: [Self; 5] = [
        Self::Cold,
        Self::Unchanged,
        Self::OneFile,
        Self::OneDep,
        Self::NewOtp,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Unchanged => "unchanged",
            Self::OneFile => "one-file",
            Self::OneDep => "one-dep",
            Self::NewOtp => "new-otp",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|change| change.name() == name)
    }
}

/// Exact versions, since the shell buildpacks support no others.
#[derive(Debug, Clone)]
pub(crate) struct Versions {
    pub(crate) otp: String,
    /// The version after [`Change::NewOtp`].
    pub(crate) next_otp: String,
    pub(crate) elixir: String,
    pub(crate) node: &'static str,
}

/// The sources of the app at the newest commit.
pub(crate) struct App {
    pub(crate) dir: PathBuf,
    /// A file whose change is [`Change::OneFile`].
    module: &'static str,
    /// Whether there is JavaScript, and a page to request.
    pub(crate) is_phoenix: bool,
    versions: Versions,
}

impl App {
    /// Checks out the fixture to the new directory `dir`.
    pub(crate) fn check_out(fixture: &str, dir: &Path, versions: &Versions) -> Result<Self> {
        let fixtures = fixtures::root();
        if fixture == BIG {
            big::generate(&fixtures, dir)?;
        } else {
            whole_builds::copy(&fixtures.join(fixture), dir);
        }
        let app = Self {
            dir: dir.to_owned(),
            module: match fixture {
                BIG => "lib/phoenix_npm/area_05/service_3.ex",
                "phoenix-npm" => "lib/phoenix_npm/money.ex",
                _ => "lib/plain_otp/worker.ex",
            },
            is_phoenix: dir.join("assets/package.json").is_file(),
            versions: versions.clone(),
        };
        // Only this file is read by every buildpack.
        fs::remove_file(dir.join(".tool-versions")).or_else(crate::toolchains::absent_is_fine)?;
        app.ask_for_otp(&versions.otp)?;
        if app.is_phoenix {
            let config = format!("node_version={}\n", versions.node);
            fs::write(dir.join("phoenix_static_buildpack.config"), config)?;
        }
        Ok(app)
    }

    fn ask_for_otp(&self, otp: &str) -> Result {
        let config = format!(
            "erlang_version={otp}\nelixir_version={}\n",
            self.versions.elixir
        );
        fs::write(self.dir.join("elixir_buildpack.config"), config)?;
        Ok(())
    }

    /// Commits a change; `upgraded` is the new version of a dependency.
    pub(crate) fn commit(&self, change: Change, upgraded: &HexPackage) -> Result {
        match change {
            Change::Cold | Change::Unchanged => Ok(()),
            Change::OneFile => {
                let file = self.dir.join(self.module);
                fs::write(&file, with_one_more_function(&fs::read_to_string(&file)?)?)?;
                Ok(())
            }
            Change::OneDep => {
                let lock = self.dir.join("mix.lock");
                fs::write(&lock, relocked(&fs::read_to_string(&lock)?, upgraded)?)?;
                Ok(())
            }
            Change::NewOtp => self.ask_for_otp(&self.versions.next_otp),
        }
    }
}

fn with_one_more_function(module: &str) -> Result<String> {
    let body = module.trim_end().strip_suffix("end");
    let body = body.ok_or("the module to change does not end with `end`")?;
    Ok(format!("{body}\n  def changed, do: :yes\nend\n"))
}

fn relocked(lock: &str, upgraded: &HexPackage) -> Result<String> {
    let start = format!("  \"{}\": ", upgraded.name);
    let mut found = false;
    let lines = lock.lines().map(|line| {
        if line.starts_with(&start) {
            found = true;
            upgraded.lock_line()
        } else {
            line.to_owned()
        }
    });
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    if found {
        Ok(text)
    } else {
        Err(format!("mix.lock does not lock {}", upgraded.name).into())
    }
}

#[cfg(test)]
mod tests {
    use mirror::hex_package;

    use super::*;

    fn versions() -> Versions {
        Versions {
            otp: "27.3".to_owned(),
            next_otp: "27.4".to_owned(),
            elixir: "1.18.3".to_owned(),
            node: "24.21.0",
        }
    }

    #[test]
    fn every_change_modifies_its_named_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut upgraded =
            hex_package::pack(&fixtures::root().join("packages/jason_lite-1.0.0")).unwrap();
        upgraded.version = "1.0.9".to_owned();
        for fixture in FIXTURES {
            let app = App::check_out(fixture, &dir.path().join(fixture), &versions()).unwrap();
            let read = |path: &str| fs::read_to_string(app.dir.join(path)).unwrap();
            assert_eq!(app.is_phoenix, fixture != "plain-otp");
            for (change, path, text) in [
                (Change::OneFile, app.module, "def changed"),
                (Change::OneDep, "mix.lock", "1.0.9"),
                (Change::NewOtp, "elixir_buildpack.config", "27.4"),
            ] {
                assert!(!read(path).contains(text), "{fixture} {path}");
                app.commit(change, &upgraded).unwrap();
                assert!(read(path).contains(text), "{fixture} {path}");
            }
        }
    }

    #[test]
    fn reports_package_missing_from_lockfile() {
        let package = hex_package::pack(&fixtures::root().join("packages/phoenix-1.8.1")).unwrap();
        assert!(relocked("%{\n}\n", &package).is_err());
    }
}
