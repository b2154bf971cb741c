//! The choice of the package manager for JavaScript, with its version and its commands.

use super::error::PlanError;
use crate::facts::{DevManager, JsPackage, Manager, Pinned, join};
use crate::origin::{Origin, Setting};
use crate::settings::Settings;
use serde::Serialize;
use versions::node::{NodeRequest, NodeVersion};

/// The chosen package manager and version, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageManager {
    pub manager: Manager,
    /// The version or range to fetch from the npm registry. `None` for the npm that comes with Node.js.
    pub version: Option<String>,
    /// `ALGORITHM.HEX`, from the part of `packageManager` after `+`.
    pub hash: Option<String>,
    /// Whether this is yarn 2 or newer, a different program from yarn 1 with other options.
    pub berry: bool,
    /// The version of npm that will run, if known.
    #[serde(skip)]
    pub npm: Option<NodeVersion>,
    pub source: Origin,
}

/// Returns the npm version that a request resolves to, or without a request the one that comes with Node.js. `None`
/// if it isn't known.
pub(crate) type NpmOf<'a> = &'a dyn Fn(Option<&str>) -> Option<NodeVersion>;

impl PackageManager {
    /// Chooses the package manager from a `package.json`, its lockfiles and the settings.
    pub(crate) fn choose(
        package: &JsPackage,
        settings: &Settings,
        npm: NpmOf<'_>,
    ) -> Result<Self, PlanError> {
        let (manager, pinned) = manager(package)?;
        let configured = match manager {
            Manager::Npm => settings.npm_version.as_ref(),
            Manager::Yarn => settings.yarn_version.as_ref(),
            Manager::Pnpm | Manager::Bun => None,
        };
        let engines = match manager {
            // If the npm of this Node.js doesn't satisfy the range, npm itself reports it.
            Manager::Npm => None,
            other => package.json.engines.get(other.as_str()),
        };
        let (version, hash, source) = if let Some(requested) = configured {
            let version = requested.value.trim_start_matches('v').to_owned();
            (Some(version), None, requested.origin.clone())
        } else if let Some((version, pinned)) =
            pinned.and_then(|pinned| Some((pinned.version.clone()?, pinned)))
        {
            let comes_with_node = manager == Manager::Npm && in_range(npm(None), &version);
            let version = Some(version).filter(|_| !comes_with_node);
            (version, pinned.hash, pinned.origin)
        } else if let Some(range) = engines {
            let origin = Origin::file(join(&package.dir, "package.json"), 0);
            (Some(range.clone()), None, origin)
        } else {
            let version = default_version(manager, package.lock_format.as_deref());
            let reason = match (manager, package.lockfiles.first()) {
                (Manager::Npm, _) | (_, None) => "comes with Node.js".to_owned(),
                (_, Some(name)) => format!("for the format of {}", join(&package.dir, name)),
            };
            (version.map(str::to_owned), None, Origin::Default(reason))
        };
        let berry = manager == Manager::Yarn && version.as_deref().is_some_and(is_berry);
        Ok(Self {
            npm: npm(version.as_deref()).filter(|_| manager == Manager::Npm),
            manager,
            version,
            hash,
            berry,
            source,
        })
    }

    /// Whether this is an npm that is known to be older than a version.
    #[must_use]
    pub fn is_npm_before(&self, major: u64, minor: u64) -> bool {
        let npm = self.npm.as_ref();
        npm.is_some_and(|npm| (npm.major(), npm.minor()) < (major, minor))
    }

