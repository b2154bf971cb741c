//! Calls the buildpack as Heroku does: a fresh copy of the repository's `bin`, a stack image without Erlang, Elixir
//! or Node, an unprivileged user, a new name for each build directory, config vars as files, and an artifact host on
//! loopback.

#![allow(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::needless_pass_by_value,
    reason = "helpers of tests may panic"
)]

pub mod action;
pub mod differential;
mod dyno;
pub mod heroku_standin;
pub mod pack;
pub mod pages;
pub mod postgres;
mod printed;
pub mod samples;
mod tree;

pub use dyno::{Dyno, Web};
pub use printed::{compiling, holds, lacks, said, unwrapped};
pub use tree::{beams, copy, files_with, links_that_leave, listing, size};

use mirror::hex_registry::{Release, package, versions};
use mirror::stack::Process;
use mirror::{AppDir, Override, Sandbox, Server, Stack};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use walkdir::WalkDir;

/// Runs programs for arm64 on a machine of another architecture: Debian's package
/// qemu-user-static.
pub const EMULATOR: &str = "/usr/bin/qemu-aarch64-static";

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is in the repository")
}

fn toolchains() -> PathBuf {
    repository().join("target/test-toolchains")
}

static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();

/// Sets the executable that this process tests. Only the first call counts.
pub fn test_executable(path: PathBuf) {
    EXECUTABLE.get_or_init(|| path);
}

/// The executable under test. `cargo xtask test` passes the one that it has built; the default is the one in `bin/`.
fn executable() -> Option<PathBuf> {
    let named = || std::env::var_os("MIXPACK_EXE").map(PathBuf::from);
    EXECUTABLE.get().cloned().or_else(named)
}

/// The stack image that `cargo xtask toolchains` made.
pub fn stack() -> Stack {
    Stack::at(toolchains().join("stack")).expect("the stack image: run `cargo xtask toolchains`")
}

/// The bare image that `cargo xtask toolchains` made: the libraries that Erlang needs, and no compiler, git, curl or
/// locales.
pub fn bare_image() -> Stack {
    Stack::at(toolchains().join("bare")).expect("the bare image: run `cargo xtask toolchains`")
}

/// The npm registry that this machine uses, for the esbuild package's stand-in and for apps of
/// other package managers than npm.
pub fn npm_registry() -> String {
    static REGISTRY: OnceLock<String> = OnceLock::new();
    let registry = REGISTRY.get_or_init(|| {
        let tools = std::env::var_os(TOOLS).map(PathBuf::from);
        let noted = tools.and_then(|tools| fs::read_to_string(tools.join(NPM_REGISTRY)).ok());
        noted.unwrap_or_else(ask_npm_for_registry)
    });
    registry.clone()
}

fn ask_npm_for_registry() -> String {
    let output = std::process::Command::new("npm")
        .args(["config", "get", "registry"])
        .output()
        .expect("npm runs");
    let url = String::from_utf8(output.stdout).expect("a URL");
    url.trim().to_owned()
}

/// The file of [`npm_registry`] next to [tools](install_tools), since npm takes a third of a second to tell it.
const NPM_REGISTRY: &str = "npm-registry";

/// The variable with the directory of [`install_tools`].
pub const TOOLS: &str = "MIXPACK_TEST_TOOLS";

/// Installs the tools of most fixtures into `dir`, in the form of a build cache. Since installing them is half the
/// work of a small build, the caches of [`App::fixture`] start with them if the variable [`TOOLS`] names `dir`.
pub fn install_tools(dir: &Path) {
    fs::write(dir.join(NPM_REGISTRY), ask_npm_for_registry()).expect("a file");
    let app = App::cold_fixture("phoenix-npm");
    app.deploy().expect_success();
    for name in ["format", "tools"] {
        copy_exactly(&app.cache.join("mixpack").join(name), dir);
    }
    // Cached packages depend on the app.
    for entry in fs::read_dir(dir.join("tools")).expect("a directory") {
        let path = entry.expect("a tool").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        if name.starts_with("node_modules") {
            fs::remove_dir_all(path).expect("packages to remove");
        }
    }
}

