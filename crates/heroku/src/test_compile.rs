//! `bin/test-compile BUILD_DIR CACHE_DIR ENV_DIR`: the build before `mix test` on Heroku CI.

use crate::compile::{self, Compile};
use app::{Origin, Setting, text_file};
use exec::cancel::Cancel;
use exec::log::Log;
use messages::Error;
use planning::record::Record;
use std::path::Path;

/// Builds for tests. Logs the explanation of a failure.
pub fn test_compile(request: &Compile, log: &Log, cancel: &Cancel) -> Result<Record, Error> {
    let mix_env = mix_env(&request.build_dir);
    compile::build_and_explain(request, log, cancel, |environment| {
        environment.for_tests_only(mix_env)
    })
}

/// Returns `test`, unless `app.json` sets another one for the test environment. Config vars are ignored: CI inherits
/// those of the pipeline, and `MIX_ENV=prod` is meant for the deployed app.
fn mix_env(build_dir: &Path) -> Setting {
    let requested = text_file::read(&build_dir.join("app.json"))
        .ok()
        .and_then(|json| mix_env_in_app_json(&json));
    match requested {
        Some(value) => Setting::new(value, Origin::file("app.json", 0)),
        None => Setting::new(
            "test".to_owned(),
            Origin::Default("for mix test".to_owned()),
        ),
    }
}

/// `environments.test.env.MIX_ENV`: a string, or an object with a `value`
/// (devcenter.heroku.com/articles/app-json-schema).
fn mix_env_in_app_json(json: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(json).ok()?;
    let entry = json.pointer("/environments/test/env/MIX_ENV")?;
    let value = entry
        .as_str()
        .or_else(|| entry.get("value")?.as_str())?
        .trim();
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_json_sets_test_environment_in_both_forms() {
        let text = r#"{"environments": {"test": {"env": {"MIX_ENV": "ci"}}}}"#;
        assert_eq!(mix_env_in_app_json(text).as_deref(), Some("ci"));
        let object = r#"{"environments": {"test": {"env": {"MIX_ENV": {"value": "ci"}}}}}"#;
        assert_eq!(mix_env_in_app_json(object).as_deref(), Some("ci"));
        // Entries for the deployed app don't apply to tests.
        assert_eq!(mix_env_in_app_json(r#"{"env": {"MIX_ENV": "prod"}}"#), None);
        assert_eq!(mix_env_in_app_json("{,}"), None);
    }

    #[test]
    fn app_json_accepts_byte_order_mark() {
        let dir = tempfile::tempdir().unwrap();
        let text = "\u{feff}{\"environments\": {\"test\": {\"env\": {\"MIX_ENV\": \"ci\"}}}}";
        std::fs::write(dir.path().join("app.json"), text).unwrap();
        assert_eq!(mix_env(dir.path()).value, "ci");
    }

    #[test]
    fn tests_run_in_mix_env_test_by_default() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(mix_env(dir.path()).value, "test");
    }
}
