//! The two bash config files.

use super::error::ReadError;
use super::files::optional;
use super::shell_config::{self, Assignment};
use std::path::Path;

/// The config file of the Elixir buildpack.
pub const ELIXIR_CONFIG: &str = "elixir_buildpack.config";
/// The config file of the Phoenix static buildpack.
pub const STATIC_CONFIG: &str = "phoenix_static_buildpack.config";

/// One of the two bash config files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigFile {
    Missing,
    /// Every assignment of the file, in its order.
    Values(Vec<Assignment>),
    /// The file contains more than assignments; the caller evaluates it and replaces this.
    NeedsBash {
        line: u32,
        construct: String,
    },
}

/// Reads one of the two config files.
pub fn config_file(dir: &Path, name: &str) -> Result<ConfigFile, ReadError> {
    let Some(text) = optional(dir, name)? else {
        return Ok(ConfigFile::Missing);
    };
    Ok(match shell_config::parse(&text) {
        shell_config::Outcome::Plain(config) => ConfigFile::Values(config.assignments),
        shell_config::Outcome::NeedsBash { line, construct } => ConfigFile::NeedsBash {
            line,
            construct: construct.to_owned(),
        },
    })
}
