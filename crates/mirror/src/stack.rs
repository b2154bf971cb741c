//! Runs programs in a stack image, like a platform's build dyno.
//!
//! Each command gets its own mount and pid namespaces (`unshare` of util-linux, so the caller must be root): the
//! image under an overlay that records every write, the requested `/app`, `/tmp` bound to a directory that the
//! commands of one [`Sandbox`] share, and none of the caller's environment. The network is the host's, so servers on
//! 127.0.0.1 are reachable.
//!
//! Visible parts of the host, besides the requested binds: `/etc/resolv.conf` and `/etc/hosts`; one file of
//! certificate authorities (see [`Sandbox::new`]); and the variables in [`NETWORK_VARIABLES`], if the host sets them.

mod host;
mod process;
mod sandbox;
mod script;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

pub use host::{Authorities, CA_BUNDLE, NETWORK_VARIABLES};
pub use process::{Command, Process, Watch};
pub use rustix::process::Signal;
pub use sandbox::{AppDir, BUILD_USER, Sandbox};

use process::START_PATIENCE;

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

/// A root file system to run programs in. It is never changed.
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
