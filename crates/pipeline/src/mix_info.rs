//! Information about the project that only mix has.

use app::plan::{PHOENIX, PHX};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Mixpack's own mix tasks, which `elixir -r` loads, compressed. They are never written into the app.
pub(crate) static TASKS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tasks.deflate"));

/// A script that compiles [`TASKS`], saved next to it as `session.exs`, into the directory `tasks`.
pub(crate) const COMPILER_SOURCE: &str = include_str!("compile_tasks.exs");

/// The task that writes [`MixInfo`].
pub(crate) const TASK: &str = "mixpack.project_info";

/// The task that runs the commands of a [session](crate::mix_session).
pub(crate) const SESSION_TASK: &str = "mixpack.session";

/// The task that recompiles dependencies whose compile-time configuration has changed, and those in its
/// arguments. The first argument is a file with the projects of the last build, the second one the salt of their digests.
pub(crate) const STALE_DEPENDENCIES_TASK: &str = "mixpack.stale_dependencies";

/// The task that writes the inputs of `mix deps.get`, if it would change nothing.
pub(crate) const FINGERPRINT_TASK: &str = "mixpack.deps_fingerprint";

/// The task that lists the dependencies for compiling them in parallel.
pub(crate) const DEPENDENCIES_TASK: &str = "mixpack.dependencies";

/// The task that compiles one dependency.
pub(crate) const DEPENDENCY_TASK: &str = "mixpack.dependency";

/// The task that fetches executables before a hook runs that may remove them.
pub(crate) const EXECUTABLES_TASK: &str = "mixpack.executables";

/// The task that completes the code path for [`DISTILLERY`].
pub(crate) const CODE_PATHS_TASK: &str = "mixpack.code_paths";

/// The task of the package distillery, from its version 2.1 on.
pub(crate) const DISTILLERY: &str = "distillery.release";

/// The project, as mix reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MixInfo {
    /// Existing tasks and aliases, among those that Mixpack may run.
    pub tasks: BTreeSet<String>,
    /// Releases that the project defines.
    pub releases: Vec<Release>,
    pub default_release: Option<String>,
    /// The directories that releases copy, relative to `mix.exs`.
    pub overlays: Vec<String>,
    /// Dependencies that mix neither fetches nor locks: `path: "../shared"`.
    pub path_deps: Vec<String>,
    /// The name of the OTP application. `None` in an umbrella.
    pub app: Option<String>,
    /// Compilers that run whenever mix starts, besides mix's own: app and name.
    pub compilers: Vec<(String, String)>,
    /// The absolute path of `_build/prod`.
    pub build_path: PathBuf,
    pub ignored: Ignored,
    /// For each `mix.exs` of the app, of an umbrella's apps and of path dependencies: app, path, and digests of
    /// the text and of the project that it evaluates to, separated by tabs.
    pub projects: Vec<String>,
}

/// The advisories and retired packages that `mix hex.audit` ignores: those in `hex:` of `mix.exs`, or
/// in `HEX_IGNORE_ADVISORIES` and `HEX_IGNORE_RETIREMENTS` (`Hex.Ignores` of Hex 2.5.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ignored {
    /// In lower case.
    advisories: BTreeSet<String>,
    /// Packages, with a version if only that one is ignored.
    retirements: BTreeSet<(String, Option<String>)>,
}

impl Ignored {
    /// Whether an advisory with one of these IDs is ignored.
    pub(crate) fn has_advisory<'a>(&self, mut ids: impl Iterator<Item = &'a str>) -> bool {
        ids.any(|id| self.advisories.contains(&id.to_ascii_lowercase()))
    }

    pub(crate) fn has_retirement(&self, package: &str, version: &str) -> bool {
        let of = |version: Option<&str>| (package.to_owned(), version.map(str::to_owned));
        let mut entries = [of(None), of(Some(version))].into_iter();
        entries.any(|entry| self.retirements.contains(&entry))
    }
}

/// A release that `mix.exs` defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    pub name: String,
    /// Its `path:`, as an absolute path.
    pub path: Option<PathBuf>,
}

impl MixInfo {
    /// Reads the output of [`TASK`]: lines `KEY<TAB>VALUE`.
    pub(crate) fn read(path: &Path) -> std::io::Result<Self> {
        Ok(Self::parse(&std::fs::read_to_string(path)?))
    }

