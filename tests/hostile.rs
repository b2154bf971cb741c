//! Apps and config vars that try to make the buildpack write, delete or load files outside its own directories. The
//! tests compare the files outside before and after.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
use walkdir::WalkDir;
use whole_builds::{App, Deploy};

const NO_PATHS: [PathBuf; 0] = [];

/// The state of everything in a directory: contents, links, modes, change times.
fn look(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64, u64)> {
    let entries = WalkDir::new(folder).into_iter().map(Result::unwrap);
    entries
        .map(|entry| {
            let found = entry.path().symlink_metadata().unwrap();
            let content = if found.is_file() {
                fs::read(entry.path()).unwrap()
            } else if found.is_symlink() {
                let target = fs::read_link(entry.path()).unwrap();
                target.as_os_str().as_bytes().to_vec()
            } else {
                Vec::new()
            };
            let (time, nanos) = (found.mtime(), found.mtime_nsec());
            let facts = (content, found.mode(), time, nanos, found.nlink());
            (entry.into_path(), facts)
        })
        .collect()
}

/// Directories of someone else that the build's user may write to, as on a developer's machine. They contain
/// everything that a build would write, clear or trust in its own.
struct Outside {
    folder: PathBuf,
    before: BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64, u64)>,
}

/// Their path in the sandbox.
const OUTSIDE: &str = "/tmp/outside";

impl Outside {
    fn of(app: &App) -> Self {
        let folder = app.sandbox.tmp().join("outside");
        for path in [
            "canary",
            "erlang/canary",
            "node/canary",
            "bin/canary",
            "lib/x/priv/canary",
            "rel/canary",
            "archives/hex-0.0.1/canary",
            "elixir/1-18-otp-27/rebar3",
            "x/.git/objects/canary",
            "x/.git/refs/canary",
            "x/priv/canary",
            "static/canary",
            ".bin/canary",
        ] {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "alive").unwrap();
        }
        fs::write(folder.join("x/.git/HEAD"), "0".repeat(40)).unwrap();
        symlink("nowhere", folder.join("lib/x/dangling")).unwrap();
        symlink("nowhere", folder.join("x/priv/dangling")).unwrap();
        for name in ["package.json", "lib/package.json"] {
            fs::write(folder.join(name), "{}").unwrap();
        }
        app.sandbox.give(&folder).unwrap();
        let before = look(&folder);
        Self { folder, before }
    }

    #[track_caller]
    fn assert_untouched(&self, app: &App, context: &str) {
        let after = look(&self.folder);
        for (path, facts) in &self.before {
            assert_eq!(
                after.get(path),
                Some(facts),
                "{context}: {}",
                path.display()
            );
        }
        let new: Vec<_> = after
            .keys()
            .filter(|p| !self.before.contains_key(*p))
            .collect();
        assert!(new.is_empty(), "{context}: {new:?}");
        assert_eq!(
            app.sandbox.written_outside().unwrap(),
            NO_PATHS,
            "{context}"
        );
    }
}

fn put_link(app: &App, name: &str, target: &str) {
    let link = app.source().join(name);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(target, link).unwrap();
}

#[track_caller]
fn refused(app: &App, outside: &Outside, code: &str, words: &str) -> Deploy {
    let deploy = app.deploy();
    assert!(!deploy.succeeded, "{words}: {}", deploy.log());
    let log = deploy.log();
    assert!(
        log.contains(&format!("Error code: {code}")),
        "{words}: {log}"
    );
    assert!(log.contains(words), "{words}: {log}");
    assert!(
        deploy.left_in_app.is_empty(),
        "{words}: {:?}",
        deploy.left_in_app
    );
    outside.assert_untouched(app, words);
    deploy
}

