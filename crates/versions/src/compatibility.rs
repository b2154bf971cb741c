//! The compatible versions of Elixir and OTP, from the compatibility page of Elixir's documentation.
//!
//! Upstream's lists define the available pairs. The table only ranks them and warns about unsupported ones. Versions
//! that are newer than the table are [`Compatibility::Unknown`].

use crate::elixir_version::ElixirVersion;

/// The compatibility of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compatibility {
    Supported,
    /// Known to be incompatible.
    Unsupported {
        /// The OTP majors that this version supports, ascending.
        supported: Vec<u32>,
        /// The first patch release of the same minor that does support this OTP, if one does.
        first_patch: Option<ElixirVersion>,
    },
    /// The Elixir or the OTP is newer than the table.
    Unknown,
}

/// One minor release of Elixir 1: the OTP majors of its `.0`, and the one that a patch release added.
struct Row {
    minor: u64,
    oldest: u32,
    newest: u32,
    /// `(otp, patch)`: OTP `otp` is supported from patch release `patch` on.
    added: Option<(u32, u64)>,
}

const fn row(minor: u64, oldest: u32, newest: u32) -> Row {
    Row {
        minor,
        oldest,
        newest,
        added: None,
    }
}

const fn row_with(minor: u64, oldest: u32, newest: u32, otp: u32, patch: u64) -> Row {
    Row {
        minor,
        oldest,
        newest,
        added: Some((otp, patch)),
    }
}

/// Newest first. Source: "Compatibility and deprecations" of Elixir's main branch (August 2026) and of its release
/// tags. Only the tag of 1.18.4 lists OTP 28 for it.
const TABLE: [Row; 21] = [
    row(20, 27, 29),
    row(19, 26, 28),
    row_with(18, 25, 27, 28, 4),
    row(17, 25, 27),
    row(16, 24, 26),
    row(15, 24, 26),
    row_with(14, 23, 25, 26, 5),
    row_with(13, 22, 24, 25, 4),
    row(12, 22, 24),
    row_with(11, 21, 23, 24, 4),
    row_with(10, 21, 22, 23, 3),
    row(9, 20, 22),
    row(8, 20, 22),
    row(7, 19, 22),
    row_with(6, 19, 20, 21, 6),
    row(5, 18, 20),
    row_with(4, 18, 19, 20, 5),
    row(3, 18, 19),
    row_with(2, 18, 18, 19, 6),
    row(1, 17, 18),
    row_with(0, 17, 17, 18, 5),
];

/// The newest OTP in the table.
pub const NEWEST_OTP: u32 = TABLE[0].newest;

/// Returns the compatibility of `elixir` with OTP `otp_major`.
#[must_use]
pub fn check(elixir: &ElixirVersion, otp_major: u32) -> Compatibility {
    let Some(row) = row_of(elixir) else {
        return Compatibility::Unknown;
    };
    let supported = supported_majors(row, elixir.patch());
    if supported.contains(&otp_major) {
        return Compatibility::Supported;
    }
    if otp_major > NEWEST_OTP {
        return Compatibility::Unknown;
    }
    Compatibility::Unsupported {
        supported,
        first_patch: row
            .added
            .filter(|(otp, _)| *otp == otp_major)
            .map(|(_, patch)| ElixirVersion::release(1, row.minor, patch)),
    }
}

/// Whether the table shows that the pair is incompatible.
pub(crate) fn is_known_bad(elixir: &ElixirVersion, otp_major: u32) -> bool {
    matches!(check(elixir, otp_major), Compatibility::Unsupported { .. })
}

fn row_of(elixir: &ElixirVersion) -> Option<&'static Row> {
    TABLE
        .iter()
        .find(|row| elixir.major() == 1 && elixir.minor() == row.minor)
}

fn supported_majors(row: &Row, patch: u64) -> Vec<u32> {
    let added = row
        .added
        .filter(|(_, first)| patch >= *first)
        .map(|(otp, _)| otp);
    (row.oldest..=row.newest).chain(added).collect()
}
