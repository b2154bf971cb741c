//! Lays files out as upstream's hosts do and writes the lists that name them (contracts 6).

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use mirror::layout::{self, digest_of};
use sha2::{Digest as _, Sha256, Sha512};

use crate::process::Result;

/// Where an OTP archive is listed, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// As before 2024-09: without a checksum.
    ThreeFields,
    FourFields,
}

/// A tree that is being filled.
pub(crate) struct Tree {
    root: PathBuf,
}

impl Tree {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Puts `file` at `path`. It is linked, since the parts stay beside the tree.
    fn place(&self, file: &Path, path: &str) -> Result {
        let target = self.root.join(path);
        fs::create_dir_all(target.parent().unwrap_or(&self.root))?;
        fs::hard_link(file, &target)?;
        Ok(())
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result {
        let target = self.root.join(path);
        fs::create_dir_all(target.parent().unwrap_or(&self.root))?;
        fs::write(target, content)?;
        Ok(())
    }

    /// Adds a line to a list, below those that are there.
    fn list(&self, path: &str, line: &str) -> Result {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.root.join(path))?;
        writeln!(file, "{line}")?;
        Ok(())
    }

    /// Publishes an OTP archive on builds.hex.pm. To be called in the order of the names.
    pub(crate) fn otp(&self, file: &Path, name: &str, os: &str, line: Line) -> Result {
        let dir = format!("builds/otp/amd64/{os}");
        self.place(file, &format!("{dir}/{name}.tar.gz"))?;
        let text = match line {
            Line::ThreeFields => format!("{name} {} 2023-02-11T08:15:30Z", revision(name)),
            Line::FourFields => {
                let digest = digest_of::<Sha256>(file)?;
                format!("{name} {} 2025-06-16T09:42:07Z {digest}", revision(name))
            }
        };
        self.list(&format!("{dir}/builds.txt"), &text)
    }

    /// Publishes an installed OTP archive the way `erlef/otp_builds` does, under the names of git
    /// tags and branches.
    pub(crate) fn erlef_otp(&self, file: &Path, names: &[&str], os: &str) -> Result {
        let target = format!("x86_64-unknown-linux-gnu-{os}");
        let repository = "erlef/otp_builds";
        let list = format!("{repository}/raw/main/builds/{target}");
        let digest = digest_of::<Sha256>(file)?;
        let mut csv = b"ref_name,ref,datetime,sha256,openssl,wxwidgets\n".to_vec();
        let mut txt = Vec::new();
        for name in names {
            let tag = layout::erlef_tag(name);
            self.place(
                file,
                &format!("{repository}/releases/download/{tag}/otp-{target}.tar.gz"),
            )?;
            let (revision, time) = (revision(name), "2026-09-15T14:15:27Z");
            writeln!(csv, "{name},{revision},{time},{digest},openssl-3.0.13,")?;
            writeln!(txt, "{name} {revision} {time} {digest}")?;
        }
        self.write(&format!("{list}.csv"), csv)?;
        self.write(&format!("{list}.txt"), txt)
    }

    /// Publishes an Elixir zip. To be called in the order of the names. `ending` is what follows
    /// the checksum: a space in the lines that newer releases wrote.
    pub(crate) fn elixir(&self, file: &Path, name: &str, ending: &str) -> Result {
        self.place(file, &format!("builds/elixir/{name}.zip"))?;
        let digest = digest_of::<Sha256>(file)?;
        let line = format!(
            "{name} {} 2025-03-06T10:21:44Z {digest}{ending}",
            revision(name)
        );
        self.list("builds/elixir/builds.txt", &line)
    }

