//! Errors of reading the app's files.

use crate::origin::Setting;
use crate::text_file::Encoding;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// An error when reading the files of the app.
#[derive(Debug, Error)]
pub enum ReadError {
    #[error("there is no mix.exs in {}", dir.display())]
    NoMixExs {
        dir: PathBuf,
        found: Vec<String>,
        /// Directories below with a `mix.exs`, as [`super::app_dir::candidate_dirs`] finds them.
        candidate_dirs: Vec<String>,
        /// Those of `candidate_dirs` that depend on Phoenix.
        phoenix: Vec<String>,
    },
    /// The app's directory is set to a path outside the repository.
    #[error("{} sets the app's directory to {}, which is outside the repository", requested.origin, requested.value)]
    AppDirOutside { requested: Setting },
    #[error("{} sets the app's directory to {}, which contains no mix.exs", requested.origin, requested.value)]
    NoAppInFolder {
        requested: Setting,
        /// Whether the directory exists.
        is_folder: bool,
        candidate_dirs: Vec<String>,
    },
    #[error("could not read {path}: {source}")]
    Io { path: String, source: io::Error },
    /// A file with an encoding that other programs can't read.
    #[error("{path} is encoded as {}", encoding.as_str())]
    Encoding { path: String, encoding: Encoding },
    #[error("{path}:{line}: {message}")]
    PackageJson {
        path: String,
        line: usize,
        message: String,
    },
    /// A file of mise that is not TOML.
    #[error("{path}:{line}: {message}")]
    Toml {
        path: String,
        line: u32,
        message: String,
    },
}
