//! What holds for any bytes whatever that an app has in its files. Each function panics where it
//! does not.

use app::facts::shell_config::{self, Outcome, Value};
use app::facts::{self, ReadError, js_lock};
use app::{Origin, Setting};
use std::fs;

/// The names that the first byte of the input chooses among.
const FILES: [&str; 17] = [
    "mix.exs",
    "mix.lock",
    ".tool-versions",
    "mise.toml",
    ".nvmrc",
    ".elixir-version",
    "assets/package.json",
    "package.json",
    "assets/package-lock.json",
    "assets/pnpm-lock.yaml",
    "assets/yarn.lock",
    "Procfile",
    ".buildpacks",
    "elixir_buildpack.config",
    "phoenix_static_buildpack.config",
    "assets/bower.json",
    "assets/bun.lock",
];

/// Beside a lockfile: what it holds is sought from here, or all of it counts.
const PACKAGES: [&str; 2] = [r#"{"dependencies": {"a": "^1.0.0"}}"#, "{"];

/// A config file: what we read of it stays within it.
pub(crate) fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split('\n').count();
    match shell_config::parse(&text) {
        Outcome::NeedsBash { line, construct } => {
            assert!((1..=lines).contains(&(line as usize)), "{line} of {lines}");
            assert!(!construct.is_empty());
        }
        Outcome::Plain(config) => {
            for assignment in &config.assignments {
                assert!((1..=lines).contains(&(assignment.line as usize)));
                let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                assert!(assignment.name.chars().all(name), "{:?}", assignment.name);
                // Commands are given some of these; no process can have a NUL in its environment.
                let nul = |text: &String| text.contains('\0');
                assert!(match &assignment.value {
                    Value::Text(text) => !nul(text),
                    Value::Words(words) => !words.iter().any(nul),
                });
            }
        }
    }
}

/// A file of the app: it is read into facts, or refused with its name and a line that it has.
pub(crate) fn app_files(bytes: &[u8]) {
    let Some((choice, content)) = bytes.split_first() else {
        return;
    };
    let file = FILES[usize::from(*choice) % FILES.len()];
    if let Some(lockfile) = file.strip_prefix("assets/") {
        let text = String::from_utf8_lossy(content);
        let [reached, all] = PACKAGES.map(|package| js_lock::parse(lockfile, &text, package));
        assert!(reached.iter().all(|locked| all.contains(locked)));
        assert!(all.is_sorted());
    }
    let app = tempfile::tempdir().expect("a folder");
    fs::create_dir(app.path().join("assets")).expect("a folder");
    fs::write(app.path().join("mix.exs"), "[app: :x]").expect("a file");
    fs::write(app.path().join("assets/package.json"), "{}").expect("a file");
    fs::write(app.path().join(file), content).expect("a file");
    let top = Setting::new(".".to_owned(), Origin::Default("the top".to_owned()));
    match facts::read(app.path(), top, None) {
        Ok(facts) => {
            for entry in &facts.tool_versions {
                assert!(!entry.tool.is_empty());
            }
            for package in &facts.packages {
                assert!([".", "assets"].contains(&package.dir.as_str()));
            }
            assert!(facts.projects.len() == 1 && facts.sibling_projects.is_empty());
        }
        Err(ReadError::PackageJson { path, line, .. }) => {
            assert_eq!(path, file);
            assert!(line <= content.split(|byte| *byte == b'\n').count());
        }
        Err(ReadError::Toml { path, line, .. }) => {
            assert_eq!(path, file);
            assert!(line as usize <= content.split(|byte| *byte == b'\n').count());
        }
        Err(ReadError::Encoding { path, .. }) => assert_eq!(path, file),
        Err(error) => panic!("{error}"),
    }
}
