//! The programs of Node.js.

/// Programs that come with Node.js or that it runs.
pub(super) const PROGRAMS: [&str; 9] = [
    "node", "nodejs", "npm", "npx", "yarn", "pnpm", "pnpx", "bun", "bunx",
];

/// `node`, and `/usr/bin/node`.
pub(super) fn is_program(word: &str) -> bool {
    let name = match word.rsplit_once('/') {
        Some((folder, name)) if folder.ends_with("bin") => name,
        Some(_) => return false,
        None => word,
    };
    PROGRAMS.contains(&name)
}
