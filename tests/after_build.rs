//! After a build: what has changed since the last one, the SBOM and the provenance in the slug, and the console.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use whole_builds::{App, Deploy, Dyno, lacks, said};

const NOTHING: [&str; 0] = [];
const CONFIG: &str = "elixir_buildpack.config";

/// The lines about changes since the last build.
fn changes(deploy: &Deploy) -> Vec<&str> {
    deploy.expect_success();
    let mut lines = deploy.stdout.lines();
    lines.find(|line| *line == "-----> Changes since the last build");
    let lines = lines.take_while(|line| line.starts_with("       "));
    lines.map(|line| &line[7..]).collect()
}

#[test]
fn log_lists_changes_since_last_successful_build() {
    let app = App::fixture("compile-env");
    let first = app.deploy();
    assert_eq!(changes(&first), NOTHING);
    lacks(&first, "(last build: ");

    let unchanged = app.deploy();
    assert_eq!(changes(&unchanged), NOTHING);
    let log = unchanged.log();
    assert_eq!(log.matches("(last build: ").count(), 1, "{log}");
    assert!(!log.contains(" MB)") && !log.contains("  +"), "{log}");

    app.write("lib/other_two.ex", "defmodule OtherTwo do\nend\n");
    let added = app.deploy();
    let because = "compiled 1 module because lib/other_two.ex is new:";
    assert_eq!(changes(&added), [because, "  OtherTwo"]);
    assert_eq!(app.report()["modules_compiled"], 1);

    // The failed build is not the one to compare with.
    app.lock_newer_knobs();
    app.write("lib/other_two.ex", "defmodule OtherTwo do\n  oops(\nend\n");
    assert!(!app.deploy().succeeded);
    app.write(
        "lib/other_two.ex",
        "defmodule OtherTwo do\n  def two, do: 2\nend\n",
    );
    let updated = app.deploy();
    let changes_of_update = changes(&updated);
    assert_eq!(
        changes_of_update[..2],
        [
            "updated 1 dependency: knobs 1.0.0 -> 1.0.1",
            "compiled 1 dependency: knobs",
        ],
        "{}",
        updated.log()
    );
    assert!(
        changes_of_update[2].contains("lib/other_two.ex"),
        "{changes_of_update:?}"
    );
    assert_eq!(app.report()["dependencies_updated"], 1);

    app.config("MIXPACK_CLEAN_BUILD", "1");
    let clean = app.deploy();
    let lines = changes(&clean);
    let because =
        "because a clean build was requested by MIXPACK_CLEAN_BUILD, which has a new value:";
    assert!(
        lines.iter().any(|line| line.ends_with(because)),
        "{lines:?}"
    );

    // An older Mixpack leaves no note, and a note may be damaged.
    let note = app.cache().join("mixpack/last-success.json");
    for text in [
        None,
        Some("{\"mix_env\": \"prod\", \"tools\": []}"),
        Some("damaged"),
    ] {
        match text {
            Some(text) => fs::write(&note, text).expect("a note"),
            None => fs::remove_file(&note).expect("a note"),
        }
        let deploy = app.deploy();
        assert_eq!(changes(&deploy), NOTHING);
        lacks(&deploy, "(last build: ");
    }
}

fn json(slug: &Path, path: &str) -> Value {
    let text = fs::read_to_string(slug.join(path)).expect("a document");
    serde_json::from_str(&text).expect("JSON")
}

/// Checks the rules of in-toto's Statement v1, its `ResourceDescriptor` and `DigestSet`, and of SLSA's provenance v1
/// (github.com/in-toto/attestation, spec/v1; slsa.dev/spec/v1.1/provenance).
fn follows_specifications(statement: &Value) {
    let only = |value: &Value, allowed: &[&str]| {
        for key in value.as_object().expect("an object").keys() {
            assert!(allowed.contains(&key.as_str()), "{key} in {value}");
        }
    };
    let is_uri = |value: &Value| {
        let text = value.as_str().expect("a URI");
        let scheme = text.split_once(':').expect("a scheme").0;
        assert!(
            scheme
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'+'),
            "{text}"
        );
        assert!(!text.contains([' ', '"', '<', '>']), "{text}");
    };
    let is_descriptor = |value: &Value| {
        only(value, &["name", "uri", "digest", "annotations"]);
        assert!(
            value.get("uri").or(value.get("digest")).is_some(),
            "{value}"
        );
        value.get("uri").into_iter().for_each(is_uri);
        let digests = value.get("digest").and_then(Value::as_object);
        for (algorithm, digest) in digests.into_iter().flatten() {
            let digest = digest.as_str().expect("hex");
            let length = match algorithm.as_str() {
                "sha256" => 64,
                "sha512" => 128,
                "gitCommit" | "sha1" => 40,
                _ => panic!("{algorithm}"),
            };
            assert_eq!(digest.len(), length, "{value}");
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            assert!(digest.bytes().all(is_hex), "{value}");
        }
        let annotations = value.get("annotations").and_then(Value::as_object);
        for name in annotations
            .into_iter()
            .flat_map(|annotations| annotations.keys())
        {
            assert!(name.starts_with("mixpack_"), "{value}");
        }
    };
    only(
        statement,
        &["_type", "subject", "predicateType", "predicate"],
    );
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let subjects = statement["subject"].as_array().expect("subjects");
    for subject in subjects {
        is_descriptor(subject);
        assert!(subject["digest"].is_object(), "{subject}");
    }
    let predicate = &statement["predicate"];
    only(predicate, &["buildDefinition", "runDetails"]);
    let definition = &predicate["buildDefinition"];
    only(
        definition,
        &["buildType", "externalParameters", "resolvedDependencies"],
    );
    is_uri(&definition["buildType"]);
    assert!(definition["externalParameters"].is_object());
    let dependencies = definition["resolvedDependencies"]
        .as_array()
        .expect("a list");
    dependencies.iter().for_each(is_descriptor);
    only(&predicate["runDetails"], &["builder"]);
    let builder = &predicate["runDetails"]["builder"];
    only(builder, &["id", "version", "builderDependencies"]);
    is_uri(&builder["id"]);
    let executables = builder["builderDependencies"].as_array().expect("a list");
    executables.iter().for_each(is_descriptor);
}

