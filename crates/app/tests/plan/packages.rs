//! How JavaScript packages are installed.

use super::{PACKAGE, STATIC_CONFIG, case};
use app::facts::Manager;
use app::plan::PlanError;
use app::{Origin, Setting};

#[test]
fn lockfile_selects_install_command() {
    let with = |locks: &[&str]| {
        let case = case(&[PACKAGE]);
        let case = locks
            .iter()
            .fold(case, |case, lock| case.file(&format!("assets/{lock}"), ""));
        case.plan()
            .map(|plan| plan.assets[0].install.clone().unwrap().command[1].clone())
    };
    assert_eq!(with(&[]).unwrap(), "install");
    assert_eq!(with(&["package-lock.json"]).unwrap(), "ci");
    assert_eq!(
        with(&["npm-shrinkwrap.json", "package-lock.json"]).unwrap(),
        "ci"
    );
    assert_eq!(
        with(&["yarn.lock", "package-lock.json"]).unwrap_err(),
        PlanError::TwoLockfiles {
            dir: "assets".into(),
            lockfiles: vec!["package-lock.json".into(), "yarn.lock".into()],
        }
    );
}

#[test]
fn static_config_prefers_yarn_or_npm_among_lockfiles() {
    let config = (STATIC_CONFIG, "node_version=22\n");
    let lock = |name: &'static str| -> (&str, &str) { (name, "") };
    let npm = lock("assets/package-lock.json");
    let yarn = ("assets/yarn.lock", "\n__metadata:\n  version: 8\n");
    let pnpm = lock("assets/pnpm-lock.yaml");
    let install = manager(&[PACKAGE, config, npm, yarn, pnpm]).unwrap();
    assert_eq!(install.manager.manager, Manager::Yarn);
    assert_eq!(install.manager.version.as_deref(), Some("~4.13"));
    assert_eq!(install.lockfile.as_deref(), Some("assets/yarn.lock"));
    assert_eq!(
        install.why,
        "found assets/yarn.lock; ignoring package-lock.json, pnpm-lock.yaml, as the static buildpack did"
    );
    let install = manager(&[PACKAGE, config, npm, pnpm]).unwrap();
    assert_eq!(install.command.join(" "), "npm ci --include=dev");
    let pinned = ("assets/package.json", r#"{"packageManager": "pnpm@9.1.0"}"#);
    let install = manager(&[pinned, config, npm, yarn, pnpm]).unwrap();
    assert_eq!(install.manager.manager, Manager::Pnpm);
    // It knew neither of these.
    let bun = lock("assets/bun.lock");
    let both = manager(&[PACKAGE, config, pnpm, bun]);
    assert!(matches!(both, Err(PlanError::TwoLockfiles { .. })));
    // One in a folder that assets_path names.
    let config = (STATIC_CONFIG, "assets_path=ui\n");
    let files = [
        ("ui/package.json", "{}"),
        ("ui/package-lock.json", "{}"),
        ("ui/yarn.lock", ""),
    ];
    let install = manager(&[&[config][..], &files].concat()).unwrap();
    assert_eq!(install.lockfile.as_deref(), Some("ui/yarn.lock"));
}

#[test]
fn workspace_with_assets_installs_from_root() {
    let npm =
        r#"{"workspaces": ["./assets/", "packages/*", "deps/phoenix"], "engines": {"node": "22"}}"#;
    let packages = [
        ("package.json", npm),
        ("package-lock.json", "{}"),
        ("packages/greet/package.json", r#"{"name": "@shop/greet"}"#),
        ("packages/unused/package.json", r#"{"name": "unused"}"#),
        ("packages/greet/node_modules/x/package.json", "{}"),
        (
            "assets/package.json",
            r#"{"dependencies": {"@shop/greet": "*"}}"#,
        ),
    ];
    let case = case(&packages).file("assets/yarn.lock.old", "");
    let plan = case.planned();
    assert_eq!(plan.node.as_ref().unwrap().version, "22.17.0");
    let assets = &plan.assets[0];
    let install = assets.install.as_ref().unwrap();
    assert_eq!(
        (install.dir.as_str(), install.command[1].as_str()),
        (".", "ci")
    );
    assert_eq!(
        install.why,
        "found package-lock.json; package.json declares a workspace"
    );
    let members = [
        ".",
        "assets",
        "packages/greet",
        "packages/unused",
        "deps/phoenix",
    ];
    assert_eq!(install.packages, members);
    assert_eq!(
        assets.bins(),
        ["assets/node_modules/.bin", "node_modules/.bin"]
    );
    let inputs = install.inputs.as_ref().unwrap();
    let is_input = |path: &str| inputs.iter().any(|input| input == path);
    for path in [
        "package.json",
        "package-lock.json",
        "assets/package.json",
        "packages/unused/package.json",
        "packages/unused/.npmrc",
        "pnpm-workspace.yaml",
        // Other packages need it, or its version isn't known yet.
        "packages/greet",
        "deps/phoenix",
    ] {
        assert!(is_input(path), "{path} in {inputs:?}");
    }
    assert!(!is_input("packages/unused") && !is_input("assets"));

    let everything = case.file(
        "package.json",
        r#"{"workspaces": {"packages": ["*", "*/*"]}}"#,
    );
    assert_eq!(
        everything.planned().assets[0]
            .install
            .as_ref()
            .unwrap()
            .inputs,
        Err("package.json includes everything in deps".to_owned())
    );
}

#[test]
fn workspace_without_assets_is_ignored() {
    let lock = ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n");
    let dir = |files: &[(&str, &str)]| manager(&[&[PACKAGE, lock], files].concat()).unwrap().dir;
    let assets = ("pnpm-workspace.yaml", "packages: [assets]");
    assert_eq!(dir(&[assets]), ".");
    assert_eq!(dir(&[assets, ("package.json", "{}")]), ".");
    for file in [
        ("pnpm-workspace.yaml", "packages: [frontend, '!assets']"),
        ("pnpm-workspace.yaml", "onlyBuiltDependencies: [assets]"),
        // pnpm does not read it.
        ("package.json", r#"{"workspaces": ["assets"]}"#),
    ] {
        assert_eq!(dir(&[file]), "assets", "{file:?}");
    }
    // A lockfile of its own, of another package manager: as the static buildpack did.
    let own = ("assets/package-lock.json", "{}");
    let install = manager(&[PACKAGE, lock, assets, own]).unwrap();
    assert_eq!(
        (install.dir.as_str(), install.command[0].as_str()),
        ("assets", "npm")
    );
    // One of the same is a leftover, which pnpm does not read either.
    let own = ("assets/pnpm-lock.yaml", "lockfileVersion: '9.0'\n");
    assert_eq!(dir(&[assets, own]), ".");
}

#[test]
fn nearest_workspace_within_repository_is_used() {
    let config = (super::ELIXIR_CONFIG, "app_relative_path=apps/shop\n");
    let files = [
        config,
        ("apps/shop/mix.exs", "[app: :shop, deps: []]"),
        (
            "apps/shop/assets/package.json",
            r#"{"packageManager": "yarn@4.9.1"}"#,
        ),
        ("package.json", r#"{"workspaces": ["apps/*/assets"]}"#),
        ("yarn.lock", "\n__metadata:\n  version: 8\n"),
    ];
    let install = manager(&files).unwrap();
    assert_eq!(
        (install.dir.as_str(), install.lockfile.as_deref()),
        (".", Some("yarn.lock"))
    );
    assert_eq!(install.manager.version.as_deref(), Some("4.9.1"));
    let nearer = [
        ("apps/shop/package.json", r#"{"workspaces": ["assets"]}"#),
        ("apps/shop/package-lock.json", "{}"),
        ("apps/shop/assets/package.json", "{}"),
    ];
    let install = manager(&[&files[..], &nearer].concat()).unwrap();
    assert_eq!(
        (install.dir.as_str(), install.command[0].as_str()),
        ("apps/shop", "npm")
    );
    let own = [
        (
            "apps/shop/assets/package.json",
            r#"{"workspaces": ["parts/*"]}"#,
        ),
        ("apps/shop/assets/parts/a/package.json", "{}"),
    ];
    let install = manager(&[&files[..], &own].concat()).unwrap();
    assert_eq!(
        install.packages,
        ["apps/shop/assets", "apps/shop/assets/parts/a"]
    );
}

#[test]
fn dev_engines_select_package_manager_as_fallback() {
    let package =
        |engines: &str| format!("{{\n\"devEngines\": {{\n\"packageManager\": {engines}}}}}");
    let chosen = |engines: &str, lock: &str| {
        let package = package(engines);
        let mut files = vec![("assets/package.json", package.as_str())];
        files.extend((!lock.is_empty()).then_some((lock, "")));
        let manager = manager(&files)?.manager;
        let version = manager.version.unwrap_or_default();
        Ok::<_, PlanError>(format!(
            "{}@{version} ({})",
            manager.manager, manager.source
        ))
    };
    let of = "(assets/package.json:3)";
    let pnpm = r#"{"name": "pnpm", "version": "10.12.1"}"#;
    for lock in ["", "assets/pnpm-lock.yaml"] {
        assert_eq!(chosen(pnpm, lock).unwrap(), format!("pnpm@10.12.1 {of}"));
    }
    let list = r#"[{"name": "npm", "version": "^99"}, {"name": "yarn", "version": "^4"}]"#;
    assert_eq!(
        chosen(list, "assets/yarn.lock").unwrap(),
        format!("yarn@^4 {of}")
    );
    assert_eq!(chosen(list, "").unwrap(), format!("npm@^99 {of}"));
    // The npm of this Node.js is in the range.
    let npm = r#"{"name": "npm", "version": ">=11"}"#;
    assert_eq!(chosen(npm, "").unwrap(), format!("npm@ {of}"));
    assert!(matches!(
        chosen(pnpm, "assets/yarn.lock"),
        Err(PlanError::ManagerContradicted {
            manager: Manager::Pnpm,
            ..
        })
    ));
    let lenient = r#"{"name": "pnpm", "version": "10.12.1", "onFail": "warn"}"#;
    assert!(
        chosen(lenient, "assets/yarn.lock")
            .unwrap()
            .starts_with("yarn@1 ")
    );
    let unknown = r#"{"name": "vlt", "version": "1.0.0"}"#;
    assert_eq!(
        chosen(unknown, "assets/yarn.lock").unwrap_err(),
        PlanError::UnknownDevManager {
            requested: Setting::new(
                "vlt@1.0.0".to_owned(),
                Origin::file("assets/package.json", 3)
            ),
        }
    );
    let both =
        r#"{"packageManager": "yarn@4.9.1", "devEngines": {"packageManager": {"name": "pnpm"}}}"#;
    let pinned = manager(&[("assets/package.json", both)]).unwrap().manager;
    assert_eq!(pinned.version.as_deref(), Some("4.9.1"));
}

#[test]
fn npm_options_follow_npm_version() {
    let lock = ("assets/package-lock.json", "{}");
    let install = |version: &str, files: &[(&str, &str)]| {
        let config = format!("node_version=22\nnpm_version={version}\n");
        let config = (STATIC_CONFIG, config.as_str());
        manager(&[&[PACKAGE, config], files].concat()).unwrap()
    };
    for (version, locked, unlocked) in [
        (
            "3.10.10",
            "npm install --production=false",
            "npm install --production=false",
        ),
        (
            "5.6.0",
            "npm install --no-save --production=false",
            "npm install --production=false",
        ),
        (
            "5.7.1",
            "npm ci --production=false",
            "npm install --production=false",
        ),
        (
            "6.14.18",
            "npm ci --production=false",
            "npm install --production=false",
        ),
        ("7.0.0", "npm ci --include=dev", "npm install --include=dev"),
        ("11", "npm ci --include=dev", "npm install --include=dev"),
        (
            "latest",
            "npm ci --include=dev",
            "npm install --include=dev",
        ),
    ] {
        assert_eq!(
            install(version, &[lock]).command.join(" "),
            locked,
            "{version}"
        );
        assert_eq!(
            install(version, &[]).command.join(" "),
            unlocked,
            "{version}"
        );
    }
    let old = install("5.6.0", &[lock]);
    assert_eq!(
        old.why,
        "found assets/package-lock.json; npm 5.6.0 has no `npm ci`"
    );
    assert!(old.inputs.is_err());
    let older = install("3.10.10", &[lock]);
    assert_eq!(
        older.why,
        "this npm ignores assets/package-lock.json; npm 3.10.10 has no `npm ci`"
    );
    assert_eq!(older.lockfile, None);
    let shrinkwrap = ("assets/npm-shrinkwrap.json", "{}");
    assert!(install("3.10.10", &[shrinkwrap]).lockfile.is_some());

    let workspace = [
        ("package.json", r#"{"workspaces": ["assets"]}"#),
        ("package-lock.json", "{}"),
    ];
    assert_eq!(
        install(
            "7.0.0",
            &[&workspace[..], &[("assets/package-lock.json", "{}")]].concat()
        )
        .dir,
        "."
    );
    let config = (STATIC_CONFIG, "npm_version=6.14.18\nassets_path=assets\n");
    let alone = manager(&[&workspace[..], &[PACKAGE, config]].concat()).unwrap();
    assert_eq!(alone.dir, "assets");
    assert_eq!(
        alone.why,
        "no lockfile; npm supports workspaces from version 7 on"
    );
}

#[test]
fn npm_version_comes_from_node_index() {
    let mut case = case(&[
        PACKAGE,
        ("assets/package-lock.json", "{}"),
        (STATIC_CONFIG, "node_version=8\n"),
    ]);
    let index = r#"[{"version": "v8.9.0", "files": ["linux-x64"], "npm": "5.5.1"}]"#;
    case.lists.node = Some(versions::node::NodeIndex::parse(index).unwrap());
    let install = case.planned().assets[0].install.clone().unwrap();
    assert_eq!(
        install.command.join(" "),
        "npm install --no-save --production=false"
    );

    // Node.js of an earlier buildpack, which may include another npm.
    let (mut facts, settings) = case.read();
    let version = |text: &str| versions::node::NodeVersion::parse(text).ok();
    (facts.preinstalled_node, facts.preinstalled_npm) = (version("8.9.0"), version("6.14.18"));
    let plan = case.plan_of(&facts, &settings).unwrap();
    let install = plan.assets[0].install.clone().unwrap();
    assert_eq!(install.command.join(" "), "npm ci --production=false");
}

fn manager(files: &[(&str, &str)]) -> Result<app::plan::Install, PlanError> {
    let plan = case(files).plan()?;
    Ok(plan.assets[0].install.clone().expect("an install"))
}

#[test]
fn package_managers_freeze_lockfile_and_install_dev_dependencies() {
    for (lock, text, version, command) in [
        (
            "yarn.lock",
            "# yarn lockfile v1\n",
            Some("1"),
            "yarn install --frozen-lockfile --production=false --ignore-engines --non-interactive",
        ),
        (
            "yarn.lock",
            "\n__metadata:\n  version: 8\n",
            Some("~4.13"),
            "yarn install --immutable",
        ),
        (
            "pnpm-lock.yaml",
            "lockfileVersion: '6.0'\n",
            Some("8"),
            "pnpm install --frozen-lockfile --prod=false",
        ),
        ("bun.lock", "{}", Some("1"), "bun install --frozen-lockfile"),
        ("package-lock.json", "{}", None, "npm ci --include=dev"),
    ] {
        let install = manager(&[PACKAGE, (&format!("assets/{lock}"), text)]).unwrap();
        assert_eq!(install.manager.version.as_deref(), version, "{lock}");
        assert_eq!(install.command.join(" "), command);
    }
    // Two lockfiles of the same package manager don't conflict.
    let both = [PACKAGE, ("assets/bun.lock", ""), ("assets/bun.lockb", "")];
    assert_eq!(manager(&both).unwrap().command[0], "bun");
}

#[test]
fn pinned_package_manager_version_overrides_lockfile() {
    let package = "{\n\"packageManager\": \"yarn@3.8.7+sha224.ab\"}";
    let package = ("assets/package.json", package);
    let lock = ("assets/yarn.lock", "\n__metadata:\n  version: 8\n");
    let pinned = manager(&[package, lock]).unwrap().manager;
    assert_eq!(pinned.version.as_deref(), Some("3.8.7"));
    assert_eq!(pinned.hash.as_deref(), Some("sha224.ab"));
    assert_eq!(pinned.source, Origin::file("assets/package.json", 2));
    let unlocked = manager(&[package]).unwrap();
    assert_eq!(unlocked.command.join(" "), "yarn install --no-immutable");
    let config = (STATIC_CONFIG, "yarn_version=1.22.19\nnpm_version=10.9.0\n");
    let configured = manager(&[PACKAGE, config, ("assets/yarn.lock", "")]).unwrap();
    assert_eq!(configured.manager.version.as_deref(), Some("1.22.19"));
    assert_eq!(configured.manager.source, Origin::file(STATIC_CONFIG, 1));
    let npm = manager(&[PACKAGE, config]).unwrap().manager;
    assert_eq!(npm.version.as_deref(), Some("10.9.0"));
    let engines = (
        "assets/package.json",
        "{\"engines\": {\"pnpm\": \">=8 <10\"}}",
    );
    let ranged = manager(&[engines, ("assets/pnpm-lock.yaml", "")]).unwrap();
    assert_eq!(ranged.manager.version.as_deref(), Some(">=8 <10"));
}

#[test]
fn package_manager_field_must_match_lockfile_and_be_valid() {
    let package = |value: &str| format!("{{\n\n\"packageManager\": \"{value}\"}}");
    let requested =
        |value: &str| Setting::new(value.to_owned(), Origin::file("assets/package.json", 3));
    let pnpm = package("pnpm@9.1.0");
    assert_eq!(
        manager(&[("assets/package.json", &pnpm), ("assets/yarn.lock", "")]).unwrap_err(),
        PlanError::ManagerContradicted {
            requested: requested("pnpm@9.1.0"),
            manager: Manager::Pnpm,
            lockfile: "assets/yarn.lock".into(),
        }
    );
    assert_eq!(
        manager(&[("assets/package.json", &package("pnpm"))]).unwrap_err(),
        PlanError::MalformedManager {
            requested: requested("pnpm")
        }
    );
}

#[test]
fn lockfile_without_package_json_is_ignored() {
    let plan = case(&[("assets/yarn.lock", "")]).planned();
    assert!(plan.node.is_none() && plan.assets[0].install.is_none());
}
