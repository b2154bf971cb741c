//! The components that ship, for a software bill of materials (SBOM).

/// A toolchain or package that ships.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Component {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) origin: Origin,
}

/// The source of a component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// `erlang`, `elixir` or `node`, as [`planning::record::Record::tools`] names them.
    Toolchain,
    Hex {
        /// `hexpm`, `hexpm:ORGANISATION` or another repository's name.
        repository: String,
        /// The checksum of the package's version, metadata and contents, in hex.
        inner_sha256: Option<String>,
        /// The checksum of the package's archive, in hex.
        sha256: Option<String>,
    },
    Git {
        /// The repository's URL, without credentials.
        url: String,
    },
    Npm {
        /// The lockfile's integrity, if any: `sha512-` and base64 (w3.org/TR/SRI).
        integrity: Option<String>,
    },
}
