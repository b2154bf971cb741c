//! `bin/test BUILD_DIR ENV_DIR`: runs the tests of an app that `bin/test-compile` built, in its
//! current directory.

use exec::command::Env;
use exec::environment::{default, prepend_path, read_env_dir};
use planning::record::{self, Record};
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use thiserror::Error;
use workdir::workspace::Places;

/// The arguments of `mix test`: a key of the config file, and a config var that takes precedence.
const TEST_ARGS: &str = "test_args";

/// The reason why no test ran.
#[derive(Debug, Error)]
pub enum TestError {
    #[error("{0}/{path} is missing: bin/test-compile has not built this app.", path = record::PATH)]
    NotBuilt(String),
    #[error("Could not read the config vars in {0}: {1}")]
    EnvDir(String, io::Error),
    #[error("Could not split test_args into shell words: a quote is not closed.")]
    Args,
    #[error("Could not start mix: {0}")]
    Start(io::Error),
}

/// Replaces this process with `mix test`. Only returns if that fails.
#[must_use]
pub fn test(build_dir: &Path, env_dir: &Path, process_env: &Env) -> TestError {
    let mut command = match command(build_dir, env_dir, process_env) {
        Ok(command) => command,
        Err(error) => return error,
    };
    TestError::Start(command.exec())
}

fn command(build_dir: &Path, env_dir: &Path, process_env: &Env) -> Result<Command, TestError> {
    let record = Record::of_slug(build_dir)
        .ok_or_else(|| TestError::NotBuilt(build_dir.display().to_string()))?;
    let args = args(&record, env_dir, process_env)?;
    let mut env = process_env.clone();
    // The platform usually sources the profile; the tests also run without it.
    let places = Places::in_slug();
    let bins = [&places.elixir, &places.erlang].map(|place| build_dir.join(place).join("bin"));
    prepend_path(&mut env, &bins);
    default(&mut env, "MIX_HOME", build_dir.join(&places.mix_home));
    default(&mut env, "HEX_HOME", build_dir.join(&places.hex_home));
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"];
    if locale
        .iter()
        .all(|name| !env.contains_key(OsStr::new(name)))
    {
        default(&mut env, "LANG", "C.UTF-8");
    }
    env.insert("MIX_ENV".into(), record.mix_env.into());
    let mut command = Command::new(bins[0].join("mix"));
    command
        .arg("test")
        .args(args)
        .current_dir(build_dir.join(&record.app_dir))
        .env_clear()
        .envs(env);
    Ok(command)
}

/// Splits arguments like a shell, with quotes but without expansions.
fn args(record: &Record, env_dir: &Path, process_env: &Env) -> Result<Vec<String>, TestError> {
    let set = match process_env.get(OsStr::new(TEST_ARGS)) {
        Some(args) => Some(args.clone()),
        None => read_env_dir(env_dir)
            .map_err(|source| TestError::EnvDir(env_dir.display().to_string(), source))?
            .remove(OsStr::new(TEST_ARGS)),
    };
    let text = set
        .map(|value| value.to_string_lossy().into_owned())
        .or_else(|| record.test_args.clone())
        .unwrap_or_default();
    shell_words::split(&text).map_err(|_| TestError::Args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn record() -> Record {
        let json = r#"{"mixpack": "0", "stack": "heroku-24", "mix_env": "test", "tools": {},
            "phoenix": false, "release": null, "processes": {}, "test_args": "--only 'a b'"}"#;
        Record::parse(json).unwrap()
    }

    #[test]
    fn unreadable_config_vars_fail_test_run() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let result = args(&record(), &file, &Env::new());
        assert!(matches!(result, Err(TestError::EnvDir(..))));
    }

    #[test]
    fn test_args_variable_overrides_file_and_both_split_like_shell() {
        let dir = tempfile::tempdir().unwrap();
        let args = |env: &Env| args(&record(), dir.path(), env).unwrap();
        assert_eq!(args(&Env::new()), ["--only", "a b"]);
        fs::write(dir.path().join("test_args"), "--seed 0").unwrap();
        assert_eq!(args(&Env::new()), ["--seed", "0"]);
        let env = Env::from([("test_args".into(), "--cover".into())]);
        assert_eq!(args(&env), ["--cover"]);
        // An empty variable means no arguments, even if the file sets some.
        assert_eq!(args(&Env::from([("test_args".into(), "".into())])), [""; 0]);
    }

    #[test]
    fn reports_unclosed_quote_and_missing_build_record() {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::from([("test_args".into(), "--only 'a".into())]);
        assert!(matches!(
            args(&record(), dir.path(), &env),
            Err(TestError::Args)
        ));
        let Err(error) = command(dir.path(), dir.path(), &env) else {
            panic!("there is no record");
        };
        assert!(
            error.to_string().contains(".mixpack/build.json is missing"),
            "{error}"
        );
    }
}
