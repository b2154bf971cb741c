//! `docs/heroku.md` against a run: its files and commands are used as they stand there, and every
//! log that it shows is that of a build.

#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use walkdir::WalkDir;
use whole_builds::{App, Deploy, Dyno};

/// A fenced block of the page, and the comment before it: `<!-- log: first deploy -->`.
struct Block {
    mark: Option<String>,
    language: String,
    text: String,
}

fn page() -> String {
    fs::read_to_string(whole_builds::repository().join("docs/heroku.md")).expect("docs/heroku.md")
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut mark = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block {
                mark: mark.take(),
                language: language.to_owned(),
                text: text.join("\n") + "\n",
            });
        } else if let Some(comment) = line.strip_prefix("<!-- ") {
            mark = comment.strip_suffix(" -->").map(str::to_owned);
        }
    }
    blocks
}

/// The text of the one block with this mark.
fn marked(blocks: &[Block], mark: &str) -> String {
    let found: Vec<&Block> = blocks
        .iter()
        .filter(|block| block.mark.as_deref() == Some(mark))
        .collect();
    assert_eq!(found.len(), 1, "blocks with the mark {mark:?}");
    found[0].text.clone()
}

/// The fixture as an app of the name that the page has.
fn hello() -> App {
    let app = App::fixture("phoenix-esbuild-mix");
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
    // Stands for Ecto, which cannot be had here.
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

/// A log without colours and without what changes from run to run: seconds, sizes, hosts.
fn normal(app: &App, log: &str) -> Vec<String> {
    let log = log
        .replace("\x1b[1;31m", "")
        .replace("\x1b[1;33m", "")
        .replace("\x1b[0m", "")
        .replace("-standin", "")
        // The mirror has no signatures, and upstream has them.
        .replace(
            "sha512 verified; the lists are not signed",
            "sha512 and signature verified",
        )
        .replace(&app.host.url(), "https://builds.hex.pm");
    log.lines()
        // Debian's Elixir, of which the test toolchain is made, has no files for Windows.
        .filter(|line| !line.contains("for windows"))
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

/// `0.3 s`, `27.1 MB`, `2839 files` and `0.018s` with `N`, and with the one blank before it.
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

/// The blocks of a log, each with its lines. Those of steps that run side by side may come in any
/// order, and so may the lines of the last one, which stand as the steps began.
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

/// The commands `$ heroku run …` of a block, as a dyno gets them.
fn runs(block: &Block) -> impl Iterator<Item = String> + '_ {
    block
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("$ heroku run "))
        .map(|command| {
            let words = command.trim_matches('"');
            words.to_owned()
        })
}

#[track_caller]
fn on_the_dyno(dyno: &Dyno, command: &str) -> String {
    dyno.one_off(&format!("bash -c '{}'", command.replace('\'', "'\\''")))
}

#[track_caller]
fn deployed(app: &App) -> Deploy {
    let deploy = app.deploy();
    deploy.expect_success();
    deploy
}

/// What `mix phx.gen.release` writes.
fn overlays(app: &App) {
    let overlays = app.sandbox.tmp().join("source/rel/overlays/bin");
    for (name, line) in [
        ("server", "PHX_SERVER=true exec ./hello start"),
        ("migrate", "exec ./hello eval Hello.Release.migrate"),
    ] {
        let script = format!("#!/bin/sh\nset -eu\ncd -P -- \"$(dirname -- \"$0\")\"\n{line}\n");
        app.write(&format!("rel/overlays/bin/{name}"), &script);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(overlays.join(name), mode).unwrap();
    }
}

#[test]
fn the_page_about_heroku_is_what_happens() {
    let page = page();
    let blocks = blocks(&page);
    let app = hello();

    let first = deployed(&app);
    same(
        &app,
        &marked(&blocks, "log: first deploy"),
        &first.stdout,
        true,
    );
    let web = app.web(&first);
    assert!(page.contains(&format!("`web: {web}`")), "{web}");
    let dyno = app.ship(first);
    let page_of_app = dyno.start(&web).get("/");
    assert!(page_of_app.contains("/assets/app-"), "{page_of_app}");
    let of_release = |block: &Block| block.text.contains("_build/prod/rel");
    let mut commands = Vec::new();
    for block in blocks.iter().filter(|block| !of_release(block)) {
        for command in runs(block) {
            let said = on_the_dyno(&dyno, &command);
            if command.contains("ecto.migrate") {
                assert!(said.contains("migrated with a pool of 2"), "{said}");
            }
            commands.push(command);
        }
    }
    assert!(commands.len() > 2, "{commands:?}");
    for block in blocks.iter().filter(|block| block.language == "elixir") {
        fs::write(dyno.app.join("snippet.exs"), &block.text).unwrap();
        on_the_dyno(
            &dyno,
            "elixir -e 'Code.string_to_quoted!(File.read!(\"snippet.exs\"))'",
        );
    }

    app.edit("lib/hello/page.ex", "Mixpack", "Mixpack, again");
    let second = deployed(&app);
    same(
        &app,
        &marked(&blocks, "log: second deploy"),
        &second.stdout,
        false,
    );
    fs::remove_dir_all(&second.slug).unwrap();

    // A release phase in the Procfile.
    let procfile = marked(&blocks, "Procfile");
    app.write("Procfile", &procfile);
    let (_, migrate) = procfile.split_once("release: ").expect("a release phase");
    app.write(
        "elixir_buildpack.config",
        &marked(&blocks, "elixir_buildpack.config: versions"),
    );
    let versions = deployed(&app);
    same(
        &app,
        &marked(&blocks, "log: versions"),
        &versions.stdout,
        false,
    );
    let dyno = app.ship(versions);
    let said = on_the_dyno(&dyno, migrate.lines().next().unwrap());
    assert!(said.contains("migrated with a pool of"), "{said}");

    let config = marked(&blocks, "elixir_buildpack.config: release");
    app.write("elixir_buildpack.config", &config);
    app.write("Procfile", &marked(&blocks, "Procfile of a release"));
    overlays(&app);
    let release = deployed(&app);
    same(
        &app,
        &marked(&blocks, "log: release"),
        &release.stdout,
        false,
    );
    let web = app.web(&release);
    let dyno = app.ship(release);
    assert!(dyno.start(&web).get("/").contains("/assets/app-"));
    for block in blocks.iter().filter(|block| of_release(block)) {
        for command in runs(block) {
            on_the_dyno(&dyno, &command);
        }
        if let Some((_, line)) = block.text.split_once("release: ") {
            let said = on_the_dyno(&dyno, line.lines().next().unwrap());
            assert!(said.contains("migrated by the release"), "{said}");
        }
    }

    app.write(
        "elixir_buildpack.config",
        &config.replace("release=true", "erlang_version=27.9"),
    );
    let failed = app.deploy();
    assert!(!failed.succeeded);
    let error = failed.stderr.split_once("\x1b[1;31m").unwrap().1;
    let shown = marked(&blocks, "log: failed deploy");
    assert_eq!(
        normal(&app, error.trim_end()),
        normal(&app, shown.trim_end())
    );
}
