//! Whole builds with hosts that fail. A matrix in crates/pipeline tests every fault of every artifact; these tests
//! show some of them to a user.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use mirror::faults::{Behaviour, FaultServer, Framing};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use whole_builds::{App, Deploy, artifacts, unwrapped};

const OTP_LIST: &str = "/builds/otp/amd64/ubuntu-24.04/builds.txt";
const OTP: &str = "/builds/otp/amd64/ubuntu-24.04/OTP-27.3.4.1.tar.gz";
const ELIXIR_LIST: &str = "/builds/elixir/builds.txt";
const ELIXIR: &str = "/builds/elixir/v1.18.3-otp-27.zip";
const HEX_LIST: &str = "/installs/hex.csv";
const REBAR3_LIST: &str = "/installs/rebar.csv";

/// An app whose toolchain comes from a host of its own.
fn app() -> (App, FaultServer) {
    let app = App::cold_fixture("plain-otp");
    let host = FaultServer::in_front_of::<String>(artifacts(), []).unwrap();
    app.config("HEX_BUILDS_URL", &host.url(""));
    (app, host)
}

fn body(path: &str) -> Vec<u8> {
    fs::read(artifacts().join(&path[1..])).unwrap()
}

/// The file of Hex or rebar3 that this app gets according to the list.
fn installer(host: &FaultServer, ending: &str) -> String {
    let requests = host.requests();
    let found = requests
        .iter()
        .map(|request| &request.path)
        .find(|path| path.starts_with("/installs/1.") && path.contains(ending));
    found
        .unwrap_or_else(|| panic!("no {ending} was asked for"))
        .clone()
}

fn once(fault: Behaviour, path: &str) -> Behaviour {
    let then = Behaviour::Ok(body(path));
    Behaviour::FailTimes(1, Box::new(fault), Box::new(then))
}

#[track_caller]
fn says(deploy: &Deploy, line: &str) {
    let log = unwrapped(deploy);
    assert!(log.contains(line), "not said: {line}\n{log}");
}

#[test]
fn build_survives_transient_faults_and_later_build_missing_lists() {
    let (app, host) = app();
    app.deploy().expect_success();
    let (hex, rebar3) = (installer(&host, "/hex-"), installer(&host, "/rebar3-"));
    fs::remove_dir_all(app.cache().join("mixpack")).unwrap();

    let otp = body(OTP);
    let mut elixir = body(ELIXIR);
    let middle = elixir.len() / 2;
    elixir[middle] ^= 1;
    let moved = "/elsewhere/hex.ez".to_owned();
    host.set(&moved, Behaviour::Redirect(307, format!("{moved}?again")));
    host.set(&format!("{moved}?again"), Behaviour::Ok(body(&hex)));
    host.set(&hex, Behaviour::Redirect(301, moved));
    let cut = Behaviour::TruncateAt {
        at: otp.len() / 3,
        body: otp.clone(),
        framing: Framing::Length,
    };
    let reset = Behaviour::ResetAt {
        at: otp.len() / 2,
        body: otp,
    };
    let then = Behaviour::FailTimes(1, Box::new(reset), Box::new(Behaviour::Ok(body(OTP))));
    host.set(OTP, Behaviour::FailTimes(1, Box::new(cut), Box::new(then)));
    host.set(ELIXIR, once(Behaviour::Ok(elixir), ELIXIR));
    host.set(OTP_LIST, once(Behaviour::Status(503, Vec::new()), OTP_LIST));
    host.set(ELIXIR_LIST, once(Behaviour::Garbage, ELIXIR_LIST));
    host.set(HEX_LIST, once(Behaviour::CloseBeforeHead, HEX_LIST));
    let later = Behaviour::RetryAfter(429, "1".to_owned());
    host.set(REBAR3_LIST, once(later, REBAR3_LIST));
    let gone = Behaviour::Status(408, Vec::new());
    host.set(&rebar3, once(gone, &rebar3));

    let deploy = app.deploy();
    deploy.expect_success();
    for reason in [
        "HTTP status 503",
        "invalid HTTP response",
        "HTTP status 429",
        "HTTP status 408",
        "connection failed",
        "sha256 is ",
    ] {
        says(&deploy, reason);
    }
    let cut_short = deploy.log().matches("response ended after ").count();
    assert_eq!(cut_short, 2, "{}", deploy.log());

    for list in [OTP_LIST, ELIXIR_LIST, HEX_LIST, REBAR3_LIST] {
        host.set(list, Behaviour::Status(500, Vec::new()));
    }
    let deploy = app.deploy();
    deploy.expect_success();
    let kept = deploy.log().matches("using the copy read on").count();
    assert_eq!(kept, 4, "{}", deploy.log());
    assert_eq!(deploy.compiled(), [""; 0]);
}

