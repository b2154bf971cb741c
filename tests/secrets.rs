//! Every value of a config var contains a marker, which the tests search for after the build: in the log, the slug,
//! the cache, the files for later buildpacks and reports, temporary directories, and the command lines of all
//! processes. Credentials for fetching must also be in no other environment.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use memchr::memmem;
use mirror::hex_api::{Account, Owner, Shown};
use mirror::{HexApi, Server};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use walkdir::{DirEntryExt as _, WalkDir};
use whole_builds::{App, Deploy, own_host};

/// The prefix of markers of secrets for fetching.
const FETCH: &str = "f3tchM4rk";

/// A unique value.
fn marker(prefix: &str) -> String {
    format!("{prefix}{:016x}", RandomState::new().hash_one(prefix))
}

/// The prefix of all markers, in the forms that would reveal them: plain, and as base64 at each of three offsets.
fn forms() -> Vec<String> {
    let of = |prefix: &&str| {
        let encoded = ["", "x", "xx"].map(|before| {
            let encoded = BASE64_STANDARD.encode(format!("{before}{prefix}"));
            // The first and last characters depend on the text around it.
            encoded[4.min(before.len() * 4)..encoded.len() - 4].to_owned()
        });
        [[(*prefix).to_owned()].as_slice(), &encoded].concat()
    };
    [FETCH, SEEN].iter().flat_map(of).collect()
}

/// The part of an unsalted digest that would be stored.
fn digest(secret: &str) -> String {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(secret).into();
    format!("{a:02x}{b:02x}{c:02x}{d:02x}")
}

/// An app with a marker in each config var.
struct Marked {
    app: App,
    /// Markers, with the names of their config vars.
    markers: BTreeMap<String, String>,
}

impl Marked {
    fn of(app: App) -> Self {
        let markers = BTreeMap::new();
        Self { app, markers }
    }

    /// Sets a config var; `{}` in the value stands for a marker. Returns the marker.
    fn config(&mut self, name: &str, prefix: &str, value: &str) -> String {
        let marker = marker(prefix);
        self.app.config(name, &value.replace("{}", &marker));
        self.markers.insert(marker.clone(), name.to_owned());
        marker
    }

    /// Builds, and searches for markers during and after the build.
    #[track_caller]
    fn deploy(&self) -> Deploy {
        let watch = Watch::begin(self.markers.keys().cloned().collect());
        let deploy = self.app.deploy();
        let seen = watch.end();
        assert!(seen.processes > 5, "{} processes seen", seen.processes);
        assert!(
            seen.marked.is_empty(),
            "on a command line: {:?}",
            seen.marked
        );
        self.assert_nowhere(&deploy);
        deploy
    }

    #[track_caller]
    fn assert_nowhere(&self, deploy: &Deploy) {
        let tmp = self.app.sandbox.tmp();
        let report = self.app.report().to_string();
        let mut texts = vec![
            ("the log".into(), deploy.log().into_bytes()),
            ("the report".into(), report.into_bytes()),
        ];
        let files = WalkDir::new(&tmp).into_iter().filter_map(Result::ok);
        let files = files.filter(|entry| {
            // Skip the platform's config vars and the test's own files.
            let own = ["env", "source"].map(|name| tmp.join(name));
            entry.file_type().is_file() && !own.iter().any(|own| entry.path().starts_with(own))
        });
        // The slug and the cache share the files of tools.
        let mut known = BTreeSet::new();
        for file in files.filter(|file| known.insert(file.ino())) {
            let path = file.path().strip_prefix(&tmp).unwrap().to_owned();
            texts.push((path, fs::read(file.path()).unwrap_or_default()));
            for (place, text) in texts.drain(..) {
                self.assert_clean(&place, &text);
            }
        }
        assert!(known.len() > 30, "{} files looked at", known.len());
    }

    #[track_caller]
    fn assert_clean(&self, place: &Path, text: &[u8]) {
        let panic = |at: usize| {
            let around = &text[at.saturating_sub(200)..text.len().min(at + 100)];
            let around = String::from_utf8_lossy(around);
            panic!(
                "a value of {:?} is in {}: {around}",
                self.markers,
                place.display()
            );
        };
        for form in forms() {
            memmem::find(text, form.as_bytes()).map(panic);
        }
        if place
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            for marker in self.markers.keys() {
                memmem::find(text, digest(marker).as_bytes()).map(panic);
            }
        }
    }
}

/// Samples the command lines of all processes that start after it.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Seen>,
}

struct Seen {
    processes: usize,
    marked: BTreeSet<String>,
}

/// The processes of this machine.
fn processes() -> BTreeSet<OsString> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let names = entries.map(|entry| entry.file_name());
    names
        .filter(|name| name.as_encoded_bytes()[0].is_ascii_digit())
        .collect()
}

