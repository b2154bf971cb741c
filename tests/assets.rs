//! Assets: package managers, the app's own script, and files that remain for later deploys.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::process::Command;
use whole_builds::{App, Deploy, holds, npm_registry, said};

/// The packages of phoenix-npm, except for the one from `deps`.
const PACKAGES: &str = "\"scripts\": {\"deploy\": \"esbuild js/app.js --bundle --minify '--external:/images/*' \
    --external:phoenix --outdir=../priv/static/assets\"},\n\"devDependencies\": {\"esbuild\": \"0.25.4\"}";

/// phoenix-npm with another package manager: its `package.json` with additional `fields`, and a lockfile that the
/// package manager itself has written.
fn app_of(package: &str, command: &[&str], lockfile: &str, fields: &str) -> App {
    let app = App::deployed_fixture("phoenix-npm");
    let registry = npm_registry();
    app.config("NPM_CONFIG_REGISTRY", &registry);
    let json = format!("{{\n{fields}{PACKAGES}\n}}\n");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("package.json"), &json).unwrap();
    // yarn 2 and newer require a lockfile in the root of a project; it may be empty.
    if lockfile == "yarn.lock" {
        fs::write(folder.path().join(lockfile), "").unwrap();
    }
    let output = Command::new("npm")
        .args(["exec", "--yes", &format!("--package={package}"), "--"])
        .args(command)
        .current_dir(folder.path())
        .env("YARN_REGISTRY", &registry)
        .env("YARN_NPM_REGISTRY_SERVER", &registry)
        .env("YARN_ENABLE_TELEMETRY", "0")
        .output()
        .unwrap();
    let text = fs::read_to_string(folder.path().join(lockfile)).unwrap_or_default();
    assert!(
        text.contains("esbuild"),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    app.remove("assets/package-lock.json");
    app.write("assets/package.json", &json);
    app.write(&format!("assets/{lockfile}"), &text);
    app
}

#[test]
fn tailwind_4_does_not_scan_tools() {
    let app = App::deployed_fixture("phoenix-npm");
    let registry = npm_registry();
    app.config("NPM_CONFIG_REGISTRY", &registry);
    let json = "{\"scripts\": {\"deploy\": \"tailwindcss --cwd .. -i assets/css/app.css -o priv/static/assets/app.css\"},
        \"devDependencies\": {\"tailwindcss\": \"4.1.7\", \"@tailwindcss/cli\": \"4.1.7\"}}";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("package.json"), json).unwrap();
    let locked = Command::new("npm")
        .args(["install", "--package-lock-only", "--no-audit"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(locked.status.success(), "{locked:?}");
    let lock = fs::read_to_string(folder.path().join("package-lock.json")).unwrap();
    app.write("assets/package.json", json);
    app.write("assets/package-lock.json", &lock);
    app.write("assets/css/app.css", "@import \"tailwindcss\";\n");
    // As written by `mix phx.new`.
    app.write(".gitignore", "/_build/\n/deps/\n");
    app.write(
        "lib/phoenix_npm_web/page.html.heex",
        "<p class=\"pt-7\"></p>\n",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    let css = fs::read_to_string(deploy.slug.join("priv/static/assets/app.css")).unwrap();
    assert!(css.contains(".pt-7 {"), "{css}");
    // Call a function of Elixir and one of Node.
    assert!(!css.contains(".truncate {"), "{css}");
    assert!(!css.contains(".resize {"), "{css}");
    assert!(!deploy.slug.join(".heroku/.gitignore").exists());
    assert!(!deploy.slug.join(".platform_tools/.gitignore").exists());
}

#[track_caller]
fn expect_digested(deploy: &Deploy) {
    deploy.expect_success();
    let files = digested(&deploy.slug);
    assert!(
        files.iter().any(|name| name.starts_with("app-")),
        "{files:?}"
    );
}

/// The digested scripts of a slug.
fn digested(slug: &Path) -> Vec<String> {
    let entries = fs::read_dir(slug.join("priv/static/assets")).expect("assets");
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            name.starts_with("app-") && Path::new(name).extension().is_some_and(|e| e == "js")
        })
        .collect();
    names.sort();
    names
}