fn material<'a>(statement: &'a Value, name: &str) -> &'a Value {
    let all = &statement["predicate"]["buildDefinition"]["resolvedDependencies"];
    let mut all = all.as_array().expect("a list").iter();
    let found = all.find(|one| {
        one["name"]
            .as_str()
            .is_some_and(|found| found.starts_with(name))
    });
    found.unwrap_or_else(|| panic!("no {name} in {statement}"))
}

#[test]
fn slug_has_sbom_and_provenance_at_every_slim_level() {
    let app = App::cold_fixture("phoenix-npm");
    let secret = "s3cret-of-the-endpoint-5b1a";
    app.config("SECRET_KEY_BASE", secret);
    let host = app.host.url();
    let with_credentials = host.replace("http://", "http://deploy:m1rror-t0ken-41@");
    app.config("HEX_BUILDS_URL", &with_credentials);
    let commit = "0123456789abcdef0123456789abcdef01234567";
    app.config("SOURCE_VERSION", commit);
    let config = fs::read_to_string(app.source().join(CONFIG)).expect("a config file");
    let lock = fs::read_to_string(app.source().join("mix.lock")).expect("a lockfile");
    let mut first = None;
    for level in [
        "slim=none\n",
        "",
        "slim=full\n",
        "release=true\nslim=full\n",
    ] {
        app.write(CONFIG, &format!("{config}\n{level}"));
        let deploy = app.deploy();
        deploy.expect_success();
        let slug = &deploy.slug;
        assert_eq!(
            slug.join("mix.exs").exists(),
            !level.starts_with("release"),
            "{level}"
        );

        let sbom = json(slug, ".mixpack/sbom.cdx.json");
        assert_eq!(sbom["bomFormat"], "CycloneDX");
        let components = sbom["components"].as_array().expect("components");
        for name in ["erlang", "elixir", "phoenix", "jason_lite"] {
            let mut names = components.iter().map(|component| &component["name"]);
            assert!(names.any(|found| found == name), "{name} in {sbom}");
        }

        let statement = json(slug, ".mixpack/provenance.json");
        follows_specifications(&statement);
        for subject in statement["subject"].as_array().expect("subjects") {
            let file = slug.join(subject["name"].as_str().expect("a path"));
            let digest = Sha256::digest(fs::read(file).expect("a subject"));
            let digest: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let digest = digest.concat();
            assert_eq!(subject["digest"]["sha256"], digest);
        }
        let erlang = material(&statement, "Erlang/OTP");
        let uri = erlang["uri"].as_str().expect("a URL");
        assert!(uri.starts_with("https://builds.hex.pm/"), "{erlang}");
        assert_eq!(erlang["annotations"]["mixpack_mirror"], "HEX_BUILDS_URL");
        assert!(erlang["digest"]["sha256"].is_string(), "{erlang}");
        for tool in ["Hex", "rebar3"] {
            let sha512 = &material(&statement, tool)["digest"]["sha512"];
            assert!(sha512.is_string(), "{tool}");
        }
        assert_eq!(material(&statement, "app")["digest"]["gitCommit"], commit);
        let phoenix = material(&statement, "phoenix");
        assert_eq!(phoenix["uri"], "pkg:hex/phoenix@1.8.1");
        let outer = phoenix["digest"]["sha256"].as_str().expect("a digest");
        let inner = phoenix["annotations"]["mixpack_hexInnerChecksum"].as_str();
        assert!(lock.contains(outer) && lock.contains(inner.expect("a digest")));
        let address = host.trim_start_matches("http://");
        for text in [&sbom, &statement].map(ToString::to_string) {
            for hidden in [secret, "m1rror-t0ken-41", address] {
                assert!(!text.contains(hidden), "{text}");
            }
        }
        // Tools come from the cache from the second build on, and the statement still has their URLs.
        let first = first.get_or_insert_with(|| erlang.clone());
        assert_eq!(first, erlang);
    }
}