impl Watch {
    fn begin(markers: BTreeSet<String>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        // Reading the command lines of a whole machine takes most of a core.
        let mut others = processes();
        let thread = std::thread::spawn(move || {
            let (mut pids, mut marked) = (BTreeSet::new(), BTreeSet::new());
            while !until.load(Ordering::Relaxed) {
                let now = processes();
                // The kernel may reuse the id of a process that ended.
                others.retain(|pid| now.contains(pid));
                for pid in now.difference(&others) {
                    let line = Path::new("/proc").join(pid).join("cmdline");
                    let line = fs::read(line).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line).replace('\0', " ");
                    // git itself puts the plain URL there.
                    let of_git = line.contains("remote-http");
                    if !of_git && markers.iter().any(|marker| line.contains(marker)) {
                        marked.insert(line);
                    }
                }
                pids.extend(now.difference(&others).cloned());
                std::thread::sleep(Duration::from_millis(3));
            }
            let processes = pids.len();
            Seen { processes, marked }
        });
        Self { stop, thread }
    }

    fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// The prefix of markers of values that every command of the app may see.
const SEEN: &str = "s33nM4rk3r";

/// A registry with one package, only for requests with the token. Returns its port.
fn registry(package: Vec<u8>, token: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = answer(stream, &package, &token);
        }
    });
    port
}

fn answer(mut stream: TcpStream, package: &[u8], token: &str) -> std::io::Result<()> {
    let lines = BufReader::new(stream.try_clone()?)
        .lines()
        .map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = head
        .first()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or("/");
    let shown = head.iter().any(|line| line.ends_with(token));
    let host = head.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("host").then_some(value)
    });
    // One version has an archive, the other only claims to have one.
    let versions = ["1.0.0", "1.0.1"].map(|version| {
        let host = host.unwrap_or_default();
        format!(
            r#""{version}":{{"name":"tiny","version":"{version}",
            "dist":{{"tarball":"http://{host}/tiny/-/tiny-{version}.tgz"}}}}"#
        )
    });
    let document = format!(
        r#"{{"name":"tiny","dist-tags":{{"latest":"1.0.0"}},"versions":{{{}}}}}"#,
        versions.join(",")
    );
    let (status, body) = match path {
        _ if !shown => (
            "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"",
            b"{\"error\":\"no token\"}".as_slice(),
        ),
        path if path.ends_with("tiny-1.0.0.tgz") => ("200 OK", package),
        path if path.ends_with("/tiny") => ("200 OK", document.as_bytes()),
        _ => ("404 Not Found", b"{}".as_slice()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

/// A package as npm packs it.
fn package() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("package")).unwrap();
    let json = r#"{"name":"tiny","version":"1.0.0"}"#;
    fs::write(dir.path().join("package/package.json"), json).unwrap();
    let tar = Command::new("tar")
        .arg("-C")
        .arg(dir.path())
        .args(["-cz", "package"])
        .output();
    tar.unwrap().stdout
}

fn lock(version: &str) -> String {
    format!(
        r#"{{"name":"x","lockfileVersion":3,"requires":true,"packages":{{
          "":{{"name":"x","dependencies":{{"tiny":"{version}"}}}},
          "node_modules/tiny":{{"version":"{version}"}}}}}}"#
    )
}

/// Reports secrets for fetching: in variables of every VM that reads mix.exs except the fetching one, and on command
/// lines.
const TELL: &str = r#"def project do
    wanted = "f3tch" <> "M4rk"
    for {name, value} <- System.get_env(), String.contains?(value, wanted), "deps.get" not in System.argv(), do: IO.puts("mix sees #{name}")
    if "deps.get" in System.argv(), do: IO.puts("deps.get gets #{Enum.count(System.get_env(), fn {_, value} -> value =~ wanted end)}")
    for f <- Path.wildcard("/proc/[0-9]*/cmdline"), {:ok, text} <- [File.read(f)], text =~ wanted, do: IO.puts("seen in #{f}")
"#;

/// A shell command that prints the names of variables that contain secrets for fetching.
const NAMES: &str = "env | sed -n \"s|^\\([A-Z_a-z0-9]*\\)=.*f3tch[M]4rk.*|$0 sees \\1|p\"";

const PACKAGE_JSON: &str = r#"{"name":"x","scripts":{"deploy":"sh tell.sh npm; mkdir -p ../priv/static; date > ../priv/static/made.txt"},"dependencies":{"tiny":"1.0.0"}}"#;
const CONFIG: &str = "elixir_version=1.18\nerlang_version=27\n";

