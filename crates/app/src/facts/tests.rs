//! Tests of reading an app's files.

use super::*;
use crate::origin::Origin;
use crate::plan::launcher;

fn read(dir: &Path) -> Result<Facts, ReadError> {
    super::read(dir, app_dir::resolve(dir, None)?, None)
}

fn app(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

#[test]
fn umbrella_apps_are_projects_and_fetched_code_is_not() {
    let dir = app(&[
        ("mix.exs", "[apps_path: \"apps\"]"),
        ("apps/web/mix.exs", "[app: :web]"),
        ("apps/web/assets/package.json", "{}"),
        ("apps/core/mix.exs", "[app: :core]"),
        ("deps/phoenix/mix.exs", "[app: :phoenix]"),
        ("apps/web/assets/node_modules/x/mix.exs", "[app: :no]"),
    ]);
    let facts = read(dir.path()).unwrap();
    let dirs: Vec<_> = facts.projects.iter().map(|p| p.dir.as_str()).collect();
    assert_eq!(dirs, [".", "apps/core", "apps/web"]);
    assert!(facts.package_in("apps/web/assets").is_some());
}

#[test]
fn error_for_missing_mix_exs_lists_directory_contents() {
    let dir = app(&[("src/mix.exs", ""), ("package.json", "{}")]);
    let Err(ReadError::NoMixExs {
        found,
        candidate_dirs,
        ..
    }) = read(dir.path())
    else {
        panic!("must be refused");
    };
    assert_eq!(found, ["package.json", "src/"]);
    assert_eq!(candidate_dirs, ["src"]);
}

#[test]
fn app_in_subdirectory_falls_back_to_root_files() {
    let dir = app(&[
        ("mix.lock", "%{\n  \"phoenix\": {:hex},\n}"),
        (".tool-versions", "elixir 1.17"),
        (".nvmrc", "20"),
        (
            "elixir_buildpack.config",
            "app_relative_path=services/backend",
        ),
        ("phoenix_static_buildpack.config", "node_version=20"),
        ("services/backend/mix.exs", "[elixir: \"~> 1.15\"]"),
        ("services/backend/.nvmrc", "22"),
        ("services/backend/elixir_buildpack.config", "release=true"),
        ("services/backend/assets/package.json", "{}"),
        ("services/backend/apps/web/mix.exs", "[app: :web]"),
        ("services/other/mix.exs", "{:phoenix, \"~> 1.8\"}"),
        ("services/other/package.json", "no JSON"),
        ("libs/a/b/c/shared/mix.exs", "[app: :shared]"),
    ]);
    let requested = Setting::new("services/backend".to_owned(), Origin::LastBuild);
    let facts = super::read(dir.path(), requested, None).unwrap();
    let dirs: Vec<_> = facts.projects.iter().map(|p| p.dir.as_str()).collect();
    assert_eq!(dirs, ["services/backend", "services/backend/apps/web"]);
    assert_eq!(
        facts.sibling_projects,
        ["libs/a/b/c/shared", "services/other"]
    );
    let place = &facts.root().elixir.as_ref().unwrap().origin;
    assert_eq!(place.to_string(), "services/backend/mix.exs:1");
    assert!(!facts.phoenix_locked && !facts.has_lock);
    assert!(facts.package_in("services/backend/assets").is_some());
    assert_eq!(facts.tool_versions_path, ".tool-versions");
    assert_eq!(facts.static_config_path, STATIC_CONFIG);
    assert_eq!(
        facts.elixir_config_path,
        "services/backend/elixir_buildpack.config"
    );
    let node = &facts.version_files[0].requested;
    assert_eq!(node.value, "22");
    assert_eq!(node.origin.to_string(), "services/backend/.nvmrc:1");
    assert_eq!(facts.version_files.len(), 1);
}

#[test]
fn root_procfile_is_used_unless_generated() {
    let requested = Setting::new("backend".to_owned(), Origin::LastBuild);
    let dir = app(&[("backend/mix.exs", ""), ("backend/Procfile", "web: a && b")]);
    let counts = || {
        let facts = super::read(dir.path(), requested.clone(), None).unwrap();
        let Procfile(types) = facts.procfile.unwrap();
        (facts.procfile_path, types["web"].clone())
    };
    let of_app = ("backend/Procfile".to_owned(), "a && b".to_owned());
    assert_eq!(counts(), of_app);
    let made = launcher::procfile("backend/Procfile", &Procfile::parse("web: a && b"));
    std::fs::write(dir.path().join("Procfile"), made).unwrap();
    assert_eq!(counts(), of_app);
    std::fs::write(dir.path().join("Procfile"), "web: own").unwrap();
    assert_eq!(counts(), ("Procfile".to_owned(), "own".to_owned()));
}

fn utf16(text: &str) -> Vec<u8> {
    let text = format!("\u{feff}{text}");
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Files of an app, as text, and whether programs other than Mixpack read them.
const FILES: [(&str, &str, bool); 14] = [
    ("mix.exs", "[app: :x, elixir: \"~> 1.15\"]", true),
    (
        "mix.lock",
        "%{\n  \"phoenix\": {:hex, :phoenix, \"1.7.0\"},\n}",
        true,
    ),
    ("Procfile", "web: mix phx.server", true),
    (ELIXIR_CONFIG, "erlang_version=26", true),
    (STATIC_CONFIG, "assets_path=ui", true),
    (
        "assets/package.json",
        r#"{"engines": {"node": "20"}}"#,
        true,
    ),
    ("assets/pnpm-lock.yaml", "lockfileVersion: '9.0'\n", true),
    (".tool-versions", "erlang 26.1\n", false),
    ("mise.toml", "tools.elixir = \"1.16\"\n", false),
    (".elixir-version", "1.15.7", false),
    (".erlang-version", "26.2", false),
    (".node-version", "20.1", false),
    (".nvmrc", "20.2", false),
    (".buildpacks", "x/mixpack\ny/phoenix-static\n", false),
];

fn facts_of(files: &[(&str, Vec<u8>)]) -> Result<Facts, ReadError> {
    let dir = app(&[("mix.exs", ""), ("assets/package.json", "{}")]);
    for (path, bytes) in files {
        std::fs::write(dir.path().join(path), bytes).unwrap();
    }
    read(dir.path())
}

#[test]
fn byte_order_mark_is_ignored() {
    let with = |mark: &str| {
        let files = FILES.map(|(path, text, _)| (path, format!("{mark}{text}").into_bytes()));
        facts_of(&files).unwrap()
    };
    let facts = with("");
    assert_eq!(with("\u{feff}"), facts);
    assert_eq!(facts.packages[0].lock_format.as_deref(), Some("9.0"));
    assert_eq!(
        (facts.version_files.len(), facts.tool_versions.len()),
        (5, 1)
    );
    assert!(facts.phoenix_locked && facts.later_static.is_some());
}

#[test]
fn utf_16_is_rejected_only_in_files_read_by_other_tools() {
    for (path, text, is_read_by_others) in FILES {
        let plain = facts_of(&[(path, text.as_bytes().to_vec())]).unwrap();
        match facts_of(&[(path, utf16(text))]) {
            Ok(facts) => assert!(!is_read_by_others && facts == plain, "{path}"),
            Err(error) => {
                assert!(is_read_by_others, "{path}");
                assert_eq!(error.to_string(), format!("{path} is encoded as UTF-16"));
            }
        }
    }
}

#[test]
fn invalid_package_json_names_line() {
    let dir = app(&[("mix.exs", ""), ("assets/package.json", "{\n\"a\" 1}")]);
    let error = read(dir.path()).unwrap_err().to_string();
    assert!(error.starts_with("assets/package.json:2: "), "{error}");
}