    /// Returns the command that installs the locked packages, or those of `package.json` without a lockfile (`frozen`
    /// is false). Includes development packages regardless of `NODE_ENV`, since the asset build needs packages such
    /// as esbuild.
    ///
    /// npm has `ci` since 5.7 and `--include` since 7. Older versions follow `package-lock.json` unless
    /// `package.json` contradicts it, and `--no-save` keeps it unchanged.
    #[must_use]
    pub fn install(&self, frozen: bool) -> Vec<String> {
        let words: &[&str] = match (self.manager, frozen) {
            (Manager::Npm, true) if self.is_npm_before(5, 7) => {
                &["npm", "install", "--no-save", "--production=false"]
            }
            (Manager::Npm, true) if self.is_npm_before(7, 0) => {
                &["npm", "ci", "--production=false"]
            }
            (Manager::Npm, false) if self.is_npm_before(7, 0) => {
                &["npm", "install", "--production=false"]
            }
            (Manager::Npm, true) => &["npm", "ci", "--include=dev"],
            (Manager::Npm, false) => &["npm", "install", "--include=dev"],
            (Manager::Yarn, true) if self.berry => &["yarn", "install", "--immutable"],
            (Manager::Yarn, false) if self.berry => &["yarn", "install", "--no-immutable"],
            (Manager::Yarn, true) => &[
                "yarn",
                "install",
                "--frozen-lockfile",
                "--production=false",
                "--ignore-engines",
                "--non-interactive",
            ],
            (Manager::Yarn, false) => &[
                "yarn",
                "install",
                "--production=false",
                "--ignore-engines",
                "--non-interactive",
            ],
            (Manager::Pnpm, true) => &["pnpm", "install", "--frozen-lockfile", "--prod=false"],
            (Manager::Pnpm, false) => &["pnpm", "install", "--no-frozen-lockfile", "--prod=false"],
            (Manager::Bun, true) => &["bun", "install", "--frozen-lockfile"],
            (Manager::Bun, false) => &["bun", "install"],
        };
        words.iter().map(|&word| word.to_owned()).collect()
    }

    /// Its name on the npm registry. bun's package contains an executable for one `cpu`.
    #[must_use]
    pub fn package(&self, cpu: BunCpu) -> &'static str {
        match self.manager {
            Manager::Npm => "npm",
            Manager::Yarn if self.berry => "@yarnpkg/cli-dist",
            Manager::Yarn => "yarn",
            Manager::Pnpm => "pnpm",
            Manager::Bun => match cpu {
                BunCpu::X64 => "@oven/bun-linux-x64",
                BunCpu::X64Baseline => "@oven/bun-linux-x64-baseline",
                BunCpu::Aarch64 => "@oven/bun-linux-aarch64",
            },
        }
    }
}

/// Whether a version is in a range. A request for an exact version is not a range: that version is fetched.
fn in_range(version: Option<NodeVersion>, range: &str) -> bool {
    match (version, NodeRequest::parse(range)) {
        (Some(version), Ok(NodeRequest::Range(range))) => range.matches(&version),
        _ => false,
    }
}

/// The package manager that `packageManager`, or else `devEngines`, pins.
struct Pin {
    manager: Manager,
    /// `None` for any version.
    version: Option<String>,
    hash: Option<String>,
    origin: Origin,
}

/// Returns the package manager, and its pin in `package.json`. The pin must match the lockfile.
fn manager(package: &JsPackage) -> Result<(Manager, Option<Pin>), PlanError> {
    let lockfile = package.lockfiles.first().map(String::as_str);
    let locked = lockfile.map(Manager::of_lockfile);
    if package
        .lockfiles
        .iter()
        .any(|name| Some(Manager::of_lockfile(name)) != locked)
    {
        return Err(PlanError::TwoLockfiles {
            dir: package.dir.clone(),
            lockfiles: package.lockfiles.clone(),
        });
    }
    let pinned = match &package.manager {
        Some(requested) => {
            let pinned = Pinned::parse(&requested.value);
            let pinned = pinned.ok_or_else(|| PlanError::MalformedManager {
                requested: requested.clone(),
            })?;
            let pin = Pin {
                manager: pinned.manager,
                version: Some(pinned.version),
                hash: pinned.hash,
                origin: requested.origin.clone(),
            };
            Some((pin, requested.value.clone()))
        }
        None => pinned_by_dev_engines(package, locked)?,
    };
    if let (Some((pin, requested)), Some(lockfile)) = (&pinned, lockfile)
        && Some(pin.manager) != locked
    {
        return Err(PlanError::ManagerContradicted {
            requested: Setting::new(requested.clone(), pin.origin.clone()),
            manager: pin.manager,
            lockfile: join(&package.dir, lockfile),
        });
    }
    let pinned = pinned.map(|(pin, _)| pin);
    let manager = pinned.as_ref().map(|pin| pin.manager).or(locked);
    Ok((manager.unwrap_or(Manager::Npm), pinned))
}

