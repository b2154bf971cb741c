//! Lists of buildpacks: the entries to remove, the one that Mixpack replaces, and notes about the others.

use crate::{Edit, Notes};
use app::facts::buildpacks::{Entry, Kind};

/// Owners of the two buildpacks and of Gigalixir's copies, which Mixpack replaces too. A name without an owner is
/// Heroku's or Dokku's short form.
const OWNERS: [&str; 4] = ["", "hashnuke", "gjaldon", "gigalixir"];

/// The action for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Keep,
    /// Replace it by Mixpack.
    Replace,
    Remove,
}

/// Whether an owner's buildpacks are the originals, or Gigalixir's.
pub(crate) fn is_known(owner: &str) -> bool {
    OWNERS.contains(&owner)
}

/// Returns the actions for the entries of a list. `list` has each entry with its line.
pub(crate) fn actions(list: &[(usize, &str)], url: &str, notes: &mut Notes<'_>) -> Vec<Action> {
    let keep = vec![Action::Keep; list.len()];
    let entries: Vec<Entry> = list.iter().map(|(_, address)| Entry::of(address)).collect();
    let replaces = |entry: &Entry| [Kind::OldElixir, Kind::Static].contains(&entry.kind());
    let Some(first) = entries.iter().position(replaces) else {
        return keep;
    };
    let of_kind = |kind: Kind| entries.iter().position(|entry| entry.kind() == kind);
    let is_fork = |entry: &Entry| replaces(entry) && !is_known(&entry.owner);
    if let Some(fork) = entries.iter().position(is_fork) {
        let Entry { owner, name, .. } = &entries[fork];
        notes.add(
            list[fork].0,
            format!("{owner}/{name} is a fork, which may do more than the original, so this list stays as it is. If it doesn't, put {url} in the place of the first of the two buildpacks, and remove the other."),
        );
        return keep;
    }
    if let Some(multi) = of_kind(Kind::Multi) {
        notes.add(
            list[multi].0,
            format!("{} runs other buildpacks, so this list stays as it is. Platforms run several buildpacks themselves: list the others in its place, and run `mixpack migrate` again.", entries[multi].name),
        );
        return keep;
    }
    let is_mixpack =
        |position: usize| list[position].1 == url || entries[position].kind() == Kind::Mixpack;
    let has_mixpack = (0..list.len()).any(is_mixpack);
    if !has_mixpack && of_kind(Kind::OldElixir).is_none() {
        notes.add(
            list[first].0,
            format!("{} is listed without the buildpack for Elixir, so this list stays as it is. If another entry installs Elixir, put {url} in its place, and remove this one.", entries[first].name),
        );
        return keep;
    }
    for ((line, _), entry) in list.iter().zip(&entries) {
        if let Some(text) = remark(entry) {
            notes.add(*line, text);
        }
    }
    let actions = entries
        .iter()
        .enumerate()
        .map(|(at, entry)| match replaces(entry) {
            false => Action::Keep,
            true if at == first && !has_mixpack => Action::Replace,
            true => Action::Remove,
        });
    actions.collect()
}

/// Returns a note about another entry of the list.
fn remark(entry: &Entry) -> Option<String> {
    let lower = entry.name.to_ascii_lowercase();
    let name = &match &*entry.owner {
        "" => entry.name.clone(),
        owner => format!("{owner}/{}", entry.name),
    };
    let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    let text = match entry.kind() {
        Kind::Static if entry.owner == "gigalixir" => {
            "Gigalixir's copy of this buildpack set PHX_HOST and PHX_SERVER for the app. Mixpack leaves them to the app: set PHX_HOST as a config var if config/runtime.exs reads it.".to_owned()
        }
        Kind::OldRelease => release(name),
        Kind::Other if has(&["distillery"]) => release(name),
        Kind::Other if has(&["subdir", "monorepo", "mono-repo"]) => format!(
            "{name} stays. Mixpack can build an app in a subdirectory itself: set app_relative_path in elixir_buildpack.config at the top to the directory, and remove this entry. Path dependencies next to that directory then work (docs/monorepo.md)."
        ),
        Kind::Other if has(&["nodejs", "buildpack-node"]) => format!(
            "{name} stays, and Mixpack uses its Node.js. If only the assets need Node.js, remove this entry: Mixpack installs it itself."
        ),
        Kind::Other if has(&["gigalixir-buildpack-mix"]) => format!(
            "{name} stays. It only gives `web` its default command, with the name and the cookie of a cluster's nodes. If the app forms no cluster, remove this entry."
        ),
        Kind::Other if has(&["clean-cache"]) => format!(
            "{name} stays, and makes every build start from scratch, which takes minutes. Mixpack keeps its cache consistent: try without this entry."
        ),
        _ => return None,
    };
    Some(text)
}

fn release(name: &str) -> String {
    format!(
        "{name} stays, but a build doesn't need it: with release=true in elixir_buildpack.config, Mixpack builds the release itself. Set that, remove this entry, and check `web` in the Procfile (docs/migrating.md#releases)."
    )
}

/// Returns the URLs in a `.buildpacks`, each with its line and the byte offset of the line.
fn lines(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    let mut next = 0;
    let lines = (1..).zip(text.split_inclusive('\n'));
    lines
        .map(move |(line, content)| {
            let at = next;
            next += content.len();
            (line, at, content)
        })
        .filter(|(_, _, content)| {
            let address = content.trim();
            !address.is_empty() && !address.starts_with('#')
        })
}

/// Returns the URLs in a `.buildpacks`, for the platform's commands.
pub(crate) fn addresses(text: &str) -> Vec<String> {
    lines(text)
        .map(|(_, _, content)| content.trim().to_owned())
        .collect()
}

/// The edits of `.buildpacks`: a line for each buildpack.
pub(crate) fn edits(text: &str, url: &str, notes: &mut Notes<'_>) -> Vec<Edit> {
    let list: Vec<(usize, &str)> = lines(text)
        .map(|(line, _, content)| (line, content.trim()))
        .collect();
    let actions = actions(&list, url, notes);
    let edits = actions
        .iter()
        .zip(lines(text))
        .filter_map(|(action, (_, at, content))| {
            let start = at + content.len() - content.trim_start().len();
            match action {
                Action::Keep => None,
                Action::Replace => Some(Edit {
                    range: start..start + content.trim().len(),
                    text: url.to_owned(),
                }),
                Action::Remove => Some(Edit {
                    range: at..at + content.len(),
                    text: String::new(),
                }),
            }
        });
    edits.collect()
}
