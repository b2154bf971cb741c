//! Releases: their paths, the files that ship, and the commands that start them.

use std::fs;
use std::path::Path;
use walkdir::WalkDir;
use whole_builds::{App, Deploy, holds, lacks, npm_registry, said, size};

const CONFIG: &str = "elixir_buildpack.config";
const HELLO: &str = "eval 'IO.puts(NoDeps.hello())'";

/// The app without dependencies, with these releases.
fn app(releases: &str) -> App {
    let app = App::fixture("no-deps");
    app.edit(CONFIG, "erlang_version", "release=true\nerlang_version");
    app.edit(
        "mix.exs",
        "deps: []",
        &format!("deps: [],\n      releases: [{releases}]"),
    );
    app
}

/// The paths of archives below a folder.
fn tarballs(dir: &Path) -> Vec<String> {
    WalkDir::new(dir)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".tar.gz"))
        .map(|entry| entry.path().display().to_string())
        .collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder").filter_map(Result::ok);
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn starts(app: &App, deploy: Deploy, web: &str) {
    deploy.expect_success();
    assert_eq!(app.web(&deploy), web);
    let executable = web.trim_end_matches(" start");
    let output = app.ship(deploy).run(&format!("{executable} {HELLO}"));
    assert!(said(&output).contains("world"), "{}", said(&output));
}

#[test]
fn release_with_custom_path_starts_and_is_not_a_source() {
    let app = app("no_deps: [path: \"out/release\", steps: [:assemble, :tar]]");
    let web = "out/release/bin/no_deps start";
    let deploy = app.deploy();
    deploy.expect_success();
    holds(&deploy, "release: archive (.tar.gz)");
    assert_eq!(tarballs(&deploy.slug), [""; 0]);
    let sources = WalkDir::new(app.cache()).into_iter().filter_map(Result::ok);
    for note in sources.filter(|entry| entry.file_name().to_string_lossy().starts_with("sources-"))
    {
        let text = fs::read_to_string(note.path()).unwrap();
        assert!(!text.contains("out/release"), "{text}");
    }

    // After a rebuild in the same directory, no file of the old release is left.
    let build_dir = deploy.build_dir.clone();
    let mix_exs = deploy.slug.join("mix.exs");
    let text = fs::read_to_string(&mix_exs).unwrap();
    fs::write(&mix_exs, text.replace("0.1.0", "0.2.0")).unwrap();
    let rebuilt = app.compile(&build_dir);
    rebuilt.expect_success();
    let versions = names(&rebuilt.slug.join("out/release/releases"));
    assert_eq!(versions, ["0.2.0", "COOKIE", "start_erl.data"]);
    starts(&app, rebuilt, web);

    app.config("MIXPACK_SLIM", "full");
    let alone = app.deploy();
    alone.expect_success();
    assert_eq!(names(&alone.slug), [".mixpack", ".profile.d", "out"]);
    assert_eq!(tarballs(&alone.slug), [""; 0]);
    starts(&app, alone, web);
}

#[test]
fn release_archives_are_visible_to_hooks_but_not_shipped_or_cached() {
    let app = app("no_deps: [steps: [:assemble, :tar]]");
    app.edit(
        CONFIG,
        "release=true",
        "release=true\npost_compile=\"ls _build/prod > seen\"",
    );
    let first = app.deploy();
    first.expect_success();
    let seen = |deploy: &Deploy| fs::read_to_string(deploy.slug.join("seen")).unwrap();
    assert!(seen(&first).contains("no_deps-0.1.0.tar.gz"));
    let (_, held) = size(app.cache());
    app.edit("mix.exs", "version: \"0.1.0\"", "version: \"0.1.1\"");
    let second = app.deploy();
    second.expect_success();
    assert!(!seen(&second).contains("0.1.0"), "{}", seen(&second));
    for dir in [&first.slug, &second.slug, app.cache()] {
        assert_eq!(tarballs(dir), [""; 0]);
    }
    let (_, now) = size(app.cache());
    let grown = now.abs_diff(held);
    assert!(grown < 100_000, "the cache changed by {grown} bytes");

    app.config("MIXPACK_SLIM", "none");
    let kept = app.deploy();
    kept.expect_success();
    assert_eq!(tarballs(&kept.slug).len(), 1);
    starts(&app, kept, "_build/prod/rel/no_deps/bin/no_deps start");
    assert_eq!(tarballs(app.cache()), [""; 0]);
}

#[test]
fn directories_at_top_of_app_can_be_copied() {
    let stamp =
        "fn release -> File.cp_r!(\"templates\", release.path <> \"/templates\"); release end";
    let app = app(&format!(
        "no_deps: [overlays: \"extra\", steps: [:assemble, {stamp}]]"
    ));
    app.write("extra/etc/extra.json", "overlay");
    app.write("templates/mail.txt", "mail");
    app.write("public/a.txt", "a");
    app.write("heroku.txt", "of Heroku");
    app.write("version.txt", "old");
    let hook = "mkdir -p priv/static && cp -r public priv/static/ && mv heroku.txt version.txt";
    app.edit(
        CONFIG,
        "release=true",
        &format!("release=true\nhook_pre_compile='{hook}'"),
    );
    for _ in 0..2 {
        let deploy = app.deploy();
        deploy.expect_success();
        let release = "_build/prod/rel/no_deps";
        for (path, text) in [
            ("priv/static/public/a.txt", "a"),
            ("version.txt", "of Heroku"),
            (&format!("{release}/etc/extra.json"), "overlay"),
            (&format!("{release}/templates/mail.txt"), "mail"),
        ] {
            let file = deploy.slug.join(path);
            assert!(!file.parent().unwrap().is_symlink(), "{path}");
            assert_eq!(fs::read_to_string(&file).expect(path), text);
        }
        assert!(!deploy.slug.join("heroku.txt").exists());
        assert!(deploy.slug.join("extra/etc/extra.json").is_file());
    }
}

