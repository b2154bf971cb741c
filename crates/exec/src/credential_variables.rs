//! The variables that credentials are in.

/// Lines `https://USER:TOKEN@HOST`, as git's own `~/.git-credentials` has them (gitcredentials(7)).
pub const GIT_CREDENTIALS: &str = "GIT_CREDENTIALS";
/// A private key for git over ssh, in PEM form and without a passphrase.
pub const GIT_SSH_KEY: &str = "GIT_SSH_KEY";

/// A key for the repositories of all of somebody's Hex organisations. Before 2.6 Hex itself reads it.
pub(crate) const HEX_REPOS_KEY: &str = "HEX_REPOS_KEY";

/// Entries `ORG:KEY`, for each what `mix hex.organization auth ORG --key KEY` does.
pub const HEX_ORGANIZATION_KEYS: &str = "HEX_ORGANIZATION_KEYS";

/// The variables that no command sees but the one that fetches dependencies.
pub(crate) const VARIABLES: [&str; 4] = [
    GIT_CREDENTIALS,
    GIT_SSH_KEY,
    HEX_REPOS_KEY,
    HEX_ORGANIZATION_KEYS,
];

/// Addresses of hosts that we fetch from; no command sees what they have of user info.
pub(crate) const MIRRORS: [&str; 3] = ["HEX_BUILDS_URL", HEX_MIRROR, "NODEJS_ORG_MIRROR"];

/// A host of OTP archives that only Mixpack reads.
pub const OTP_BUILDS_URL: &str = "MIXPACK_OTP_BUILDS_URL";

/// The one that Hex fetches packages from, with its user info.
pub(crate) const HEX_MIRROR: &str = "HEX_MIRROR";
