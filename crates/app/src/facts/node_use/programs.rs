//! The programs of Node.js.

/// Programs that come with Node.js or run in it.
pub(super) const PROGRAMS: [&str; 9] = [
    "node", "nodejs", "npm", "npx", "yarn", "pnpm", "pnpx", "bun", "bunx",
];

/// Whether a word is one of these programs, with or without a path.
pub(super) fn is_program(word: &str) -> bool {
    let name = match word.rsplit_once('/') {
        Some((folder, name)) if folder.ends_with("bin") => name,
        Some(_) => return false,
        None => word,
    };
    PROGRAMS.contains(&name)
}
