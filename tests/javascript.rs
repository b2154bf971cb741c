//! Where JavaScript packages are installed: beside `mix.exs`, from the root of a workspace, and with
//! package managers of every age.

#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::fs;
use std::path::Path;
use std::process::Command;
use whole_builds::{App, Deploy, holds, lacks, npm_registry};

/// Has a package manager of the npm registry write its lockfile in a folder.
fn lock(folder: &Path, package: &str, command: &[&str], lockfile: &str) {
    let registry = npm_registry();
    // What yarn 2 and newer take for the mark of a project; an empty one means nothing yet.
    if lockfile == "yarn.lock" && !folder.join(lockfile).exists() {
        fs::write(folder.join(lockfile), "").unwrap();
    }
    let output = Command::new("npm")
        .args(["exec", "--yes", &format!("--package={package}"), "--"])
        .args(command)
        .current_dir(folder)
        .env("YARN_REGISTRY", &registry)
        .env("YARN_NPM_REGISTRY_SERVER", &registry)
        .env("YARN_ENABLE_TELEMETRY", "0")
        .env("YARN_ENABLE_IMMUTABLE_INSTALLS", "false")
        .output()
        .unwrap();
    let text = fs::read_to_string(folder.join(lockfile)).unwrap_or_default();
    assert!(
        text.contains("esbuild") || text.contains("uglify"),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The files of an app that decide what is installed, and the lockfile that follows from them.
fn write_locked(app: &App, files: &[(&str, &str)], manager: &Manager) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let place = folder.path().join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
        app.write(path, text);
    }
    lock(
        folder.path(),
        manager.package,
        manager.lock,
        manager.lockfile,
    );
    let text = fs::read_to_string(folder.path().join(manager.lockfile)).unwrap();
    app.write(manager.lockfile, &text);
}

struct Manager {
    package: &'static str,
    /// The command that writes the lockfile.
    lock: &'static [&'static str],
    lockfile: &'static str,
    /// The command of the build.
    installs: &'static str,
    /// How a member of a workspace asks for another one.
    member: &'static str,
}

const NPM: Manager = Manager {
    package: "npm@11",
    lock: &["npm", "install", "--package-lock-only", "--ignore-scripts"],
    lockfile: "package-lock.json",
    installs: "$ npm ci --include=dev",
    member: "*",
};
const YARN_1: Manager = Manager {
    package: "yarn@1.22.22",
    lock: &["yarn", "install", "--ignore-scripts", "--non-interactive"],
    lockfile: "yarn.lock",
    installs: "$ yarn install --frozen-lockfile",
    member: "1.0.0",
};
const YARN_4: Manager = Manager {
    package: "@yarnpkg/cli-dist@4.9.1",
    lock: &["yarn", "install", "--mode=update-lockfile"],
    lockfile: "yarn.lock",
    installs: "$ yarn install --immutable",
    member: "workspace:*",
};
const PNPM: Manager = Manager {
    package: "pnpm@10.12.1",
    lock: &["pnpm", "install", "--lockfile-only"],
    lockfile: "pnpm-lock.yaml",
    installs: "$ pnpm install --frozen-lockfile",
    member: "workspace:*",
};
const BUN: Manager = Manager {
    package: "bun@1.2.20",
    lock: &["bun", "install", "--lockfile-only"],
    lockfile: "bun.lock",
    installs: "$ bun install --frozen-lockfile",
    member: "workspace:*",
};

