//! `.buildpacks`: which buildpacks herokuish, Dokku and Gigalixir run, in this order.

use crate::origin::{Asked, Origin};

/// The file at the top of the app.
pub(crate) const FILE: &str = ".buildpacks";

/// Part of the address of the Phoenix static buildpack, and of its forks.
const STATIC: &str = "phoenix-static";
/// Part of ours. A copy may have another name: then the first of the list is taken for it.
const OURS: &str = "mixpack";

/// The Phoenix static buildpack that runs after this one, by its name: an address may hold a
/// password.
pub(crate) fn later_static(text: &str) -> Option<Asked> {
    let entries: Vec<(u32, &str)> = (1..)
        .zip(text.lines().map(str::trim))
        .filter(|(_, entry)| !entry.is_empty() && !entry.starts_with('#'))
        .collect();
    let ours = entries
        .iter()
        .position(|(_, entry)| entry.to_ascii_lowercase().contains(OURS))
        .unwrap_or_default();
    let (line, entry) = entries
        .into_iter()
        .skip(ours + 1)
        .find(|(_, entry)| entry.contains(STATIC))?;
    let address = entry.split(['#', '?']).next().unwrap_or_default();
    let name = address.trim_end_matches('/').rsplit('/').next();
    let name = name.unwrap_or_default().trim_end_matches(".git");
    Some(Asked::new(name.to_owned(), Origin::file(FILE, line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str = "https://user:secret@host/gjaldon/heroku-buildpack-phoenix-static.git#main";

    fn found(entries: &[&str]) -> Option<String> {
        let asked = later_static(&entries.join("\n"))?;
        Some(format!("{} {}", asked.origin, asked.value))
    }

    #[test]
    fn only_a_static_buildpack_behind_ours_counts_and_its_address_is_not_told() {
        let name = "heroku-buildpack-phoenix-static";
        let ours = "https://host/owner/Mixpack.git";
        let node = "https://host/heroku/heroku-buildpack-nodejs";
        assert_eq!(
            found(&["# the build", node, ours, OTHER]),
            Some(format!(".buildpacks:4 {name}"))
        );
        assert_eq!(found(&[node, OTHER, ours]), None);
        assert_eq!(found(&[OTHER]), None);
        assert_eq!(found(&[ours, node]), None);
        // Ours under another name.
        let copy = "https://host/owner/our-builds";
        assert_eq!(found(&[copy, OTHER]), Some(format!(".buildpacks:2 {name}")));
        assert_eq!(found(&[OTHER, copy]), None);
    }
}