/// The cached tools, and incomplete ones.
fn kept(cache: &Path) -> Vec<String> {
    let names = |folder: &str| {
        let entries = fs::read_dir(cache.join("mixpack").join(folder));
        let entries = entries.into_iter().flatten();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("staging"), [""; 0], "left in the making");
    let mut tools = names("tools");
    tools.sort();
    tools
}

#[test]
fn permanent_faults_fail_build_with_own_message_and_keep_cache() {
    let (app, host) = app();
    app.deploy().expect_success();
    let rebar3 = installer(&host, "/rebar3-");
    let fresh = || fs::remove_dir_all(app.cache().join("mixpack")).unwrap();
    let html = || Behaviour::Ok(b"<!doctype html><h1>Sign in</h1>".to_vec());
    let refused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let other_otp = OTP.replace("27.3.4.1", "25.2.3");
    let on = |path, behaviour| Some((path, behaviour));
    let other = |url: &str| (None, url.to_owned());
    let here = |fault| (fault, host.url(""));
    let cases = [
        (
            "stack-not-built",
            "",
            here(on(OTP_LIST, Behaviour::Status(404, Vec::new()))),
        ),
        ("artifact-damaged", "", here(on(ELIXIR_LIST, html()))),
        (
            "host-refused",
            "erlang",
            here(on(OTP, Behaviour::Status(403, Vec::new()))),
        ),
        (
            "checksum-mismatch",
            "erlang",
            here(on(OTP, Behaviour::Ok(body(&other_otp)))),
        ),
        (
            "host-failing",
            "erlang",
            here(on(OTP, Behaviour::RedirectLoop(302))),
        ),
        ("artifact-damaged", "elixir", here(on(ELIXIR, html()))),
        (
            "artifact-missing",
            "elixir",
            here(on(ELIXIR, Behaviour::Status(404, Vec::new()))),
        ),
        (
            "list-empty",
            "hex",
            here(on(HEX_LIST, Behaviour::Ok(Vec::new()))),
        ),
        (
            "host-failing",
            "hex",
            here(on(&rebar3, Behaviour::Status(502, Vec::new()))),
        ),
        ("host-unreachable", "", other(&format!("http://{refused}"))),
        ("host-unreachable", "", other("http://builds.invalid")),
    ];
    let row = "| 11 that stay: 404, 403, 502, HTML, an empty list, other bytes, a loop, no connection, no name | 11 | ";
    let doc = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reliability.md");
    assert!(fs::read_to_string(doc).unwrap().contains(row));
    assert_eq!(cases.len(), 11);
    for (code, tool, (fault, url)) in cases {
        fresh();
        app.config("HEX_BUILDS_URL", &url);
        if let Some((path, behaviour)) = fault.clone() {
            host.set(path, behaviour);
        }
        let deploy = app.deploy();
        assert_eq!(deploy.code, Some(1), "{}", deploy.log());
        says(&deploy, &format!("Error code: {code}"));
        says(&deploy, url.split("//").nth(1).unwrap());
        says(&deploy, "The build cache was not changed.");
        assert!(deploy.left_in_app.is_empty(), "{:?}", deploy.left_in_app);
        let kept = kept(app.cache());
        let is_broken = |name: &String| tool.is_empty() || name.starts_with(tool);
        let broken: Vec<_> = kept.iter().filter(|name| is_broken(name)).collect();
        let none: [&String; 0] = [];
        assert_eq!(broken, none, "{code}");
        if let Some((path, _)) = fault {
            host.clear(path);
        }
    }
    app.config("HEX_BUILDS_URL", &host.url(""));
    app.deploy().expect_success();
    let kept = kept(app.cache());
    let whole = ["elixir", "erlang", "hex", "mix_tasks"];
    assert_eq!(kept.len(), whole.len(), "{kept:?}");
    for (name, tool) in kept.iter().zip(whole) {
        assert!(name.starts_with(tool), "{kept:?}");
    }
}

#[test]
fn otp_refused_by_hex_pm_comes_from_erlef() {
    let (app, host) = app();
    app.config("MIXPACK_OTP_BUILDS_URL", &host.url("/erlef/otp_builds"));
    app.write(".tool-versions", "erlang 27.3.4.1\nelixir 1.18.3-otp-27\n");
    host.set(OTP, Behaviour::Status(403, Vec::new()));
    let deploy = app.deploy();
    deploy.expect_success();
    says(&deploy, "HTTP status 403; continuing with");
}
