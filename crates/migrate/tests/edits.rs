//! Edits of files that name the old buildpacks: each case with its diff and its notes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use migrate::{Commands, File, Migration, Platform, commands, diff, migrate, with_assignments};

const URL: &str = "https://github.com/owner/mixpack";
const ELIXIR: &str = "https://github.com/HashNuke/heroku-buildpack-elixir.git";
const STATIC: &str = "https://github.com/gjaldon/heroku-buildpack-phoenix-static.git";

fn files(files: &[(&str, &str)]) -> Vec<File> {
    let files = files.iter().map(|(path, text)| File {
        path: (*path).to_owned(),
        text: (*text).to_owned(),
    });
    files.collect()
}

fn moved(named: &[(&str, &str)]) -> Migration {
    migrate(&files(named), URL)
}

fn typed(named: &[(&str, &str)]) -> Vec<Commands> {
    let files = files(named);
    commands(&files, &migrate(&files, URL).edited, URL)
}

/// The diff, and the notes.
fn shown(migration: &Migration) -> String {
    let diffs: String = migration
        .edited
        .iter()
        .map(|edited| diff(edited, false))
        .collect();
    let notes: Vec<String> = migration
        .notes
        .iter()
        .map(|note| format!("{}: {}\n", note.place, note.text))
        .collect();
    format!("{diffs}{}", notes.concat())
}

/// The new text of the only file, which a second run doesn't change.
#[track_caller]
fn edited(path: &str, text: &str) -> String {
    let migration = moved(&[(path, text)]);
    let [edited] = &migration.edited[..] else {
        panic!("{}", shown(&migration));
    };
    assert_eq!(edited.old, text);
    let again = moved(&[(path, &edited.new)]);
    assert_eq!(again.edited, [], "a second run changes nothing");
    edited.new.clone()
}

/// The notes about a file that isn't changed.
#[track_caller]
fn left(path: &str, text: &str) -> String {
    let migration = moved(&[(path, text)]);
    assert_eq!(migration.edited, []);
    shown(&migration)
}

#[test]
fn every_name_of_the_two_buildpacks_is_replaced() {
    let elixir = [
        "hashnuke/elixir",
        "https://github.com/HashNuke/heroku-buildpack-elixir",
        "https://github.com/HashNuke/heroku-buildpack-elixir.git",
        "https://github.com/HashNuke/heroku-buildpack-elixir.git#v1.2",
        "git@github.com:HashNuke/heroku-buildpack-elixir.git",
        "https://github.com/HashNuke/heroku-elixir-buildpack.git",
        "https://github.com/HashNuke/heroku-buildpack-elixir/archive/master.tar.gz",
        "https://github.com/HashNuke/heroku-buildpack-elixir/tarball/main",
        "https://codeload.github.com/HashNuke/heroku-buildpack-elixir/tar.gz/main",
        "https://buildpack-registry.s3.amazonaws.com/buildpacks/hashnuke/elixir.tgz",
        "https://cnb-shim.herokuapp.com/v1/hashnuke/elixir",
        "urn:buildpack:hashnuke/elixir",
        "https://github.com/gigalixir/gigalixir-buildpack-elixir.git",
    ];
    let statics = [
        "https://github.com/gjaldon/heroku-buildpack-phoenix-static",
        "https://github.com/gjaldon/heroku-buildpack-phoenix-static.git#v2",
        "https://github.com/gjaldon/phoenix-static-buildpack",
        "https://github.com/gjaldon/heroku-buildpack-phoenix-static/archive/master.tar.gz",
        "https://github.com/gigalixir/gigalixir-buildpack-phoenix-static.git",
        "https://github.com/gigalixir/gigalixir-heroku-buildpack-phoenix-static",
        "gjaldon/phoenix-static",
    ];
    for name in elixir {
        let text = format!("{name}\n{STATIC}\n");
        assert_eq!(edited(".buildpacks", &text), format!("{URL}\n"), "{name}");
        let text = format!("{{\"buildpacks\": [{{\"url\": \"{name}\"}}]}}");
        let expected = format!("{{\"buildpacks\": [{{\"url\": \"{URL}\"}}]}}");
        assert_eq!(edited("app.json", &text), expected, "{name}");
    }
    for name in statics {
        let text = format!("{ELIXIR}\n{name}\n");
        assert_eq!(edited(".buildpacks", &text), format!("{URL}\n"), "{name}");
    }
}

