//! A stand-in for Heroku, which the tests can't reach, and for its CLI, so that the commands of the docs run
//! unchanged.
//!
//! A push is one with git, to a repository whose hook does what Heroku does: it clones the buildpack by its address,
//! calls `bin/detect`, `bin/compile` and `bin/release` in the stack image with the config vars as files, and runs the
//! release phase. `heroku run` starts a one-off dyno of the last slug. The command supports only the docs' uses, and
//! its output may differ from that of Heroku's. Two tasks of mix are stand-ins too (`mix.sh`).

use crate::{App, Dyno, Web, copy, executable, repository};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// The docs' placeholder for the URL of this repository, and its replacement.
pub const ADDRESS: (&str, &str) = (
    "https://github.com/<owner>/mixpack",
    "https://github.com/owner/mixpack",
);

/// A developer's checkout of an app, and the platform that it is pushed to.
pub struct HerokuStandIn {
    platform: Arc<Platform>,
    port: u16,
    server: Option<JoinHandle<()>>,
}

struct Platform {
    app: App,
    /// `bin` with the commands, `app` with the checkout, `app.git`, and `mixpack`, the buildpack's
    /// repository.
    dir: TempDir,
    database_url: Option<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    buildpacks: Vec<String>,
    log: String,
    error: String,
    processes: BTreeMap<String, String>,
    dyno: Option<Dyno>,
}

/// What a command printed, and its status.
type Answer = (String, i32);

impl HerokuStandIn {
    /// The source of an app as the first commit of a checkout.
    pub fn new(app: App) -> Self {
        Self::with(app, None)
    }

    /// With a database for the add-on `heroku-postgresql`.
    pub fn with_database(app: App, url: String) -> Self {
        Self::with(app, Some(url))
    }

    fn with(app: App, database_url: Option<String>) -> Self {
        let dir = tempfile::tempdir().expect("a folder for the platform");
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).expect("a folder for commands");
        let client = include_str!("client.sh");
        for (name, text) in [
            ("heroku", client),
            ("heroku-receive", client),
            ("mix", include_str!("mix.sh")),
        ] {
            script(&bin.join(name), text);
        }
        let exe = executable().unwrap_or_else(|| repository().join("bin/mixpack"));
        symlink(exe, bin.join("mixpack")).expect("a link to the executable");
        copy(&app.source, &dir.path().join("app"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let platform = Arc::new(Platform {
            app,
            dir,
            database_url,
            state: Mutex::default(),
        });
        let answering = Arc::clone(&platform);
        let server = std::thread::spawn(move || answering.serve(&listener));
        let heroku = Self {
            platform,
            port,
            server: Some(server),
        };
        heroku.publish_buildpack();
        // The fixture's .gitignore excludes the driver that a test adds.
        heroku.sh(
            "git init --quiet --initial-branch=main && git add --all --force && \
             git commit --quiet --message=First",
        );
        heroku
    }

    /// Publishes the files of this repository that a platform needs, at its URL.
    fn publish_buildpack(&self) {
        let published = self.platform.dir.path().join("mixpack");
        copy(&repository().join("bin"), &published.join("bin"));
        self.sh(
            "cd ../mixpack && git init --quiet --initial-branch=main && git add --all --force && \
             git commit --quiet --message=Mixpack",
        );
    }

    pub fn app(&self) -> &App {
        &self.platform.app
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.platform.state()
    }

    /// The checkout.
    pub fn source(&self) -> PathBuf {
        self.platform.dir.path().join("app")
    }

    /// Writes a file of the checkout.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.source().join(path);
        fs::create_dir_all(path.parent().expect("a path in the app")).expect("a folder");
        fs::write(path, text).expect("a file of the app");
    }