/// An app with every setting that may contain a secret, the host that it fetches from, and the one where Hex
/// exchanges a key for a token, which is a secret too.
fn with_everything() -> (Marked, &'static Server, HexApi) {
    let host = own_host();
    let mut marked = Marked::of(App::on(host, "phoenix-npm", mirror::AppDir::Tmpfs));
    let with_password = host.url().replacen("://", "://deploy:{}@", 1);
    marked.config("HEX_BUILDS_URL", FETCH, &with_password);
    marked.config("HEX_MIRROR", FETCH, &format!("{with_password}/hex"));
    marked.config("NODEJS_ORG_MIRROR", FETCH, &format!("{with_password}/dist"));
    marked.config(
        "MIXPACK_OTP_BUILDS_URL",
        FETCH,
        &format!("{with_password}/erlef/otp_builds"),
    );
    marked.config("GIT_CREDENTIALS", FETCH, "https://me:{}@git.example\n");
    marked.config(
        "GIT_SSH_KEY",
        FETCH,
        "-----BEGIN KEY-----\n{}\n-----END KEY-----\n",
    );
    let key = marked.config("HEX_ORGANIZATION_KEYS", FETCH, "acme:{}");
    let account = Account {
        organization: "acme",
        key,
        owner: Owner::Organization,
        token: marker(FETCH),
    };
    let name = "the token for HEX_ORGANIZATION_KEYS".to_owned();
    marked.markers.insert(account.token.clone(), name);
    let hex = HexApi::start(account, host.root().join("hex")).unwrap();
    marked.app.config("HEX_API_URL", &hex.api_url());
    marked.app.config("HEX_STANDIN_VERSION", "2.6.0");
    marked.config("HEX_REPOS_KEY", FETCH, "{}");
    let token = marked.config("NPM_TOKEN", SEEN, "{}");
    let port = registry(package(), token);
    let url = format!("http://me:{{}}@127.0.0.1:{port}/");
    marked.config("NPM_CONFIG_REGISTRY", SEEN, &url);
    // No request uses this proxy, since all addresses are on loopback.
    marked.config("HTTPS_PROXY", SEEN, "http://me:{}@proxy.example:3128");
    marked.app.config("NO_PROXY", "127.0.0.1");
    marked.config("SECRET_KEY_BASE", SEEN, "{}");
    marked.config("DATABASE_URL", SEEN, "ecto://me:{}@db.example/x");
    marked.config("MIX_SOME_SWITCH", SEEN, "{}");
    marked.config("ERL_CRASH_DUMP", SEEN, "/tmp/{}");
    marked.config("GREETING", SEEN, "{}");
    marked.config("MIXPACK_CLEAN_BUILD", SEEN, "{}");
    let app = &marked.app;
    app.write(
        "assets/.npmrc",
        &format!("//127.0.0.1:{port}/:_authToken=${{NPM_TOKEN}}\n"),
    );
    app.write("assets/package.json", PACKAGE_JSON);
    app.write("assets/tell.sh", NAMES);
    app.write("assets/package-lock.json", &lock("1.0.0"));
    app.edit("mix.exs", "def project do\n", TELL);
    let hooks = format!(
        "{CONFIG}hook_pre_fetch_dependencies='sh assets/tell.sh'\nhook_post_compile='sh assets/tell.sh; env | sort > /dev/null'\n"
    );
    app.write("elixir_buildpack.config", &hooks);

    (marked, host, hex)
}

#[test]
fn no_secret_leaks_after_success_or_any_failure() {
    let (marked, host, hex) = with_everything();
    let app = &marked.app;
    let deploy = marked.deploy();
    deploy.expect_success();
    let log = deploy.log();
    assert!(!log.contains(" sees ") && !log.contains("seen in"), "{log}");
    // The URL that Hex fetches from, and the key.
    assert!(log.contains("deps.get gets 2"), "{log}");
    let exchange = ("/api/oauth/token".to_owned(), Shown::Key);
    assert_eq!(hex.take_requests(), [exchange]);
    assert!(deploy.slug.join("priv/static/made.txt").is_file());
    assert!(log.contains("http://[hidden]@127.0.0.1"), "{log}");
    drop(deploy);

    // A second build, with the first one's cache.
    let again = marked.deploy();
    again.expect_success();
    assert!(!again.log().contains(" sees "), "{}", again.log());
    drop(again);

    let fails = |what: &str, code: &str| {
        let deploy = marked.deploy();
        assert!(!deploy.succeeded, "{what}: {}", deploy.log());
        let error = format!("Error code: {code}");
        assert!(deploy.log().contains(&error), "{what}: {}", deploy.log());
        fs::remove_dir_all(&deploy.slug).unwrap();
    };
    // Like many tools, each prints its arguments.
    app.write(
        "lib/broken.ex",
        "raise inspect(for name <- ~w(SECRET_KEY_BASE DATABASE_URL NPM_TOKEN NPM_CONFIG_REGISTRY HTTPS_PROXY GREETING), do: System.get_env(name))\n",
    );
    fails("compile", "compile-failed");
    app.remove("lib/broken.ex");
    app.write("assets/package-lock.json", &lock("1.0.1"));
    app.edit(
        "assets/package.json",
        "\"tiny\":\"1.0.0\"",
        "\"tiny\":\"1.0.1\"",
    );
    fails("npm", "javascript-package-refused");
    app.write("assets/package-lock.json", &lock("1.0.0"));
    app.edit(
        "assets/package.json",
        "\"tiny\":\"1.0.1\"",
        "\"tiny\":\"1.0.0\"",
    );
    let hook = format!(
        "{CONFIG}hook_pre_compile='env | grep -v ^ERL_CRASH_DUMP= | grep -v ^MIXPACK_; echo $SECRET_KEY_BASE $DATABASE_URL $NPM_CONFIG_REGISTRY; exit 3'\n"
    );
    app.write("elixir_buildpack.config", &hook);
    fails("hook", "hook-failed");
    app.write(
        "elixir_buildpack.config",
        "elixir_version=1.18\nerlang_version=27.3.4\n",
    );
    fails("a version", "version-not-available");
    app.write("elixir_buildpack.config", CONFIG);
    app.config("MIXPACK_CLEAN_BUILD", "another");
    let elixir = "/builds/elixir/v1.18.3-otp-27.zip";
    host.set_override(elixir, mirror::Override::Status(404));
    fails("a download", "artifact-missing");
}

