//! The directory of assets, the command that builds them, and its requirements.

use super::{Case, ELIXIR_CONFIG, PACKAGE, PHOENIX, SCRIPTS, STATIC_CONFIG, case, umbrella};
use app::plan::{self, AssetBuild, Assets, PlanError, StepName};
use app::{Origin, Setting};
use versions::node::NodeIndex;

#[track_caller]
fn asset_build(files: &[(&str, &str)]) -> AssetBuild {
    let plan = case(files).planned();
    assert_eq!(plan.assets.len(), 1);
    plan.assets[0].build.clone()
}

#[test]
fn asset_build_prefers_custom_script_then_deploy_then_alias_then_build() {
    let script = |name: &str| AssetBuild::Script {
        name: name.to_owned(),
    };
    let custom = AssetBuild::CustomScript {
        path: "compile".to_owned(),
    };
    let both = ("assets/package.json", SCRIPTS);
    let build = ("assets/package.json", r#"{"scripts": {"build": "b"}}"#);
    assert_eq!(asset_build(&[PHOENIX, both, ("compile", "")]), custom);
    assert_eq!(asset_build(&[PHOENIX, both]), script("deploy"));
    assert_eq!(asset_build(&[PHOENIX, build]), AssetBuild::MixAlias);
    assert_eq!(asset_build(&[PHOENIX]), AssetBuild::MixAlias);
    assert_eq!(asset_build(&[build]), script("build"));
    assert_eq!(asset_build(&[]), AssetBuild::Nothing);
}

#[test]
fn static_config_names_asset_script() {
    let config = (STATIC_CONFIG, "compile=build_assets\n");
    let plan = case(&[PHOENIX, config, ("build_assets", ""), ("compile", "")]).planned();
    let path = "build_assets".to_owned();
    assert_eq!(plan.assets[0].build, AssetBuild::CustomScript { path });
    // The file name alone doesn't make it a script.
    let plan = case(&[PHOENIX, config, ("compile", "")]).planned();
    assert_eq!(plan.assets[0].build, AssetBuild::MixAlias);
}

#[test]
fn asset_script_may_be_anywhere_in_app() {
    for value in [
        "script/build",
        "./script/build",
        "/script/build",
        "script/../script/build",
    ] {
        let config = (STATIC_CONFIG, &*format!("compile={value}\n"));
        let build = asset_build(&[PHOENIX, config, ("script/build", "")]);
        let path = "script/build".to_owned();
        assert_eq!(build, AssetBuild::CustomScript { path }, "{value}");
    }
    let config = (STATIC_CONFIG, "compile=./compile\n");
    let path = "compile".to_owned();
    let build = asset_build(&[PHOENIX, config, ("compile", "")]);
    assert_eq!(build, AssetBuild::CustomScript { path });
    // Neither a directory nor a file outside the app.
    let folder = (STATIC_CONFIG, "compile=script\n");
    let build = asset_build(&[PHOENIX, folder, ("script/build", "")]);
    assert_eq!(build, AssetBuild::MixAlias);
    let outside = (STATIC_CONFIG, "compile=../../etc/hostname\n");
    assert_eq!(asset_build(&[PHOENIX, outside]), AssetBuild::MixAlias);
}

#[test]
fn assets_directory_is_found_as_in_static_buildpack() {
    let dir = |files: &[(&str, &str)]| case(files).planned().assets[0].assets_dir.clone();
    let (root, assets) = (("package.json", "{}"), PACKAGE);
    let config = |text| (STATIC_CONFIG, text);
    // Without its config file, `assets` goes first: a root package.json is often the linter's.
    assert_eq!(dir(&[root, assets]), "assets");
    assert_eq!(dir(&[assets]), "assets");
    assert_eq!(dir(&[root]), ".");
    assert_eq!(dir(&[]), "assets");
    // With it, its own rule: assets_path, by default `.`; else a package.json beside mix.exs.
    assert_eq!(dir(&[root, assets, config("node_version=22\n")]), ".");
    assert_eq!(dir(&[assets, config("node_version=22\n")]), "assets");
    assert_eq!(
        dir(&[root, assets, config("assets_path=assets\n")]),
        "assets"
    );
    assert_eq!(
        dir(&[root, assets, config("assets_path=./assets/\n")]),
        "assets"
    );
    let frontend = ("frontend/package.json", "{}");
    for value in ["/frontend", "frontend/", "./frontend", "x/../frontend"] {
        let config = config(&*format!("assets_path={value}\n").leak());
        assert_eq!(dir(&[root, frontend, config]), "frontend", "{value}");
    }
    // A folder without package.json is detected over.
    assert_eq!(dir(&[root, config("assets_path=frontend\n")]), ".");
}

#[test]
fn package_json_without_build_script_does_not_hide_assets() {
    let dir = |files: &[(&str, &str)]| case(files).planned().assets[0].assets_dir.clone();
    let root = ("package.json", r#"{"dependencies": {"prettier": "3"}}"#);
    let built = ("assets/package.json", SCRIPTS);
    for text in ["node_version=22\n", "assets_path=.\n"] {
        let config = (STATIC_CONFIG, text);
        assert_eq!(dir(&[root, built, config]), "assets", "{text}");
        // Nothing to gain in `assets`.
        assert_eq!(dir(&[root, PACKAGE, config]), ".", "{text}");
        // The assets' build may need the packages of the root.
        let scripts = ("package.json", SCRIPTS);
        assert_eq!(dir(&[scripts, built, config]), ".", "{text}");
        assert_eq!(dir(&[PHOENIX, root, built, config]), ".", "{text}");
        assert_eq!(dir(&[root, built, config, ("compile", "")]), ".", "{text}");
    }
}

#[test]
fn assets_path_may_be_anywhere_in_app() {
    let case = case(&[
        (STATIC_CONFIG, "assets_path=frontend/web\n"),
        ("frontend/web/package.json", SCRIPTS),
        ("frontend/web/package-lock.json", "{}"),
    ]);
    let assets = &case.planned().assets[0];
    assert_eq!(assets.assets_dir, "frontend/web");
    assert_eq!(
        assets.install.as_ref().unwrap().command,
        ["npm", "ci", "--include=dev"]
    );
    assert_eq!(
        assets.build,
        AssetBuild::Script {
            name: "deploy".into()
        }
    );
}

#[test]
fn every_phoenix_app_of_umbrella_gets_assets() {
    let plan = umbrella(&[]).planned();
    let dirs: Vec<_> = plan
        .assets
        .iter()
        .map(|assets| {
            (
                assets.phoenix_dir.as_str(),
                assets.assets_dir.as_str(),
                assets.install.is_some(),
            )
        })
        .collect();
    assert_eq!(
        dirs,
        [
            ("apps/admin_web", "apps/admin_web/assets", true),
            ("apps/shop_web", "apps/shop_web/assets", false),
        ]
    );
    assert!(plan.umbrella && plan.phoenix);
    assert_eq!(
        plan.projects,
        [".", "apps/admin_web", "apps/core", "apps/shop_web"]
    );
    assert!(plan.node.is_some());
}

#[test]
fn phoenix_relative_path_selects_phoenix_app() {
    for value in ["./apps/shop_web/", "/apps/shop_web/", "apps//shop_web"] {
        let config = (STATIC_CONFIG, &*format!("phoenix_relative_path={value}\n"));
        let plan = umbrella(&[config]).planned();
        assert_eq!(plan.assets.len(), 1);
        assert_eq!(plan.assets[0].phoenix_dir, "apps/shop_web");
        assert!(plan.node.is_none());
    }

    let wrong = umbrella(&[(STATIC_CONFIG, "\nphoenix_relative_path=apps/shop\n")]);
    assert_eq!(
        wrong.plan().unwrap_err(),
        PlanError::NoSuchFolder {
            key: "phoenix_relative_path",
            requested: Setting::new("apps/shop".into(), Origin::file(STATIC_CONFIG, 2)),
            missing: "mix.exs",
        }
    );
}

#[test]
fn detects_commands_that_remove_executables() {
    let removes = |files: &[(&str, &str)]| case(files).planned().removes_executables;
    let hook = "hook_post_compile=\"eval mix assets.deploy && rm -f _build/esbuild*\"\n";
    assert!(removes(&[(ELIXIR_CONFIG, hook)]));
    assert!(!removes(&[(
        ELIXIR_CONFIG,
        "hook_post_compile=\"mix assets.deploy\"\n"
    )]));
    let script =
        r#"{"scripts": {"deploy": "cd .. && mix assets.deploy && rm -f _build/esbuild*"}}"#;
    assert!(removes(&[("assets/package.json", script)]));
}

#[test]
fn warns_about_missing_asset_script() {
    let config = (STATIC_CONFIG, "compile=bin_assets\n");
    let warnings = case(&[config]).planned().warnings;
    assert!(warnings[0].contains("compile=bin_assets"), "{warnings:?}");
    let with = case(&[config, ("bin_assets", "true")]).planned();
    assert!(with.warnings.is_empty());
    assert_eq!(
        with.assets[0].build,
        AssetBuild::CustomScript {
            path: "bin_assets".into()
        }
    );
}

#[test]
fn warns_about_assets_path_without_package_json() {
    let warnings = |config| case(&[PACKAGE, (STATIC_CONFIG, config)]).planned().warnings;
    let warned = warnings("assets_path=/frontend\n");
    assert_eq!(
        warned,
        [
            "assets_path=/frontend (phoenix_static_buildpack.config:1): frontend has no package.json, \
          so assets are built in assets"
        ]
    );
    for fine in ["assets_path=assets\n", "assets_path=.\n", "assets_path=\n"] {
        assert_eq!(warnings(fine), [""; 0], "{fine}");
    }
}

#[test]
fn assets_path_of_umbrella_may_start_at_its_root() {
    let child = ("apps/shop_web/frontend/package.json", SCRIPTS);
    let config = (STATIC_CONFIG, "assets_path=./apps/shop_web/frontend\n");
    let plan = umbrella(&[config, child]).planned();
    let dirs = |plan: &plan::Plan| {
        let assets = plan.assets.iter();
        let dirs = assets.map(|a| (a.phoenix_dir.clone(), a.assets_dir.clone()));
        dirs.collect::<Vec<_>>()
    };
    let of_web = (
        "apps/shop_web".to_owned(),
        "apps/shop_web/frontend".to_owned(),
    );
    assert!(dirs(&plan).contains(&of_web), "{:?}", dirs(&plan));
    assert_eq!(plan.warnings, [""; 0]);
    // As in the static buildpack, it is relative to the Phoenix app if that is set.
    let text = "phoenix_relative_path=apps/shop_web\nassets_path=apps/shop_web/frontend\n";
    let plan = umbrella(&[(STATIC_CONFIG, text), child]).planned();
    assert!(!dirs(&plan).contains(&of_web), "{:?}", dirs(&plan));
    assert!(plan.warnings[0].contains("has no package.json"));
}

#[test]
fn warns_if_nothing_runs_builder_of_assets() {
    let brunch = "\"dependencies\": {\"brunch\": \"^1.8.5\"}";
    let warnings = |package: &str, files: &[(&str, &str)]| {
        let case = case(&[("package.json", package)]).files(files);
        case.planned().warnings
    };
    let without_script = format!("{{{brunch}}}");
    let mix_exs =
        "[app: :shop, compilers: [:phoenix] ++ Mix.compilers,\n  deps: [{:phoenix, \"~> 1.0\"}]]";
    assert_eq!(warnings(&without_script, &[("mix.exs", mix_exs)]).len(), 1);
    assert_eq!(
        warnings(&without_script, &[]),
        [
            "package.json requires brunch, but has no script `deploy` or `build`, so nothing builds the assets; add a script `deploy`"
        ]
    );
    let with_script = format!("{{{brunch}, \"scripts\": {{\"deploy\": \"brunch build\"}}}}");
    assert_eq!(warnings(&with_script, &[]), [""; 0]);
    let hook = (ELIXIR_CONFIG, "hook_post_compile=./build\n");
    let script = ("compile", "brunch build --production\n");
    for built in [hook, script, PHOENIX] {
        assert_eq!(warnings(&without_script, &[built]), [""; 0], "{built:?}");
    }
    let linter = "{\"devDependencies\": {\"eslint\": \"9\"}}";
    assert_eq!(warnings(linter, &[]), [""; 0]);
}

#[test]
fn old_brunch_gets_newest_compatible_node() {
    let package =
        |requested: &str| format!("{{\"devDependencies\":{{\"brunch\":\"{requested}\"}}}}");
    let with = |requested: &str| case(&[("assets/package.json", &package(requested))]);
    let of_brunch_2 = "22.17.0 (default: newest that brunch 2 runs on)";
    for requested in ["2.10.9", "^2.10", "~2.1.3"] {
        assert_eq!(with(requested).tools()[2], of_brunch_2, "{requested}");
    }
    let of_phoenix_1_0 = "{\"dependencies\":{\"brunch\":\">= 1.8 < 1.9\"}}";
    assert_eq!(
        case(&[("package.json", of_phoenix_1_0)]).tools()[2],
        "22.17.0 (default: newest that brunch 1 runs on)"
    );
    // The previous build's version is used if brunch runs on it, and a requested one always.
    let last = |node| with("^2.10").last("27.3.4", "1.18.3", Some(node));
    assert_eq!(last("24.4.0").tools()[2], of_brunch_2);
    assert_eq!(last("22.16.0").tools()[2], "22.16.0 (the last build)");
    assert_eq!(
        with("^2.10").var("node_version", "24").tools()[2],
        "24.4.0 (config var node_version)"
    );
    let newest = "24.4.0 (default: newest LTS)";
    assert_eq!(with("^4").tools()[2], newest);
    // An open range excludes versions, but doesn't request one.
    let range = |node: &str| {
        let json = format!(
            "{{\"engines\":{{\"node\":\"{node}\"}},\"devDependencies\":{{\"brunch\":\"^2\"}}}}"
        );
        case(&[("assets/package.json", &json)]).tools()[2].clone()
    };
    assert_eq!(range(">=18"), of_brunch_2);
    assert!(range(">=24").starts_with("24.4.0 "), "{}", range(">=24"));
}

#[test]
fn old_webpack_gets_newest_node_with_md4() {
    const NODE: &str = r#"[
      {"version": "v24.4.0", "lts": "Krypton", "files": ["linux-x64"]},
      {"version": "v18.20.8", "lts": "Hydrogen", "files": ["linux-x64"]},
      {"version": "v17.9.1", "lts": false, "files": ["linux-x64"]},
      {"version": "v16.20.2", "lts": "Gallium", "files": ["linux-x64"]}
    ]"#;
    let with = |package: &str, lock: &str| {
        let mut case = case(&[("assets/package.json", package), ("assets/yarn.lock", lock)]);
        case.lists.node = Some(NodeIndex::parse(NODE).expect("an index"));
        case
    };
    let old = "{\"devDependencies\":{\"webpack\":\"^4.41.5\"}}";
    let locked = |version: &str| format!("webpack@^4.41.5:\n  version \"{version}\"\n");
    let for_webpack = "16.20.2 (default: newest that webpack 4.46.0 runs on)";
    let newest = "24.4.0 (default: newest LTS)";
    let old_one = || with(old, &locked("4.46.0"));
    assert_eq!(old_one().tools()[2], for_webpack);
    assert_eq!(with(old, &locked("4.47.0")).tools()[2], newest);
    // If a newer version was used before or is requested, it is used.
    let last = old_one().last("27.3.4", "1.18.3", Some("24.4.0"));
    assert_eq!(last.tools()[2], "24.4.0 (the last build)");
    let requested = old_one().var("node_version", "24");
    assert_eq!(requested.tools()[2], "24.4.0 (config var node_version)");
    let legacy = old_one().var(
        "NODE_OPTIONS",
        "--max-old-space-size=2048 --openssl-legacy-provider",
    );
    assert_eq!(legacy.tools()[2], newest);
    let range = "{\"engines\":{\"node\":\">=18\"},\"devDependencies\":{\"webpack\":\"^4.41.5\"}}";
    let range = with(range, &locked("4.46.0")).tools()[2].clone();
    assert!(range.starts_with("24.4.0 "), "{range}");
}

#[test]
fn node_sass_gets_newest_node_with_its_executables() {
    const NODE: &str = r#"[
      {"version": "v24.4.0", "lts": "Krypton", "files": ["linux-x64"]},
      {"version": "v16.20.2", "lts": "Gallium", "files": ["linux-x64"]},
      {"version": "v14.21.3", "lts": "Fermium", "files": ["linux-x64"]},
      {"version": "v13.14.0", "lts": false, "files": ["linux-x64"]},
      {"version": "v12.22.12", "lts": "Erbium", "files": ["linux-x64"]}
    ]"#;
    let node = |package: &str, lock: &str, requested: &str| {
        let package = ("assets/package.json", package);
        let mut case = case(&[package, ("assets/package-lock.json", lock)]);
        case.lists.node = Some(NodeIndex::parse(NODE).expect("an index"));
        case.var("node_version", requested).tools()[2].clone()
    };
    let lock = |version: &str| {
        format!("{{\"dependencies\": {{\n\"node-sass\": {{\n\"version\": \"{version}\"\n}}}}}}")
    };
    // The templates of Phoenix 1.5: without node-sass, Node 16 would run their webpack.
    let stock = r#"{"devDependencies": {"node-sass": "^4.13.1", "webpack": "4.46.0"}}"#;
    let of_4_14 = "14.21.3 (default: newest that node-sass 4.14.1 runs on)";
    assert_eq!(node(stock, &lock("4.14.1"), ""), of_4_14);
    let of_4_13 = "12.22.12 (default: newest that node-sass 4.13.1 runs on)";
    assert_eq!(node(stock, &lock("4.13.1"), ""), of_4_13);
    let of_webpack = "16.20.2 (default: newest that webpack 4.46.0 runs on)";
    assert_eq!(node(stock, &lock("9.0.0"), ""), of_webpack);
    // Of sass-brunch, which needs an older Node than brunch.
    let brunch = r#"{"devDependencies": {"brunch": "^2.10", "sass-brunch": "^2.10"}}"#;
    assert_eq!(node(brunch, &lock("4.14.1"), ""), of_4_14);
    let requested = "24.4.0 (config var node_version)";
    assert_eq!(node(stock, &lock("4.14.1"), "24"), requested);
}

