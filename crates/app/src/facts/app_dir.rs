//! The app's directory in the repository: its root, or a subdirectory.
//!
//! All paths of the facts and of the plan are relative to the root: a path dependency may be outside the
//! app's directory, and origins name files as the user's editor does.

use super::config_file::{ConfigFile, ELIXIR_CONFIG};
use super::error::ReadError;
use super::mix_exs::MixExs;
use super::paths::{join, path_from};
use super::projects::project_dirs;
use crate::origin::{Origin, Setting};
use std::path::{Component, Path};

/// The key in the `elixir_buildpack.config` in the root of the repository.
pub const KEY: &str = "app_relative_path";
/// The config var, which overrides the key: one repository may be deployed as several apps.
pub const CONFIG_VAR: &str = "MIXPACK_APP_RELATIVE_PATH";

/// Returns the app's directory as the config var, or else the config file in the root, sets it.
#[must_use]
pub fn requested(at_top: &ConfigFile, config_var: Option<String>) -> Option<Setting> {
    let of_var = config_var.map(|value| (value, Origin::ConfigVar(CONFIG_VAR.to_owned())));
    let of_file = || {
        let ConfigFile::Values(lines) = at_top else {
            return None;
        };
        let line = lines.iter().rev().find(|line| line.name == KEY)?;
        let origin = Origin::file(ELIXIR_CONFIG, line.line);
        Some((line.value.text(), origin))
    };
    let set = |(value, origin): (String, Origin)| {
        let value = value.trim().to_owned();
        (!value.is_empty()).then(|| Setting::new(value, origin))
    };
    of_var.and_then(set).or_else(|| of_file().and_then(set))
}

/// Returns the app's directory, relative to `top`: `backend` for `./backend/`, and `.` by default.
pub fn resolve(top: &Path, requested: Option<Setting>) -> Result<Setting, ReadError> {
    let Some(requested) = requested else {
        let reason = "the top of the repository".to_owned();
        return Ok(Setting::new(".".to_owned(), Origin::Default(reason)));
    };
    let path = Path::new(&requested.value);
    let is_inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !path.components().all(is_inside) {
        return Err(ReadError::AppDirOutside { requested });
    }
    if !top.join(path).join("mix.exs").is_file() {
        return Err(ReadError::NoAppInFolder {
            is_folder: top.join(path).is_dir(),
            candidate_dirs: candidate_dirs(top),
            requested,
        });
    }
    // mix resolves its working directory, so a link to a directory counts as its target.
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let found = real(top).zip(real(&top.join(path)));
    let inside = found.and_then(|(top, found)| Some(found.strip_prefix(top).ok()?.to_owned()));
    match inside.as_deref().map(Path::to_str) {
        Some(Some(inside)) => Ok(Setting::new(path_from(".", inside), requested.origin)),
        _ => Err(ReadError::AppDirOutside { requested }),
    }
}

/// Returns the directories that may be the app's, the likeliest first: those with Phoenix, then those with
/// a `mix.lock`, which a library in the repository rarely has, then the least deep. Projects inside a
/// listed directory are left out.
#[must_use]
pub fn candidate_dirs(top: &Path) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for dir in project_dirs(top, ".") {
        let is_inside = |other: &String| Path::new(&dir).starts_with(other);
        if dir != "." && !found.iter().any(is_inside) {
            found.push(dir);
        }
    }
    found.sort_by_key(|dir| {
        let has_lock = top.join(join(dir, "mix.lock")).is_file();
        (!has_phoenix(top, dir), !has_lock, depth(dir), dir.clone())
    });
    found
}

/// Whether the app in a directory, or one of its umbrella children, depends on Phoenix.
#[must_use]
pub fn has_phoenix(top: &Path, dir: &str) -> bool {
    let depends_on_phoenix = |project: &String| {
        let path = join(project, "mix.exs");
        let text = std::fs::read(top.join(&path)).unwrap_or_default();
        MixExs::guess(&path, &String::from_utf8_lossy(&text)).phoenix
    };
    project_dirs(top, dir).iter().any(depends_on_phoenix)
}

