//! What is decided from an app's files, the settings, upstream's lists and the last build.

#[path = "plan/versions.rs"]
mod sources;

use app::app_dir;
use app::facts::{self, Facts};
use app::package_manager::Manager;
use app::plan::{self, AssetBuild, LastBuild, Lists, PlanError, StepName};
use app::{Asked, Origin, Plan, Settings, mistyped};
use std::collections::BTreeMap;
use std::fs;
use versions::elixir::ElixirListing;
use versions::node::NodeIndex;
use versions::otp::{OtpListing, Publisher};
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
  {"version": "v25.1.0", "lts": false, "files": ["linux-x64", "linux-arm64"]},
  {"version": "v24.4.0", "lts": "Krypton", "files": ["linux-x64", "linux-arm64"]},
  {"version": "v22.17.0", "lts": "Jod", "files": ["linux-x64", "linux-arm64"]},
  {"version": "v22.16.0", "lts": "Jod", "files": ["linux-x64", "linux-arm64"]}
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

/// An app, and what surrounds it.
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
        };
        self
    }

    fn read(&self) -> (Facts, Settings) {
        let dir = self.dir.path();
        let at_top = facts::config_file(dir, facts::ELIXIR_CONFIG).expect("it is valid");
        let asked = app_dir::asked(&at_top, self.config_vars.get(app_dir::CONFIG_VAR).cloned());
        let app_dir = app_dir::resolve(dir, asked).expect("it is valid");
        let mut facts = facts::read(dir, app_dir).expect("it is valid");
        let settings = Settings::merge(&facts, &|name| self.config_vars.get(name).cloned());
        if let Some(asked) = &settings.assets_path {
            facts::add_configured_packages(&mut facts, self.dir.path(), &asked.value)
                .expect("it is valid");
        }
        (facts, settings)
    }

    fn plan(&self) -> Result<Plan, PlanError> {
        let (facts, settings) = self.read();
        let system = OsRelease::parse("");
        let target = Target::resolve(Some("heroku-24"), &system, Arch::Amd64).expect("it is valid");
        let mix_env = Asked::new("prod".to_owned(), Origin::Default("production".to_owned()));
        plan::plan(&facts, &settings, target, mix_env, &self.lists, &self.last)
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

#[test]
fn a_line_of_the_elixir_config_wins_over_a_config_var_and_over_tool_versions() {
    let case = case(&[
        (ELIXIR_CONFIG, "erlang_version=26\nelixir_version=1.18.3\n"),
        (".tool-versions", "erlang 27.3.3\nelixir 1.17.3\n"),
    ])
    .var("erlang_version", "25")
    .var("elixir_version", "1.14");
    assert_eq!(
        case.tools(),
        [
            "26.2.5.12 (elixir_buildpack.config:1)",
            "1.18.3 (elixir_buildpack.config:2)"
        ]
    );
}

#[test]
fn a_config_var_wins_over_tool_versions_and_fills_what_the_config_leaves_out() {
    let case = case(&[
        (ELIXIR_CONFIG, "erlang_version=\n"),
        (".tool-versions", "erlang 27.3.3\nelixir 1.18.4\n"),
    ])
    .var("erlang_version", "27.3.4");
    assert_eq!(
        case.tools(),
        [
            "27.3.4 (config var erlang_version)",
            "1.18.4 (.tool-versions:2)"
        ]
    );
}

#[test]
fn a_config_var_wins_over_a_line_of_the_static_config() {
    let config = (STATIC_CONFIG, "node_version=22\n");
    let files = [PACKAGE, config, (".tool-versions", "nodejs 25.1.0\n")];
    assert_eq!(
        case(&files).var("node_version", "24").tools()[2],
        "24.4.0 (config var node_version)"
    );
    assert_eq!(
        case(&files).tools()[2],
        "22.17.0 (phoenix_static_buildpack.config:1)"
    );
    let behind = case(&[PACKAGE, (".tool-versions", "nodejs 25.1.0\n")]);
    assert_eq!(behind.tools()[2], "25.1.0 (.tool-versions:1)");
}

#[test]
fn a_config_var_does_not_turn_on_what_the_old_buildpack_set_itself() {
    let case = case(&[(ELIXIR_CONFIG, "elixir_version=1.18.3\n")])
        .var("release", "true")
        .var("always_rebuild", "true")
        .var("runtime_path", "/srv");
    let plan = case.plan().unwrap();
    assert!(!plan.release);
    assert_eq!(plan.clean, None);
    assert_eq!(plan.runtime_path, "/app");
    let asked = "release=true\nalways_rebuild=true\nruntime_path=/srv\n";
    let plan = case
        .file(ELIXIR_CONFIG, asked)
        .var("release", "false")
        .plan()
        .unwrap();
    assert!(plan.release);
    assert_eq!(plan.clean.as_deref(), Some("always_rebuild=true"));
    assert_eq!(plan.runtime_path, "/srv");
}

#[test]
fn engines_of_package_json_come_behind_tool_versions() {
    let package = (
        "assets/package.json",
        "{\n  \"volta\": {\"node\": \"24.4.0\"},\n  \"engines\": {\n    \"node\": \"22.x\"\n  }\n}",
    );
    assert_eq!(
        case(&[package]).tools()[2],
        "22.17.0 (assets/package.json:4)"
    );
    let asked = case(&[package, (".tool-versions", "nodejs 24.4.0\n")]);
    assert_eq!(asked.tools()[2], "24.4.0 (.tool-versions:1)");
}

#[test]
fn a_partial_version_is_the_newest_release_that_matches() {
    for (asked, erlang) in [
        ("27", "27.3.4"),
        ("27.3", "27.3.4"),
        ("27.3.3", "27.3.3"),
        ("28", "28.0"),
    ] {
        let plan = case(&[]).var("erlang_version", asked).planned();
        assert_eq!(plan.erlang.version, erlang, "{asked}");
        assert_eq!(plan.erlang.asked.as_deref(), Some(asked));
    }
    for (asked, elixir) in [
        ("1", "1.18.4"),
        ("1.18", "1.18.4"),
        ("1.18.3", "1.18.3"),
        ("1.17", "1.17.3"),
    ] {
        let plan = case(&[]).var("elixir_version", asked).planned();
        assert_eq!(plan.elixir.version, elixir, "{asked}");
    }
}

#[test]
fn a_half_given_pair_is_completed_with_the_newest_that_fits() {
    assert_eq!(
        case(&[]).var("erlang_version", "25").tools(),
        [
            "25.3.2.21 (config var erlang_version)",
            "1.18.3 (default: newest for OTP 25)"
        ]
    );
    assert_eq!(
        case(&[]).var("elixir_version", "1.14").tools(),
        [
            "26.2.5.12 (default: newest that Elixir 1.14.5 runs on)",
            "1.14.5 (config var elixir_version)"
        ]
    );
}

#[test]
fn a_pinned_otp_suffix_decides_for_the_erlang_that_nobody_named() {
    let plan = case(&[(".tool-versions", "elixir 1.18.3-otp-26\n")]).planned();
    assert_eq!(plan.elixir.build.reference, "v1.18.3-otp-26");
    assert_eq!(plan.elixir.source, Origin::file(".tool-versions", 1));
    assert!(plan.otp_major >= 26, "{}", plan.erlang.version);
}

#[test]
fn the_build_of_elixir_is_the_one_for_the_otp() {
    for (otp, reference) in [
        ("25", "v1.18.3-otp-25"),
        ("26", "v1.18.3-otp-26"),
        ("27", "v1.18.3-otp-27"),
    ] {
        let plan = case(&[])
            .var("erlang_version", otp)
            .var("elixir_version", "1.18.3")
            .planned();
        assert_eq!(plan.elixir.build.reference, reference);
    }
}

#[test]
fn nobody_is_upgraded_behind_their_back() {
    assert_eq!(
        case(&[PACKAGE])
            .last("26.2.5.12", "1.17.3", Some("22.16.0"))
            .tools(),
        [
            "26.2.5.12 (the last build)",
            "1.17.3 (the last build)",
            "22.16.0 (the last build)"
        ]
    );
    // What is asked for wins over what was.
    let asked = case(&[PACKAGE])
        .last("26.2.5.12", "1.17.3", Some("22.16.0"))
        .var("erlang_version", "27")
        .var("node_version", "24");
    assert_eq!(asked.tools()[0], "27.3.4 (config var erlang_version)");
    assert_eq!(asked.tools()[2], "24.4.0 (config var node_version)");
    // Gone from the lists (another stack), both are chosen anew: half a pair is none.
    assert_eq!(
        case(&[]).last("23.0", "1.17.3", None).tools(),
        ["28.0 (default: newest)", "1.18.4 (default: newest)"]
    );
}

#[test]
fn without_any_wish_the_newest_that_go_together_and_the_newest_lts() {
    assert_eq!(
        case(&[PACKAGE]).tools(),
        [
            "28.0 (default: newest)",
            "1.18.4 (default: newest)",
            "24.4.0 (default: newest LTS)"
        ]
    );
}

#[test]
fn a_malformed_version_comes_with_the_newest_of_each_line() {
    let Err(PlanError::Malformed {
        asked, available, ..
    }) = case(&[(ELIXIR_CONFIG, "# x\nerlang_version=twenty\n")]).plan()
    else {
        panic!("must be refused");
    };
    assert_eq!(
        asked,
        Asked::new("twenty".into(), Origin::file(ELIXIR_CONFIG, 2))
    );
    assert_eq!(
        available,
        ["28.0", "27.3.4", "26.2.5.12", "25.3.2.21", "24.3.4.17"]
    );

    let Err(PlanError::Malformed { available, .. }) =
        case(&[]).var("elixir_version", "1.18.3.1").plan()
    else {
        panic!("must be refused");
    };
    assert_eq!(available, ["1.18.4", "1.17.3", "1.14.5", "1.9.4"]);

    let Err(PlanError::Malformed { available, .. }) =
        case(&[PACKAGE]).var("node_version", "newest of all").plan()
    else {
        panic!("must be refused");
    };
    assert_eq!(available, ["25.1.0", "24.4.0", "22.17.0"]);
}

#[test]
fn an_unknown_version_comes_with_its_place_and_the_nearest() {
    let Err(PlanError::NoSuchVersion {
        asked,
        nearest,
        newest_of_line,
        target,
        ..
    }) = case(&[(".tool-versions", "erlang 27.9\n")]).plan()
    else {
        panic!("must be refused");
    };
    assert_eq!(asked.origin, Origin::file(".tool-versions", 1));
    assert_eq!(target, "ubuntu-24.04 (amd64)");
    assert_eq!(newest_of_line.as_deref(), Some("27.3.4"));
    assert_eq!(nearest[..2], ["27.3.4", "27.3.3"]);

    let Err(PlanError::NoSuchVersion { nearest, .. }) =
        case(&[]).var("elixir_version", "1.99").plan()
    else {
        panic!("must be refused");
    };
    assert_eq!(nearest[0], "1.18.4");
    let Err(PlanError::NoSuchVersion { nearest, .. }) =
        case(&[PACKAGE]).var("node_version", "99").plan()
    else {
        panic!("must be refused");
    };
    assert_eq!(nearest[0], "25.1.0");
}

#[test]
fn a_bad_pair_names_both_places_and_only_what_is_built_for_the_stack() {
    let error = case(&[
        (ELIXIR_CONFIG, "elixir_version=1.14\n"),
        (".tool-versions", "elixir 1.18.3\nerlang 27\n"),
    ])
    .plan()
    .unwrap_err();
    let expected = PlanError::NotForThisOtp {
        elixir: "1.14.5".into(),
        elixir_source: Origin::file(ELIXIR_CONFIG, 1),
        otp: "27.3.4".into(),
        otp_source: Origin::file(".tool-versions", 2),
        // Elixir 1.14.5 also runs on 23 and 26; there is no build of the former here.
        usable: vec![24, 25, 26],
        first_patch: None,
    };
    assert_eq!(error, expected);
    let Err(PlanError::NotForThisOtp { first_patch, .. }) = case(&[])
        .var("erlang_version", "28")
        .var("elixir_version", "1.18.3")
        .plan()
    else {
        panic!("must be refused");
    };
    assert_eq!(first_patch.as_deref(), Some("1.18.4"));
}

#[test]
fn another_list_of_otp_is_asked_for_what_it_may_change_and_for_nothing_else() {
    let settled = |case: &Case, is_current: bool| {
        plan::otp_is_settled(&case.plan(), &case.lists.otp, &case.last, is_current)
    };
    let asking = |version: &str| case(&[]).var("erlang_version", version);
    let last = |version: &str| case(&[]).last(version, "1.18.3", None);
    for (what, case, by_a_current_list, by_an_old_one) in [
        ("named in full", asking("27.3.3"), true, true),
        ("not listed", asking("27.3.9"), false, false),
        ("no such line", asking("29"), false, false),
        ("the newest of a line", asking("27"), true, false),
        ("the newest of all", case(&[]), true, false),
        ("the last build's", last("27.3.3"), true, true),
        (
            "the last build's, from elsewhere",
            last("27.3.9"),
            false,
            false,
        ),
        (
            "asked for since",
            last("27.3.9").var("erlang_version", "27.3.4"),
            true,
            true,
        ),
        (
            "ahead before",
            last("27.3.9").var("erlang_version", "27"),
            false,
            false,
        ),
        (
            "for an old Elixir",
            case(&[]).var("elixir_version", "1.9"),
            false,
            false,
        ),
        (
            "a bad pair",
            asking("27").var("elixir_version", "1.14"),
            true,
            true,
        ),
        ("no version", asking("twenty"), true, true),
    ] {
        assert_eq!(settled(&case, true), by_a_current_list, "{what}");
        assert_eq!(settled(&case, false), by_an_old_one, "{what}");
    }
}

#[test]
fn what_is_only_in_the_other_list_is_taken_from_there_and_stays() {
    let other = || {
        let row = |name| format!("{name},{SHA},2026-09-15T14:15:27Z,\n");
        let rows: String = ["OTP-27.3.4", "OTP-27.3.9", "maint-27"].map(row).concat();
        OtpListing::parse_csv(&format!("ref_name,ref,datetime,sha256\n{rows}")).expect("a list")
    };
    let with_both = |mut case: Case| {
        case.lists.otp = case.lists.otp.or(other());
        case.planned().erlang
    };
    let asking = |version: &str| with_both(case(&[]).var("erlang_version", version));
    for (asked, version, publisher) in [
        ("27.3.9", "27.3.9", Publisher::Erlef),
        ("27.3.4", "27.3.4", Publisher::HexPm),
        ("26", "26.2.5.12", Publisher::HexPm),
        ("maint-27", "maint-27", Publisher::Erlef),
    ] {
        let erlang = asking(asked);
        assert_eq!(
            (erlang.version.as_str(), erlang.build.publisher),
            (version, publisher)
        );
    }
    let kept = with_both(case(&[]).last("27.3.9", "1.18.3", None));
    assert_eq!(
        (kept.version.as_str(), kept.source),
        ("27.3.9", Origin::LastBuild)
    );
}

#[test]
fn hex_waits_for_a_branch_of_otp_which_is_taken_for_the_newest_release() {
    let mut case = case(&[]).var("erlang_version", "master");
    case.lists.otp = OtpListing::parse(&list(&["OTP-26.2.5.12", "OTP-27.3.4", "master"]));
    let plan = case.planned();
    assert_eq!(plan.otp_major, 27);
    assert_eq!(plan.elixir.build.reference, "v1.18.4-otp-27");
    let hex = plan.steps.iter().find(|step| step.name == StepName::Hex);
    assert_eq!(
        hex.map(|step| step.needs.as_slice()),
        Some([StepName::Erlang].as_slice())
    );
}

#[test]
fn a_wish_that_nothing_else_fits_says_whose_it_is() {
    assert!(matches!(
        case(&[]).var("elixir_version", "1.9").plan(),
        Err(PlanError::NoOtpFor { asked, .. }) if asked.value == "1.9"
    ));
    let mut old = case(&[]).var("erlang_version", "24");
    old.lists.elixir = ElixirListing::parse(&list(&["v1.18.4-otp-27"]));
    assert_eq!(
        old.plan().unwrap_err(),
        PlanError::NoElixirFor {
            asked: Asked::new("24".into(), Origin::ConfigVar("erlang_version".into())),
            otp: "24.3.4.17".into(),
        }
    );
    let mut empty = case(&[PACKAGE]);
    empty.lists.node = Some(NodeIndex::parse("[]").unwrap());
    assert_eq!(
        empty.plan().unwrap_err(),
        PlanError::NoNode {
            arch: "amd64".into()
        }
    );
    let mut strangers = case(&[]);
    strangers.lists.otp = OtpListing::parse(&list(&["OTP-24.3.4.17"]));
    strangers.lists.elixir = ElixirListing::parse(&list(&["v1.18.4-otp-27"]));
    assert!(matches!(
        strangers.plan(),
        Err(PlanError::NothingGoesTogether { .. })
    ));
}

#[test]
fn an_elixir_newer_than_the_table_goes_on_with_a_warning() {
    let mut case = case(&[])
        .var("erlang_version", "28")
        .var("elixir_version", "1.99");
    case.lists.elixir = ElixirListing::parse(&list(&["v1.99.0-otp-28"]));
    let plan = case.planned();
    assert_eq!(plan.elixir.version, "1.99.0");
    assert_eq!(plan.warnings.len(), 1);
    assert!(plan.warnings[0].contains("1.99.0"), "{:?}", plan.warnings);
}

#[test]
fn builds_for_the_nearest_system_are_said_to_be_that() {
    let case = case(&[]);
    let (facts, settings) = case.read();
    let system = OsRelease::parse("ID=debian\nVERSION_ID=12\n");
    let target = Target::resolve(None, &system, Arch::Amd64).unwrap();
    let mix_env = Asked::new("prod".to_owned(), Origin::Default(String::new()));
    let plan = plan::plan(&facts, &settings, target, mix_env, &case.lists, &case.last).unwrap();
    assert_eq!(plan.warnings.len(), 1);
    assert!(
        plan.warnings[0].contains("debian-12"),
        "{:?}",
        plan.warnings
    );
}

/// The root project with dependency and alias of a Phoenix app.
const PHOENIX: (&str, &str) = (
    "mix.exs",
    "[app: :shop, deps: [{:phoenix, \"~> 1.8\"}], aliases: [\"assets.deploy\": [\"phx.digest\"]]]",
);
const SCRIPTS: &str = r#"{"scripts": {"deploy": "a", "build": "b"}}"#;

#[track_caller]
fn asset_build(files: &[(&str, &str)]) -> AssetBuild {
    let plan = case(files).planned();
    assert_eq!(plan.assets.len(), 1);
    plan.assets[0].build.clone()
}

#[test]
fn assets_are_built_by_the_first_of_script_deploy_alias_build() {
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
fn the_asset_script_has_the_name_that_the_static_config_gives_it() {
    let config = (STATIC_CONFIG, "compile=build_assets\n");
    let plan = case(&[PHOENIX, config, ("build_assets", ""), ("compile", "")]).planned();
    let path = "build_assets".to_owned();
    assert_eq!(plan.assets[0].build, AssetBuild::CustomScript { path });
    // The name alone is no script.
    let plan = case(&[PHOENIX, config, ("compile", "")]).planned();
    assert_eq!(plan.assets[0].build, AssetBuild::MixAlias);
}

#[test]
fn the_folder_of_the_assets_is_found_as_the_static_buildpack_finds_it() {
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
    // A folder without package.json is detected over.
    assert_eq!(dir(&[root, config("assets_path=frontend\n")]), ".");
}

#[test]
fn a_configured_folder_anywhere_in_the_app_is_found() {
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

#[test]
fn every_phoenix_app_of_an_umbrella_has_its_assets() {
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
fn phoenix_relative_path_names_the_one_phoenix_app() {
    let config = (STATIC_CONFIG, "phoenix_relative_path=./apps/shop_web/\n");
    let plan = umbrella(&[config]).planned();
    assert_eq!(plan.assets.len(), 1);
    assert_eq!(plan.assets[0].phoenix_dir, "apps/shop_web");
    assert!(plan.node.is_none());

    let wrong = umbrella(&[(STATIC_CONFIG, "\nphoenix_relative_path=apps/shop\n")]);
    assert_eq!(
        wrong.plan().unwrap_err(),
        PlanError::NoSuchFolder {
            key: "phoenix_relative_path",
            asked: Asked::new("apps/shop".into(), Origin::file(STATIC_CONFIG, 2)),
            missing: "mix.exs",
        }
    );
}

#[test]
fn the_lockfile_says_how_packages_are_installed() {
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

fn manager(files: &[(&str, &str)]) -> Result<app::plan::Install, PlanError> {
    let plan = case(files).plan()?;
    Ok(plan.assets[0].install.clone().expect("an install"))
}

#[test]
fn every_package_manager_keeps_to_its_lockfile_and_installs_what_development_needs() {
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
    // Two of one manager are no contradiction.
    let both = [PACKAGE, ("assets/bun.lock", ""), ("assets/bun.lockb", "")];
    assert_eq!(manager(&both).unwrap().command[0], "bun");
}

#[test]
fn package_manager_and_config_keys_pin_the_version_before_the_lockfile_does() {
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
fn package_manager_must_be_that_of_the_lockfile_and_make_sense() {
    let package = |value: &str| format!("{{\n\n\"packageManager\": \"{value}\"}}");
    let asked = |value: &str| Asked::new(value.to_owned(), Origin::file("assets/package.json", 3));
    let pnpm = package("pnpm@9.1.0");
    assert_eq!(
        manager(&[("assets/package.json", &pnpm), ("assets/yarn.lock", "")]).unwrap_err(),
        PlanError::ManagerContradicted {
            asked: asked("pnpm@9.1.0"),
            manager: Manager::Pnpm,
            lockfile: "assets/yarn.lock".into(),
        }
    );
    assert_eq!(
        manager(&[("assets/package.json", &package("pnpm"))]).unwrap_err(),
        PlanError::MalformedManager {
            asked: asked("pnpm")
        }
    );
}

#[test]
fn the_tasks_of_phoenix_are_called_as_its_version_has_them() {
    let lock = |version: &str| {
        format!("%{{\n  \"phoenix\": {{:hex, :phoenix, \"{version}\", \"ab\"}},\n}}")
    };
    let ex = |files: &[(&str, &str)]| case(files).planned().phoenix_ex;
    assert_eq!(ex(&[("mix.lock", &lock("1.2.5"))]), "phoenix");
    assert_eq!(ex(&[("mix.lock", &lock("1.8.1"))]), "phx");
    assert_eq!(ex(&[]), "phx");
    assert_eq!(
        ex(&[
            ("mix.lock", &lock("1.8.1")),
            (STATIC_CONFIG, "phoenix_ex=phoenix\n")
        ]),
        "phoenix"
    );
}

#[test]
fn mix_lock_is_held_to_where_mix_can_and_nobody_says_otherwise() {
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
fn executables_that_a_command_removes_are_known() {
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
fn a_configured_script_that_is_not_there_is_warned_of() {
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
fn a_lockfile_without_package_json_is_nobodys() {
    let plan = case(&[("assets/yarn.lock", "")]).planned();
    assert!(plan.node.is_none() && plan.assets[0].install.is_none());
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
fn hooks_run_alone_and_after_everything_before_them() {
    use StepName::{
        Compile, HookPostCompile, HookPreCompile, HookPreFetchDependencies, PostCompile, PreCompile,
    };
    let plan = case(&[PHOENIX, PACKAGE, (ELIXIR_CONFIG, HOOKS)]).planned();
    let hooks = [
        PreCompile,
        HookPreFetchDependencies,
        HookPreCompile,
        Compile,
        HookPostCompile,
        PostCompile,
    ];
    let at = |name| {
        plan.steps
            .iter()
            .position(|step| step.name == name)
            .unwrap()
    };
    for hook in hooks {
        assert!(plan.steps[at(hook)].alone, "{hook:?}");
        // Whatever comes before a hook has ended when it begins.
        let before: Vec<StepName> = plan.steps[..at(hook)]
            .iter()
            .map(|step| step.name)
            .collect();
        let mut ended: Vec<StepName> = plan.steps[at(hook)].needs.clone();
        let mut next = 0;
        while let Some(name) = ended.get(next).copied() {
            ended.extend(plan.steps[at(name)].needs.iter().copied());
            next += 1;
        }
        for name in before {
            assert!(ended.contains(&name), "{hook:?} does not wait for {name:?}");
        }
    }
    // Without its hook the compile step is Mixpack's own, and JavaScript runs beside it.
    let plan = case(&[PHOENIX, PACKAGE]).planned();
    let compile = plan.steps.iter().find(|step| step.name == Compile).unwrap();
    assert!(!compile.alone && !compile.needs.contains(&StepName::Javascript));
}

#[test]
fn steps_need_only_what_comes_before_them() {
    let apps = [
        case(&[]),
        case(&[PHOENIX, PACKAGE, (ELIXIR_CONFIG, HOOKS)]),
        umbrella(&[(ELIXIR_CONFIG, "release=true\n")]),
    ];
    for app in apps {
        let steps = app.planned().steps;
        for (at, step) in steps.iter().enumerate() {
            for need in &step.needs {
                let before = steps[..at].iter().any(|other| other.name == *need);
                assert!(before, "{:?} needs {need:?}", step.name);
            }
        }
    }
}

#[test]
fn the_document_of_a_plain_app() {
    let plan = case(&[]).planned();
    insta::assert_snapshot!("plain_app", format!("{:#}", plan.to_json()));
}

#[test]
fn the_document_of_a_phoenix_app_with_node_and_hooks() {
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
fn the_document_of_an_umbrella_that_is_a_release() {
    let release = "[apps_path: \"apps\", deps: [], releases: [storefront: []]]";
    let plan = umbrella(&[
        ("mix.exs", release),
        (ELIXIR_CONFIG, "release=true\nhook_compile=make\n"),
    ])
    .planned();
    insta::assert_snapshot!("umbrella_release", format!("{:#}", plan.to_json()));
}

#[test]
fn an_app_in_a_folder_of_the_repository_is_planned_there() {
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
        (plan.projects, plan.beside),
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
    let Some(app::procfile::Procfile(types)) = plan.app_procfile else {
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
    let place = "backend/apps/web/mix.exs:2 has build_path \"../../_build\"";
    assert!(warning.starts_with(place), "{warning}");
    let umbrella = child.var("MIXPACK_APP_RELATIVE_PATH", "backend");
    let Err(PlanError::NoSuchFolder { asked, .. }) = umbrella.plan() else {
        panic!("must be refused");
    };
    let place = "backend/phoenix_static_buildpack.config:1";
    assert_eq!(asked.origin.to_string(), place);
    let plan = umbrella.var("phoenix_relative_path", "apps/web").planned();
    assert!(plan.umbrella);
    assert_eq!(plan.warnings, [""; 0]);
    assert_eq!(plan.assets[0].phoenix_dir, "backend/apps/web");
    assert_eq!(plan.elixir.version, "1.17.3");
}

#[test]
fn an_old_brunch_gets_the_newest_node_that_it_runs_on() {
    let package = |asked: &str| format!("{{\"devDependencies\":{{\"brunch\":\"{asked}\"}}}}");
    let with = |asked: &str| case(&[("assets/package.json", &package(asked))]);
    let of_brunch_2 = "22.17.0 (default: newest that brunch 2 runs on)";
    for asked in ["2.10.9", "^2.10", "~2.1.3"] {
        assert_eq!(with(asked).tools()[2], of_brunch_2, "{asked}");
    }
    let of_phoenix_1_0 = "{\"dependencies\":{\"brunch\":\">= 1.8 < 1.9\"}}";
    assert_eq!(
        case(&[("package.json", of_phoenix_1_0)]).tools()[2],
        "22.17.0 (default: newest that brunch 1 runs on)"
    );
    // A last build counts if brunch runs on it, a wish always.
    let last = |node| with("^2.10").last("27.3.4", "1.18.3", Some(node));
    assert_eq!(last("24.4.0").tools()[2], of_brunch_2);
    assert_eq!(last("22.16.0").tools()[2], "22.16.0 (the last build)");
    assert_eq!(
        with("^2.10").var("node_version", "24").tools()[2],
        "24.4.0 (config var node_version)"
    );
    let newest = "24.4.0 (default: newest LTS)";
    assert_eq!(with("^4").tools()[2], newest);
    // An open range excludes, it does not ask.
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
fn components_of_bower_need_node_with_and_without_packages() {
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
fn skipped_assets_take_node_and_the_digest_with_them() {
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
    // Who says no is heard: the config var first, then the file.
    assert_eq!(
        skipped(&key("true").var("MIXPACK_SKIP_ASSETS", "false")),
        None
    );
    assert_eq!(skipped(&key("false").file(".buildpacks", two)), None);
}

#[test]
fn a_name_that_is_nearly_a_setting_is_told_with_its_line_and_other_variables_are_not() {
    let case = case(&[
        (
            ELIXIR_CONFIG,
            "# versions\nelixir_verison=1.18\nhook_post_compiled=\"echo done\"\nexport APP_NAME=shop\n",
        ),
        (
            STATIC_CONFIG,
            "clean_cahce=true\ncompile=compile\ncompiler=gcc\n",
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
    let warnings = mistyped::warnings(&facts, &settings, &vars, &["MIXPACK_CLEAN_BUILD"]);
    assert_eq!(
        warnings,
        [
            "elixir_buildpack.config:2: elixir_verison is no setting; did you mean elixir_version?",
            "elixir_buildpack.config:3: hook_post_compiled is no setting; did you mean hook_post_compile?",
            // `compiler` is not: `compile` has a value.
            "phoenix_static_buildpack.config:1: clean_cahce is no setting; did you mean clean_cache?",
            "config var MIXPACK_SLIMM is no setting; did you mean MIXPACK_SLIM?",
            "config var MIXPACK_CLEAN_BUILDS is no setting; did you mean MIXPACK_CLEAN_BUILD?",
            "config var node_verson is no setting; did you mean node_version?",
        ]
    );
}

#[test]
fn a_plan_knows_each_setting_by_the_place_that_won() {
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
        .map(|(name, asked)| format!("{name}={} ({})", asked.value, asked.origin))
        .collect();
    assert_eq!(
        set,
        [
            "MIXPACK_SLIM=full (config var MIXPACK_SLIM)",
            "release=true (elixir_buildpack.config:1)",
        ]
    );
}
