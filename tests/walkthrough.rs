//! Follows `docs/heroku.md`: uses its files and commands unchanged, and compares each of its logs with that of a
//! build.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use walkdir::WalkDir;
use whole_builds::heroku_standin::{ADDRESS, HerokuStandIn};
use whole_builds::pages::{Block, Documented, blocks, filled, page};
use whole_builds::postgres::Postgres;
use whole_builds::{App, compiling};

const PAGE: &str = "docs/heroku.md";
const TROUBLESHOOTING: &str = "docs/troubleshooting.md";

/// The text of the only block with this mark.
fn marked(blocks: &[Block], mark: &str) -> String {
    let found: Vec<&Block> = blocks
        .iter()
        .filter(|block| block.mark.as_deref() == Some(mark))
        .collect();
    assert_eq!(found.len(), 1, "blocks with the mark {mark:?}");
    found[0].text.clone()
}

/// The fixture, with the name of the page's app.
fn hello() -> App {
    let app = App::cold_fixture("phoenix-esbuild-mix");
    let source = app.source();
    let mut paths: Vec<_> = WalkDir::new(source)
        .contents_first(true)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .collect();
    paths.retain(|path| *path != source);
    for path in paths {
        if path.is_file() {
            let text = fs::read_to_string(&path).unwrap();
            let text = text
                .replace("phoenix_esbuild_mix", "hello")
                .replace("PhoenixEsbuildMix", "Hello");
            fs::write(&path, text).unwrap();
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let named = path.with_file_name(name.replace("phoenix_esbuild_mix", "hello"));
        if named != path {
            fs::rename(&path, named).unwrap();
        }
    }
    app.remove("elixir_buildpack.config");
    app.remove("Procfile");
    // Stands in for Ecto, which can't be fetched here.
    app.write(
        "lib/mix/tasks/ecto.migrate.ex",
        "defmodule Mix.Tasks.Ecto.Migrate do\n  use Mix.Task\n  def run(_), do: IO.puts(\"migrated with a pool of #{System.get_env(\"POOL_SIZE\", \"10\")}\")\nend\n",
    );
    app.write(
        "lib/hello/release.ex",
        "defmodule Hello.Release do\n  def migrate, do: IO.puts(\"migrated by the release\")\nend\n",
    );
    let registry = Command::new("npm")
        .args(["config", "get", "registry"])
        .output()
        .expect("npm runs");
    app.config(
        "NPM_CONFIG_REGISTRY",
        String::from_utf8(registry.stdout).unwrap().trim(),
    );
    app
}

/// A log without colours and without values that vary between runs: seconds, sizes, hosts.
fn normal(app: &App, log: &str) -> Vec<String> {
    let log = log
        .replace("\x1b[1;31m", "")
        .replace("\x1b[1;33m", "")
        .replace("\x1b[0m", "")
        .replace("-standin", "")
        // Unlike upstream, the mirror has no signatures.
        .replace(
            "sha512 verified; the lists are not signed",
            "sha512 and signature verified",
        )
        .replace(&app.host.url(), "https://builds.hex.pm");
    log.lines()
        // Debian's Elixir, of which the test toolchain is made, has no files for Windows.
        .filter(|line| !line.contains("for windows"))
        // On a slow machine, these lines are added.
        .filter(|line| !line.ends_with(" s so far"))
        .map(|line| {
            let line = line.trim_end();
            match line.trim_start() {
                rest if rest.starts_with("sources ") => "       sources …".to_owned(),
                _ if line.contains("(read on ") => {
                    let (before, _) = line.split_once("(read on ").unwrap_or_default();
                    format!("{before}(read on …)")
                }
                _ => numbers(line),
            }
        })
        .collect()
}

/// `0.3 s`, `27.1 MB`, `2839 files` and `0.018s` with `N`, and with one blank before it.
fn numbers(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |word: &str| {
        let digits = word.trim_end_matches('s').trim_end_matches('m');
        !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
    };
    let mut out: Vec<String> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let unit = ["s", "MB", "MB,", "files"].contains(&next);
        if number(word) && (unit || word.ends_with('s')) {
            while out.len() > 8 && out.last().is_some_and(String::is_empty) {
                out.pop();
            }
            out.push("N".to_owned());
        } else {
            out.push((*word).to_owned());
        }
    }
    out.join(" ")
}

