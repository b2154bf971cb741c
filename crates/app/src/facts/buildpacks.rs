//! `.buildpacks`: the buildpacks that herokuish, Dokku and Gigalixir run, in this order. Heroku
//! ignores the file, so many apps still have one from another platform.

use crate::origin::{Origin, Setting};

/// The file, in the root of the app.
pub const FILE: &str = ".buildpacks";

/// Part of the name of the Phoenix static buildpack and of its forks.
const STATIC: &str = "phoenix-static";
/// Part of the name or the owner of this buildpack.
const MIXPACK: &str = "mixpack";
/// Parts of the names of the Elixir buildpacks that this one replaces, and of their forks.
const OLD_ELIXIR: [&str; 2] = ["buildpack-elixir", "elixir-buildpack"];
/// Owners of buildpacks for other languages. Their buildpacks are never copies of this one.
const OTHER_OWNERS: [&str; 2] = ["heroku", "heroku-community"];

/// Part of the names of buildpacks that build releases, after an Elixir buildpack.
const RELEASES: [&str; 2] = ["elixir-mix-release", "buildpack-releases"];
/// The buildpack that ran several buildpacks before platforms supported it.
const MULTI: &str = "buildpack-multi";

/// The role of a buildpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Mixpack,
    /// An Elixir buildpack that this one replaces.
    OldElixir,
    /// The Phoenix static buildpack.
    Static,
    /// Builds a release, after an Elixir buildpack.
    OldRelease,
    /// Runs other buildpacks.
    Multi,
    Other,
}

/// One line of the file.
pub struct Entry {
    pub line: u32,
    /// The owner in lower case. Empty if the URL has none.
    pub owner: String,
    /// The name. Only this is ever printed, since the URL may contain a password.
    pub name: String,
}

impl Entry {
    fn parse(line: u32, address: &str) -> Self {
        let address = address.split(['#', '?']).next().unwrap_or_default();
        // The URL may be that of an archive of a commit or a release.
        let archives = ["/archive/", "/tarball/", "/tar.gz/", "/releases/"];
        let mut archives = archives.iter().filter_map(|part| address.find(part));
        let address = &address[..archives.next().unwrap_or(address.len())];
        let mut parts = address.trim_end_matches('/').rsplit(['/', ':']);
        let mut name = parts.next().unwrap_or_default();
        for suffix in [".git", ".tgz", ".tar.gz"] {
            name = name.strip_suffix(suffix).unwrap_or(name);
        }
        Self {
            line,
            owner: parts.next().unwrap_or_default().to_ascii_lowercase(),
            name: name.to_owned(),
        }
    }

    /// Returns the buildpack with this URL.
    #[must_use]
    pub fn of(address: &str) -> Self {
        Self::parse(1, address)
    }

    fn is_named(&self, part: &str) -> bool {
        self.name.to_ascii_lowercase().contains(part)
    }

    fn is_mixpack(&self) -> bool {
        self.is_named(MIXPACK) || self.owner.contains(MIXPACK)
    }

    fn is_old_elixir(&self) -> bool {
        // Dokku's short form of `OWNER/heroku-buildpack-elixir` is `OWNER/elixir`.
        self.name == "elixir" || OLD_ELIXIR.iter().any(|part| self.is_named(part))
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        match () {
            () if self.is_mixpack() => Kind::Mixpack,
            () if self.is_named(STATIC) => Kind::Static,
            () if RELEASES.iter().any(|part| self.is_named(part)) => Kind::OldRelease,
            () if self.is_named(MULTI) => Kind::Multi,
            () if self.is_old_elixir() => Kind::OldElixir,
            () => Kind::Other,
        }
    }

    /// Whether this may be a copy of this buildpack under another name.
    fn may_be_mixpack(&self) -> bool {
        !self.is_named(STATIC) && !OTHER_OWNERS.contains(&self.owner.as_str())
    }
}

/// Reads the file's lines.
#[must_use]
pub fn parse(text: &str) -> Vec<Entry> {
    (1..)
        .zip(text.lines().map(str::trim))
        .filter(|(_, entry)| !entry.is_empty() && !entry.starts_with('#'))
        .map(|(line, entry)| Entry::parse(line, entry))
        .collect()
}

/// Returns the name of a Phoenix static buildpack that runs after this one.
#[must_use]
pub fn later_static(text: &str) -> Option<Setting> {
    let entries = parse(text);
    let later = entries.iter().skip(mixpack_position(&entries)? + 1);
    let found = later.into_iter().find(|entry| entry.is_named(STATIC))?;
    let origin = Origin::file(FILE, found.line);
    Some(Setting::new(found.name.clone(), origin))
}