#[test]
fn rejects_build_directories_linked_outside_app() {
    let app = App::cold_fixture("phoenix-npm");
    let outside = Outside::of(&app);
    let beside = "../outside".to_owned();
    for name in [
        ".heroku",
        ".hex",
        ".mix",
        ".mixpack",
        ".platform_tools",
        ".profile.d",
        "_build",
        "_build/prod",
        "_build/prod/rel",
        "deps",
        "priv/static",
        "assets/node_modules",
        "assets",
    ] {
        let link = app.source().join(name);
        let kept = app.source().with_file_name("kept");
        let was_there = link.exists();
        if was_there {
            fs::rename(&link, &kept).unwrap();
        }
        let target = match name {
            "deps" => &beside,
            _ => OUTSIDE,
        };
        put_link(&app, name, target);
        let place = if name == "assets" {
            "assets/node_modules"
        } else {
            name
        };
        let place = if name == "_build/prod" {
            "_build/prod/lib"
        } else {
            place
        };
        let words = format!("Build failed: {place} points outside the app");
        refused(&app, &outside, "folder-outside-app", &words);
        fs::remove_file(&link).unwrap();
        if was_there {
            fs::rename(&kept, &link).unwrap();
        }
    }
    // With a path instead of a link. A path with a leading slash is relative to the app.
    app.config("assets_path", "../outside");
    refused(
        &app,
        &outside,
        "folder-outside-app",
        "points outside the app",
    );
}

/// The build doesn't expect these links to files, and must not write through them.
#[test]
fn hostile_links_names_and_leftovers_do_no_harm() {
    let app = App::cold_fixture("git-dep");
    app.git_from(&format!("{}/git/", app.host.url()));
    let outside = Outside::of(&app);
    for name in [
        ".profile.d/elixir_buildpack_paths.sh",
        ".mixpack/build.json",
        ".mixpack/sbom.cdx.json",
        ".mixpack/provenance.json",
        ".mixpack/bin/console",
        ".mixpack/assets",
        ".hex/hex.config",
        "priv/to-a-file",
        "lib/not_code",
    ] {
        put_link(&app, name, &format!("{OUTSIDE}/canary"));
    }
    // Someone else's files, at paths that the build creates.
    for name in [
        ".platform_tools/erlang",
        ".platform_tools/elixir",
        ".heroku/node",
        ".mix/archives/hex-0.0.1",
        ".mixpack/installers",
        "deps/of_the_app",
        "_build/prod/lib/of_the_app",
    ] {
        app.write(&format!("{name}/leftover"), "leftover");
        put_link(&app, &format!("{name}/x"), OUTSIDE);
    }
    put_link(&app, ".mix/archives/hex-0.0.2", OUTSIDE);
    put_link(&app, ".mix/elixir", &format!("{OUTSIDE}/elixir"));
    put_link(&app, "deps/x", &format!("{OUTSIDE}/x"));
    put_link(&app, "_build/prod/lib/x", &format!("{OUTSIDE}/lib/x"));
    // Names that break a shell or a list of lines, or that are not UTF-8.
    let odd: [&[u8]; 6] = [
        b"two words",
        b"new\nline",
        b"'quo\"te`$(touch ran)",
        b"-rf",
        b"latin1 \xe9 \xff",
        b"*",
    ];
    for name in odd {
        for folder in ["", "lib", "priv", "priv/static"] {
            let folder = app.source().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(OsStr::from_bytes(name)), "kept").unwrap();
        }
        let folder = app
            .source()
            .join("priv/folders")
            .join(OsStr::from_bytes(name));
        fs::create_dir_all(&folder).unwrap();
        symlink("loop", folder.join("loop")).unwrap();
    }
    // Too large to be read into memory.
    let huge = fs::File::create(app.source().join("priv/huge")).unwrap();
    huge.set_len(600 << 20).unwrap();
    for round in 0..2 {
        let deploy = app.deploy();
        deploy.expect_success();
        outside.assert_untouched(&app, &format!("round {round}"));
        for name in odd {
            let name = OsStr::from_bytes(name);
            for folder in ["", "lib", "priv", "priv/static"] {
                let kept = deploy.slug.join(folder).join(name);
                assert_eq!(
                    fs::read_to_string(&kept).unwrap(),
                    "kept",
                    "{}",
                    kept.display()
                );
            }
        }
        let script = deploy.slug.join(".profile.d/elixir_buildpack_paths.sh");
        assert!(fs::symlink_metadata(&script).unwrap().is_file());
        assert!(
            fs::read_to_string(&script)
                .unwrap()
                .contains("export MIX_HOME")
        );
        for tool in [".platform_tools/erlang", ".platform_tools/elixir"] {
            let leftover = deploy.slug.join(tool).join("leftover");
            assert!(!leftover.exists(), "{}", leftover.display());
        }
        assert_eq!(deploy.left_in_app, NO_PATHS);
        assert!(!deploy.slug.join("ran").exists());
        fs::remove_dir_all(&deploy.slug).unwrap();
    }
}

