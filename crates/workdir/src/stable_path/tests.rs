//! Tests of builds that enter and leave a runtime path.

use super::links::names;
use super::marker::{BACKUP_DIR, MARKER, clean_up};
use super::{Request, StablePath, make_links_relative};
use exec::cancel::Cancel;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

struct Case {
    _root: tempfile::TempDir,
    app: PathBuf,
    runtime: PathBuf,
}

fn case(files: &[&str]) -> Case {
    let root = tempfile::tempdir().unwrap();
    let app = fs::canonicalize(root.path()).unwrap().join("build");
    let runtime = app.with_file_name("app");
    fs::create_dir_all(&runtime).unwrap();
    for file in files {
        let path = app.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    Case {
        _root: root,
        app,
        runtime,
    }
}

impl Case {
    /// The first project is the app.
    fn enter(&self, projects: &[&str]) -> StablePath {
        let projects: Vec<String> = projects.iter().map(|p| (*p).to_owned()).collect();
        let request = Request {
            app: &self.app,
            runtime: &self.runtime,
            app_dir: &projects[0],
            projects: &projects,
            home: Some(&self.runtime),
            own_dirs: &[".mix"],
        };
        StablePath::enter(request, &Cancel::default(), || {}).unwrap()
    }

    /// Enters another runtime path, with a home elsewhere.
    fn enter_at(&self, runtime: &Path, waiting: impl FnOnce()) -> StablePath {
        let request = Request {
            app: &self.app,
            runtime,
            app_dir: ".",
            projects: &[".".to_owned()],
            home: None,
            own_dirs: &[],
        };
        StablePath::enter(request, &Cancel::default(), waiting).unwrap()
    }

    fn left_in_runtime(&self) -> Vec<String> {
        names(&self.runtime)
            .unwrap()
            .into_iter()
            .map(|name| name.into_string().unwrap())
            .collect()
    }
}

#[test]
fn files_brought_in_early_may_be_removed_later() {
    let case = case(&["mix.exs", "lib/a.ex", "replaced", "removed"]);
    let path = case.enter(&["."]);
    fs::remove_file(case.runtime.join("removed")).unwrap();
    for (name, text) in [("new", "1"), ("replaced.new", "2"), ("unwanted", "3")] {
        fs::write(case.runtime.join(name), text).unwrap();
    }
    let replaced = case.runtime.join("replaced");
    fs::rename(case.runtime.join("replaced.new"), replaced).unwrap();
    path.move_new_files().unwrap();
    fs::remove_file(case.app.join("unwanted")).unwrap();
    path.leave().unwrap();
    let read = |name: &str| fs::read_to_string(case.app.join(name)).ok();
    assert_eq!(read("new").as_deref(), Some("1"));
    assert_eq!(read("replaced").as_deref(), Some("2"));
    assert_eq!((read("unwanted"), read("removed")), (None, None));
    assert!(case.left_in_runtime().is_empty());
}

/// mix links `_build/…/ebin` to it with a path that is resolved in the app.
#[test]
fn ebin_of_dependency_with_makefile_or_command_is_written_to_app() {
    let files = [
        "mix.exs",
        "deps/made/Makefile",
        "deps/command/mix.exs",
        "deps/rebar/Makefile",
        "deps/rebar/rebar.config",
    ];
    let case = case(&files);
    let path = case.enter(&["."]);
    let commands = BTreeSet::from(["command".to_owned()]);
    path.open_dependencies(&commands, true).unwrap();
    for name in ["made", "command"] {
        let module = format!("deps/{name}/ebin/a.beam");
        fs::write(case.runtime.join(&module), "").unwrap();
        assert!(case.app.join(&module).exists(), "{name}");
    }
    assert!(!case.app.join("deps/rebar/ebin").exists());
    path.leave().unwrap();
}

#[test]
fn synced_files_exist_in_app_and_runtime_path() {
    let case = case(&["mix.exs", "replaced", "removed", "deps/x/mix.exs"]);
    let path = case.enter(&["."]);
    path.open_dependencies(&BTreeSet::new(), true).unwrap();
    for name in ["new", "replaced.new", "deps/x/made", "later"] {
        fs::write(case.runtime.join(name), name).unwrap();
    }
    let replaced = case.runtime.join("replaced");
    fs::rename(case.runtime.join("replaced.new"), &replaced).unwrap();
    path.sync_new_files().unwrap();
    let read = |path: PathBuf| fs::read_to_string(path).ok();
    for root in [&case.app, &case.runtime] {
        assert_eq!(read(root.join("new")).as_deref(), Some("new"));
        assert_eq!(
            read(root.join("deps/x/made")).as_deref(),
            Some("deps/x/made")
        );
        assert_eq!(read(root.join("replaced")).as_deref(), Some("replaced.new"));
    }
    // Later commands change, replace and remove the files.
    fs::write(case.runtime.join("new"), "2").unwrap();
    fs::remove_file(case.runtime.join("removed")).unwrap();
    fs::remove_file(&replaced).unwrap();
    fs::write(case.runtime.join("later.new"), "3").unwrap();
    fs::rename(case.runtime.join("later.new"), case.runtime.join("later")).unwrap();
    path.leave().unwrap();
    assert_eq!(read(case.app.join("new")).as_deref(), Some("2"));
    assert_eq!(read(case.app.join("later")).as_deref(), Some("3"));
    assert!(case.app.join("deps/x/made").exists());
    assert!(!case.app.join("removed").exists() && !case.app.join("replaced").exists());
    assert!(case.left_in_runtime().is_empty());
}

#[test]
fn directory_written_in_both_places_is_merged() {
    for settles in [false, true] {
        let case = case(&["mix.exs", "priv/a"]);
        let path = case.enter(&["."]);
        fs::create_dir_all(case.runtime.join(".profile.d/x")).unwrap();
        fs::create_dir_all(case.app.join(".profile.d")).unwrap();
        fs::write(case.runtime.join(".profile.d/hook.sh"), "").unwrap();
        fs::write(case.app.join(".profile.d/ours.sh"), "").unwrap();
        // If a command replaces a directory, the new one counts.
        fs::remove_file(case.runtime.join("priv")).unwrap();
        fs::create_dir(case.runtime.join("priv")).unwrap();
        if settles {
            path.sync_new_files().unwrap();
            assert!(case.app.join(".profile.d/hook.sh").exists());
        }
        path.leave().unwrap();
        for file in [".profile.d/hook.sh", ".profile.d/ours.sh", ".profile.d/x"] {
            assert!(case.app.join(file).exists(), "{file}");
        }
        assert!(!case.app.join("priv/a").exists());
        assert!(case.left_in_runtime().is_empty());
    }
}

#[test]
fn mix_projects_are_real_directories_and_the_rest_is_linked() {
    let case = case(&[
        "mix.exs",
        "lib/a.ex",
        "apps/web/mix.exs",
        "apps/web/lib/b.ex",
    ]);
    let path = case.enter(&[".", "apps/web"]);
    assert_eq!(path.dir(), case.runtime);
    let is_link = |p: &str| {
        case.runtime
            .join(p)
            .symlink_metadata()
            .unwrap()
            .is_symlink()
    };
    assert!(is_link("lib") && is_link("mix.exs") && is_link("deps") && is_link("_build"));
    assert!(!is_link("apps") && !is_link("apps/web"));
    assert!(is_link("apps/web/lib") && is_link("apps/web/priv"));
    path.leave().unwrap();
    assert_eq!(case.left_in_runtime(), [""; 0]);
    assert!(
        !case.app.join("deps").exists(),
        "an empty folder of ours stays behind"
    );
    assert!(!case.app.join("apps/web/priv").exists());
}

#[test]
fn app_in_subdirectory_and_path_dependencies_are_real_directories() {
    let case = case(&[
        "README.md",
        "backend/mix.exs",
        "backend/lib/a.ex",
        "backend/deps/nif/mix.exs",
        "libs/shared/mix.exs",
        "libs/shared/lib/s.ex",
        "frontend/app.js",
    ]);
    let path = case.enter(&["backend", "libs/shared"]);
    path.open_dependencies(&BTreeSet::new(), true).unwrap();
    let real = |p: &str| {
        let seen = case.runtime.join(p);
        fs::canonicalize(&seen).unwrap() == seen
    };
    for folder in [
        "backend",
        "backend/deps/nif",
        "libs/shared",
        "libs/shared/priv",
    ] {
        let is_link = folder.ends_with("priv");
        assert_eq!(real(folder), !is_link, "{folder}");
    }
    assert!(!real("frontend") && !real("backend/lib") && !real("backend/_build"));
    // The link that mix creates for a path dependency without a `priv`.
    let lib = path.dir().join("backend/_build/prod/lib/shared");
    fs::create_dir_all(&lib).unwrap();
    symlink("../../../../../libs/shared/priv", lib.join("priv")).unwrap();
    path.leave().unwrap();
    assert!(case.app.join("backend/_build/prod/lib/shared").is_dir());
    let dangling = case.app.join("backend/_build/prod/lib/shared/priv");
    assert!(dangling.symlink_metadata().is_err());
    for made in ["deps", "_build", "libs/shared/priv", "backend/priv"] {
        assert!(!case.app.join(made).exists(), "{made} stays behind");
    }
    assert_eq!(case.left_in_runtime(), [""; 0]);
}

#[test]
fn build_output_moves_to_build_directory() {
    let case = case(&["mix.exs", "apps/web/mix.exs"]);
    let path = case.enter(&[".", "apps/web"]);
    fs::write(path.dir().join("new.txt"), "new").unwrap();
    fs::write(path.dir().join("apps/web/generated.ex"), "generated").unwrap();
    fs::create_dir(path.dir().join("_build/prod")).unwrap();
    fs::create_dir(path.dir().join(".npm")).unwrap();
    path.leave().unwrap();
    let text = |p: &str| fs::read_to_string(case.app.join(p)).unwrap();
    assert_eq!(text("new.txt"), "new");
    assert_eq!(text("apps/web/generated.ex"), "generated");
    assert!(case.app.join("_build/prod").is_dir());
    assert!(
        !case.app.join(".npm").exists(),
        "a tool's cache in HOME is not the app's"
    );
    assert_eq!(case.left_in_runtime(), [".npm"]);
}

#[test]
fn replaced_and_removed_entries_are_synced() {
    let case = case(&["mix.exs", "mix.lock", "old.txt", "assets/app.js"]);
    let path = case.enter(&["."]);
    fs::write(path.dir().join("mix.lock.tmp"), "rewritten").unwrap();
    fs::rename(path.dir().join("mix.lock.tmp"), path.dir().join("mix.lock")).unwrap();
    fs::remove_file(path.dir().join("old.txt")).unwrap();
    path.leave().unwrap();
    let lock = case.app.join("mix.lock");
    assert_eq!(fs::read_to_string(lock).unwrap(), "rewritten");
    assert!(!case.app.join("old.txt").exists());
    assert!(case.app.join("assets/app.js").exists());
}

#[test]
fn copied_and_moved_links_become_files() {
    let files = [
        "mix.exs",
        "public/a.css",
        "heroku.txt",
        "version.txt",
        "gone/x",
    ];
    let case = case(
        &[
            &files[..],
            &["priv/static/b.css", "apps/web/mix.exs", "apps/web/lib/w.ex"],
        ]
        .concat(),
    );
    let path = case.enter(&[".", "apps/web"]);
    let copy = |from: &str, to: &str| {
        let target = fs::read_link(path.dir().join(from)).unwrap();
        symlink(target, path.dir().join(to)).unwrap();
    };
    copy("public", "priv/static/public");
    fs::create_dir(path.dir().join("out")).unwrap();
    copy("apps/web/lib", "out/lib");
    fs::rename(
        path.dir().join("heroku.txt"),
        path.dir().join("version.txt"),
    )
    .unwrap();
    fs::rename(path.dir().join("gone"), path.dir().join("priv/moved")).unwrap();
    symlink("static/b.css", path.dir().join("priv/own_link")).unwrap();

    path.replace_copied_links().unwrap();
    path.leave().unwrap();
    let text = |p: &str| fs::read_to_string(case.app.join(p)).unwrap();
    assert_eq!(text("priv/static/public/a.css"), "public/a.css");
    assert_eq!(text("out/lib/w.ex"), "apps/web/lib/w.ex");
    assert_eq!(text("version.txt"), "heroku.txt");
    assert_eq!(text("priv/moved/x"), "gone/x");
    for file in ["priv/static/public", "out/lib", "version.txt", "priv/moved"] {
        assert!(!case.app.join(file).is_symlink(), "{file} is a link");
    }
    for moved in ["heroku.txt", "gone"] {
        assert!(!case.app.join(moved).exists(), "{moved} stays behind");
    }
    assert!(case.app.join("public/a.css").exists() && case.app.join("priv/own_link").is_symlink());
}

#[test]
fn fetched_dependencies_are_real_directories() {
    let case = case(&[
        "mix.exs",
        "deps/unused/mix.exs",
        "deps/nif/mix.exs",
        "deps/nif/c_src/n.c",
    ]);
    let path = case.enter(&["."]);
    assert!(case.runtime.join("deps").is_symlink());
    path.open_dependencies(&BTreeSet::new(), true).unwrap();
    let here = case.runtime.join("deps/nif");
    assert_eq!(
        fs::canonicalize(&here).unwrap(),
        here,
        "mix must see where it is"
    );
    assert!(here.join("c_src").is_symlink());
    // Output of native code, a relative link to it, and a removed dependency.
    fs::write(here.join("priv/n.so"), "elf").unwrap();
    fs::write(here.join("made.txt"), "made").unwrap();
    let lib = path.dir().join("_build/prod/lib/nif");
    fs::create_dir_all(&lib).unwrap();
    symlink("../../../../deps/nif/priv", lib.join("priv")).unwrap();
    fs::remove_dir_all(case.runtime.join("deps/unused")).unwrap();
    path.leave().unwrap();
    let linked = case.app.join("_build/prod/lib/nif/priv/n.so");
    assert_eq!(fs::read_to_string(linked).unwrap(), "elf");
    assert_eq!(
        fs::read_to_string(case.app.join("deps/nif/made.txt")).unwrap(),
        "made"
    );
    assert!(!case.app.join("deps/unused").exists());
    assert_eq!(case.left_in_runtime(), [""; 0]);
}

#[test]
fn source_copy_in_runtime_path_is_restored() {
    let case = case(&["mix.exs", "lib/a.ex"]);
    fs::create_dir_all(case.runtime.join("lib")).unwrap();
    fs::write(case.runtime.join("lib/a.ex"), "the copy").unwrap();
    fs::write(case.runtime.join(".netrc"), "earlier buildpack").unwrap();
    let path = case.enter(&["."]);
    let seen = fs::read_to_string(path.dir().join("lib/a.ex")).unwrap();
    assert_eq!(seen, "lib/a.ex", "mix must see the build directory's file");
    assert!(path.dir().join(".netrc").exists());
    path.leave().unwrap();
    let copy = case.runtime.join("lib/a.ex");
    assert_eq!(fs::read_to_string(copy).unwrap(), "the copy");
    assert_eq!(case.left_in_runtime(), [".netrc", "lib"]);
    assert!(!case.app.join(".netrc").exists());
}

#[test]
fn next_build_cleans_up_after_killed_build() {
    let case = case(&["mix.exs", "lib/a.ex", "apps/web/mix.exs"]);
    fs::write(case.runtime.join("mix.exs"), "the copy").unwrap();
    std::mem::forget(case.enter(&[".", "apps/web"]));
    // The kernel drops the lock of a killed process; here the test still holds it.
    let marker = fs::read(case.runtime.join(MARKER)).unwrap();
    assert!(!marker.is_empty());
    clean_up(&case.runtime).unwrap();
    assert_eq!(case.left_in_runtime(), ["mix.exs"]);
    let copy = case.runtime.join("mix.exs");
    assert_eq!(fs::read_to_string(copy).unwrap(), "the copy");
}

#[test]
fn non_utf_8_names_are_linked_and_cleaned_up() {
    use std::os::unix::ffi::OsStrExt;
    let case = case(&["mix.exs"]);
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
    fs::write(case.app.join(odd), "odd").unwrap();
    let path = case.enter(&["."]);
    assert_eq!(fs::read_to_string(path.dir().join(odd)).unwrap(), "odd");
    path.leave().unwrap();
    assert_eq!(case.left_in_runtime(), [""; 0]);
    assert!(case.app.join(odd).exists());
}

#[test]
fn build_directory_as_runtime_path_needs_no_links() {
    let case = case(&["mix.exs"]);
    let path = case.enter_at(&case.app, || {});
    assert_eq!(path.dir(), case.app);
    assert_eq!(path.unusable_reason(), None);
}

#[test]
fn runtime_path_inside_app_is_rejected_with_reason() {
    let case = case(&["mix.exs", "sub/x"]);
    let path = case.enter_at(&case.app.join("sub"), || {});
    assert_eq!(path.dir(), case.app);
    assert_eq!(path.unusable_reason(), Some("one is inside the other"));
}

#[test]
fn second_build_waits_for_first() {
    let case = case(&["mix.exs"]);
    let first = case.enter(&["."]);
    let (told, waits) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let runtime = &case.runtime;
        let second = scope.spawn(|| case.enter_at(runtime, || told.send(()).unwrap()));
        waits.recv().unwrap();
        assert!(!second.is_finished());
        first.leave().unwrap();
        second.join().unwrap().leave().unwrap();
    });
}

