//! Variables of a build and of a dyno: values, locale, switches, credentials; and the cache where
//! another platform puts it.

#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use mirror::Server;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use walkdir::WalkDir;
use whole_builds::{App, compiling};

const NOTHING: [&str; 0] = [];

fn said(output: &Output) -> String {
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

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
fn one_off_commands_and_iex_work_in_a_slug_that_the_dyno_does_not_own() {
    let app = App::fixture("elixir-1-14");
    // No shell can export these; they must not hurt.
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

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn a_switch_of_the_compiler_makes_the_build_anew_and_its_value_stays_out_of_the_log() {
    let app = App::fixture("no-deps");
    app.deploy().expect_success();
    app.config("ERL_COMPILER_OPTIONS", "[{d,m4rk3r}]");
    let switched = app.deploy();
    switched.expect_success();
    assert!(
        switched
            .stdout
            .contains("_build: dropped, since ERL_COMPILER_OPTIONS is new"),
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

/// A git server that answers only to the token, in front of the mirror's; also its port.
fn private_git(host: &'static Server) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(stream, host));
        }
    });
    port
}

fn answer(mut stream: TcpStream, host: &Server) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next().unwrap().unwrap_or_default();
    let head: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let allowed = head
        .iter()
        .any(|line| line.ends_with(&format!("Basic {BASIC}")));
    let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
    let body = allowed
        .then(|| ureq::get(format!("{}/git{path}", host.url())).call().ok())
        .flatten()
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

fn files_with(tree: &Path, marker: &str) -> Vec<PathBuf> {
    WalkDir::new(tree)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            bytes
                .windows(marker.len())
                .any(|window| window == marker.as_bytes())
        })
        .map(walkdir::DirEntry::into_path)
        .collect()
}

#[test]
fn a_private_git_dependency_is_fetched_and_its_token_is_found_nowhere() {
    let app = App::fixture("git-dep");
    let port = private_git(app.host);
    app.config("GIT_CONFIG_COUNT", "1");
    app.config(
        "GIT_CONFIG_KEY_0",
        &format!("url.http://127.0.0.1:{port}/.insteadOf"),
    );
    app.config("GIT_CONFIG_VALUE_0", "https://git.example.invalid/");
    // What every other command of the build sees, and a tool that repeats the token.
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

    // A tool that repeats the token finds it hidden.
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
fn config_vars_in_the_environment_and_a_cache_on_another_filesystem_as_herokuish_has_them() {
    let shm = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut app = App::fixture("no-deps");
    app.sandbox.give(shm.path()).unwrap();
    app.sandbox = app
        .sandbox
        .bind_rw(shm.path(), "/tmp/cache")
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
    assert!(shm.path().join("mixpack/tools").is_dir());
    let again = app.deploy();
    again.expect_success();
    assert_eq!(again.compiled(), NOTHING, "{}", again.log());
    assert!(
        again.stdout.contains("kept from the last build"),
        "{}",
        again.stdout
    );
    assert!(again.stderr.is_empty(), "{}", again.stderr);
    let dyno = app.ship(again);
    let version = dyno.run("elixir --version");
    assert!(version.status.success(), "{}", said(&version));
}
