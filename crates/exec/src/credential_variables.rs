//! The variables with credentials.

/// Lines `https://USER:TOKEN@HOST`, as in git's `~/.git-credentials` (gitcredentials(7)).
pub const GIT_CREDENTIALS: &str = "GIT_CREDENTIALS";
/// A private key for git over ssh, in PEM form and without a passphrase.
pub const GIT_SSH_KEY: &str = "GIT_SSH_KEY";

/// A key for the repositories of all Hex organisations of a user. Before version 2.6, Hex itself reads it.
pub(crate) const HEX_REPOS_KEY: &str = "HEX_REPOS_KEY";

/// Entries `ORG:KEY`, each as in `mix hex.organization auth ORG --key KEY`.
pub const HEX_ORGANIZATION_KEYS: &str = "HEX_ORGANIZATION_KEYS";

/// The variables that only the command that fetches dependencies sees.
pub(crate) const VARIABLES: [&str; 4] = [
    GIT_CREDENTIALS,
    GIT_SSH_KEY,
    HEX_REPOS_KEY,
    HEX_ORGANIZATION_KEYS,
];

/// URLs of hosts to download from. Commands see them without user info.
pub(crate) const MIRRORS: [&str; 3] = ["HEX_BUILDS_URL", HEX_MIRROR, "NODEJS_ORG_MIRROR"];

/// The URL of a host of OTP archives, which only Mixpack reads.
pub const OTP_BUILDS_URL: &str = "MIXPACK_OTP_BUILDS_URL";

/// The mirror for Hex packages. Hex needs its user info.
pub(crate) const HEX_MIRROR: &str = "HEX_MIRROR";