/// The blocks of a log, each with its lines. Blocks of parallel steps may come in any order, and so may the lines of
/// the last one, which are in the order in which the steps started.
fn steps(lines: &[String]) -> BTreeSet<Vec<String>> {
    let mut steps: Vec<Vec<String>> = Vec::new();
    for line in lines {
        match steps.last_mut() {
            Some(step) if !line.starts_with("----->") => step.push(line.clone()),
            _ => steps.push(vec![line.clone()]),
        }
    }
    for step in &mut steps {
        step.retain(|line| !line.trim().is_empty());
        if step.first().is_some_and(|line| line == "-----> Built") {
            step.sort();
        }
    }
    steps.into_iter().collect()
}

#[track_caller]
fn same(app: &App, shown: &str, log: &str, whole: bool) {
    let (shown, real) = (steps(&normal(app, shown)), steps(&normal(app, log)));
    let missing: Vec<_> = shown.difference(&real).collect();
    assert!(
        missing.is_empty(),
        "the page shows {missing:#?}\nbut the log is\n{log}"
    );
    if whole {
        let left_out: Vec<_> = real.difference(&shown).collect();
        assert!(left_out.is_empty(), "the page leaves out {left_out:#?}");
    }
}

/// Runs a command of a page in the checkout, and returns its output. Dynos must compile nothing.
#[track_caller]
fn typed(heroku: &HerokuStandIn, command: &str) -> String {
    let said = heroku.sh(&command.replace(ADDRESS.0, ADDRESS.1));
    if command.starts_with("heroku run ") {
        assert!(compiling(&said).is_empty(), "{command}: {said}");
    }
    said
}

/// The files that `mix phx.gen.release` writes.
fn overlays(heroku: &HerokuStandIn) {
    for (name, line) in [
        ("server", "PHX_SERVER=true exec ./hello start"),
        ("migrate", "exec ./hello eval Hello.Release.migrate"),
    ] {
        let path = format!("rel/overlays/bin/{name}");
        let script = format!("#!/bin/sh\nset -eu\ncd -P -- \"$(dirname -- \"$0\")\"\n{line}\n");
        heroku.write(&path, &script);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(heroku.source().join(path), mode).unwrap();
    }
}

