//! Runs programs in a stack image the way a platform's build dyno does.
//!
//! Each command gets mount and pid namespaces of its own (`unshare` of util-linux, so the caller
//! must be root): the image under an overlay that records every write, `/app` as asked for,
//! `/tmp` bound to a directory that the commands of one [`Sandbox`] share, and nothing of the
//! caller's environment. The network is the host's, so a server on 127.0.0.1 can be reached.
//!
//! What of the host is visible inside, beyond the binds asked for: `/etc/resolv.conf` and
//! `/etc/hosts`; one file of certificate authorities (see [`Sandbox::new`]); and, only where the
//! host sets them, the variables in [`NETWORK_VARIABLES`].

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, ChildStderr, ChildStdout, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, geteuid, kill_process};
use tempfile::TempDir;
use walkdir::WalkDir;

pub use rustix::process::Signal;

/// The user that a build runs as on heroku-24 and later.
pub const BUILD_USER: u32 = 1000;

/// Variables that are handed through when the host sets them, because the npm registry cannot be
/// reached without them on a host behind a proxy or with a registry of its own.
pub const NETWORK_VARIABLES: [&str; 10] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "NPM_CONFIG_REGISTRY",
    "npm_config_registry",
];

/// Where the image keeps the authorities that curl, git, OpenSSL and Erlang trust.
pub const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How long [`Process::signal`] waits for the program to exist.
const START_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: no stack image (no usr/bin/env in it)")]
    NoImage { path: PathBuf },
    #[error("mount and pid namespaces need root; this process runs as uid {uid}")]
    NotRoot { uid: u32 },
    #[error("the sandbox could not be set up: {stage} failed: {message}")]
    Setup { stage: String, message: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot start {program}: {source}")]
    Spawn {
        program: &'static str,
        source: io::Error,
    },
    #[error("the program has ended, or did not start within {START_PATIENCE:?}")]
    NotRunning,
    #[error("cannot send the signal: {0}")]
    Signal(io::Error),
    #[error("cannot wait for the program: {0}")]
    Wait(io::Error),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

fn at<T>(path: &Path, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}

/// A root filesystem to run programs in; never written to.
#[derive(Debug, Clone)]
pub struct Stack {
    root: PathBuf,
}

impl Stack {
    /// The image in directory `root`.
    pub fn at(root: impl AsRef<Path>) -> Result<Self> {
        let path = root.as_ref();
        let root = at(path, path.canonicalize())?;
        if root.join("usr/bin/env").is_file() {
            Ok(Self { root })
        } else {
            Err(Error::NoImage { path: root })
        }
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Same as [`Sandbox::new`].
    pub fn sandbox(&self) -> Result<Sandbox> {
        Sandbox::new(self)
    }
}

/// What a program finds at `/app`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AppDir {
    /// An empty directory on a filesystem of its own, owned by the program's user, new for each
    /// command: Heroku's standard build (contracts 1.2).
    #[default]
    Tmpfs,
    /// A directory of the host: a slug to boot, or a build whose `BUILD_DIR` is `/app`.
    Bind(PathBuf),
    /// Empty, and not to be written.
    ReadOnly,
    /// No such directory.
    Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadOnly,
    ReadWrite,
}

#[derive(Debug, Clone)]
struct Bind {
    host: PathBuf,
    inside: PathBuf,
    access: Access,
}

/// A place to run commands in: what they see, who they are, and a `/tmp` that they share.
///
/// The image is as it was made for every command; only `/tmp`, the binds and
/// [`AppDir::Bind`] last from one command to the next. Commands may run at the same time.
#[derive(Debug)]
pub struct Sandbox {
    stack: Stack,
    binds: Vec<Bind>,
    env: Vec<(OsString, OsString)>,
    user: u32,
    app: AppDir,
    dir: TempDir,
    runs: AtomicU32,
}

/// The certificate authorities that this host trusts.
#[derive(Debug)]
pub struct Authorities {
    pub pem: Vec<u8>,
    /// The host names some by a variable: Node, which has a list of its own, must be told too.
    pub private: bool,
}

impl Authorities {
    /// The bundle that `SSL_CERT_FILE` names or the system's, and that of `NODE_EXTRA_CA_CERTS`;
    /// none where neither can be read.
    #[must_use]
    pub fn of_host() -> Option<Self> {
        let openssl = set("SSL_CERT_FILE");
        let node = set("NODE_EXTRA_CA_CERTS");
        let private = openssl.is_some() || node.is_some();

        let system = openssl.unwrap_or_else(|| CA_BUNDLE.into());
        let mut pem = Vec::new();
        for source in [Some(&system), node.as_ref().filter(|&node| *node != system)] {
            if let Some(text) = source.and_then(|source| fs::read(source).ok()) {
                pem.extend(text);
                pem.push(b'\n');
            }
        }
        (!pem.is_empty()).then_some(Self { pem, private })
    }
}

/// A variable of this process that is not empty.
fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

impl Sandbox {
    /// A sandbox whose working files (`/tmp`, the overlays) are below the system's temporary
    /// directory, removed when it is dropped. That directory must not itself be on an overlay
    /// (as in most containers): set `TMPDIR` to one that is not.
    ///
    /// Programs inside trust the host's certificate authorities: the bundle that `SSL_CERT_FILE`
    /// names or the system's, and that of `NODE_EXTRA_CA_CERTS`. They are one file at the usual
    /// Debian path; where the host sets either variable, `NODE_EXTRA_CA_CERTS` names it inside.
    pub fn new(stack: &Stack) -> Result<Self> {
        let uid = geteuid().as_raw();
        if uid != 0 {
            return Err(Error::NotRoot { uid });
        }
        let dir = tempfile::Builder::new()
            .prefix("stack-")
            .tempdir()
            .map_err(|source| Error::Io {
                path: std::env::temp_dir(),
                source,
            })?;
        // The build user must be able to pass through to what is bound from here.
        at(dir.path(), set_mode(dir.path(), 0o755))?;
        let tmp = dir.path().join("tmp");
        at(&tmp, fs::create_dir(&tmp))?;
        at(&tmp, set_mode(&tmp, 0o1777))?;

        let mut sandbox = Self {
            stack: stack.clone(),
            binds: Vec::new(),
            env: Vec::new(),
            user: BUILD_USER,
            app: AppDir::default(),
            dir,
            runs: AtomicU32::new(0),
        };
        sandbox.share_network()?;
        Ok(sandbox)
    }

    fn share_network(&mut self) -> Result<()> {
        for file in ["/etc/resolv.conf", "/etc/hosts"] {
            if let Ok(host) = Path::new(file).canonicalize() {
                self.bind(host, file, Access::ReadOnly);
            }
        }
        if let Some(authorities) = Authorities::of_host() {
            let file = self.dir.path().join("ca.pem");
            at(&file, fs::write(&file, authorities.pem))?;
            self.bind(file, CA_BUNDLE, Access::ReadOnly);
            if authorities.private {
                self.env
                    .push(("NODE_EXTRA_CA_CERTS".into(), CA_BUNDLE.into()));
            }
        }
        for name in NETWORK_VARIABLES {
            if let Some(value) = set(name) {
                self.env.push((name.into(), value));
            }
        }
        Ok(())
    }

    fn bind(&mut self, host: impl Into<PathBuf>, inside: impl Into<PathBuf>, access: Access) {
        let bind = Bind {
            host: host.into(),
            inside: inside.into(),
            access,
        };
        // Of the host's own files one may be replaced, /etc/hosts say.
        self.binds.retain(|other| other.inside != bind.inside);
        self.binds.push(bind);
    }

    /// Has programs inside trust one more authority, whose certificate this is.
    pub fn trust(mut self, pem: &str) -> Result<Self> {
        let file = self.dir.path().join("ca.pem");
        let mut bundle = fs::read(&file).unwrap_or_default();
        bundle.extend(pem.as_bytes());
        at(&file, fs::write(&file, bundle))?;
        self.bind(file, CA_BUNDLE, Access::ReadOnly);
        Ok(self)
    }

    /// Gives programs inside the text of `/etc/hosts`.
    pub fn hosts(mut self, text: &str) -> Result<Self> {
        let file = self.dir.path().join("hosts");
        at(&file, fs::write(&file, text))?;
        self.bind(file, "/etc/hosts", Access::ReadOnly);
        Ok(self)
    }

    /// Shows `host` (a file or directory) at the absolute path `inside`, not to be written.
    #[must_use]
    pub fn bind_ro(mut self, host: impl Into<PathBuf>, inside: impl Into<PathBuf>) -> Self {
        self.bind(host, inside, Access::ReadOnly);
        self
    }

    /// Shows `host` (a file or directory) at the absolute path `inside`. Its owner stays what it
    /// is: see [`Sandbox::give`].
    #[must_use]
    pub fn bind_rw(mut self, host: impl Into<PathBuf>, inside: impl Into<PathBuf>) -> Self {
        self.bind(host, inside, Access::ReadWrite);
        self
    }

    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The uid, and gid, of the programs; [`BUILD_USER`] unless set.
    #[must_use]
    pub fn user(mut self, uid: u32) -> Self {
        self.user = uid;
        self
    }

    #[must_use]
    pub fn app_dir(mut self, app: AppDir) -> Self {
        self.app = app;
        self
    }

    /// The host's path of this sandbox' `/tmp`.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.dir.path().join("tmp")
    }

    /// Hands a file or a directory tree of the host to this sandbox' user.
    pub fn give(&self, path: impl AsRef<Path>) -> Result<()> {
        for entry in WalkDir::new(path.as_ref()) {
            let entry = entry.map_err(|error| walk_error(path.as_ref(), error))?;
            let owned = lchown(entry.path(), Some(self.user), Some(self.user));
            at(entry.path(), owned)?;
        }
        Ok(())
    }

    /// A command to run inside; `program` is found through the PATH given with [`Sandbox::env`].
    #[must_use]
    pub fn command<I, A>(&self, program: impl Into<OsString>, args: I) -> Command<'_>
    where
        I: IntoIterator<Item = A>,
        A: Into<OsString>,
    {
        Command {
            sandbox: self,
            words: std::iter::once(program.into())
                .chain(args.into_iter().map(Into::into))
                .collect(),
            env: self.env.clone(),
            dir: PathBuf::from("/"),
            stdin: Stdio::null(),
            stdout: Stdio::inherit(),
            stderr: Stdio::inherit(),
        }
    }

    /// What all commands so far made, changed or removed in the image, as paths inside; not
    /// below `/app`, `/tmp`, or a bind. A directory is listed only when it is new.
    pub fn written_outside(&self) -> Result<Vec<PathBuf>> {
        let mounts: BTreeSet<&Path> = self.binds.iter().map(|bind| &*bind.inside).collect();
        let mut found = BTreeSet::new();
        for run in 0..self.runs.load(Ordering::SeqCst) {
            let upper = self.run_dir(run).join("upper");
            let mut entries = WalkDir::new(&upper).min_depth(1).into_iter();
            while let Some(entry) = entries.next() {
                let entry = entry.map_err(|error| walk_error(&upper, error))?;
                let Ok(inside) = entry.path().strip_prefix(&upper) else {
                    continue;
                };
                let path = Path::new("/").join(inside);
                if mounts.contains(&*path) || path == Path::new("/app") {
                    entries.skip_current_dir();
                    continue;
                }
                let is_dir = entry.file_type().is_dir();
                let holds_mount = mounts.iter().any(|mount| mount.starts_with(&path));
                if !(is_dir && (holds_mount || self.stack.root.join(inside).is_dir())) {
                    found.insert(path);
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    /// What the last command left in `/app`, relative to it; known once it has ended by itself,
    /// and only with [`AppDir::Tmpfs`] (that filesystem ends with the program).
    pub fn left_in_app(&self) -> Result<Vec<PathBuf>> {
        let last = self.runs.load(Ordering::SeqCst).saturating_sub(1);
        let file = self.run_dir(last).join("app");
        let names = at(&file, fs::read(&file))?;
        let mut paths: Vec<PathBuf> = names
            .split(|&byte| byte == 0)
            .filter_map(|path| path.strip_prefix(b"./"))
            .map(|path| PathBuf::from(OsStr::from_bytes(path)))
            .collect();
        paths.sort();
        Ok(paths)
    }

    fn run_dir(&self, run: u32) -> PathBuf {
        self.dir.path().join(format!("run-{run}"))
    }

    /// The shell script that is process 1 of a command's pid namespace. It makes the view, runs
    /// the program as its child (process 1 would ignore signals that it has no handler for), and
    /// ends with the program's status, upon which the kernel ends all that is left in the
    /// namespace.
    fn script(&self, run: &Path, command: &Command<'_>) -> String {
        let mut script = Script::new(run);
        script.stage("the pid namespace", &["mount", "--make-rprivate", "/"]);
        script.stage(
            "the image",
            &[
                OsStr::new("mount"),
                "--bind".as_ref(),
                self.stack.root.as_os_str(),
                "lower".as_ref(),
            ],
        );
        script.stage(
            "overlayfs",
            &[
                "mount",
                "-t",
                "overlay",
                "overlay",
                "-o",
                "lowerdir=lower,upperdir=upper,workdir=work",
                "merged",
            ],
        );
        script.stage("/proc", &["mount", "-t", "proc", "proc", "merged/proc"]);
        script.stage("/sys", &["mount", "--rbind", "/sys", "merged/sys"]);
        script.devices();
        script.stage("/tmp", &["mount", "--bind", "../tmp", "merged/tmp"]);
        self.app_stages(&mut script);
        for bind in &self.binds {
            script.bind(bind);
        }
        script.run(self.user, command, self.app == AppDir::Tmpfs);
        script.text
    }

    fn app_stages(&self, script: &mut Script) {
        match &self.app {
            AppDir::Missing => {}
            AppDir::Tmpfs => {
                script.stage("/app", &["mkdir", "-p", "merged/app"]);
                let options = format!("mode=755,uid={0},gid={0}", self.user);
                script.stage(
                    "/app",
                    &[
                        "mount",
                        "-t",
                        "tmpfs",
                        "-o",
                        &options,
                        "tmpfs",
                        "merged/app",
                    ],
                );
            }
            AppDir::ReadOnly => {
                script.stage("/app", &["mkdir", "-p", "merged/app"]);
                script.stage(
                    "/app",
                    &[
                        "mount",
                        "-t",
                        "tmpfs",
                        "-o",
                        "ro,mode=755",
                        "tmpfs",
                        "merged/app",
                    ],
                );
            }
            AppDir::Bind(host) => script.bind(&Bind {
                host: host.clone(),
                inside: "/app".into(),
                access: Access::ReadWrite,
            }),
        }
    }
}

fn walk_error(root: &Path, error: walkdir::Error) -> Error {
    Error::Io {
        path: error.path().unwrap_or(root).to_owned(),
        source: error.into(),
    }
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Builds the script of [`Sandbox::script`]. Its working directory is the run's: `lower`,
/// `upper`, `work` and `merged` are there; so are the files it leaves, `failed` (stage and
/// message of what went wrong before the program), `started` and `app` (what was left in /app).
struct Script {
    text: String,
}

impl Script {
    fn new(run: &Path) -> Self {
        // The program gets the standard error as descriptor 3, so that the shell's own remarks
        // ("Terminated") are not taken for its output.
        let mut script = Self {
            text: String::from(
                "exec 3>&2 2>/dev/null\n\
                 fail() { printf '%s\\n' \"$1\" > failed; cat message >> failed; exit 125; }\n",
            ),
        };
        script.line(&[OsStr::new("cd"), run.as_os_str()], " || exit 125");
        script
    }

    fn line<W: AsRef<OsStr>>(&mut self, words: &[W], rest: &str) {
        for (number, word) in words.iter().enumerate() {
            if number > 0 {
                self.text.push(' ');
            }
            self.text.push_str(&quote(word.as_ref()));
        }
        self.text.push_str(rest);
        self.text.push('\n');
    }

    fn stage<W: AsRef<OsStr>>(&mut self, name: &str, words: &[W]) {
        let rest = format!(" 2>message || fail {}", quote(name.as_ref()));
        self.line(words, &rest);
    }

    fn devices(&mut self) {
        self.stage(
            "/dev",
            &[
                "mount",
                "-t",
                "tmpfs",
                "-o",
                "mode=755",
                "tmpfs",
                "merged/dev",
            ],
        );
        for node in ["null", "zero", "full", "random", "urandom", "tty"] {
            let inside = format!("merged/dev/{node}");
            self.stage("/dev", &["touch", &inside]);
            self.stage(
                "/dev",
                &["mount", "--bind", &format!("/dev/{node}"), &inside],
            );
        }
        for (target, name) in [
            ("/proc/self/fd", "fd"),
            ("/proc/self/fd/0", "stdin"),
            ("/proc/self/fd/1", "stdout"),
            ("/proc/self/fd/2", "stderr"),
            ("pts/ptmx", "ptmx"),
        ] {
            self.stage("/dev", &["ln", "-s", target, &format!("merged/dev/{name}")]);
        }
        self.stage("/dev", &["mkdir", "merged/dev/shm", "merged/dev/pts"]);
        self.stage(
            "/dev/shm",
            &[
                "mount",
                "-t",
                "tmpfs",
                "-o",
                "mode=1777",
                "tmpfs",
                "merged/dev/shm",
            ],
        );
        self.stage(
            "/dev/pts",
            &[
                "mount",
                "-t",
                "devpts",
                "-o",
                "newinstance,ptmxmode=0666",
                "devpts",
                "merged/dev/pts",
            ],
        );
    }

    fn bind(&mut self, bind: &Bind) {
        let stage = bind.inside.to_string_lossy().into_owned();
        let mut target = OsString::from("merged");
        target.push(&bind.inside);
        let target = Path::new(&target);
        if bind.host.is_dir() {
            self.stage(
                &stage,
                &[OsStr::new("mkdir"), "-p".as_ref(), target.as_os_str()],
            );
        } else {
            if let Some(parent) = target.parent() {
                self.stage(
                    &stage,
                    &[OsStr::new("mkdir"), "-p".as_ref(), parent.as_os_str()],
                );
            }
            self.stage(&stage, &[OsStr::new("touch"), target.as_os_str()]);
        }
        self.stage(
            &stage,
            &[
                OsStr::new("mount"),
                "--bind".as_ref(),
                bind.host.as_os_str(),
                target.as_os_str(),
            ],
        );
        if bind.access == Access::ReadOnly {
            self.stage(
                &stage,
                &[
                    OsStr::new("mount"),
                    "-o".as_ref(),
                    "remount,bind,ro".as_ref(),
                    target.as_os_str(),
                ],
            );
        }
    }

    fn run(&mut self, user: u32, command: &Command<'_>, list_app: bool) {
        self.text.push_str(": > started\n");
        let mut words: Vec<OsString> = vec![
            "chroot".into(),
            format!("--userspec=+{user}:+{user}").into(),
            format!("--groups=+{user}").into(),
            "merged".into(),
            "/usr/bin/env".into(),
            "-i".into(),
            "-C".into(),
            command.dir.clone().into(),
        ];
        for (name, value) in &command.env {
            let mut pair = name.clone();
            pair.push("=");
            pair.push(value);
            words.push(pair);
        }
        words.extend(command.words.iter().cloned());
        // In a subshell: dash redirects a plain command's descriptors in itself.
        self.text.push_str("( exec ");
        self.line(&words, " 2>&3 3>&- )");
        self.text.push_str("status=$?\n");
        if list_app {
            self.text
                .push_str("(cd merged/app && find . -mindepth 1 -print0) > app\n");
        }
        let _ = writeln!(self.text, "exit \"$status\"");
    }
}

/// `word` for a shell. Bytes that are not UTF-8 cannot be given on to `sh -c` in a `str`, and
/// nothing that tests hand over has any.
fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    shell_words::quote(&word).into_owned()
}

/// A program to run in a [`Sandbox`], set up like a [`std::process::Command`]. Standard input is
/// empty, the other two are the caller's unless asked otherwise or [`Command::output`] is used.
#[derive(Debug)]
pub struct Command<'sandbox> {
    sandbox: &'sandbox Sandbox,
    words: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: PathBuf,
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
}

impl Command<'_> {
    /// Adds to, or replaces in, the environment of the sandbox.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The working directory inside; `/` unless set.
    #[must_use]
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = dir.into();
        self
    }

    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = stdin.into();
        self
    }

    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = stdout.into();
        self
    }

    #[must_use]
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = stderr.into();
        self
    }

    /// Starts the program. What keeps the sandbox from being set up is told by the wait.
    pub fn spawn(self) -> Result<Process> {
        let run = self.sandbox.runs.fetch_add(1, Ordering::SeqCst);
        let dir = self.sandbox.run_dir(run);
        for name in ["lower", "upper", "work", "merged"] {
            let path = dir.join(name);
            at(&path, fs::create_dir_all(&path))?;
        }
        // From a file, since a script on the command line would show in `ps` inside.
        let script = dir.join("script");
        at(
            &script,
            fs::write(&script, self.sandbox.script(&dir, &self)),
        )?;
        let child = process::Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child=KILL", "sh"])
            .arg(script)
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .stdin(self.stdin)
            .stdout(self.stdout)
            .stderr(self.stderr)
            .spawn()
            .map_err(|source| Error::Spawn {
                program: "unshare",
                source,
            })?;
        Ok(Process { child, dir })
    }

    /// Runs the program and waits for it.
    pub fn status(self) -> Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Runs the program, its output captured.
    pub fn output(self) -> Result<Output> {
        self.stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?
            .wait_with_output()
    }
}

