//! The components that ship, for a software bill of materials (SBOM).

/// Something that ships.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Component {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) origin: Origin,
}

/// Where a component is from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// `erlang`, `elixir` or `node`, as [`planning::record::Record::tools`] names them.
    Toolchain,
    Hex {
        /// `hexpm`, `hexpm:ORGANISATION` or another repository's name.
        repository: String,
        /// Of the package's version, metadata and contents, in hex.
        inner_sha256: Option<String>,
        /// Of the package's archive, in hex.
        sha256: Option<String>,
    },
    Git {
        /// Without credentials.
        url: String,
    },
    Npm {
        /// As the lockfile has it, where it does: `sha512-` and base64 (w3.org/TR/SRI).
        integrity: Option<String>,
    },
}