#[test]
fn next_build_cleans_up_after_kill_at_any_point() {
    // The marker may list entries that weren't created yet.
    for made in 0..6 {
        let case = case(&[
            "mix.exs",
            "lib/a.ex",
            "deps/nif/mix.exs",
            "apps/web/mix.exs",
        ]);
        fs::write(case.runtime.join("mix.exs"), "the runtime path's own").unwrap();
        let path = case.enter(&[".", "apps/web"]);
        path.open_dependencies(&BTreeSet::new(), true).unwrap();
        std::mem::forget(path);
        // Release the lock, as when a process is killed.
        let held: Vec<PathBuf> = WalkDir::new(&case.runtime)
            .min_depth(1)
            .contents_first(true)
            .into_iter()
            .map(|entry| entry.unwrap().into_path())
            .filter(|path| !path.starts_with(case.runtime.join(BACKUP_DIR)))
            .filter(|path| path.file_name() != Some(MARKER.as_ref()))
            .collect();
        for path in held.iter().step_by(made + 1) {
            let _ = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
        }
        let of_the_killed = case.runtime.join("deps/nif/left");
        if of_the_killed.parent().unwrap().is_dir() {
            fs::write(of_the_killed, "").unwrap();
        }
        clean_up(&case.runtime).unwrap();
        assert_eq!(case.left_in_runtime(), ["mix.exs"], "{made}");
        let own = fs::read_to_string(case.runtime.join("mix.exs")).unwrap();
        assert_eq!(own, "the runtime path's own");
        assert!(case.app.join("lib/a.ex").exists());
    }
}

