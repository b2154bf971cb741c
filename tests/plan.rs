//! `mixpack plan` on a developer's machine: what would be built and why, for people and for scripts.

use mirror::{Override, Server};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use whole_builds::artifact_host;
use whole_builds::pages::{Documented, filled};

const OTP_LIST: &str = "/builds/otp/amd64/ubuntu-24.04/builds.txt";

/// A copy of a fixture, and an artifact host that counts its requests.
struct Case {
    app: tempfile::TempDir,
    host: Server,
    stack: &'static str,
    /// Whether there is a second source of OTP.
    other_otp: bool,
    /// Additional variables of the shell.
    env: Vec<(&'static str, &'static str)>,
}

fn case(fixture: &str) -> Case {
    let app = tempfile::tempdir().expect("a folder for the app");
    let fixture = whole_builds::repository().join("fixtures").join(fixture);
    whole_builds::copy(&fixture, app.path());
    Case {
        app,
        host: artifact_host(),
        stack: "heroku-24",
        other_otp: false,
        env: Vec::new(),
    }
}

fn executable() -> PathBuf {
    let exe = std::env::var_os("MIXPACK_EXE");
    PathBuf::from(exe.expect("MIXPACK_EXE: run `cargo xtask test`"))
}

impl Case {
    fn write(&self, path: &str, text: &str) {
        fs::write(self.app.path().join(path), text).expect("a file of the app");
    }

    /// Runs `mixpack plan` with none of this process's environment.
    fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(executable());
        command.arg("plan").args(args).arg(self.app.path());
        command.output().expect("mixpack runs")
    }

    /// A line that a person types.
    fn typed(&self, line: &str) -> Output {
        let bin = tempfile::tempdir().expect("a folder for the executable");
        std::os::unix::fs::symlink(executable(), bin.path().join("mixpack")).expect("a link");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.path().display());
        let mut command = self.command("bash".into());
        command.args(["-c", line]).env("PATH", path);
        command.output().expect("bash runs")
    }

    fn command(&self, program: PathBuf) -> Command {
        let url = self.host.url();
        let other = ("MIXPACK_OTP_BUILDS_URL", format!("{url}/erlef/otp_builds"));
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(self.other_otp.then_some(other))
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("NO_COLOR", "1")
            .env("STACK", self.stack)
            .env("HEX_BUILDS_URL", self.host.url())
            .env("NODEJS_ORG_MIRROR", format!("{}/dist", self.host.url()))
            .envs(self.env.iter().copied());
        command
    }

    #[track_caller]
    fn json(&self) -> Value {
        let output = self.run(&["--json"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said, "", "a document comes with nothing beside it");
        serde_json::from_slice(&output.stdout).expect("one JSON document")
    }

    /// The error because of which no plan can be made, from both forms of the command.
    #[track_caller]
    fn refused(&self) -> String {
        let [plain, json] = [self.run(&[]), self.run(&["--json"])];
        for output in [&plain, &json] {
            assert_eq!(output.status.code(), Some(1));
            assert_eq!(output.stdout, b"", "an error goes to stderr");
        }
        assert_eq!(plain.stderr, json.stderr);
        let text = String::from_utf8(plain.stderr).expect("UTF-8");
        text.replace(&self.host.url(), "http://HOST")
            .trim()
            .to_owned()
    }

    fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self
            .host
            .requests()
            .into_iter()
            .map(|request| request.path)
            .collect();
        paths.sort();
        paths
    }
}

fn words(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .expect("a list")
        .iter()
        .map(|word| word.as_str().expect("a word"))
        .collect()
}

