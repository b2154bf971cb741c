//! Plans from an app's files, the settings, upstream's lists and the previous build.

mod assets;
mod packages;
mod pairs;
mod sources;
mod steps;
mod suggestions;

use app::facts::{self, Facts, app_dir};
use app::plan::{self, AssetBuild, LastBuild, Lists, PlanError, VersionError};
use app::settings::name_typo;
use app::{Origin, Plan, Setting, Settings};
use std::collections::BTreeMap;
use std::fs;
use versions::elixir::ElixirListing;
use versions::node::NodeIndex;
use versions::otp::OtpListing;
use versions::target::{Arch, OsRelease, Target};

const SHA: &str = "9a1bfc1edd5c687a7d4620ed9bf377074e94c697";
const OTP: [&str; 7] = [
    "OTP-24.3.4.17",
    "OTP-25.3.2.21",
    "OTP-26.2.5.12",
    "OTP-27.3.3",
    "OTP-27.3.4",
    "OTP-28.0-rc4",
    "OTP-28.0",
];
const ELIXIR: [&str; 10] = [
    "v1.9.4",
    "v1.14.5-otp-24",
    "v1.14.5-otp-25",
    "v1.17.3-otp-25",
    "v1.17.3-otp-27",
    "v1.18.3-otp-25",
    "v1.18.3-otp-26",
    "v1.18.3-otp-27",
    "v1.18.4-otp-27",
    "v1.18.4-otp-28",
];
const NODE: &str = r#"[
  {"version": "v25.1.0", "npm": "11.6.2", "lts": false, "files": ["linux-x64", "linux-arm64"]},
  {"version": "v24.4.0", "npm": "11.4.2", "lts": "Krypton", "files": ["linux-x64", "linux-arm64"]},
  {"version": "v22.17.0", "npm": "10.9.2", "lts": "Jod", "files": ["linux-x64", "linux-arm64"]},
  {"version": "v22.16.0", "npm": "10.9.2", "lts": "Jod", "files": ["linux-x64", "linux-arm64"]}
]"#;

fn list(names: &[&str]) -> String {
    let line = |name: &&str| format!("{name} {SHA} 2025-06-16T09:42:07Z");
    names.iter().map(line).map(|line| line + "\n").collect()
}

fn lists() -> Lists {
    Lists {
        otp: OtpListing::parse(&list(&OTP)),
        elixir: ElixirListing::parse(&list(&ELIXIR)),
        node: Some(NodeIndex::parse(NODE).expect("an index")),
    }
}

/// An app and its environment.
struct Case {
    dir: tempfile::TempDir,
    config_vars: BTreeMap<String, String>,
    lists: Lists,
    last: LastBuild,
}

fn case(files: &[(&str, &str)]) -> Case {
    let case = Case {
        dir: tempfile::tempdir().expect("a folder"),
        config_vars: BTreeMap::new(),
        lists: lists(),
        last: LastBuild::default(),
    };
    case.file("mix.exs", "[app: :shop, deps: []]").files(files)
}

impl Case {
    fn file(self, path: &str, text: &str) -> Self {
        self.files(&[(path, text)])
    }

