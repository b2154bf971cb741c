//! Variables of a build and of a dyno: values, locale, switches, credentials; and the cache at another platform's
//! path.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::Server;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use whole_builds::{App, Dyno, bare_image, compiling, files_with, repository, said, stack};

const NOTHING: [&str; 0] = [];

#[track_caller]
fn no_locale_warning(text: &str) {
    for word in [
        "latin1",
        "native name encoding",
        "cannot change locale",
        "setlocale",
    ] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

#[test]
fn one_off_commands_and_iex_work_in_slug_owned_by_root() {
    let app = App::fixture("elixir-1-14");
    // A shell can't export these. They must do no harm.
    for name in ["my-app.url", "1ST", "with space"] {
        app.config(name, "unexportable");
    }
    let deploy = app.deploy();
    deploy.expect_success();
    no_locale_warning(&deploy.log());
    let web = app.web(&deploy);
    let dyno = app.ship(deploy);
    let chown = Command::new("chown")
        .args(["-R", "0:0"])
        .arg(&dyno.app)
        .status();
    assert!(chown.unwrap().success());
    let boot = dyno.start(&web).stop();
    no_locale_warning(&boot);
    assert_eq!(compiling(&boot), NOTHING, "{boot}");

    let script = "POOL_SIZE=2 mix run --no-start -e 'IO.puts(\"pool #{System.get_env(\"POOL_SIZE\")} \u{e9}\")'";
    let output = dyno.run(&format!("bash -c {}", quoted(script)));
    let one_off = said(&output);
    assert!(output.status.success(), "{one_off}");
    assert!(one_off.contains("pool 2 \u{e9}"), "{one_off}");
    no_locale_warning(&one_off);
    assert_eq!(compiling(&one_off), NOTHING, "{one_off}");

    let output = dyno.run("bash -c 'echo \"IO.puts(:sum |> to_string() |> Kernel.<>(inspect(20 + 22)))\" | iex -S mix run --no-start'");
    let iex = said(&output);
    assert!(output.status.success(), "{iex}");
    assert!(iex.contains("sum42"), "{iex}");
    no_locale_warning(&iex);
    assert_eq!(compiling(&iex), NOTHING, "{iex}");
}

/// Elixir warns if this is not `utf8`, but Debian's Elixir, which these tests use, doesn't.
const NAMES: &str = "IO.puts(\"names: #{:file.native_name_encoding()}, caf\u{e9}\")";
const NAMES_ARE_UTF8: &str = "names: utf8, caf\u{e9}\n";

/// Has mix print Erlang's encoding of file names during the build, and the app when it boots.
fn tell_names(app: &App, application: &str) {
    app.edit(
        "mix.exs",
        "def project do",
        &format!("def project do\n    {NAMES}"),
    );
    app.edit(
        application,
        "children = [",
        &format!("{NAMES}\n    children = ["),
    );
}

#[track_caller]
fn names_are_utf8(all: &str) {
    assert!(all.contains(NAMES_ARE_UTF8), "{all}");
    assert!(!all.contains("names: latin1"), "{all}");
    no_locale_warning(all);
}

/// Runs a command on a dyno, which must compile nothing.
#[track_caller]
fn runs_with_utf8(dyno: &Dyno, command: &str) {
    let output = dyno.run(command);
    let all = said(&output);
    assert!(output.status.success(), "{command}: {all}");
    names_are_utf8(&all);
    assert_eq!(compiling(&all), NOTHING, "{command}: {all}");
}

/// The shells of a slug that find mix.
#[track_caller]
fn one_off_shells_have_utf8(dyno: &Dyno) {
    let names = quoted(NAMES);
    for mix in [
        format!("mix run --no-start -e {names}"),
        format!("echo {names} | iex -S mix run --no-start"),
    ] {
        runs_with_utf8(dyno, &format!("bash -c {}", quoted(&mix)));
        // Debian's login shell sets its own PATH.
        let login = format!("for f in /app/.profile.d/*.sh; do . $f; done; {mix}");
        runs_with_utf8(dyno, &format!("bash -lc {}", quoted(&login)));
    }
    runs_with_utf8(dyno, &format!("elixir -e {names}"));
    // Without a shell its own output is latin1 before OTP 26, whatever the locale.
    let erlang = "io:setopts([{encoding, unicode}]), io:format(\"names: ~p, caf~ts~n\", \
                  [file:native_name_encoding(), [233]]), halt().";
    runs_with_utf8(dyno, &format!("erl -noshell -eval {}", quoted(erlang)));
}

/// The image has no locales but those of the C library, and sets none.
#[track_caller]
fn is_bare(dyno: &Dyno) {
    let path = "PATH=/app/.platform_tools/elixir/bin:/app/.platform_tools/erlang/bin:$PATH";
    let script = format!("locale -a; {path} elixir -e {}", quoted(NAMES));
    let output = dyno.sandbox.command("bash", ["-c", &script]).output();
    let bare = said(&output.unwrap());
    assert!(
        bare.starts_with("C\nC.utf8\nPOSIX\nnames: latin1"),
        "{bare}"
    );
}

#[test]
fn slug_uses_utf8_at_boot_and_in_shells_even_on_bare_image() {
    let app = App::fixture("elixir-1-14");
    tell_names(&app, "lib/old_shop/application.ex");
    for image in [stack(), bare_image()] {
        let deploy = app.deploy();
        deploy.expect_success();
        names_are_utf8(&deploy.log());
        let web = app.web(&deploy);
        let dyno = app.ship_to(&image, deploy);
        if image.root() == bare_image().root() {
            is_bare(&dyno);
        }
        let boot = dyno.start(&web).stop();
        names_are_utf8(&boot);
        assert_eq!(compiling(&boot), NOTHING, "{boot}");
        one_off_shells_have_utf8(&dyno);
    }
}

#[test]
fn release_uses_utf8_on_bare_image() {
    let app = App::fixture("release");
    tell_names(&app, "lib/shop/application.ex");
    // esbuild would come from the npm registry.
    app.edit("mix.exs", "\"esbuild shop --minify\", ", "");
    let deploy = app.deploy();
    deploy.expect_success();
    names_are_utf8(&deploy.log());
    let web = app.web(&deploy);
    let dyno = app.ship_to(&bare_image(), deploy);
    is_bare(&dyno);
    names_are_utf8(&dyno.start(&web).stop());
    let eval = format!(
        "_build/prod/rel/storefront/bin/storefront eval {}",
        quoted(NAMES)
    );
    runs_with_utf8(&dyno, &eval);
}

#[test]
fn bare_image_without_stack_uses_nearest_builds() {
    let bare = bare_image();
    let app = App::on_image(&bare, "plain-otp");
    tell_names(&app, "lib/plain_otp/application.ex");
    let deploy = app.deploy();
    deploy.expect_success();
    names_are_utf8(&deploy.log());
    // Its /etc/os-release identifies the image.
    let warning = "no OTP is built for debian-13; using the builds for ubuntu-24.04, the nearest";
    assert_eq!(
        deploy
            .stderr
            .lines()
            .filter(|line| !line.is_empty())
            .count(),
        1
    );
    assert!(deploy.stderr.contains(warning), "{}", deploy.stderr);
    let dyno = app.ship_to(&bare, deploy);
    is_bare(&dyno);
    one_off_shells_have_utf8(&dyno);
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn compiler_option_triggers_rebuild_and_is_not_logged() {
    let app = App::fixture("no-deps");
    app.deploy().expect_success();
    app.config("ERL_COMPILER_OPTIONS", "[{d,m4rk3r}]");
    let switched = app.deploy();
    switched.expect_success();
    assert!(
        switched
            .stdout
            .contains("_build: discarded because ERL_COMPILER_OPTIONS is new"),
        "{}",
        switched.stdout
    );
    assert_ne!(switched.compiled(), NOTHING);
    assert!(!switched.log().contains("m4rk3r"), "{}", switched.log());
    let keys = fs::read_to_string(app.cache().join("mixpack/state/_build-prod/key.json")).unwrap();
    assert!(
        keys.contains("ERL_COMPILER_OPTIONS") && !keys.contains("m4rk3r"),
        "{keys}"
    );
    let again = app.deploy();
    again.expect_success();
    assert_eq!(again.compiled(), NOTHING, "{}", again.log());
}

const TOKEN: &str = "t0ken-0f-a-private-repository";
/// base64 of `deploy:` and the token.
const BASIC: &str = "ZGVwbG95OnQwa2VuLTBmLWEtcHJpdmF0ZS1yZXBvc2l0b3J5";

/// Serves git over HTTP in front of the mirror, only for requests with the token. Returns the port.
fn private_git(host: &'static Server) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer_git(stream, host));
        }
    });
    port
}

