//! Debian's package archive, read with an apt configuration of its own: the suites are the same
//! whatever this machine runs, and its own package state is not touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Result, ensure, run};

pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Names Debian's archive on a machine that is not Debian itself.
const MIRROR_VARIABLE: &str = "DEBIAN_MIRROR";

/// Where Debian's packages come from: as told, or as this machine's own apt has it.
pub(crate) fn archive() -> Result<String> {
    if let Some(url) = std::env::var_os(MIRROR_VARIABLE) {
        return Ok(url.to_string_lossy().trim_end_matches('/').to_owned());
    }
    // The label of an archive is known once its lists have been fetched.
    known_archive()?
        .map_or_else(
            || {
                run(Command::new("apt-get").arg("update"))?;
                known_archive()
            },
            |url| Ok(Some(url)),
        )?
        .ok_or_else(|| {
            format!("this is not Debian: set {MIRROR_VARIABLE} to the URL of a Debian archive")
                .into()
        })
}

fn known_archive() -> Result<Option<String>> {
    let targets = run(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(LABEL) $(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    Ok(debian_of(&targets))
}

/// The archive labelled `Debian`, not its security updates.
fn debian_of(targets: &str) -> Option<String> {
    targets
        .lines()
        .find_map(|line| line.strip_prefix("Debian "))
        .map(|url| url.trim_end_matches('/').to_owned())
}

/// The package lists of one suite.
pub(crate) struct Suite {
    dir: PathBuf,
}

impl Suite {
    /// Fetches the lists of `suite` (as in `bookworm`) into `dir`, signatures checked.
    pub(crate) fn open(dir: &Path, suite: &str) -> Result<Self> {
        ensure(KEYRING, "debian-archive-keyring")?;
        for below in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(below))?;
        }
        fs::write(
            dir.join("sources.list"),
            format!(
                "deb [arch=amd64 signed-by={KEYRING}] {} {suite} main\n",
                archive()?
            ),
        )?;
        fs::write(dir.join("status"), "")?;
        let suite = Self {
            dir: dir.canonicalize()?,
        };
        run(suite.apt_get().arg("update"))?;
        Ok(suite)
    }

    /// Options given on the command line win over the machine's configuration, from which only
    /// what is not named here (a proxy, say) is left.
    fn apt_get(&self) -> Command {
        let mut command = Command::new("apt-get");
        for (option, file) in [
            ("Dir::State", ""),
            ("Dir::State::lists", "lists"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
            ("Dir::Etc::SourceList", "sources.list"),
            ("Dir::Etc::SourceParts", "none"),
            ("Dir::Etc::Preferences", "none"),
            ("Dir::Etc::PreferencesParts", "none"),
        ] {
            let path = self.dir.join(file);
            command
                .arg("--option")
                .arg(format!("{option}={}", path.display()));
        }
        command.args([
            "--option=APT::Architecture=amd64",
            "--option=APT::Sandbox::User=root",
            "--option=Acquire::Languages=none",
            "--option=Acquire::Retries=3",
        ]);
        command
    }

    /// Downloads packages and unpacks them all below `root`.
    pub(crate) fn unpack(&self, packages: &[&str], root: &Path) -> Result {
        let debs = self.dir.join("debs");
        if debs.exists() {
            fs::remove_dir_all(&debs)?;
        }
        fs::create_dir(&debs)?;
        run(self
            .apt_get()
            .arg("download")
            .args(packages)
            .current_dir(&debs))?;
        for deb in fs::read_dir(&debs)? {
            run(Command::new("dpkg-deb")
                .arg("--extract")
                .arg(deb?.path())
                .arg(root))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_archive_differs_from_security_archive() {
        let targets =
            "Debian-Security http://mirror/debian-security/\nDebian http://mirror/debian/\n";
        assert_eq!(debian_of(targets).as_deref(), Some("http://mirror/debian"));
        assert_eq!(debian_of("Ubuntu http://mirror/ubuntu/\n"), None);
    }
}