    /// Replaces text in a file of the checkout, which must contain it.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.source().join(path)).expect("a file of the app");
        assert!(text.contains(from), "{path} does not hold {from:?}");
        self.write(path, &text.replace(from, to));
    }

    /// Runs a command line in the checkout.
    pub fn run(&self, line: &str) -> Output {
        let dir = self.platform.dir.path();
        let address = format!("file://{}/mixpack", dir.display());
        let host = self.app().host.url();
        Command::new("bash")
            .args(["-c", line])
            .current_dir(self.source())
            .env_clear()
            .env(
                "PATH",
                format!("{}/bin:/usr/local/bin:/usr/bin:/bin", dir.display()),
            )
            .env("HOME", dir)
            .env("TMPDIR", dir)
            .env("PLATFORM_PORT", self.port.to_string())
            .env("GIT_AUTHOR_NAME", "A person")
            .env("GIT_AUTHOR_EMAIL", "person@example.com")
            .env("GIT_COMMITTER_NAME", "A person")
            .env("GIT_COMMITTER_EMAIL", "person@example.com")
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", format!("url.{address}.insteadOf"))
            .env("GIT_CONFIG_VALUE_0", ADDRESS.1)
            .env("HEX_BUILDS_URL", &host)
            .env("HEX_MIRROR", format!("{host}/hex"))
            .env("HEX_UNSAFE_REGISTRY", "1")
            .env("NODEJS_ORG_MIRROR", format!("{host}/dist"))
            .env("TOKEN", "a-token-of-git")
            .output()
            .expect("bash runs")
    }

    /// The output of a command line, which must succeed.
    #[track_caller]
    pub fn sh(&self, line: &str) -> String {
        let output = self.run(line);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{line}\n{said}");
        said
    }

    /// Commits all changes.
    pub fn commit(&self) {
        self.sh("git add --all && git commit --quiet --allow-empty --message=Change");
    }

    /// What `bin/compile` printed on stdout in the last push.
    pub fn log(&self) -> String {
        self.state().log.clone()
    }

    /// What it printed on stderr.
    pub fn error(&self) -> String {
        self.state().error.clone()
    }

    /// The command of a process type of the last release.
    pub fn process(&self, kind: &str) -> String {
        let state = self.state();
        let command = state.processes.get(kind);
        command
            .unwrap_or_else(|| panic!("no process type {kind}"))
            .clone()
    }

    /// Starts the web dyno of the last release.
    #[track_caller]
    pub fn web(&self) -> Web {
        let command = self.process("web");
        let vars = self.platform.config_vars();
        let mut state = self.state();
        let dyno = state.dyno.as_mut().expect("a release");
        dyno.config_vars = vars;
        dyno.start(&command)
    }

    /// The host's path of the last push's slug.
    pub fn slug(&self) -> PathBuf {
        self.state().dyno.as_ref().expect("a release").app.clone()
    }

    /// The value of a config var.
    pub fn config(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.app().env.join(name)).ok()
    }

    pub fn buildpacks(&self) -> Vec<String> {
        self.state().buildpacks.clone()
    }
}

impl Drop for HerokuStandIn {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.write_all(b"0\0\0");
        }
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
}

