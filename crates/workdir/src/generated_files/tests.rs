//! Tests of saving and restoring the generated files of an app.

use super::*;
use crate::app_tree::entries_of;
use exec::secrets::Secret;
use store::{CacheDir, Store};
use tempfile::TempDir;

struct App(TempDir);

impl App {
    fn of(files: &[&str]) -> Self {
        let app = Self(tempfile::tempdir().unwrap());
        for file in files {
            app.write(file, file);
        }
        app
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let place = self.at(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }

    fn entries(&self) -> Entries {
        entries_of(self.0.path())
    }

    fn sources(&self) -> Sources {
        Sources::of(&self.entries(), &Sources::default()).unwrap()
    }
}

fn salted() -> Salted {
    let dir = tempfile::tempdir().unwrap();
    let store = CacheDir::open(dir.path()).unwrap();
    store.write_note("salt", &"5".repeat(32)).unwrap();
    Salted::of(&store).unwrap()
}

/// Returns the note on files that compiling has just created, and the directory of their copies.
fn generate(app: &App, before: &Entries, sources: Sources) -> (GeneratedFiles, TempDir) {
    let after = app.entries();
    let copies = tempfile::tempdir().unwrap();
    let touched = FileChanges::between(before, &after);
    let mut files = copy_files(&touched.created, &after, copies.path()).unwrap();
    read(&mut files, copies.path(), &salted(), &Finders::of(&[])).unwrap();
    let changed = touched.changed.into_iter();
    let changed = changed.map(|path| {
        let left = after.get(&path).map(|entry| content_of(entry, &salted()));
        (PathText(path), left)
    });
    let generated = GeneratedFiles {
        files,
        changed: changed.collect(),
        sources,
        ..GeneratedFiles::default()
    };
    let json = serde_json::to_string(&generated).unwrap();
    assert_eq!(
        serde_json::from_str::<GeneratedFiles>(&json).unwrap(),
        generated
    );
    (generated, copies)
}

#[test]
fn restores_files_links_directories_modes_and_times() {
    let app = App::of(&["lib/a.ex"]);
    let before = app.entries();
    app.write("priv/native/run.sh", "#!/bin/sh");
    let script = app.at("priv/native/run.sh");
    fs::set_permissions(&script, Permissions::from_mode(0o750)).unwrap();
    fs::create_dir(app.at("priv/native/empty")).unwrap();
    symlink("run.sh", app.at("priv/native/link")).unwrap();
    let (generated, copies) = generate(&app, &before, app.sources());
    let after = app.entries();
    let files = generated.files.iter().collect();
    fs::remove_dir_all(app.at("priv/native")).unwrap();
    // An archive may lose an empty directory.
    fs::remove_dir(copies.path().join("priv/native/empty")).unwrap();
    let root = app.0.path();
    let back = restore_files(&files, copies.path(), root, &app.entries()).unwrap();
    assert_eq!(back, Ok(()));
    let now = app.entries();
    assert!(now.keys().eq(after.keys()));
    for (path, then) in after {
        let looks = |entry: &Entry| (entry.kind, entry.size, entry.mode, entry.modified);
        let is_made = path.starts_with("priv/native") && then.kind != Kind::Link;
        assert!(!is_made || looks(&now[&path]) == looks(&then), "{path:?}");
    }
    let target = fs::read_link(app.at("priv/native/link")).unwrap();
    assert_eq!(target, Path::new("run.sh"));
}

#[test]
fn restore_never_overwrites_follows_links_or_is_partial() {
    let outside = tempfile::tempdir().unwrap();
    let app = App::of(&["mix.exs"]);
    let before = app.entries();
    app.write("gen/a/x", "x");
    app.write("gen/b", "b");
    let (generated, copies) = generate(&app, &before, app.sources());
    let files: BTreeMap<_, _> = generated.files.iter().collect();
    let in_the_way = |make: &dyn Fn(&App, &TempDir)| {
        let app = App::of(&["mix.exs"]);
        let copy = tempfile::tempdir().unwrap();
        tree::transfer(copies.path(), copy.path(), Method::Copy, |_| true).unwrap();
        make(&app, &copy);
        let then = app.entries();
        let back = restore_files(&files, copy.path(), app.0.path(), &then).unwrap();
        assert!(app.entries().keys().eq(then.keys()));
        back.unwrap_err().to_str().unwrap().to_owned()
    };
    assert_eq!(in_the_way(&|app, _| app.write("gen/b", "pushed")), "gen/b");
    assert_eq!(in_the_way(&|app, _| app.write("gen", "pushed")), "gen");
    let link = |app: &App, _: &TempDir| symlink(outside.path(), app.at("gen")).unwrap();
    assert_eq!(in_the_way(&link), "gen");
    let dangling = |app: &App, _: &TempDir| {
        fs::create_dir(app.at("gen")).unwrap();
        symlink("nowhere", app.at("gen/b")).unwrap();
    };
    assert_eq!(in_the_way(&dangling), "gen/b");
    let lost = |_: &App, copy: &TempDir| fs::remove_file(copy.path().join("gen/b")).unwrap();
    assert_eq!(in_the_way(&lost), "gen/b");
    assert!(fs::read_dir(outside.path()).unwrap().next().is_none());
}

#[test]
fn app_compiles_from_scratch_unless_inputs_are_unchanged() {
    let app = App::of(&["lib/a.ex", "VERSION"]);
    let why = |generated: &GeneratedFiles, sources: &Sources| {
        generated.why_from_scratch(sources, || Some("API_URL changed".to_owned()))
    };
    let before = app.entries();
    let sources = app.sources();
    let (nothing, _copies) = generate(&app, &before, sources.clone());
    app.write("priv/native/hello.so", "elf");
    let (created, _copies) = generate(&app, &before, sources.clone());
    fs::remove_file(app.at("VERSION")).unwrap();
    let (removed, _copies) = generate(&app, &before, sources.clone());
    assert_eq!(removed.missing(&before, &app.entries()), None);
    app.write("VERSION", "1");
    let with_version = app.entries();
    let (changed, _copies) = generate(&app, &before, sources.clone());

    assert_eq!(why(&nothing, &Sources::default()), None);
    assert_eq!(created.why_from_scratch(&sources, || None), None);
    let of_hello = "compiling creates priv/native/hello.so";
    let expected = format!("{of_hello}, and API_URL changed");
    assert_eq!(why(&created, &sources), Some(expected));
    let expected = format!("{of_hello}, and VERSION changed");
    assert_eq!(why(&created, &app.sources()), Some(expected));
    let expected = "compiling removes VERSION".to_owned();
    assert_eq!(why(&removed, &sources), Some(expected));
    let expected = "compiling changes VERSION".to_owned();
    assert_eq!(why(&changed, &sources), Some(expected));
    let uncacheable = GeneratedFiles {
        uncacheable: Some(("priv/x".into(), "it holds the value of KEY".into())),
        ..created.clone()
    };
    let expected = "compiling creates priv/x, which isn't kept: it holds the value of KEY";
    assert_eq!(why(&uncacheable, &sources).as_deref(), Some(expected));

    // A dependency may have generated it, or a step that only ran then.
    assert_eq!(created.missing(&before, &with_version), None);
    fs::remove_file(app.at("priv/native/hello.so")).unwrap();
    let missing = created.missing(&before, &app.entries());
    assert_eq!(missing, Some(Path::new("priv/native/hello.so")));
    let without_hello = GeneratedFiles {
        files: BTreeMap::new(),
        ..changed.clone()
    };
    assert_eq!(without_hello.missing(&before, &with_version), None);
    let missing = without_hello.missing(&with_version, &with_version);
    assert_eq!(missing, Some(Path::new("VERSION")));

    // Possible inputs of assets.
    assert_eq!(created.difference(&created), None);
    let hello = Some(PathBuf::from("priv/native"));
    assert_eq!(created.difference(&nothing), hello);
    assert_eq!(nothing.difference(&created), hello);
    let version = Some(PathBuf::from("VERSION"));
    assert_eq!(changed.difference(&created), version);
    assert_eq!(changed.difference(&removed), version);
}

#[test]
fn leex_and_yecc_output_is_left_to_mix() {
    let app = App::of(&["src/lexer.xrl", "src/parser.yrl"]);
    let (before, sources) = (app.entries(), app.sources());
    app.write("src/lexer.erl", "");
    app.write("src/parser.erl", "");
    let (generated, _copies) = generate(&app, &before, sources);
    assert!(generated.is_regenerated_by_mix());
    fs::remove_file(app.at("src/parser.yrl")).unwrap();
    let tracked = generated.tracked(&app.sources());
    let tracked: Vec<&Path> = tracked.keys().map(|path| path.0.as_path()).collect();
    assert_eq!(tracked, [Path::new("src/lexer.erl")]);
    app.write("src/other.erl", "");
    let (generated, _copies) = generate(&app, &before, app.sources());
    assert!(!generated.is_regenerated_by_mix());
}

#[test]
fn finds_secret_in_file_of_any_size_and_type() {
    let app = App::of(&[]);
    let before = app.entries();
    let mut large = vec![0; 33 << 20];
    large.extend(b"the-s3cret");
    app.write("gen/plain", "nothing");
    let secrets = [Secret {
        name: "KEY".to_owned(),
        text: "the-s3cret".to_owned(),
    }];
    for bytes in [&large[..], b"<the-s3cret>"] {
        fs::write(app.at("gen/x.gz"), bytes).unwrap();
        let after = app.entries();
        let copies = tempfile::tempdir().unwrap();
        let created = FileChanges::between(&before, &after).created;
        let mut files = copy_files(&created, &after, copies.path()).unwrap();
        let finders = Finders::of(&secrets);
        let found = read(&mut files, copies.path(), &salted(), &finders).unwrap();
        let expected = (
            "gen/x.gz".to_owned(),
            "it holds the value of KEY".to_owned(),
        );
        assert_eq!(found, Some(expected));
        assert!(without_names(&GeneratedFiles::default(), &finders).is_none());
    }
    symlink("to/the-s3cret", app.at("gen/the-s3cret")).unwrap();
    fs::remove_file(app.at("gen/x.gz")).unwrap();
    let (mut generated, copies) = generate(&app, &before, app.sources());
    let finders = Finders::of(&secrets);
    let found = read(&mut generated.files, copies.path(), &salted(), &finders).unwrap();
    assert!(found.is_some());
    let without = without_names(&generated, &finders).unwrap();
    assert!(!format!("{without:?}").contains("s3cret"));
    assert!(!without.is_regenerated_by_mix());
}