#[test]
fn yarn_1_uses_frozen_lockfile_and_ships_in_slug() {
    let install = ["yarn", "install", "--ignore-scripts", "--non-interactive"];
    let app = app_of("yarn@1.22.22", &install, "yarn.lock", "");
    app.config("NODE_ENV", "production");
    app.write(
        "phoenix_static_buildpack.config",
        "node_version=24\nyarn_version=1.22.19\nremove_node=false\n",
    );
    let deploy = app.deploy();
    expect_digested(&deploy);
    holds(&deploy, "yarn 1.22.19");
    holds(&deploy, "$ yarn install --frozen-lockfile");
    holds(&deploy, "$ yarn deploy");
    assert!(!app.sandbox.tmp().join("app/.cache").exists());
    let dyno = app.ship(deploy);
    let output = dyno.run("yarn --version");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1.22.19");

    let again = app.deploy();
    expect_digested(&again);
    let (_, of_yarn) = again.stdout.split_once("Installing yarn").unwrap();
    assert!(
        of_yarn
            .lines()
            .take(4)
            .any(|line| line.contains("restored from cache"))
    );
}

#[test]
fn yarn_4_is_installed_for_berry_lockfile() {
    let install = ["yarn", "install", "--mode=update-lockfile"];
    let app = app_of("@yarnpkg/cli-dist@4.9.1", &install, "yarn.lock", "");
    let deploy = app.deploy();
    expect_digested(&deploy);
    holds(&deploy, "$ yarn install --immutable");
    assert!(
        !deploy.slug.join("assets/.yarn/cache").exists(),
        "its cache is not in the slug"
    );
}