/// Copies a file or directory into `dir`, with times, modes and links.
fn copy_exactly(from: &Path, dir: &Path) {
    let mut cp = std::process::Command::new("cp");
    let status = cp.arg("-a").args([from, dir]).status();
    assert!(status.expect("cp runs").success());
}

/// The files of artifact hosts, in upstream's layout.
pub fn artifacts() -> PathBuf {
    toolchains().join("mirror")
}

/// A separate artifact host, to count its requests and to break its files.
pub fn artifact_host() -> Server {
    let host = Server::start(artifacts()).expect("the artifact mirror");
    flag(&host, &[]);
    host
}

/// Has the host's registry of packages list these releases as retired or with advisories, and no
/// others.
///
/// The lists have no signature, since only hex.pm has its key: builds accept them with `HEX_UNSAFE_REGISTRY`. The
/// stand-in for Hex can't read the files of these packages.
pub fn flag(host: &Server, releases: &[Release]) {
    host.set_override("/hex/versions", Override::Body(versions(releases)));
    for release in releases {
        let path = format!("/hex/packages/{}", release.package);
        host.set_override(path, Override::Body(package(release)));
    }
}

/// The same, for as long as the tests run.
pub fn own_host() -> &'static Server {
    Box::leak(Box::new(artifact_host()))
}

/// The variables of an [`App`] with the URLs of its host. Without them, builds use the real hosts.
pub const HOST_VARIABLES: [&str; 4] = [
    "HEX_BUILDS_URL",
    "NODEJS_ORG_MIRROR",
    "HEX_MIRROR",
    "HEX_UNSAFE_REGISTRY",
];

/// An app that is deployed several times, with its cache, config vars and artifact host.
pub struct App {
    pub sandbox: Sandbox,
    pub host: &'static Server,
    name: String,
    builds: AtomicU32,
    cache: PathBuf,
    env: PathBuf,
    source: PathBuf,
    stack_name: Option<String>,
}

/// The result of a deploy.
pub struct Deploy {
    pub succeeded: bool,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// The host's path of `BUILD_DIR`: the slug.
    pub slug: PathBuf,
    /// Its path inside.
    pub build_dir: PathBuf,
    pub left_in_app: Vec<PathBuf>,
    pub took: Duration,
}

/// The host that is shared by tests that don't change it.
fn shared_host() -> &'static Server {
    static HOST: OnceLock<Server> = OnceLock::new();
    HOST.get_or_init(artifact_host)
}

impl App {
    /// A fixture by name, to be deployed as it is. Its cache may have [tools](install_tools).
    pub fn fixture(name: &str) -> Self {
        let app = Self::cold_fixture(name);
        app.add_tools();
        app
    }

    /// The same, with an artifact host of its own.
    pub fn fixture_with_its_host(name: &str) -> Self {
        let app = Self::on(own_host(), name, AppDir::Tmpfs);
        app.add_tools();
        app
    }

    /// A fixture that was deployed before, for tests that need no cold build.
    ///
    /// With a directory of [tools](install_tools), one test of all makes that deploy, and each gets a copy of its cache.
    pub fn deployed_fixture(name: &str) -> Self {
        let app = Self::cold_fixture(name);
        let Some(tools) = std::env::var_os(TOOLS).map(PathBuf::from) else {
            app.deploy().expect_success();
            return app;
        };
        let made = tools.join("deployed").join(name);
        fs::create_dir_all(&made).expect("a directory for a cache");
        let lock = fs::File::create(made.join("lock")).expect("a lock");
        lock.lock().expect("the lock");
        let done = made.join("done");
        if !done.exists() {
            let first = Self::fixture(name);
            first.deploy().expect_success();
            copy_exactly(&first.cache.join("mixpack"), &made);
            fs::write(done, "").expect("a file");
        }
        drop(lock);
        copy_exactly(&made.join("mixpack"), &app.cache);
        app.sandbox.give(&app.cache).expect("the cache");
        app
    }

    /// A fixture whose cache is empty.
    pub fn cold_fixture(name: &str) -> Self {
        Self::on(shared_host(), name, AppDir::Tmpfs)
    }

    pub(crate) fn add_tools(&self) {
        let Some(tools) = std::env::var_os(TOOLS) else {
            return;
        };
        let cache = self.cache.join("mixpack");
        fs::create_dir(&cache).expect("a directory in the cache");
        for name in ["format", "tools"] {
            copy_exactly(&Path::new(&tools).join(name), &cache);
        }
        self.sandbox.give(&self.cache).expect("the cache");
    }