#[test]
fn app_json_keeps_its_formatting_in_all_environments() {
    let text = "{\r\n\t\"name\":   \"shop\",\r\n\t\"buildpacks\": [\r\n\t\t{ \"url\": \"heroku-community/apt\" },\r\n\t\t{\r\n\t\t\t\"url\": \"hashnuke/elixir\"\r\n\t\t},\r\n\t\t{\r\n\t\t\t\"url\": \"https://github.com/gjaldon/heroku-buildpack-phoenix-static.git\"\r\n\t\t}\r\n\t],\r\n\t\"env\": {\"a\": {\"value\": \"[\\\"\\\\\"}, \"buildpacks\": \"hashnuke/elixir\"},\r\n\t\"environments\": {\r\n\t\t\"test\": {\r\n\t\t\t\"buildpacks\": [{\"url\": \"https://github.com/gjaldon/heroku-buildpack-phoenix-static\"}, {\"url\": \"hashnuke/elixir\"}, {\"url\": \"heroku/chrome\"}]\r\n\t\t}\r\n\t}\r\n}";
    let expected = text
        .replacen("hashnuke/elixir\"\r\n\t\t},\r\n\t\t{\r\n\t\t\t\"url\": \"https://github.com/gjaldon/heroku-buildpack-phoenix-static.git", URL, 1)
        .replacen("https://github.com/gjaldon/heroku-buildpack-phoenix-static\"}, {\"url\": \"hashnuke/elixir", URL, 1);
    assert_eq!(edited("app.json", text), expected);
    insta::assert_snapshot!(
        "app_json",
        shown(&moved(&[("app.json", text)])).replace('\r', "")
    );
}

#[test]
fn mixpack_takes_the_place_of_the_first() {
    let text = format!(
        "# the build\n\nhttps://github.com/heroku/heroku-buildpack-apt\n  {ELIXIR}  \n\n# assets\n{STATIC}"
    );
    let expected = format!(
        "# the build\n\nhttps://github.com/heroku/heroku-buildpack-apt\n  {URL}  \n\n# assets\n"
    );
    assert_eq!(edited(".buildpacks", &text), expected);
    let migration = moved(&[(".buildpacks", &text)]);
    insta::assert_snapshot!("dot_buildpacks", shown(&migration));
    assert_eq!(
        edited(".buildpacks", &format!("{STATIC}\n{ELIXIR}\n")),
        format!("{URL}\n")
    );
    // Half of the migration was made by hand.
    assert_eq!(
        edited(".buildpacks", &format!("{URL}\r\n{STATIC}\r\n")),
        format!("{URL}\r\n")
    );
    let json = |list: &str| format!("{{\"buildpacks\": [{list}]}}");
    let half = json(&format!("\"{STATIC}\", \"{ELIXIR}\",\n \"{URL}\""));
    assert_eq!(edited("app.json", &half), json(&format!("\"{URL}\"")));
}

#[test]
fn lists_that_are_not_understood_stay() {
    let fork = "https://github.com/someone/heroku-buildpack-elixir";
    let multi = "https://github.com/ddollar/heroku-buildpack-multi.git";
    let texts = [
        format!("{fork}\n{STATIC}\n"),
        format!("{ELIXIR}\nhttps://user:secret@host/team/phoenix-static\n"),
        format!("{multi}\n{ELIXIR}\n"),
        format!("heroku/nodejs\n{STATIC}\n"),
    ];
    let notes: Vec<String> = texts.iter().map(|text| left(".buildpacks", text)).collect();
    insta::assert_snapshot!("lists_that_stay", notes.concat());
    assert!(!notes.concat().contains("secret"));
    let broken = left(
        "app.json",
        "{\"keywords\": [\"a\" \"b\"],\n\"buildpacks\": [{\"url\": \"hashnuke/elixir\"}]}",
    );
    assert!(
        broken.starts_with("app.json:1: app.json isn't JSON: expected `,`"),
        "{broken}"
    );
    for other in [
        "heroku/ruby\n",
        "",
        "# hashnuke/elixir\n",
        "https://github.com/owner/mixpack\n",
    ] {
        assert_eq!(left(".buildpacks", other), "", "{other}");
    }
    assert_eq!(
        left(
            "app.json",
            "{\"buildpacks\": [], \"name\": \"hashnuke/elixir\"}"
        ),
        ""
    );
}