#[test]
fn marker_cannot_remove_files_outside_runtime_path() {
    let case = case(&["mix.exs"]);
    let outside = case.app.join("mix.exs");
    let marker = r#"{"folders":["../build",""],"links":["../build/mix.exs"],"aside":["../build"]}"#;
    fs::write(case.runtime.join(MARKER), marker).unwrap();
    clean_up(&case.runtime).unwrap();
    assert!(outside.exists());
    assert_eq!(case.left_in_runtime(), [""; 0]);
}

#[test]
fn package_manager_files_are_linked_into_every_real_directory() {
    let case = case(&[
        "mix.exs",
        "apps/web/mix.exs",
        "apps/web/lib/a.ex",
        "removed",
    ]);
    let path = case.enter(&[".", "apps/web"]);
    for folder in [
        "node_modules",
        "apps/web/node_modules",
        "apps/web/lib/node_modules",
        ".mixpack",
    ] {
        fs::create_dir(case.app.join(folder)).unwrap();
        fs::write(case.app.join(folder).join("a.js"), "a").unwrap();
    }
    fs::write(case.runtime.join("generated"), "by a command").unwrap();
    fs::write(case.app.join("generated"), "by an installer").unwrap();
    fs::remove_file(case.runtime.join("removed")).unwrap();
    path.link_new(|path| path.starts_with(".mixpack")).unwrap();
    let seen = |path: &str| fs::read_to_string(case.runtime.join(path)).ok();
    for folder in [
        "node_modules",
        "apps/web/node_modules",
        "apps/web/lib/node_modules",
    ] {
        assert_eq!(
            seen(&format!("{folder}/a.js")).as_deref(),
            Some("a"),
            "{folder}"
        );
    }
    assert_eq!(seen(".mixpack/a.js"), None);
    assert_eq!(seen("removed"), None);
    assert_eq!(seen("generated").as_deref(), Some("by a command"));

    // Again, after npm has replaced it and a command has removed another one.
    fs::remove_dir_all(case.app.join("node_modules")).unwrap();
    fs::create_dir(case.app.join("node_modules")).unwrap();
    fs::write(case.app.join("node_modules/b.js"), "b").unwrap();
    fs::remove_file(case.runtime.join("apps/web/node_modules")).unwrap();
    path.link_new(|path| path.starts_with(".mixpack")).unwrap();
    assert_eq!(seen("node_modules/b.js").as_deref(), Some("b"));
    path.leave().unwrap();
    assert!(
        case.left_in_runtime().is_empty(),
        "{:?}",
        case.left_in_runtime()
    );
    let in_app = |path: &str| case.app.join(path).exists();
    assert!(in_app("node_modules/b.js") && in_app(".mixpack/a.js"));
    assert!(!in_app("apps/web/node_modules") && !in_app("removed"));
    let generated = fs::read_to_string(case.app.join("generated")).unwrap();
    assert_eq!(generated, "by a command");
}