#[test]
fn installs_pinned_pnpm_and_verifies_hash() {
    // The registry has no sha256, so compute it from the package.
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("npm")
        .args(["pack", "--silent", "pnpm@9.1.0"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(status.status.success());
    let sum = Command::new("sha256sum")
        .arg(folder.path().join("pnpm-9.1.0.tgz"))
        .output()
        .unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    let sum = sum.split_whitespace().next().unwrap().to_owned();
    let pinned = |hash: &str| format!("\"packageManager\": \"pnpm@9.1.0+sha256.{hash}\",\n");
    let install = ["pnpm", "install", "--lockfile-only"];
    let app = app_of("pnpm@9.1.0", &install, "pnpm-lock.yaml", &pinned(&sum));
    app.config("NODE_ENV", "production");
    app.edit("assets/package.json", &sum, &"0".repeat(64));
    let refused = app.deploy();
    assert!(!refused.succeeded);
    assert!(
        refused.log().contains("package-manager-hash"),
        "{}",
        refused.log()
    );

    app.edit("assets/package.json", &"0".repeat(64), &sum);
    let deploy = app.deploy();
    expect_digested(&deploy);
    holds(&deploy, "pnpm 9.1.0");
    holds(&deploy, "sha256 of packageManager verified");
    holds(&deploy, "$ pnpm run deploy");
    let home = app.sandbox.written_outside().unwrap();
    assert!(home.is_empty(), "{home:?}");
}

#[test]
fn bun_installs_packages_and_runs_script() {
    let app = App::deployed_fixture("phoenix-npm");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.remove("assets/package-lock.json");
    let json = format!("{{\n\"packageManager\": \"bun@1.4.5\",\n{PACKAGES}\n}}\n");
    app.write("assets/package.json", &json);
    let deploy = app.deploy();
    expect_digested(&deploy);
    holds(&deploy, "$ bun install");
    holds(&deploy, "$ bun run deploy");
}

#[test]
fn compile_script_gets_variables_and_functions_of_static_buildpack() {
    let app = App::deployed_fixture("phoenix-npm");
    app.config("SECRET", "in env_dir");
    app.write(
        "phoenix_static_buildpack.config",
        "node_version=24\ncompile=bin_assets\n",
    );
    app.write(
        "bin_assets",
        "info \"in $PWD\"\n\
         head \"Custom\"\n\
         echo piped | indent\n\
         for name in build_dir cache_dir env_dir heroku_dir build_pack_dir phoenix_dir assets_dir \
         assets_path phoenix_relative_path phoenix_ex node_version compile; do\n\
         echo \"$name=<${!name}>\"; done\n\
         cat \"$env_dir/SECRET\"; echo\n\
         test -d $build_dir/.platform_tools && test -d $heroku_dir/node && test -w $cache_dir\n\
         test \"$assets_dir\" = \"$PWD\" && esbuild --version\n\
         npm run deploy\n\
         cd $phoenix_dir\n\
         mix \"${phoenix_ex}.digest\"\n",
    );
    let deploy = app.deploy();
    expect_digested(&deploy);
    for line in [
        "in /app/assets",
        "build_dir=</app>",
        "phoenix_dir=</app>",
        "assets_path=<assets>",
        "phoenix_relative_path=<.>",
        "phoenix_ex=<phx>",
        "env_dir=</tmp/env>",
        "build_pack_dir=</tmp/buildpack>",
        "compile=<bin_assets>",
        "piped",
        "in env_dir",
        "0.25.4",
    ] {
        holds(&deploy, line);
    }
    assert!(
        !deploy.stdout.contains("Digesting static files"),
        "the script has digested"
    );

    app.edit("bin_assets", "npm run deploy", "false\nnpm run deploy");
    let failed = app.deploy();
    assert!(!failed.succeeded, "the first command that fails ends it");
    assert!(
        failed.log().contains("custom-asset-script-failed"),
        "{}",
        failed.log()
    );
}

/// The only script that pages of this slug load.
fn latest(slug: &Path) -> String {
    let text = fs::read_to_string(slug.join("priv/static/cache_manifest.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let name = json["latest"]["assets/app.js"].as_str().unwrap();
    name.trim_start_matches("assets/").to_owned()
}

fn change_script(app: &App, number: u32) {
    let text = format!(
        "import {{Socket}} from \"phoenix\"\nwindow.socket = Socket\nconsole.log({number})\n"
    );
    app.write("assets/js/app.js", &text);
}

#[test]
fn digested_files_of_earlier_deploys_remain_without_piling_up() {
    let app = App::fixture("phoenix-npm");
    // The Phoenix static buildpack used to cache all of priv/static.
    let old = app.cache().join("phoenix-static");
    fs::create_dir_all(old.join("assets")).unwrap();
    let of_old = format!("app-{}.js", "0".repeat(32));
    fs::write(old.join("assets").join(&of_old), "old").unwrap();
    fs::write(old.join("robots.txt"), "not the app's").unwrap();
    let manifest = format!(
        r#"{{"version":1,"latest":{{"assets/app.js":"assets/{of_old}"}},"digests":{{"assets/{of_old}":
        {{"logical_path":"assets/app.js","mtime":63930000000,"size":3,"digest":"{}","sha512":""}}}}}}"#,
        "0".repeat(32)
    );
    fs::write(old.join("cache_manifest.json"), manifest).unwrap();
    app.sandbox.give(&old).unwrap();

    let mut names = Vec::new();
    let mut counts = Vec::new();
    for number in 0..4 {
        change_script(&app, number);
        let deploy = app.deploy();
        expect_digested(&deploy);
        let latest = latest(&deploy.slug);
        let there = digested(&deploy.slug);
        assert!(there.contains(&latest));
        if let Some(last) = names.last() {
            assert!(
                there.contains(last),
                "{last} of the last deploy is gone: {there:?}"
            );
        } else {
            holds(&deploy, "that the Phoenix static buildpack kept");
            let robots = fs::read_to_string(deploy.slug.join("priv/static/robots.txt")).unwrap();
            assert_ne!(robots, "not the app's");
        }
        names.push(latest);
        counts.push(there.len());
        fs::remove_dir_all(&deploy.slug).unwrap();
    }
    // Like `phx.digest.clean`, keep the current one and the newest two others.
    assert_eq!(counts[2..], [3, 3], "{counts:?}");
    assert!(!old.exists(), "it was of use once");
}

