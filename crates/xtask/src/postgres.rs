//! `PostgreSQL`, and a driver for it, made from Debian's packages.

use std::fs;
use std::path::Path;

use crate::debian::Suite;
use crate::process::Result;

/// Server, client and driver, and those of their libraries that the stack image has not.
const PACKAGES: [&str; 7] = [
    "erlang-p1-pgsql",
    "libicu76",
    "libpq5",
    "libreadline8t64",
    "libxml2",
    "postgresql-17",
    "postgresql-client-17",
];

/// Leaves in `result` what goes to `/usr/lib` and `/usr/share` of the stack image, and the driver
/// as an application's folder, `p1_pgsql`.
pub(crate) fn make(suite: &Suite, work: &Path, result: &Path) -> Result {
    let root = work.join("debian");
    suite.unpack(&PACKAGES, &root)?;
    for (from, to) in [
        ("usr/lib/postgresql", "lib"),
        ("usr/share/postgresql", "share"),
        ("usr/lib/x86_64-linux-gnu", "libraries"),
    ] {
        fs::rename(root.join(from), result.join(to))?;
    }
    for application in fs::read_dir(root.join("usr/lib/erlang/lib"))? {
        fs::rename(application?.path(), result.join("p1_pgsql"))?;
    }
    Ok(())
}