    fn files(self, files: &[(&str, &str)]) -> Self {
        for (path, text) in files {
            let path = self.dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        self
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.config_vars.insert(name.to_owned(), value.to_owned());
        self
    }

    fn last(mut self, erlang: &str, elixir: &str, node: Option<&str>) -> Self {
        self.last = LastBuild {
            erlang: Some(erlang.to_owned()),
            elixir: Some(elixir.to_owned()),
            node: node.map(str::to_owned),
            ..LastBuild::default()
        };
        self
    }

    fn read(&self) -> (Facts, Settings) {
        let dir = self.dir.path();
        let at_top = facts::config_file(dir, facts::ELIXIR_CONFIG).expect("it is valid");
        let requested =
            app_dir::requested(&at_top, self.config_vars.get(app_dir::CONFIG_VAR).cloned());
        let app_dir = app_dir::resolve(dir, requested).expect("it is valid");
        let mise_env = self.config_vars.get("MISE_ENV").map(String::as_str);
        let mut facts = facts::read(dir, app_dir, mise_env).expect("it is valid");
        let settings = Settings::merge(&facts, &|name| self.config_vars.get(name).cloned());
        let assets_path = settings.assets_path.as_ref();
        facts::add_configured(&mut facts, dir, &settings.compile_script, assets_path)
            .expect("it is valid");
        (facts, settings)
    }

    fn plan(&self) -> Result<Plan, PlanError> {
        let (facts, settings) = self.read();
        self.plan_of(&facts, &settings)
    }

    fn plan_of(&self, facts: &Facts, settings: &Settings) -> Result<Plan, PlanError> {
        let system = OsRelease::parse("");
        let target = Target::resolve(Some("heroku-24"), &system, Arch::Amd64).expect("it is valid");
        let mix_env = Setting::new("prod".to_owned(), Origin::Default("production".to_owned()));
        plan::plan(facts, settings, target, mix_env, &self.lists, &self.last)
    }

    /// The reason for which a version is unavailable.
    #[track_caller]
    fn refused(&self) -> VersionError {
        match self.plan() {
            Err(PlanError::Version { error, .. }) => error,
            other => panic!("must be refused for a version: {other:?}"),
        }
    }

    #[track_caller]
    fn planned(&self) -> Plan {
        self.plan().expect("a plan")
    }

    /// `27.3.4 (elixir_buildpack.config:1)` of Erlang, Elixir, Node.
    #[track_caller]
    fn tools(&self) -> Vec<String> {
        let plan = self.planned();
        let mut tools = vec![
            format!("{} ({})", plan.erlang.version, plan.erlang.source),
            format!("{} ({})", plan.elixir.version, plan.elixir.source),
        ];
        tools.extend(
            plan.node
                .map(|node| format!("{} ({})", node.version, node.source)),
        );
        tools
    }
}

const ELIXIR_CONFIG: &str = "elixir_buildpack.config";
const STATIC_CONFIG: &str = "phoenix_static_buildpack.config";
/// Makes Node needed.
const PACKAGE: (&str, &str) = ("assets/package.json", "{}");

/// The root project with dependency and alias of a Phoenix app.
const PHOENIX: (&str, &str) = (
    "mix.exs",
    "[app: :shop, deps: [{:phoenix, \"~> 1.8\"}], aliases: [\"assets.deploy\": [\"phx.digest\"]]]",
);
const SCRIPTS: &str = r#"{"scripts": {"deploy": "a", "build": "b"}}"#;

fn umbrella(files: &[(&str, &str)]) -> Case {
    let child = "[app: :web, deps: [{:phoenix, \"~> 1.8\"}]]";
    case(&[
        ("mix.exs", "[apps_path: \"apps\", deps: []]"),
        ("apps/admin_web/mix.exs", child),
        ("apps/admin_web/assets/package.json", SCRIPTS),
        ("apps/core/mix.exs", "[app: :core, deps: []]"),
        ("apps/core/assets/package.json", SCRIPTS),
        ("apps/shop_web/mix.exs", child),
    ])
    .files(files)
}

const HOOKS: &str = "\
pre_compile=a
hook_pre_fetch_dependencies=b
hook_pre_compile=c
hook_compile=d
hook_post_compile=e
post_compile=f
";

#[test]
fn plan_json_of_plain_app() {
    let plan = case(&[]).planned();
    insta::assert_snapshot!("plain_app", format!("{:#}", plan.to_json()));
}

#[test]
fn plan_json_of_phoenix_app_with_node_and_hooks() {
    let plan = case(&[
        PHOENIX,
        ("assets/package.json", SCRIPTS),
        ("assets/package-lock.json", "{}"),
        (ELIXIR_CONFIG, "erlang_version=27\nelixir_version=1.18.3\nhook_pre_compile=\"make gen\"\npost_compile=\"rm -r docs\"\n"),
        (STATIC_CONFIG, "node_version=22\nclean_cache=true\nremove_node=true\n"),
    ])
    .planned();
    insta::assert_snapshot!("phoenix_app", format!("{:#}", plan.to_json()));
}

#[test]
fn plan_json_of_umbrella_release() {
    let release = "[apps_path: \"apps\", deps: [], releases: [storefront: []]]";
    let plan = umbrella(&[
        ("mix.exs", release),
        (ELIXIR_CONFIG, "release=true\nhook_compile=make\n"),
    ])
    .planned();
    insta::assert_snapshot!("umbrella_release", format!("{:#}", plan.to_json()));
}

#[test]
fn plans_app_in_subdirectory() {
    let app = case(&[
        ("elixir_buildpack.config", "app_relative_path=./backend/\n"),
        ("phoenix_static_buildpack.config", "assets_path=ui\n"),
        ("mix.exs", "[app: :another, elixir: \"~> 1.19\"]"),
        (
            "backend/mix.exs",
            "[elixir: \"~> 1.17.0\", deps: [{:phoenix, \"~> 1.8\"}]]",
        ),
        ("backend/ui/package.json", "{}"),
        ("backend/.tool-versions", "erlang 25\n"),
        ("backend/Procfile", "web: sleep 1 && mix phx.server\n"),
        ("shared/mix.exs", "[app: :shared]"),
    ]);
    let plan = app.planned();
    assert_eq!(plan.app_dir.value, "backend");
    assert_eq!(
        plan.app_dir.origin,
        Origin::file("elixir_buildpack.config", 1)
    );
    assert_eq!(
        (plan.projects, plan.sibling_projects),
        (vec!["backend".to_owned()], vec!["shared".to_owned()])
    );
    assert_eq!(plan.elixir.version, "1.17.3");
    assert_eq!(
        plan.erlang.source,
        Origin::file("backend/.tool-versions", 1)
    );
    assert_eq!(plan.assets[0].phoenix_dir, "backend");
    assert_eq!(plan.assets[0].install.as_ref().unwrap().dir, "backend/ui");
    let web = &plan.processes["web"].command;
    assert_eq!(web, ".mixpack/bin/in-app-dir mix phx.server");
    let Some(app::facts::Procfile(types)) = plan.app_procfile else {
        panic!("the app's Procfile");
    };
    assert_eq!(types["web"], "sleep 1 && mix phx.server");
    assert!(
        app.file("Procfile", "web: own\n")
            .planned()
            .app_procfile
            .is_none()
    );

    let script = case(&[
        ("backend/mix.exs", ""),
        ("backend/compile", ""),
        ("compile", ""),
    ]);
    let plan = script.var("MIXPACK_APP_RELATIVE_PATH", "backend").planned();
    let path = "backend/compile".to_owned();
    assert_eq!(plan.assets[0].build, AssetBuild::CustomScript { path });

    let umbrella = case(&[
        ("backend/mix.exs", "[apps_path: \"apps\"]"),
        (
            "backend/apps/web/mix.exs",
            "[deps: [{:phoenix, \"~> 1.8\"}], elixir: \"~> 1.17.0\"]",
        ),
        (
            "backend/phoenix_static_buildpack.config",
            "phoenix_relative_path=apps/wbe",
        ),
    ]);
    let child = umbrella.file(
        "backend/apps/web/mix.exs",
        "[deps: [{:phoenix, \"~> 1.8\"}], elixir: \"~> 1.17.0\",\n build_path: \"../../_build\"]",
    );
    let child = child.var("MIXPACK_APP_RELATIVE_PATH", "backend/apps/web");
    let warning = &child.planned().warnings[0];
    let place = "backend/apps/web/mix.exs:2 sets build_path to \"../../_build\"";
    assert!(warning.starts_with(place), "{warning}");
    let umbrella = child.var("MIXPACK_APP_RELATIVE_PATH", "backend");
    let Err(PlanError::NoSuchFolder { requested, .. }) = umbrella.plan() else {
        panic!("must be refused");
    };
    let place = "backend/phoenix_static_buildpack.config:1";
    assert_eq!(requested.origin.to_string(), place);
    let plan = umbrella.var("phoenix_relative_path", "apps/web").planned();
    assert!(plan.umbrella);
    assert_eq!(plan.warnings, [""; 0]);
    assert_eq!(plan.assets[0].phoenix_dir, "backend/apps/web");
    assert_eq!(plan.elixir.version, "1.17.3");
}

#[test]
fn phoenix_task_names_follow_phoenix_version() {
    let lock = |version: &str| {
        format!("%{{\n  \"phoenix\": {{:hex, :phoenix, \"{version}\", \"ab\"}},\n}}")
    };
    let planned = |lock: &str, config: &str| {
        let plan = case(&[("mix.lock", lock), (STATIC_CONFIG, config)]).planned();
        let web = plan.processes["web"].command.clone();
        (plan.phoenix_ex, web, plan.warnings)
    };
    let git = "%{\n  \"phoenix\": {:git, \"https://git.example/phoenix\", \"ab\", []},\n}";
    for (lock, config, namespace) in [
        (lock("1.2.5"), "", "phoenix"),
        (lock("1.2.5"), "phoenix_ex=phoenix\n", "phoenix"),
        (lock("1.3.0-rc.2"), "", "phx"),
        (lock("1.8.1"), "", "phx"),
        (git.to_owned(), "", "phx"),
        (git.to_owned(), "phoenix_ex=phoenix\n", "phoenix"),
    ] {
        let expected = (
            namespace.to_owned(),
            format!("mix {namespace}.server"),
            vec![],
        );
        assert_eq!(planned(&lock, config), expected, "{lock}{config}");
    }
    assert_eq!(case(&[]).planned().phoenix_ex, "phx");
}

#[test]
fn locked_phoenix_sets_namespace_and_outdated_phoenix_ex_warns() {
    let lock = "%{\n  \"phoenix\": {:hex, :phoenix, \"1.6.16\", \"ab\"},\n}";
    let planned = |lock: &str, config: &str| {
        let plan = case(&[("mix.lock", lock), (STATIC_CONFIG, config)]).planned();
        (plan.phoenix_ex, plan.warnings.join("\n"))
    };
    let (namespace, warning) = planned(lock, "node_version=22\nphoenix_ex=phoenix\n");
    assert_eq!(namespace, "phx");
    assert_eq!(
        warning,
        "phoenix_static_buildpack.config:2: ignoring phoenix_ex=phoenix, because mix.lock has Phoenix 1.6.16, \
         whose mix tasks are named phx.*; remove it"
    );
    let (namespace, warning) = planned("%{}", "phoenix_ex=phonix\n");
    assert_eq!(namespace, "phx");
    assert_eq!(
        warning,
        "phoenix_static_buildpack.config:1: ignoring phoenix_ex=phonix, because the mix tasks of Phoenix are \
         named phx.* or phoenix.*; remove it"
    );
}

#[test]
fn mix_lock_is_enforced_if_elixir_supports_it() {
    let checks = |elixir: &str, files: &[(&str, &str)]| {
        let config = format!("elixir_version={elixir}\n");
        case(files)
            .file(ELIXIR_CONFIG, &config)
            .planned()
            .check_locked
    };
    assert!(checks("1.17", &[("mix.lock", "%{}")]));
    assert!(!checks("1.14", &[("mix.lock", "%{}")]));
    assert!(!checks("1.17", &[]));
}

#[test]
fn warns_about_mistyped_settings_with_line() {
    let case = case(&[
        (
            ELIXIR_CONFIG,
            "# versions\nelixir_verison=1.18\nhook_post_compiled=\"echo done\"\nexport APP_NAME=shop\nnode_version=22\n",
        ),
        (
            STATIC_CONFIG,
            "clean_cahce=true\ncompile=compile\ncompiler=gcc\nrelease=true\nconfig_vars_to_export=(DATABASE_URL)\n",
        ),
    ]);
    let (facts, settings) = case.read();
    let vars = [
        "MIXPACK_SLIMM",
        "MIXPACK_SLIM",
        "MIXPACK_CLEAN_BUILDS",
        "MIXPACK_OF_MY_OWN",
        "node_verson",
        "DATABASE_URL",
    ];
    let warnings = name_typo::warnings(&facts, &settings, &vars, &["MIXPACK_CLEAN_BUILD"]);
    assert_eq!(
        warnings,
        [
            "elixir_buildpack.config:2: unknown setting elixir_verison; did you mean elixir_version?",
            "elixir_buildpack.config:3: unknown setting hook_post_compiled; did you mean hook_post_compile?",
            "elixir_buildpack.config:5: node_version has no effect here; it is a setting of phoenix_static_buildpack.config",
            // `compiler` is not: `compile` has a value.
            "phoenix_static_buildpack.config:1: unknown setting clean_cahce; did you mean clean_cache?",
            "phoenix_static_buildpack.config:4: release has no effect here; it is a setting of elixir_buildpack.config",
            "unknown config var MIXPACK_SLIMM; did you mean MIXPACK_SLIM?",
            "unknown config var MIXPACK_CLEAN_BUILDS; did you mean MIXPACK_CLEAN_BUILD?",
            "unknown config var node_verson; did you mean node_version?",
        ]
    );
}

#[test]
fn plan_names_source_of_each_setting() {
    let case = case(&[(
        ELIXIR_CONFIG,
        "release=true\nslim=none\nruntime_path=\nAPP_NAME=shop\n",
    )])
    .var("MIXPACK_SLIM", "full")
    .var("release", "false");
    let set: Vec<String> = case
        .planned()
        .set
        .into_iter()
        .map(|(name, requested)| format!("{name}={} ({})", requested.value, requested.origin))
        .collect();
    assert_eq!(
        set,
        [
            "MIXPACK_SLIM=full (config var MIXPACK_SLIM)",
            "release=true (elixir_buildpack.config:1)",
        ]
    );
}