#[test]
fn missing_release_start_command_fails_build() {
    // Two releases share their overlays, so bin/server belongs to one of them.
    let app = app("front: [], back: [path: \"/tmp/elsewhere\"]");
    app.edit(
        "mix.exs",
        "deps: []",
        "default_release: :back,\n      deps: []",
    );
    app.write("rel/overlays/bin/server", "#!/bin/sh\nexec ./front start\n");
    let server = app.source().join("rel/overlays/bin/server");
    fs::set_permissions(&server, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let deploy = app.deploy();
    holds(
        &deploy,
        "mix would assemble the release back in /tmp/elsewhere, outside of the app's folder",
    );
    holds(
        &deploy,
        "_build/prod/rel/back/bin/server starts the release front",
    );
    starts(&app, deploy, "_build/prod/rel/back/bin/back start");

    app.edit(
        "mix.exs",
        "path: \"/tmp/elsewhere\"",
        "steps: [:assemble, fn release -> File.rename!(release.path, \"_build/prod/moved\"); release end]",
    );
    let gone = app.deploy();
    assert!(!gone.succeeded, "{}", gone.log());
    holds(
        &gone,
        "mix release did not create _build/prod/rel/back/bin/back",
    );
    app.write("Procfile", "web: _build/prod/moved/bin/back start\n");
    let moved = app.deploy();
    lacks(&moved, "release-missing");
    moved.expect_success();
    holds(&moved, "web: _build/prod/moved/bin/back start (Procfile)");
    let dyno = app.ship(moved);
    assert!(said(&dyno.run(&format!("_build/prod/moved/bin/back {HELLO}"))).contains("world"));
}

/// A stand-in for the package distillery, with only the parts that Mixpack depends on. As in distillery 2.1, its task
/// needs an application of Erlang that the project doesn't name.
const DISTILLERY: &str = r##"defmodule Mix.Tasks.Distillery.Release do
  use Mix.Task

  def run(["--no-tar"]) do
    Mix.Task.run("compile")
    :ok = Application.load(:sasl)
    rel = "_build/#{Mix.env()}/rel/shop"
    File.mkdir_p!(rel <> "/bin")
    File.mkdir_p!(rel <> "/releases")
    File.write!(rel <> "/releases/start_erl.data", "15.0 0.1.0")
    File.write!(rel <> "/bin/shop", "#!/bin/sh\necho \"shop: $1\"\n")
    File.chmod!(rel <> "/bin/shop", 0o755)
  end
end
"##;

#[test]
fn distillery_builds_release_if_mix_defines_none() {
    let app = App::fixture("no-deps");
    app.edit(CONFIG, "erlang_version", "release=true\nerlang_version");
    app.edit(
        "mix.exs",
        "deps: []",
        "deps: [{:distillery, path: \"vendor/distillery\", runtime: false}]",
    );
    app.write(
        "vendor/distillery/mix.exs",
        "defmodule Distillery.MixProject do\n  use Mix.Project\n  def project, do: [app: :distillery, version: \"2.1.1\"]\nend\n",
    );
    app.write("vendor/distillery/lib/release.ex", DISTILLERY);
    let by_mix = app.deploy();
    by_mix.expect_success();
    let web = "_build/prod/rel/no_deps/bin/no_deps start";
    assert_eq!(app.web(&by_mix), web);
    drop(by_mix);

    app.write("rel/config.exs", "");
    for _ in 0..2 {
        let deploy = app.deploy();
        deploy.expect_success();
        holds(&deploy, "$ mix distillery.release --no-tar\n");
        let web = "_build/prod/rel/shop/bin/shop foreground";
        assert_eq!(app.web(&deploy), web);
        assert_eq!(names(&deploy.slug.join("_build/prod/rel")), ["shop"]);
        let output = app.ship(deploy).run(web);
        assert!(
            said(&output).contains("shop: foreground"),
            "{}",
            said(&output)
        );
    }
    app.edit(
        "vendor/distillery/lib/release.ex",
        "#{Mix.env()}/rel",
        "#{Mix.env()}/other",
    );
    let elsewhere = app.deploy();
    assert!(!elsewhere.succeeded);
    holds(&elsewhere, "Error code: release-missing");
}

/// The executable is cached compressed, and a build that reuses its assets has no other use for it.
#[test]
fn release_step_can_run_executable_of_package_when_assets_are_reused() {
    let app = App::fixture("phoenix-esbuild-mix");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    let hook = "hook_post_compile=\"eval mix assets.deploy && rm -f _build/esbuild*\"";
    app.edit(CONFIG, hook, "release=true");
    app.write("phoenix_static_buildpack.config", "");
    app.edit(
        "mix.exs",
        "aliases: aliases()",
        "releases: [phoenix_esbuild_mix: [steps: [:assemble, &esbuild/1]]], aliases: aliases()",
    );
    let step = r#"  defp esbuild(release) do
    {:ok, version} = Esbuild.bin_version()
    File.write!(Path.join(release.path, "esbuild.txt"), version)
    release
  end

  defp aliases do"#;
    app.edit("mix.exs", "  defp aliases do", step);
    let version = |deploy: &Deploy| {
        deploy.expect_success();
        let release = deploy.slug.join("_build/prod/rel/phoenix_esbuild_mix");
        fs::read_to_string(release.join("esbuild.txt")).unwrap()
    };
    let first = version(&app.deploy());
    let second = app.deploy();
    assert_eq!(version(&second), first);
    holds(&second, "assets: up to date");
}