#[test]
fn documented_heroku_commands_work() {
    let mut commands = Documented::of("whole-builds/walkthrough::documented_heroku_commands_work");
    let push = "git push heroku main";
    let blocks = blocks(&page(PAGE));
    let postgres = Postgres::start();
    let heroku = HerokuStandIn::with_database(hello(), postgres.database_url());
    let app = heroku.app();

    for first in [
        "heroku create hello-of-mine",
        "heroku config:set POOL_SIZE=18",
    ] {
        for command in commands.beside(PAGE, first) {
            typed(&heroku, &command);
        }
    }
    assert_eq!(heroku.config("POOL_SIZE").as_deref(), Some("18"));
    assert_eq!(heroku.config("DATABASE_URL"), Some(postgres.database_url()));
    assert_eq!(heroku.config("SECRET_KEY_BASE").unwrap().len(), 64);
    let pushed = typed(&heroku, &commands.command(PAGE, push));
    assert!(pushed.contains("remote: -----> Built"), "{pushed}");
    same(
        app,
        &marked(&blocks, "log: first deploy"),
        &heroku.log(),
        true,
    );
    let web = heroku.process("web");
    assert!(page(PAGE).contains(&format!("`web: {web}`")), "{web}");
    let page_of_app = heroku.web().get("/");
    assert!(page_of_app.contains("/assets/app-"), "{page_of_app}");
    let said = typed(
        &heroku,
        &commands.command(PAGE, "heroku run \"POOL_SIZE=2 mix ecto.migrate\""),
    );
    assert!(said.contains("migrated with a pool of 2"), "{said}");
    for command in commands.beside(PAGE, "heroku run \"mix help\"") {
        typed(&heroku, &command);
    }
    for block in blocks.iter().filter(|block| block.language == "elixir") {
        fs::write(heroku.slug().join("snippet.exs"), &block.text).unwrap();
        let parse = "Code.string_to_quoted!(File.read!(\\\"snippet.exs\\\"))";
        typed(&heroku, &format!("heroku run \"elixir -e '{parse}'\""));
    }

    heroku.edit("lib/hello/page.ex", "Mixpack", "Mixpack, again");
    for command in commands.beside(PAGE, "git commit --all --message \"Say hello twice\"") {
        typed(&heroku, &command);
    }
    same(
        app,
        &marked(&blocks, "log: second deploy"),
        &heroku.log(),
        false,
    );

    // A release phase in the Procfile.
    heroku.write("Procfile", &marked(&blocks, "Procfile"));
    heroku.write(
        "elixir_buildpack.config",
        &marked(&blocks, "elixir_buildpack.config: versions"),
    );
    heroku.commit();
    let pushed = typed(&heroku, push);
    assert!(pushed.contains("migrated with a pool of 2"), "{pushed}");
    same(app, &marked(&blocks, "log: versions"), &heroku.log(), false);

    let config = marked(&blocks, "elixir_buildpack.config: release");
    heroku.write("elixir_buildpack.config", &config);
    heroku.write("Procfile", &marked(&blocks, "Procfile of a release"));
    overlays(&heroku);
    heroku.commit();
    let pushed = typed(&heroku, push);
    assert!(pushed.contains("migrated by the release"), "{pushed}");
    same(app, &marked(&blocks, "log: release"), &heroku.log(), false);
    assert!(heroku.web().get("/").contains("/assets/app-"));
    let migrate = "heroku run \"_build/prod/rel/hello/bin/migrate\"";
    for command in commands.beside(PAGE, migrate) {
        typed(&heroku, &command);
    }

    let release_config = config.replace("release=true", "erlang_version=27.9");
    heroku.write("elixir_buildpack.config", &release_config);
    heroku.commit();
    let failed = heroku.run(push);
    assert!(!failed.status.success());
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(said.contains("pre-receive hook declined"), "{said}");
    let error = heroku.error();
    let error = error.split_once("\x1b[1;31m").unwrap().1;
    let shown = marked(&blocks, "log: failed deploy");
    assert_eq!(normal(app, error.trim_end()), normal(app, shown.trim_end()));

    heroku.write("elixir_buildpack.config", &config);
    heroku.commit();
    let clean = "heroku config:set clean_cache=true";
    for first in ["heroku run \"du -sh .\"", clean] {
        for command in commands.beside(TROUBLESHOOTING, first) {
            typed(&heroku, &command);
        }
    }
    let log = heroku.log();
    assert!(log.contains("Clearing cache"), "{log}");
    assert_eq!(heroku.config("clean_cache"), None);
}

const MIGRATING: &str = "docs/migrating.md";

#[test]
fn documented_migration_from_old_buildpacks_works() {
    let mut commands =
        Documented::of("whole-builds/walkthrough::documented_migration_from_old_buildpacks_works");
    let heroku = HerokuStandIn::new(App::fixture("no-deps"));
    let old = [
        "hashnuke/elixir",
        "https://github.com/gjaldon/heroku-buildpack-phoenix-static.git",
    ];
    heroku.sh("heroku create an-app");
    for buildpack in old {
        heroku.sh(&format!("heroku buildpacks:add {buildpack}"));
    }
    let listed = typed(&heroku, &commands.command(MIGRATING, "heroku buildpacks"));
    assert!(
        old.iter().all(|buildpack| listed.contains(buildpack)),
        "{listed}"
    );
    let plan = commands.command(MIGRATING, "STACK=heroku-24 mixpack plan DIR");
    let plan = typed(&heroku, &filled(&plan, &[("DIR", ".")]));
    assert!(plan.contains("builds for ubuntu-24.04"), "{plan}");
    for command in commands.beside(MIGRATING, "heroku buildpacks:clear") {
        typed(&heroku, &command);
    }
    assert!(heroku.log().contains("-----> Built"), "{}", heroku.log());

    heroku.sh("heroku buildpacks:clear && heroku buildpacks:add heroku-community/apt");
    for buildpack in old {
        heroku.sh(&format!("heroku buildpacks:add {buildpack}"));
    }
    for command in commands.beside(MIGRATING, "heroku buildpacks:remove hashnuke/elixir") {
        typed(&heroku, &command);
    }
    assert_eq!(heroku.buildpacks(), [ADDRESS.1, "heroku-community/apt"]);
}

