//! Paths in the repository.

use app::facts::join;
use std::path::Path;

/// Joins a path to a directory of the repository. `None` if it leads outside.
pub(crate) fn normalized(base: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    if path.starts_with('/') {
        return None;
    }
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Expands `*` in a path, like `Mix.Config`. Returns any other path itself.
pub(crate) fn expanded(top: &Path, path: &str) -> Vec<String> {
    if !path.contains('*') {
        return vec![path.to_owned()];
    }
    let mut paths = vec![".".to_owned()];
    for part in path.split('/') {
        let next = paths.iter().flat_map(|dir| matching(top, dir, part));
        paths = next.collect();
    }
    paths.retain(|path| top.join(path).is_file());
    paths
}

/// Returns the entries of a directory that one part of such a path matches.
fn matching(top: &Path, dir: &str, part: &str) -> Vec<String> {
    let Some((start, end)) = part.split_once('*') else {
        return vec![join(dir, part)];
    };
    let entries = std::fs::read_dir(top.join(dir)).into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let matches = |name: &String| {
        let rest = name.strip_prefix(start);
        !name.starts_with('.') && rest.is_some_and(|rest| rest.ends_with(end))
    };
    let mut paths: Vec<String> = names.filter(matches).map(|name| join(dir, &name)).collect();
    paths.sort();
    paths
}