#[test]
fn bower_components_need_node() {
    let alone = case(&[("assets/bower.json", "{}")]);
    let (facts, settings) = alone.read();
    assert!(plan::needs_node(&facts, &settings));
    let plan = alone.planned();
    assert!(plan.assets[0].bower && plan.assets[0].install.is_none());
    assert!(plan.node.is_some() && plan.has(StepName::Javascript));
    let elsewhere = case(&[("bower.json", "{}"), PACKAGE]).planned();
    assert!(!elsewhere.assets[0].bower);
    let configured = case(&[
        ("ui/bower.json", "{}"),
        ("ui/package.json", "{}"),
        (STATIC_CONFIG, "assets_path=ui\n"),
    ]);
    assert!(configured.planned().assets[0].bower);
}

#[test]
fn skip_assets_skips_node_and_digest() {
    let phoenix = ("mix.exs", "[app: :shop, deps: [{:phoenix, \"~> 1.8\"}]]");
    let with = |files: &[(&str, &str)]| case(&[phoenix, PACKAGE, ("compile", "true")]).files(files);
    let key = |value: &str| with(&[(ELIXIR_CONFIG, &format!("skip_assets={value}\n"))]);
    let two = "https://host/mixpack\nhttps://host/x/heroku-buildpack-phoenix-static\n";
    let listed = || with(&[(".buildpacks", two)]);
    let skipped = |case: &Case| {
        let plan = case.planned();
        let (facts, settings) = case.read();
        let steps = [
            StepName::Node,
            StepName::Javascript,
            StepName::Assets,
            StepName::Digest,
        ];
        let left = steps.iter().any(|step| plan.has(*step));
        let node = plan.node.is_some() || plan::needs_node(&facts, &settings);
        assert_eq!(left, plan.skip_assets.is_none());
        assert_eq!(node, plan.skip_assets.is_none());
        plan.skip_assets
    };
    assert_eq!(skipped(&with(&[])), None);
    assert_eq!(
        skipped(&key("true")).as_deref(),
        Some("elixir_buildpack.config:1")
    );
    let var = |value: &str| with(&[]).var("MIXPACK_SKIP_ASSETS", value);
    assert_eq!(
        skipped(&var("true")).as_deref(),
        Some("config var MIXPACK_SKIP_ASSETS")
    );
    assert_eq!(
        skipped(&listed()).as_deref(),
        Some(".buildpacks:2 lists heroku-buildpack-phoenix-static after this one")
    );
    // Assets can be turned off: by the config var first, then by the file.
    assert_eq!(
        skipped(&key("true").var("MIXPACK_SKIP_ASSETS", "false")),
        None
    );
    assert_eq!(skipped(&key("false").file(".buildpacks", two)), None);
}