#[test]
fn executables_are_cached_if_hook_removes_them() {
    let app = App::fixture("phoenix-esbuild-mix");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    // The directory to which the package esbuild of hex.pm downloads its executable.
    let unpacked = app.cache().join("mixpack/scratch/xdg/phx-esbuild");
    fs::create_dir_all(&unpacked).unwrap();
    fs::write(unpacked.join("package.json"), "{}").unwrap();
    app.sandbox.give(app.cache()).unwrap();
    let first = app.deploy();
    first.expect_success();
    assert!(!unpacked.exists());
    let cached = app.cache().join("mixpack/scratch/executables");
    let packed = cached.join("esbuild-linux-x64.zst");
    assert_eq!(fs::read_dir(&cached).unwrap().count(), 1);
    let size = packed.metadata().unwrap().len();
    let build = |deploy: &Deploy| {
        let entries = fs::read_dir(deploy.slug.join("_build")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(build(&first), ["prod"]);

    app.config("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9");
    app.edit("assets/js/app.js", "import", "console.log(2)\nimport");
    let second = app.deploy();
    second.expect_success();
    assert_eq!(build(&second), ["prod"]);
    assert_eq!(packed.metadata().unwrap().len(), size);

    // Without the hook, Mixpack itself must keep it out of the slug.
    app.edit("elixir_buildpack.config", " && rm -f _build/esbuild*", "");
    let third = app.deploy();
    third.expect_success();
    assert_eq!(build(&third), ["prod"]);

    // A damaged one is fetched again.
    let mut bytes = fs::read(&packed).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&packed, bytes).unwrap();
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.edit("assets/js/app.js", "import", "console.log(3)\nimport");
    app.deploy().expect_success();
    assert_eq!(packed.metadata().unwrap().len(), size);
}

#[test]
fn uses_and_keeps_node_of_earlier_buildpack() {
    let app = App::deployed_fixture("phoenix-npm");
    // heroku/nodejs leaves its Node; here it is that of an earlier deploy.
    app.config("MIXPACK_SLIM", "none");
    let before = app.deploy();
    before.expect_success();
    app.unset("MIXPACK_SLIM");
    let build_dir = std::path::PathBuf::from("/tmp/build_given");
    let given = app.sandbox.tmp().join("build_given");
    whole_builds::copy(&before.slug, &given);
    for ours in [
        ".mixpack",
        ".platform_tools",
        "_build",
        "deps",
        "priv/static/assets",
    ] {
        fs::remove_dir_all(given.join(ours)).unwrap();
    }
    fs::write(given.join(".heroku/node/given"), "").unwrap();
    app.sandbox.give(&given).unwrap();
    let deploy = app.compile(&build_dir);
    expect_digested(&deploy);
    holds(&deploy, "Using Node.js 24");
    assert!(!deploy.stdout.contains("Installing Node.js"));
    assert!(deploy.slug.join(".heroku/node/given").exists());
}

#[test]
fn outdated_mix_lock_fails_build_unless_allowed() {
    let app = App::fixture("plain-otp");
    app.write("mix.lock", "%{\n}\n");
    let refused = app.deploy();
    assert!(!refused.succeeded);
    assert!(
        refused.log().contains("mix-lock-out-of-date"),
        "{}",
        refused.log()
    );
    assert!(refused.log().contains("mix deps.get"));
    app.config("MIXPACK_CHECK_LOCKED", "false");
    app.deploy().expect_success();
    app.unset("MIXPACK_CHECK_LOCKED");
    app.remove("mix.lock");
    app.deploy().expect_success();
}

/// phoenix-npm with its assets in the layout of Phoenix 1.3: brunch and plugins of that time, from the npm registry.
fn brunch_app() -> App {
    let app = App::deployed_fixture("phoenix-npm");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.remove("assets/package-lock.json");
    app.remove("phoenix_static_buildpack.config");
    app.write(
        "assets/package.json",
        r#"{
  "license": "MIT",
  "scripts": {"deploy": "brunch build --production"},
  "dependencies": {"phoenix": "file:../deps/phoenix"},
  "devDependencies": {
    "babel-brunch": "6.1.1",
    "brunch": "2.10.9",
    "clean-css-brunch": "2.0.0",
    "uglify-js-brunch": "2.10.0"
  }
}
"#,
    );
    app.write(
        "assets/brunch-config.js",
        "exports.config = {\n\
         files: {javascripts: {joinTo: 'js/app.js'}, stylesheets: {joinTo: 'css/app.css'}},\n\
         conventions: {assets: /^static/},\n\
         paths: {watched: ['static', 'css', 'js', 'vendor'], public: '../priv/static'},\n\
         plugins: {babel: {ignore: [/vendor/]}},\n\
         modules: {autoRequire: {'js/app.js': ['js/app']}},\n\
         npm: {enabled: true}\n\
         }\n",
    );
    app.write(
        "assets/js/app.js",
        "const greet = (name = 'brunch') => `hello ${name}`\ndocument.title = greet()\n",
    );
    app.write("assets/css/app.css", "body { color: red; }\n");
    app.write("assets/static/brunch.txt", "copied as it is\n");
    app
}