    /// Empties the cache, except for [tools](install_tools).
    pub fn clear_cache(&self) {
        fs::remove_dir_all(&self.cache).expect("a cache to remove");
        fs::create_dir(&self.cache).expect("a cache");
        self.sandbox.give(&self.cache).expect("the cache");
        self.add_tools();
    }

    /// A fixture that is built on another image than the stack's, which the platform does not name.
    pub fn on_image(image: &Stack, name: &str) -> Self {
        Self::on_image_with(image, shared_host(), name)
    }

    /// The same, with an artifact host of its own.
    pub fn on_image_with(image: &Stack, host: &'static Server, name: &str) -> Self {
        Self::made(image, host, name, AppDir::Tmpfs).stack_name(None)
    }

    /// A fixture with an artifact host of its own, and `/app` as given.
    pub fn on(host: &'static Server, name: &str, app_dir: AppDir) -> Self {
        Self::made(&stack(), host, name, app_dir)
    }

    fn made(image: &Stack, host: &'static Server, name: &str, app_dir: AppDir) -> Self {
        let sandbox = image.sandbox().expect("a sandbox");
        let tmp = sandbox.tmp();
        let (cache, env, source) = (tmp.join("cache"), tmp.join("env"), tmp.join("source"));
        for dir in [&cache, &env, &source] {
            fs::create_dir(dir).expect("a folder in the sandbox");
        }
        if !name.is_empty() {
            copy(&repository().join("fixtures").join(name), &source);
        }
        let buildpack = tmp.join("buildpack");
        copy(&repository().join("bin"), &buildpack.join("bin"));
        let sandbox = match executable() {
            Some(executable) => sandbox
                .bind_ro(executable, "/usr/local/lib/mixpack")
                .env("MIXPACK_EXE", "/usr/local/lib/mixpack"),
            None => sandbox,
        };
        let sandbox = sandbox
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", "/app")
            .app_dir(app_dir);
        let app = Self {
            sandbox,
            host,
            name: name.to_owned(),
            builds: AtomicU32::new(0),
            cache,
            env,
            source,
            stack_name: Some("heroku-24".to_owned()),
        };
        app.sandbox
            .give(&buildpack)
            .expect("the buildpack's folder");
        app.sandbox.give(&app.cache).expect("the cache");
        app.config("HEX_BUILDS_URL", &host.url());
        app.config("HEX_MIRROR", &format!("{}/hex", host.url()));
        app.config("HEX_UNSAFE_REGISTRY", "1");
        app.config("NODEJS_ORG_MIRROR", &format!("{}/dist", host.url()));
        app
    }

    #[must_use]
    pub fn stack_name(mut self, name: Option<&str>) -> Self {
        self.stack_name = name.map(str::to_owned);
        self
    }

    /// Replaces Heroku's `/app`.
    #[must_use]
    pub fn in_app_dir(mut self, app_dir: AppDir) -> Self {
        self.sandbox = self.sandbox.app_dir(app_dir);
        self
    }

    /// Sets a config var.
    pub fn config(&self, name: &str, value: &str) {
        fs::write(self.env.join(name), value).expect("a config var");
    }

    pub fn unset(&self, name: &str) {
        fs::remove_file(self.env.join(name)).expect("a config var to unset");
    }