fn answer_git(mut stream: TcpStream, host: &Server) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next().unwrap().unwrap_or_default();
    let head: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let allowed = head.iter().any(|line| line.ends_with(BASIC));
    let path = request.split(' ').nth(1).unwrap_or("/");
    let body = Some(path)
        .filter(|_| allowed)
        .and_then(|path| {
            let url = format!("{}/git{path}", host.url());
            ureq::get(url).call().ok()
        })
        .map(|mut response| {
            let mut body = Vec::new();
            response
                .body_mut()
                .as_reader()
                .read_to_end(&mut body)
                .unwrap();
            body
        });
    let (status, body) = match body {
        Some(body) => ("200 OK", body),
        None if allowed => ("404 Not Found", Vec::new()),
        None => (
            "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"",
            Vec::new(),
        ),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&body));
}

#[test]
fn fetches_private_git_dependency_without_leaking_token() {
    let app = App::fixture("git-dep");
    let port = private_git(app.host);
    app.git_from(&format!("http://127.0.0.1:{port}/"));
    // The environment of every other command of the build, and a tool that prints the token.
    app.edit(
        "elixir_buildpack.config",
        "elixir_version",
        "hook_pre_fetch_dependencies='env > before.txt'\nhook_post_compile='env > after.txt; ls -d /tmp/mixpack-credentials* || true'\nelixir_version",
    );
    let refused = app.deploy();
    assert!(!refused.succeeded, "{}", refused.log());
    drop(refused);

    app.config("GIT_CREDENTIALS", &format!("https://other:x-other-x@example.com\nhttp://deploy:{TOKEN}@127.0.0.1:{port}\nnonsense\n"));
    let deploy = app.deploy();
    deploy.expect_success();
    let log = deploy.log();
    assert!(
        log.contains("line 3 of GIT_CREDENTIALS is not https://USER:TOKEN@HOST"),
        "{log}"
    );
    assert!(!log.contains("mixpack-credentials-"), "{log}");
    for hook in ["before.txt", "after.txt"] {
        let env = fs::read_to_string(deploy.slug.join(hook)).unwrap();
        assert!(
            !env.contains("GIT_CREDENTIALS") && !env.contains("credential.helper"),
            "{env}"
        );
    }
    for secret in [TOKEN, BASIC, "x-other-x"] {
        assert!(!log.contains(secret), "{log}");
        for tree in [deploy.slug.as_path(), app.cache()] {
            let found = files_with(tree, secret);
            assert!(found.is_empty(), "{secret} in {found:?}");
        }
    }
    let left: Vec<_> = fs::read_dir(app.sandbox.tmp())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.starts_with("mixpack-"))
        .collect();
    assert_eq!(left, NOTHING);

    // The log masks the token if a tool prints it.
    app.write("mix_hook.sh", &format!("echo told: {TOKEN}\n"));
    app.edit(
        "elixir_buildpack.config",
        "hook_post_compile='",
        "hook_post_compile='sh mix_hook.sh; ",
    );
    let told = app.deploy();
    told.expect_success();
    assert!(told.stdout.contains("told: [hidden]"), "{}", told.stdout);
    assert!(!told.log().contains(TOKEN));
}