    #[must_use]
    pub(crate) fn parse(text: &str) -> Self {
        let mut mix_info = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
            let value = value.to_owned();
            match key {
                "task" => {
                    mix_info.tasks.insert(value);
                }
                "release" => {
                    let (name, path) = value.split_once('\t').unwrap_or((&value, ""));
                    mix_info.releases.push(Release {
                        name: name.to_owned(),
                        path: (!path.is_empty()).then(|| path.into()),
                    });
                }
                "default_release" => mix_info.default_release = Some(value),
                "overlay" => mix_info.overlays.push(value),
                "path_dep" => mix_info.path_deps.push(value),
                "app" => mix_info.app = Some(value),
                "compiler" => {
                    let compiler = value.split_once('\t');
                    let owned = |(app, name): (&str, &str)| (app.to_owned(), name.to_owned());
                    mix_info.compilers.extend(compiler.map(owned));
                }
                "project" => mix_info.projects.push(value),
                "build_path" => mix_info.build_path = value.into(),
                "ignored_advisory" => {
                    let id = value.to_ascii_lowercase();
                    mix_info.ignored.advisories.insert(id);
                }
                "ignored_retirement" => {
                    let (package, version) = value.split_once('@').unwrap_or((&value, ""));
                    let version = (!version.is_empty()).then(|| version.to_owned());
                    let entry = (package.to_owned(), version);
                    mix_info.ignored.retirements.insert(entry);
                }
                _ => {}
            }
        }
        mix_info
    }

    #[must_use]
    pub(crate) fn has_task(&self, name: &str) -> bool {
        self.tasks.contains(name)
    }

    /// The namespace of Phoenix's mix tasks: the one that exists, else the planned one. Phoenix 1.3 has both, and
    /// warns about the old one.
    #[must_use]
    pub(crate) fn phoenix_ex<'a>(&self, planned: &'a str) -> &'a str {
        let has = |namespace: &&str| {
            let tasks = ["server", "digest"].map(|task| format!("{namespace}.{task}"));
            tasks.iter().any(|task| self.has_task(task))
        };
        [PHX, PHOENIX].into_iter().find(has).unwrap_or(planned)
    }

    /// The directory in which mix assembles a release.
    #[must_use]
    pub(crate) fn release_path(&self, name: &str) -> PathBuf {
        let release = self.releases.iter().find(|release| release.name == name);
        release
            .and_then(|release| release.path.clone())
            .unwrap_or_else(|| self.build_path.join("rel").join(name))
    }

    /// The names of all releases that mix can assemble.
    pub(crate) fn release_names(&self) -> impl Iterator<Item = &str> {
        let defined = self.releases.iter().map(|release| release.name.as_str());
        let implied = self.app.as_deref().filter(|_| self.releases.is_empty());
        defined.chain(implied)
    }

    /// The release that `mix release` without a name assembles.
    #[must_use]
    pub(crate) fn release(&self) -> Option<&str> {
        self.default_release
            .as_deref()
            .or(match self.releases.as_slice() {
                [] => self.app.as_deref(),
                [only] => Some(&only.name),
                [_, _, ..] => None,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_defaults_to_app_name() {
        let mix_info = MixInfo::parse("app\tshop\ntask\tphx.server\npath_dep\tshared\n");
        assert_eq!(mix_info.compilers, []);
        assert_eq!(mix_info.path_deps, ["shared"]);
        assert_eq!(mix_info.release(), Some("shop"));
        assert_eq!(mix_info.release_names().collect::<Vec<_>>(), ["shop"]);
        assert!(mix_info.has_task("phx.server"));
        assert!(!mix_info.has_task("phx.digest"));
        let mix_info = MixInfo::parse("app\tshop\ncompiler\tshop\telixir_make\n");
        assert_eq!(
            mix_info.compilers,
            [("shop".to_owned(), "elixir_make".to_owned())]
        );
    }

    #[test]
    fn phoenix_namespace_follows_existing_tasks() {
        let of = |tasks: &str, planned| MixInfo::parse(tasks).phoenix_ex(planned).to_owned();
        assert_eq!(
            of("task\tphoenix.server\ntask\tphoenix.digest\n", "phx"),
            "phoenix"
        );
        assert_eq!(
            of("task\tphx.server\ntask\tphoenix.server\n", "phoenix"),
            "phx"
        );
        assert_eq!(of("app\tshop\n", "phoenix"), "phoenix");
    }

    #[test]
    fn several_releases_need_a_default() {
        let two = "app\tshop\nrelease\ta\t\nrelease\tb\t/app/out\nbuild_path\t/app/_build/prod\n";
        assert_eq!(MixInfo::parse(two).release(), None);
        let with_default = format!("{two}default_release\tb\n");
        let mix_info = MixInfo::parse(&with_default);
        assert_eq!(mix_info.release(), Some("b"));
        assert_eq!(mix_info.release_names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(mix_info.release_path("b"), Path::new("/app/out"));
        assert_eq!(
            mix_info.release_path("a"),
            Path::new("/app/_build/prod/rel/a")
        );
    }
}