    /// Publishes a file of an installer list: `tool` is `hex` or `rebar3`; with an OTP major it
    /// goes to the list for Elixir 1.18 and later.
    pub(crate) fn installer(
        &self,
        file: &Path,
        tool: &str,
        version: &str,
        elixir: &str,
        otp: Option<&str>,
    ) -> Result {
        let suffix = if tool == "hex" { ".ez" } else { "" };
        let digest = digest_of::<Sha512>(file)?;
        let (name, list, line) = match otp {
            None => (
                format!("{tool}-{version}{suffix}"),
                format!("{tool}-1.x.csv"),
                format!("{version},{digest},{elixir}"),
            ),
            Some(otp) => (
                format!("{tool}-{version}-otp-{otp}{suffix}"),
                format!("{}.csv", tool.trim_end_matches('3')),
                format!("{version},{digest},{elixir},{otp}"),
            ),
        };
        self.place(file, &format!("installs/{elixir}/{name}"))?;
        self.list(&format!("installs/{list}"), &line)
    }

    pub(crate) fn node(&self, file: &Path, version: &str, name: &str) -> Result {
        let dir = format!("dist/v{version}");
        self.place(file, &format!("{dir}/{name}.tar.gz"))?;
        let digest = digest_of::<Sha256>(file)?;
        self.write(
            &format!("{dir}/SHASUMS256.txt"),
            format!("{digest}  {name}.tar.gz\n"),
        )
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

/// Stands where upstream's lists have the commit; these archives were made from none.
fn revision(name: &str) -> String {
    hex::encode(&Sha256::digest(name)[..20])
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn published() -> (TempDir, Tree) {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "abc").unwrap();
        let tree = Tree::new(dir.path().join("mirror"));
        tree.otp(&file, "OTP-25.2.3", "ubuntu-24.04", Line::ThreeFields)
            .unwrap();
        tree.otp(&file, "OTP-27.3.4.1", "ubuntu-24.04", Line::FourFields)
            .unwrap();
        tree.erlef_otp(&file, &["maint", "OTP-27.3.4.1"], "ubuntu-24.04")
            .unwrap();
        tree.elixir(&file, "v1.14.0", "").unwrap();
        tree.elixir(&file, "v1.18.3-otp-27", " ").unwrap();
        tree.installer(&file, "hex", "2.1.0", "1.14.0", None)
            .unwrap();
        tree.installer(&file, "hex", "2.1.0", "1.18.0", Some("27"))
            .unwrap();
        tree.installer(&file, "rebar3", "3.19.0", "1.14.0", None)
            .unwrap();
        tree.installer(&file, "rebar3", "3.24.0", "1.18.3", Some("27"))
            .unwrap();
        tree.node(&file, "24.21.0", "node-v24.21.0-linux-x64")
            .unwrap();
        (dir, tree)
    }

    #[test]
    fn published_lists_match_files() {
        let (dir, _tree) = published();
        assert_eq!(layout::check(&dir.path().join("mirror")).unwrap(), 13);
    }

    #[test]
    fn list_lines_have_upstream_format() {
        let (_dir, tree) = published();
        let lines = |path: &str| -> Vec<String> {
            let text = fs::read_to_string(tree.path(path)).unwrap();
            text.split_terminator('\n').map(str::to_owned).collect()
        };
        let otp = lines("builds/otp/amd64/ubuntu-24.04/builds.txt");
        assert_eq!(otp[0].split(' ').count(), 3);
        assert_eq!(otp[1].split(' ').count(), 4);
        let elixir = lines("builds/elixir/builds.txt");
        assert!(!elixir[0].ends_with(' ') && elixir[1].ends_with(' '));
        assert_eq!(lines("installs/hex-1.x.csv")[0].split(',').count(), 3);
        assert!(lines("installs/hex.csv")[0].ends_with(",1.18.0,27"));
        assert!(lines("installs/rebar.csv")[0].starts_with("3.24.0,"));
        assert!(tree.path("installs/1.18.3/rebar3-3.24.0-otp-27").is_file());
        assert!(tree.path("installs/1.14.0/hex-2.1.0.ez").is_file());
    }
}