/// Returns the number of directories in a path.
#[must_use]
pub fn depth(dir: &str) -> usize {
    Path::new(dir).components().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::config_file;

    fn repository(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for path in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        dir
    }

    fn in_var(value: &str) -> Option<Setting> {
        requested(&ConfigFile::Missing, Some(value.to_owned()))
    }

    #[test]
    fn config_var_overrides_file_and_blank_one_is_ignored() {
        let dir = repository(&[]);
        let config = "elixir_version=1.18\napp_relative_path=backend # the API\n";
        std::fs::write(dir.path().join(ELIXIR_CONFIG), config).unwrap();
        let file = config_file(dir.path(), ELIXIR_CONFIG).unwrap();
        let of_file = Setting::new("backend".to_owned(), Origin::file(ELIXIR_CONFIG, 2));
        assert_eq!(requested(&file, None), Some(of_file.clone()));
        assert_eq!(requested(&file, Some(" ".to_owned())), Some(of_file));
        let of_var = requested(&file, Some("ui\n".to_owned())).unwrap();
        assert_eq!(of_var.value, "ui");
        assert_eq!(of_var.origin, Origin::ConfigVar(CONFIG_VAR.to_owned()));
        assert_eq!(requested(&ConfigFile::Missing, None), None);
    }

    #[test]
    fn app_path_is_normalized() {
        let dir = repository(&["apps/backend/mix.exs", "mix.exs"]);
        std::os::unix::fs::symlink("apps/backend", dir.path().join("link")).unwrap();
        let resolved = |value: &str| resolve(dir.path(), in_var(value)).unwrap().value;
        for value in ["apps/backend", "./apps/backend/", "apps//backend/.", "link"] {
            assert_eq!(resolved(value), "apps/backend", "{value}");
        }
        assert_eq!(resolved("./"), ".");
        assert_eq!(resolve(dir.path(), None).unwrap().value, ".");
    }

    #[test]
    fn rejects_app_path_outside_repository() {
        let outside = repository(&["mix.exs"]);
        let dir = repository(&["backend/mix.exs"]);
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
        for value in ["/backend", "../backend", "backend/../backend", "link"] {
            let refused = resolve(dir.path(), in_var(value));
            assert!(
                matches!(&refused, Err(ReadError::AppDirOutside { requested }) if requested.value == value),
                "{value}: {refused:?}"
            );
        }
    }

    #[test]
    fn error_for_missing_mix_exs_suggests_directories_with_one() {
        let dir = repository(&[
            "backend/apps/web/mix.exs",
            "backend/mix.exs",
            "backend/mix.lock",
            "a/library/mix.exs",
            "deps/phoenix/mix.exs",
            "frontend/package.json",
        ]);
        for (value, exists) in [("frontend", true), ("bakend", false)] {
            let Err(ReadError::NoAppInFolder {
                is_folder,
                candidate_dirs,
                ..
            }) = resolve(dir.path(), in_var(value))
            else {
                panic!("{value} must be refused");
            };
            assert_eq!(is_folder, exists);
            assert_eq!(candidate_dirs, ["backend", "a/library"]);
        }
    }

    #[test]
    fn phoenix_app_is_suggested_first() {
        let dir = repository(&["a/mix.exs", "a/mix.lock", "b/mix.exs", "c/apps/web/mix.exs"]);
        let phoenix = "[deps: [{:phoenix, \"~> 1.8\"}]]";
        std::fs::write(dir.path().join("c/apps/web/mix.exs"), phoenix).unwrap();
        std::fs::write(dir.path().join("c/mix.exs"), "[apps_path: \"apps\"]").unwrap();
        assert_eq!(candidate_dirs(dir.path()), ["c", "a", "b"]);
        assert!(has_phoenix(dir.path(), "c"));
        assert!(!has_phoenix(dir.path(), "a"));
    }
}