/// A program that leaves a file as evidence that it ran, and fails.
fn trap(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let script = format!("#!/bin/sh\ntouch /tmp/outside/ran-{name}\nexit 66\n");
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Config vars that no command gets with these values.
const HELD_BACK: [(&str, &str); 24] = [
    ("PATH", "/tmp/outside/bin"),
    ("HOME", "/tmp/outside/home"),
    ("LD_PRELOAD", "/tmp/outside/evil.so"),
    ("LD_LIBRARY_PATH", "/tmp/outside/lib"),
    ("LD_AUDIT", "/tmp/outside/evil.so"),
    ("GCONV_PATH", "/tmp/outside/lib"),
    ("BASH_ENV", "/tmp/outside/startup.sh"),
    ("ENV", "/tmp/outside/startup.sh"),
    ("BASH_FUNC_pwd%%", "() { touch /tmp/outside/ran; }"),
    ("PS4", "$(touch /tmp/outside/ran)"),
    ("SHELLOPTS", "xtrace:noexec"),
    ("IFS", "/"),
    ("CDPATH", "/tmp/outside"),
    ("PWD", "/tmp/outside"),
    ("GIT_DIR", "/tmp/outside/x/.git"),
    ("GIT_WORK_TREE", "/tmp/outside/x"),
    ("GIT_INDEX_FILE", "/tmp/outside/index"),
    ("GIT_OBJECT_DIRECTORY", "/tmp/outside/x/.git/objects"),
    ("GIT_EXEC_PATH", "/tmp/outside/bin"),
    ("ERL_ROOTDIR", "/tmp/outside/erlang"),
    ("ESCRIPT_EMULATOR", "/tmp/outside/bin/erl"),
    ("ERLC_EMULATOR", "/tmp/outside/bin/erl"),
    ("ELIXIR_CLI_DRY_RUN", "1"),
    ("MIX_HOME", "/tmp/outside"),
];

/// Config vars that commands get: they belong to the app and don't affect the build. The last ones are common, and
/// they work.
const SEEN: [(&str, &str); 14] = [
    ("ROOTDIR", "/tmp/outside/erlang"),
    ("BINDIR", "/tmp/outside/bin"),
    ("EMU", "evil"),
    ("PROGNAME", "evil"),
    ("BUILD_DIR", "/tmp/outside"),
    ("CACHE_DIR", "/tmp/outside"),
    ("ENV_DIR", "/tmp/outside"),
    ("MIXPACK_EXE", "/tmp/outside/bin/bash"),
    ("MIXPACK_BUILDPACK_DIR", "/tmp/outside"),
    ("TMPDIR", "/tmp/outside/tmp"),
    ("STACK", "heroku-20"),
    ("ERL_FLAGS", "+P 5000000"),
    ("ERL_LIBS", "/app/no-such-folder"),
    ("ELIXIR_ERL_OPTIONS", "+fnu"),
];

#[test]
fn config_vars_cannot_redirect_programs_or_writes() {
    let app = App::cold_fixture("git-dep");
    app.git_from(&format!("{}/git/", app.host.url()));
    app.write(
        "elixir_buildpack.config",
        "elixir_version=1.18.3\nerlang_version=27\n\
         hook_pre_compile='env > env.txt; cd lib; pwd > ../pwd.txt; echo \"home $HOME\"'\n",
    );
    let folder = app.sandbox.tmp().join("outside");
    for program in [
        "bash",
        "sh",
        "mix",
        "elixir",
        "erl",
        "git",
        "git-upload-pack",
        "env",
        "tar",
    ] {
        trap(&folder.join("bin").join(program));
    }
    trap(&folder.join("bin/erlexec"));
    trap(&folder.join("erlang/bin/erlexec"));
    trap(&folder.join("erlang/erts-15.2.7/bin/erlexec"));
    trap(&folder.join("startup.sh"));
    fs::create_dir_all(folder.join("lib")).unwrap();
    let outside = Outside::of(&app);
    for (name, value) in HELD_BACK.iter().chain(&SEEN) {
        app.config(name, value);
    }
    let deploy = app.deploy();
    deploy.expect_success();
    outside.assert_untouched(&app, "config vars");
    let log = deploy.log();
    assert!(log.contains("home /app\n"), "{log}");
    let warning = "MIX_HOME is /tmp/outside, which is outside of the app";
    assert!(log.contains(warning), "{log}");
    assert!(deploy.slug.join(".mix/archives").is_dir());
    let pwd = fs::read_to_string(deploy.slug.join("pwd.txt")).unwrap();
    assert!(pwd.ends_with("/lib\n") && !pwd.contains("outside"), "{pwd}");
    let env = fs::read_to_string(deploy.slug.join("env.txt")).unwrap();
    let seen = |(name, value): &&(&str, &str)| {
        let line = format!("{name}={value}");
        env.lines().any(|found| found == line)
    };
    let leaked: Vec<_> = HELD_BACK.iter().filter(seen).collect();
    assert!(leaked.is_empty(), "{leaked:?}: {env}");
    assert_eq!(SEEN.iter().filter(seen).count(), SEEN.len(), "{env}");
}

/// Each build fails during planning, within seconds, and with a readable message.
#[test]
fn hostile_version_file_gets_clear_error() {
    let app = App::cold_fixture("no-deps");
    app.write("elixir_buildpack.config", "");
    let outside = Outside::of(&app);
    let nines = "9".repeat(3_000_000);
    let many = "elixir 1.18.3\nerlang 27\n# x\n".repeat(100_000);
    for (text, expected) in [
        ("erlang ../../../outside\n", "../../../outside"),
        ("erlang ref:../../outside\n", "../../outside"),
        ("elixir ref:../../../outside/x\n", "../../../outside/x"),
        (
            "elixir https://evil.example/x.zip\n",
            "https://evil.example/x.zip",
        ),
        ("elixir 1.18.3?x=y#z/../..\nerlang 27", "1.18.3?x=y"),
        ("erlang 27%2f..%2f..\n", "27%2f..%2f.."),
        ("erlang 27\x1b]0;title\x07\x1b[2J.0\n", "27\\u{1b}"),
        ("elixir \u{202e}3.81.1\n", "\\u{202e}"),
        (
            "erlang $(touch/tmp/outside/ran)\n",
            "$(touch/tmp/outside/ran)",
        ),
        (&format!("erlang {nines}\n"), "9999"),
        (&format!("elixir {nines}.1.{nines}\n"), "9999"),
        (&many.replace("27", "27x"), "27x"),
    ] {
        app.write(".tool-versions", text);
        let deploy = app.deploy();
        let name: String = text.chars().take(40).collect();
        assert!(!deploy.succeeded, "{name:?}: {}", deploy.log());
        let log = deploy.log();
        assert!(log.contains(".tool-versions:"), "{name:?}: {log}");
        assert!(log.len() < 8000, "{name:?}: {} bytes", log.len());
        assert!(log.contains(expected), "{name:?}: {log}");
        let unprintable = |c: char| c.is_control() && !"\n\r\t\x1b".contains(c);
        let escapes = log.replace("\x1b[1;31m", "").replace("\x1b[0m", "");
        assert!(!log.contains(unprintable), "{name:?}: {log:?}");
        assert!(
            !escapes.replace("\x1b[1;33m", "").contains('\x1b'),
            "{name:?}: {log:?}"
        );
        assert!(
            deploy.took < Duration::from_secs(30),
            "{name:?}: {:?}",
            deploy.took
        );
        outside.assert_untouched(&app, &name);
    }
    // Files without an end are not read.
    for (target, words) in [
        ("/dev/zero", "not a regular file"),
        ("/dev/stdin", "not a regular file"),
        ("huge", "larger than 128 MB"),
    ] {
        let file = app.source().join(".tool-versions");
        fs::remove_file(&file).unwrap();
        let huge = fs::File::create(app.source().join("huge")).unwrap();
        huge.set_len(200 << 20).unwrap();
        symlink(target, file).unwrap();
        refused(&app, &outside, "app-file-unreadable", words);
    }
}
