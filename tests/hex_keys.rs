//! Keys of Hex organisations. The stand-in for Hex behaves like each of the versions that treat them differently:
//! before 2.5.2, before 2.6, and newer ones, which exchange keys for tokens.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::HexApi;
use mirror::hex_api::{Account, Owner, Shown};
use std::fs;
use whole_builds::{App, Deploy, compiling, files_with, said};

const NOTHING: [&str; 0] = [];
const KEY: &str = "h3x-key-0f-acme";
const TOKEN: &str = "h3x-key-t0ken-0f-acme";
const WRONG_KEY: &str = "h3x-key-0f-another";

/// An app with a package of the organisation acme, and hex.pm.
fn app(owner: Owner) -> (App, HexApi) {
    let app = App::fixture("plain-otp");
    let account = Account {
        organization: "acme",
        key: KEY.to_owned(),
        owner,
        token: TOKEN.to_owned(),
    };
    let hex = HexApi::start(account, app.host.root().join("hex")).unwrap();
    app.config("HEX_API_URL", &hex.api_url());
    let of_acme = "{:jason_lite, \"~> 1.0\", organization: \"acme\"}";
    app.edit("mix.exs", "{:jason_lite, \"~> 1.0\"}", of_acme);
    app.edit("mix.lock", "\"hexpm\"", "\"hexpm:acme\"");
    // As after `mix hex.repo set hexpm --url URL`, since tests can't reach hex.pm.
    let url = hex.repo_url();
    app.write(
        "repos.config",
        &format!("{{'$repos',#{{<<\"hexpm\">> => #{{url => <<\"{url}\">>}}}}}}.\n"),
    );
    app.write(
        "elixir_buildpack.config",
        "hook_pre_fetch_dependencies='mkdir -p $HEX_HOME; cp repos.config $HEX_HOME/hex.config; env > before.txt'\n\
         hook_post_compile='env > after.txt; echo; cat /tmp/env/HEX_ORGANIZATION_KEYS || true'\n",
    );
    // Records the environment of processes, and of every mix command.
    app.edit(
        "mix.exs",
        "def project do",
        "def project do\n    \
         given = for f <- Path.wildcard(\"/proc/[0-9]*/{cmdline,environ}\"), {:ok, text} <- [File.read(f)], do: {f, text}\n    \
         if \"deps.get\" in System.argv(), do: IO.puts(\"looked: #{Enum.any?(given, fn {_, text} -> text =~ \"HEX_MIRROR\" end)}\")\n    \
         for {f, text} <- given, text =~ \"h3x\" <> \"-key\", do: IO.puts(\"seen in #{f}\")\n    \
         if System.get_env(\"HEX_ORGANIZATION_KEYS\"), do: IO.puts(\"seen as a variable\")",
    );
    (app, hex)
}

