//! Runs slugs as dynos do.

use crate::printed::{compiling, said};
use crate::{copy, executable, repository};
use mirror::stack::{Process, Signal};
use mirror::{AppDir, Sandbox, Stack};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

/// The user of dynos in these tests, who isn't the build's.
const DYNO_USER: u32 = 2000;

/// A slug on a dyno: in `/app`, with another user, and without the build's other files.
pub struct Dyno {
    pub sandbox: Sandbox,
    /// The host's path of `/app`.
    pub app: PathBuf,
    /// The variables that the platform sets for every process.
    pub config_vars: BTreeMap<String, String>,
    _dir: tempfile::TempDir,
}

/// A running `web` process.
pub struct Web {
    process: Process,
    pub port: u16,
}

impl Dyno {
    /// Moves the slug in the build directory `slug` to a dyno with this image.
    pub fn of(image: &Stack, slug: &Path) -> Self {
        let dyno = tempfile::tempdir().expect("a folder for the slug");
        let archive = dyno.path().join("slug.tar");
        let app = dyno.path().join("app");
        let tar = |args: &[&std::ffi::OsStr]| {
            let status = std::process::Command::new("tar").args(args).status();
            assert!(status.expect("tar runs").success());
        };
        tar(&[
            "-cf".as_ref(),
            archive.as_ref(),
            "-C".as_ref(),
            slug.as_ref(),
            ".".as_ref(),
        ]);
        fs::remove_dir_all(slug).expect("the build directory goes");
        fs::create_dir(&app).expect("a folder for the slug");
        tar(&[
            "-xf".as_ref(),
            archive.as_ref(),
            "-C".as_ref(),
            app.as_ref(),
        ]);
        fs::remove_file(&archive).expect("the archive goes");
        let sandbox = image
            .sandbox()
            .expect("a sandbox")
            .user(DYNO_USER)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", "/app")
            .env(EPMD_PORT, free_port().to_string())
            .app_dir(AppDir::Bind(app.clone()));
        sandbox.give(&app).expect("the slug is the dyno's");
        Self {
            sandbox,
            app,
            config_vars: BTreeMap::new(),
            _dir: dyno,
        }
    }

    /// Adds the buildpack's `bin` in `/tmp/buildpack`, as CI does for `bin/test`.
    #[must_use]
    pub fn with_buildpack(mut self) -> Self {
        copy(
            &repository().join("bin"),
            &self.sandbox.tmp().join("buildpack/bin"),
        );
        if let Some(executable) = executable() {
            self.sandbox = self
                .sandbox
                .bind_ro(executable, "/usr/local/lib/mixpack")
                .env("MIXPACK_EXE", "/usr/local/lib/mixpack");
        }
        self
    }

    /// Hides a program of the image.
    #[must_use]
    pub fn without(mut self, program: &str) -> Self {
        let nothing = self.sandbox.tmp().join("nothing");
        fs::write(&nothing, "").expect("a file that cannot be run");
        self.sandbox = self.sandbox.bind_ro(nothing, program);
        self
    }

    /// Runs a command like a dyno, in a shell that has sourced `.profile.d`.
    pub fn run(&self, command: &str) -> Output {
        self.command(command, 0).output().expect("the dyno runs")
    }

    /// The output of a one-off command, which must succeed and compile nothing.
    #[track_caller]
    pub fn one_off(&self, command: &str) -> String {
        let output = self.run(command);
        let said = said(&output);
        assert!(output.status.success(), "{command}: {said}");
        assert_eq!(compiling(&said), [""; 0], "{command}: {said}");
        said
    }

    fn command(&self, command: &str, port: u16) -> mirror::stack::Command<'_> {
        let script = "cd /app; for f in /app/.profile.d/*.sh; do . \"$f\"; done; eval \"exec $1\"";
        let command = self
            .sandbox
            .command("bash", ["-c", script, "bash", command])
            .env("DYNO", "web.1");
        let vars = self.config_vars.iter();
        let command = vars.fold(command, |command, (name, value)| command.env(name, value));
        if port == 0 {
            command
        } else {
            command.env("PORT", port.to_string())
        }
    }

    /// Starts a command with a `$PORT`, and waits until it responds there.
    #[track_caller]
    pub fn start(&self, command: &str) -> Web {
        match self.try_start(command) {
            Ok(web) => web,
            Err(said) => panic!("{command} does not answer:\n{said}"),
        }
    }

    /// Like [`Dyno::start`], but returns the command's output if nothing responds within a minute.
    pub fn try_start(&self, command: &str) -> Result<Web, String> {
        let port = free_port();
        let process = self
            .command(command, port)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the dyno starts");
        let mut web = Web { process, port };
        let until = Instant::now() + Duration::from_mins(1);
        while web.try_get("/").is_none() {
            if Instant::now() > until || web.process.try_wait().expect("a status").is_some() {
                return Err(web.stop());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(web)
    }
}

impl Web {
    fn try_get(&self, path: &str) -> Option<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        ureq::get(&url)
            .call()
            .ok()?
            .body_mut()
            .read_to_string()
            .ok()
    }

    /// The body of a response with status 200.
    #[track_caller]
    pub fn get(&self, path: &str) -> String {
        self.try_get(path)
            .unwrap_or_else(|| panic!("GET {path} fails"))
    }

    /// Ends the process as a platform does, and returns all that it printed.
    pub fn stop(mut self) -> String {
        let _ = self.process.signal(Signal::TERM);
        let mut said = String::new();
        let (stdout, stderr) = (self.process.take_stdout(), self.process.take_stderr());
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.process.kill();
        if let Some(mut out) = stdout {
            let _ = out.read_to_string(&mut said);
        }
        if let Some(mut err) = stderr {
            let _ = err.read_to_string(&mut said);
        }
        said
    }
}

/// Dynos and containers of these tests are on the network of this machine. With a shared port, the first node would
/// start the epmd of all, and stop it while others register.
pub(crate) const EPMD_PORT: &str = "ERL_EPMD_PORT";

/// A port that nothing listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port()
}