/// The script that pages of this slug load.
fn script(deploy: &Deploy, phoenix: &str) -> String {
    deploy.expect_success();
    let statics = deploy.slug.join(phoenix).join("priv/static");
    let manifest = fs::read_to_string(statics.join("cache_manifest.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let name = json["latest"]["assets/app.js"].as_str().unwrap();
    fs::read_to_string(statics.join(name)).unwrap()
}

fn modules(deploy: &Deploy) -> Vec<String> {
    let walk = walkdir::WalkDir::new(&deploy.slug).into_iter();
    let found = walk.filter_map(Result::ok).filter(|entry| {
        let path = entry.path().strip_prefix(&deploy.slug).unwrap();
        entry.file_name() == "node_modules" && !path.starts_with(".heroku")
    });
    found
        .map(|entry| {
            entry
                .path()
                .strip_prefix(&deploy.slug)
                .unwrap()
                .display()
                .to_string()
        })
        .collect()
}

/// An app whose only `package.json` is beside `mix.exs`, in this folder of the fixture.
fn beside_mix_exs(fixture: &str, folder: &str) -> App {
    let app = App::fixture(fixture);
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    for name in ["package.json", "package-lock.json"] {
        let old = format!("{folder}assets/{name}");
        let text = fs::read_to_string(app.source().join(&old)).unwrap();
        let text = text
            .replace("../deps/phoenix", "deps/phoenix")
            .replace("js/app.js", "assets/js/app.js")
            .replace("../priv/static", "priv/static");
        app.remove(&old);
        app.write(&format!("{folder}{name}"), &text);
    }
    app
}

/// Deploys cold, with another script, and once more without a change.
fn deploy_three_times(app: &App, folder: &str) {
    let cold = app.deploy();
    assert!(!script(&cold, folder).contains("second"));
    holds(&cold, "$ npm ci --include=dev");
    assert_eq!(modules(&cold), Vec::<String>::new());
    assert!(cold.left_in_app.is_empty(), "{:?}", cold.left_in_app);

    let source = format!("{folder}assets/js/app.js");
    app.edit(&source, "import", "console.log(\"second\")\nimport");
    let second = app.deploy();
    assert!(script(&second, folder).contains("second"));
    lacks(&second, "$ npm ci");
    holds(&second, "kept from the last build");
    assert_eq!(modules(&second), Vec::<String>::new());

    let third = app.deploy();
    assert!(script(&third, folder).contains("second"));
    holds(&third, "had the same sources, packages and environment");
}

#[test]
fn a_package_json_beside_mix_exs_finds_its_own_executables() {
    deploy_three_times(&beside_mix_exs("phoenix-npm", ""), "");
}

#[test]
fn a_package_json_beside_the_mix_exs_of_an_umbrella_child_finds_its_own_executables() {
    deploy_three_times(&beside_mix_exs("umbrella", "apps/web/"), "apps/web/");
}

#[test]
fn every_package_manager_installs_beside_mix_exs() {
    for manager in [YARN_1, YARN_4, PNPM, BUN] {
        let app = App::fixture("phoenix-npm");
        app.config("NPM_CONFIG_REGISTRY", &npm_registry());
        app.remove("assets/package.json");
        app.remove("assets/package-lock.json");
        let package = "{\"name\": \"top\", \"private\": true,\n\
             \"scripts\": {\"deploy\": \"esbuild assets/js/app.js --bundle --external:phoenix --outdir=priv/static/assets\"},\n\
             \"devDependencies\": {\"esbuild\": \"0.25.4\"}}";
        write_locked(&app, &[("package.json", package)], &manager);
        let deploy = app.deploy();
        holds(&deploy, manager.installs);
        assert!(
            script(&deploy, "").contains("socket"),
            "{}",
            manager.package
        );
        assert_eq!(modules(&deploy), Vec::<String>::new());
    }
}

/// phoenix-npm with its assets as a member of a workspace, beside another that they load. The two
/// need another version each of one package, so that one of them gets a `node_modules` of its own.
fn workspace(manager: &Manager) -> App {
    let app = App::fixture("phoenix-npm");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.config("NODE_ENV", "production");
    app.remove("assets/package-lock.json");
    app.remove("phoenix_static_buildpack.config");
    app.edit(
        "assets/js/app.js",
        "import",
        "import greet from \"greet\"\nimport ms from \"ms\"\nconsole.log(greet, ms(1))\nimport",
    );
    app.write(
        "packages/greet/index.js",
        "import ms from \"ms\"\nexport default \"hello from a member\" + ms(2)\n",
    );
    lock_workspace(&app, manager, "2.0.0");
    app
}

fn lock_workspace(app: &App, manager: &Manager, ms: &str) {
    let assets = format!(
        "{{\"name\": \"assets\", \"private\": true,\n\
         \"scripts\": {{\"deploy\": \"esbuild js/app.js --bundle --external:phoenix --external:/images/* --outdir=../priv/static/assets\"}},\n\
         \"dependencies\": {{\"greet\": \"{}\", \"ms\": \"2.1.3\"}},\n\
         \"devDependencies\": {{\"esbuild\": \"0.25.4\"}}}}",
        manager.member
    );
    let greet = format!(
        "{{\"name\": \"greet\", \"version\": \"1.0.0\", \"main\": \"index.js\", \"dependencies\": {{\"ms\": \"{ms}\"}}}}"
    );
    let (root, pnpm) = if manager.package == PNPM.package {
        (
            "{\"private\": true, \"packageManager\": \"pnpm@10.12.1\"}",
            (
                "pnpm-workspace.yaml",
                "packages:\n  - assets\n  - 'packages/*'\n",
            ),
        )
    } else {
        (
            "{\"name\": \"top\", \"private\": true, \"workspaces\": [\"assets\", \"packages/*\"]}",
            ("packages/README", ""),
        )
    };
    let files = [
        ("package.json", root),
        ("assets/package.json", &assets),
        ("packages/greet/package.json", &greet),
        pnpm,
    ];
    write_locked(app, &files, manager);
}

/// Where a lockfile has an older `ms`, the script holds the message that it throws.
fn has_old_ms(script: &str) -> bool {
    // ms 2.1 and newer quote nothing; 2.0 has no weeks.
    script.matches("case \"weeks\"").count() < 2
}

fn expect_workspace(manager: &Manager) {
    let app = workspace(manager);
    let cold = app.deploy();
    let built = script(&cold, "");
    assert!(built.contains("hello from a member"));
    assert!(has_old_ms(&built), "{}", manager.package);
    holds(&cold, manager.installs);
    holds(&cold, "(in .)");
    holds(&cold, "declares a workspace");
    assert_eq!(modules(&cold), Vec::<String>::new(), "{}", manager.package);
    fs::remove_dir_all(&cold.slug).unwrap();

    // Of the packages nothing has changed: they are those of the last build, all of them.
    app.edit(
        "assets/js/app.js",
        "import greet",
        "console.log(\"second\")\nimport greet",
    );
    let second = app.deploy();
    let built = script(&second, "");
    assert!(built.contains("second") && has_old_ms(&built));
    lacks(&second, manager.installs);
    holds(&second, "kept from the last build");
    fs::remove_dir_all(&second.slug).unwrap();

    // The manifest of the other member, and the lockfile: as in a build without a cache.
    lock_workspace(&app, manager, "2.1.3");
    let third = app.deploy();
    let built = script(&third, "");
    holds(&third, manager.installs);
    holds(&third, &format!("{} changed", manager.lockfile));
    holds(&third, "packages/greet/package.json changed");
    assert!(!has_old_ms(&built), "{}", manager.package);
    app.config("MIXPACK_CLEAN_BUILD", "1");
    assert_eq!(script(&app.deploy(), ""), built);
}

#[test]
fn npm_installs_a_workspace_from_its_root() {
    expect_workspace(&NPM);
}

#[test]
fn yarn_1_installs_a_workspace_from_its_root() {
    expect_workspace(&YARN_1);
}

#[test]
fn yarn_4_installs_a_workspace_from_its_root() {
    expect_workspace(&YARN_4);
}

#[test]
fn pnpm_installs_a_workspace_from_its_root() {
    expect_workspace(&PNPM);
}

#[test]
fn bun_installs_a_workspace_from_its_root() {
    expect_workspace(&BUN);
}

#[test]
fn a_member_that_the_lockfile_of_its_workspace_does_not_know_is_refused() {
    for manager in [NPM, PNPM] {
        let app = workspace(&manager);
        app.edit("packages/greet/package.json", "\"2.0.0\"", "\"2.1.3\"");
        let refused = app.deploy();
        assert!(!refused.succeeded, "{}", refused.log());
        assert!(
            refused.log().contains("lockfile-out-of-date"),
            "{}",
            refused.log()
        );
    }
}