/// Sees the processes of a [`Process`].
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    unshare: u32,
}

impl Watch {
    /// The host's pids of all that runs in the pid namespace, but for the shell that is process 1
    /// in it.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let Some(script) = only_child(self.unshare) else {
            return Vec::new();
        };
        let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let Some(ours) = namespace(script) else {
            return Vec::new();
        };
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|&pid| pid != script && namespace(pid).as_ref() == Some(&ours))
            .collect()
    }
}

/// A program that was started in a [`Sandbox`]. Dropping it kills it and all that it started.
#[derive(Debug)]
pub struct Process {
    child: process::Child,
    dir: PathBuf,
}

impl Process {
    /// When the program itself began, its view having been made; nothing before.
    #[must_use]
    pub fn began(&self) -> Option<SystemTime> {
        fs::metadata(self.dir.join("started"))
            .and_then(|file| file.modified())
            .ok()
    }

    /// To look at what runs, from another thread than the one that waits.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch {
            unshare: self.child.id(),
        }
    }

    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Sends `signal` to the program itself (not to its children), waiting for it to exist.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        let program = loop {
            if self.dir.join("started").exists()
                && let Some(pid) = self.program()
            {
                break pid;
            }
            let ended = self.child.try_wait().map_err(Error::Wait)?.is_some();
            if ended || Instant::now() > deadline {
                return Err(Error::NotRunning);
            }
            thread::sleep(Duration::from_millis(5));
        };
        kill_process(program, signal).map_err(|errno| Error::Signal(errno.into()))
    }

    /// The host's pid of the program: `unshare` has one child, the script, and that one.
    fn program(&self) -> Option<Pid> {
        let script = only_child(self.child.id())?;
        let program = i32::try_from(only_child(script)?).ok()?;
        // On its way to be the program it is a copy of the script's shell, chroot and env, which
        // the signal would end before the program could act on it.
        let cmdline = |pid| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let now = cmdline(program);
        let on_the_way = now.is_empty()
            || now == cmdline(i32::try_from(script).ok()?)
            || now.starts_with(b"chroot\0--userspec=")
            || now.starts_with(b"/usr/bin/env\0-i\0-C\0");
        if on_the_way {
            None
        } else {
            Pid::from_raw(program)
        }
    }

    /// Ends the program, and all that it started, at once.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().map_err(Error::Wait)
    }

    /// Waits for the program. One that a signal ended has exit code 128 + signal.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().map_err(Error::Wait)?;
        self.judge(status, &[])
    }

    /// The status when the program has ended, as in [`Process::wait`].
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        match self.child.try_wait().map_err(Error::Wait)? {
            Some(status) => self.judge(status, &[]).map(Some),
            None => Ok(None),
        }
    }

    /// Waits for the program and for what it wrote to the pipes asked for.
    pub fn wait_with_output(mut self) -> Result<Output> {
        let stderr = self.child.stderr.take().map(read_aside);
        let stdout = self.child.stdout.take().map(read_aside);
        let status = self.child.wait().map_err(Error::Wait)?;
        let stdout = collect(stdout)?;
        let stderr = collect(stderr)?;
        let status = self.judge(status, &stderr)?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// Tells the end of the program from that of the set-up before it.
    fn judge(&self, status: ExitStatus, stderr: &[u8]) -> Result<ExitStatus> {
        if let Ok(failed) = fs::read_to_string(self.dir.join("failed")) {
            let (stage, message) = failed.split_once('\n').unwrap_or((&failed, ""));
            return Err(Error::Setup {
                stage: stage.to_owned(),
                message: message.trim().to_owned(),
            });
        }
        if self.dir.join("started").exists() || status.signal().is_some() {
            return Ok(status);
        }
        Err(Error::Setup {
            stage: "unshare".to_owned(),
            message: String::from_utf8_lossy(stderr).trim().to_owned(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_aside(mut pipe: impl io::Read + Send + 'static) -> thread::JoinHandle<io::Result<Vec<u8>>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes)?;
        Ok(bytes)
    })
}

fn collect(reader: Option<thread::JoinHandle<io::Result<Vec<u8>>>>) -> Result<Vec<u8>> {
    let Some(reader) = reader else {
        return Ok(Vec::new());
    };
    reader
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the reading thread panicked")))
        .map_err(Error::Wait)
}

fn only_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox() -> Sandbox {
        Sandbox {
            stack: Stack {
                root: "/images/a stack".into(),
            },
            binds: Vec::new(),
            env: Vec::new(),
            user: BUILD_USER,
            app: AppDir::default(),
            dir: TempDir::new().unwrap(),
            runs: AtomicU32::new(0),
        }
    }

    fn script(sandbox: &Sandbox) -> String {
        let command = sandbox
            .command("bin/compile", ["/tmp/build 1", "$cache"])
            .env("STACK", "heroku-24")
            .current_dir("/tmp");
        sandbox.script(Path::new("/run/0"), &command)
    }

    #[test]
    fn the_script_makes_the_view_and_then_runs_the_program() {
        insta::assert_snapshot!(script(&sandbox().env("HOME", "/app").env("EMPTY", "")));
    }

    fn lines_about<'script>(script: &'script str, path: &str) -> Vec<&'script str> {
        script.lines().filter(|line| line.contains(path)).collect()
    }

    #[test]
    fn app_is_what_was_asked_for() {
        let missing = script(&sandbox().app_dir(AppDir::Missing));
        assert!(lines_about(&missing, "merged/app").is_empty());
        let read_only = script(&sandbox().app_dir(AppDir::ReadOnly));
        assert!(lines_about(&read_only, "merged/app")[1].contains("-o 'ro,mode=755'"));
        let slug = script(&sandbox().user(5).app_dir(AppDir::Bind("/".into())));
        assert!(lines_about(&slug, "merged/app")[1].starts_with("mount --bind / merged/app"));
        assert!(slug.contains("chroot '--userspec=+5:+5'"));
    }

    #[test]
    fn only_a_read_only_bind_is_remounted() {
        let script = script(
            &sandbox()
                .bind_ro("/usr", "/opt/ro")
                .bind_rw("/usr", "/opt/rw"),
        );
        assert_eq!(lines_about(&script, "merged/opt/rw").len(), 2);
        assert!(lines_about(&script, "merged/opt/ro")[2].starts_with("mount -o remount,bind,ro "));
    }

    #[test]
    fn of_two_binds_at_one_place_the_later_is_made() {
        let script = script(
            &sandbox()
                .bind_ro("/usr", "/opt/place")
                .bind_rw("/etc", "/opt/place"),
        );
        let lines = lines_about(&script, "merged/opt/place");
        assert!(lines[1].starts_with("mount --bind /etc ") && lines.len() == 2);
    }

    #[test]
    fn a_file_is_bound_onto_a_file() {
        let script = script(&sandbox().bind_ro("/etc/passwd", "/etc/deep/name"));
        let lines = lines_about(&script, "merged/etc/deep");
        assert!(lines[0].starts_with("mkdir -p merged/etc/deep "));
        assert!(lines[1].starts_with("touch merged/etc/deep/name "));
    }

    #[test]
    fn writes_are_told_apart_from_what_the_sandbox_made_itself() {
        let image = TempDir::new().unwrap();
        fs::create_dir_all(image.path().join("etc")).unwrap();
        let mut sandbox = sandbox().bind_ro("/usr", "/etc/deep/bound");
        sandbox.stack.root = image.path().to_owned();
        sandbox.runs = AtomicU32::new(2);
        let first = sandbox.run_dir(0).join("upper");
        let second = sandbox.run_dir(1).join("upper");
        for dir in ["etc/deep/bound", "app/x", "new"] {
            fs::create_dir_all(first.join(dir)).unwrap();
        }
        fs::create_dir_all(second.join("etc")).unwrap();
        fs::write(second.join("etc/passwd"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", first.join("etc/link")).unwrap();
        assert_eq!(
            sandbox.written_outside().unwrap(),
            ["/etc/link", "/etc/passwd", "/new"].map(PathBuf::from)
        );
    }

    #[test]
    fn what_was_left_in_app_is_the_last_commands() {
        let mut sandbox = sandbox();
        sandbox.runs = AtomicU32::new(2);
        fs::create_dir_all(sandbox.run_dir(1)).unwrap();
        fs::write(sandbox.run_dir(1).join("app"), b"./b\0./a dir\0").unwrap();
        assert_eq!(
            sandbox.left_in_app().unwrap(),
            ["a dir", "b"].map(PathBuf::from)
        );
    }

    #[test]
    fn a_directory_that_is_no_image_is_named() {
        let dir = TempDir::new().unwrap();
        let error = Stack::at(dir.path()).unwrap_err();
        assert!(
            matches!(error, Error::NoImage { path } if path.ends_with(dir.path().file_name().unwrap()))
        );
    }
}