/// The remaining build and installation, with a hook after compile.
#[track_caller]
fn left(hook: &str, more: &[(&str, &str)]) -> (bool, bool) {
    let assets = assets_with_hook(hook, more);
    (assets.build != AssetBuild::Nothing, !assets.left_to_hook)
}

#[track_caller]
fn assets_with_hook(hook: &str, more: &[(&str, &str)]) -> Assets {
    let package = r#"{"scripts": {"build": "vite build"}}"#;
    let config = format!("hook_post_compile='{hook}'\n");
    let mix = "[app: :shop, aliases: [setup: [\"deps.get\", \"assets.setup\"],\n\
               \"assets.setup\": [\"bun.install --if-missing\", \"bun assets install\", \"assets.build\"],\n\
               \"assets.build\": [\"bun assets run build\"], # all\n\
               \"assets.npm\": [\"cmd --cd assets npm ci\", \"cmd --cd assets npm run build\"],\n\
               \"assets.code\": [\"cmd --cd assets npm ci\", &build/1],\n\
               \"assets.one\": \"cmd npm run build --prefix assets\"]]";
    let bun = "config :bun,\n  assets: [args: ~w(), cd: Path.expand(\"../assets\", __DIR__)]\n";
    let mut files = vec![
        ("mix.exs", mix),
        ("assets/package.json", package),
        ("config/config.exs", bun),
        (ELIXIR_CONFIG, &*config),
    ];
    files.extend(more);
    case(&files).planned().assets.remove(0)
}