/// Returns the position of this buildpack in the list, or `None` if the list doesn't run it. A list with an
/// old Elixir buildpack in its place is left over from before the app moved.
fn mixpack_position(entries: &[Entry]) -> Option<usize> {
    let named = entries.iter().position(Entry::is_mixpack);
    named.or_else(|| {
        let is_left_over = entries.iter().any(Entry::is_old_elixir);
        let copy = || entries.iter().position(Entry::may_be_mixpack);
        (!is_left_over).then(copy)?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str = "https://user:secret@host/gjaldon/heroku-buildpack-phoenix-static.git#main";
    const NODE: &str = "https://github.com/heroku/heroku-buildpack-nodejs";

    fn found(entries: &[&str]) -> Option<String> {
        let requested = later_static(&entries.join("\n"))?;
        Some(format!("{} {}", requested.origin, requested.value))
    }

    #[test]
    fn finds_static_buildpack_after_ours_by_name() {
        let name = "heroku-buildpack-phoenix-static";
        let mixpack = "https://host/owner/Mixpack.git";
        assert_eq!(
            found(&["# the build", NODE, mixpack, OTHER]),
            Some(format!(".buildpacks:4 {name}"))
        );
        assert_eq!(found(&[NODE, OTHER, mixpack]), None);
        assert_eq!(found(&[OTHER]), None);
        assert_eq!(found(&[mixpack, NODE]), None);
        // Listed with the buildpack that it replaces: both run.
        let elixir = "https://github.com/HashNuke/heroku-buildpack-elixir";
        let both = found(&[elixir, mixpack, OTHER]);
        assert_eq!(both, Some(format!(".buildpacks:3 {name}")));
    }

    #[test]
    fn kind_follows_from_name() {
        for (address, kind) in [
            (NODE, Kind::Other),
            (OTHER, Kind::Static),
            ("https://host/owner/Mixpack.git", Kind::Mixpack),
            ("hashnuke/elixir", Kind::OldElixir),
            (
                "https://github.com/HashNuke/heroku-buildpack-elixir.git#v1",
                Kind::OldElixir,
            ),
            (
                "https://buildpack-registry.s3.amazonaws.com/buildpacks/hashnuke/elixir.tgz",
                Kind::OldElixir,
            ),
            (
                "https://github.com/HashNuke/heroku-buildpack-elixir/archive/refs/heads/main.tar.gz",
                Kind::OldElixir,
            ),
            (
                "https://codeload.github.com/gjaldon/phoenix-static-buildpack/tar.gz/master",
                Kind::Static,
            ),
            ("urn:buildpack:hashnuke/elixir", Kind::OldElixir),
            (
                "https://github.com/owner/mixpack/releases/download/v1/mixpack-1-linux-amd64.tgz",
                Kind::Mixpack,
            ),
            (
                "https://github.com/chrismcg/heroku-buildpack-elixir-mix-release",
                Kind::OldRelease,
            ),
            (
                "https://github.com/gigalixir/gigalixir-buildpack-releases.git",
                Kind::OldRelease,
            ),
            (
                "https://github.com/ddollar/heroku-buildpack-multi.git",
                Kind::Multi,
            ),
        ] {
            assert_eq!(parse(address)[0].kind(), kind, "{address}");
        }
    }

    #[test]
    fn first_unknown_buildpack_counts_as_fork_of_ours() {
        let name = "heroku-buildpack-phoenix-static";
        let copy = "https://host/owner/our-builds";
        let second = Some(format!(".buildpacks:2 {name}"));
        assert_eq!(found(&[copy, OTHER]), second);
        assert_eq!(found(&[OTHER, copy]), None);
        let third = Some(format!(".buildpacks:3 {name}"));
        assert_eq!(found(&[NODE, copy, OTHER]), third);
        for known in [
            NODE,
            "git@github.com:heroku/heroku-buildpack-ruby.git",
            "heroku-community/apt",
        ] {
            assert_eq!(found(&[known, OTHER]), None, "{known}");
        }
    }

    #[test]
    fn buildpack_list_with_old_elixir_buildpack_is_ignored() {
        for elixir in [
            "https://github.com/HashNuke/heroku-buildpack-elixir",
            "https://github.com/HashNuke/heroku-buildpack-elixir.git#v2",
            "https://github.com/hashnuke/heroku-elixir-buildpack.git",
            "https://user:secret@host/team/Heroku-Buildpack-Elixir-fork/",
            "https://github.com/gigalixir/gigalixir-buildpack-elixir",
            "git@host:team/gigalixir-buildpack-elixir.git",
            "hashnuke/elixir",
        ] {
            assert_eq!(found(&[elixir, OTHER]), None, "{elixir}");
            assert_eq!(found(&[NODE, elixir, OTHER]), None, "{elixir}");
            let copy = "https://host/owner/our-builds";
            assert_eq!(found(&[copy, elixir, OTHER]), None, "{elixir}");
        }
    }
}