#[test]
fn plan_json_has_tools_steps_and_processes() {
    let case = case("phoenix-npm");
    let plan = case.json();
    for (tool, version, source) in [
        ("erlang", "27.3.4.1", "elixir_buildpack.config:5"),
        ("elixir", "1.18.3", "elixir_buildpack.config:2"),
        ("node", "24.21.0", "phoenix_static_buildpack.config:2"),
    ] {
        assert_eq!(plan["tools"][tool]["version"], version);
        assert_eq!(plan["tools"][tool]["source"], source);
    }
    assert_eq!(plan["processes"]["web"]["command"], "mix phx.server");
    let steps = plan["steps"].as_array().expect("steps");
    let names: Vec<&str> = steps
        .iter()
        .map(|step| step["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        names,
        [
            "erlang",
            "elixir",
            "node",
            "hex",
            "restore",
            "deps",
            "javascript",
            "compile",
            "assets",
            "digest",
            "save",
            "profile",
            "slim"
        ]
    );
    assert_eq!(
        case.paths(),
        [
            "/builds/elixir/builds.txt",
            "/builds/otp/amd64/ubuntu-24.04/builds.txt",
            "/dist/index.json"
        ]
    );
}

#[test]
fn app_without_javascript_does_not_fetch_node_index() {
    let case = case("no-deps");
    let plan = case.json();
    assert!(plan["tools"].get("node").is_none(), "{}", plan["tools"]);
    assert_eq!(plan["processes"]["web"]["command"], "mix run --no-halt");
    assert!(!case.paths().iter().any(|path| path.starts_with("/dist")));
}

#[test]
fn plan_uses_stack_and_lists_like_build() {
    let mut case = case("no-deps");
    case.write("elixir_buildpack.config", "# the newest of what is built\n");
    assert_eq!(case.json()["tools"]["erlang"]["version"], "27.3.4.1");
    case.stack = "heroku-22";
    let plan = case.json();
    assert_eq!(plan["tools"]["erlang"]["version"], "25.2.3");
    assert_eq!(plan["target"], "ubuntu-22.04 (amd64)");
}

#[test]
fn plan_falls_back_to_erlef_list_with_warning() {
    let mut case = case("no-deps");
    case.other_otp = true;
    case.write(
        "elixir_buildpack.config",
        "elixir_version=1.18\nerlang_version=27\n",
    );
    let of_the_first = case.json();
    assert_eq!(of_the_first["warnings"], serde_json::json!([]));
    case.host
        .set_override(OTP_LIST, Override::Body(b"\n".to_vec()));
    let plan = case.json();
    assert_eq!(plan["tools"], of_the_first["tools"]);
    assert_eq!(plan["tools"]["erlang"]["version"], "27.3.4.1");
    assert_eq!(
        plan["tools"]["erlang"]["source"],
        "elixir_buildpack.config:2"
    );
    let warnings = words(&plan["warnings"]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("is empty; using http://"),
        "{warnings:?}"
    );

    case.host.set_override(
        "/erlef/otp_builds/raw/main/builds/x86_64-unknown-linux-gnu-ubuntu-24.04.csv",
        Override::Status(404),
    );
    let refused = case.refused();
    for part in [
        "/ubuntu-24.04/builds.txt returned no entries",
        "http://HOST/erlef/otp_builds/raw/main/builds/x86_64-unknown-linux-gnu-ubuntu-24.04.csv:",
        "Error code: list-empty",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
}

#[test]
fn error_for_list_without_releases_names_branches() {
    const LIST: &str =
        "/erlef/otp_builds/raw/main/builds/x86_64-unknown-linux-gnu-ubuntu-24.04.csv";
    let mut case = case("no-deps");
    let row = format!(
        "{},2026-09-15T14:15:27Z,{}\n",
        "c".repeat(40),
        "d".repeat(64)
    );
    let line = row.replace(',', " ");
    let first = format!("maint {line}master {line}");
    case.host
        .set_override(OTP_LIST, Override::Body(first.into()));
    let second = Override::Body(format!("maint,{row}").into());
    case.host.set_override(LIST, second);
    case.other_otp = true;
    let branches = |refused: &str, code: &str, branches: &[&str]| {
        for part in [&[&*format!("Error code: {code}")], branches].concat() {
            assert!(refused.contains(part), "{part}: {refused}");
        }
    };
    for wanted in ["erlang_version=27.3\n", "elixir_version=1.18\n", ""] {
        case.write("elixir_buildpack.config", wanted);
        let both = ["; only branches: maint, master)", "; only branches: maint)"];
        branches(&case.refused(), "no-release-listed", &both);
    }
    // The release may be in neither list, and the first one may be down.
    case.write("elixir_buildpack.config", "erlang_version=27.3.4.99\n");
    case.host.set_override(OTP_LIST, Override::Status(503));
    let refused = case.refused();
    branches(&refused, "host-failing", &["lists only branches (maint)."]);
    case.host.clear_override(OTP_LIST);
    let refused = case.refused();
    branches(
        &refused,
        "version-not-available",
        &["; only branches: maint)"],
    );
    assert!(!refused.contains("maint, master"), "{refused}");
}

#[test]
fn plan_prints_tables_of_tools_steps_processes_and_settings() {
    let mut commands = Documented::of(
        "whole-builds/plan::plan_prints_tables_of_tools_steps_processes_and_settings",
    );
    let case = case("phoenix-npm");
    let shown = commands.command("docs/configuration.md", "STACK=heroku-24 mixpack plan DIR");
    let dir = case.app.path().display().to_string();
    let output = case.typed(&filled(&shown, &[("DIR", &dir)]));
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    insta::assert_snapshot!("phoenix_npm", text);
    let page = include_str!("../docs/configuration.md");
    assert!(page.contains(&text), "docs/configuration.md shows it");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
}

#[test]
fn documented_doctor_commands_work() {
    const PAGE: &str = "docs/doctor.md";
    let mut commands = Documented::of("whole-builds/plan::documented_doctor_commands_work");
    let case = case("phoenix-npm");
    let runtime = case.app.path().join("config/runtime.exs");
    let text = fs::read_to_string(&runtime).expect("the fixture's file");
    let fixed = text.replace("port: port", "port: 4000");
    assert_ne!(fixed, text);
    case.write("config/runtime.exs", &fixed);
    let dir = case.app.path().display().to_string();
    let mut typed = |page: &str, command: &str| {
        let line = filled(&commands.command(page, command), &[("DIR", &dir)]);
        case.typed(&format!("cd {dir} && {line}"))
    };
    let output = typed(PAGE, "mixpack doctor DIR");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let page = include_str!("../docs/doctor.md");
    assert!(page.contains(&text), "{PAGE} shows it: {text}");
    let of_readme = typed("README.md", "mixpack doctor DIR");
    assert_eq!(String::from_utf8_lossy(&of_readme.stdout), text);

    case.write(
        "config/runtime.exs",
        &fixed.replace("port: 4000", "port: port"),
    );
    case.write("config_vars", "PHX_HOST='shop.example.org'\n");
    let output = typed(PAGE, "mixpack doctor --env config_vars DIR");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        text.ends_with("\n0 errors, 0 warnings, 3 notes\n"),
        "{text}"
    );

    let output = typed(PAGE, "mixpack doctor --sarif DIR > doctor.sarif");
    assert_eq!(output.status.code(), Some(0));
    let sarif = fs::read(case.app.path().join("doctor.sarif")).expect("it was written");
    let sarif: Value = serde_json::from_slice(&sarif).expect("one JSON document");
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "url-host");
}

