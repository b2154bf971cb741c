//! Zips of Elixir in upstream's layout (contracts 6.2), and rebar3, made from Debian's packages.

use std::fs;
use std::path::{Path, PathBuf};

use crate::archive::{gunzip, pack_zip};
use crate::debian::Suite;
use crate::process::Result;

/// What the packages `elixir` and `rebar3` of one suite have.
pub(crate) struct Tree {
    root: PathBuf,
    /// As in `1.18.3`.
    pub(crate) version: String,
    /// As in `3.24.0`.
    pub(crate) rebar3_version: String,
}

impl Tree {
    /// Unpacks the packages of `suite` in `work`.
    pub(crate) fn make(suite: &Suite, work: &Path) -> Result<Self> {
        let root = work.join("debian");
        suite.unpack(&["elixir", "rebar3"], &root)?;
        let app = fs::read_to_string(root.join("usr/lib/elixir/lib/elixir/ebin/elixir.app"))?;
        let version = between(&app, "{vsn,\"", "\"")
            .ok_or("elixir.app has no vsn")?
            .to_owned();
        let rebar3 = fs::read(root.join("usr/bin/rebar3"))?;
        // The second line of the escript; an archive follows.
        let head = String::from_utf8_lossy(&rebar3[..rebar3.len().min(200)]).into_owned();
        let rebar3_version = between(&head, "\n%% Rebar3 ", "\n")
            .ok_or("rebar3 does not tell its version")?
            .to_owned();
        Ok(Self {
            root,
            version,
            rebar3_version,
        })
    }

    pub(crate) fn pack(&self, archive: &Path) -> Result {
        let tree = self.root.join("usr/lib/elixir");
        fs::write(tree.join("VERSION"), &self.version)?;
        fs::copy(
            self.root.join("usr/share/doc/elixir/copyright"),
            tree.join("LICENSE"),
        )?;
        fs::create_dir(tree.join("man"))?;
        for page in fs::read_dir(self.root.join("usr/share/man/man1"))? {
            let page = page?.path();
            if let Some(name) = page.file_stem()
                && name != "rebar3.1"
            {
                fs::write(tree.join("man").join(name), gunzip(&page)?)?;
            }
        }
        pack_zip(&tree, archive)
    }

    /// Debian's rebar3 is an escript with its libraries inside, as upstream's is.
    pub(crate) fn copy_rebar3(&self, file: &Path) -> Result {
        fs::copy(self.root.join("usr/bin/rebar3"), file)?;
        Ok(())
    }
}

fn between<'text>(text: &'text str, start: &str, end: &str) -> Option<&'text str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(found, _)| found.trim())
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn reads_versions_from_packages() {
        let app = "{application,elixir,\n [{description,\"elixir\"},\n  {vsn,\"1.18.3\"},\n";
        assert_eq!(between(app, "{vsn,\"", "\""), Some("1.18.3"));
        let escript = "#!/usr/bin/env escript\n%% Rebar3 3.24.0\n%%! +sbtu +A1\nPK";
        assert_eq!(between(escript, "\n%% Rebar3 ", "\n"), Some("3.24.0"));
        assert_eq!(between(escript, "vsn", "\n"), None);
    }
}