#[test]
fn rebar3_package_has_real_ebin_if_mix_copies_it() {
    let files = [
        "mix.exs",
        "deps/ranch/rebar.config",
        "deps/ranch/ebin/ranch.app",
        "deps/cowlib/Makefile",
        "deps/cowlib/hex_metadata.config",
        "deps/cowlib/ebin/cowlib.app",
    ];
    let tools = "{<<\"build_tools\">>,[<<\"make\">>,<<\"rebar3\">>]}.\n";
    for copies_ebin in [true, false] {
        let case = case(&files);
        fs::write(case.app.join("deps/cowlib/hex_metadata.config"), tools).unwrap();
        let path = case.enter(&["."]);
        let open = || path.open_dependencies(&BTreeSet::new(), copies_ebin);
        open().unwrap();
        for name in ["ranch", "cowlib"] {
            let ebin = case.runtime.join(format!("deps/{name}/ebin"));
            assert_eq!(ebin.is_symlink(), !copies_ebin, "{name}");
            assert!(!copies_ebin || !ebin.join(format!("{name}.app")).is_symlink());
        }
        fs::write(case.runtime.join("deps/ranch/ebin/new.beam"), "new").unwrap();
        path.sync_new_files().unwrap();
        open().unwrap();
        path.leave().unwrap();
        let text = |path: &str| fs::read_to_string(case.app.join(path)).unwrap();
        assert_eq!(text("deps/ranch/ebin/ranch.app"), files[2]);
        assert_eq!(text("deps/ranch/ebin/new.beam"), "new");
        assert_eq!(text("deps/cowlib/ebin/cowlib.app"), files[5]);
        assert_eq!(case.left_in_runtime(), [""; 0]);
    }
}

#[test]
fn links_from_compiled_code_to_build_directory_become_relative() {
    let dir = tempfile::tempdir().unwrap();
    let app = dir.path();
    let lib = app.join("_build/prod/lib/ranch");
    for folder in [&lib, &app.join("deps/ranch/ebin")] {
        fs::create_dir_all(folder).unwrap();
    }
    symlink(app.join("deps/ranch/ebin"), lib.join("ebin")).unwrap();
    symlink("/usr/include", lib.join("include")).unwrap();
    make_links_relative(app, "").unwrap();
    let target = |name: &str| fs::read_link(lib.join(name)).unwrap();
    assert_eq!(target("ebin"), Path::new("../../../../deps/ranch/ebin"));
    assert!(lib.join("ebin").is_dir());
    assert_eq!(target("include"), Path::new("/usr/include"));
}
