//! The view of the programs in a sandbox, their user, and the files that they wrote.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::geteuid;
use tempfile::TempDir;
use walkdir::WalkDir;

use super::host::{Authorities, CA_BUNDLE, NETWORK_VARIABLES, set};
use super::{Error, Result, Stack, at};

/// The user that a build runs as on heroku-24 and later.
pub const BUILD_USER: u32 = 1000;

/// The `/app` of a program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AppDir {
    /// An empty directory on a separate file system, owned by the program's user, new for each command: Heroku's
    /// standard build (contracts 1.2).
    #[default]
    Tmpfs,
    /// A directory of the host: a slug to boot, or a build whose `BUILD_DIR` is `/app`.
    Bind(PathBuf),
    /// Empty and read-only.
    ReadOnly,
    /// No such directory.
    Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadOnly,
    ReadWrite,
}

#[derive(Debug, Clone)]
pub(super) struct Bind {
    pub(super) host: PathBuf,
    pub(super) inside: PathBuf,
    pub(super) access: Access,
}

/// An environment for commands: their view, their user, and a shared `/tmp`.
///
/// Each command gets the original image. Only `/tmp`, the binds and [`AppDir::Bind`] persist between commands.
/// Commands may run at the same time.
#[derive(Debug)]
pub struct Sandbox {
    pub(super) stack: Stack,
    pub(super) binds: Vec<Bind>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) user: u32,
    pub(super) app: AppDir,
    pub(super) dir: TempDir,
    pub(super) runs: AtomicU32,
}

impl Sandbox {
    /// Creates a sandbox. Its working files (`/tmp`, the overlays) are below the system's temporary directory, and
    /// are removed when it is dropped. That directory must not be on an overlay itself, as in most containers: set
    /// `TMPDIR` to another one.
    ///
    /// Programs inside trust the host's certificate authorities: the bundle of `SSL_CERT_FILE` or of the system, and
    /// that of `NODE_EXTRA_CA_CERTS`. They are in one file at the usual Debian path. If the host sets either
    /// variable, `NODE_EXTRA_CA_CERTS` inside contains that path.
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
        // The build user must be able to enter this directory to reach the binds.
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
        // A later bind replaces an earlier one at the same path, such as /etc/hosts.
        self.binds.retain(|other| other.inside != bind.inside);
        self.binds.push(bind);
    }

    /// Makes programs inside trust another authority, with this certificate.
    pub fn trust(mut self, pem: &str) -> Result<Self> {
        let file = self.dir.path().join("ca.pem");
        let mut bundle = fs::read(&file).unwrap_or_default();
        bundle.extend(pem.as_bytes());
        at(&file, fs::write(&file, bundle))?;
        self.bind(file, CA_BUNDLE, Access::ReadOnly);
        Ok(self)
    }

    /// Sets the text of `/etc/hosts` inside.
    pub fn hosts(mut self, text: &str) -> Result<Self> {
        let file = self.dir.path().join("hosts");
        at(&file, fs::write(&file, text))?;
        self.bind(file, "/etc/hosts", Access::ReadOnly);
        Ok(self)
    }

    /// Binds `host` (a file or directory) to the absolute path `inside`, read-only.
    #[must_use]
    pub fn bind_ro(mut self, host: impl Into<PathBuf>, inside: impl Into<PathBuf>) -> Self {
        self.bind(host, inside, Access::ReadOnly);
        self
    }

    /// Binds `host` (a file or directory) to the absolute path `inside`. Its owner stays the same: see
    /// [`Sandbox::give`].
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

    /// The uid and gid of the programs, [`BUILD_USER`] by default.
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

    /// The host's path of this sandbox's `/tmp`.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.dir.path().join("tmp")
    }

    /// Changes the owner of a file or directory tree of the host to this sandbox's user.
    pub fn give(&self, path: impl AsRef<Path>) -> Result<()> {
        for entry in WalkDir::new(path.as_ref()) {
            let entry = entry.map_err(|error| walk_error(path.as_ref(), error))?;
            let owned = lchown(entry.path(), Some(self.user), Some(self.user));
            at(entry.path(), owned)?;
        }
        Ok(())
    }

    /// Returns the paths inside that commands created, changed or removed in the image so far, except below `/app`,
    /// `/tmp` and binds. A directory is only listed if it is new.
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

    /// Returns the files that the last command left in `/app`, relative to it. Only known after it has exited by
    /// itself, and only with [`AppDir::Tmpfs`], since that file system ends with the program.
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

    pub(super) fn run_dir(&self, run: u32) -> PathBuf {
        self.dir.path().join(format!("run-{run}"))
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