#[test]
fn other_buildpacks_stay_with_a_remark() {
    let text = format!(
        "https://github.com/gigalixir/gigalixir-buildpack-clean-cache.git\nhttps://github.com/timanovsky/subdir-heroku-buildpack\nheroku/nodejs\n{ELIXIR}\nhttps://github.com/gigalixir/gigalixir-buildpack-phoenix-static\nhttps://github.com/gigalixir/gigalixir-buildpack-mix.git\nhttps://github.com/gigalixir/gigalixir-buildpack-releases.git\nhttps://github.com/gigalixir/gigalixir-buildpack-distillery.git\nheroku-community/apt\n"
    );
    insta::assert_snapshot!("other_buildpacks", shown(&moved(&[(".buildpacks", &text)])));
}

#[test]
fn scripts_that_set_buildpacks_are_edited() {
    let workflow = "\
on: push
jobs:
  deploy:
    steps:
      # hashnuke/elixir builds it
      - uses: akhileshns/heroku-deploy@v3.12.14
        with:
          buildpack: \"https://github.com/HashNuke/heroku-buildpack-elixir.git\"
  review:
    steps:
      - run: |
          heroku create --buildpack hashnuke/elixir shop-$PR
          heroku buildpacks:add https://github.com/gjaldon/heroku-buildpack-phoenix-static.git -a shop-$PR
          git push heroku main
      - run: heroku buildpacks:set hashnuke/elixir
      - run: heroku buildpacks:add https://github.com/gjaldon/heroku-buildpack-phoenix-static
";
    edited(".github/workflows/deploy.yml", workflow);
    let script = "set -e\nheroku config:set BUILDPACK_URL=\"https://github.com/HashNuke/heroku-buildpack-elixir.git\" --app shop-$1\n";
    edited("bin/deploy", script);
    let makefile = "heroku:\n\theroku buildpacks:set hashnuke/elixir\n\t@heroku buildpacks:add https://github.com/gjaldon/heroku-buildpack-phoenix-static\n";
    edited("Makefile", makefile);
    let terraform = "resource \"heroku_build\" \"x\" {\n  buildpacks = [\n    \"https://github.com/HashNuke/heroku-buildpack-elixir\",\n    \"https://github.com/gjaldon/heroku-buildpack-phoenix-static\",\n  ]\n}\n";
    edited("infra/main.tf", terraform);
    let manifest = "applications:\n- name: shop\n  buildpacks:\n  - https://github.com/HashNuke/heroku-buildpack-elixir\n  - https://github.com/gjaldon/heroku-buildpack-phoenix-static\n  memory: 1G\n";
    edited("manifest.yml", manifest);
    insta::assert_snapshot!(
        "scripts",
        shown(&moved(&[
            (".github/workflows/deploy.yml", workflow),
            ("Makefile", makefile),
            ("bin/deploy", script),
            ("infra/main.tf", terraform),
            ("manifest.yml", manifest),
        ]))
    );
}

#[test]
fn script_with_an_unclear_line_stays_as_a_whole() {
    let add = "heroku buildpacks:add https://github.com/gjaldon/heroku-buildpack-phoenix-static";
    let scripts = [
        format!("heroku buildpacks:set hashnuke/elixir && {add}\n"),
        format!("heroku buildpacks:set hashnuke/elixir\n{add} \\\n  --app shop\n"),
        "heroku buildpacks:set hashnuke/elixir\ngit clone https://github.com/HashNuke/heroku-buildpack-elixir\n".to_owned(),
        format!("{add}\n"),
        "heroku buildpacks:set https://github.com/someone/heroku-buildpack-elixir\n".to_owned(),
        "heroku buildpacks:remove hashnuke/elixir\n".to_owned(),
        format!("heroku buildpacks:set hashnuke/elixir\n{add} --index 2\n"),
    ];
    for script in &scripts {
        assert!(
            left("bin/deploy", script).starts_with("bin/deploy:"),
            "{script}"
        );
    }
    let step = "- run: heroku buildpacks:set hashnuke/elixir\n- name: static\n  run: heroku buildpacks:add gjaldon/phoenix-static\n";
    assert!(left(".travis.yml", step).starts_with(".travis.yml:3: This line names"));
    let only = "- run: heroku buildpacks:set hashnuke/elixir\n- run: |\n    heroku buildpacks:add gjaldon/phoenix-static\n- run: x\n";
    assert!(left(".travis.yml", only).starts_with(".travis.yml:3: This line names"));
    for other in [
        "uses: docker://hub.docker.com/_/elixir\n",
        "image: elixir:1.18\nkey: deps/elixir\n",
        "# heroku buildpacks:set hashnuke/elixir\n",
        "curl https://github.com/HashNuke/heroku-buildpack-elixir-otp-builds/raw/master/otp-versions\n",
    ] {
        assert_eq!(left("ci.yml", other), "", "{other}");
    }
}

