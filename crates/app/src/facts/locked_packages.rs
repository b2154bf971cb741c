//! The versions of a package in a lockfile of JavaScript. Only the lines with the package are read: these files are large.

use versions::node::NodeVersion;

/// Returns the versions of a package in a lockfile of any package manager.
pub(super) fn locked(lock: &str, package: &str) -> Vec<String> {
    // npm: `"node_modules/webpack": {`, `"webpack": {`; pnpm: `webpack:`
    let heads = [
        format!("node_modules/{package}\": {{"),
        format!("{package}\": {{"),
        format!("{package}:"),
    ];
    let mark = format!("{package}@");
    let of_older_pnpm = format!("/{package}/");
    let mut versions = Vec::new();
    let mut lines = lock.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if !line.contains(package) {
            continue;
        }
        let key = line.trim_start_matches(['"', '\'', '/']);
        // yarn: `webpack@^4.1, webpack@^4.2:`, `"webpack@npm:^4.1":`
        let of_yarn = key.starts_with(&mark) && key.ends_with(':');
        if heads.iter().any(|head| head == key) || of_yarn {
            let next = lines.peek().map(|line| line.trim());
            versions.extend(next.and_then(version_of));
        }
        // pnpm: `/webpack@4.46.0:`; bun: `"webpack": ["webpack@4.46.0", …]`
        let named = line.match_indices(&mark).filter(|(at, _)| {
            let before = line[..*at].chars().next_back();
            before.is_none_or(|c| "\"'/[ ".contains(c))
        });
        for (at, mark) in named {
            versions.extend(leading_version(&line[at + mark.len()..]));
        }
        // Older pnpm: `/webpack/4.46.0:`
        if let Some(rest) = line.strip_prefix(&of_older_pnpm) {
            versions.extend(leading_version(rest));
        }
    }
    versions.dedup();
    versions
}

/// `"version": "4.46.0",`, `version "4.46.0"`, `version: 4.46.0(…)`.
fn version_of(line: &str) -> Option<String> {
    let rest = line.trim_start_matches('"').strip_prefix("version")?;
    leading_version(rest.trim_start_matches(['"', ':', ' ']))
}

/// A whole version that a text begins with.
fn leading_version(text: &str) -> Option<String> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let version = &text[..end.unwrap_or(text.len())];
    (version.split('.').count() == 3 && NodeVersion::parse(version).is_ok())
        .then(|| version.to_owned())
}
