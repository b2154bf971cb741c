//! A quick check whether a repository contains an app for this buildpack.

use crate::facts::mix_exs::{MixExs, lock_contains};
use crate::facts::{ConfigFile, ELIXIR_CONFIG, app_dir, config_file, join};
use crate::text_file;
use std::path::Path;

/// The maximum depth of an app whose directory no file in the repository sets.
const MAX_DEPTH: usize = 2;

/// Returns the name that a platform prints as "NAME app detected", or the reason why this is no app for this
/// buildpack.
///
/// `config_var` is the app's directory, if the platform's environment has config vars here. Most platforms
/// only pass them to the build, so an app one or two directories deep is accepted: the build then knows
/// whether a config var sets its directory, and explains how to set it if none does.
pub fn detect(build_dir: &Path, config_var: Option<String>) -> Result<&'static str, String> {
    let config = config_file(build_dir, ELIXIR_CONFIG).unwrap_or(ConfigFile::Missing);
    if let Some(requested) = app_dir::requested(&config, config_var) {
        // The build reports errors of a directory that is set.
        let app = app_dir::resolve(build_dir, Some(requested)).map(|app| app.value);
        return Ok(app.map_or("Elixir", |app| name(build_dir, &app)));
    }
    if build_dir.join("mix.exs").is_file() {
        return Ok(name(build_dir, "."));
    }
    let candidate_dirs = app_dir::candidate_dirs(build_dir);
    if let Some(app) = candidate_dirs
        .iter()
        .find(|dir| app_dir::depth(dir) <= MAX_DEPTH)
    {
        return Ok(name(build_dir, app));
    }
    let why = format!(
        "No Elixir app: there is no mix.exs in {}.",
        build_dir.display()
    );
    Err(match candidate_dirs.first() {
        Some(app) => format!(
            "{why} There is one in {app}; to build it, set app_relative_path={} in {ELIXIR_CONFIG}.",
            shell_words::quote(app)
        ),
        None => format!("{why} Check that it is committed, and that .slugignore doesn't list it."),
    })
}

fn name(build_dir: &Path, app: &str) -> &'static str {
    let read = |name: &str| text_file::read(&build_dir.join(join(app, name))).unwrap_or_default();
    let phoenix = MixExs::guess("mix.exs", &read("mix.exs")).phoenix
        || lock_contains(&read("mix.lock"), "phoenix");
    if phoenix { "Phoenix" } else { "Elixir" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const PHOENIX: &str = "[deps: [{:phoenix, \"~> 1.8\"}]]";

    fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn mix_exs_identifies_elixir_and_mix_lock_identifies_phoenix() {
        let dir = repository(&[]);
        let refused = detect(dir.path(), None).unwrap_err();
        assert!(
            refused.contains("mix.exs") && !refused.contains('\n'),
            "{refused}"
        );
        fs::write(dir.path().join("mix.exs"), "[app: :x]").unwrap();
        assert_eq!(detect(dir.path(), None), Ok("Elixir"));
        fs::write(dir.path().join("mix.lock"), "%{\n  \"phoenix\": {:hex},\n}").unwrap();
        assert_eq!(detect(dir.path(), None), Ok("Phoenix"));
    }

    #[test]
    fn configured_directory_is_detected_and_wrong_one_left_to_build() {
        let dir = repository(&[
            ("mix.exs", "[app: :tools]"),
            ("a/b/c/mix.exs", PHOENIX),
            (ELIXIR_CONFIG, "app_relative_path=a/b/c\n"),
        ]);
        assert_eq!(detect(dir.path(), None), Ok("Phoenix"));
        let var = |value: &str| detect(dir.path(), Some(value.to_owned()));
        assert_eq!(var("."), Ok("Elixir"));
        assert_eq!(var("nowhere"), Ok("Elixir"));
    }

    #[test]
    fn detects_unconfigured_app_two_directories_deep() {
        let dir = repository(&[
            ("lib/mix.exs", "[app: :lib]"),
            ("services/web/mix.exs", PHOENIX),
            ("services/web/mix.lock", ""),
        ]);
        assert_eq!(detect(dir.path(), None), Ok("Phoenix"));
        let deep = repository(&[("a/b/c/mix.exs", ""), ("deps/x/mix.exs", "")]);
        let refused = detect(deep.path(), None).unwrap_err();
        assert!(!refused.contains('\n'), "{refused}");
        assert!(
            refused.contains("app_relative_path=a/b/c in elixir_buildpack.config"),
            "{refused}"
        );
    }
}