/// Returns the package manager of `devEngines` that matches the lockfile, or else the first that is supported, with
/// its pin. If none is required, a lockfile of another package manager takes precedence.
fn pinned_by_dev_engines(
    package: &JsPackage,
    locked: Option<Manager>,
) -> Result<Option<(Pin, String)>, PlanError> {
    let managers = package.json.dev_managers();
    let origin = &package.dev_engines;
    let known = |manager: &DevManager| {
        let named = Manager::named(&manager.name)?;
        let pin = Pin {
            manager: named,
            version: manager.version.clone(),
            hash: None,
            origin: origin.clone(),
        };
        Some((pin, manager.shown()))
    };
    let mut all = managers.iter().filter_map(known);
    let of_lockfile = managers
        .iter()
        .filter_map(known)
        .find(|(pin, _)| Some(pin.manager) == locked);
    let is_required = managers.iter().any(|manager| manager.is_required);
    match (of_lockfile.or_else(|| all.next()), managers.first()) {
        (Some((pin, _)), _) if locked.is_some_and(|of| of != pin.manager) && !is_required => {
            Ok(None)
        }
        (None, Some(manager)) if is_required => Err(PlanError::UnknownDevManager {
            requested: Setting::new(manager.shown(), origin.clone()),
        }),
        (found, _) => Ok(found),
    }
}

/// The processors that bun is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BunCpu {
    X64,
    /// Without AVX2.
    X64Baseline,
    Aarch64,
}

fn is_berry(version: &str) -> bool {
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let major = digits.split(|c: char| !c.is_ascii_digit()).next();
    major
        .and_then(|major| major.parse::<u32>().ok())
        .is_some_and(|major| major >= 2)
}

/// Returns the range of versions that write lockfiles of this format, so that the lockfile isn't rewritten.
///
/// Formats: `__metadata: version:` of yarn 2 and newer, `lockfileVersion:` of pnpm.
fn default_version(manager: Manager, format: Option<&str>) -> Option<&'static str> {
    let number = format.and_then(|format| {
        let major = format.split('.').next()?;
        major.parse::<u32>().ok()
    });
    match (manager, number) {
        (Manager::Npm, _) => None,
        (Manager::Yarn, None) | (Manager::Bun, _) => Some("1"),
        (Manager::Yarn, Some(0..=4)) => Some("2"),
        // A newer minor version would rewrite the lockfile in a newer format.
        (Manager::Yarn, Some(5)) => Some("~3.1"),
        (Manager::Yarn, Some(6)) => Some("3"),
        (Manager::Yarn, Some(7..=8)) => Some("~4.13"),
        (Manager::Yarn, Some(9)) => Some("~4.14"),
        (Manager::Yarn, Some(_)) => Some("4"),
        (Manager::Pnpm, Some(0..=5)) => Some("7"),
        (Manager::Pnpm, Some(6..=8)) => Some("8"),
        (Manager::Pnpm, _) => Some("10"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_lockfile_selects_matching_package_manager_version() {
        let of = |manager, format| default_version(manager, format);
        assert_eq!(of(Manager::Yarn, None), Some("1"));
        assert_eq!(of(Manager::Yarn, Some("6")), Some("3"));
        assert_eq!(of(Manager::Yarn, Some("8")), Some("~4.13"));
        assert_eq!(of(Manager::Yarn, Some("10")), Some("4"));
        assert_eq!(of(Manager::Pnpm, Some("5.4")), Some("7"));
        assert_eq!(of(Manager::Pnpm, Some("6.0")), Some("8"));
        assert_eq!(of(Manager::Pnpm, Some("9.0")), Some("10"));
        assert_eq!(of(Manager::Npm, None), None);
    }

    #[test]
    fn yarn_1_is_not_berry() {
        for (version, berry) in [
            ("1.22.22", false),
            ("0.27.5", false),
            ("^4.1", true),
            ("3", true),
            ("~4.13", true),
        ] {
            assert_eq!(is_berry(version), berry, "{version}");
        }
    }
}