/// The content that `phx.digest` created from a file of `priv/static`.
fn digest_of(deploy: &Deploy, file: &str) -> String {
    let manifest = deploy.slug.join("priv/static/cache_manifest.json");
    let json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(manifest).unwrap()).unwrap();
    let digested = json["latest"][file].as_str().unwrap_or_else(|| {
        panic!("{file} was not digested:\n{}", deploy.log());
    });
    fs::read_to_string(deploy.slug.join("priv/static").join(digested)).unwrap()
}

#[test]
fn phoenix_1_3_app_builds_with_brunch_on_compatible_node() {
    let app = brunch_app();
    let deploy = app.deploy();
    deploy.expect_success();
    holds(&deploy, "node 22.23.3 (newest that brunch 2 runs on)");
    holds(&deploy, "$ npm run deploy");
    // Minified, and with an arrow function and a default compiled for old browsers.
    let script = digest_of(&deploy, "js/app.js");
    assert!(
        script.contains("hello ") && !script.contains("=>"),
        "{script}"
    );
    // Its minifier fails on a newer Node.
    assert_eq!(digest_of(&deploy, "css/app.css"), "body{color:red}");
    assert_eq!(digest_of(&deploy, "brunch.txt"), "copied as it is\n");
}

#[test]
fn bower_components_install_with_app_or_registry_bower() {
    let app = App::deployed_fixture("phoenix-npm");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    // bower's own registry cannot be reached here; these two endpoints need none.
    let git = format!("git+{}/git/greeter.git#main", app.host.url());
    let json = format!(
        "{{\"name\": \"shop\", \"dependencies\": {{\"dots\": \"./bower_local/dots\", \"greeter\": \"{git}\"}}}}"
    );
    app.write("assets/bower.json", &json);
    app.write(
        "assets/bower_local/dots/bower.json",
        "{\"name\": \"dots\", \"version\": \"1.2.0\"}",
    );
    app.write("assets/bower_local/dots/dots.js", "window.dots = 12\n");
    app.edit(
        "assets/js/app.js",
        "import",
        "import \"../bower_components/dots/dots.js\"\nimport",
    );
    let deploy = app.deploy();
    expect_digested(&deploy);
    holds(&deploy, "assets/bower.json is there");
    holds(&deploy, "$ bower install  (in assets)");
    assert!(digest_of(&deploy, "assets/app.js").contains("dots=12"));
    assert!(
        deploy
            .slug
            .join("assets/bower_components/greeter/mix.exs")
            .is_file()
    );
    let kept = |folder: &str| app.cache().join("mixpack/scratch").join(folder);
    assert!(kept("bower/packages").is_dir() && kept("managers/bower/bin/bower").exists());
    // None of its files are in the home directory, which would be in the slug.
    for of_home in [".config", ".local", ".cache", ".bower"] {
        assert!(!deploy.slug.join(of_home).exists(), "{of_home}");
    }

    // If the app has its own bower, that one runs.
    app.remove("assets/package-lock.json");
    app.edit(
        "assets/package.json",
        "\"esbuild\":",
        "\"bower\": \"1.8.8\", \"esbuild\":",
    );
    app.write(
        "assets/.bowerrc",
        "{\"scripts\": {\"postinstall\": \"bower --version\"}}",
    );
    app.config("MIXPACK_VERBOSE", "true");
    let own = app.deploy();
    expect_digested(&own);
    holds(&own, "1.8.8");

    app.write(
        "assets/bower.json",
        "{\"name\": \"shop\", \"dependencies\": {\"dots\": \"./nowhere\"}}",
    );
    let failed = app.deploy();
    assert!(!failed.succeeded);
    assert!(
        failed.log().contains("Error code: bower-failed"),
        "{}",
        failed.log()
    );
}