#[test]
fn supports_herokuish_config_vars_and_cache_on_other_filesystem() {
    let mut app = App::fixture("no-deps");
    let device = |path: &Path| path.metadata().unwrap().dev();
    let target = repository().join("target");
    let other = [Path::new("/dev/shm"), &target]
        .into_iter()
        .find(|path| device(path) != device(&app.sandbox.tmp()))
        .expect("a second filesystem");
    let cache = tempfile::tempdir_in(other).unwrap();
    app.sandbox.give(cache.path()).unwrap();
    app.sandbox = app
        .sandbox
        .bind_rw(cache.path(), "/tmp/cache")
        .env("GREETING", "from the environment")
        .env("GIT_CREDENTIALS", format!("https://me:{TOKEN}@git.example"));
    app.edit(
        "elixir_buildpack.config",
        "elixir_version",
        "hook_post_compile='echo $GREETING; env | grep -c GIT_CREDENTIALS || true; stat -c %d /tmp /tmp/cache | uniq | wc -l'\nelixir_version",
    );
    let first = app.deploy();
    first.expect_success();
    let lines: Vec<&str> = first.stdout.lines().map(str::trim).collect();
    let at = lines
        .iter()
        .position(|line| *line == "from the environment")
        .expect("the hook's output");
    // No credentials, and two filesystems.
    assert_eq!(lines[at + 1..at + 3], ["0", "2"], "{}", first.stdout);
    assert!(cache.path().join("mixpack/tools").is_dir());
    let again = app.deploy();
    again.expect_success();
    assert_eq!(again.compiled(), NOTHING, "{}", again.log());
    assert!(
        again.stdout.contains("restored from cache"),
        "{}",
        again.stdout
    );
    assert!(again.stderr.is_empty(), "{}", again.stderr);
    let dyno = app.ship(again);
    let version = dyno.run("elixir --version");
    assert!(version.status.success(), "{}", said(&version));
}

