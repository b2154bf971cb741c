//! Paths in the repository, relative to its root.

/// Returns `base/name`, without a leading `./`.
#[must_use]
pub fn join(base: &str, name: &str) -> String {
    match (base, name) {
        (".", name) => name.to_owned(),
        (base, ".") => base.to_owned(),
        (base, name) => format!("{base}/{name}"),
    }
}

/// Normalizes a user's path, relative to a directory: in `.`, `./assets/` and `/assets` become `assets`. The
/// static buildpack joins the directory and the path with a slash, so a leading slash has no effect.
pub(crate) fn path_from(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    match parts[..] {
        [] => ".".to_owned(),
        _ => parts.join("/"),
    }
}