/// Runs a later buildpack's work on a slug, as a shell that has sourced our `export`.
#[track_caller]
fn then(app: &App, deploy: &Deploy, script: &str) {
    let script = format!(
        "set -e; . /tmp/buildpack/export; BUILD={}; HOST={}\n{script}",
        deploy.build_dir.display(),
        app.host.url()
    );
    let output = app
        .sandbox
        .command("bash", ["-c", &script])
        .output()
        .unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
}

/// A stand-in for the Phoenix static buildpack: does the same to the app as its `bin/compile`, without hosts that
/// can't be reached here. The real one was tested by hand.
const STATIC_BUILDPACK: &str = r#"
if [ -d $BUILD/.heroku/node ]; then echo "Please remove any prior buildpack that installs Node."; exit 1; fi
mkdir -p $BUILD/.heroku/node
curl -sf $HOST/dist/v24.21.0/node-v24.21.0-linux-x64.tar.gz | tar xz --strip 1 -C $BUILD/.heroku/node
PATH=$BUILD/.heroku/node/bin:$BUILD/.platform_tools/elixir/bin:$BUILD/.platform_tools/erlang/bin:$PATH
cd $BUILD/assets
npm install --quiet && npm run deploy
cd $BUILD
mix phx.digest
mkdir -p .profile.d
echo 'export PATH="$HOME/.heroku/node/bin:$PATH"' > .profile.d/phoenix_static_buildpack_paths.sh
"#;