#[test]
fn only_deps_get_gets_hex_keys_and_they_never_ship() {
    let app = App::fixture("plain-otp");
    app.config("HEX_REPOS_KEY", "h3x-key-0f-an-organisation");
    app.config("HEX_API_KEY", "h3x-key-0f-a-hook");
    // As after `mix hex.organization auth ORG --key $HEX_API_KEY`, with a tool that prints it.
    app.write(
        "elixir_buildpack.config",
        "hook_pre_fetch_dependencies='printf %s $HEX_API_KEY > $HEX_HOME/hex.config; cat $HEX_HOME/hex.config; echo; echo \"repos ${HEX_REPOS_KEY-unset}\"'\n",
    );
    app.edit(
        "mix.exs",
        "def project do",
        "def project do\n    if \"deps.get\" in System.argv(), do: IO.puts(\"told: #{System.get_env(\"HEX_REPOS_KEY\")}\")\n    if \"deps.get\" not in System.argv(), do: IO.puts(\"later: #{inspect(System.get_env(\"HEX_REPOS_KEY\"))}\")",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    let log = deploy.log();
    for line in ["repos unset", "told: [hidden]", "later: nil", "[hidden]"] {
        assert!(
            log.lines().any(|found| found.trim() == line),
            "{line}: {log}"
        );
    }
    assert!(!log.contains("h3x-key"), "{log}");
    for tree in [deploy.slug.as_path(), app.cache()] {
        let found = files_with(tree, "h3x-key");
        assert!(found.is_empty(), "{found:?}");
    }
    drop(deploy);

    // If nothing has to be fetched, no command gets the key.
    let again = app.deploy();
    again.expect_success();
    let log = again.log();
    assert!(
        log.contains("not needed: dependencies and lockfile are unchanged"),
        "{log}"
    );
    assert!(!log.contains("told: "), "{log}");

    // A new requirement is resolved with the key.
    app.edit("mix.exs", "~> 1.0\"}", ">= 1.0.0\"}");
    let changed = app.deploy();
    changed.expect_success();
    assert!(
        changed.log().contains("told: [hidden]"),
        "{}",
        changed.log()
    );
}

#[test]
fn git_ssh_key_is_given_only_to_ssh() {
    const KEY: &str = "bm90LWEta2V5LWJ1dC1hLXNlY3JldA==";
    let mut app = App::fixture("git-dep");
    let tmp = app.sandbox.tmp();
    let toolchains = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-toolchains");
    whole_builds::copy(&toolchains.join("mirror/git"), &tmp.join("git"));
    app.sandbox.give(tmp.join("git")).unwrap();
    // Stands in for ssh and the server. ssh itself parses the options, and requires a private key to be private.
    let ssh = tmp.join("bin/ssh");
    fs::create_dir(tmp.join("bin")).unwrap();
    let script = format!(
        "#!/bin/bash -e\nfile=$(/usr/bin/ssh -G \"${{@:1:$#-1}}\" | sed -n 's/^identityfile //p')\n\
         [ \"$(stat -c %a \"$file\")\" = 600 ]\ngrep -qx '{KEY}' \"$file\"\n\
         eval \"exec ${{@: -1}}\"\n"
    );
    fs::write(&ssh, script).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&ssh, executable).unwrap();
    app.sandbox = app
        .sandbox
        .env("PATH", "/tmp/bin:/usr/local/bin:/usr/bin:/bin");
    app.git_from("ssh://git@127.0.0.1/tmp/git/");
    assert!(!app.deploy().succeeded);
    app.config(
        "GIT_SSH_KEY",
        &format!("-----BEGIN KEY-----\n{KEY}\n-----END KEY-----"),
    );
    let deploy = app.deploy();
    deploy.expect_success();
    assert!(!deploy.log().contains(KEY), "{}", deploy.log());
    for tree in [deploy.slug.as_path(), app.cache()] {
        let found = files_with(tree, KEY);
        assert!(found.is_empty(), "{found:?}");
    }
}
