//! Makes sure that directories which a build writes to and clears are within the app.
//!
//! git stores symbolic links. With a `deps` or `.platform_tools` that was pushed as a link to a directory of the
//! machine, or an `assets_path` with enough `..`, Mixpack would write and delete files there. This check is only for
//! Mixpack's own operations, not for commands of the app.

use app::Plan;
use app::facts::join;
use messages::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The directories that a build may write to, with links resolved.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    app: PathBuf,
    roots: Vec<PathBuf>,
    places: Vec<String>,
}

impl Bounds {
    /// Allows writes within the app, and within `beside`: the runtime path and cache directories. Missing ones are
    /// left out, since no link can lead there. `own_dirs` are Mixpack's own directories in the root of the app.
    #[must_use]
    pub fn of(app: &Path, beside: &[&Path], own_dirs: &[&str], plan: &Plan) -> Self {
        let real = |path: &Path| path.canonicalize().ok();
        Self {
            app: app.to_owned(),
            roots: [&[app], beside]
                .concat()
                .into_iter()
                .filter_map(real)
                .collect(),
            places: places(own_dirs, plan),
        }
    }

    /// Fails for the first directory of the build that is outside.
    pub fn check(&self) -> Result<(), Error> {
        for place in &self.places {
            if let Some(to) = self.target_outside(Path::new(place)) {
                return Err(Error::OutsideApp {
                    place: place.clone(),
                    to,
                });
            }
        }
        Ok(())
    }

    /// Returns the target of a path of the app if a build may not write there. A missing path counts as part
    /// of the directory in which it would be created. A dangling link is outside, since its target may be
    /// created later.
    #[must_use]
    pub fn target_outside(&self, place: &Path) -> Option<PathBuf> {
        let mut path = self.app.join(place);
        loop {
            match path.canonicalize() {
                Ok(real) => {
                    let within = self.roots.iter().any(|root| real.starts_with(root));
                    return (!within).then_some(real);
                }
                Err(error) => {
                    if let Ok(target) = fs::read_link(&path) {
                        return Some(target);
                    }
                    let is_missing = error.kind() == io::ErrorKind::NotFound;
                    if !is_missing || !path.pop() {
                        return Some(path);
                    }
                }
            }
        }
    }
}

/// Lists every directory of the app that Mixpack writes to, clears, or restores.
fn places(own_dirs: &[&str], plan: &Plan) -> Vec<String> {
    let app_dir = &plan.app_dir.value;
    let mix_env = &plan.mix_env.value;
    let mut places: Vec<String> = [own_dirs, &[".mixpack", ".profile.d"]]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let builds = ["lib", "rel"].map(|folder| format!("_build/{mix_env}/{folder}"));
    let in_app = ["deps", "_build"].map(str::to_owned).into_iter();
    places.extend(in_app.chain(builds).map(|place| join(app_dir, &place)));
    for project in plan.projects.iter().chain(&plan.sibling_projects) {
        places.push(join(project, "priv/static"));
    }
    for assets in &plan.assets {
        places.push(join(&assets.phoenix_dir, "priv/static"));
        places.extend(assets.modules());
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_links_outside_allowed_roots_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let [app, cache, outside] = ["app", "cache", "outside"].map(|name| dir.path().join(name));
        for folder in [&app.join("vendor/deps"), &cache, &outside] {
            fs::create_dir_all(folder).unwrap();
        }
        for (link, target) in [
            ("deps", Path::new("vendor/deps")),
            ("kept", &cache),
            ("out", &outside),
            ("up", Path::new("../outside")),
            ("twice", Path::new("out/x")),
            ("nowhere", Path::new("/no/such/folder")),
            ("loop", Path::new("loop")),
        ] {
            symlink(target, app.join(link)).unwrap();
        }
        let bounds = Bounds {
            app: app.clone(),
            roots: [&app, &cache]
                .map(|path| path.canonicalize().unwrap())
                .into(),
            places: Vec::new(),
        };
        let target_outside = |place: &str| bounds.target_outside(Path::new(place));
        for place in [
            "deps",
            "deps/new/newer",
            "kept/x",
            "new",
            "vendor/deps/../x",
            ".",
        ] {
            assert_eq!(target_outside(place), None, "{place}");
        }
        let outside = outside.canonicalize().unwrap();
        for place in ["out", "out/x/y", "up", "../outside", "../new"] {
            assert!(target_outside(place).is_some(), "{place}");
        }
        assert_eq!(target_outside("out/new/newer"), Some(outside.clone()));
        assert_eq!(target_outside(outside.to_str().unwrap()), Some(outside));
        for place in ["twice", "nowhere", "nowhere/x", "loop"] {
            assert!(target_outside(place).is_some(), "{place}");
        }
    }
}