const CACHE: &str = "docs/cache.md";
const PRIVATE_PACKAGES: &str = "docs/private-packages.md";
const MONOREPO: &str = "docs/monorepo.md";

#[test]
fn documented_config_var_commands_work() {
    let mut commands =
        Documented::of("whole-builds/walkthrough::documented_config_var_commands_work");
    let heroku = HerokuStandIn::new(App::fixture("no-deps"));
    heroku.sh("heroku create an-app");
    let readme = "README.md";
    let set = "heroku buildpacks:set <git URL of this repository>";
    for command in commands.beside(readme, set) {
        heroku.sh(&command.replace("<git URL of this repository>", ADDRESS.1));
    }
    let dropped = "-----> Clearing cache";
    assert!(heroku.log().contains("-----> Built"), "{}", heroku.log());
    assert!(!heroku.log().contains(dropped), "{}", heroku.log());

    // Exactly one build.
    let clean = commands.command(CACHE, "heroku config:set MIXPACK_CLEAN_BUILD=$(date +%s)");
    typed(&heroku, &clean);
    for expected in [true, false] {
        heroku.commit();
        heroku.sh("git push heroku main");
        assert_eq!(heroku.log().contains(dropped), expected, "{}", heroku.log());
    }

    // The build gets values of one and of several lines unchanged.
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nbm9uZQ==\n-----END OPENSSH PRIVATE KEY-----";
    fs::write(heroku.source().join("deploy_key"), format!("{key}\n")).unwrap();
    let ssh = "heroku config:set GIT_SSH_KEY=\"$(cat deploy_key)\"";
    for command in commands.beside(PRIVATE_PACKAGES, ssh) {
        typed(&heroku, &command);
    }
    assert_eq!(heroku.config("GIT_SSH_KEY").as_deref(), Some(key));
    let token = "https://x-access-token:a-token-of-git@github.com";
    assert_eq!(heroku.config("GIT_CREDENTIALS").as_deref(), Some(token));
    let keys = heroku.config("HEX_ORGANIZATION_KEYS").unwrap();
    assert_eq!(keys.strip_prefix("acme:").unwrap().len(), 32);
    heroku.sh("rm deploy_key");
    heroku.commit();
    let pushed = heroku.sh("git push heroku main");
    for malformed in ["GIT_CREDENTIALS", "GIT_SSH_KEY", "HEX_ORGANIZATION_KEYS"] {
        assert!(!pushed.contains(malformed), "it is warned of: {pushed}");
    }
}

#[test]
fn documented_subdirectory_deploy_works() {
    let mut commands =
        Documented::of("whole-builds/walkthrough::documented_subdirectory_deploy_works");
    let app = App::fixture("monorepo");
    app.remove("elixir_buildpack.config");
    // Stands in for Ecto's task.
    app.write(
        "backend/lib/mix/tasks/ecto.migrate.ex",
        "defmodule Mix.Tasks.Ecto.Migrate do\n  use Mix.Task\n  def run(_), do: IO.puts(\"migrated\")\nend\n",
    );
    let heroku = HerokuStandIn::new(app);
    heroku.sh("heroku create an-app");
    heroku.sh(&format!("heroku buildpacks:set {}", ADDRESS.1));
    let folder = "heroku config:set MIXPACK_APP_RELATIVE_PATH=backend";
    typed(&heroku, &commands.command(MONOREPO, folder));
    heroku.sh("git push heroku main");
    let migrate = "heroku run \"cd backend && mix ecto.migrate\"";
    let said: Vec<String> = commands
        .beside(MONOREPO, migrate)
        .iter()
        .map(|command| typed(&heroku, command))
        .collect();
    assert_eq!(said[0], "migrated\n");
    assert!(said[1].contains("Interactive Elixir"), "{}", said[1]);
}