#[test]
fn texts_and_config_files_only_get_notes() {
    let readme = "# Shop\n\n    heroku create --buildpack hashnuke/elixir\n\nSee [it](https://github.com/HashNuke/heroku-buildpack-elixir).\n";
    let elixir = "elixir_version=1.14.5\nerlang_version=25.3\nalways_rebuild=true\nconfig_vars_to_export=(DATABASE_URL)\n";
    let statics = "# $cache_dir\nclean_cache=false\nhook_x=\"cp $cache_dir/a ${assets_dir}\"\n";
    let migration = moved(&[
        ("README.md", readme),
        ("elixir_buildpack.config", elixir),
        ("phoenix_static_buildpack.config", statics),
    ]);
    assert_eq!(migration.edited, []);
    insta::assert_snapshot!("notes", shown(&migration));
    assert_eq!(
        left(
            "elixir_buildpack.config",
            "erlang_version=25.3.0\nalways_rebuild=false\n"
        ),
        ""
    );
}

#[test]
fn hooks_that_set_variables_of_the_old_buildpack_are_noted() {
    for hook in [
        "pre_compile=\"source pre_compile\"",
        "hook_pre_compile=\". ./env.sh\"",
        "hook_pre_fetch_dependencies=\"export GIT_SSH=./ssh\"",
        "hook_post_compile=\"eval export A=b\"",
    ] {
        let note = left("elixir_buildpack.config", &format!("{hook}\n"));
        assert!(note.contains("in a separate shell"), "{hook}: {note}");
    }
    for other in ["./build", "mix assets.deploy", "bash -c \\\"source x\\\""] {
        let hook = format!("hook_post_compile=\"{other}\"\n");
        assert_eq!(left("elixir_buildpack.config", &hook), "", "{other}");
    }
}

#[test]
fn app_directory_of_release_buildpack_is_noted() {
    for file in ["releases_buildpack.config", "distillery_buildpack.config"] {
        let note = left(file, "app_relative_path=server\n");
        assert!(
            note.contains("set app_relative_path=server in elixir_buildpack.config"),
            "{note}"
        );
        assert_eq!(left(file, "app_relative_path=.\n"), "");
    }
}

#[test]
fn commands_fit_the_platforms_of_the_repository() {
    let of = |files: &[(&str, &str)]| {
        let commands = typed(files);
        commands
            .iter()
            .map(|commands| commands.platform)
            .collect::<Vec<_>>()
    };
    let (heroku, dokku, gigalixir) = (Platform::Heroku, Platform::Dokku, Platform::Gigalixir);
    assert_eq!(of(&[]), [heroku]);
    assert_eq!(of(&[("app.json", "{}")]), [heroku]);
    assert_eq!(of(&[(".buildpacks", ELIXIR)]), [dokku, gigalixir]);
    let of_gigalixir = "https://github.com/gigalixir/gigalixir-buildpack-elixir\n";
    assert_eq!(of(&[(".buildpacks", of_gigalixir)]), [gigalixir]);
    assert_eq!(of(&[("bin/deploy", "git push dokku main\n")]), [dokku]);
    let scripts = "{\"scripts\": {\"dokku\": {\"predeploy\": \"true\"}}}";
    assert_eq!(of(&[("app.json", scripts)]), [dokku]);
    let both = "{\"buildpacks\": [], \"scripts\": {\"dokku\": {}}}";
    assert_eq!(of(&[("app.json", both)]), [heroku, dokku]);
    assert_eq!(
        of(&[(".buildpacks", ELIXIR), ("app.json", "{}")]),
        [heroku, dokku, gigalixir]
    );

    // A list that can't be parsed, and one that was migrated before.
    let fork = "https://github.com/someone/heroku-buildpack-elixir";
    assert_eq!(of(&[(".buildpacks", fork)]), []);
    assert_eq!(of(&[(".buildpacks", URL), ("app.json", "{}")]), [heroku]);
    assert_eq!(
        of(&[("app.json", &format!("{{\"buildpacks\": [\"{URL}\"]}}"))]),
        []
    );

    let listed = format!("{{\"buildpacks\": [\"heroku/nodejs\", \"{ELIXIR}\", \"{STATIC}\"]}}");
    let shown: Vec<String> = [
        vec![("app.json", &*listed)],
        vec![],
        vec![(".buildpacks", ELIXIR)],
        vec![(
            "bin/deploy",
            "git push dokku main; git push gigalixir main\n",
        )],
    ]
    .iter()
    .flat_map(|files| typed(files))
    .map(|commands| {
        let (forward, back) = (commands.forward.join("\n"), commands.back.join("\n"));
        format!("{}\n{forward}\n\n{back}\n\n", commands.platform.as_str())
    })
    .collect();
    insta::assert_snapshot!("commands", shown.concat());
}