#[test]
fn bun_is_not_fetched_if_a_hook_runs_that_of_hex_alone() {
    let fetched = |hook: &str, more: &[(&str, &str)]| {
        let files = [&[("assets/bun.lock", "{}")], more].concat();
        !assets_with_hook(hook, &files).hook_has_manager
    };
    assert!(!fetched("mix assets.setup", &[]));
    for hook in [
        "mix assets.setup && bun x prettier",
        "mix assets.setup && mix cmd bun x prettier",
        "cd assets && bun install && bun run build",
    ] {
        assert!(fetched(hook, &[]), "{hook}");
    }
    let script = r#"{"scripts": {"build": "bun x vite build"}}"#;
    let more = [("assets/package.json", script)];
    assert!(fetched("mix assets.setup", &more));
    let other = "hook_pre_compile='make'\nhook_post_compile='mix assets.setup'\n";
    assert!(fetched("mix assets.setup", &[(ELIXIR_CONFIG, other)]));
}

#[test]
fn steps_done_by_post_compile_hook_are_not_planned() {
    let npm = |hook: &str| left(hook, &[]);
    let bun = |hook: &str| left(hook, &[("assets/bun.lock", "{}")]);
    let yarn = |hook: &str| left(hook, &[("assets/yarn.lock", "")]);
    for hook in [
        "cd assets && npm ci && npm run build",
        "eval cd ./assets && npm install --no-audit && npm run build && cd .. && mix phx.digest",
        "npm --prefix assets ci && npm run build --prefix=assets && rm -rf assets/node_modules",
        "mix assets.npm",
    ] {
        assert_eq!(npm(hook), (false, false), "{hook}");
    }
    assert_eq!(bun("mix assets.setup"), (false, false));
    assert_eq!(bun("mix setup"), (false, false));
    assert_eq!(yarn("cd assets && yarn && yarn build"), (false, false));
    // Packages that only the script of the hook needs are installed for it.
    assert_eq!(npm("cd assets && npm run build"), (false, true));
    assert_eq!(npm("mix assets.one"), (false, true));
}