#[test]
fn later_static_buildpack_finds_its_inputs_and_no_node() {
    let app = App::deployed_fixture("phoenix-npm");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.write(
        ".buildpacks",
        "https://host/owner/mixpack\nhttps://host/gjaldon/heroku-buildpack-phoenix-static\n",
    );
    let skipped = "assets: skipped, also Node and the digest";
    let deploy = app.deploy();
    deploy.expect_success();
    holds(
        &deploy,
        &format!("{skipped} (.buildpacks:2 lists heroku-buildpack-phoenix-static after this one)"),
    );
    assert!(!deploy.stdout.contains("npm ci"), "{}", deploy.log());
    assert!(!deploy.slug.join(".heroku").exists());
    assert!(!deploy.slug.join("priv/static/cache_manifest.json").exists());
    let export = fs::read_to_string(app.sandbox.tmp().join("buildpack/export")).unwrap();
    assert!(!export.contains(".heroku/node"), "{export}");
    then(&app, &deploy, STATIC_BUILDPACK);
    let script = latest(&deploy.slug);
    let dyno = app.ship(deploy);
    let server = dyno.start("mix phx.server");
    assert!(server.get("/").contains(&script));
    server.stop();
    assert!(dyno.run("node --version").status.success());

    // The same without a file that lists buildpacks, as on Heroku.
    app.remove(".buildpacks");
    app.config("MIXPACK_SKIP_ASSETS", "true");
    let deploy = app.deploy();
    deploy.expect_success();
    holds(
        &deploy,
        &format!("{skipped} (config var MIXPACK_SKIP_ASSETS)"),
    );
    then(&app, &deploy, STATIC_BUILDPACK);
}