    /// Writes a file of the app's source.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.source.join(path);
        fs::create_dir_all(path.parent().expect("a path in the app")).expect("a folder");
        fs::write(path, text).expect("a file of the app");
    }

    /// Replaces text in a file of the app's source, which must contain it.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let file = self.source.join(path);
        let text = fs::read_to_string(&file).expect("a file of the app");
        assert!(text.contains(from), "{path} does not hold {from:?}");
        fs::write(file, text.replace(from, to)).expect("a file of the app");
    }

    /// Has `mix.lock` name another version of the package knobs.
    pub fn lock_newer_knobs(&self) {
        let packages = mirror::hex_package::pack_all(&repository().join("fixtures/packages"));
        let packages = packages.expect("packages");
        let line = |version: &str| {
            let mut knobs = packages.iter().filter(|package| package.name == "knobs");
            let one = knobs.find(|package| package.version == version);
            one.expect("that version").lock_line()
        };
        self.edit("mix.lock", line("1.0.0").trim(), line("1.0.1").trim());
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.source.join(path)).expect("a file of the app");
    }

    /// The host's path of the app's source.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// Redirects git from `https://git.example.invalid/`, which the fixtures use, to `url`.
    pub fn git_from(&self, url: &str) {
        self.config("GIT_CONFIG_COUNT", "1");
        self.config("GIT_CONFIG_KEY_0", &format!("url.{url}.insteadOf"));
        self.config("GIT_CONFIG_VALUE_0", "https://git.example.invalid/");
    }

    /// The host's path of the cache directory.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// The host's path of a path in the sandbox's `/tmp`.
    pub fn on_host(&self, inside: &Path) -> PathBuf {
        self.sandbox
            .tmp()
            .join(inside.strip_prefix("/tmp").expect("below /tmp"))
    }

    /// A new build directory, as after a push: with a new name and new modification times.
    pub fn checkout(&self) -> PathBuf {
        let number = self.builds.fetch_add(1, Ordering::SeqCst);
        let inside = PathBuf::from(format!("/tmp/build_{}{number}", self.name.replace('-', "")));
        let build = self.on_host(&inside);
        copy(&self.source, &build);
        self.sandbox.give(&build).expect("the build directory");
        inside
    }

    fn entry(&self, script: &str, args: &[&Path]) -> mirror::stack::Command<'_> {
        let args = args.iter().map(|arg| arg.as_os_str().to_owned());
        let command = self
            .sandbox
            .command(format!("/tmp/buildpack/bin/{script}"), args)
            // By contract the working directory is not the build directory.
            .current_dir("/tmp/buildpack");
        match &self.stack_name {
            Some(name) => command.env("STACK", name),
            None => command,
        }
    }

    /// `mixpack` as run by a developer: no STACK, a home directory, the artifact host in the environment.
    pub fn mixpack(&self, args: &[&str]) -> mirror::stack::Command<'_> {
        let url = self.host.url();
        self.sandbox
            .command("/tmp/buildpack/bin/mixpack", args.iter().copied())
            .current_dir("/tmp")
            .env("HOME", "/tmp/home")
            .env("HEX_BUILDS_URL", &url)
            .env("HEX_MIRROR", format!("{url}/hex"))
            .env("HEX_UNSAFE_REGISTRY", "1")
            .env("NODEJS_ORG_MIRROR", format!("{url}/dist"))
    }

    /// `bin/compile`, on a new checkout.
    pub fn deploy(&self) -> Deploy {
        let build_dir = self.checkout();
        self.compile(&build_dir)
    }

    /// `bin/compile` in an existing build directory.
    pub fn compile(&self, build_dir: &Path) -> Deploy {
        self.build("compile", build_dir)
    }

    /// `bin/test-compile` in an existing build directory, or in a new checkout.
    pub fn test_compile(&self, build_dir: Option<&Path>) -> Deploy {
        let build_dir = build_dir.map_or_else(|| self.checkout(), Path::to_owned);
        self.build("test-compile", &build_dir)
    }

    /// The JSON of `bin/report`.
    pub fn report(&self) -> serde_json::Value {
        let args: [&Path; 3] = [
            "/tmp/gone".as_ref(),
            "/tmp/cache".as_ref(),
            "/tmp/env".as_ref(),
        ];
        let output = self
            .entry("report", &args)
            .output()
            .expect("bin/report runs");
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn build(&self, script: &str, build_dir: &Path) -> Deploy {
        let begun = Instant::now();
        let compile = self.entry(
            script,
            &[build_dir, "/tmp/cache".as_ref(), "/tmp/env".as_ref()],
        );
        let Output {
            status,
            stdout,
            stderr,
        } = compile.output().expect("the build runs");
        Deploy {
            succeeded: status.success(),
            code: status.code(),
            stdout: String::from_utf8(stdout).expect("a log in UTF-8"),
            stderr: String::from_utf8(stderr).expect("a log in UTF-8"),
            slug: match build_dir.strip_prefix("/tmp") {
                Ok(_) => self.on_host(build_dir),
                // For a build in the runtime path, the test knows the host's path.
                Err(_) => PathBuf::new(),
            },
            build_dir: build_dir.to_owned(),
            left_in_app: self.sandbox.left_in_app().unwrap_or_default(),
            took: begun.elapsed(),
        }
    }

    /// `bin/compile` on a new checkout, with its log on our own stdout and stderr.
    pub fn deploy_in_view(&self) -> Deploy {
        let build_dir = self.checkout();
        let begun = Instant::now();
        let args: [&Path; 3] = [&build_dir, "/tmp/cache".as_ref(), "/tmp/env".as_ref()];
        let status = self
            .entry("compile", &args)
            .status()
            .expect("bin/compile runs");
        Deploy {
            succeeded: status.success(),
            code: status.code(),
            stdout: String::new(),
            stderr: String::new(),
            slug: self.on_host(&build_dir),
            build_dir,
            left_in_app: self.sandbox.left_in_app().unwrap_or_default(),
            took: begun.elapsed(),
        }
    }

    /// A new app from `mix phx.new`, with the installer from hex.pm. Needs the real hosts, and the toolchain of an
    /// app that was deployed before.
    #[must_use]
    pub fn stock_phoenix(&self) -> Self {
        let made = Self::on(self.host, "", AppDir::Tmpfs);
        for name in HOST_VARIABLES {
            made.unset(name);
        }
        let script = "export HOME=/tmp/home; mkdir -p $HOME; . /tmp/buildpack/export; unset MIX_ENV; cd /tmp; \
                      mix archive.install --force hex phx_new && mix phx.new --no-ecto --no-install stock";
        let output = self
            .sandbox
            .command("bash", ["-ec", script])
            .output()
            .expect("mix runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        copy(&self.sandbox.tmp().join("stock"), &made.source);
        made
    }

    /// Starts `bin/compile` on a new checkout without waiting for it. Also returns the build directory.
    pub fn start_deploy(&self) -> (Process, PathBuf) {
        let build_dir = self.checkout();
        let compile = self.entry(
            "compile",
            &[&build_dir, "/tmp/cache".as_ref(), "/tmp/env".as_ref()],
        );
        let process = compile
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("bin/compile starts");
        (process, build_dir)
    }

    /// `bin/detect`.
    pub fn detect(&self) -> Output {
        let build_dir = self.checkout();
        self.entry("detect", &[&build_dir])
            .output()
            .expect("bin/detect runs")
    }

    /// `bin/release` of a slug.
    pub fn release(&self, deploy: &Deploy) -> String {
        let output = self
            .entry("release", &[&deploy.build_dir])
            .output()
            .expect("bin/release runs");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("YAML in UTF-8")
    }

    /// The default `web` command of a slug, from `bin/release`.
    pub fn web(&self, deploy: &Deploy) -> String {
        let yaml = self.release(deploy);
        let (_, quoted) = yaml.split_once("\n  web: ").expect("a web process");
        serde_json::from_str(quoted.trim()).expect("a quoted command")
    }

    /// Packs the slug, deletes the build directory, and unpacks it for a dyno.
    pub fn ship(&self, deploy: Deploy) -> Dyno {
        self.ship_to(&stack(), deploy)
    }

    /// The same for a dyno with another image.
    pub fn ship_to(&self, image: &Stack, deploy: Deploy) -> Dyno {
        assert!(deploy.succeeded, "{}{}", deploy.stdout, deploy.stderr);
        Dyno::of(image, &deploy.slug)
    }
}

impl Deploy {
    /// Everything that was printed.
    pub fn log(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Also checks that no link of the slug leads to the build directory, which dynos don't have.
    #[track_caller]
    pub fn expect_success(&self) {
        assert!(self.succeeded, "the build failed:\n{}", self.log());
        for entry in WalkDir::new(&self.slug).into_iter().filter_map(Result::ok) {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            let is_outside = target.starts_with(&self.build_dir);
            assert!(
                !is_outside,
                "{} leads to the build directory",
                entry.path().display()
            );
        }
    }

    /// The lines that say what was compiled: `compiled shop: 3 files`.
    pub fn compiled(&self) -> Vec<&str> {
        compiling(&self.stdout)
    }
}