#[test]
fn provenance_of_tools_from_cache_without_sources_says_so() {
    let app = App::cold_fixture("no-deps");
    let first = app.deploy();
    first.expect_success();
    let statement = json(&first.slug, ".mixpack/provenance.json");
    let unchanged = app.deploy();
    unchanged.expect_success();
    assert_eq!(json(&unchanged.slug, ".mixpack/provenance.json"), statement);

    fs::remove_file(app.cache().join("mixpack/fetched-erlang.json")).expect("a note");
    let deploy = app.deploy();
    deploy.expect_success();
    let statement = json(&deploy.slug, ".mixpack/provenance.json");
    follows_specifications(&statement);
    let erlang = material(&statement, "erlang");
    let unknown = erlang["annotations"]["mixpack_unknown"].as_str();
    assert!(
        unknown.is_some_and(|why| why.starts_with("restored from a build cache")),
        "{erlang}"
    );
    assert!(erlang.get("digest").is_none());
    assert!(material(&statement, "Elixir")["digest"]["sha256"].is_string());
}

/// Starts `web` as a dyno does, with an empty log, and then the console, which reads `input`. Its only variables are those in `console`.
fn console(dyno: &Dyno, web: &str, ready: &str, console: &str, input: &str) -> (bool, String) {
    let script = format!(
        "export PORT=0; : >/tmp/web.log; {web} >>/tmp/web.log 2>&1 & \
         for n in $(seq 300); do {ready} && break; sleep 0.2; done; \
         printf '%s\\n' '{input}' | env -i {console} /app/.mixpack/bin/console; code=$?; \
         cat /tmp/web.log >&2; exit $code"
    );
    fs::write(dyno.app.join("script"), script).expect("a script");
    let output = dyno.run("bash /app/script");
    (output.status.success(), said(&output))
}

/// The VM has begun its work: it has the name `beam.smp` before.
const STARTED: &str = "grep -q up /tmp/web.log";
/// Keeps a node running, and says when it does.
const STAY: &str = "mix run --no-start -e 'IO.puts(:up); Process.sleep(:infinity)'";

#[test]
fn console_opens_shell_on_named_node_and_explains_names() {
    let app = App::fixture("no-deps");
    let deploy = app.deploy();
    deploy.expect_success();
    let dyno = app.ship(deploy);
    let input = "IO.puts([\"at \", Atom.to_string(node()), \" \", inspect(Process.whereis(:marked) != nil)])";
    let marked = STAY.replace(
        "IO.puts(:up)",
        "Process.register(self(), :marked); IO.puts(:up)",
    );

    for (named, node) in [
        ("--sname web@localhost --cookie c00kie-77", "web@localhost"),
        ("--name web@127.0.0.1", "web@127.0.0.1"),
    ] {
        let web = format!("elixir {named} -S {marked}");
        let (succeeded, said) = console(&dyno, &web, STARTED, "", input);
        assert!(
            succeeded && said.contains(&format!("at {node} true")),
            "{named}: {said}"
        );
    }

    let web = format!("elixir -S {marked}");
    let (succeeded, said) = console(&dyno, &web, STARTED, "", input);
    assert!(!succeeded && !said.contains("at "), "{said}");
    assert!(said.contains("runs without a node name"), "{said}");
    assert!(
        said.contains("web: elixir --sname web -S mix phx.server"),
        "{said}"
    );

    let (succeeded, said) = console(&dyno, "echo up", "true", "", input);
    assert!(
        !succeeded && said.contains("No Erlang VM runs here."),
        "{said}"
    );
}

#[test]
fn console_opens_remote_shell_of_release() {
    let app = App::fixture("no-deps");
    app.write(
        CONFIG,
        "release=true\nslim=full\nelixir_version=1.18\nerlang_version=27\n",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    let dyno = app.ship(deploy);
    let input = "IO.puts([\"at \", Atom.to_string(node())])";
    let start = "env RELEASE_NODE=shop@localhost _build/prod/rel/no_deps/bin/no_deps start";
    let up = "_build/prod/rel/no_deps/bin/no_deps pid >/dev/null 2>&1";
    let up = format!("RELEASE_NODE=shop@localhost {up}");
    let (succeeded, said) = console(&dyno, start, &up, "", input);
    assert!(succeeded && said.contains("at shop@localhost"), "{said}");

    let unnamed = start.replace("env ", "env RELEASE_DISTRIBUTION=none ");
    // Not its own argument.
    let started = "grep -qs '[b]eam.smp' /proc/[0-9]*/cmdline";
    let (succeeded, said) = console(&dyno, &unnamed, started, "", input);
    assert!(!succeeded, "{said}");
    assert!(said.contains("RELEASE_DISTRIBUTION=sname"), "{said}");
}