#[test]
fn steps_possibly_skipped_by_post_compile_hook_are_planned() {
    let both = (true, true);
    for hook in [
        "cd assets && npm ci",
        "cd assets && npm ci && npm run build:admin",
        "cd assets && npm ci && npm run build -- --mode development",
        "cd assets && npm ci; npm run build",
        "cd assets && npm ci || npm run build",
        "cd assets && npm ci && (npm run build)",
        "cd assets && npm ci & npm run build",
        "cd \"$DIR\" && npm ci && npm run build",
        "cd other && npm ci && npm run build",
        "exit 0 && cd assets && npm ci && npm run build",
        "cd assets && yarn && yarn build",
        "echo npm run build",
        "mix assets.code",
        "mix assets.setup --force",
        "mix assets.setup",
    ] {
        assert_eq!(left(hook, &[]), both, "{hook}");
    }
    // After an installation for production, the build may miss packages.
    let hook = "cd assets && npm ci --omit=dev && npm run build";
    assert_eq!(left(hook, &[]), (false, true));
    let deploy = r#"{"scripts": {"build": "b", "deploy": "d"}}"#;
    let more = [("assets/package.json", deploy)];
    assert_eq!(left("mix assets.npm", &more), both);
    // In an umbrella `mix cmd` runs in each app.
    let hook = "hook_post_compile='mix cmd --cd apps/admin_web/assets npm run build'\n";
    let package = ("apps/admin_web/assets/package.json", SCRIPTS);
    let plan = umbrella(&[(ELIXIR_CONFIG, hook), package]).planned();
    assert_ne!(plan.assets[0].build, AssetBuild::Nothing);
    let bun = [
        ("assets/bun.lock", "{}"),
        (
            "config/config.exs",
            "config :bun, assets: [args: ~w(--cwd=js), cd: Path.expand(\"../assets\", __DIR__)]",
        ),
    ];
    assert_eq!(left("mix assets.setup", &bun), both);
}

#[test]
fn packages_are_needed_if_anything_refers_to_them() {
    let needed = |files: &[(&str, &str)]| case(files).planned().assets[0].is_needed;
    let lint = (
        "assets/package.json",
        r#"{"scripts": {"lint": "eslint ."}}"#,
    );
    let plain = ("mix.exs", "[app: :shop]");
    assert!(!needed(&[plain, lint]));
    for file in [
        (
            "mix.exs",
            "[app: :shop, compilers: [:front] ++ Mix.compilers()]",
        ),
        (ELIXIR_CONFIG, "hook_pre_compile='true'\n"),
        (STATIC_CONFIG, ""),
        ("assets/bower.json", "{}"),
        ("assets/package.json", SCRIPTS),
        ("lib/shop.ex", "@path \"assets/node_modules/a/b.json\""),
        ("Procfile", "web: npx serve"),
    ] {
        let files: Vec<_> = [plain, lint]
            .into_iter()
            .filter(|(name, _)| *name != file.0)
            .collect();
        assert!(needed(&[files, vec![file]].concat()), "{file:?}");
    }
}
