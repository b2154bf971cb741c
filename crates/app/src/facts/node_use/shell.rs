//! Shell commands in a Procfile, in `app.json`, and in scripts.

use super::programs::is_program;

/// Words that precede a command in a line.
const BEFORE: [&str; 20] = [
    "!", "-c", "-l", "-lc", "-v", "bash", "command", "do", "else", "env", "exec", "if", "nohup",
    "sh", "sudo", "then", "time", "type", "which", "{",
];
/// Commands whose arguments are prose.
const PRINT: [&str; 2] = ["echo", "printf"];

/// Returns the commands of a line as words, without the words that precede them.
pub(super) fn commands(line: &str) -> impl Iterator<Item = Vec<&str>> {
    let line = without_comment(line);
    let parts = line.split(|c| ";&|()`{}".contains(c));
    parts.flat_map(|part| {
        let first = part.split_whitespace().next().unwrap_or_default();
        let printed = PRINT.contains(&first);
        // `bash -c "node …"`
        let inner = part
            .split(['"', '\''])
            .take(if printed { 1 } else { usize::MAX });
        inner.map(|text| {
            let words = text.split_whitespace();
            let is_before = |word: &&str| BEFORE.contains(word) || is_assignment(word);
            words.skip_while(is_before).collect::<Vec<_>>()
        })
    })
}

/// Whether a line runs or looks up a Node.js program, or reads installed npm packages.
pub(super) fn runs_node(line: &str) -> bool {
    without_comment(line).contains("node_modules/")
        || commands(line).any(|words| words.first().is_some_and(|word| is_program(word)))
}

/// Whether a line runs Node.js for other purposes than to install, build or check JavaScript, as scripts for
/// developers do.
pub(super) fn runs_node_to_serve(line: &str) -> bool {
    const DEVELOPMENT: [&str; 13] = [
        "add",
        "audit",
        "build",
        "ci",
        "deploy",
        "dev",
        "format",
        "i",
        "install",
        "lint",
        "test",
        "watch",
        "run-script",
    ];
    without_comment(line).contains("node_modules/")
        || commands(line).any(|words| {
            let Some((program, arguments)) = words.split_first() else {
                return false;
            };
            let manages = ["npm", "yarn", "pnpm", "bun"].contains(program);
            let develops =
                arguments.is_empty() || arguments.iter().any(|word| DEVELOPMENT.contains(word));
            is_program(program) && !(manages && develops)
        })
}

fn is_assignment(word: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    word.split_once('=')
        .is_some_and(|(before, _)| !before.is_empty() && before.chars().all(name))
}

fn without_comment(line: &str) -> &str {
    let is_comment = |at: &usize| {
        line[..*at]
            .chars()
            .next_back()
            .is_none_or(char::is_whitespace)
    };
    let at = line.match_indices('#').map(|(at, _)| at).find(is_comment);
    &line[..at.unwrap_or(line.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_differ_from_arguments_and_prose() {
        for line in [
            "node ssr.js",
            "exec /app/.heroku/node/bin/node ssr.js",
            "cd assets && NODE_ENV=production npx vite",
            "bash -c 'bun run server.ts'",
            "if ! command -v node >/dev/null; then",
            "VERSION=$(node --version)",
            "cp assets/node_modules/x/y priv/",
        ] {
            assert!(runs_node(line), "{line}");
        }
        for line in [
            "elixir --sname node -S mix phx.server",
            "elixir --name node@127.0.0.1 -S mix run # node",
            "echo \"node is up\"",
            "export RELEASE_NODE=node",
            "# npm install",
            "bin/shop rpc 'Node.list()'",
            "mix node.start",
        ] {
            assert!(!runs_node(line), "{line}");
        }
        for line in [
            "(cd assets && npm install)",
            "npm ci --prefix assets",
            "yarn",
            "pnpm run build",
        ] {
            assert!(runs_node(line) && !runs_node_to_serve(line), "{line}");
        }
        for line in ["npm start", "node x.js", "pnpm run serve", "npx tsx x.ts"] {
            assert!(runs_node_to_serve(line), "{line}");
        }
    }
}