/// A stand-in for heroku/nodejs, on an app with a `package.json` in its root: replaces the content of Node's
/// directory by its own.
const NODEJS_BUILDPACK: &str = r#"
mkdir -p $BUILD/.heroku/node
rm -rf $BUILD/.heroku/node/*
curl -sf $HOST/dist/v22.23.3/node-v22.23.3-linux-x64.tar.gz | tar xz --strip 1 -C $BUILD/.heroku/node
export PATH=$BUILD/.heroku/node/bin:$BUILD/node_modules/.bin:$PATH NODE_ENV=production
cd $BUILD
npm install --quiet
echo 'export PATH="$HOME/.heroku/node/bin:$HOME/bin:$HOME/node_modules/.bin:$PATH"' > .profile.d/nodejs.sh
"#;

#[test]
fn later_nodejs_buildpack_uses_its_node_and_keeps_cache_intact() {
    let app = App::fixture("phoenix-npm");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.write("package.json", "{\"name\": \"top\", \"private\": true}");
    app.edit(
        "phoenix_static_buildpack.config",
        "clean_cache",
        "assets_path=assets\nclean_cache",
    );
    let deploy = app.deploy();
    expect_digested(&deploy);
    then(&app, &deploy, NODEJS_BUILDPACK);
    let dyno = app.ship(deploy);
    let version = dyno.run("node --version");
    // Of two scripts in .profile.d, each puts its Node in the same folder: it is the later one's.
    assert_eq!(String::from_utf8_lossy(&version.stdout), "v22.23.3\n");
    assert!(dyno.run("mix run --no-start -e ':ok'").status.success());

    let again = app.deploy();
    expect_digested(&again);
    let (_, of_node) = again
        .stdout
        .split_once("Installing Node.js 24.21.0")
        .unwrap();
    assert!(
        of_node.trim_start().starts_with("restored from cache"),
        "{of_node}"
    );
    assert!(
        !again.log().contains("could not be used"),
        "{}",
        again.log()
    );
}

#[test]
fn removes_old_buildpacks_caches_once_and_no_others() {
    let app = App::fixture("phoenix-npm");
    let keep = |name: &str| {
        let path = app.cache().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "v24.21.0\n").unwrap();
    };
    let of_elixir = "heroku-buildpack-elixir/stack-cache/erlang/OTP-27.0.tar.gz";
    let of_static = [
        "phoenix-static/robots.txt",
        "node_modules/left/index.js",
        "yarn-cache/a",
        "node-version",
        "npm-version",
        "node-v24.21.0-linux-x64.tar.gz",
    ];
    let of_others = ["stack", "node/signature", "python/cache", "node-gyp.tar.gz"];
    let there = |names: &[&str]| {
        let there = |name: &&&str| app.cache().join(name).exists();
        names.iter().filter(there).count()
    };
    for name in of_static.iter().chain(&of_others).chain([&of_elixir]) {
        keep(name);
    }
    let hand_over = || app.sandbox.give(app.cache()).unwrap();
    hand_over();
    let header = "Removing the cache of the old buildpacks";

    // A failing build removes nothing.
    app.edit("assets/js/app.js", "import", "import \"./nowhere\"\nimport");
    assert!(!app.deploy().succeeded);
    assert_eq!(there(&of_static) + there(&[of_elixir]), 7);

    // The static buildpack still runs after this one, so its cache stays.
    app.edit("assets/js/app.js", "import \"./nowhere\"\n", "");
    app.config("MIXPACK_SKIP_ASSETS", "true");
    let skipped = app.deploy();
    skipped.expect_success();
    holds(&skipped, "heroku-buildpack-elixir: 0.0 MB");
    assert_eq!((there(&of_static), there(&[of_elixir])), (6, 0));

    app.unset("MIXPACK_SKIP_ASSETS");
    let deploy = app.deploy();
    expect_digested(&deploy);
    holds(&deploy, header);
    holds(&deploy, "0.0 MB in 6 files; this is done once");
    assert_eq!(there(&of_static), 0);
    assert_eq!(there(&of_others), 4);

    // From now on, a buildpack that still runs keeps its cache.
    keep(of_static[0]);
    keep(of_elixir);
    hand_over();
    let again = app.deploy();
    expect_digested(&again);
    assert!(!again.stdout.contains(header), "{}", again.log());
    assert_eq!(there(&[of_static[0], of_elixir]), 2);
    assert_eq!(there(&of_others), 4);
}

#[test]
fn static_config_keys_take_effect() {
    let app = App::deployed_fixture("phoenix-npm");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.remove("assets/package-lock.json");
    app.remove("assets/package.json");
    app.write(
        "ui/package.json",
        "{\"scripts\": {\"deploy\": \"npm --version && esbuild js/app.js --bundle --minify \
         --outdir=../priv/static/assets\"}, \"dependencies\": {\"phoenix\": \"file:../deps/phoenix\"}, \
         \"devDependencies\": {\"esbuild\": \"0.25.4\"}}",
    );
    app.write(
        "ui/js/app.js",
        "import \"phoenix\"\nconsole.log(\"from ui\")\n",
    );
    app.write(
        "phoenix_static_buildpack.config",
        "node_version=24\nnpm_version=10.9.0\nassets_path=ui\nphoenix_ex=phoenix\nremove_node=true\n",
    );
    let deploy = app.deploy();
    expect_digested(&deploy);
    holds(&deploy, "npm 10.9.0");
    holds(&deploy, "\n       10.9.0\n");
    holds(&deploy, "(in ui)");
    holds(
        &deploy,
        "ignoring phoenix_ex=phoenix, because mix.lock has Phoenix 1.8.1",
    );
    assert!(digest_of(&deploy, "assets/app.js").contains("from ui"));
    let gone = [
        ".heroku/node",
        "ui/node_modules",
        ".profile.d/phoenix_static_buildpack_paths.sh",
    ];
    for path in gone {
        assert!(!deploy.slug.join(path).exists(), "{path}");
    }
    let web = app.web(&deploy);
    assert_eq!(web, "mix phx.server");
    let script = latest(&deploy.slug);
    let dyno = app.ship(deploy);
    let server = dyno.start(&web);
    assert!(server.get("/").contains(&script));
    server.stop();
    assert!(!dyno.run("node --version").status.success());

    app.write(
        "phoenix_static_buildpack.config",
        "clean_cache=true\nassets_path=ui\nnode_version=24\n",
    );
    app.config("MIXPACK_SLIM", "none");
    let clean = app.deploy();
    expect_digested(&clean);
    holds(&clean, "requested by clean_cache=true");
    holds(&clean, "$ mix do phx.digest, phx.digest.clean");
    assert!(!clean.stdout.contains("restored from cache"));
    assert!(clean.slug.join("ui/node_modules").exists());
}