#[test]
fn documented_explain_commands_work() {
    let mut commands = Documented::of("whole-builds/plan::documented_explain_commands_work");
    let case = case("phoenix-npm");
    for (page, command, code) in [
        (
            "docs/errors.md",
            "mixpack explain hook-failed",
            "hook-failed",
        ),
        (
            "docs/doctor.md",
            "mixpack explain port-not-from-environment",
            "port-not-from-environment",
        ),
        ("README.md", "mixpack explain CODE", "no-mix-exs"),
    ] {
        let line = commands.command(page, command).replace("CODE", code);
        let output = case.typed(&line);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(text.starts_with(&format!("{code}: ")), "{command}: {text}");
    }
}

#[test]
fn documented_migrate_commands_work() {
    const PAGE: &str = "docs/migrating.md";
    const OLD: &str = "# as on Heroku\nhashnuke/elixir\nhttps://github.com/gjaldon/heroku-buildpack-phoenix-static\n";
    let mut commands = Documented::of("whole-builds/plan::documented_migrate_commands_work");
    let mut case = case("phoenix-npm");
    case.write(".buildpacks", OLD);
    let dir = case.app.path().display().to_string();
    let mut line = |page: &str, command: &str| {
        let line = filled(&commands.command(page, command), &[("DIR", &dir)]);
        line.replace("<owner>", "someone")
    };
    let show = line(PAGE, "mixpack migrate DIR");
    assert_eq!(line("README.md", "mixpack migrate DIR"), show);
    let write = line(PAGE, "mixpack migrate --write DIR");
    let with_url = "mixpack migrate --write --url https://github.com/<owner>/mixpack DIR";
    let write_with_url = line(PAGE, with_url);
    let read =
        |case: &Case| fs::read_to_string(case.app.path().join(".buildpacks")).expect("the file");
    let said = |output: &Output| {
        let text = [&*output.stdout, &*output.stderr].concat();
        String::from_utf8(text).expect("UTF-8")
    };

    let output = case.typed(&show);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    for part in [
        "--- a/.buildpacks\n+++ b/.buildpacks\n@@ -1,3 +1,2 @@\n",
        "\n-hashnuke/elixir\n-https",
        "\n+https://github.com/<owner>/mixpack\n",
        "Mixpack can build the app for heroku-24: erlang 27.3.4.1, elixir 1.18.3, node",
        "\nNot changed yet: .buildpacks. Add --write to make",
        "\n  git push dokku main\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    assert_eq!(read(&case), OLD);

    // First the URL is unknown, then git has no copy of the file.
    let unknown = said(&case.typed(&write));
    assert!(
        unknown.contains("Nothing was written: Mixpack's URL isn't known."),
        "{unknown}"
    );
    let init = case.typed(&format!("cd {dir} && git init --quiet"));
    assert!(init.status.success());
    let dirty = case.typed(&write_with_url);
    assert_eq!(dirty.status.code(), Some(1));
    let text = said(&dirty);
    assert!(
        text.contains("there are uncommitted changes in .buildpacks."),
        "{text}"
    );
    assert_eq!(read(&case), OLD);
    let commit = "git add . && git -c user.name=A -c user.email=a@example.com commit --quiet -m 1";
    assert!(
        case.typed(&format!("cd {dir} && {commit}"))
            .status
            .success()
    );
    let output = case.typed(&write_with_url);
    let text = said(&output);
    assert!(
        output.status.success() && text.contains("\nChanged: .buildpacks\n"),
        "{text}"
    );
    let new = "# as on Heroku\nhttps://github.com/someone/mixpack\n";
    assert_eq!(read(&case), new);
    let text = said(&case.typed(&write_with_url));
    assert!(text.contains("No file has to change."), "{text}");
    assert_eq!(read(&case), new);

    // The stack has no build of these versions: the nearest ones are requested.
    let config = case.app.path().join("elixir_buildpack.config");
    let text = fs::read_to_string(&config).expect("the fixture's file");
    case.write("elixir_buildpack.config", &text.replace("27", "25.3"));
    let text = said(&case.typed(&show));
    for part in [
        "\n-erlang_version=25.3\n+erlang_version=27.3.4.1\n",
        "so the lines now\n    request the nearest versions.",
        "Mixpack can build the app for heroku-24: erlang 27.3.4.1,",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // The URL comes from a clone of Mixpack's repository.
    let undo = format!("cd {dir} && git checkout --quiet .");
    assert!(case.typed(&undo).status.success());
    let clone = tempfile::tempdir().expect("a folder for the clone");
    fs::create_dir(clone.path().join(".git")).expect("a folder");
    let config =
        "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = git@github.com:someone/mixpack.git\n";
    fs::write(clone.path().join(".git/config"), config).expect("a file");
    let clone = clone.path().to_str().expect("UTF-8").to_owned();
    case.env.push(("MIXPACK_BUILDPACK_DIR", clone.leak()));
    let text = said(&case.typed(&write));
    assert!(
        text.contains("\n+https://github.com/someone/mixpack.git\n"),
        "{text}"
    );
    assert_eq!(
        read(&case),
        "# as on Heroku\nhttps://github.com/someone/mixpack.git\n"
    );
}

#[test]
fn plans_listed_pair_that_elixir_does_not_support() {
    const LIST: &str = "/builds/elixir/builds.txt";
    let case = case("no-deps");
    let versions = "elixir_version=1.14.0\nerlang_version=27\n";
    case.write("elixir_buildpack.config", versions);
    let refused = case.refused();
    assert!(
        refused.contains("Error code: elixir-otp-incompatible"),
        "{refused}"
    );
    let list = whole_builds::artifacts().join(LIST.trim_start_matches('/'));
    let mut list = fs::read_to_string(list).expect("upstream's list");
    let line = list.lines().find(|line| line.starts_with("v1.14.0-otp-25"));
    list += &line.expect("it is listed").replace("-otp-25", "-otp-27");
    let body = Override::Body(list.into_bytes());
    case.host.set_override(LIST, body);
    let output = case.run(&[]);
    assert!(output.status.success());
    let warnings = String::from_utf8(output.stderr).expect("UTF-8");
    let warning = "Elixir 1.14.0 does not support Erlang/OTP 27; continuing, since upstream publishes a build";
    assert!(warnings.contains(warning), "{warnings}");
}

#[test]
fn plan_reports_same_errors_as_build() {
    let mut case = case("no-deps");
    case.write(
        "elixir_buildpack.config",
        "elixir_version=1.14\nerlang_version=27\n",
    );
    let refused = case.refused();
    let of_a_build = include_str!("snapshots/errors__pair_incompatible.snap");
    let (_, of_a_build) = of_a_build.rsplit_once("---\n").expect("a snapshot");
    let of_a_plan = of_a_build.replace("Build failed: ", "Cannot plan the build: ");
    assert_eq!(refused, of_a_plan.trim());

    case.stack = "heroku-20";
    let refused = case.refused();
    assert!(
        refused.contains("Error code: stack-end-of-life"),
        "{refused}"
    );
    case.stack = "heroku-24";

    case.write("elixir_buildpack.config", "erlang_version=99\n");
    let refused = case.refused();
    assert!(
        refused.contains("Error code: version-not-available"),
        "{refused}"
    );

    fs::remove_file(case.app.path().join("mix.exs")).expect("mix.exs");
    let refused = case.refused();
    assert!(refused.contains("Error code: no-mix-exs"), "{refused}");
    let paths = case.paths();
    assert!(
        paths.iter().all(|path| path.ends_with("/builds.txt")),
        "{paths:?}"
    );
}

#[test]
fn plan_evaluates_bash_config_at_relative_path() {
    let case = case("no-deps");
    let config = "elixir_version=1.18\nerlang_version=$(cat otp)\n";
    case.write("elixir_buildpack.config", config);
    case.write("otp", "27\n");
    let parent = case.app.path().parent().expect("a parent");
    let name = case.app.path().file_name().expect("a name");
    let mut command = case.command(executable());
    command
        .args(["plan", "--json"])
        .arg(name)
        .current_dir(parent);
    let output = command.output().expect("mixpack runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let plan: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(plan["tools"]["erlang"]["version"], "27.3.4.1");

    case.write("elixir_buildpack.config", "erlang_version = 27\n");
    let refused = case.refused();
    assert!(refused.contains("erlang_version=27"), "{refused}");
    let code = "Error code: config-command-failed";
    assert!(refused.contains(code), "{refused}");
}

#[test]
fn stale_buildpack_list_does_not_skip_node_or_assets() {
    let case = case("phoenix-npm");
    let before = case.json();
    case.write(
        ".buildpacks",
        "https://github.com/HashNuke/heroku-buildpack-elixir\n\
         https://github.com/gjaldon/heroku-buildpack-phoenix-static\n",
    );
    assert_eq!(case.json(), before);
}

#[test]
fn plan_does_not_modify_app() {
    let case = case("phoenix-npm");
    let before = listing(case.app.path());
    case.json();
    assert_eq!(listing(case.app.path()), before);
}

fn listing(dir: &Path) -> Vec<(PathBuf, std::time::SystemTime)> {
    walkdir::WalkDir::new(dir)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| {
            let entry = entry.expect("a readable tree");
            let metadata = entry.metadata().expect("metadata");
            (
                entry.path().to_owned(),
                metadata.modified().expect("a time"),
            )
        })
        .collect()
}

#[test]
fn plan_reports_skipped_assets_without_fetching_node_index() {
    let mut case = case("phoenix-npm");
    case.env.push(("MIXPACK_SKIP_ASSETS", "true"));
    let plan = case.json();
    assert_eq!(plan["skip_assets"], "config var MIXPACK_SKIP_ASSETS");
    assert!(plan["tools"]["node"].is_null());
    let paths = case.paths();
    assert!(
        !paths.iter().any(|path| path.contains("/dist")),
        "{paths:?}"
    );
    let text = String::from_utf8(case.run(&[]).stdout).expect("UTF-8");
    let why = "assets are skipped (config var MIXPACK_SKIP_ASSETS)";
    assert!(text.contains(why), "{text}");
    assert!(!text.contains("\ndigest"), "{text}");
    let row = |line: &str| {
        line.split_whitespace()
            .any(|word| word == "MIXPACK_SKIP_ASSETS")
    };
    assert!(
        text.lines()
            .any(|line| row(line) && line.ends_with("  true")),
        "{text}"
    );
}

#[test]
fn plan_suggests_setting_for_typo() {
    let mut case = case("no-deps");
    case.write(
        "elixir_buildpack.config",
        "elixir_version=1.18\nerlang_version=27\nhook_post_compiled='echo done'\nAPP=shop\n",
    );
    case.env.push(("MIXPACK_SLIMM", "full"));
    let told = [
        "elixir_buildpack.config:3: unknown setting hook_post_compiled; did you mean hook_post_compile?",
        "unknown config var MIXPACK_SLIMM; did you mean MIXPACK_SLIM?",
    ];
    assert_eq!(words(&case.json()["warnings"]), told);
    let output = case.run(&[]);
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(
        said,
        format!("\n !     {}\n !     {}\n\n", told[0], told[1])
    );
}

#[test]
fn plan_tables_show_procfile_and_every_setting() {
    let case = case("no-deps");
    case.write(
        "elixir_buildpack.config",
        "elixir_version=1.18\nerlang_version=27\nslim=none\nhook_compile='mix compile\ntrue'\n",
    );
    case.write("Procfile", "worker: mix work\n");
    let output = case.run(&[]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let has = |row: &str| {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.lines().any(|line| words(line) == row), "{row}\n{text}");
    };
    has("SETTING FROM VALUE");
    has("slim elixir_buildpack.config:3 none");
    has("hook_compile elixir_buildpack.config:4 mix compile …");
    has("MIX_ENV production prod");
    has("worker mix work Procfile");
    has("node not needed - there is no package.json for assets");
    assert!(
        !text.contains("erlang_version"),
        "the tools have it:\n{text}"
    );
}

#[test]
fn plan_reports_missing_asset_script() {
    let case = case("phoenix-npm");
    let said = |output: Output| String::from_utf8(output.stdout).expect("UTF-8");
    assert!(!said(case.run(&[])).contains("no asset script found"));
    case.write("assets/package.json", "{\"scripts\": {}}\n");
    let text = said(case.run(&[]));
    let mut rows = text.lines().filter(|line| line.starts_with("assets  "));
    assert!(
        rows.any(|row| row.contains("no asset script found") && row.ends_with("only digested")),
        "{text}"
    );
}