/// Checks that no key or token is in the log, the slug, the cache or a temporary directory.
#[track_caller]
fn assert_nowhere(app: &App, deploy: &Deploy) {
    let log = deploy.log();
    assert!(!log.contains("h3x-key") && !log.contains("seen "), "{log}");
    let tmp = app.sandbox.tmp();
    let found: Vec<_> = files_with(&tmp, "h3x-key")
        .into_iter()
        .filter(|file| !file.starts_with(tmp.join("env")))
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

/// The requests with which Hex fetches the package.
fn package(shown: Shown) -> [(String, Shown); 2] {
    ["packages/jason_lite", "tarballs/jason_lite-1.0.0.tar"]
        .map(|path| (format!("/repos/acme/{path}"), shown))
}

/// Deploys with a wrong key.
fn expect_refused(app: &App) {
    app.config("HEX_ORGANIZATION_KEYS", &format!("acme:{WRONG_KEY}"));
    let refused = app.deploy();
    assert!(!refused.succeeded, "{}", refused.log());
    assert!(
        refused.log().contains("hex-organization-refused"),
        "{}",
        refused.log()
    );
    assert_nowhere(app, &refused);
}

#[test]
fn fetches_hex_organization_package_without_leaking_key() {
    let (app, hex) = app(Owner::Organization);
    let refused = app.deploy();
    assert!(!refused.succeeded, "{}", refused.log());
    for line in [
        "Hex denied access to packages of the organization acme",
        "heroku config:set HEX_ORGANIZATION_KEYS=acme:KEY",
    ] {
        assert!(refused.log().contains(line), "{}", refused.log());
    }
    expect_refused(&app);
    drop(hex.take_requests());

    let keys = format!("nonsense, acme:{KEY}\nother:{WRONG_KEY}");
    app.config("HEX_ORGANIZATION_KEYS", &keys);
    let deploy = app.deploy();
    deploy.expect_success();
    let log = deploy.log();
    for line in [
        "entry 1 of HEX_ORGANIZATION_KEYS is not ORG:KEY: not used",
        "looked: true",
        "       [hidden]\n       [hidden]\n",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    for hook in ["before.txt", "after.txt"] {
        let env = fs::read_to_string(deploy.slug.join(hook)).unwrap();
        assert!(
            env.contains("HEX_HOME=") && !env.contains("HEX_ORGANIZATION_KEYS"),
            "{env}"
        );
        assert!(!env.contains("mixpack-credentials-"), "{env}");
    }
    assert_nowhere(&app, &deploy);
    // Without the API, which old versions of Hex don't need.
    assert_eq!(hex.take_requests(), package(Shown::Key));

    // Once fetched and compiled, it isn't requested again.
    let dyno = app.ship(deploy);
    let output = dyno.run("mix run --no-start -e 'IO.puts(JasonLite.encode!(%{}))'");
    let one_off = said(&output);
    assert!(output.status.success(), "{one_off}");
    assert_eq!(compiling(&one_off), NOTHING, "{one_off}");
}

#[test]
fn hex_2_6_exchanges_organization_key_in_same_vm() {
    let exchange = |shown| ("/api/oauth/token".to_owned(), shown);
    let (app, hex) = app(Owner::Organization);
    app.config("HEX_STANDIN_VERSION", "2.6.0");
    expect_refused(&app);
    assert_eq!(hex.take_requests(), [exchange(Shown::Neither)]);

    // A wrong key that no package needs doesn't fail the build.
    let keys = format!("acme:{KEY} other:{WRONG_KEY}");
    app.config("HEX_ORGANIZATION_KEYS", &keys);
    let deploy = app.deploy();
    deploy.expect_success();
    let log = deploy.log();
    let told = "Failed to authenticate against the other repository.";
    assert!(log.contains(told) && log.contains("looked: true"), "{log}");
    assert_nowhere(&app, &deploy);
    let exchanges = [exchange(Shown::Key), exchange(Shown::Neither)];
    assert_eq!(
        hex.take_requests(),
        [&exchanges[..], &package(Shown::Token)].concat()
    );
    drop(deploy);

    // If nothing has to be fetched, no key is exchanged.
    let again = app.deploy();
    again.expect_success();
    assert_eq!(hex.take_requests(), []);
}

#[test]
fn hex_2_6_uses_repos_key_for_every_organization_in_lockfile() {
    let (app, hex) = app(Owner::Organization);
    app.config("HEX_STANDIN_VERSION", "2.6.0");
    app.config("HEX_REPOS_KEY", KEY);
    let deploy = app.deploy();
    deploy.expect_success();
    assert_nowhere(&app, &deploy);
    let exchange = [("/api/oauth/token".to_owned(), Shown::Key)];
    assert_eq!(
        hex.take_requests(),
        [&exchange[..], &package(Shown::Token)].concat()
    );
}

#[test]
fn hex_warns_about_key_owned_by_user() {
    let whose = [("/api/auth".to_owned(), Shown::Key)];
    for (owner, warns) in [(Owner::Organization, false), (Owner::User, true)] {
        let (app, hex) = app(owner);
        app.config("HEX_STANDIN_VERSION", "2.5.2");
        app.config("HEX_ORGANIZATION_KEYS", &format!("acme:{KEY}"));
        let deploy = app.deploy();
        deploy.expect_success();
        let log = deploy.log();
        let warning = "The given key is owned by your user account";
        assert_eq!(log.contains(warning), warns, "{log}");
        // For people who run the task by hand.
        assert!(!log.contains("Starting with Hex 2.6"), "{log}");
        assert_nowhere(&app, &deploy);
        assert_eq!(
            hex.take_requests(),
            [&whose[..], &package(Shown::Key)].concat()
        );
    }
}