impl Platform {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no command panicked")
    }

    /// Answers commands until one comes without words.
    fn serve(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            let stream = stream.expect("a command");
            let mut words = BufReader::new(&stream).split(0).map(|word| {
                let word = word.expect("a word of the command");
                String::from_utf8(word).expect("UTF-8")
            });
            let count = words.next().and_then(|count| count.parse().ok());
            let cwd = PathBuf::from(words.next().unwrap_or_default());
            let Some(count @ 1..) = count else {
                return;
            };
            let words: Vec<String> = words.take(count).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let (said, status) = self.answer(&cwd, &words);
            let end = if said.is_empty() || said.ends_with('\n') {
                ""
            } else {
                "\n"
            };
            let _ = writeln!(&stream, "{said}{end}\x04{status}");
        }
    }

    fn answer(&self, cwd: &Path, words: &[&str]) -> Answer {
        match words {
            ["create", name] => self.create(cwd, name),
            ["buildpacks"] => (self.list_buildpacks(), 0),
            ["buildpacks:set", url] => {
                self.state().buildpacks = vec![(*url).to_owned()];
                (self.list_buildpacks(), 0)
            }
            ["buildpacks:add", url] => {
                self.state().buildpacks.push((*url).to_owned());
                (self.list_buildpacks(), 0)
            }
            ["buildpacks:add", "--index", index, url] => {
                let index: usize = index.parse().expect("a number");
                let mut state = self.state();
                state.buildpacks.insert(index - 1, (*url).to_owned());
                drop(state);
                (self.list_buildpacks(), 0)
            }
            ["buildpacks:remove", url] => {
                let mut state = self.state();
                let before = state.buildpacks.len();
                state.buildpacks.retain(|buildpack| buildpack != url);
                if state.buildpacks.len() == before {
                    return (format!("Buildpack not found: {url}"), 1);
                }
                drop(state);
                (self.list_buildpacks(), 0)
            }
            ["buildpacks:clear"] => {
                self.state().buildpacks.clear();
                ("Buildpacks cleared.".into(), 0)
            }
            ["addons:create", plan] if plan.starts_with("heroku-postgresql:") => {
                let Some(url) = &self.database_url else {
                    return ("this stand-in has no database".into(), 1);
                };
                self.app.config("DATABASE_URL", url);
                ("DATABASE_URL has been set".into(), 0)
            }
            ["config:set", pairs @ ..] => self.set(pairs),
            ["config:unset", names @ ..] => {
                for name in names {
                    self.app.unset(name);
                }
                (format!("Unset {}", names.join(", ")), 0)
            }
            ["run", command] => self.one_off(command),
            [checkout] if Path::new(checkout).is_dir() => self.receive(Path::new(checkout)),
            _ => (format!("the stand-in has no heroku {}", words.join(" ")), 1),
        }
    }

    /// A repository to push to, and its remote in the checkout.
    fn create(&self, cwd: &Path, name: &str) -> Answer {
        let bare = self.dir.path().join("app.git");
        let git = |args: &[&std::ffi::OsStr]| {
            let status = Command::new("git").args(args).status().expect("git runs");
            assert!(status.success(), "git {args:?}");
        };
        git(&[
            "init".as_ref(),
            "--quiet".as_ref(),
            "--bare".as_ref(),
            bare.as_ref(),
        ]);
        script(
            &bare.join("hooks/pre-receive"),
            include_str!("pre-receive.sh"),
        );
        git(&[
            "-C".as_ref(),
            cwd.as_ref(),
            "remote".as_ref(),
            "add".as_ref(),
            "heroku".as_ref(),
            bare.as_ref(),
        ]);
        (format!("Creating {name}... done"), 0)
    }

    fn list_buildpacks(&self) -> String {
        let mut text = String::new();
        for (index, buildpack) in self.state().buildpacks.iter().enumerate() {
            let _ = writeln!(text, "{}. {buildpack}", index + 1);
        }
        text
    }

    fn set(&self, pairs: &[&str]) -> Answer {
        let mut said = String::new();
        for pair in pairs {
            let Some((name, value)) = pair.split_once('=') else {
                return (format!("{pair} is invalid: must be KEY=VALUE"), 1);
            };
            self.app.config(name, value);
            let _ = writeln!(said, "Set {name}");
        }
        (said, 0)
    }

    fn config_vars(&self) -> BTreeMap<String, String> {
        let vars = fs::read_dir(&self.app.env).expect("config vars");
        vars.map(|entry| {
            let entry = entry.expect("a config var");
            let name = entry.file_name().into_string().expect("UTF-8");
            let value = fs::read_to_string(entry.path()).expect("UTF-8");
            (name, value)
        })
        .collect()
    }

    /// Runs a command with bash, in its own dyno.
    fn one_off(&self, command: &str) -> Answer {
        let vars = self.config_vars();
        let mut state = self.state();
        let Some(dyno) = &mut state.dyno else {
            return ("nothing has been deployed".into(), 1);
        };
        dyno.config_vars = vars;
        let command = format!("bash -c '{}'", command.replace('\'', "'\\''"));
        let output = dyno.run(&command);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (said, output.status.code().unwrap_or(1))
    }

    /// Handles a push, with the pushed files in a directory.
    fn receive(&self, checkout: &Path) -> Answer {
        let buildpacks = self.state().buildpacks.clone();
        let [buildpack] = &buildpacks[..] else {
            return ("this stand-in builds with one buildpack".into(), 1);
        };
        self.clone_buildpack(checkout, buildpack);
        fs::remove_dir_all(&self.app.source).expect("the last push goes");
        copy(checkout, &self.app.source);
        let detected = self.app.detect();
        let mut said = String::from_utf8_lossy(&detected.stdout).into_owned();
        if !detected.status.success() {
            return (said, 1);
        }
        let deploy = self.app.deploy();
        said.push_str(&deploy.log());
        let mut state = self.state();
        state.log.clone_from(&deploy.stdout);
        state.error.clone_from(&deploy.stderr);
        if !deploy.succeeded {
            return (said, deploy.code.unwrap_or(1));
        }
        state.processes = default_processes(&self.app.release(&deploy));
        if let Ok(procfile) = fs::read_to_string(deploy.slug.join("Procfile")) {
            let lines = procfile.lines().filter_map(|line| line.split_once(": "));
            let types = lines.map(|(kind, line)| (kind.to_owned(), line.to_owned()));
            state.processes.extend(types);
        }
        state.dyno = Some(self.app.ship(deploy));
        let release_phase = state.processes.get("release").cloned();
        drop(state);
        let Some(command) = release_phase else {
            return (said, 0);
        };
        let (phase, status) = self.one_off(&command);
        said.push_str(&phase);
        (said, status)
    }

    /// Clones the buildpack into the sandbox, from its URL: `URL`, `URL.git#COMMIT`.
    fn clone_buildpack(&self, work: &Path, address: &str) {
        let (url, commit) = match address.split_once('#') {
            Some((url, commit)) => (url, Some(commit)),
            None => (address, None),
        };
        let url = url.strip_suffix(".git").unwrap_or(url);
        let cloned = PathBuf::from(format!("{}-buildpack", work.display()));
        let mut git = Command::new("git");
        // Use the URL that this repository has in the tests.
        let local = format!("url.file://{}/mixpack.insteadOf", self.dir.path().display());
        git.args(["-c", &format!("{local}={}", ADDRESS.1)]);
        git.args(["clone", "--quiet", "--depth=1"]);
        if let Some(commit) = commit {
            git.args(["--branch", commit]);
        }
        let status = git.arg(url).arg(&cloned).status().expect("git runs");
        assert!(status.success(), "git clone {address}");
        let buildpack = self.app.sandbox.tmp().join("buildpack");
        fs::remove_dir_all(&buildpack).expect("an earlier clone goes");
        copy(&cloned.join("bin"), &buildpack.join("bin"));
        self.app.sandbox.give(&buildpack).expect("the buildpack");
    }
}

/// The default processes in the output of `bin/release`.
fn default_processes(yaml: &str) -> BTreeMap<String, String> {
    let lines = yaml.lines().filter_map(|line| line.strip_prefix("  "));
    let quoted = lines.filter_map(|line| line.split_once(": "));
    quoted
        .filter_map(|(kind, command)| Some((kind.to_owned(), serde_json::from_str(command).ok()?)))
        .collect()
}
