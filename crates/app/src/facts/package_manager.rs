//! JavaScript package managers, and how an app's files request them.

use crate::origin::{Origin, Setting};
use serde::Serialize;
use std::fmt;

/// A package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Manager {
    Npm,
    Yarn,
    Pnpm,
    Bun,
}

impl Manager {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Yarn => "yarn",
            Self::Pnpm => "pnpm",
            Self::Bun => "bun",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [Self::Npm, Self::Yarn, Self::Pnpm, Self::Bun];
        all.into_iter().find(|manager| manager.as_str() == name)
    }

    /// Returns the name of the lockfile that it writes.
    #[must_use]
    pub fn lockfile(self) -> &'static str {
        match self {
            Self::Npm => "package-lock.json",
            Self::Yarn => "yarn.lock",
            Self::Pnpm => "pnpm-lock.yaml",
            Self::Bun => "bun.lock",
        }
    }

    /// Returns the package manager that writes a lockfile of this name.
    #[must_use]
    pub fn of_lockfile(name: &str) -> Self {
        match name {
            "yarn.lock" => Self::Yarn,
            "pnpm-lock.yaml" => Self::Pnpm,
            "bun.lock" | "bun.lockb" => Self::Bun,
            _ => Self::Npm,
        }
    }

    /// The command that adds a development dependency, up to the package's name.
    #[must_use]
    pub fn add_for_development(self) -> String {
        match self {
            Self::Npm => "npm install --save-dev".to_owned(),
            Self::Yarn | Self::Bun => format!("{self} add --dev"),
            Self::Pnpm => "pnpm add --save-dev".to_owned(),
        }
    }

    /// The command that removes a package, up to the package's name.
    #[must_use]
    pub fn remove(self) -> String {
        match self {
            Self::Npm => "npm uninstall".to_owned(),
            Self::Yarn | Self::Pnpm | Self::Bun => format!("{self} remove"),
        }
    }

    /// The command that runs a script of `package.json`.
    #[must_use]
    pub fn run(self, script: &str) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Yarn => &["yarn", script],
            Self::Npm | Self::Pnpm | Self::Bun => &[self.as_str(), "run", script],
        };
        words.iter().map(|&word| word.to_owned()).collect()
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Splits the lockfiles of an app of the static buildpack into the ones in use and the ignored ones. That
/// buildpack installs with yarn if there is a `yarn.lock`, or else with npm. A `packageManager` is newer
/// than the buildpack, and takes precedence.
pub(crate) fn static_buildpack_lockfiles(
    lockfiles: Vec<String>,
    pinned: Option<&Setting>,
) -> (Vec<String>, Vec<String>) {
    let pinned = pinned.and_then(|requested| Some(Pinned::parse(&requested.value)?.manager));
    let is_there = |manager: &Manager| {
        let mut names = lockfiles.iter();
        names.any(|name| Manager::of_lockfile(name) == *manager)
    };
    let order = pinned.into_iter().chain([Manager::Yarn, Manager::Npm]);
    match order.into_iter().find(is_there) {
        Some(manager) => lockfiles
            .into_iter()
            .partition(|name| Manager::of_lockfile(name) == manager),
        None => (lockfiles, Vec::new()),
    }
}

/// The value of a `packageManager`: `pnpm@9.1.0+sha512.0123…`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pinned {
    pub(crate) manager: Manager,
    pub(crate) version: String,
    pub(crate) hash: Option<String>,
}

impl Pinned {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, version) = text.trim().split_once('@')?;
        let manager = Manager::named(name)?;
        let (version, hash) = match version.split_once('+') {
            Some((version, hash)) => (version, Some(hash)),
            None => (version, None),
        };
        let of_a_version = |c: char| c.is_ascii_alphanumeric() || ".-^~*".contains(c);
        let a_version = version.chars().any(|c| c.is_ascii_digit())
            && version.chars().all(of_a_version)
            && !version.starts_with('-');
        a_version.then(|| Self {
            manager,
            version: version.to_owned(),
            hash: hash.map(str::to_owned),
        })
    }
}

/// Returns the format version of a lockfile: see [`super::js_package::JsPackage::lock_format`].
pub(crate) fn lock_format(name: &str, text: &str) -> Option<String> {
    let value = match Manager::of_lockfile(name) {
        Manager::Yarn => {
            let (_, after) = text.split_once("\n__metadata:")?;
            let line = after
                .lines()
                .find(|line| line.trim().starts_with("version:"))?;
            line.split_once(':')?.1
        }
        Manager::Pnpm => {
            let line = text
                .lines()
                .find(|line| line.starts_with("lockfileVersion:"))?;
            line.split_once(':')?.1
        }
        Manager::Npm | Manager::Bun => return None,
    };
    Some(value.trim().trim_matches(['\'', '"']).to_owned())
}

/// Returns the `packageManager` of a `package.json`, with its line.
pub(crate) fn package_manager_field(
    path: &str,
    text: &str,
    value: Option<&String>,
) -> Option<Setting> {
    let line = (1..)
        .zip(text.lines())
        .find(|(_, line)| line.contains("\"packageManager\""))
        .map_or(0, |(number, _)| number);
    value.map(|value| Setting::new(value.clone(), Origin::file(path.to_owned(), line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_manager_pin_has_name_version_and_optional_hash() {
        let pinned = Pinned::parse("pnpm@9.1.0+sha512.ab").unwrap();
        assert_eq!(
            (
                pinned.manager,
                pinned.version.as_str(),
                pinned.hash.as_deref()
            ),
            (Manager::Pnpm, "9.1.0", Some("sha512.ab"))
        );
        for wrong in [
            "pnpm",
            "pnpm@",
            "deno@2.0.0",
            "yarn@https://host/yarn.js",
            "npm@-g",
        ] {
            assert_eq!(Pinned::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lockfile_states_its_format() {
        let berry = "# generated\n\n__metadata:\n  version: 8\n  cacheKey: 10c0\n";
        assert_eq!(lock_format("yarn.lock", berry).as_deref(), Some("8"));
        assert_eq!(
            lock_format("yarn.lock", "# yarn lockfile v1\n\n\nesbuild@1:\n"),
            None
        );
        let pnpm = "lockfileVersion: '6.0'\n\nsettings:\n";
        assert_eq!(lock_format("pnpm-lock.yaml", pnpm).as_deref(), Some("6.0"));
    }
}