/// A git host that rejects requests, in a URL that a tool prints.
#[test]
fn failed_dependency_fetch_leaks_no_secret() {
    let mut marked = Marked::of(App::fixture("git-dep"));
    let port = registry(Vec::new(), "no one has this".to_owned());
    marked.app.config("GIT_CONFIG_COUNT", "1");
    marked.config(
        "GIT_CONFIG_KEY_0",
        SEEN,
        &format!("url.http://me:{{}}@127.0.0.1:{port}/.insteadOf"),
    );
    marked
        .app
        .config("GIT_CONFIG_VALUE_0", "https://git.example.invalid/");
    marked.config(
        "GIT_CREDENTIALS",
        FETCH,
        &format!("http://me:{{}}@127.0.0.1:{port}\n"),
    );
    marked.config("HEX_REPOS_KEY", FETCH, "{}");
    marked.app.config("GIT_TRACE_REDACT", "0");
    marked.app.config("GIT_CURL_VERBOSE", "1");
    let deploy = marked.deploy();
    assert!(!deploy.succeeded, "{}", deploy.log());
    assert!(deploy.log().contains("[hidden]"), "{}", deploy.log());
}

#[test]
fn warns_about_secret_compiled_into_app() {
    let app = App::fixture("no-deps");
    let [token, other] = [marker(SEEN), marker(SEEN)];
    app.config("PAYMENT_API_TOKEN", &token);
    app.config("OTHER_SECRET", &other);
    app.config("MAIL_URL", &format!("smtp://me:{other}@mail.example"));
    let code = "defmodule NoDeps.Baked do\n  @token System.fetch_env!(\"PAYMENT_API_TOKEN\")\n  def header, do: [{\"authorization\", \"Bearer #{@token}\"}]\nend\n";
    app.write("lib/baked.ex", code);
    let warned = |deploy: &Deploy| {
        deploy.expect_success();
        let log = deploy.log();
        assert!(!log.contains(&token) && !log.contains(&other), "{log}");
        assert!(
            !log.contains("OTHER_SECRET") && !log.contains("MAIL_URL"),
            "{log}"
        );
        let warning = "The build wrote the value of PAYMENT_API_TOKEN into _build/prod/lib/no_deps/ebin/Elixir.NoDeps.Baked.beam";
        log.contains(warning)
    };
    assert!(warned(&app.deploy()));
    assert!(warned(&app.deploy()), "not only when it is compiled");
    app.write(
        "lib/baked.ex",
        &code
            .replace(
                "@token System.fetch_env!",
                "def token, do: System.fetch_env!",
            )
            .replace("#{@token}", "#{token()}"),
    );
    assert!(!warned(&app.deploy()));
    // In a release: values that config files have read.
    app.write(
        "elixir_buildpack.config",
        "elixir_version=1.18\nerlang_version=27\nrelease=true\n",
    );
    let read = "config :no_deps, token: System.fetch_env!(\"PAYMENT_API_TOKEN\")";
    app.write("config/config.exs", &format!("import Config\n{read}\n"));
    let deploy = app.deploy();
    deploy.expect_success();
    let log = deploy.log();
    let release = deploy.slug.join("_build/prod/rel/no_deps/releases/0.1.0");
    let sys = fs::read_to_string(release.join("sys.config")).unwrap();
    let warning = "The build wrote the value of PAYMENT_API_TOKEN into _build/prod/";
    assert!(log.contains(warning), "{log}{sys}");
    assert!(!log.contains(&token), "{log}");
}