#[test]
fn distant_changes_get_hunks_of_their_own() {
    let filler: Vec<String> = (1..=12)
        .map(|number| format!("  \"k{number}\": 1,\n"))
        .collect();
    let filler = filler.concat();
    let text = format!(
        "{{\n  \"buildpacks\": [\"hashnuke/elixir\", \"{STATIC}\"],\n{filler}  \"environments\": {{\"test\": {{\"buildpacks\": [\n    \"hashnuke/elixir\",\n    \"{STATIC}\"\n  ]}}}}\n}}\n"
    );
    insta::assert_snapshot!("hunks", shown(&moved(&[("app.json", &text)])));
}

#[test]
fn git_applies_the_diffs() {
    let filler = "x\n".repeat(20);
    let script = format!(
        "heroku buildpacks:set hashnuke/elixir\n{filler}heroku buildpacks:add {STATIC}\n{filler}heroku buildpacks:set {ELIXIR}"
    );
    let json = format!("{{\"buildpacks\": [\n\"{STATIC}\",\n\"{ELIXIR}\",\n\"heroku/ruby\"\n]}}");
    let list = format!("{ELIXIR}\r\n{STATIC}");
    let files = [
        ("app.json", &*json),
        (".buildpacks", &*list),
        ("deploy.sh", &*script),
    ];
    let migration = moved(&files);
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        std::fs::write(dir.path().join(path), text).unwrap();
    }
    let diffs: String = migration
        .edited
        .iter()
        .map(|edited| diff(edited, false))
        .collect();
    std::fs::write(dir.path().join("diff"), &diffs).unwrap();
    let mut git = std::process::Command::new("git");
    let output = git
        .args(["apply", "diff"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{diffs}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(migration.edited.len(), 3);
    for edited in &migration.edited {
        let applied = std::fs::read_to_string(dir.path().join(&edited.path)).unwrap();
        assert_eq!(applied, edited.new, "{}", edited.path);
    }
}

#[test]
fn versions_are_changed_in_their_lines() {
    let changed = |text: &str, numbers: &[u32]| {
        let file = &files(&[("elixir_buildpack.config", text)])[0];
        let lines = ["erlang_version=24.3.4", "elixir_version=1.11.4"].map(str::to_owned);
        with_assignments(file, numbers, &lines).map(|edited| edited.new)
    };
    let text =
        "# a\r\nelixir_version=1.7.4  # old\r\n\r\nerlang_version=\"20.3\"\r\nrelease=true\r\n";
    let new =
        "# a\r\nelixir_version=1.11.4  # old\r\n\r\nerlang_version=24.3.4\r\nrelease=true\r\n";
    assert_eq!(changed(text, &[2, 4]).as_deref(), Some(new));
    let only = changed("a=b\nelixir_version=(branch v1.7)", &[2]);
    let first = changed("elixir_version=1.7.4\n", &[1]);
    let both = "erlang_version=24.3.4\nelixir_version=1.11.4\n";
    assert_eq!(first.as_deref(), Some(both));
    assert_eq!(
        only.as_deref(),
        Some("a=b\nerlang_version=24.3.4\nelixir_version=1.11.4")
    );
    for (text, numbers) in [
        ("elixir_version=1.7", &[][..]),
        ("export x=1\n", &[1]),
        ("eval x\n", &[1]),
    ] {
        assert_eq!(changed(text, numbers), None, "{text}");
    }
}
